//! What a model wants of a checkpoint, and what to do with the checkpoint's names.
//!
//! In: nothing; the model's definition makes these. Out: [`Wanted`] and [`BindRules`], for `bind`.

use crate::plan::Stored;

/// A parameter that a model wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its path in the model.
    pub name: String,
    /// Its shape in the model.
    pub shape: Vec<usize>,
    /// How it may be stored, first choice first. The first of which every tensor is there is taken.
    pub stored: Vec<Stored>,
    /// The parameter whose values it shares, unless the checkpoint holds others for it.
    pub tied_to: Option<String>,
    /// Whether the model does without it.
    pub optional: bool,
}

impl Wanted {
    /// A parameter that is stored under its own name.
    #[must_use]
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        let name = name.into();
        let stored = vec![Stored::tensor(name.as_str())];
        Self { name, shape: shape.into(), stored, tied_to: None, optional: false }
    }
}

/// What to do with the names of a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct BindRules {
    /// Roots that the checkpoint may put before its names. The one that finds most is tried first.
    /// None given means names as they are.
    pub prefixes: Vec<Prefix>,
    /// Pairs of templates, applied to the checkpoint's names one after another: `{x}.gamma` to
    /// `{x}.weight`. `{i}`, `{j}` and `{k}` stand for a number, any other `{word}` for any text.
    pub rename: Vec<(String, String)>,
    /// Globs of tensors that need not be used.
    pub ignore: Vec<String>,
    /// Whether unused tensors are listed in the binding rather than being an error.
    pub allow_unused: bool,
}

/// One way in which a checkpoint's names differ from the model's at their root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefix {
    /// What the model's name begins with and the checkpoint's does not.
    pub strip: String,
    /// What the checkpoint's name begins with and the model's does not.
    pub add: String,
}

impl From<&str> for Prefix {
    /// The checkpoint puts this before every name.
    fn from(add: &str) -> Self {
        Self { strip: String::new(), add: add.to_owned() }
    }
}

impl Prefix {
    pub(crate) fn apply(&self, name: &str) -> String {
        format!("{}{}", self.add, name.strip_prefix(&self.strip).unwrap_or(name))
    }
}
