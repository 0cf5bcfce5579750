//! The README keeps its word: its definitions are clean, its commands exist. Its Rust is compiled by the doctests.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const README: &str = include_str!("../README.md");

fn omni(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_omni");
    let mut command = Command::new(program);
    command.args(arguments).env_remove("OMNI_REGISTRY").env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    let output = command.output();
    output.expect("the command starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The code blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```\n").next()).collect()
}

#[test]
fn the_definitions_are_clean() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let definitions: Vec<&str> =
        blocks("toml").into_iter().filter(|block| !block.contains("[dependencies]")).collect();
    assert!(definitions.len() >= 3, "the README shows {} pieces of a registry", definitions.len());
    for (number, definition) in definitions.iter().enumerate() {
        let path = dir.path().join(format!("{number}.toml"));
        fs::write(&path, definition).expect("written");
        let output = omni(&["check", &path.display().to_string()]);
        assert!(output.status.success(), "{}", text(&output));
    }
}

#[test]
fn the_new_architecture_is_traced() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let definition = blocks("toml").into_iter().find(|block| block.contains("AcmeForCausalLM"));
    let overlay = dir.path().join("acme.toml");
    fs::write(&overlay, definition.expect("the README defines an architecture")).expect("written");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/LlamaForCausalLM/config.json");
    let config = fs::read_to_string(base).expect("the config is there");
    let config = config.replace("LlamaForCausalLM", "AcmeForCausalLM").replace("\"llama\"", "\"acme\"");
    fs::write(dir.path().join("config.json"), config).expect("written");

    let (overlay, model) = (overlay.display().to_string(), dir.path().display().to_string());
    let plan = omni(&["plan", "--registry", &overlay, &model]);
    assert!(plan.status.success(), "{}", text(&plan));
    let params = text(&omni(&["plan", "--registry", &overlay, &model, "--params"]));
    assert!(params.contains("model.layers.1.self_attn.k_norm.weight [16]"), "{params}");
    let plan = text(&plan);
    assert!(plan.contains("mul(") && plan.contains("0.125"), "{plan}");
}

/// Every `omni …` and `cargo run … -- …` of the README, as its arguments.
fn commands() -> Vec<Vec<&'static str>> {
    let lines = blocks("sh").into_iter().flat_map(str::lines);
    let arguments = lines.filter_map(|line| {
        let line = line.split('#').next().unwrap_or_default().trim();
        line.strip_prefix("omni ").or_else(|| line.strip_prefix("cargo run --release -- "))
    });
    arguments.map(|arguments| arguments.split_whitespace().collect()).collect()
}

#[test]
fn the_commands_exist() {
    let commands = commands();
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        let help = omni(&[command[0], "--help"]);
        assert!(help.status.success(), "{command:?}: {}", text(&help));
        for option in command.iter().filter(|word| word.starts_with("--")) {
            assert!(text(&help).contains(option), "`omni {}` has no {option}", command[0]);
        }
    }
}
