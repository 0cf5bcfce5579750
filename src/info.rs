//! What can be told about a model without loading it.
//!
//! Takes a path (or the id of a repository in the cache); gives plain answers, ready to be shown or written as JSON.
//! The functions ask the shipped registry, and names alone; an [`Inspector`] asks any, and the tensors if it is told to.
//!
//! Absent on purpose: errors as results. A question about a path that holds no model has an answer too, and it is
//! in the answer's `error`.

use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use serde::Serialize;

use crate::facts::{self, Facts, FactsError, Hub, Kind};
use crate::matcher::{
    ALLOW_LOCAL_DEFINITION, Fingerprints, Found, Match, Matcher, NoFingerprints, NoMatch, Status,
};
use crate::registry::Registry;

/// The task of a known name that stands for a folder of models.
const COLLECTION: &str = "collection";
/// The task of a known name that stands for several models working together.
const PIPELINE: &str = "pipeline";

/// What can be told about a model without loading it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a report of independent answers, as the specification has it"
)]
pub struct ModelInfo {
    /// `org/name` for a repository in the cache, else the directory's name.
    pub name: String,
    /// The architecture: its name in the registry, or else as the config has it.
    pub architecture: Option<String>,
    /// The config's `model_type`.
    pub model_type: Option<String>,
    /// The category.
    pub category: Option<String>,
    /// What the architecture does.
    pub task: Option<String>,
    /// Whether the weights are quantised.
    pub is_quantized: bool,
    /// The method of quantisation, if it is named.
    pub quantization: Option<String>,
    /// Whether it has a part that turns thoughts into speech.
    pub has_talker: bool,
    /// Whether it is any to any, or made of thinker and talker.
    pub is_omni: bool,
    /// Whether omni can load it.
    pub is_supported: bool,
    /// Whether the repository brings modeling code of its own. It is never run.
    pub has_custom_files: bool,
    /// The number of stored numbers, if the headers tell.
    pub parameters: Option<u64>,
    /// How they are stored, as the files spell it.
    pub dtypes: Vec<String>,
    /// The bytes that the directory takes.
    pub size_on_disk: u64,
    /// What is wrong with it, or why it cannot be loaded.
    pub error: Option<String>,
}

/// Whether a model can be loaded, and if not, why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Support {
    /// Whether omni can load it.
    pub supported: bool,
    /// The category.
    pub category: Option<String>,
    /// The architecture: its name in the registry, or else as the config has it.
    pub architecture: Option<String>,
    /// The config's `model_type`.
    pub model_type: Option<String>,
    /// Whether the repository brings modeling code of its own. It is never run.
    pub has_custom_files: bool,
    /// Why it cannot be loaded.
    pub error: Option<String>,
}

/// Asks about models with one registry and one cache.
pub struct Inspector<'r> {
    matcher: Matcher<'r>,
    hub: Hub,
    fingerprints: Box<dyn Fingerprints + Send + Sync + 'r>,
}

impl fmt::Debug for Inspector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").field("hub", &self.hub).finish_non_exhaustive()
    }
}

static SHIPPED: LazyLock<Inspector<'static>> = LazyLock::new(|| {
    let registry = Registry::shipped().expect("the shipped registry has no errors: a test sees to it");
    Inspector::new(registry, Hub::from_env())
});

/// What can be told about a model without loading it.
#[must_use]
pub fn model_info(path: impl AsRef<Path>) -> ModelInfo {
    SHIPPED.model_info(path)
}

/// Whether a model can be loaded, and if not, why.
#[must_use]
pub fn is_model_supported(path: impl AsRef<Path>) -> Support {
    SHIPPED.support(path)
}

/// The category of a model; `None` if nothing tells.
#[must_use]
pub fn detect_category(path: impl AsRef<Path>) -> Option<String> {
    SHIPPED.category(path)
}

/// Whether a model is any to any, or made of thinker and talker.
#[must_use]
pub fn is_omni_model(path: impl AsRef<Path>) -> bool {
    SHIPPED.has_trait(path, "omni")
}

/// Whether a rule for that category holds, whatever rules of higher priority say.
#[must_use]
pub fn could_be(path: impl AsRef<Path>, category: &str) -> bool {
    SHIPPED.could_be(path, category)
}

/// Whether the directory holds a pipeline that makes images, video or sound, or a component of one.
#[must_use]
pub fn is_diffusers_model(path: impl AsRef<Path>) -> bool {
    could_be(path, "diffusers")
}

