//! Reads `tekken.json`: byte strings in base64 in the order of their ranks, special tokens before them.
//!
//! In: the bytes. Out: [`Parts`], as `MistralConverter` in transformers makes them: the special tokens take
//! the first ids, filled up to their declared number, and the vocabulary is cut to its declared size.
//!
//! Absent on purpose: the oldest files, whose special tokens are listed nowhere but in another library.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokenizers::AddedToken;

use super::bytes;
use super::error::TokenizerError;
use super::files::object;
use super::parts::Parts;

pub(crate) const FILE: &str = "tekken.json";

/// The roles that the special tokens of such files have.
pub(crate) const ROLES: [(&str, &str); 4] =
    [("bos_token", "<s>"), ("eos_token", "</s>"), ("pad_token", "<pad>"), ("unk_token", "<unk>")];

/// More special tokens than this are a mistake.
const MAX_SPECIALS: usize = 1 << 20;

/// Reads the file.
pub(crate) fn parse(content: &[u8]) -> Result<Parts, TokenizerError> {
    let file = object(FILE, content)?;
    let config = file.get("config").unwrap_or(&Value::Null);
    let pattern = config
        .get("pattern")
        .and_then(Value::as_str)
        .ok_or_else(|| TokenizerError::format(FILE, "it has no `config.pattern`"))?;
    let specials = specials(&file, size(config, "default_num_special_tokens")?)?;
    let Some(Value::Array(vocab)) = file.get("vocab") else {
        return Err(TokenizerError::format(FILE, "it has no list `vocab`"));
    };
    let most =
        size(config, "default_vocab_size")?.map_or(usize::MAX, |all| all.saturating_sub(specials.len()));
    let first = u32::try_from(specials.len()).unwrap_or(u32::MAX);
    let entries = vocab.iter().take(most).enumerate().zip(first..);
    let ranks = entries.map(|((place, entry), id)| Ok((token(place, entry)?, id)));
    let ranks = ranks.collect::<Result<Vec<_>, TokenizerError>>()?;
    let mut parts = Parts::new(FILE, bytes::from_ranks(FILE, &ranks, &specials)?);
    parts.pre_tokenizer = bytes::split_pre_tokenizer(pattern);
    parts.post_processor = bytes::byte_level(true);
    parts.decoder = bytes::byte_level(true);
    parts.added =
        (0_u32..).zip(specials).map(|(id, text)| (Some(id), AddedToken::from(text, true))).collect();
    Ok(parts)
}

fn specials(
    file: &serde_json::Map<String, Value>,
    declared: Option<usize>,
) -> Result<Vec<String>, TokenizerError> {
    let Some(Value::Array(entries)) = file.get("special_tokens") else {
        return Err(TokenizerError::format(FILE, "it has no list `special_tokens`"));
    };
    let mut ranked = Vec::with_capacity(entries.len());
    for entry in entries {
        let text = entry.get("token_str").and_then(Value::as_str);
        let rank = entry.get("rank").and_then(Value::as_u64);
        let pair = rank.zip(text).ok_or_else(|| {
            TokenizerError::field(FILE, "special_tokens", entry, "objects with `rank` and `token_str`")
        })?;
        ranked.push(pair);
    }
    ranked.sort_unstable();
    if ranked.iter().zip(0..).any(|((rank, _), place)| *rank != place) {
        return Err(TokenizerError::format(FILE, "the ranks of `special_tokens` leave gaps"));
    }
    let mut texts: Vec<String> = ranked.into_iter().map(|(_, text)| text.to_owned()).collect();
    let wanted = declared.unwrap_or(texts.len());
    if wanted > MAX_SPECIALS {
        return Err(TokenizerError::format(FILE, format!("{wanted} special tokens")));
    }
    for id in texts.len()..wanted {
        texts.push(format!("<SPECIAL_{id}>"));
    }
    Ok(texts)
}

fn token(place: usize, entry: &Value) -> Result<Vec<u8>, TokenizerError> {
    entry
        .get("token_bytes")
        .and_then(Value::as_str)
        .and_then(|text| STANDARD.decode(text).ok())
        .ok_or_else(|| TokenizerError::format(FILE, format!("`vocab[{place}].token_bytes` is not base64")))
}

fn size(config: &Value, field: &str) -> Result<Option<usize>, TokenizerError> {
    match config.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .and_then(|size| usize::try_from(size).ok())
            .map(Some)
            .ok_or_else(|| TokenizerError::field(FILE, &format!("config.{field}"), value, "a number")),
    }
}
