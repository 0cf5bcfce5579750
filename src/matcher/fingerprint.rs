//! The last resort: whose tensors are these?
//!
//! Definitions are traced further to the right in the crate, so that how a checkpoint's tensors compare with what each
//! of them expects comes through [`Fingerprints`]; here it is decided what that proves.

use serde_json::Value;

use crate::facts::Facts;

/// Compares the tensors of a checkpoint with what definitions expect.
pub trait Fingerprints {
    /// How the checkpoint compares with each definition that can be built with this config.
    fn compare(&self, facts: &Facts, config: &Value) -> Vec<Candidate>;
}

/// Knows no definition's tensors: matching by names alone.
#[derive(Debug, Clone, Copy)]
pub struct NoFingerprints;

impl Fingerprints for NoFingerprints {
    fn compare(&self, _: &Facts, _: &Value) -> Vec<Candidate> {
        Vec::new()
    }
}

impl<F: Fn(&Facts, &Value) -> Vec<Candidate>> Fingerprints for F {
    fn compare(&self, facts: &Facts, config: &Value) -> Vec<Candidate> {
        self(facts, config)
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
    /// Whether the tensors are exactly those that it expects.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.agree > 0 && self.missing + self.unexpected + self.reshaped == 0
    }

    /// The part of all names on either side that agree, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of a few thousand tensors")]
    pub fn score(&self) -> f64 {
        let all = self.agree + self.missing + self.unexpected + self.reshaped;
        if all == 0 { 0.0 } else { self.agree as f64 / all as f64 }
    }
}

/// What a comparison comes to.
#[derive(Debug, Default)]
pub(super) struct Scored {
    /// Those whose tensors are exactly those of the checkpoint, sorted by name.
    pub(super) exact: Vec<Candidate>,
    /// The best of the others, best first.
    pub(super) nearest: Vec<Candidate>,
}

/// How many of the nearest are kept.
const NEAREST: usize = 3;

pub(super) fn score(candidates: Vec<Candidate>) -> Scored {
    let (mut exact, mut nearest): (Vec<_>, Vec<_>) = candidates.into_iter().partition(Candidate::is_exact);
    nearest.retain(|candidate| candidate.agree > 0);
    nearest.sort_by(|a, b| b.score().total_cmp(&a.score()).then_with(|| a.architecture.cmp(&b.architecture)));
    nearest.truncate(NEAREST);
    exact.sort_by(|a, b| a.architecture.cmp(&b.architecture));
    Scored { exact, nearest }
}
