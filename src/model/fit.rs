//! Whether a checkpoint fits its definition: config, definition and headers compared before a byte of weight is read.
//!
//! Takes a registry and the facts of a directory; gives a [`Fit`]: everything that does not fit, each with its place
//! in the definition or the config, and what the model will take in memory.
//!
//! Absent on purpose: reading weights. Tied tensors that the checkpoint holds twice are compared when it is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::complete::{checkpoint, complete};
use super::load::{LoadError, bind, definition, matched};
use crate::diag::{Level, Problem, Problems};
use crate::facts::Facts;
use crate::lang::Program;
use crate::matcher::Matcher;
use crate::plan::Param;
use crate::registry::{Architecture, Registry};
use crate::weights::{self, BindReport, Checkpoint, group};

/// Keys of a config that the matcher and the tokenizer read, whatever the definition does.
const READ_ELSEWHERE: [&str; 6] =
    ["_class_name", "_diffusers_version", "architectures", "auto_map", "model_type", "quantization_config"];

/// How a checkpoint compares with its definition.
#[derive(Debug, Clone, Default)]
pub struct Fit {
    /// The architecture that it was compared with.
    pub architecture: String,
    /// What does not fit, by place. Errors keep it from being loaded; notes are worth knowing.
    pub problems: Vec<Problem>,
    /// Trained numbers that the definition expects, those of tied tensors counted once.
    pub parameters: u64,
    /// Stored numbers that are never trained.
    pub buffers: u64,
    /// The tensors that the checkpoint holds.
    pub tensors: usize,
    /// The dtypes of those, each with the number of its tensors and their bytes.
    pub dtypes: BTreeMap<String, (usize, u64)>,
    /// Parameters that share the tensor of another, and of which.
    pub tied: Vec<(String, String)>,
    /// Keys of the config that nothing reads.
    pub unread_config_keys: Vec<String>,
}

impl Fit {
    /// Whether it can be loaded.
    #[must_use]
    pub fn loads(&self) -> bool {
        self.problems.iter().all(|problem| problem.level != Level::Error)
    }

    /// The bytes that the model takes where each number has `width` of them.
    #[must_use]
    pub fn bytes(&self, width: u64) -> u64 {
        self.parameters.saturating_add(self.buffers).saturating_mul(width)
    }
}

/// Compares what is in a directory with its definition, by headers alone.
///
/// # Errors
/// If the directory does not say what it holds, there is no definition, or there is no checkpoint to compare.
/// Everything else that is wrong is in the [`Fit`].
pub fn check(registry: &Registry, facts: &Facts) -> Result<Fit, LoadError> {
    let matcher = Matcher::new(registry);
    let found = matched(&matcher, facts)?;
    let architecture = definition(&matcher, facts, &found)?;
    let mut config = found.config(facts).clone();
    complete(registry, architecture, facts, &mut config);
    let checkpoint = checkpoint(facts, &architecture.weights)?;
    let mut fit = Fit {
        architecture: architecture.name.text.clone(),
        tensors: checkpoint.tensors().len(),
        dtypes: checkpoint.dtypes().into_iter().map(|(dtype, sum)| (dtype.to_string(), sum)).collect(),
        ..Fit::default()
    };
    let mut problems = Problems::new();
    problems.extend(found.notes.iter().cloned());
    compare(registry, facts, &config, architecture, &checkpoint, &mut fit, &mut problems);
    idle_renames(architecture, &checkpoint, &mut problems);
    fit.problems = problems.sorted();
    Ok(fit)
}

fn compare(
    registry: &Registry,
    facts: &Facts,
    config: &Value,
    architecture: &Architecture,
    checkpoint: &Checkpoint,
    fit: &mut Fit,
    problems: &mut Problems,
) {
    let source = facts.config().map(|document| Arc::clone(&document.source));
    let mut program = match Program::build(registry, architecture, config, source) {
        Ok(program) => program,
        Err(problem) => return problems.push(problem),
    };
    let (unread, faults) = unread_config_keys(&mut program);
    problems.extend(faults);
    fit.unread_config_keys = unread;
    for param in program.params().iter().filter(|param| param.tied_to.is_none()) {
        let count = param.shape.iter().fold(1_u64, |n, &size| n.saturating_mul(size as u64));
        let sum = if param.buffer { &mut fit.buffers } else { &mut fit.parameters };
        *sum = sum.saturating_add(count);
    }
    let ignored = match program.ignored() {
        Ok(ignored) => ignored,
        Err(problem) => return problems.push(problem),
    };
    match bind(architecture, ignored, program.params(), checkpoint) {
        Ok(binding) => {
            fit.tied = binding.ties().map(|(name, to)| (name.to_owned(), to.to_owned())).collect();
        }
        Err(report) => mismatches(&report, program.params(), architecture, problems),
    }
}

