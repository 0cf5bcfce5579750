//! The steps from facts to a model: definition, binding, tensors; and what can go wrong on the way.
//!
//! [`super::Loader`] takes them one after another.

use std::collections::BTreeMap;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensorOps;
use burn::tensor::{DType, FloatDType};

use super::complete::complete;
use super::fingerprint::Fingerprints;
use super::params::Params;
use super::sampling::{GenerationConfig, SamplingError};
use super::session::generates_nothing;
use crate::diag::Problem;
use crate::facts::{CONFIG_FILES, Facts, FactsError};
use crate::hub::HubError;
use crate::matcher::{ALLOW_LOCAL_DEFINITION, COLLECTION, Match, Matcher, PIPELINE};
use crate::ops::Value;
use crate::ops::backend::{B, Device};
use crate::plan::Param;
use crate::registry::{Architecture, LoadError as RegistryError, Mode, Registry, Task};
use crate::tokenizer::TokenizerError;
use crate::weights::{
    self, BindReport, BindRules, Binding, Checkpoint, LoadDtype, LoadOptions, Prefix, StoredDtype, Wanted,
    WeightsError,
};

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The directory does not say what it holds.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// It could not be downloaded.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The registry is broken.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The definition does not fit the config, or there is none.
    #[error(transparent)]
    Definition(#[from] Problem),
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The checkpoint does not hold what the definition needs.
    #[error(transparent)]
    Mismatch(#[from] Box<BindReport>),
    /// There is no tokenizer, or it cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// `generation_config.json` says something impossible.
    #[error(transparent)]
    Generation(#[from] SamplingError),
}

/// The width of floats at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dtype {
    /// As stored on a GPU; 32 bits on the CPU, where narrow floats are slower and no more exact.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits, five of exponent.
    F16,
    /// 16 bits, eight of exponent.
    BF16,
}

impl std::str::FromStr for Dtype {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "f32" | "float32" => Self::F32,
            "f16" | "float16" => Self::F16,
            "bf16" | "bfloat16" => Self::BF16,
            _ => return Err(format!("`{text}` is not a dtype, expected auto, f32, f16 or bf16")),
        })
    }
}

impl Dtype {
    pub(super) fn resolve(self, device: &Device, binding: &Binding, train: bool) -> FloatDType {
        let wanted = match self {
            Self::F32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::BF16 => FloatDType::BF16,
            Self::Auto if train || matches!(device, Device::Flex(_)) => FloatDType::F32,
            Self::Auto => stored_float(binding),
        };
        if B::supports_dtype(device, wanted.into()) { wanted } else { FloatDType::F32 }
    }
}

/// What `generation_config.json` asks for, or `config.json` where older repositories say it there.
pub(super) fn generation(facts: &Facts) -> Result<GenerationConfig, LoadError> {
    const FILE: &str = "generation_config.json";
    let document;
    let value = if facts.has_file(FILE) {
        document = facts.document(FILE)?;
        &document.value
    } else {
        facts.value()
    };
    match value.as_object() {
        Some(fields) => Ok(GenerationConfig::from_json(fields)?),
        None => Ok(GenerationConfig::default()),
    }
}

/// The float type that most of the checkpoint's bytes have.
fn stored_float(binding: &Binding) -> FloatDType {
    let mut bytes: BTreeMap<StoredDtype, usize> = BTreeMap::new();
    for bound in binding.params() {
        if let weights::Source::Stored { dtype, .. } = &bound.source {
            *bytes.entry(*dtype).or_default() += bound.shape.iter().product::<usize>();
        }
    }
    match bytes.into_iter().max_by_key(|(_, count)| *count).map(|(dtype, _)| dtype) {
        Some(StoredDtype::F16) => FloatDType::F16,
        Some(StoredDtype::BF16) => FloatDType::BF16,
        _ => FloatDType::F32,
    }
}

/// The definition of what the directory holds, and the config to build it from.
pub(crate) fn find<'r>(
    registry: &'r Registry,
    facts: &Facts,
) -> Result<(&'r Architecture, serde_json::Value), Problem> {
    let matcher = Matcher::new(registry);
    let found = matched(&matcher, facts)?;
    let architecture = definition(&matcher, facts, &found)?;
    let mut config = found.config(facts).clone();
    complete(registry, architecture, facts, &mut config);
    Ok((architecture, config))
}

