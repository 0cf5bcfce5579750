//! What tracing met at places in the code: for editors, which show it where the cursor is.
//!
//! Absent on purpose: judgement. What fails ends the tracing, and the notes hold what was met until then.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::diag::Span;
use crate::plan::Param;

/// What a name stood for when it was first met.
#[derive(Debug, Clone)]
pub struct Noted {
    /// The type of a tensor, or what else it was.
    pub what: String,
    /// The path of the module it was met in.
    pub path: Arc<str>,
}

/// A layer in the tree.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The entry that it comes from.
    pub entry: Span,
    /// Its path, the prefix of its tensors' names.
    pub path: String,
}

/// A condition, and which ways it went. One of which a way ends in `fail(…)` is none: it refuses configs.
#[derive(Debug, Clone)]
pub struct Branch {
    /// Where it stands.
    pub span: Span,
    /// Whether it held somewhere.
    pub held: bool,
    /// Whether it did not somewhere.
    pub failed: bool,
}

/// What tracing met.
#[derive(Debug, Default)]
pub struct Notes {
    pub(super) branches: BTreeMap<(usize, usize, usize), Branch>,
    pub(super) values: HashMap<(usize, usize, usize), Noted>,
    /// The entries of layers with their paths, in the order of the tree.
    pub layers: Vec<Placed>,
    /// Every tensor.
    pub params: Vec<Param>,
}

impl Notes {
    /// What stood at a place, if tracing came by.
    #[must_use]
    pub fn at(&self, span: &Span) -> Option<&Noted> {
        self.values.get(&key(span))
    }

    /// The conditions that tracing met.
    pub fn branches(&self) -> impl Iterator<Item = &Branch> {
        self.branches.values()
    }

    pub(super) fn went(&mut self, span: Span, holds: bool) {
        let new = || Branch { span: span.clone(), held: false, failed: false };
        let branch = self.branches.entry(key(&span)).or_insert_with(new);
        branch.held |= holds;
        branch.failed |= !holds;
    }

    pub(super) fn note(&mut self, span: &Span, noted: impl FnOnce() -> Noted) {
        self.values.entry(key(span)).or_insert_with(noted);
    }
}

fn key(span: &Span) -> (usize, usize, usize) {
    (Arc::as_ptr(&span.source).addr(), span.range.start, span.range.end)
}
