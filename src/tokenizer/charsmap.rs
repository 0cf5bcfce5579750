//! Checks a SentencePiece `precompiled_charsmap` before the engine walks it.
//!
//! In: the bytes: a little-endian length, a double-array trie of that many bytes, and the replacement
//! texts, each ended by a zero byte (sentencepiece, `normalizer.cc`). Out: nothing, or the broken rule.
//! The engine indexes the trie unchecked, so every place that it can reach must exist.
//!
//! Absent on purpose: normalising; that is the engine's part.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::error::TokenizerError;

/// Checks every charsmap in a normalizer's JSON.
pub(crate) fn check_all(file: &str, normalizer: &Value) -> Result<(), TokenizerError> {
    match normalizer {
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| match value {
            Value::String(text) if key == "precompiled_charsmap" => {
                let bytes = STANDARD.decode(text).map_err(|error| {
                    TokenizerError::format(file, format!("precompiled_charsmap: {error}"))
                })?;
                check(&bytes)
                    .map_err(|reason| TokenizerError::format(file, format!("precompiled_charsmap: {reason}")))
            }
            _ => check_all(file, value),
        }),
        Value::Array(items) => items.iter().try_for_each(|item| check_all(file, item)),
        _ => Ok(()),
    }
}

/// The JSON of a normalizer that applies this charsmap.
pub(crate) fn normalizer(charsmap: &[u8]) -> Value {
    serde_json::json!({ "type": "Precompiled", "precompiled_charsmap": STANDARD.encode(charsmap) })
}

/// Says what would make the engine read past the end of the trie or of the texts.
pub(crate) fn check(charsmap: &[u8]) -> Result<(), String> {
    let (head, rest) = charsmap.split_first_chunk::<4>().ok_or("shorter than its length field")?;
    let trie_bytes = usize::try_from(u32::from_le_bytes(*head)).map_err(|error| error.to_string())?;
    // The engine reads whole units and takes all that follows them for text.
    let trie_bytes = trie_bytes / 4 * 4;
    if trie_bytes > rest.len() {
        return Err(format!("a trie of {trie_bytes} bytes in {} bytes", rest.len()));
    }
    let (trie, texts) = rest.split_at(trie_bytes);
    let texts = std::str::from_utf8(texts).map_err(|error| format!("texts: {error}"))?;
    let units: Vec<u32> =
        trie.chunks_exact(4).map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]])).collect();
    walk(&units, texts)
}

/// Visits every node that some text can reach.
fn walk(units: &[u32], texts: &str) -> Result<(), String> {
    let root = *units.first().ok_or("an empty trie")?;
    // A unit with the label c at position p is a child of the node whose block starts at p ^ c.
    let mut children: Vec<(usize, usize)> = units
        .iter()
        .enumerate()
        .filter(|(_, unit)| (1..=0xFF).contains(&label(**unit)))
        .map(|(position, unit)| (position ^ label(*unit), position))
        .collect();
    children.sort_unstable();
    let mut seen = vec![false; units.len()];
    let mut open = vec![offset(root)];
    while let Some(block) = open.pop() {
        if (block | 0xFF) >= units.len() {
            return Err(format!("a node's children at {block} in a trie of {}", units.len()));
        }
        let first = children.partition_point(|(parent, _)| *parent < block);
        for (_, position) in children[first..].iter().take_while(|(parent, _)| *parent == block) {
            if std::mem::replace(&mut seen[*position], true) {
                continue;
            }
            let unit = units[*position];
            let below = position ^ offset(unit);
            if has_leaf(unit) {
                let value = *units.get(below).ok_or_else(|| format!("a leaf at {below}"))?;
                let start = (value & 0x7FFF_FFFF) as usize;
                if !texts.is_char_boundary(start) {
                    return Err(format!("a text at {start} in {} bytes", texts.len()));
                }
            }
            open.push(below);
        }
    }
    Ok(())
}

// The bit fields of a double-array unit (darts-clone).
fn has_leaf(unit: u32) -> bool {
    (unit >> 8) & 1 == 1
}

fn label(unit: u32) -> usize {
    (unit & ((1 << 31) | 0xFF)) as usize
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize
}
