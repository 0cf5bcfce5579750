//! Directories as they come: incomplete, contradictory and hostile. Errors name the file, nothing panics.

#![expect(clippy::unwrap_used, reason = "a test that cannot write its directory fails")]

use std::path::{Path, PathBuf};

use omni::tokenizer::{PaddingSide, Tokenizer, TokenizerError};
use proptest::prelude::*;
use serde_json::{Value, json};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizer")
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn open(files: &[(&str, &[u8])]) -> Result<Tokenizer, TokenizerError> {
    Tokenizer::open(folder(files).path())
}

fn error(files: &[(&str, &[u8])]) -> String {
    let error = open(files).unwrap_err();
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

/// A word-level `tokenizer.json` with these tokens, changed by `change`.
fn words(tokens: &[&str], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    let mut file = json!({
        "version": "1.0",
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": tokens[0]},
    });
    change(&mut file);
    file.to_string().into_bytes()
}

#[test]
fn a_directory_without_a_vocabulary_names_what_was_looked_for() {
    let dir = folder(&[("config.json", b"{}"), ("vocab.json", b"{}")]);
    let message = Tokenizer::open(dir.path()).unwrap_err().to_string();
    assert!(message.starts_with("Tokenizer dependency missing: "), "{message}");
    for name in [
        "tokenizer.json",
        "tekken.json",
        "tokenizer.model",
        "spiece.model",
        "vocab.json with merges.txt",
        "vocab.txt",
    ] {
        assert!(message.contains(&format!("`{name}`")), "{message}");
    }
    for absent in [dir.path().join("absent"), dir.path().join("config.json")] {
        assert!(matches!(Tokenizer::open(&absent), Err(TokenizerError::Missing { .. })));
    }
}

#[test]
fn the_first_format_in_the_order_of_the_reference_wins() {
    let dir = tempfile::tempdir().unwrap();
    let copy = |from: &str, name: &str| {
        std::fs::copy(fixtures().join(from).join(name), dir.path().join(name)).unwrap()
    };
    for (from, name, source) in [
        ("wordpiece", "vocab.txt", "vocab.txt"),
        ("bytelevel", "vocab.json", "vocab.txt"),
        ("bytelevel", "merges.txt", "vocab.json"),
        ("spm_unigram", "spiece.model", "spiece.model"),
        ("tiktoken", "tokenizer.model", "tokenizer.model"),
        ("tekken", "tekken.json", "tekken.json"),
        ("json", "tokenizer.json", "tokenizer.json"),
    ] {
        copy(from, name);
        assert_eq!(Tokenizer::open(dir.path()).unwrap().source(), source);
    }
}

#[test]
fn the_eos_token_pads_where_there_is_no_pad_token() {
    let config = br#"{"eos_token": {"content": "</s>", "__type": "AddedToken"}, "padding_side": "left"}"#;
    let tokenizer = open(&[
        ("tokenizer.json", &words(&["<unk>", "</s>", "a"], |_| ())),
        ("tokenizer_config.json", config),
    ])
    .unwrap();
    assert_eq!((tokenizer.eos_id(), tokenizer.pad_id(), tokenizer.bos_id()), (Some(1), Some(1), None));
    assert_eq!(tokenizer.notes(), ["no pad token: the eos token `</s>` pads"]);
    assert_eq!(tokenizer.padding_side(), PaddingSide::Left);
    let batch = tokenizer.encode_batch(&["a a a", "a"], false, tokenizer.padding_side()).unwrap();
    assert_eq!(batch.ids, [2, 2, 2, 1, 1, 2]);
    assert_eq!(batch.mask, [true, true, true, false, false, true]);
}

#[test]
fn rows_of_different_length_need_a_padding_token() {
    let tokenizer = open(&[("tokenizer.json", &words(&["<unk>", "a"], |_| ()))]).unwrap();
    assert!(tokenizer.encode_batch(&["a", "a a"], false, PaddingSide::Left).is_err());
    assert_eq!(tokenizer.encode_batch(&["a a", "a a"], false, PaddingSide::Left).unwrap().ids, [1; 4]);
    assert_eq!(tokenizer.encode_batch(&[], false, PaddingSide::Left).unwrap().rows, 0);
    let batch = tokenizer.with_pad_id(7).encode_batch(&["a", "a a"], false, PaddingSide::Right).unwrap();
    assert_eq!(batch.ids, [1, 7, 1, 1]);
}

#[test]
fn special_tokens_come_from_all_the_files_that_name_them() {
    let map = br#"{"bos_token": "<s>", "pad_token": {"content": "<pad>", "lstrip": true}, "additional_special_tokens": ["<x>"]}"#;
    let added = br#"{"<new>": 5}"#;
    let json = words(&["<unk>", "<s>", "<pad>", "<x>", "a"], |_| ());
    let files: [(&str, &[u8]); 3] =
        [("tokenizer.json", &json), ("special_tokens_map.json", map), ("added_tokens.json", added)];
    let tokenizer = open(&files).unwrap();
    assert_eq!((tokenizer.bos_id(), tokenizer.pad_id(), tokenizer.id("<new>")), (Some(1), Some(2), Some(5)));
    assert_eq!(tokenizer.vocab_size(), 6);
    assert_eq!(tokenizer.encode("a <new> <pad><x>", false).unwrap(), [4, 5, 2, 3]);
    assert_eq!(tokenizer.decode(&[1, 4, 3, 99], true).unwrap(), "a");
    assert!(tokenizer.notes().iter().any(|note| note.contains("lacks 1 of the special tokens")));
    assert_eq!(tokenizer.token(3).as_deref(), Some("<x>"));
}

#[test]
fn a_token_that_lands_on_another_id_is_reported() {
    let config = br#"{"added_tokens_decoder": {"9": {"content": "<far>", "special": true}}}"#;
    let tokenizer =
        open(&[("tokenizer.json", &words(&["<unk>", "a"], |_| ())), ("tokenizer_config.json", config)])
            .unwrap();
    assert_eq!(tokenizer.notes()[0], "`tokenizer_config.json` gives `<far>` the id 9, but its place is 2");
}

#[test]
fn wrong_configuration_fields_are_named() {
    let json = words(&["<unk>", "a"], |_| ());
    for (config, message) in [
        (
            r#"{"bos_token": 5}"#,
            "`bos_token` in `tokenizer_config.json` is `5`, expected a string or an object with `content`",
        ),
        (
            r#"{"eos_token": {"content": 1}}"#,
            "`eos_token.content` in `tokenizer_config.json` is `1`, expected a string",
        ),
        (
            r#"{"eos_token": {"lstrip": true}}"#,
            "`tokenizer_config.json` is not a usable tokenizer file: `eos_token` has no `content`",
        ),
        (
            r#"{"padding_side": "up"}"#,
            "`padding_side` in `tokenizer_config.json` is the string \"up\", expected `left` or `right`",
        ),
        (
            r#"{"added_tokens_decoder": {"x": {}}}"#,
            "`added_tokens_decoder.x` in `tokenizer_config.json` is the string \"x\", expected an id",
        ),
        (
            r#"{"split_special_tokens": 1}"#,
            "`split_special_tokens` in `tokenizer_config.json` is `1`, expected `true` or `false`",
        ),
        (
            r#"{"chat_template": 1}"#,
            "`chat_template` in `tokenizer_config.json` is `1`, expected a template or a list of named ones",
        ),
        (
            r#"{"tokenizer_class": []}"#,
            "`tokenizer_class` in `tokenizer_config.json` is a list of 0, expected a name",
        ),
        ("[]", "`tokenizer_config.json` is not a usable tokenizer file: a list of 0, expected an object"),
    ] {
        assert_eq!(
            error(&[("tokenizer.json", &json), ("tokenizer_config.json", config.as_bytes())]),
            message
        );
    }
    let broken = error(&[("tokenizer.json", &json), ("tokenizer_config.json", b"{")]);
    assert!(broken.starts_with("`tokenizer_config.json` is not valid JSON: "), "{broken}");
}

#[test]
fn hostile_tokenizer_json_is_an_error() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bpe = |vocab: Value, merges: Value| {
        json!({"model": {"type": "BPE", "vocab": vocab, "merges": merges}}).to_string()
    };
    for (text, part) in [
        (String::new(), "is not valid JSON"),
        ("{".to_owned(), "is not valid JSON"),
        (nested, "is not valid JSON"),
        ("null".to_owned(), "expected an object"),
        ("{}".to_owned(), "it has no `model`"),
        (r#"{"model": {"type": "Magic"}}"#.to_owned(), "`model.type`"),
        (r#"{"model": {"type": "Unigram", "vocab": [], "unk_id": 3}}"#.to_owned(), "model: "),
        (r#"{"model": {"type": "BPE"}}"#.to_owned(), "model: "),
        (bpe(json!({"a": 0, "b": 1}), json!(["a b"])), "the merge of `a` and `b` gives no known token"),
        (bpe(json!({"a": 0, "b": 1}), json!([["a", "b"]])), "the merge of `a` and `b` gives no known token"),
        (bpe(json!({"a": 0, "b": 1, "abc": 2}), json!(["a b"])), "out of vocabulary"),
        (bpe(json!({"a": -1}), json!([])), "vocab[\"a\"]"),
        (bpe(json!({"a": u32::MAX}), json!([])), "vocab[\"a\"]"),
        (r#"{"model": {"type": "WordLevel", "vocab": {}, "unk_token": "a"}, "added_tokens": 5}"#.to_owned(), "added_tokens: "),
        (r#"{"model": {"type": "WordLevel", "vocab": {}, "unk_token": "a"}, "normalizer": {"type": "None"}}"#.to_owned(), "normalizer: "),
        (r#"{"model": {"type": "WordLevel", "vocab": {}, "unk_token": "a"}, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": false}}"#.to_owned(), "pre_tokenizer: "),
        (r#"{"model": {"type": "WordLevel", "vocab": {}, "unk_token": "a"}, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "!"}}"#.to_owned(), "precompiled_charsmap: "),
        (r#"{"model": {"type": "WordLevel", "vocab": {}, "unk_token": "a"}, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "BAAAAAEAAAA="}}"#.to_owned(), "precompiled_charsmap: "),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n".to_owned(), "Git LFS pointer"),
    ] {
        let message = error(&[("tokenizer.json", text.as_bytes())]);
        assert!(message.contains("tokenizer.json") && message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn hostile_older_files_are_errors() {
    let merges: &[u8] = b"#version: 0.2\na b\n";
    for (files, part) in [
        (vec![("vocab.json", b"[]".as_slice()), ("merges.txt", merges)], "expected an object"),
        (vec![("vocab.json", br#"{"a": 0, "b": 1}"#), ("merges.txt", merges)], "the merge of `a` and `b`"),
        (vec![("vocab.json", br#"{"a": 0}"#), ("merges.txt", b"a b c")], "line 1 is not two tokens"),
        (vec![("vocab.json", br#"{"a": 1e3}"#), ("merges.txt", b"")], "vocab[\"a\"]"),
        (vec![("vocab.json", br#"{"a": 0}"#), ("merges.txt", b"\xFF\xFE")], "not UTF-8"),
        (vec![("vocab.txt", b"a\nb\n")], "it lacks the unknown token `[UNK]`"),
        (vec![("vocab.txt", b"")], "it lacks the unknown token"),
        (vec![("tokenizer.model", b"")], "it holds no pieces"),
        (vec![("tokenizer.model", b"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01")], "it ends after 0 bytes"),
        (vec![("tokenizer.model", b"YQ== 0\nYQ== x\n")], "line 2 is not a base64 token and a rank"),
        (vec![("tokenizer.model", b"YQ== 0\nYg== 0\n")], "two tokens have the rank 0"),
        (vec![("spiece.model", b"\x0A\x06\x0A\x01a\x18\x09\x00")], "spiece.model"),
        (vec![("tekken.json", b"{}")], "it has no `config.pattern`"),
        (vec![("tekken.json", br#"{"config": {"pattern": "a"}}"#)], "it has no list `special_tokens`"),
        (vec![("tekken.json", br#"{"config": {"pattern": "a", "default_num_special_tokens": 99999999999}, "special_tokens": []}"#)], "99999999999 special tokens"),
        (vec![("tekken.json", br#"{"config": {"pattern": "a"}, "special_tokens": [{"rank": 1, "token_str": "a"}]}"#)], "leave gaps"),
        (vec![("tekken.json", br#"{"config": {"pattern": "("}, "special_tokens": [], "vocab": []}"#)], "pre_tokenizer: "),
    ] {
        let message = error(&files);
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn an_unknown_class_is_noted() {
    let dir = fixtures().join("bytelevel");
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let (vocab, merges) = (read("vocab.json"), read("merges.txt"));
    let config = br#"{"tokenizer_class": "MadeUpTokenizerFast"}"#;
    let tokenizer =
        open(&[("vocab.json", &vocab), ("merges.txt", &merges), ("tokenizer_config.json", config)]).unwrap();
    assert_eq!(
        tokenizer.notes(),
        ["the tokenizer class `MadeUpTokenizer` is not known: `vocab.json` is read by its own rules"]
    );
}

#[test]
fn broken_characters_and_holes_do_not_stop_a_stream() {
    let tokenizer = Tokenizer::open(&fixtures().join("json")).unwrap();
    // The bytes of half a character, again and again, then a letter.
    let half = tokenizer.encode("é", false).unwrap()[0];
    let letter = tokenizer.encode("a", false).unwrap()[0];
    let ids: Vec<u32> = std::iter::repeat_n(half, 40).chain([letter, 4_000_000, u32::MAX]).collect();
    let mut stream = tokenizer.stream(true);
    let pieces: Vec<String> = ids.iter().filter_map(|id| stream.push(*id).unwrap()).collect();
    assert!(pieces.len() > 2, "it waits for no more than a few tokens");
    let text = pieces.concat() + &stream.finish().unwrap().unwrap_or_default();
    assert_eq!(text.chars().filter(|letter| *letter == 'a').count(), 1);
}

/// The files of one fixture, one byte of one of them changed or its end cut off.
fn damaged(name: &'static str, file: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let bytes = std::fs::read(fixtures().join(name).join(file)).unwrap();
    let length = bytes.len();
    (0..length, any::<u8>(), 0..=length).prop_map(move |(at, byte, end)| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        if end % 3 == 0 {
            bytes.truncate(end);
        }
        bytes
    })
}

fn survives(file: &str, bytes: &[u8]) {
    if let Ok(tokenizer) = open(&[(file, bytes)]) {
        for text in ["Hello world", "ﬁ é\u{301} ½ 😀 \u{0}", "<s>a</s>"] {
            if let Ok(ids) = tokenizer.encode(text, true) {
                let _ = tokenizer.decode(&ids, false);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn damaged_unigram_models_open_or_fail(bytes in damaged("spm_unigram", "spiece.model")) {
        survives("spiece.model", &bytes);
    }

    #[test]
    fn damaged_bpe_models_open_or_fail(bytes in damaged("spm_bpe", "tokenizer.model")) {
        survives("tokenizer.model", &bytes);
    }

    #[test]
    fn damaged_tokenizer_json_opens_or_fails(bytes in damaged("json", "tokenizer.json")) {
        survives("tokenizer.json", &bytes);
    }

    #[test]
    fn damaged_rank_files_open_or_fail(bytes in damaged("tiktoken", "tokenizer.model")) {
        survives("tokenizer.model", &bytes);
    }
}
