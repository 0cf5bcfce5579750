//! Which definitions a checkpoint's tensors fit: the last resort of the matcher.
//!
//! Takes the headers of a checkpoint and a config; gives, for the definitions that come nearest by names alone and can
//! be built with that config, how many tensors agree. It is the same comparison that loading makes, so that an exact
//! fit is one that loads.
//!
//! Absent on purpose: the choice. Which of the candidates it is, and whether that is certain, is for `matcher` to say.

use std::cmp::Reverse;

use serde_json::Value;

use super::complete::checkpoint;
use super::load::{LoadError, bind};
use super::outline::{Likeness, Outlines, Stock};
use crate::facts::Facts;
use crate::lang::Program;
use crate::matcher::{self, Candidate};
use crate::registry::{Architecture, Registry};
use crate::weights::{BindReport, Checkpoint};

/// How many definitions are built and compared, with those that are as near as the last of them.
const COMPARED: usize = 3;

/// Compares a checkpoint's tensors with the definitions of a registry.
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
        let mut candidates: Vec<Candidate> = Vec::new();
        for (likeness, architecture) in nearest(self.registry, &checkpoint, COMPARED) {
            // A definition whose names do not all fit cannot fit exactly, and next to one that does it is no help.
            if !likeness.is_whole() && candidates.iter().any(Candidate::is_exact) {
                break;
            }
            let compared = candidate(self.registry, architecture, config, &checkpoint);
            candidates.extend(compared.ok().map(|(candidate, _)| candidate));
        }
        candidates
    }
}

/// The definitions whose names come nearest to those of a checkpoint, best first, by name among equals: so many, and
/// those that are as near as the last of them; before them all those of which only building them shows how near they are.
pub(super) fn nearest<'r>(
    registry: &'r Registry,
    checkpoint: &Checkpoint,
    count: usize,
) -> Vec<(Likeness, &'r Architecture)> {
    let stock = Stock::new(checkpoint.tensors().map(|(name, _)| name));
    let outlines = Outlines::new(registry);
    let scored = registry
        .architectures
        .values()
        .filter_map(|architecture| Some((outlines.likeness(architecture, &stock)?, architecture)));
    let (open, mut scored): (Vec<_>, Vec<_>) = scored.partition(|(likeness, _)| likeness.is_open());
    scored.sort_by_key(|(likeness, _)| Reverse(*likeness));
    let least = scored.get(count - 1).map(|(likeness, _)| *likeness);
    scored.retain(|(likeness, _)| least.is_none_or(|least| *likeness >= least));
    [open, scored].concat()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use rayon::prelude::*;

    use super::*;
    use crate::facts;
    use crate::model::complete;

    const FILES: [&str; 7] = [
        "model.safetensors",
        "diffusion_pytorch_model.safetensors",
        "sae_weights.safetensors",
        "sae.safetensors",
        "params.safetensors",
        "params.npz",
        "ae.pt",
    ];

    /// The folders below `dir` that hold a recorded checkpoint.
    fn recorded(dir: &Path, found: &mut Vec<PathBuf>) {
        if FILES.iter().any(|file| dir.join(file).is_file()) {
            found.push(dir.to_owned());
        }
        let entries = std::fs::read_dir(dir).expect("there").map(|entry| entry.expect("an entry").path());
        // Variants of a model differ in their config, and hardly in their tensors.
        let folders = entries.filter(|path| path.is_dir() && !path.ends_with("variants"));
        folders.for_each(|folder| recorded(&folder, found));
    }

    /// What decides: the exact fits, or else the nearest.
    fn winners(mut candidates: Vec<Candidate>) -> BTreeSet<String> {
        candidates.retain(|candidate| candidate.agree > 0);
        let best = candidates.iter().map(Candidate::score).fold(0.0, f64::max);
        candidates.retain(|candidate| candidate.score() >= best);
        candidates.into_iter().map(|candidate| candidate.architecture).collect()
    }

    #[test]
    fn comparing_a_few_finds_what_comparing_all_would_find() {
        let registry = Registry::shipped().expect("no errors");
        let mut folders = Vec::new();
        recorded(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity"), &mut folders);
        let compared = folders.par_iter().map(|folder| {
            let facts = facts::read(folder).expect("facts");
            let checkpoint = checkpoint(&facts, &FILES.map(str::to_owned)).expect("a checkpoint");
            let compare = |(_, architecture): (Likeness, &Architecture)| {
                let mut config = facts.value().clone();
                complete(registry, architecture, &facts, &mut config);
                candidate(registry, architecture, &config, &checkpoint).ok().map(|(candidate, _)| candidate)
            };
            let few = nearest(registry, &checkpoint, COMPARED);
            // All that have a name in common: the others have none that could agree.
            let all = nearest(registry, &checkpoint, registry.architectures.len());
            let all = all.into_iter().filter_map(compare).collect();
            let count = few.len();
            let few = few.into_iter().filter_map(compare).collect();
            assert_eq!(winners(few), winners(all), "{}", folder.display());
            count
        });
        let compared: usize = compared.sum();
        assert!(folders.len() > 30, "{}", folders.len());
        let all = folders.len() * registry.architectures.len();
        assert!(compared * 4 < all, "{compared} of {all} were compared, and that takes long");
    }

    /// Layers that are handed on and layers that `auto` finds: no text tells their tensors.
    const OPEN: &str = r#"
[architectures.Handed]
category = "transformers"
task     = "causal-lm"
config   = "handed"

[config.handed]
required = ["size"]
parts    = { part = "found" }
sample   = { size = 2, part = { size = 3 } }

[modules.Handed]
inputs        = ["x"]
layers.frames = "[Frame(Linear(size, size)), Frame(inner=Linear(size, size, bias=False))]"
layers.rest   = "auto(part)"
forward       = "return rest(frames[1](frames[0](x)))"

[modules.Frame]
args        = ["inner"]
inputs      = ["x"]
layers.held = "inner"
forward     = "return held(x)"

[architectures.Found]
category    = "transformers"
task        = "causal-lm"
model-types = ["found"]

[config.found]
required = ["size"]
sample   = { size = 3 }

[modules.Found]
inputs       = ["x"]
params.scale = "[size]"
forward      = "return x * scale"
"#;

    #[test]
    fn a_definition_whose_text_does_not_tell_its_tensors_is_built_and_compared() {
        let source = crate::diag::Source::new("omni.toml", OPEN);
        let registry = Registry::shipped().expect("no errors").with_file(&source).expect("a definition");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = |name: &str| dir.path().join(name);
        let config = r#"{"size": 2, "part": {"model_type": "found", "size": 3}}"#;
        std::fs::write(file("config.json"), config).expect("written");
        let bytes = [0; 16];
        let tensors = [
            ("frames.0.held.weight", vec![2, 2]),
            ("frames.0.held.bias", vec![2]),
            ("frames.1.held.weight", vec![2, 2]),
            ("rest.scale", vec![3]),
        ];
        let tensors = tensors.map(|(name, shape): (_, Vec<usize>)| {
            let bytes = &bytes[..4 * shape.iter().product::<usize>()];
            (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, bytes).expect("fits"))
        });
        safetensors::serialize_to_file(tensors, None, &file("model.safetensors")).expect("written");
        let facts = facts::read(dir.path()).expect("facts");
        let candidates = matcher::Fingerprints::compare(&Fingerprints::new(&registry), &facts, facts.value());
        let exact: Vec<&str> =
            candidates.iter().filter(|one| one.is_exact()).map(|one| one.architecture.as_str()).collect();
        assert_eq!(exact, ["Handed"], "{candidates:?}");
    }
}