/// Whether the directory holds sparse autoencoders.
#[must_use]
pub fn is_sae_model(path: impl AsRef<Path>) -> bool {
    could_be(path, "sae")
}

/// Whether the directory holds a vision encoder.
#[must_use]
pub fn is_vision_encoder(path: impl AsRef<Path>) -> bool {
    could_be(path, "vision_encoder")
}

/// Whether the directory holds an audio encoder.
#[must_use]
pub fn is_audio_encoder(path: impl AsRef<Path>) -> bool {
    could_be(path, "audio_encoder")
}

/// Whether the directory holds a model that turns speech into text.
#[must_use]
pub fn is_asr_model(path: impl AsRef<Path>) -> bool {
    could_be(path, "asr")
}

impl<'r> Inspector<'r> {
    /// An inspector that matches against `registry` and looks for repository ids in `hub`.
    #[must_use]
    pub fn new(registry: &'r Registry, hub: Hub) -> Self {
        Self { matcher: Matcher::new(registry), hub, fingerprints: Box::new(NoFingerprints) }
    }

    /// Where names lead nowhere, looks at the checkpoint's tensors: see `model::Fingerprints`.
    #[must_use]
    pub fn fingerprints(mut self, fingerprints: impl Fingerprints + Send + Sync + 'r) -> Self {
        self.fingerprints = Box::new(fingerprints);
        self
    }

    /// What the facts are about.
    ///
    /// # Errors
    /// The reasons there is no match.
    pub fn find(&self, facts: &Facts) -> Result<Match, Box<NoMatch>> {
        self.matcher.find_with(facts, &*self.fingerprints)
    }

