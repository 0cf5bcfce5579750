//! The special tokens around a text.
//!
//! In: a class's frame, or `add_bos_token` and `add_eos_token` of the configuration. Out: a post-processor for
//! the engine, or nothing where no token is put around a text.
//!
//! Absent on purpose: pairs of texts.

use serde_json::{Map, Value, json};

use super::error::TokenizerError;
use super::special::{CONFIG_FILE, Specials};

/// The post-processor that puts `frame` around a text; see `Class::frame` for how it is written. `id` gives
/// the ids of tokens; roles and tokens that are not there are left out.
pub(crate) fn post_processor(
    frame: &[String],
    specials: &Specials,
    id: impl Fn(&str) -> Option<u32>,
) -> Option<Value> {
    let mut pieces = Vec::new();
    let mut tokens = Map::new();
    for part in frame {
        if part == "$A" {
            pieces.push(json!({ "Sequence": { "id": "A", "type_id": 0 } }));
            continue;
        }
        let role = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        let token = role.map_or(Some(part.as_str()), |role| specials.named(role));
        if let Some((token, id)) = token.and_then(|token| Some((token, id(token)?))) {
            pieces.push(json!({ "SpecialToken": { "id": token, "type_id": 0 } }));
            tokens.insert(token.to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] }));
        }
    }
    if tokens.is_empty() {
        return None;
    }
    let mut pair = pieces.clone();
    pair.push(json!({ "Sequence": { "id": "B", "type_id": 1 } }));
    Some(json!({ "type": "TemplateProcessing", "single": pieces, "pair": pair, "special_tokens": tokens }))
}

/// The frame that the configuration asks for by its two switches; nothing where it has neither.
pub(crate) fn switched(config: &Map<String, Value>) -> Result<Option<Vec<String>>, TokenizerError> {
    let switch = |field: &str| match config.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(on)) => Ok(Some(*on)),
        Some(other) => Err(TokenizerError::field(CONFIG_FILE, field, other, "`true` or `false`")),
    };
    let (bos, eos) = (switch("add_bos_token")?, switch("add_eos_token")?);
    if bos.is_none() && eos.is_none() {
        return Ok(None);
    }
    let mut frame = Vec::new();
    if bos == Some(true) {
        frame.push("{bos_token}".to_owned());
    }
    frame.push("$A".to_owned());
    if eos == Some(true) {
        frame.push("{eos_token}".to_owned());
    }
    Ok(Some(frame))
}
