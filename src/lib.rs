//! omni: a universal model loader in which every architecture is data.
//!
//! ```text
//! config.json + listing ─ facts::read ──────► Facts ┐
//! registry/**/*.toml ──── registry::load ► Registry ┴ matcher::find ► Match (with its reasons)
//!   ─ lang: the module definition, traced with the config's numbers ─► Plan (flat, printable, no tensors)
//!   ─ weights::bind (tensor headers first, bytes last) ─► Weights
//!   ─ Plan + Weights + device ─► Model : burn Module ─► forward · generate · train · capture · save
//! ```
//!
//! A layer names only those to its left:
//! `diag < format < facts < registry < matcher < ops < plan < lang < graph < compare < expect < weights < tokenizer < hub < model < info < lint < lsp < cli`.
//! burn tensors live only in `ops`, `weights` and `model`; disk is read only in `facts`, `registry`,
//! `weights`, `tokenizer` and `hub`, which alone may use the network; only `cli` prints.
//! No model is named in this crate: models are data.

pub mod cli;
pub mod compare;
pub mod diag;
pub mod expect;
pub mod facts;
pub mod format;
pub mod graph;
pub mod hub;
pub mod info;
pub mod lang;
pub mod lint;
pub mod lsp;
pub mod matcher;
pub mod model;
pub mod ops;
pub mod plan;
pub mod registry;
pub mod tokenizer;
pub mod weights;

/// Loads what is at `path` on the CPU: the model and its tokenizer.
///
/// [`model::Loader`] has the choices: device, dtype, registry, training.
///
/// # Errors
/// If the directory, the registry, the config, the checkpoint or the tokenizer do not allow it.
pub fn load(
    path: impl AsRef<std::path::Path>,
) -> Result<(model::Model, tokenizer::Tokenizer), model::LoadError> {
    model::Loader::new(path).load()
}

/// Loads what is at `path` on the CPU, or gives `None` where that fails, whatever the reason: [`load`] tells it.
#[must_use]
pub fn load_safe(path: impl AsRef<std::path::Path>) -> Option<(model::Model, tokenizer::Tokenizer)> {
    model::Loader::new(path).load_safe()
}

/// Loads what is at `path` on the CPU to be trained: gradients are recorded, and what the registry says to freeze,
/// such as the talker of a model that thinks and speaks, stays as it is.
///
/// [`model::Loader::freeze_by_default`] turns that off.
///
/// # Errors
/// As [`load`].
pub fn load_for_training(
    path: impl AsRef<std::path::Path>,
) -> Result<(model::Model, tokenizer::Tokenizer), model::LoadError> {
    model::Loader::new(path).for_training().load()
}

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
