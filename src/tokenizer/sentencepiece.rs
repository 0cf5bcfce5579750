//! Reads SentencePiece models.
//!
//! In: the bytes of the protobuf. Out: [`Parts`]: a byte-pair model with byte fallback, or a unigram model with
//! its precompiled charsmap, that give the ids of SentencePiece itself (`convert_slow_tokenizer.py` in
//! transformers), after the class has renumbered the pieces.
//!
//! Absent on purpose: word and character models; sampling.

use serde_json::{Map, Value, json};
use tokenizers::{AddedToken, ModelWrapper};

use super::charsmap;
use super::classes::{Class, Numbered};
use super::error::TokenizerError;
use super::merges;
use super::model::{BpeOptions, bpe, unigram};
use super::parts::Parts;
use super::special::{CONFIG_FILE, Specials};
use super::spm_proto::{Algorithm, Kind, Piece, SentencePieces};

/// The names that such files go by, the preferred one first.
pub(crate) const FILES: [&str; 5] =
    ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model"];

/// The character that stands for a space.
const SPACE: &str = "\u{2581}";

/// More numbered tokens than this are a mistake.
const MAX_NUMBERED: u64 = 1 << 20;

/// Takes the file apart, and names the special tokens that it declares.
pub(crate) fn parse(
    file: &str,
    content: &[u8],
    class: Option<&Class>,
    config: &Map<String, Value>,
    specials: &mut Specials,
) -> Result<Parts, TokenizerError> {
    let mut source = SentencePieces::parse(content).map_err(|reason| TokenizerError::format(file, reason))?;
    if source.whitespace_as_suffix {
        return Err(TokenizerError::format(
            file,
            "it marks spaces at the end of words, which is not supported",
        ));
    }
    for (role, id) in [
        ("unk_token", source.unk_id),
        ("bos_token", source.bos_id),
        ("eos_token", source.eos_id),
        ("pad_token", source.pad_id),
    ] {
        if let Some(token) = source.piece(id).filter(|_| class.is_none()) {
            specials.set_default(role, token);
        }
    }
    let unk = source.piece(source.unk_id).map(str::to_owned);
    renumber(&mut source.pieces, class, config)?;
    let unk_id = unk.and_then(|unk| source.pieces.iter().position(|piece| piece.text == unk));
    let model = match source.algorithm {
        Algorithm::Unigram => ModelWrapper::Unigram(unigram(
            file,
            source.pieces.iter().map(|piece| (piece.text.clone(), f64::from(piece.score))).collect(),
            unk_id,
            source.byte_fallback,
        )?),
        Algorithm::Bpe => ModelWrapper::BPE(pairs(file, &source, unk_id)?),
        Algorithm::Other(kind) => {
            let reason = format!("its model type is {kind}, expected 1 (unigram) or 2 (bpe)");
            return Err(TokenizerError::format(file, reason));
        }
    };
    let mut parts = Parts::new(file, model);
    parts.added = added(&source.pieces);
    components(&mut parts, &source, class.is_some_and(|class| class.pre_tokenizer.is_some()), config)?;
    Ok(parts)
}

/// Puts the pieces into the order of the class's ids.
fn renumber(
    pieces: &mut Vec<Piece>,
    class: Option<&Class>,
    config: &Map<String, Value>,
) -> Result<(), TokenizerError> {
    let Some(layout) = class.map(|class| &class.pieces) else { return Ok(()) };
    let piece = |text: &String| Piece { text: text.clone(), score: 0.0, kind: Kind::Control };
    if !layout.first.is_empty() {
        let skipped = layout.skip.min(pieces.len());
        pieces.splice(..skipped, layout.first.iter().map(piece));
    }
    pieces.extend(layout.last.iter().map(piece));
    if let Some(run) = &layout.numbered {
        pieces.extend(numbered(run, config)?.iter().map(piece));
    }
    Ok(())
}

