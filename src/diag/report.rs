//! A problem as miette draws it: its own file first, then what matters in others.
//!
//! Absent on purpose: themes and widths, which whoever prints chooses.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, Severity};

use super::{Level, Problem, Source, Span, line_column};

/// A problem as miette sees it.
pub(super) struct Report<'a>(&'a Problem, Vec<Elsewhere<'a>>);

impl<'a> Report<'a> {
    pub(super) fn of(problem: &'a Problem) -> Self {
        Self(problem, Elsewhere::of(problem))
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.0.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(match self.0.level {
            Level::Note => Severity::Advice,
            Level::Warning => Severity::Warning,
            Level::Error => Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.0.span.as_ref().map(|span| &*span.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.0.span.as_ref()?;
        let first = LabeledSpan::new_primary_with_span(label(&self.0.label), marked(span));
        let same_file = self.0.related.iter().filter(|(other, _)| other.source == span.source);
        let rest = same_file.map(|(other, text)| LabeledSpan::new_with_span(label(text), marked(other)));
        Some(Box::new(std::iter::once(first).chain(rest)))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        (!self.1.is_empty()).then(|| {
            let elsewhere = self.1.iter().map(|elsewhere| elsewhere as &dyn Diagnostic);
            Box::new(elsewhere) as Box<dyn Iterator<Item = &'a dyn Diagnostic>>
        })
    }
}

fn label(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The places of a problem that lie in one other file.
struct Elsewhere<'a> {
    source: &'a Arc<Source>,
    places: Vec<&'a (Span, String)>,
}

impl<'a> Elsewhere<'a> {
    /// One for each file beside the problem's own, in the order of their first place.
    fn of(problem: &'a Problem) -> Vec<Self> {
        let own = problem.span.as_ref().map(|span| &span.source);
        let mut files: Vec<Self> = Vec::new();
        for place in problem.related.iter().filter(|(span, _)| Some(&span.source) != own) {
            match files.iter_mut().find(|file| *file.source == place.0.source) {
                Some(file) => file.places.push(place),
                None => files.push(Self { source: &place.0.source, places: vec![place] }),
            }
        }
        files
    }
}

impl fmt::Debug for Elsewhere<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.places, f)
    }
}

impl fmt::Display for Elsewhere<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in {}", self.source.name)
    }
}

impl std::error::Error for Elsewhere<'_> {}

impl Diagnostic for Elsewhere<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&**self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.places.iter();
        Some(Box::new(labels.map(|(span, text)| LabeledSpan::new_with_span(label(text), marked(span)))))
    }
}

/// How much of a line is shown on either side of a place, in bytes: a file may be one line of ten million.
const BESIDE: usize = 300;

/// What is shown of the lines around a place: all of them, but for what is far away on the place's own line.
fn shown(text: &str, whole: &Range<usize>, place: &Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (whole.start, whole.end);
    let before = text.get(start..place.start).unwrap_or_default();
    if before.len() - before.rfind('\n').map_or(0, |at| at + 1) > BESIDE {
        start = text.ceil_char_boundary(place.start - BESIDE);
    }
    let after = text.get(place.end..end).unwrap_or_default();
    if after.find('\n').unwrap_or(after.len()) > BESIDE {
        end = text.floor_char_boundary(place.end + BESIDE);
    }
    start..end
}

/// As much of a place as is shown: its first line, where that is long.
fn marked(span: &Span) -> Range<usize> {
    let range = span.range.clone();
    let first = span.text().find('\n').unwrap_or(range.len());
    if first > BESIDE {
        return range.start..span.source.text.floor_char_boundary(range.start + BESIDE);
    }
    range
}

impl miette::SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let inner = self.text.read_span(span, before, after)?;
        let whole = inner.span().offset()..inner.span().offset() + inner.span().len();
        let shown = shown(&self.text, &whole, &(span.offset()..span.offset() + span.len()));
        // Columns count characters, as everywhere else; miette's count bytes.
        let (line, column) = line_column(&self.text, shown.start);
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.name.clone(),
            &self.text.as_bytes()[shown.clone()],
            miette::SourceSpan::from(shown),
            line - 1,
            column - 1,
            inner.line_count(),
        )))
    }
}
