//! What can be told about a model without loading it.
//!
//! Takes a path (or the id of a repository in the cache); gives plain answers, ready to be shown or written as JSON.
//! The functions ask the shipped registry; an [`Inspector`] asks any. Where names lead nowhere, the headers of the
//! weights are compared with the definitions.
//!
//! Absent on purpose: errors as results. A question about a path that holds no model has an answer too, and it is
//! in the answer's `error`.

mod inspector;
mod obstacle;
mod stored;

use std::path::Path;
use std::sync::LazyLock;

use serde::Serialize;

use crate::facts::Hub;
use crate::registry::Registry;

pub use inspector::Inspector;

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
    /// The number of stored numbers, if the headers tell: of safetensors, npz files and pickles.
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
