//! Where a checkpoint says that it is quantised.
//!
//! Looks at the config, at its parts, and at the files that quantisers leave beside it. What the method means for
//! the weights is for `weights` to know.

use serde_json::Value;

use super::Facts;
use super::document::{joined, lookup};

/// The config keys, the usual one first.
const KEYS: [&str; 3] = ["quantization_config", "compression_config", "quantization"];
/// Files beside the config.
const FILES: [&str; 3] = ["quantize_config.json", "quant_config.json", "hf_quant_config.json"];
/// Where such a table names its method.
const METHODS: [&str; 5] = ["quant_method", "quantization.quant_algo", "quant_algo", "format", "version"];
/// How deep parts are nested at most: thinker, its text, and one for good measure.
const DEPTH: usize = 3;

/// How a checkpoint says it is quantised.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    /// Where it says so: a config path or a file.
    pub found_at: String,
    /// The method, such as `gptq`, if it is named.
    pub method: Option<String>,
    /// All it says.
    pub details: Value,
}

pub(super) fn find(facts: &Facts) -> Option<Quantization> {
    if let Some((found_at, details)) = within(facts.value(), "", DEPTH) {
        return Some(Quantization { method: method(details), found_at, details: details.clone() });
    }
    let file = FILES.into_iter().find(|file| facts.has_file(file))?;
    // A file that is there but unreadable still says that something was quantised.
    let details = facts.document(file).map_or(Value::Null, |document| document.value);
    Some(Quantization { method: method(&details), found_at: file.to_owned(), details })
}

fn method(details: &Value) -> Option<String> {
    METHODS.iter().find_map(|path| lookup(details, path)?.as_str()).map(str::to_lowercase)
}

fn within<'v>(value: &'v Value, at: &str, depth: usize) -> Option<(String, &'v Value)> {
    let object = value.as_object()?;
    let here =
        KEYS.iter().find_map(|key| Some((joined(at, key), object.get(*key).filter(|v| v.is_object())?)));
    if here.is_some() || depth == 0 {
        return here;
    }
    let mut parts = object.iter().filter(|(key, value)| key.ends_with("_config") && value.is_object());
    parts.find_map(|(key, value)| within(value, &joined(at, key), depth - 1))
}
