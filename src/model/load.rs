//! From a path to a model: facts, match, definition, checkpoint, tensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensorOps;
use burn::tensor::{DType, FloatDType};

use super::model::{Definition, Model};
use super::params::Params;
use super::sampling::{GenerationConfig, SamplingError};
use super::save::Origin;
use crate::diag::Problem;
use crate::facts::{self, Facts, FactsError};
use crate::lang::Program;
use crate::matcher::Matcher;
use crate::ops::Value;
use crate::ops::backend::{B, Device};
use crate::plan::{Param, Stored as PlanStored};
use crate::registry::{Architecture, LoadError as RegistryError, Registry};
use crate::tokenizer::{Tokenizer, TokenizerError};
use crate::weights::{
    self, BindReport, BindRules, Binding, Checkpoint, LoadDtype, LoadOptions, Prefix, Stored, StoredDtype,
    Wanted, WeightsError,
};

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The directory does not say what it holds.
    #[error(transparent)]
    Facts(#[from] FactsError),
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

/// Told how many bytes of how many are loaded.
pub type Progress<'a> = Box<dyn FnMut(u64, u64) + 'a>;

/// Loads a model, step by step or at once.
pub struct Loader<'a> {
    path: PathBuf,
    registry: Option<Arc<Registry>>,
    device: Device,
    dtype: Dtype,
    train: bool,
    tokenizer: Option<PathBuf>,
    progress: Option<Progress<'a>>,
}

impl<'a> Loader<'a> {
    /// Will load what is at `path`, on the CPU unless told otherwise.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            registry: None,
            device: Device::Flex(burn_flex::FlexDevice),
            dtype: Dtype::Auto,
            train: false,
            tokenizer: None,
            progress: None,
        }
    }

    /// Uses this registry instead of the shipped one.
    #[must_use]
    pub fn registry(mut self, registry: impl Into<Arc<Registry>>) -> Self {
        self.registry = Some(registry.into());
        self
    }

    /// Loads to this device.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Computes with floats of this width.
    #[must_use]
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.dtype = dtype;
        self
    }

    /// Loads for training: gradients are recorded, and the tensors are kept in 32 bits unless a dtype is given.
    #[must_use]
    pub fn for_training(mut self) -> Self {
        self.train = true;
        self
    }

    /// Takes the tokenizer of another directory.
    #[must_use]
    pub fn tokenizer_from(mut self, dir: impl AsRef<Path>) -> Self {
        self.tokenizer = Some(dir.as_ref().to_owned());
        self
    }

    /// Tells how far loading is.
    #[must_use]
    pub fn progress(mut self, progress: impl FnMut(u64, u64) + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Loads the model and its tokenizer.
    ///
    /// # Errors
    /// As [`Loader::load_model`]; if there is no tokenizer, in the directory or named by a rule of the registry.
    pub fn load(self) -> Result<(Model, Tokenizer), LoadError> {
        // A tokenizer is small: whatever is wrong with it is known before the weights are read.
        let tokenizer = self.load_tokenizer()?;
        Ok((self.load_model()?, tokenizer))
    }

    /// Loads the tokenizer alone.
    ///
    /// # Errors
    /// If there is none, in the directory or named by a rule of the registry, or if it cannot be read.
    pub fn load_tokenizer(&self) -> Result<Tokenizer, LoadError> {
        if let Some(dir) = &self.tokenizer {
            return Ok(Tokenizer::open(dir)?);
        }
        let facts = facts::read(&self.path)?;
        let own = Tokenizer::open(facts.root());
        let Err(missing @ TokenizerError::Missing { .. }) = own else { return Ok(own?) };
        let embedded;
        let registry = if let Some(registry) = &self.registry {
            registry.as_ref()
        } else {
            embedded = Registry::embedded().map_err(RegistryError::Problems)?;
            &embedded
        };
        let matcher = Matcher::new(registry);
        let found = matcher.find(&facts).map_err(|reasons| reasons.problem(&facts))?;
        let hints = matcher.tokenizers(&facts, &found);
        for hint in &hints {
            if let Ok(base) = facts::read(&hint.repository)
                && let Ok(mut tokenizer) = Tokenizer::open(base.root())
            {
                tokenizer.note(format!(
                    "the tokenizer of {} is used: {} ({})",
                    hint.repository, hint.why, hint.told_by
                ));
                return Ok(tokenizer);
            }
        }
        match hints.first() {
            None => Err(missing.into()),
            Some(hint) => Err(Problem::unplaced("tokenizer-missing", missing.to_string())
                .help(format!(
                    "it is that of {}, which is not in the local cache: name its folder",
                    hint.repository
                ))
                .into()),
        }
    }

    /// Loads the model.
    ///
    /// # Errors
    /// If the directory, the registry, the config or the checkpoint do not allow it; nothing of the weights has
    /// been read before all of them agree.
    pub fn load_model(self) -> Result<Model, LoadError> {
        let registry = match self.registry {
            Some(registry) => registry,
            None => Arc::new(Registry::embedded().map_err(RegistryError::Problems)?),
        };
        let facts = facts::read(&self.path)?;
        let (architecture, config) = find(&registry, &facts)?;
        let architecture = architecture.clone();
        let source = facts.config().map(|document| Arc::clone(&document.source));
        let (params, ignored) = {
            let mut program = Program::build(&registry, &architecture, &config, source)?;
            // What can be wrong with a body is found before any weight is touched.
            if program.methods().contains(&"forward") {
                program.trace("forward", &|_| false)?;
            }
            (program.params().to_vec(), program.ignored()?)
        };
        let checkpoint = Checkpoint::open(facts.root())?;
        let mut binding = bind(&architecture, ignored, &params, &checkpoint)?;
        // Where the checkpoint holds other values for a tied parameter, it is right and the tie is wrong.
        let untied: Vec<String> =
            binding.resolve_ties(&checkpoint)?.into_iter().map(|tie| tie.name).collect();
        let float = self.dtype.resolve(&self.device, &binding, self.train);
        let device = if self.train { Device::autodiff(self.device) } else { self.device };
        let mut progress = self.progress.unwrap_or_else(|| Box::new(|_, _| {}));
        let trained =
            |name: &str| self.train && !params.iter().any(|param| param.buffer && param.name == name);
        let loaded = load(&binding, &checkpoint, &device, float, &trained, &mut *progress)?;
        let definition = Definition::new(registry, architecture, config, params, untied);
        let mut model = Model::assemble(definition, loaded, device, float);
        model.generation = generation(&facts)?;
        let bytes =
            facts.config().map(|document| document.source.text.clone().into_bytes()).unwrap_or_default();
        model.origin = Some(Arc::new(Origin { binding, config: bytes, dir: Some(facts.root().to_owned()) }));
        Ok(model)
    }
}