fn numbered(run: &Numbered, config: &Map<String, Value>) -> Result<Vec<String>, TokenizerError> {
    let count = match config.get(&run.field) {
        None | Some(Value::Null) => u64::try_from(run.count).unwrap_or(MAX_NUMBERED),
        Some(value) => value
            .as_u64()
            .filter(|count| *count <= MAX_NUMBERED)
            .ok_or_else(|| TokenizerError::field(CONFIG_FILE, &run.field, value, "a number of tokens"))?,
    };
    Ok((0..count).rev().map(|number| run.template.replace("{}", &number.to_string())).collect())
}

/// The merges in the order in which SentencePiece would do them: the best score first.
fn pairs(
    file: &str,
    source: &SentencePieces,
    unk_id: Option<usize>,
) -> Result<tokenizers::models::bpe::BPE, TokenizerError> {
    let pieces = &source.pieces;
    let tokens: Vec<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
    let takes_part = |place: usize| matches!(pieces[place].kind, Kind::Normal | Kind::UserDefined);
    let mut merges =
        merges::find(&tokens, takes_part).map_err(|reason| TokenizerError::format(file, reason))?;
    merges.sort_by(|left, right| pieces[right.whole].score.total_cmp(&pieces[left.whole].score));
    let text = |place: usize| pieces[place].text.clone();
    let merges = merges.iter().map(|merge| (text(merge.left), text(merge.right))).collect();
    let vocab = pieces.iter().map(|piece| piece.text.clone()).zip(0..).collect();
    let options = BpeOptions {
        unk_token: unk_id.map(text),
        fuse_unk: true,
        byte_fallback: source.byte_fallback,
        ..BpeOptions::default()
    };
    bpe(file, vocab, merges, options)
}

/// Control pieces are special, user-defined ones are found in a text before all else.
fn added(pieces: &[Piece]) -> Vec<(Option<u32>, AddedToken)> {
    let mut added = Vec::new();
    for (piece, id) in pieces.iter().zip(0_u32..) {
        let special = piece.kind == Kind::Control;
        if special || piece.kind == Kind::UserDefined {
            let normalized = false;
            added
                .push((Some(id), AddedToken { normalized, ..AddedToken::from(piece.text.clone(), special) }));
        }
    }
    added
}

/// What SentencePiece does to a text before it looks for pieces. A class that splits by itself
/// (`splits`) only takes the charsmap of it.
fn components(
    parts: &mut Parts,
    source: &SentencePieces,
    splits: bool,
    config: &Map<String, Value>,
) -> Result<(), TokenizerError> {
    let switch = |field: &str, default: bool| match config.get(field) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(on)) => Ok(*on),
        Some(other) => Err(TokenizerError::field(CONFIG_FILE, field, other, "`true` or `false`")),
    };
    let prefix = switch("add_prefix_space", source.add_dummy_prefix)?;
    // Without `legacy`, the prefix space stands only at the start of a text, not after special tokens.
    let first_only = !switch("legacy", true)?;
    let mut steps = Vec::new();
    if !source.charsmap.is_empty() {
        steps.push(charsmap::normalizer(&source.charsmap));
    }
    if splits {
        parts.normalizer = json!({ "type": "Sequence", "normalizers": steps });
        return Ok(());
    }
    if source.remove_extra_whitespaces {
        // At the end, SentencePiece has already replaced the spaces, and takes a literal mark for one.
        let ends = format!("^ +|[ {SPACE}]+$");
        steps.push(json!({ "type": "Replace", "pattern": { "Regex": ends }, "content": "" }));
        steps.push(json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " }));
    }
    if first_only {
        let scheme = if prefix { "first" } else { "never" };
        parts.pre_tokenizer = metaspace(scheme, false);
    } else {
        if prefix {
            steps.push(json!({ "type": "Prepend", "prepend": SPACE }));
        }
        steps.push(json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE }));
    }
    parts.normalizer = json!({ "type": "Sequence", "normalizers": steps });
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    parts.decoder = json!({ "type": "Sequence", "decoders": decoders });
    Ok(())
}

fn metaspace(prepend_scheme: &str, split: bool) -> Value {
    json!({ "type": "Metaspace", "replacement": SPACE, "prepend_scheme": prepend_scheme, "split": split })
}
