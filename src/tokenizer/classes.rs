//! What a tokenizer class means: the data in `registry/tokenizer-classes.json`.
//!
//! In: the class that `tokenizer_config.json` or `config.json` names, or the model type. Out: the components
//! and special tokens that the code of that class in transformers fills in. Only the formats that leave them
//! out are read with it; a `tokenizer.json` takes from it no more than the names of its special tokens.
//!
//! Absent on purpose: classes in code. A class is a table in that file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::TokenizerError;
use super::files::Folder;
use super::special::CONFIG_FILE;

const BUILT_IN: &str = include_str!("../../registry/tokenizer-classes.json");

static CLASSES: LazyLock<Vec<Class>> = LazyLock::new(|| {
    let file: File =
        serde_json::from_str(BUILT_IN).expect("the built-in tokenizer classes are valid: a test reads them");
    file.classes
});

#[derive(Deserialize)]
struct File {
    classes: Vec<Class>,
}

/// The conventions of one or more tokenizer classes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Class {
    /// As in `tokenizer_class`, without a final `Fast`.
    names: Vec<String>,
    #[serde(default, rename = "why")]
    _why: Option<String>,
    /// As in `model_type`, for directories that name no class.
    #[serde(default)]
    model_types: Vec<String>,
    /// The special tokens by role, where the configuration names none.
    #[serde(default)]
    pub(crate) specials: BTreeMap<String, String>,
    /// Components in the JSON form of `tokenizer.json`; they replace those that the format has by itself.
    pub(crate) normalizer: Option<Value>,
    pub(crate) pre_tokenizer: Option<Value>,
    pub(crate) decoder: Option<Value>,
    /// The tokens around a text: roles in braces, `$A` for the text.
    #[serde(default)]
    pub(crate) frame: Vec<String>,
    /// What marks the last piece of a word.
    pub(crate) end_of_word_suffix: Option<String>,
    /// How the ids differ from the places in a SentencePiece file.
    #[serde(default)]
    pub(crate) pieces: Pieces,
}

/// A SentencePiece vocabulary that the model numbers in its own way.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Pieces {
    /// Pieces that stand at the start, in place of as many of the file as `skip` says.
    #[serde(default)]
    pub(crate) first: Vec<String>,
    #[serde(default)]
    pub(crate) skip: usize,
    /// Pieces after those of the file.
    #[serde(default)]
    pub(crate) last: Vec<String>,
    /// Special tokens at the very end, numbered downwards.
    pub(crate) numbered: Option<Numbered>,
}

/// A run of numbered special tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Numbered {
    /// The token, with `{}` for its number.
    pub(crate) template: String,
    /// How many there are, unless the configuration says so in `field`.
    pub(crate) count: usize,
    pub(crate) field: String,
}

/// The class of a model directory, and a name that was found but is not known.
pub(crate) fn of(
    folder: &Folder,
    config: &Map<String, Value>,
) -> Result<(Option<&'static Class>, Option<String>), TokenizerError> {
    let model = folder.object("config.json").unwrap_or_default().unwrap_or_default();
    let named = match config.get("tokenizer_class") {
        None | Some(Value::Null) => model.get("tokenizer_class").and_then(Value::as_str),
        Some(Value::String(name)) => Some(name.as_str()),
        Some(other) => {
            return Err(TokenizerError::field(CONFIG_FILE, "tokenizer_class", other, "a name"));
        }
    };
    // Two classes of the reference are no more than its base.
    let named = named.map(|name| name.strip_suffix("Fast").unwrap_or(name));
    if let Some(name) = named.filter(|name| !matches!(*name, "PreTrainedTokenizer" | "TokenizersBackend")) {
        let class = CLASSES.iter().find(|class| class.names.iter().any(|known| known == name));
        return Ok((class, class.is_none().then(|| name.to_owned())));
    }
    let model_type = model.get("model_type").and_then(Value::as_str).unwrap_or_default();
    Ok((CLASSES.iter().find(|class| class.model_types.iter().any(|known| known == model_type)), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_built_in_classes_are_read_and_each_is_claimed_once() {
        let mut claimed = HashSet::new();
        for class in CLASSES.iter() {
            assert!(!class.names.is_empty());
            for name in class.names.iter().chain(&class.model_types) {
                assert!(claimed.insert(name.clone()), "{name} is claimed twice");
            }
        }
        assert!(claimed.len() > 20);
    }
}
