//! From a path to a model and its tokenizer, with every choice on the way.
//!
//! In: a path, or the id of a repository in the local hub cache. Out: a [`Model`], a [`Tokenizer`], or both from one
//! reading of the directory. What cannot fit is known before a weight is read.
//!
//! Absent on purpose: the network and a directory's own definition, unless the caller allows them; code of the
//! repository, always.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::complete::{checkpoint, complete};
use super::load::{self, Dtype, LoadError, bind, definition, generation, matched};
use super::model::{Definition, Model};
use super::save::Origin;
use crate::diag::Problem;
use crate::facts::{self, Facts, Hub, RepositoryPath};
use crate::hub::{self, Want};
use crate::lang::Program;
use crate::matcher::{Match, Matcher};
use crate::ops::backend::Device;
use crate::registry::{Architecture, FULL, LoadError as RegistryError, Registry};
use crate::tokenizer::{Tokenizer, TokenizerError};

/// Told how many bytes of how many are there: first of a download, if there is one, then of what is loaded.
pub type Progress<'a> = Box<dyn FnMut(u64, u64) + 'a>;

/// Loads a model, step by step or at once.
///
/// ```no_run
/// use omni::model::{Dtype, Loader};
///
/// # fn main() -> Result<(), omni::model::LoadError> {
/// let (model, tokenizer) = Loader::new("org/name")    // a directory, a file of it, or an id in the hub's cache
///     .mode("thinker_only")                           // the part that speaks stays unread
///     .dtype(Dtype::F32)
///     .allow_download(true)                           // the network is not asked otherwise
///     .load()?;
/// # Ok(())
/// # }
/// ```
pub struct Loader<'a> {
    path: PathBuf,
    registry: Option<Arc<Registry>>,
    hub: Option<Hub>,
    device: Device,
    dtype: Dtype,
    mode: String,
    train: bool,
    freeze: bool,
    local_definition: bool,
    download: bool,
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
            hub: None,
            device: Device::Flex(burn_flex::FlexDevice),
            dtype: Dtype::Auto,
            mode: FULL.to_owned(),
            train: false,
            freeze: true,
            local_definition: false,
            download: false,
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

    /// Looks for repositories in this cache instead of the one that the environment names.
    #[must_use]
    pub fn hub(mut self, hub: Hub) -> Self {
        self.hub = Some(hub);
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

    /// Builds and reads only a part: `full`, the whole, or a mode that the registry gives to the architecture or its
    /// category, such as `thinker_only` and `talker_only` for models that think and speak.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<String>) -> Self {
        self.mode = mode.into();
        self
    }

    /// Loads for training: gradients are recorded, and the tensors are kept in 32 bits unless a dtype is given.
    ///
    /// What the registry says to freeze stays as it is, such as the talker of a model that thinks and speaks: see
    /// [`Loader::freeze_by_default`].
    #[must_use]
    pub fn for_training(mut self) -> Self {
        self.train = true;
        self
    }

    /// Whether training leaves alone what the registry says to freeze; so it is unless told otherwise.
    #[must_use]
    pub fn freeze_by_default(mut self, freeze: bool) -> Self {
        self.freeze = freeze;
        self
    }

    /// Whether an `omni.toml` in the directory counts: a definition that the repository brings, as data.
    ///
    /// It takes the place of running a repository's code: it is laid over the registry, traced within the same
    /// limits as any definition, and can name nothing outside the directory.
    #[must_use]
    pub fn allow_local_definition(mut self, allow: bool) -> Self {
        self.local_definition = allow;
        self
    }

    /// Whether what the cache lacks of a repository is downloaded into it.
    #[must_use]
    pub fn allow_download(mut self, allow: bool) -> Self {
        self.download = allow;
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
    pub fn load(mut self) -> Result<(Model, Tokenizer), LoadError> {
        let (registry, facts) = self.open(Want::Weights)?;
        let matcher = Matcher::new(&registry);
        let found = matched(&matcher, &facts)?;
        // What nobody can build needs no tokenizer.
        let architecture = definition(&matcher, &facts, &found)?.in_mode(&registry, &self.mode)?;
        // A tokenizer is small: whatever is wrong with it is known before the weights are read.
        let tokenizer = self.tokenizer_of(&matcher, &facts, Some(&found))?;
        Ok((self.build(&registry, &architecture, &facts, &found)?, tokenizer))
    }

    /// Loads the model and its tokenizer, or nothing where that fails, whatever the reason.
    #[must_use]
    pub fn load_safe(self) -> Option<(Model, Tokenizer)> {
        self.load().ok()
    }

    /// Loads the tokenizer alone.
    ///
    /// # Errors
    /// If there is none, in the directory or named by a rule of the registry, or if it cannot be read.
    pub fn load_tokenizer(mut self) -> Result<Tokenizer, LoadError> {
        let (registry, facts) = self.open(Want::Description)?;
        self.tokenizer_of(&Matcher::new(&registry), &facts, None)
    }

    /// Loads the model.
    ///
    /// # Errors
    /// If the directory, the registry, the config or the checkpoint do not allow it; nothing of the weights has
    /// been read before all of them agree.
    pub fn load_model(mut self) -> Result<Model, LoadError> {
        let (registry, facts) = self.open(Want::Weights)?;
        let matcher = Matcher::new(&registry);
        let found = matched(&matcher, &facts)?;
        let architecture = definition(&matcher, &facts, &found)?.in_mode(&registry, &self.mode)?;
        self.build(&registry, &architecture, &facts, &found)
    }

    /// Reads what the directory says, and lays its own definition over the registry where that is allowed.
    fn open(&mut self, want: Want) -> Result<(Arc<Registry>, Facts), LoadError> {
        let facts = if self.path.exists() {
            facts::read_in(&self.path, &Hub::none())?
        } else {
            let hub = self.hub.get_or_insert_with(Hub::from_env);
            if self.download {
                let mut silent = |_, _| {};
                let progress = self.progress.as_deref_mut();
                hub::fetch(&self.path, hub, want, progress.unwrap_or(&mut silent))?;
            }
            facts::read_in(&self.path, hub)?
        };
        let registry = match &self.registry {
            Some(registry) => Arc::clone(registry),
            None => Arc::new(Registry::embedded().map_err(RegistryError::Problems)?),
        };
        let own = if self.local_definition { facts.local_definition()? } else { None };
        Ok(match own {
            Some(source) => (Arc::new(registry.with_file(&source)?), facts),
            None => (registry, facts),
        })
    }

    /// The tokenizer of the directory, or the one that a rule names; `found` is what the directory holds, if it
    /// is known already.
    fn tokenizer_of(
        &mut self,
        matcher: &Matcher<'_>,
        facts: &Facts,
        found: Option<&Match>,
    ) -> Result<Tokenizer, LoadError> {
        if let Some(dir) = &self.tokenizer {
            return Ok(Tokenizer::open(dir)?);
        }
        let own = Tokenizer::open(facts.root());
        let Err(missing @ TokenizerError::Missing { .. }) = own else { return Ok(own?) };
        let hints = match found {
            Some(found) => matcher.tokenizers(facts, found),
            None => matcher.tokenizers(facts, &matched(matcher, facts)?),
        };
        let hub = self.hub.get_or_insert_with(Hub::from_env);
        for hint in &hints {
            // What a config or a rule names is the id of a repository, never a path.
            if RepositoryPath::parse(&hint.repository).is_none() {
                continue;
            }
            if self.download {
                hub::fetch(&hint.repository, hub, Want::Description, &mut |_, _| {})?;
            }
            if let Ok(base) = hub.snapshot(&hint.repository, None)
                && let Ok(mut tokenizer) = Tokenizer::open(&base)
            {
                tokenizer.note(format!(
                    "the tokenizer of {} is used: {} ({})",
                    hint.repository, hint.why, hint.told_by
                ));
                return Ok(tokenizer);
            }
        }
        match hints.first() {
            None => {
                let help = "put its files there, or name a folder that has them with `--tokenizer` (in Rust: \
                            `Loader::tokenizer_from`)";
                Err(Problem::unplaced("tokenizer-missing", missing.to_string()).help(help).into())
            }
            Some(hint) => {
                let base = &hint.repository;
                let help = if RepositoryPath::parse(base).is_some() {
                    format!(
                        "it is that of {base}, which is not in the local cache: allow the download with `--download` \
                         (in Rust: `Loader::allow_download`), run `hf download {base}`, or name a folder with \
                         `--tokenizer` (in Rust: `Loader::tokenizer_from`)"
                    )
                } else {
                    format!(
                        "{} names `{base}`, which is no repository: name a folder with `--tokenizer` (in Rust: \
                         `Loader::tokenizer_from`)",
                        hint.told_by
                    )
                };
                Err(Problem::unplaced("tokenizer-missing", missing.to_string()).help(help).into())
            }
        }
    }

    /// Builds the model of what was found.
    fn build(
        self,
        registry: &Arc<Registry>,
        architecture: &Architecture,
        facts: &Facts,
        found: &Match,
    ) -> Result<Model, LoadError> {
        let mut config = found.config(facts).clone();
        complete(registry, architecture, facts, &mut config);
        let source = facts.config().map(|document| Arc::clone(&document.source));
        let mut program = Program::build(registry, architecture, &config, source)?;
        // What can be wrong with a body is found before any weight is touched.
        let has_forward = program.has_method("forward");
        let forward = has_forward.then(|| program.trace("forward", &|_| false)).transpose()?;
        let params = program.params().to_vec();
        let ignored = program.ignored()?;
        let mut definition = Definition::new(registry, &program, config, forward);
        drop(program);
        let checkpoint = checkpoint(facts, &architecture.weights)?;
        let mut binding = bind(architecture, ignored, &params, &checkpoint)?;
        // Where the checkpoint holds other values for a tied parameter, it is right and the tie is wrong.
        definition.untie(binding.resolve_ties(&checkpoint)?.into_iter().map(|tie| tie.name).collect());
        let float = self.dtype.resolve(&self.device, &binding, self.train);
        let device = if self.train { Device::autodiff(self.device) } else { self.device };
        let mut progress = self.progress.unwrap_or_else(|| Box::new(|_, _| {}));
        let trained =
            |name: &str| self.train && !params.iter().any(|param| param.buffer && param.name == name);
        let (mut loaded, remarks) =
            load::load(&binding, &checkpoint, &device, float, &trained, &mut *progress)?;
        if self.train && self.freeze {
            for glob in registry.frozen_for_training(architecture) {
                loaded.set_trained(&glob, false).map_err(|error| {
                    let message = format!("`freeze-for-training` of `{}`: {error}", architecture.name.text);
                    Problem::error("invalid-pattern", architecture.name.span.clone(), message)
                })?;
            }
        }
        let mut model = Model::assemble(definition, loaded, device, float);
        model.generation = generation(facts)?;
        let text = |document: &facts::Document| document.source.text.clone().into_bytes();
        let config = facts.config().map(|document| (document.file.clone(), text(document)));
        model.remarks = remarks;
        model.origin = Some(Arc::new(Origin { binding, config, dir: Some(facts.root().to_owned()) }));
        Ok(model)
    }
}
