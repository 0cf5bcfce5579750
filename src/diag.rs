//! What is wrong with data, and where.
//!
//! A [`Problem`] points at the exact characters of a file, says what was found and what was expected, and
//! names the fix. Problems are collected in [`Problems`], sorted by file and offset, and rendered by miette.
//!
//! Absent on purpose: printing (only `cli` prints) and errors of the world (I/O), which each layer types itself.

mod nearest;
mod report;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use report::Report;

pub use nearest::{did_you_mean, nearest};

/// A text that spans point into: a registry file, a `config.json`.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// The name shown to people, usually the path relative to where they stand.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// Wraps a named text so that spans can share it.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }
}

/// Some characters of a [`Source`], as byte offsets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Span {
    /// The text pointed into.
    pub source: Arc<Source>,
    /// The bytes pointed at.
    pub range: Range<usize>,
}

impl Span {
    /// Points at `range` of `source`.
    #[must_use]
    pub fn new(source: &Arc<Source>, range: Range<usize>) -> Self {
        Self { source: Arc::clone(source), range }
    }

    /// The text under the span; empty if the range lies outside its source.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.text.get(self.range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}..{}", self.source.name, self.range.start, self.range.end)
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing; nothing has to change.
    Note,
    /// Probably a mistake.
    Warning,
    /// The data cannot be used as it is.
    Error,
}

impl Level {
    /// The level as people read it, and as programs do: in SARIF the words are these.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One fault in data, with its place and its remedy.
#[derive(Debug, Clone)]
pub struct Problem {
    /// A stable name that reads after "allow", such as `unknown-name`.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found, then what was expected; lower case, no full stop.
    pub message: String,
    /// Where; `None` when no single place is at fault.
    pub span: Option<Span>,
    /// A few words beside the span.
    pub label: String,
    /// What to do next, as an imperative.
    pub help: Option<String>,
    /// Other places that matter.
    pub related: Vec<(Span, String)>,
}

impl Problem {
    /// An error at `span`.
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            level: Level::Error,
            message: message.into(),
            span: Some(span),
            label: String::new(),
            help: None,
            related: Vec::new(),
        }
    }

    /// An error that belongs to no single place.
    #[must_use]
    pub fn unplaced(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            level: Level::Error,
            message: message.into(),
            span: None,
            label: String::new(),
            help: None,
            related: Vec::new(),
        }
    }

    /// The same problem at another level.
    #[must_use]
    pub fn at_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Adds the words shown beside the span.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what to do next, if there is something to say.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Adds another place that matters.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// The report as a person reads it, without colour, `width` columns wide.
    #[must_use]
    pub fn render(&self, width: usize) -> String {
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
            .with_width(width)
            .with_context_lines(1);
        let mut out = String::new();
        // Formatting into a `String` cannot fail.
        let _ = handler.render_report(&mut out, &Report::of(self));
        out
    }

    /// The report as miette sees it, for a caller with its own handler.
    #[must_use]
    pub fn as_diagnostic(&self) -> impl Diagnostic + '_ {
        Report::of(self)
    }

    fn sort_key(&self) -> (&str, usize, usize, &str, &str) {
        match &self.span {
            Some(span) => (&span.source.name, span.range.start, span.range.end, self.code, &self.message),
            None => ("", 0, 0, self.code, &self.message),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = &self.span {
            let (line, column) = line_column(&span.source.text, span.range.start);
            write!(f, "{}:{line}:{column}: ", span.source.name)?;
        }
        write!(f, "{}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// The line and column, both from 1, of a byte offset; columns count characters.
#[must_use]
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

/// Problems found in one go, never empty when it is returned as an error.
#[derive(Debug, Clone, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// No problems yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Problem>) {
        self.0.extend(other);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.level == Level::Error)
    }

    /// Sorted by file, then offset, then code, without exact repeats.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Problem> {
        self.0.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        self.0.dedup_by(|a, b| a.sort_key() == b.sort_key());
        self.0
    }

    /// The problems in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// `Ok(value)` if none of the problems is an error.
    ///
    /// # Errors
    /// The problems themselves, if one of them is an error.
    pub fn or_ok<T>(self, value: T) -> Result<T, Self> {
        if self.has_errors() { Err(self) } else { Ok(value) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_place_label_and_help() {
        let source = Source::new("a.toml", "one = 1\ntwo = hiden_size\n");
        let problem =
            Problem::error("unknown-name", Span::new(&source, 14..24), "`hiden_size` is not a name in scope")
                .label("not known here")
                .help("did you mean `hidden_size`?");
        insta::assert_snapshot!(problem.render(80));
        assert_eq!(
            problem.to_string(),
            "a.toml:2:7: `hiden_size` is not a name in scope (did you mean `hidden_size`?)"
        );
    }

    #[test]
    fn a_place_in_another_file_is_shown_with_that_file() {
        let (definition, config) =
            (Source::new("a.toml", "x = 'size'\n"), Source::new("c.json", "{\n\"size\": 0\n}"));
        let problem = Problem::error("wrong-size", Span::new(&definition, 5..9), "a size is 0")
            .related(Span::new(&config, 2..11), "this");
        let text = problem.render(80);
        assert!(text.contains("c.json:2:1") && text.contains("this"), "{text}");
    }

    #[test]
    fn of_a_very_long_line_only_what_is_near_is_shown() {
        let long = "\u{e4}".repeat(100_000);
        let text = format!("# one\nx = '{long}' # {long}\ny = 1\n");
        let at = text.find("' #").expect("the text has a comment") + 2;
        let source = Source::new("a.toml", text.as_str());
        let show = |range: Range<usize>| {
            Problem::error("c", Span::new(&source, range), "here").label("label").render(80)
        };
        let (column, end) = (text[6..at].chars().count() + 1, text.len());
        for (range, place) in [
            (at..at + 1, format!("2:{column}")),
            (6..7, "2:1".to_owned()),
            (10..at - 1, "2:5".to_owned()),
            (6..end, "2:1".to_owned()),
        ] {
            let shown = show(range);
            assert!(shown.len() < 6_000, "{} bytes", shown.len());
            assert!(shown.contains(&format!("a.toml:{place}]")) && shown.contains("label"), "{shown}");
        }
        let at = text.rfind("y = 1").expect("the text has a second entry");
        assert!(show(at..at + 1).contains("y = 1"));
    }

    #[test]
    fn problems_come_out_sorted_by_file_and_offset() {
        let (a, b) = (Source::new("a", "xxxx"), Source::new("b", "xxxx"));
        let mut problems = Problems::new();
        problems.push(Problem::error("z", Span::new(&b, 0..1), "third"));
        problems.push(Problem::error("z", Span::new(&a, 2..3), "second"));
        problems.push(Problem::error("z", Span::new(&a, 1..2), "first"));
        let messages: Vec<_> = problems.sorted().into_iter().map(|p| p.message).collect();
        assert_eq!(messages, ["first", "second", "third"]);
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        assert_eq!(nearest("hiden_size", ["head_dim", "hidden_size"]), Some("hidden_size"));
        assert_eq!(nearest("zebra", ["head_dim", "hidden_size"]), None);
    }
}
