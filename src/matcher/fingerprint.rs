//! The last resort: whose tensors are these?
//!
//! Compares the names and shapes in a checkpoint's headers with those that each definition expects. Definitions are
//! traced further to the right in the crate, so that what they expect comes through [`Fingerprints`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::Matcher;
use crate::facts::Facts;

/// The tensors that a definition expects in a checkpoint: names and shapes.
pub type Expected = Vec<(String, Vec<u64>)>;

/// Says what definitions expect in a checkpoint.
pub trait Fingerprints {
    /// The tensors that the architecture's definition expects with this config; `None` if it cannot be built with it.
    fn expected(&self, architecture: &str, config: &Value) -> Option<Expected>;
}

/// Knows no definition's tensors: matching by names alone.
#[derive(Debug, Clone, Copy)]
pub struct NoFingerprints;

impl Fingerprints for NoFingerprints {
    fn expected(&self, _: &str, _: &Value) -> Option<Expected> {
        None
    }
}

impl<F: Fn(&str, &Value) -> Option<Expected>> Fingerprints for F {
    fn expected(&self, architecture: &str, config: &Value) -> Option<Expected> {
        self(architecture, config)
    }
}

/// A definition whose tensors come near those of the checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its architecture.
    pub architecture: String,
    /// Tensors that agree in name and shape.
    pub agree: usize,
    /// Tensors that it expects and the checkpoint lacks.
    pub missing: usize,
    /// Tensors of the checkpoint that it does not expect.
    pub unexpected: usize,
    /// Tensors whose shapes differ.
    pub reshaped: usize,
}

impl Candidate {
    /// The part of all names on either side that agree, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of a few thousand tensors")]
    pub fn score(&self) -> f64 {
        let all = self.agree + self.missing + self.unexpected + self.reshaped;
        if all == 0 { 0.0 } else { self.agree as f64 / all as f64 }
    }
}

#[derive(Debug, Default)]
pub(super) struct Scored {
    /// The architectures whose tensors are exactly those of the checkpoint, sorted.
    pub(super) exact: Vec<String>,
    /// The best of the others, best first.
    pub(super) nearest: Vec<Candidate>,
}

/// How many of the nearest are kept.
const NEAREST: usize = 3;

pub(super) fn compare(matcher: &Matcher<'_>, facts: &Facts, fingerprints: &dyn Fingerprints) -> Scored {
    let Ok(tensors) = facts.tensors() else { return Scored::default() };
    let found: BTreeMap<&str, Option<&[u64]>> =
        tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_deref())).collect();
    let mut scored = Scored::default();
    if found.is_empty() {
        return scored;
    }
    for name in matcher.registry.architectures.keys() {
        let Some(expected) = fingerprints.expected(name, facts.value()) else { continue };
        let candidate = score(name, &expected, &found);
        if candidate.agree == found.len() && candidate.missing == 0 {
            scored.exact.push(name.clone());
        } else if candidate.agree > 0 {
            scored.nearest.push(candidate);
        }
    }
    scored
        .nearest
        .sort_by(|a, b| b.score().total_cmp(&a.score()).then_with(|| a.architecture.cmp(&b.architecture)));
    scored.nearest.truncate(NEAREST);
    scored
}

fn score(name: &str, expected: &Expected, found: &BTreeMap<&str, Option<&[u64]>>) -> Candidate {
    let mut candidate =
        Candidate { architecture: name.to_owned(), agree: 0, missing: 0, unexpected: 0, reshaped: 0 };
    for (tensor, shape) in expected {
        match found.get(tensor.as_str()) {
            None => candidate.missing += 1,
            Some(Some(other)) if *other != shape.as_slice() => candidate.reshaped += 1,
            Some(_) => candidate.agree += 1,
        }
    }
    candidate.unexpected = found.len() - (candidate.agree + candidate.reshaped).min(found.len());
    candidate
}