/// What the directory holds: by the names in its config, else by the checkpoint's tensors.
pub(super) fn matched(matcher: &Matcher<'_>, facts: &Facts) -> Result<Match, Problem> {
    let fingerprints = Fingerprints::new(matcher.registry());
    matcher.find_with(facts, &fingerprints).map_err(|reasons| reasons.problem(facts))
}

/// Refuses a model that cannot go on with a prompt, by its definition: before its tokenizer or a weight is read.
///
/// # Errors
/// If the model is not known or not defined, or has no such mode; if its task, or the mode, generates no tokens.
pub fn check_generates(registry: &Registry, facts: &Facts, mode: &str) -> Result<(), LoadError> {
    let matcher = Matcher::new(registry);
    let found = matched(&matcher, facts)?;
    let architecture = definition(&matcher, facts, &found)?.in_mode(registry, mode)?;
    let task = &architecture.task.text;
    let message = match (registry.tasks.get(task), &architecture.mode) {
        // Another method stands for `forward`: it takes something other than the tokens of a prompt.
        (Some(Task { generates: Some(_), .. }), Some(Mode { forward: Some(forward), .. })) => format!(
            "in mode `{mode}` a model runs `{}` and goes on with no prompt; `omni plan DIR --mode {mode}` prints what \
             that takes and gives, and in Rust `Model::forward` runs it",
            forward.text
        ),
        (Some(Task { generates: Some(_), .. }), _) => return Ok(()),
        _ => generates_nothing(task),
    };
    Err(Problem::unplaced("generates-nothing", message).into())
}

/// The definition of what was found.
pub(super) fn definition<'r>(
    matcher: &Matcher<'r>,
    facts: &Facts,
    found: &Match,
) -> Result<&'r Architecture, Problem> {
    let Some(name) = found.architecture_name() else {
        let parts = "point at the folder of one of its parts, such as `unet` or `layer_12`";
        let silent = |file: &str| format!("and its `{file}` does not name what to build");
        let (what, help) = match facts.config().map(|config| config.file.as_str()) {
            None => ("without a config that names what to build".to_owned(), parts.to_owned()),
            Some(index @ "model_index.json") => {
                (silent(index), format!("name the pipeline under `_class_name` in `{index}`, or {parts}"))
            }
            Some(file) => (silent(file), format!("name the architecture under `architectures` in `{file}`")),
        };
        let message = format!("`{}` is of category {} {what}", facts.name(), found.category);
        return Err(Problem::unplaced("nothing-to-build", message).help(help));
    };
    if let Some(architecture) = matcher.registry().architectures.get(name) {
        return Ok(architecture);
    }
    if let Some(problem) = made_of_models(facts, found) {
        return Err(problem);
    }
    let message =
        format!("recognised as {name}, category {}, but there is no definition of it yet", found.category);
    let task = found.architecture.as_ref().map(|found| found.task.as_str()).unwrap_or_default();
    let nearest = matcher.nearest_definition(name, &found.category, task);
    let near = nearest.map(|near| format!(", {near} maybe")).unwrap_or_default();
    let help = format!("`omni new DIR` writes an overlay that extends the nearest definition{near}");
    let local = matcher.passes_over_local_definition(facts);
    let help = if local { format!("{ALLOW_LOCAL_DEFINITION}; or {help}") } else { help };
    Err(Problem::unplaced("no-definition", message).help(help))
}

/// Why what was found cannot be built or defined as one, where it is made of models.
pub(super) fn made_of_models(facts: &Facts, found: &Match) -> Option<Problem> {
    /// How many of its models are named.
    const NAMED: usize = 5;
    let what = match found.architecture.as_ref()?.task.as_str() {
        COLLECTION => "a folder of models, of which each is built by itself",
        PIPELINE => "a pipeline of models, of which each is built by itself",
        _ => return None,
    };
    let is_model = |name: &str| CONFIG_FILES.contains(&name) || name.starts_with("params.");
    let models = facts.deep_entries().iter().filter_map(|entry| entry.name.rsplit_once('/'));
    let mut models: Vec<&str> = models.filter(|(_, name)| is_model(name)).map(|(folder, _)| folder).collect();
    models.dedup();
    let named: Vec<String> = models.iter().take(NAMED).map(|folder| format!("`{folder}`")).collect();
    let more = if models.len() > NAMED { " and more: `omni scan DIR` lists them" } else { "" };
    let help = match models.as_slice() {
        [] => "give the folder of one of them".to_owned(),
        _ => format!("give the folder of one of them: {}{more}", named.join(", ")),
    };
    Some(Problem::unplaced("made-of-models", format!("`{}` is {what}", facts.name())).help(help))
}

