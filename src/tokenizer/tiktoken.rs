//! Reads a tiktoken vocabulary: lines of a token in base64 and its rank.
//!
//! In: the text. Out: [`Parts`]. Such files often go by the name `tokenizer.model`, which SentencePiece uses
//! as well, so the content decides. Special tokens stand in `tokenizer_config.json`.
//!
//! Absent on purpose: patterns other than that of transformers (`TikTokenConverter`); the class table
//! names them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bytes;
use super::error::TokenizerError;
use super::model::MAX_ID;
use super::parts::Parts;

/// How the text is split, unless the class table says otherwise (that of GPT-4, by way of transformers).
const PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Whether these are the bytes of such a file: its first line is enough to know.
pub(crate) fn is_tiktoken(content: &[u8]) -> bool {
    let first = content.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    first.is_some_and(|line| line.len() < 1 << 16 && parse_line(line).is_some())
}

/// Reads the file called `file`.
pub(crate) fn parse(file: &str, content: &[u8]) -> Result<Parts, TokenizerError> {
    let mut ranks: Vec<bytes::Ranked> = Vec::new();
    for (at, line) in content.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let ranked = parse_line(line).ok_or_else(|| {
            TokenizerError::format(file, format!("line {} is not a base64 token and a rank", at + 1))
        })?;
        ranks.push(ranked);
    }
    // The ranks may leave gaps, where the special tokens have their ids.
    ranks.sort_by_key(|(_, rank)| *rank);
    if let Some(pair) = ranks.windows(2).find(|pair| pair[0].1 == pair[1].1) {
        return Err(TokenizerError::format(file, format!("two tokens have the rank {}", pair[0].1)));
    }
    let mut parts = Parts::new(file, bytes::from_ranks(file, &ranks, &[])?);
    parts.pre_tokenizer = bytes::split_pre_tokenizer(PATTERN);
    parts.post_processor = bytes::byte_level(true);
    parts.decoder = bytes::byte_level(true);
    Ok(parts)
}

fn parse_line(line: &[u8]) -> Option<bytes::Ranked> {
    let line = std::str::from_utf8(line).ok()?.trim();
    let (token, rank) = line.split_once(' ')?;
    let rank = rank.parse().ok().filter(|rank| *rank < MAX_ID)?;
    Some((STANDARD.decode(token).ok().filter(|token| !token.is_empty())?, rank))
}
