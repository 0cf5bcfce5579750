//! One small edit of one file, and the lines on which a finding about it belongs.

use std::ops::Range;
use std::sync::Arc;

use omni::diag::{Source, Span};

/// Which part of the registry an edit is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    /// Architectures, configs and modules: what they mean shows in a trace.
    Definitions,
    /// Names, rules, tasks: any change of theirs changes what they mean.
    Rest,
}

/// An edit.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    pub(crate) kind: &'static str,
    pub(crate) file: usize,
    /// The bytes taken out.
    pub(crate) cut: Range<usize>,
    /// What is put there.
    pub(crate) put: String,
    /// Another place that is as right as the edit itself: where a copy was taken from.
    pub(crate) also: Option<(usize, usize)>,
    pub(crate) tables: Tables,
    /// Whether what is taken out declared something that others may name.
    pub(crate) declares: bool,
}

/// Where a finding about an edit belongs.
pub(crate) struct Right {
    source: Arc<Source>,
    lines: Range<usize>,
    /// What is no longer declared: whoever still names it is at fault as well.
    name: Option<String>,
    also: Option<(Arc<Source>, usize)>,
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count()
}

impl Right {
    pub(crate) fn holds(&self, span: &Span) -> bool {
        let line = line_of(&span.source.text, span.range.start);
        if Arc::ptr_eq(&span.source, &self.source) {
            let last = line_of(&span.source.text, span.range.end.max(span.range.start + 1) - 1);
            return (self.lines.start <= last && line < self.lines.end)
                || self.name.as_ref().is_some_and(|name| span.text().contains(name.as_str()));
        }
        self.also.as_ref().is_some_and(|(source, at)| Arc::ptr_eq(source, &span.source) && line == *at)
    }
}

impl Edit {
    /// All files with the edit made, and where a finding about it belongs.
    pub(crate) fn apply(&self, files: &[Arc<Source>]) -> (Vec<Arc<Source>>, Right) {
        let old = &files[self.file];
        let text = [&old.text[..self.cut.start], &self.put, &old.text[self.cut.end..]].concat();
        let source = Source::new(old.name.clone(), text);
        let mut mutated = files.to_vec();
        mutated[self.file] = Arc::clone(&source);
        let gone = self.put.is_empty() && self.declares;
        let lines = if gone {
            // What was declared is gone: what is left of its table, or whoever still names it.
            let before = &source.text[..self.cut.start];
            let start = before.rfind("\n[").map_or(0, |at| at + 1);
            let end =
                source.text[self.cut.start..].find("\n[").map_or(source.text.len(), |at| self.cut.start + at);
            line_of(&source.text, start)..line_of(&source.text, end) + 1
        } else {
            let end = self.cut.start + self.put.trim_end().len();
            line_of(&source.text, self.cut.start)..line_of(&source.text, end) + 1
        };
        let name = gone.then(|| {
            let key = old.text[self.cut.clone()].split('=').next().unwrap_or_default();
            let key = key.trim_matches(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
            key.rsplit('.').next().unwrap_or_default().to_owned()
        });
        let also = self.also.map(|(file, at)| (Arc::clone(&mutated[file]), line_of(&mutated[file].text, at)));
        (mutated, Right { source, lines, name: name.filter(|name| !name.is_empty()), also })
    }

    /// The edit in words.
    pub(crate) fn story(&self, files: &[Arc<Source>]) -> String {
        let source = &files[self.file];
        let line = line_of(&source.text, self.cut.start) + 1;
        let start = source.text[..self.cut.start].rfind('\n').map_or(0, |at| at + 1);
        let end = source.text[self.cut.end..].find('\n').map_or(source.text.len(), |at| self.cut.end + at);
        let shown = |text: &str| text.chars().take(220).collect::<String>();
        let put = if self.put.is_empty() { "nothing" } else { &self.put };
        format!(
            "{}: {}:{line}: `{}` becomes `{}` in `{}`\n",
            self.kind,
            source.name,
            shown(&source.text[self.cut.clone()]),
            shown(put),
            shown(&source.text[start..end.max(start)])
        )
    }
}
