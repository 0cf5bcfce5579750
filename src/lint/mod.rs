//! Proves definitions before any weight exists: `omni check`.
//!
//! Takes registry files; gives [`Problem`]s, sorted by place. What the layers below find while loading, parsing and
//! tracing is collected here, and the lints of `lints` add what only the whole registry shows. Every name that a
//! problem can carry has a page: what is wrong, why it matters, a bad and a good example.
//!
//! Adding a lint is one file and one line in `lints`. Absent on purpose: printing, and reading files.

mod allow;
mod blame;
mod calls;
mod checker;
pub mod code;
mod conditions;
mod context;
pub mod fix;
mod lints;
mod memory;
mod page;
mod reach;
mod scope;
mod traced;
mod tracing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diag::{Level, Problem, Problems, Source, Span};
use crate::registry::Registry;
use crate::registry::raw::LintLevel;

pub use checker::{Checked, Checker};
pub use context::Context;
pub use page::{page, pages, summary};
pub use reach::Reach;
pub use tracing::Trace;

/// A kind of finding, with its page.
#[derive(Debug)]
pub struct Lint {
    /// Its stable name, which reads after "allow".
    pub name: &'static str,
    /// How bad a finding is, unless the caller says otherwise.
    pub level: Level,
    /// What is found.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// A registry file that has a finding. It is read over [`EXAMPLE_BASE`].
    pub bad: &'static str,
    /// A registry file that has none.
    pub good: &'static str,
    /// Finds it. What loading, parsing or tracing reports is there already, and [`found_elsewhere`] is the check.
    pub check: fn(&Context<'_>, &mut Problems),
}

/// The check of a lint whose findings come from loading, parsing or tracing.
pub const fn found_elsewhere(_: &Context<'_>, _: &mut Problems) {}

impl Lint {
    /// A finding of this lint.
    #[must_use]
    pub fn at(&self, span: &Span, message: impl Into<String>) -> Problem {
        Problem::error(self.name, span.clone(), message).at_level(self.level)
    }
}

/// Where something stands: its file, by where that lies in memory, and the bytes in it.
type Place = (usize, usize, usize);

fn place(span: &Span) -> Place {
    (Arc::as_ptr(&span.source).addr(), span.range.start, span.range.end)
}

/// A small architecture that the examples on the pages change a part of.
pub const EXAMPLE_BASE: &str = include_str!("example.toml");

/// The text of an example as it is checked: a line that ends with `# × N` stands for N of it.
#[must_use]
pub fn example(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let times =
            line.rsplit_once("# × ").and_then(|(line, times)| Some((line, times.trim().parse().ok()?)));
        match times {
            Some((line, times)) => out.push_str(&format!("{}\n", line.trim_end()).repeat(times)),
            None => out.push_str(line),
        }
    }
    out
}

/// Every lint, by name.
#[must_use]
pub fn all() -> &'static [&'static Lint] {
    lints::ALL
}

/// The lint of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Lint> {
    all().iter().copied().find(|lint| lint.name == name)
}

/// What to do with the findings of a lint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// They are left out.
    Off,
    /// They have this level.
    At(Level),
}

/// What a caller wants of a check.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Settings by lint.
    pub settings: BTreeMap<String, Setting>,
    /// Only the findings of these lints; of all if there are none.
    pub select: BTreeSet<String>,
}

/// What is checked.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Files that what is checked stands upon; problems in them are not reported.
    pub base: Vec<Arc<Source>>,
    /// The files to check, later ones winning.
    pub files: Vec<Arc<Source>>,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The problems, by place.
    pub problems: Vec<Problem>,
    /// How many files were checked.
    pub files: usize,
    /// How many architectures were traced.
    pub architectures: usize,
}

impl Findings {
    /// The worst level among the problems.
    #[must_use]
    pub fn worst(&self) -> Option<Level> {
        self.problems.iter().map(|problem| problem.level).max()
    }
}

/// Checks registry files.
#[must_use]
pub fn check(input: &Input, options: &Options) -> Findings {
    Checker::default().check(input, options).findings
}

/// Checks a registry that is only at hand as its shipped files.
///
/// # Errors
/// If the shipped registry itself cannot be loaded.
pub fn check_shipped(options: &Options) -> Result<Findings, Problems> {
    let files = Registry::shipped()?.sources.clone();
    Ok(check(&Input { base: Vec::new(), files }, options))
}

/// The finding at the level that the caller, or else the `[lints]` of the files, gives it.
fn settle(problem: Problem, options: &Options, registry: &Registry) -> Option<Problem> {
    if !options.select.is_empty() && !options.select.contains(problem.code) {
        return None;
    }
    let written = registry.lints.get(problem.code).map(|(_, level)| match level {
        LintLevel::Off => Setting::Off,
        LintLevel::Note => Setting::At(Level::Note),
        LintLevel::Warning => Setting::At(Level::Warning),
        LintLevel::Error => Setting::At(Level::Error),
    });
    match options.settings.get(problem.code).copied().or(written) {
        Some(Setting::Off) => None,
        Some(Setting::At(level)) => Some(problem.at_level(level)),
        None => Some(problem),
    }
}