/// What a definition wants of a checkpoint.
pub(super) fn wanted(params: &[Param]) -> Vec<Wanted> {
    let wanted = params.iter().map(|param| Wanted {
        name: param.name.clone(),
        shape: param.shape.clone(),
        stored: param.stored.clone(),
        tied_to: param.tied_to.map(|owner| params[owner.0].name.clone()),
        optional: false,
    });
    wanted.collect()
}

/// Binds the parameters of a definition to a checkpoint, by its headers.
pub(crate) fn bind(
    architecture: &Architecture,
    ignored: Vec<String>,
    params: &[Param],
    checkpoint: &Checkpoint,
) -> Result<Binding, Box<BindReport>> {
    let mut prefixes: Vec<Prefix> = vec![Prefix::default()];
    for prefix in architecture.prefixes.iter().filter(|prefix| !prefix.is_empty()) {
        prefixes.push(Prefix { strip: prefix.clone(), add: String::new() });
        prefixes.push(Prefix { strip: String::new(), add: prefix.clone() });
    }
    let rules =
        BindRules { prefixes, rename: architecture.rename.clone(), ignore: ignored, allow_unused: false };
    weights::bind(&wanted(params), checkpoint, &rules).map_err(|mut report| {
        report.checkpoint = Some(checkpoint.root().to_owned());
        report
    })
}

/// What was seen in the values while loading.
#[derive(Debug, Default)]
struct Seen {
    nan: Vec<String>,
    overflowed: Vec<String>,
}

impl Seen {
    /// As sentences that name the tensors.
    fn remarks(&self, checkpoint: &Checkpoint) -> Vec<String> {
        let list = |names: &[String]| {
            let shown: Vec<String> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
            let more = names.len() - shown.len();
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            format!("{}{more}", shown.join(", "))
        };
        let dir = checkpoint.root().display();
        let mut remarks = Vec::new();
        if !self.nan.is_empty() {
            remarks.push(format!(
                "the weights in `{dir}` hold values that are not a number (NaN), in {}: what the model gives may be \
                 none either; download them again if they should hold none",
                list(&self.nan)
            ));
        }
        if !self.overflowed.is_empty() {
            remarks.push(format!(
                "some weights in `{dir}` are too large for this dtype and became infinite, in {}: load them in a \
                 wider one, such as f32",
                list(&self.overflowed)
            ));
        }
        remarks
    }
}

/// Reads the tensors of a binding onto a device; also says what a person should know about their values.
pub(super) fn load(
    binding: &Binding,
    checkpoint: &Checkpoint,
    device: &Device,
    float: FloatDType,
    trained: &dyn Fn(&str) -> bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Params, Vec<String>), LoadError> {
    let dtype = match float {
        FloatDType::F16 => LoadDtype::F16,
        FloatDType::BF16 => LoadDtype::BF16,
        _ => LoadDtype::F32,
    };
    let options = LoadOptions { dtype, check_values: true };
    let mut params = Params::default();
    let mut seen = Seen::default();
    for loaded in binding.load(checkpoint, options, progress) {
        let loaded = loaded?;
        let name = loaded.name;
        seen.nan.extend(loaded.has_nan.then(|| name.to_owned()));
        seen.overflowed.extend(loaded.overflowed.then(|| name.to_owned()));
        let wanted: DType = float.into();
        let mut data =
            if loaded.data.dtype == wanted { loaded.data } else { loaded.data.convert_dtype(wanted) };
        // A scalar is a tensor of one element: not every backend makes one without axes.
        if data.shape.is_empty() {
            data.shape = [1].into();
        }
        params.add(name, Value::Float(B::float_from_data(data, device)), trained(name))?;
    }
    Ok((params, seen.remarks(checkpoint)))
}
