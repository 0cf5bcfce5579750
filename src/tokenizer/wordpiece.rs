//! Reads `vocab.txt`: one word piece a line, its id the number of the line.
//!
//! In: the text and the switches of `tokenizer_config.json`. Out: [`Parts`] as BERT has them (`BertTokenizer`
//! in transformers): lower-casing unless `do_lower_case` says no.
//!
//! Absent on purpose: the tokens around a text; the class or the caller names them.

use serde_json::{Map, Value, json};

use super::error::TokenizerError;
use super::model::wordpiece;
use super::parts::Parts;
use super::special::CONFIG_FILE;

pub(crate) const FILE: &str = "vocab.txt";

/// The special tokens of such vocabularies, by role.
pub(crate) const ROLES: [(&str, &str); 5] = [
    ("unk_token", UNKNOWN),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

/// The piece for words that cannot be put together.
pub(crate) const UNKNOWN: &str = "[UNK]";

/// The tokens around a text.
pub(crate) const FRAME: [&str; 3] = ["{cls_token}", "$A", "{sep_token}"];

/// Takes the file apart; `unk` is the piece for words that cannot be put together.
pub(crate) fn parse(text: &str, unk: &str, config: &Map<String, Value>) -> Result<Parts, TokenizerError> {
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    let vocab: Vec<(String, u32)> =
        lines.map(|line| line.trim_end_matches('\r').to_owned()).zip(0_u32..).collect();
    if !vocab.iter().any(|(piece, _)| piece == unk) {
        return Err(TokenizerError::format(FILE, format!("it lacks the unknown token `{unk}`")));
    }
    let switch = |field: &str| match config.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(on)) => Ok(Some(*on)),
        Some(other) => Err(TokenizerError::field(CONFIG_FILE, field, other, "`true` or `false`")),
    };
    let mut parts = Parts::new(FILE, wordpiece(FILE, vocab, unk)?);
    parts.normalizer = json!({
        "type": "BertNormalizer",
        "clean_text": true,
        "handle_chinese_chars": switch("tokenize_chinese_chars")?.unwrap_or(true),
        "strip_accents": switch("strip_accents")?,
        "lowercase": switch("do_lower_case")?.unwrap_or(true),
    });
    parts.pre_tokenizer = json!({ "type": "BertPreTokenizer" });
    parts.decoder = json!({ "type": "WordPiece", "prefix": "##", "cleanup": true });
    Ok(parts)
}
