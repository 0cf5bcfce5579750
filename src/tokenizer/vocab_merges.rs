//! Reads `vocab.json` and `merges.txt`: a byte-pair vocabulary and its merges.
//!
//! In: both texts. Out: [`Parts`] with the byte-level components of GPT-2; what other classes do differently
//! comes from the class table.
//!
//! Absent on purpose: vocabularies that are not spelled in bytes.

use serde_json::{Map, Value, json};

use super::bytes::byte_level;
use super::error::TokenizerError;
use super::files::object;
use super::model::{BpeOptions, bpe, vocab_from_json};
use super::parts::Parts;
use super::special::CONFIG_FILE;

pub(crate) const VOCAB: &str = "vocab.json";
pub(crate) const MERGES: &str = "merges.txt";

/// Takes the files apart. `unk` and `suffix` are those of the class.
pub(crate) fn parse(
    vocab: &[u8],
    merges: &str,
    unk: Option<&str>,
    suffix: Option<&str>,
    config: &Map<String, Value>,
) -> Result<Parts, TokenizerError> {
    let vocab = vocab_from_json(VOCAB, object(VOCAB, vocab)?)?;
    let unk = unk.filter(|unk| suffix.is_some() && vocab.iter().any(|(token, _)| token == unk));
    let options = BpeOptions {
        unk_token: unk.map(str::to_owned),
        end_of_word_suffix: suffix.map(str::to_owned),
        ..BpeOptions::default()
    };
    let add_prefix_space = match config.get("add_prefix_space") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(on)) => *on,
        Some(other) => {
            return Err(TokenizerError::field(CONFIG_FILE, "add_prefix_space", other, "`true` or `false`"));
        }
    };
    let mut parts = Parts::new(MERGES, bpe(MERGES, vocab, merge_lines(merges)?, options)?);
    VOCAB.clone_into(&mut parts.file);
    parts.pre_tokenizer = byte_level(add_prefix_space);
    parts.post_processor = json!({
        "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true
    });
    parts.decoder = byte_level(true);
    Ok(parts)
}

/// Two tokens a line, after a first line that may name the version.
fn merge_lines(text: &str) -> Result<Vec<(String, String)>, TokenizerError> {
    let mut merges = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || (at == 0 && line.starts_with("#version")) {
            continue;
        }
        let mut halves = line.split_ascii_whitespace();
        let (Some(left), Some(right), None) = (halves.next(), halves.next(), halves.next()) else {
            return Err(TokenizerError::format(MERGES, format!("line {} is not two tokens", at + 1)));
        };
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok(merges)
}
