//! The vocabulary models, from JSON or from the lists that the older files hold.
//!
//! In: untrusted vocabularies and merges. Out: a model of the tokenizers crate, whose builders assume
//! consistent input: what they assume is checked here first.
//!
//! Absent on purpose: the components around a model (`parts`).

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::models::wordpiece::WordPiece;

use super::error::TokenizerError;
use super::parts::guarded;

/// Ids beyond this belong to no embedding that fits a machine, and overflow the engine's counters.
pub(crate) const MAX_ID: u32 = 1 << 30;

/// The options of a byte-pair model, as `tokenizer.json` names them.
#[derive(Debug, Clone, Default)]
pub(crate) struct BpeOptions {
    pub(crate) unk_token: Option<String>,
    pub(crate) end_of_word_suffix: Option<String>,
    pub(crate) fuse_unk: bool,
    pub(crate) byte_fallback: bool,
    pub(crate) ignore_merges: bool,
}

/// A byte-pair model from a vocabulary and merges, first merge first.
pub(crate) fn bpe(
    file: &str,
    vocab: Vec<(String, u32)>,
    merges: Vec<(String, String)>,
    options: BpeOptions,
) -> Result<BPE, TokenizerError> {
    let longest = vocab.iter().map(|(token, _)| token.len()).max().unwrap_or(0);
    for (left, right) in &merges {
        check_merge(file, left, right, longest, "")?;
    }
    let vocab: HashMap<String, u32, _> = vocab.into_iter().collect();
    let mut builder = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .fuse_unk(options.fuse_unk)
        .byte_fallback(options.byte_fallback)
        .ignore_merges(options.ignore_merges);
    if let Some(unk) = options.unk_token {
        builder = builder.unk_token(unk);
    }
    if let Some(suffix) = options.end_of_word_suffix {
        builder = builder.end_of_word_suffix(suffix);
    }
    guarded(|| builder.build()).map_err(|reason| TokenizerError::format(file, reason))
}

/// A word-piece model; continuing pieces start with `##`.
pub(crate) fn wordpiece(
    file: &str,
    vocab: Vec<(String, u32)>,
    unk_token: &str,
) -> Result<WordPiece, TokenizerError> {
    let vocab: HashMap<String, u32, _> = vocab.into_iter().collect();
    let builder = WordPiece::builder().vocab(vocab).unk_token(unk_token.to_owned());
    guarded(|| builder.build()).map_err(|reason| TokenizerError::format(file, reason))
}

/// A model that knows whole words, or characters, and nothing below.
pub(crate) fn wordlevel(
    file: &str,
    vocab: Vec<(String, u32)>,
    unk_token: &str,
) -> Result<WordLevel, TokenizerError> {
    if !vocab.iter().any(|(token, _)| token == unk_token) {
        return Err(TokenizerError::format(file, format!("it lacks the unknown token `{unk_token}`")));
    }
    let vocab = vocab.into_iter().collect();
    let builder = WordLevel::builder().vocab(vocab).unk_token(unk_token.to_owned());
    guarded(|| builder.build()).map_err(|reason| TokenizerError::format(file, reason))
}

/// A unigram model: pieces in the order of their ids, with their log probabilities.
pub(crate) fn unigram(
    file: &str,
    vocab: Vec<(String, f64)>,
    unk_id: Option<usize>,
    byte_fallback: bool,
) -> Result<Unigram, TokenizerError> {
    if let Some((piece, score)) = vocab.iter().find(|(_, score)| !score.is_finite()) {
        return Err(TokenizerError::format(file, format!("`{piece}` has the score {score}")));
    }
    if vocab.is_empty() {
        return Err(TokenizerError::format(file, "the vocabulary is empty"));
    }
    guarded(|| Unigram::from(vocab, unk_id, byte_fallback))
        .map_err(|reason| TokenizerError::format(file, reason))
}

