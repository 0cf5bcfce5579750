//! Every tokenizer format against the ids that the reference libraries give for the same files.
//!
//! The folders under `fixtures/tokenizer` are made by `make.py` there.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its fixture fails")]

use std::path::{Path, PathBuf};

use omni::tokenizer::{TextStream, Tokenizer};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizer")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

fn streamed(mut stream: TextStream<'_>, ids: &[u32]) -> String {
    let mut text: String = ids.iter().filter_map(|id| stream.push(*id).unwrap()).collect();
    text.extend(stream.finish().unwrap());
    text
}

/// Compares all that `expected.json` records; collects the differences, so that one run shows them all.
fn check(name: &str) {
    let dir = fixtures().join(name);
    let tokenizer = Tokenizer::open(&dir).unwrap();
    let texts = read_json(&fixtures().join("texts.json"));
    let expected = read_json(&dir.join("expected.json"));
    let rows = expected["rows"].as_array().unwrap();
    assert_eq!(texts.as_array().unwrap().len(), rows.len());
    assert!(rows.iter().filter(|row| !row["ids"].is_null()).count() >= 30);
    let mut differences = Vec::new();
    let mut compare = |what: &str, text: &str, got: String, wanted: String| {
        if got != wanted {
            differences.push(format!("{what} of {text:?}\n     got {got}\n  wanted {wanted}"));
        }
    };
    for (text, row) in texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).zip(rows) {
        if row["ids"].is_null() {
            continue;
        }
        let wanted = ids(&row["ids"]);
        let got = tokenizer.encode(text, false).unwrap();
        compare("ids", text, format!("{got:?}"), format!("{wanted:?}"));
        if !row["special"].is_null() {
            let got = tokenizer.encode(text, true).unwrap();
            compare("special ids", text, format!("{got:?}"), format!("{:?}", ids(&row["special"])));
        }
        for (what, skip) in [("decoded", false), ("skipped", true)] {
            if let Some(wanted_text) = row[what].as_str() {
                let got = tokenizer.decode(&wanted, skip).unwrap();
                compare(what, text, format!("{got:?}"), format!("{wanted_text:?}"));
                let got = streamed(tokenizer.stream(skip), &wanted);
                compare("stream", text, format!("{got:?}"), format!("{wanted_text:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{name}, {} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn tokenizer_json() {
    check("json");
}

#[test]
fn byte_level_vocab_and_merges() {
    check("bytelevel");
}

#[test]
fn byte_level_with_a_pattern_of_its_own() {
    check("bytelevel_split");
}

#[test]
fn byte_level_between_two_tokens() {
    check("bytelevel_framed");
}

#[test]
fn byte_level_with_marked_word_ends() {
    check("bytelevel_words");
}

#[test]
fn word_pieces() {
    check("wordpiece");
}

#[test]
fn word_pieces_with_case() {
    check("wordpiece_cased");
}

#[test]
fn sentencepiece_bpe() {
    check("spm_bpe");
}

#[test]
fn sentencepiece_bpe_with_a_prefix_at_the_start_only() {
    check("spm_bpe_first");
}

#[test]
fn sentencepiece_bpe_without_any_configuration() {
    check("spm_plain");
}

#[test]
fn sentencepiece_unigram() {
    check("spm_unigram");
}

#[test]
fn sentencepiece_unigram_renumbered() {
    check("spm_unigram_shifted");
}

#[test]
fn sentencepiece_unigram_without_any_configuration() {
    check("spm_unigram_plain");
}

#[test]
fn tiktoken_under_the_name_of_sentencepiece() {
    check("tiktoken");
}

#[test]
fn tekken() {
    check("tekken");
}

#[test]
fn tokenizer_json_of_pieces_with_a_charsmap() {
    check("json_unigram");
}

#[test]
fn tokenizer_json_of_word_pieces_whatever_padding_it_asks_for() {
    check("json_wordpiece");
}

#[test]
fn tokenizer_json_with_byte_fallback() {
    check("json_fallback");
}

#[test]
fn characters_of_a_speech_model() {
    let dir = fixtures().join("characters");
    let tokenizer = Tokenizer::open(&dir).unwrap();
    let expected = read_json(&dir.join("expected.json"));
    for row in expected["texts"].as_array().unwrap() {
        let text = row["text"].as_str().unwrap();
        assert_eq!(tokenizer.encode(text, false).unwrap(), ids(&row["ids"]), "{text}");
    }
    for row in expected["frames"].as_array().unwrap() {
        let ids = ids(&row["ids"]);
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), row["text"].as_str().unwrap(), "{ids:?}");
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), row["skipped"].as_str().unwrap(), "{ids:?}");
    }
}