/// The keys of a config that neither the matcher nor any method of the definition reads, and what does not fit.
pub(crate) fn unread_config_keys(program: &mut Program<'_>) -> (Vec<String>, Problems) {
    let methods: Vec<String> = program.methods().into_iter().map(str::to_owned).collect();
    let mut problems = Problems::new();
    for method in &methods {
        // With every optional input and without any: either way may read what the other does not.
        let whole = program.trace(method, &|_| true).err();
        let refused = |problem: &Problem| problem.code == "not-supported" && whole.is_none();
        // A method may ask for an input that it otherwise does without.
        problems.extend(program.trace(method, &|_| false).err().filter(|problem| !refused(problem)));
        problems.extend(whole);
    }
    problems.extend(program.ignored().err());
    let mut keys = program.unread_config_keys();
    keys.retain(|key| !READ_ELSEWHERE.contains(&key.as_str()));
    (keys, problems)
}

/// Everything that a failed binding reports, tensors that differ in their numbers alone as one.
fn mismatches(report: &BindReport, params: &[Param], built: &Architecture, problems: &mut Problems) {
    let placed = |name: &str, code: &'static str, message: String| {
        let param = params.iter().find(|param| param.name == name);
        Problem::error(
            code,
            param.map_or_else(|| built.name.span.clone(), |param| param.span.clone()),
            message,
        )
    };
    let at_architecture =
        |code: &'static str, message: String| Problem::error(code, built.name.span.clone(), message);
    for group in group(report.missing.iter().map(|missing| missing.name.as_str())) {
        let shape = report.missing.iter().find(|one| one.name == group.example).map(|one| &one.shape);
        let shape = shape.map(|shape| format!(" {shape:?}")).unwrap_or_default();
        let message = format!("the checkpoint lacks `{}`{shape}", group.title);
        let near = report.nearest(&group.example);
        let help = match near.as_slice() {
            [] => "nothing unused is named like it".to_owned(),
            near => format!("the nearest unused: `{}`; a `rename` or `stored` says so", near.join("`, `")),
        };
        problems.push(at_architecture("missing-tensor", message).help(help));
    }
    for group in group(report.mis_shaped.iter().map(|one| one.name.as_str())) {
        let Some(one) = report.mis_shaped.iter().find(|one| one.name == group.example) else { continue };
        let found = match &one.found {
            Ok(found) => format!("{found:?} in the checkpoint"),
            Err(reason) => reason.clone(),
        };
        let message = format!("`{}` is {found}, expected {:?}", group.title, one.expected);
        problems.push(placed(&group.example, "tensor-shape", message).label("its shape is given here"));
    }
    for group in group(report.unused.iter().map(String::as_str)) {
        let message = format!("no parameter of `{}` takes `{}`", built.name.text, group.title);
        let help = "give it a layer, or list it under `ignore` if nothing needs it";
        problems.push(at_architecture("unused-tensor", message).help(help));
    }
    for one in &report.duplicates {
        let message = format!("`{}` is stored as `{}`", one.name, one.stored.join("` and `"));
        problems.push(
            at_architecture("tensor-stored-twice", message).help("mend the `rename` that makes them one"),
        );
    }
    for (name, dtype) in &report.unloadable {
        let message = format!("`{name}` is stored as {dtype}, which are no numbers that can be used");
        problems.push(placed(name, "tensor-dtype", message));
    }
    for fault in &report.faults {
        problems.push(at_architecture("rename-invalid", fault.clone()));
    }
}

/// Templates that rename nothing in this checkpoint: worth knowing, since other checkpoints may need them.
fn idle_renames(architecture: &Architecture, checkpoint: &Checkpoint, problems: &mut Problems) {
    let Ok(idle) = weights::idle_renames(&architecture.rename, checkpoint) else { return };
    for template in idle {
        let message = format!("`{template}` renames nothing in this checkpoint");
        let problem = Problem::error("rename-idle", architecture.name.span.clone(), message);
        problems.push(problem.at_level(Level::Note).help("keep it if other checkpoints need it"));
    }
}