/// The `model` part of a `tokenizer.json`; one without a `type` is told by its fields.
pub(crate) fn from_json(file: &str, mut model: Map<String, Value>) -> Result<ModelWrapper, TokenizerError> {
    let kind = match model.shift_remove("type") {
        Some(Value::String(kind)) => kind,
        Some(other) => return Err(TokenizerError::field(file, "model.type", &other, "a name")),
        None if model.contains_key("merges") => "BPE".to_owned(),
        None if model.contains_key("continuing_subword_prefix") => "WordPiece".to_owned(),
        None if model.get("vocab").is_some_and(Value::is_array) => "Unigram".to_owned(),
        None => "WordLevel".to_owned(),
    };
    match kind.as_str() {
        "BPE" => {
            check_ids(file, &model)?;
            check_merges(file, &model)?;
            parsed::<BPE>(file, model).map(ModelWrapper::BPE)
        }
        "WordPiece" => {
            check_ids(file, &model)?;
            parsed::<WordPiece>(file, model).map(ModelWrapper::WordPiece)
        }
        "WordLevel" => {
            check_ids(file, &model)?;
            parsed::<WordLevel>(file, model).map(ModelWrapper::WordLevel)
        }
        "Unigram" => parsed::<Unigram>(file, model).map(ModelWrapper::Unigram),
        other => Err(TokenizerError::field(
            file,
            "model.type",
            &Value::from(other),
            "`BPE`, `WordPiece`, `WordLevel` or `Unigram`",
        )),
    }
}

fn parsed<T: for<'de> Deserialize<'de>>(file: &str, model: Map<String, Value>) -> Result<T, TokenizerError> {
    guarded(|| Ok(T::deserialize(Value::Object(model))?))
        .map_err(|reason| TokenizerError::format(file, format!("model: {reason}")))
}

/// A vocabulary file's object of token to id.
pub(crate) fn vocab_from_json(
    file: &str,
    vocab: Map<String, Value>,
) -> Result<Vec<(String, u32)>, TokenizerError> {
    vocab.into_iter().map(|(token, id)| Ok((token.clone(), checked_id(file, &token, &id)?))).collect()
}

fn check_ids(file: &str, model: &Map<String, Value>) -> Result<(), TokenizerError> {
    let Some(Value::Object(vocab)) = model.get("vocab") else {
        return Ok(());
    };
    vocab.iter().try_for_each(|(token, id)| checked_id(file, token, id).map(|_| ()))
}

fn checked_id(file: &str, token: &str, id: &Value) -> Result<u32, TokenizerError> {
    id.as_u64()
        .and_then(|id| u32::try_from(id).ok())
        .filter(|id| *id < MAX_ID)
        .ok_or_else(|| TokenizerError::field(file, &format!("vocab[{token:?}]"), id, "a token id"))
}

/// The crate's builder joins the halves of a merge in a buffer as long as the longest token.
fn check_merges(file: &str, model: &Map<String, Value>) -> Result<(), TokenizerError> {
    let Some(Value::Object(vocab)) = model.get("vocab") else {
        return Ok(());
    };
    let Some(Value::Array(merges)) = model.get("merges") else {
        return Ok(());
    };
    let longest = vocab.keys().map(String::len).max().unwrap_or(0);
    let prefix = model.get("continuing_subword_prefix").and_then(Value::as_str).unwrap_or("");
    for merge in merges {
        let halves = match merge {
            Value::String(line) => line.split_once(' '),
            Value::Array(pair) => match pair.as_slice() {
                [Value::String(left), Value::String(right)] => Some((left.as_str(), right.as_str())),
                _ => None,
            },
            _ => None,
        };
        // What is no pair at all is reported by the crate's own parser.
        if let Some((left, right)) = halves {
            check_merge(file, left, right, longest, prefix)?;
        }
    }
    Ok(())
}

fn check_merge(
    file: &str,
    left: &str,
    right: &str,
    longest: usize,
    prefix: &str,
) -> Result<(), TokenizerError> {
    let joined = right.get(prefix.len()..).map(|rest| left.len() + rest.len());
    if joined.is_some_and(|length| length <= longest) {
        return Ok(());
    }
    Err(TokenizerError::format(file, format!("the merge of `{left}` and `{right}` gives no known token")))
}
