//! Which definitions a checkpoint's tensors fit: the last resort of the matcher.
//!
//! Takes the headers of a checkpoint and a config; gives, for every definition that can be built with that config,
//! how many tensors agree. It is the same comparison that loading makes, so that an exact fit is one that loads.
//!
//! Absent on purpose: the choice. Which of the candidates it is, and whether that is certain, is for `matcher` to say.

use serde_json::Value;

use super::complete::checkpoint;
use super::load::{LoadError, bind};
use crate::facts::Facts;
use crate::lang::Program;
use crate::matcher::{self, Candidate};
use crate::registry::{Architecture, Registry};
use crate::weights::{BindReport, Checkpoint};

/// Compares a checkpoint's tensors with every definition of a registry.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprints<'r> {
    registry: &'r Registry,
}

impl<'r> Fingerprints<'r> {
    /// Will compare with the definitions of this registry.
    #[must_use]
    pub fn new(registry: &'r Registry) -> Self {
        Self { registry }
    }
}

impl matcher::Fingerprints for Fingerprints<'_> {
    fn compare(&self, facts: &Facts, config: &Value) -> Vec<Candidate> {
        let Ok(checkpoint) = checkpoint(facts, &[]) else { return Vec::new() };
        let compare = |architecture| candidate(self.registry, architecture, config, &checkpoint).ok();
        self.registry.architectures.values().filter_map(compare).map(|(candidate, _)| candidate).collect()
    }
}

/// How a checkpoint's tensors compare with those of one definition, and what does not fit.
pub(super) fn candidate(
    registry: &Registry,
    architecture: &Architecture,
    config: &Value,
    checkpoint: &Checkpoint,
) -> Result<(Candidate, BindReport), LoadError> {
    let mut program = Program::build(registry, architecture, config, None)?;
    let ignored = program.ignored()?;
    let own = program.params().iter().filter(|param| param.tied_to.is_none()).count();
    let mut candidate = Candidate {
        architecture: architecture.name.text.clone(),
        agree: own,
        missing: 0,
        unexpected: 0,
        reshaped: 0,
    };
    let report = bind(architecture, ignored, program.params(), checkpoint).err().unwrap_or_default();
    if !report.is_empty() {
        candidate.missing = report.missing.len();
        candidate.unexpected = report.unused.len() + report.duplicates.len() + report.faults.len();
        candidate.reshaped = report.mis_shaped.len() + report.unloadable.len();
        candidate.agree = own.saturating_sub(candidate.missing + candidate.reshaped);
    }
    Ok((candidate, *report))
}
