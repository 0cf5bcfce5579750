//! Byte-pair vocabularies over bytes.
//!
//! In: byte strings in the order of their ranks and a splitting pattern, as tiktoken and tekken files give
//! them. Out: a byte-level model in the alphabet that the engine knows, where each byte is one printable
//! character (GPT-2, `bytes_to_unicode`).
//!
//! Absent on purpose: the file formats.

use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;

use super::error::TokenizerError;
use super::merges;
use super::model::{BpeOptions, bpe};

/// A token and its id; the ids are in the order of the ranks.
pub(crate) type Ranked = (Vec<u8>, u32);

/// A model of these tokens, the first learnt first. `specials` have the ids from 0 on.
pub(crate) fn from_ranks(file: &str, ranks: &[Ranked], specials: &[String]) -> Result<BPE, TokenizerError> {
    let tokens: Vec<&[u8]> = ranks.iter().map(|(token, _)| token.as_slice()).collect();
    let mut merges =
        merges::find(&tokens, |_| true).map_err(|reason| TokenizerError::format(file, reason))?;
    merges.sort_by_key(|merge| (merge.whole, merge.left, merge.right));
    let spelled: Vec<String> = tokens.iter().map(|token| spell(token)).collect();
    let merges =
        merges.iter().map(|merge| (spelled[merge.left].clone(), spelled[merge.right].clone())).collect();
    let ids = ranks.iter().map(|(_, id)| *id);
    let vocab = spelled.iter().cloned().zip(ids).chain(specials.iter().cloned().zip(0..)).collect();
    bpe(file, vocab, merges, BpeOptions { ignore_merges: true, ..BpeOptions::default() })
}

/// The bytes in the printable alphabet.
fn spell(token: &[u8]) -> String {
    token.iter().map(|byte| letter(*byte)).collect()
}

/// Printable bytes stand for themselves, the others for the characters from U+0100 on, in order.
fn letter(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if printable(byte) {
        return char::from(byte);
    }
    let place = (0..byte).filter(|other| !printable(*other)).count();
    u32::try_from(place).ok().and_then(|place| char::from_u32(0x100 + place)).unwrap_or('\u{100}')
}

/// A pre-tokenizer that splits by a pattern and spells the bytes.
pub(crate) fn split_pre_tokenizer(pattern: &str) -> Value {
    json!({ "type": "Sequence", "pretokenizers": [
        { "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false },
        { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
    ] })
}

/// The byte-level component of the engine, which is pre-tokenizer, post-processor and decoder alike.
pub(crate) fn byte_level(add_prefix_space: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": false, "use_regex": true })
}