impl Dtype {
    fn resolve(self, device: &Device, binding: &Binding, train: bool) -> FloatDType {
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
fn generation(facts: &Facts) -> Result<GenerationConfig, LoadError> {
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
    let found = matcher.find(facts).map_err(|reasons| reasons.problem(facts))?;
    let config = found.config(facts).clone();
    let Some(name) = found.architecture_name() else {
        let message =
            format!("`{}` is a {} without a config that names what to build", facts.name(), found.category);
        return Err(Problem::unplaced("nothing-to-build", message)
            .help("point at the folder of one of its parts, such as `unet` or `layer_12`"));
    };
    if let Some(architecture) = registry.architectures.get(name) {
        Ok((architecture, config))
    } else {
        let message = format!(
            "recognised as {name}, category {}, but there is no definition of it yet",
            found.category
        );
        let task = found.architecture.as_ref().map(|found| found.task.as_str()).unwrap_or_default();
        let nearest = matcher.nearest_definition(name, task);
        let help = nearest.map_or_else(
            || "write one: see registry/README.md".to_owned(),
            |near| format!("the nearest definition is {near}: write an overlay that extends it"),
        );
        Err(Problem::unplaced("no-definition", message).help(help))
    }
}

/// What a definition wants of a checkpoint.
pub(super) fn wanted(params: &[Param]) -> Vec<Wanted> {
    let wanted = params.iter().map(|param| Wanted {
        name: param.name.clone(),
        shape: param.shape.clone(),
        stored: param.stored.iter().map(convert).collect(),
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
    weights::bind(&wanted(params), checkpoint, &rules)
}

fn convert(stored: &PlanStored) -> Stored {
    let boxed = |of: &PlanStored| Box::new(convert(of));
    match stored {
        PlanStored::Tensor(name) => Stored::Tensor(name.clone()),
        PlanStored::Transpose(of, a, b) => Stored::Transpose(boxed(of), *a, *b),
        PlanStored::Concat(parts, axis) => Stored::Concat(parts.iter().map(convert).collect(), *axis),
        PlanStored::Stack(parts, axis) => Stored::Stack(parts.iter().map(convert).collect(), *axis),
        PlanStored::Part { of, axis, start, length, total } => {
            Stored::Slice { of: boxed(of), axis: *axis, start: *start, len: *length, total: *total }
        }
        PlanStored::Reshape(of, from) => {
            Stored::Reshape { of: boxed(of), from: from.clone(), to: Vec::new() }
        }
        PlanStored::PermuteRope(of, heads) => Stored::rope_to_halves(convert(of), *heads),
    }
}

fn load(
    binding: &Binding,
    checkpoint: &Checkpoint,
    device: &Device,
    float: FloatDType,
    trained: &dyn Fn(&str) -> bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Params, LoadError> {
    let dtype = match float {
        FloatDType::F16 => LoadDtype::F16,
        FloatDType::BF16 => LoadDtype::BF16,
        _ => LoadDtype::F32,
    };
    let options = LoadOptions { dtype, check_values: false };
    let mut params = Params::default();
    for loaded in binding.load(checkpoint, options, progress) {
        let loaded = loaded?;
        let name = loaded.name;
        let wanted: DType = float.into();
        let mut data =
            if loaded.data.dtype == wanted { loaded.data } else { loaded.data.convert_dtype(wanted) };
        // A scalar is a tensor of one element: not every backend makes one without axes.
        if data.shape.is_empty() {
            data.shape = [1].into();
        }
        params.add(name, Value::Float(B::float_from_data(data, device)), trained(name))?;
    }
    Ok(params)
}
