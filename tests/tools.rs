//! The commands for people who write definitions, run as a person runs them: graph, test, fmt, diff, completions, man.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

type Outcome = Result<(), Box<dyn Error>>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omni"));
    command
        .args(args)
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .env("XDG_CONFIG_HOME", dir)
        .env_remove("OMNI_REGISTRY");
    command
}

/// The exit code, standard output and standard error.
fn omni(dir: &Path, args: &[&str]) -> Result<(i32, String, String), Box<dyn Error>> {
    let out = command(dir, args).output()?;
    let code = out.status.code().ok_or("killed by a signal")?;
    Ok((code, String::from_utf8(out.stdout)?, String::from_utf8(out.stderr)?))
}

fn success(dir: &Path, args: &[&str]) -> Result<String, Box<dyn Error>> {
    let (code, out, err) = omni(dir, args)?;
    if code == 0 { Ok(out) } else { Err(format!("{args:?} exits with {code}: {out}{err}").into()) }
}

const TOY: &str = r#"[architectures.ToyForCausalLM]
category    = "transformers"
task        = "causal-lm"
model-types = ["toy"]

[config.toy]
defaults = { vocab_size = 7, size = 4, depth = 3 }

[modules.ToyForCausalLM]
inputs         = ["input_ids"]
layers.embed   = "Embedding(vocab_size, size)"
layers.blocks  = "[Linear(size, size) for i in range(depth)]"
layers.lm_head = "Linear(size, vocab_size, bias=False)"
tied.lm_head   = "embed"
forward = '''
x = embed(input_ids)
for block in blocks:
    x = x + block(x)
return {"logits": lm_head(x)}
'''
"#;

#[test]
fn graph_draws_a_definition_and_folds_what_is_alike() -> Outcome {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("toy.toml"), TOY)?;
    let args = ["graph", "ToyForCausalLM", "--registry", "toy.toml", "--width", "80"];
    insta::assert_snapshot!("graph", success(dir.path(), &args)?);
    let narrow =
        success(dir.path(), &["graph", "ToyForCausalLM", "--registry", "toy.toml", "--width", "40"])?;
    assert!(
        narrow.contains('…') && narrow.lines().take(4).all(|line| line.chars().count() == 40),
        "{narrow}"
    );
    let json: Value = serde_json::from_str(&success(
        dir.path(),
        &["graph", "ToyForCausalLM", "--registry", "toy.toml", "--json"],
    )?)?;
    assert_eq!(json["parameters"], 7 * 4 + 3 * (16 + 4));
    assert_eq!(json["root"]["children"][1]["repeats"].as_array().map(Vec::len), Some(3));
    Ok(())
}

#[test]
fn graph_shows_a_model_on_the_disk_and_published_sizes() -> Outcome {
    let model = success(&root(), &["graph", "tests/parity/LlamaForCausalLM", "--depth", "2"])?;
    assert!(model.contains("lm_head") && !model.contains("q_proj"), "{model}");
    let full = success(&root(), &["graph", "GPT2LMHeadModel", "--defaults"])?;
    assert!(full.contains("124,439,808 parameters"), "{full}");
    let (code, _, err) = omni(&root(), &["graph", "GPT2LMHeadModle"])?;
    assert_eq!(code, 1);
    assert!(err.contains("GPT2LMHeadModel"), "{err}");
    Ok(())
}

#[test]
fn graph_writes_a_page_that_a_hostile_config_cannot_break_out_of() -> Outcome {
    let dir = tempfile::tempdir()?;
    let hostile = "</script><script>alert(1)</script>";
    let text = TOY.replace("depth = 3", &format!("depth = 3, name = {hostile:?}"));
    fs::write(dir.path().join("toy.toml"), text)?;
    let config = serde_json::json!({ "architectures": ["ToyForCausalLM"], "name": hostile, hostile: 1 });
    fs::write(dir.path().join("config.json"), config.to_string())?;
    success(dir.path(), &["graph", "config.json", "--registry", "toy.toml", "--html", "page.html"])?;
    let page = fs::read_to_string(dir.path().join("page.html"))?;
    assert_eq!(page.matches("</script>").count(), 2, "the page's own two");
    let data = page.split_once("id=\"data\">").and_then(|(_, rest)| rest.split_once("</script>"));
    let data: Value = serde_json::from_str(data.ok_or("data")?.0)?;
    assert_eq!(data["config"][hostile], 1);
    assert!(page.contains("prefers-color-scheme") && page.contains("ToyForCausalLM"));
    Ok(())
}

