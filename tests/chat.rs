//! Chat templates against what transformers renders from the same templates and messages.
//!
//! `fixtures/tokenizer/chat.json` is made by `make.py` there.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its fixture fails")]

use std::path::Path;

use omni::tokenizer::{Message, Tokenizer, TokenizerError};
use serde_json::{Map, Value, json};

/// A directory with a tiny vocabulary and these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let model = json!({"type": "WordLevel", "vocab": {"<s>": 0, "</s>": 1, "a": 2}, "unk_token": "a"});
    std::fs::write(dir.path().join("tokenizer.json"), json!({"model": model}).to_string()).unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn with_template(template: &str) -> Tokenizer {
    let config = json!({"bos_token": "<s>", "eos_token": "</s>", "chat_template": template});
    Tokenizer::open(folder(&[("tokenizer_config.json", &config.to_string())]).path()).unwrap()
}

fn messages(value: &Value) -> Vec<Message> {
    let message = |fields: &Value| {
        let mut more = fields.as_object().unwrap().clone();
        let role = more.shift_remove("role").unwrap().as_str().unwrap().to_owned();
        let content = more.shift_remove("content").unwrap();
        let mut message = Message::new(&role, "");
        message.content = content;
        message.more = more;
        message
    };
    value.as_array().unwrap().iter().map(message).collect()
}

fn rendered(template: &str) -> Result<String, TokenizerError> {
    with_template(template).apply_chat(&[Message::new("user", "hi")], false, &Map::new())
}

fn reason(template: &str) -> String {
    match rendered(template) {
        Err(TokenizerError::Template { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn templates_render_as_in_transformers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizer/chat.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 60);
    let mut differences = Vec::new();
    for case in cases {
        let (template, chat) = (case["template"].as_str().unwrap(), case["chat"].as_str().unwrap());
        let tokenizer = with_template(file["templates"][template].as_str().unwrap());
        let messages = messages(&file["chats"][chat]);
        let prompt = case["add_generation_prompt"].as_bool().unwrap();
        let got = tokenizer.apply_chat(&messages, prompt, case["more"].as_object().unwrap());
        let same = match (&got, case["text"].as_str()) {
            (Ok(got), Some(text)) => got == text,
            (Err(error), None) => {
                let refusal = case["error"].as_str().unwrap();
                !refusal.starts_with("Conversation") || error.to_string().contains(refusal)
            }
            _ => false,
        };
        if !same {
            differences.push(format!("{template} / {chat}\n     got {got:?}\n  wanted {case}"));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn templates_come_from_their_own_files_before_the_configuration() {
    let config = json!({"chat_template": [
        {"name": "default", "template": "from the list"},
        {"name": "tool_use", "template": "tools of the list"},
        {"name": "rag", "template": "rag of the list"},
    ]})
    .to_string();
    let dir = folder(&[
        ("chat_template.jinja", "from the file"),
        ("additional_chat_templates/rag.jinja", "rag of its file"),
        ("additional_chat_templates/notes.txt", "no template"),
        ("tokenizer_config.json", &config),
        ("chat_template.json", r#"{"chat_template": "from the old file"}"#),
    ]);
    let tokenizer = Tokenizer::open(dir.path()).unwrap();
    assert_eq!(tokenizer.chat_templates(), ["default", "rag", "tool_use"]);
    let none = Map::new();
    assert_eq!(tokenizer.apply_chat(&[], false, &none).unwrap(), "from the file");
    assert_eq!(tokenizer.apply_named_chat(Some("rag"), &[], false, &none).unwrap(), "rag of its file");
    let tools = json!({"tools": [{}]});
    assert_eq!(tokenizer.apply_chat(&[], false, tools.as_object().unwrap()).unwrap(), "tools of the list");

    let old = folder(&[("chat_template.json", r#"{"chat_template": "from the old file"}"#)]);
    let tokenizer = Tokenizer::open(old.path()).unwrap();
    assert_eq!(tokenizer.apply_chat(&[], false, &none).unwrap(), "from the old file");
}

#[test]
fn a_missing_template_is_an_error_that_names_those_there_are() {
    let bare = Tokenizer::open(folder(&[]).path()).unwrap();
    let error = bare.apply_chat(&[], false, &Map::new()).unwrap_err();
    assert_eq!(error.to_string(), "no chat template `default`; there is none");
    let other = with_template("x").apply_named_chat(Some("rag"), &[], false, &Map::new()).unwrap_err();
    assert_eq!(other.to_string(), "no chat template `rag`; there is `default`");
}

#[test]
fn endless_templates_end() {
    assert_eq!(
        reason("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
        "engine ran out of fuel (line 1)"
    );
    assert!(reason("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").contains("recursion"));
    for hungry in [
        "{{ 'x' * 1000000000 }}",
        "{% set ns = namespace(t='xxxxxxxx') %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t %}{% endfor %}{{ ns.t }}",
        "{% set ns = namespace(t='xxxxxxxx') %}{% for i in range(99) %}{% set ns.t = ns.t.replace('x', 'xx') %}{% endfor %}",
        "{{ ([1] * 100000000) | tojson }}",
        "{{ [1] * 100000000 }}",
    ] {
        assert!(reason(hungry).contains("fuel"), "{hungry}: {}", reason(hungry));
    }
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(rendered(&format!("{{{{ {deep} }}}}")).is_err());
    assert!(rendered(&"{% if true %}".repeat(100_000)).is_err());
}

#[test]
fn wrong_templates_are_errors_with_a_line() {
    assert!(reason("a\n{% if %}").contains("(line 2)"));
    assert!(reason("{{ messages[0].role.nosuch() }}").contains("(line 1)"));
    assert!(reason("{% include 'secret' %}").contains("secret"));
    assert_eq!(reason("{{ raise_exception('only pairs') }}"), "it refuses: only pairs (line 1)");
    assert!(reason("{{ 1 | tojson(separators=1) }}").contains("(line 1)"));
}

#[test]
fn the_date_is_of_this_century() {
    assert!(rendered("{{ strftime_now('%d %b %Y') }}").unwrap().contains(" 20"));
}
