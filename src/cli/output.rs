//! Printing: the only place that writes to the terminal.

use std::error::Error;
use std::fmt;
use std::io::{ErrorKind, IsTerminal, Write};

use miette::{Diagnostic, MietteHandler, MietteHandlerOpts, ReportHandler};

use crate::diag::{Problem, Problems};
use crate::model;
use crate::registry::LoadError;

/// Writes text to standard output. A reader that has seen enough ends the program quietly; anything else that keeps
/// it from being written, such as a full disk, is a failure.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    note(&format!("error: cannot write to standard output: {error}"));
    std::process::exit(1);
}

/// Shows an error to a person, with its place in a file if it has one.
pub(crate) fn report(error: &(dyn Error + 'static)) {
    let mut stderr = std::io::stderr().lock();
    if let Some(problem) = problem(error) {
        let _ = write!(stderr, "{}", render(problem));
    } else if let Some(problems) = problems(error) {
        for problem in problems.clone().sorted() {
            let _ = write!(stderr, "{}", render(&problem));
        }
    } else {
        let message = error.to_string();
        let _ = writeln!(stderr, "error: {message}");
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_message = cause.to_string();
            // Some errors tell their cause themselves.
            if !message.contains(&cause_message) {
                let _ = writeln!(stderr, "  because: {cause_message}");
            }
            source = cause.source();
        }
    }
}

fn problem<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Problem> {
    match error.downcast_ref::<model::LoadError>() {
        Some(model::LoadError::Definition(problem)) => Some(problem),
        _ => error.downcast_ref::<Problem>(),
    }
}

fn problems<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Problems> {
    let of_registry = match error.downcast_ref::<model::LoadError>() {
        Some(model::LoadError::Registry(error)) => Some(error),
        _ => error.downcast_ref::<LoadError>(),
    };
    match of_registry {
        Some(LoadError::Problems(problems)) => Some(problems),
        _ => error.downcast_ref::<Problems>(),
    }
}

/// Whether standard output is a terminal that wants colours.
pub(crate) fn has_colour() -> bool {
    std::io::stdout().is_terminal() && wants_colour()
}

/// Whether a terminal is to be given colours: not one that was asked to do without, or that has none.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A problem as standard output can show it.
pub(crate) fn for_stdout(problem: &Problem) -> String {
    render_for(problem, std::io::stdout().is_terminal())
}

/// A problem as standard error can show it.
fn render(problem: &Problem) -> String {
    render_for(problem, std::io::stderr().is_terminal())
}

/// How wide findings are drawn where there is no terminal to measure.
const PAGE: usize = 100;

/// Drawn for eyes, or told in words where `NO_GRAPHICS` is set, as screen readers want it. `COLUMNS` is the width, if
/// it is set, else that of the terminal.
fn render_for(problem: &Problem, is_terminal: bool) -> String {
    let mut options = MietteHandlerOpts::new().context_lines(1).color(is_terminal && wants_colour());
    if !is_terminal {
        // What is written to a file is the same everywhere.
        options = options.unicode(true).width(PAGE);
    }
    if let Some(columns) = columns() {
        options = options.width(columns.clamp(NARROWEST, PAGE));
    }
    Drawn(options.build(), &problem.as_diagnostic()).to_string()
}

/// How wide `COLUMNS` says that lines may be, if it is set.
fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0)
}

/// How wide lines may be: as `COLUMNS` says, as for findings, else as the terminal is; none where there is none.
pub(crate) fn width() -> Option<usize> {
    let measured = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0.into());
    columns().or_else(measured).map(|columns| columns.max(NARROWEST))
}

/// With fewer columns than this nothing can be drawn.
const NARROWEST: usize = 24;

/// A problem as a handler of miette shows it.
struct Drawn<'a>(MietteHandler, &'a dyn Diagnostic);

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug(self.1, f)
    }
}

/// Writes a remark to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What differs between two versions of a file, as a unified diff.
pub(crate) fn diff(name: &str, old: &str, new: &str) -> String {
    similar::TextDiff::from_lines(old, new).unified_diff().header(name, name).to_string()
}

/// A bar of bytes on standard error, shown only to a person and only for long work.
#[derive(Debug)]
pub(crate) struct Progress(indicatif::ProgressBar);

impl Progress {
    /// A bar that says what is being done.
    pub(crate) fn new(what: &'static str) -> Self {
        let bar = indicatif::ProgressBar::new(0).with_message(what);
        let template = "{msg} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
        if let Ok(style) = indicatif::ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// A bar that counts things.
    pub(crate) fn counting(what: &'static str, total: usize) -> Self {
        let bar = indicatif::ProgressBar::new(total as u64).with_message(what);
        if let Ok(style) = indicatif::ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// A count of what has been seen, where nobody knows yet how much there is.
    pub(crate) fn searching(what: &'static str) -> Self {
        let bar = indicatif::ProgressBar::new_spinner().with_message(what);
        if let Ok(style) = indicatif::ProgressStyle::with_template("{spinner} {msg} {human_pos}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// One more is done.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    /// So many of so many bytes are done.
    pub(crate) fn update(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