#[test]
fn test_holds_definitions_to_what_is_expected() -> Outcome {
    let dir = tempfile::tempdir()?;
    let expectations = "\n[[expect]]\nwhat = \"as written\"\narchitecture = \"ToyForCausalLM\"\nparameters = 88\n\
        inputs = { input_ids = \"[2, 5]\" }\noutputs = { logits = \"[2, 5, 7]\" }\n\n\
        [[expect]]\nwhat = \"from a file\"\narchitecture = \"ToyForCausalLM\"\nconfig = \"fixtures/deep.json\"\n\
        category = \"transformers\"\nmodel-type = \"toy\"\nparameters = 128\n";
    fs::create_dir_all(dir.path().join("fixtures"))?;
    let deep = r#"{ "architectures": ["ToyForCausalLM"], "model_type": "toy", "depth": 5 }"#;
    fs::write(dir.path().join("fixtures/deep.json"), deep)?;
    fs::write(dir.path().join("fixtures/config.json"), deep)?;
    let expectations = expectations.replace("deep.json", "config.json");
    fs::write(dir.path().join("toy.toml"), format!("{TOY}{expectations}"))?;
    let out = success(dir.path(), &["test", "toy.toml"])?;
    assert!(out.contains("✓ ToyForCausalLM: as written") && out.contains("2 passed, 0 failed"), "{out}");
    fs::write(dir.path().join("toy.toml"), format!("{TOY}{expectations}").replace("= 88", "= 89"))?;
    let (code, out, _) = omni(dir.path(), &["test", "toy.toml"])?;
    assert_eq!(code, 1);
    assert!(out.contains("✗ ToyForCausalLM: as written") && out.contains("found 88, expected 89"), "{out}");
    assert!(out.contains("toy.toml:"), "{out}");
    let (_, json, _) = omni(dir.path(), &["test", "toy.toml", "--json"])?;
    let json: Value = serde_json::from_str(&json)?;
    assert_eq!((&json[0]["passed"], &json[1]["passed"]), (&Value::from(false), &Value::from(true)));
    Ok(())
}

#[test]
fn the_shipped_registry_keeps_its_expectations_and_is_laid_out() -> Outcome {
    let out = success(&root(), &["test", "registry"])?;
    let passed: usize =
        out.lines().last().and_then(|line| line.split(' ').next()).ok_or("a summary")?.parse()?;
    assert!(passed >= 6, "{out}");
    success(&root(), &["fmt", "--check", "registry"])?;
    Ok(())
}

#[test]
fn fmt_lays_out_files_and_standard_input() -> Outcome {
    let dir = tempfile::tempdir()?;
    let untidy = TOY.replace("category    = ", "category=").replace("\n[config.toy]", "\n\n\n[config.toy]");
    fs::write(dir.path().join("toy.toml"), &untidy)?;
    let (code, out, _) = omni(dir.path(), &["fmt", "--check", "toy.toml"])?;
    assert_eq!((code, out.as_str()), (1, "toy.toml\n"));
    let (code, out, _) = omni(dir.path(), &["fmt", "--diff", "toy.toml"])?;
    assert_eq!(code, 1);
    assert!(out.contains("-category=\"transformers\"\n") && out.contains("+category    = "), "{out}");
    assert_eq!(fs::read_to_string(dir.path().join("toy.toml"))?, untidy, "neither of them writes");
    success(dir.path(), &["fmt", "toy.toml"])?;
    assert_eq!(fs::read_to_string(dir.path().join("toy.toml"))?, TOY);
    success(dir.path(), &["fmt", "--check", "toy.toml"])?;

    let mut child =
        command(dir.path(), &["fmt", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("piped")?.write_all(untidy.as_bytes())?;
    assert_eq!(String::from_utf8(child.wait_with_output()?.stdout)?, TOY);
    let (code, _, err) = {
        fs::write(dir.path().join("broken.toml"), "a = = 1\n")?;
        omni(dir.path(), &["fmt", "broken.toml"])?
    };
    assert_eq!(code, 1);
    assert!(err.contains("broken.toml"), "{err}");
    Ok(())
}

#[test]
fn diff_tells_what_differs_in_meaning() -> Outcome {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("a.toml"), TOY)?;
    fs::write(dir.path().join("same.toml"), format!("# other words\n{}", TOY.replace("    = ", "=")))?;
    fs::write(
        dir.path().join("b.toml"),
        TOY.replace("size = 4", "size = 5").replace("x + block", "x * block"),
    )?;
    assert_eq!(success(dir.path(), &["diff", "a.toml", "same.toml"])?, "nothing differs\n");
    let (code, out, _) = omni(dir.path(), &["diff", "ToyForCausalLM@a.toml", "ToyForCausalLM@b.toml"])?;
    assert_eq!(code, 1);
    assert!(out.contains("~ tensor blocks.0.weight\n    - [4, 4]\n    + [5, 5]\n"), "{out}");
    assert!(out.contains("op forward: (root)"), "{out}");
    let (code, json, _) = omni(dir.path(), &["diff", "a.toml", "b.toml", "--json"])?;
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&json)?;
    let names: Vec<&str> =
        json.as_array().ok_or("a list")?.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["toy.size", "ToyForCausalLM.forward"]);
    assert_eq!(omni(dir.path(), &["diff", "a.toml", "ToyForCausalLM@b.toml"])?.0, 2);
    Ok(())
}

#[test]
fn completions_and_manual_pages_name_every_command() -> Outcome {
    let dir = tempfile::tempdir()?;
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let text = success(dir.path(), &["completions", shell])?;
        for word in ["check", "graph", "fmt", "diff"] {
            assert!(text.contains(word), "{shell} has no {word}");
        }
    }
    assert!(success(dir.path(), &["man"])?.contains(".TH omni 1"));
    success(dir.path(), &["man", "pages/man1"])?;
    let help = success(dir.path(), &["--help"])?;
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let mut count = 0;
    for name in commands.filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = name.split_whitespace().next().ok_or("a name")?;
        if name != "help" {
            let page = fs::read_to_string(dir.path().join(format!("pages/man1/omni-{name}.1")))?;
            assert!(
                page.contains("SYNOPSIS") && page.contains(&format!(".TH omni-{name} 1")),
                "{name}: {page}"
            );
            count += 1;
        }
    }
    assert!(count >= 14, "{count} commands");
    Ok(())
}
