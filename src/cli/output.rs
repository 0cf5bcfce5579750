//! Printing: the only place that writes to the terminal.

use std::error::Error;
use std::io::{IsTerminal, Write};

use crate::diag::{Problem, Problems};
use crate::registry::LoadError;

/// Writes text to standard output; a closed pipe ends the program quietly.
pub(crate) fn print(text: &str) {
    if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
        std::process::exit(0);
    }
}

/// Shows an error to a person, with its place in a file if it has one.
pub(crate) fn report(error: &(dyn Error + 'static)) {
    let mut stderr = std::io::stderr().lock();
    if let Some(problem) = error.downcast_ref::<Problem>() {
        let _ = write!(stderr, "{}", render(problem));
    } else if let Some(problems) = problems(error) {
        for problem in problems.clone().sorted() {
            let _ = write!(stderr, "{}", render(&problem));
        }
    } else {
        let _ = writeln!(stderr, "error: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            let _ = writeln!(stderr, "  because: {cause}");
            source = cause.source();
        }
    }
}

fn problems<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Problems> {
    match error.downcast_ref::<LoadError>() {
        Some(LoadError::Problems(problems)) => Some(problems),
        _ => error.downcast_ref::<Problems>(),
    }
}

/// A problem as the terminal can show it.
fn render(problem: &Problem) -> String {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if !colour {
        return problem.render(100);
    }
    let mut out = String::new();
    let handler =
        miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode()).with_context_lines(1);
    let _ = handler.render_report(&mut out, &problem.as_diagnostic());
    out
}
