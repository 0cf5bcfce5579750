//! How many numbers a checkpoint holds, and how they are stored.
//!
//! Takes facts and what the matcher made of them; reads headers, never a tensor. Where a definition says which files
//! hold the weights, those alone count, as when it is loaded; else those with the usual names.

use std::collections::BTreeSet;

use super::inspector::Inspector;
use crate::facts::Facts;
use crate::matcher::Match;
use crate::model::checkpoint;
use crate::weights::{Checkpoint, WeightsError};

/// Endings of files whose headers `facts` does not read, or not wholly.
const OTHERS: [&str; 5] = [".npz", ".pt", ".bin", ".pth", ".ckpt"];

/// What the headers of a checkpoint tell; nothing where there is none.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// How many numbers there are; `None` if nothing tells.
    pub(super) parameters: Option<u64>,
    /// How they are stored, as the files spell it, sorted.
    pub(super) dtypes: Vec<String>,
}

impl Inspector<'_> {
    /// What the headers tell.
    pub(super) fn stored(&self, facts: &Facts, found: Option<&Match>) -> Result<Stored, String> {
        let files = self.weight_files(found);
        let is_there = |ending: &&str| facts.entries().iter().any(|entry| entry.name.ends_with(ending));
        if files.is_empty() {
            let dtypes = facts.dtypes().map_err(|error| error.to_string())?;
            let parameters = facts.parameters().map_err(|error| error.to_string())?;
            if parameters.is_some() || !OTHERS.iter().any(is_there) {
                return Ok(Stored { parameters, dtypes });
            }
        }
        match checkpoint(facts, files) {
            Ok(checkpoint) => Ok(sum(&checkpoint)),
            Err(WeightsError::NoWeights { .. }) => Ok(Stored::default()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The files that hold the weights, as the definition has it.
    fn weight_files(&self, found: Option<&Match>) -> &[String] {
        let definition = found.and_then(Match::architecture_name);
        let definition = definition.and_then(|name| self.matcher().registry().architectures.get(name));
        definition.map(|definition| definition.weights.as_slice()).unwrap_or_default()
    }
}

fn sum(checkpoint: &Checkpoint) -> Stored {
    let count = |shape: &[usize]| shape.iter().fold(1_u64, |count, &size| count.saturating_mul(size as u64));
    let counts = checkpoint.tensors().map(|(_, entry)| count(&entry.shape));
    let dtypes: BTreeSet<String> = checkpoint.dtypes().keys().map(ToString::to_string).collect();
    Stored {
        parameters: (checkpoint.tensors().len() > 0).then(|| counts.fold(0, u64::saturating_add)),
        dtypes: dtypes.into_iter().collect(),
    }
}
