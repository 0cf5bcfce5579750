//! Reads `tokenizer.json`, the format of the tokenizers crate itself.
//!
//! In: the bytes. Out: [`Parts`], and the padding token that the file mentions. The file is taken apart
//! here instead of in the crate, so that each part is checked, and an error names it.
//!
//! Absent on purpose: the file's own truncation and padding; as in transformers, the call decides on both.

use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::error::TokenizerError;
use super::files::object;
use super::model;
use super::parts::Parts;

pub(crate) const FILE: &str = "tokenizer.json";

/// What a `tokenizer.json` holds.
#[derive(Debug)]
pub(crate) struct TokenizerJson {
    pub(crate) parts: Parts,
    /// The token of its `padding` section.
    pub(crate) pad_token: Option<String>,
}

/// Takes the file apart.
pub(crate) fn parse(bytes: &[u8]) -> Result<TokenizerJson, TokenizerError> {
    let mut file = object(FILE, bytes)?;
    let model = match file.shift_remove("model") {
        Some(Value::Object(model)) => model::from_json(FILE, model)?,
        Some(other) => return Err(TokenizerError::field(FILE, "model", &other, "an object")),
        None => return Err(TokenizerError::format(FILE, "it has no `model`")),
    };
    let mut parts = Parts::new(FILE, model);
    parts.added = added_tokens(&mut file)?;
    parts.normalizer = file.shift_remove("normalizer").unwrap_or(Value::Null);
    parts.pre_tokenizer = file.shift_remove("pre_tokenizer").unwrap_or(Value::Null);
    parts.post_processor = file.shift_remove("post_processor").unwrap_or(Value::Null);
    parts.decoder = file.shift_remove("decoder").unwrap_or(Value::Null);
    let pad_token = file
        .get("padding")
        .and_then(|padding| padding.get("pad_token"))
        .and_then(Value::as_str)
        .map(str::to_owned);
    Ok(TokenizerJson { parts, pad_token })
}

fn added_tokens(file: &mut Map<String, Value>) -> Result<Vec<(Option<u32>, AddedToken)>, TokenizerError> {
    #[derive(Deserialize)]
    struct WithId {
        id: u32,
        #[serde(flatten)]
        token: AddedToken,
    }
    match file.shift_remove("added_tokens") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => Vec::<WithId>::deserialize(value)
            .map(|tokens| tokens.into_iter().map(|added| (Some(added.id), added.token)).collect())
            .map_err(|error| TokenizerError::format(FILE, format!("added_tokens: {error}"))),
    }
}