    /// The matcher it asks.
    #[must_use]
    pub fn matcher(&self) -> &Matcher<'r> {
        &self.matcher
    }

    /// The facts about what `path` means.
    ///
    /// # Errors
    /// If there is nothing there, or nothing that can be read.
    pub fn facts(&self, path: impl AsRef<Path>) -> Result<Facts, FactsError> {
        facts::read_in(path, &self.hub)
    }

    /// What can be told about a model without loading it. Reads tensor headers, never tensors.
    #[must_use]
    pub fn model_info(&self, path: impl AsRef<Path>) -> ModelInfo {
        match self.facts(path.as_ref()) {
            Ok(facts) => self.model_info_of(&facts),
            Err(error) => ModelInfo {
                name: name_of(path.as_ref()),
                error: Some(error.to_string()),
                ..ModelInfo::default()
            },
        }
    }

    /// What can be told about a model whose facts are read already.
    #[must_use]
    pub fn model_info_of(&self, facts: &Facts) -> ModelInfo {
        let outcome = self.find(facts);
        let support = self.support_of(facts, &outcome);
        let architecture = outcome.as_ref().ok().and_then(|found| found.architecture.as_ref());
        let quantization = facts.quantization();
        let dtypes = facts.dtypes();
        let header_error = dtypes.as_ref().err().map(ToString::to_string);
        ModelInfo {
            name: facts.name().to_owned(),
            architecture: support.architecture,
            model_type: support.model_type,
            category: support.category,
            task: architecture.map(|found| found.task.clone()),
            is_quantized: quantization.is_some(),
            quantization: quantization.and_then(|found| found.method.clone()),
            has_talker: self.matcher.has_trait(facts, "talker"),
            is_omni: self.matcher.has_trait(facts, "omni"),
            is_supported: support.supported,
            has_custom_files: support.has_custom_files,
            parameters: facts.parameters().ok().flatten(),
            dtypes: dtypes.unwrap_or_default(),
            size_on_disk: facts.size_on_disk(),
            error: support.error.or(header_error),
        }
    }

    /// Whether a model can be loaded, and if not, why.
    #[must_use]
    pub fn support(&self, path: impl AsRef<Path>) -> Support {
        match self.facts(path) {
            Ok(facts) => self.support_of(&facts, &self.find(&facts)),
            Err(error) => Support { error: Some(error.to_string()), ..Support::default() },
        }
    }

    /// Whether a model can be loaded, given what the matcher made of it.
    #[must_use]
    pub fn support_of(&self, facts: &Facts, outcome: &Result<Match, Box<NoMatch>>) -> Support {
        let has_custom_files = facts.has_custom_code();
        let model_type = facts.model_type().map(str::to_owned);
        match outcome {
            Ok(found) => {
                let error = self.obstacle(facts, found);
                Support {
                    supported: error.is_none(),
                    category: Some(found.category.clone()),
                    architecture: found.architecture_name().map(str::to_owned),
                    model_type,
                    has_custom_files,
                    error,
                }
            }
            Err(error) => Support {
                supported: false,
                category: error.category.clone(),
                architecture: error.claimed.first().cloned(),
                model_type,
                has_custom_files,
                error: Some(format!("{error}; {}", error.help())),
            },
        }
    }

    /// The category of a model; `None` if nothing tells.
    #[must_use]
    pub fn category(&self, path: impl AsRef<Path>) -> Option<String> {
        self.matcher.category(&self.facts(path).ok()?)
    }

    /// Whether a trait of that name holds; false if there is nothing to read.
    #[must_use]
    pub fn has_trait(&self, path: impl AsRef<Path>, id: &str) -> bool {
        self.facts(path).is_ok_and(|facts| self.matcher.has_trait(&facts, id))
    }

    /// Whether a rule for that category holds; false if there is nothing to read.
    #[must_use]
    pub fn could_be(&self, path: impl AsRef<Path>, category: &str) -> bool {
        self.facts(path).is_ok_and(|facts| self.matcher.could_be(&facts, category))
    }

    /// What keeps a recognised model from being loaded.
    fn obstacle(&self, facts: &Facts, found: &Match) -> Option<String> {
        let Some(architecture) = &found.architecture else { return self.component_obstacle(facts) };
        match (architecture.status, architecture.task.as_str()) {
            (Status::Defined, _) | (Status::Known, COLLECTION) => None,
            (Status::Known, PIPELINE) => self.component_obstacle(facts),
            (Status::Known, _) => {
                let obstacle = self.undefined(architecture, &found.category);
                if self.matcher.passes_over_local_definition(facts) {
                    return Some(format!("{obstacle}; {ALLOW_LOCAL_DEFINITION}"));
                }
                Some(obstacle)
            }
        }
    }

    fn undefined(&self, architecture: &Found, category: &str) -> String {
        let nearest = self.matcher.nearest_definition(&architecture.name, &architecture.task);
        let nearest = nearest.map(|name| format!(": nearest is `{name}`")).unwrap_or_default();
        format!("recognised as `{}`, category `{category}`; no definition yet{nearest}", architecture.name)
    }

    /// What keeps a pipeline from being loaded: the first of its components that is not there or not defined.
    ///
    /// Components without a config of their own (tokenizers, schedulers, image processors) hold no tensors.
    fn component_obstacle(&self, facts: &Facts) -> Option<String> {
        let folders = facts.entries().iter().filter(|entry| entry.kind == Kind::Dir);
        let mut seen = 0;
        for folder in folders {
            let Ok(inner) = facts::read_in(facts.root().join(&folder.path), &Hub::none()) else { continue };
            if inner.config().is_none() {
                continue;
            }
            let obstacle = match self.matcher.find(&inner) {
                Ok(found) if found.is_defined() => None,
                Ok(found) => found.architecture.as_ref().map(|known| self.undefined(known, &found.category)),
                Err(error) => Some(error.to_string()),
            };
            if let Some(obstacle) = obstacle {
                return Some(format!("its component `{}`: {obstacle}", folder.name));
            }
            seen += 1;
        }
        let missing = missing_components(facts);
        if let Some(first) = missing.first() {
            return Some(format!("its component `{first}` is named in `model_index.json` and not there"));
        }
        (seen == 0).then(|| "a pipeline without a component that holds weights".to_owned())
    }
}

/// The components that a pipeline's index names and the directory lacks.
fn missing_components(facts: &Facts) -> Vec<&str> {
    let entries = facts.value().as_object().into_iter().flatten();
    let components = entries.filter(|(name, value)| {
        // `name: [library, class]`; nulls mean that the component is left out on purpose.
        let parts = value.as_array().filter(|parts| parts.len() == 2);
        !name.starts_with('_') && parts.is_some_and(|parts| parts.iter().all(serde_json::Value::is_string))
    });
    let absent = |name: &&str| !facts.entries_named(name).any(|entry| entry.kind == Kind::Dir);
    components.map(|(name, _)| name.as_str()).filter(absent).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
