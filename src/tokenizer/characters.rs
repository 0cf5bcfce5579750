//! Reads a `vocab.json` without merges: the characters that a speech model writes.
//!
//! In: the JSON object. Out: [`Parts`]: one token a character, a bar for a space; decoding takes repetitions for one
//! and drops the pad token, as connectionist temporal classification has it (`Wav2Vec2CTCTokenizer` in
//! transformers). The pad token parts what is really doubled, so such ids are decoded with special tokens kept.
//!
//! Absent on purpose: the phonemes of some of these models, which need another program.

use serde_json::{Map, Value, json};

use super::error::TokenizerError;
use super::files::object;
use super::model::{vocab_from_json, wordlevel};
use super::parts::Parts;
use super::special::CONFIG_FILE;
use super::vocab_merges::VOCAB;

/// Where more tokens than these special ones are longer than a character, the merges are missing.
const MAX_SPECIALS: usize = 16;

/// Takes the file apart; nothing where it is no vocabulary of this kind.
pub(crate) fn parse(
    content: &[u8],
    unk: &str,
    pad: &str,
    config: &Map<String, Value>,
) -> Result<Option<Parts>, TokenizerError> {
    let text = |field: &str| match config.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(other) => Err(TokenizerError::field(CONFIG_FILE, field, other, "a string")),
    };
    let bar = text("word_delimiter_token")?.unwrap_or("|");
    let mut vocab = object(VOCAB, content)?;
    // Models of many languages keep a vocabulary for each.
    if let Some(language) = text("target_lang")?
        && let Some(Value::Object(own)) = vocab.shift_remove(language)
    {
        vocab = own;
    }
    let long = vocab.keys().filter(|token| token.chars().nth(1).is_some()).count();
    if long > MAX_SPECIALS || !vocab.contains_key(bar) {
        return Ok(None);
    }
    let vocab = vocab_from_json(VOCAB, vocab)?;
    let mut parts = Parts::new(VOCAB, wordlevel(VOCAB, vocab, unk)?);
    parts.normalizer = json!({ "type": "Replace", "pattern": { "String": " " }, "content": bar });
    parts.pre_tokenizer = json!({
        "type": "Split", "pattern": { "Regex": "(?s)." }, "behavior": "Isolated", "invert": false
    });
    parts.decoder = json!({ "type": "Sequence", "decoders": [
        { "type": "CTC", "pad_token": pad, "word_delimiter_token": bar, "cleanup": true },
        { "type": "Fuse" },
        { "type": "Replace", "pattern": { "Regex": r"^\s+|\s+$" }, "content": "" },
    ] });
    Ok(Some(parts))
}
