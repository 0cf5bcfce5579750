//! Checkpoints that nobody named: fingerprints, `omni new` and `omni check --model`, run as a person runs them.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

type Outcome = Result<(), Box<dyn Error>>;

fn parity(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name)
}

fn config(name: &str) -> Result<Value, Box<dyn Error>> {
    Ok(serde_json::from_str(&fs::read_to_string(parity(name).join("config.json"))?)?)
}

/// Runs `omni` in `dir`: its exit code, standard output and standard error.
fn omni(dir: &Path, args: &[&str]) -> Result<(i32, String, String), Box<dyn Error>> {
    let empty = tempfile::tempdir()?;
    let out = Command::new(env!("CARGO_BIN_EXE_omni"))
        .args(args)
        .current_dir(dir)
        .env("HF_HUB_CACHE", empty.path())
        .env("XDG_CONFIG_HOME", empty.path())
        .env("NO_COLOR", "1")
        .env_remove("OMNI_REGISTRY")
        .output()?;
    let code = out.status.code().ok_or("killed by a signal")?;
    Ok((code, String::from_utf8(out.stdout)?, String::from_utf8(out.stderr)?))
}

fn success(dir: &Path, args: &[&str]) -> Result<String, Box<dyn Error>> {
    let (code, out, err) = omni(dir, args)?;
    if code == 0 { Ok(out) } else { Err(format!("{args:?} exits with {code}: {out}{err}").into()) }
}

/// What a command prints; it exits with 1 exactly where that holds an error.
fn json_of(dir: &Path, args: &[&str]) -> Result<Value, Box<dyn Error>> {
    let (code, out, err) = omni(dir, args)?;
    let json: Value = serde_json::from_str(&out)?;
    let is_wrong =
        ["error", "definition_error"].iter().any(|key| json.get(key).is_some_and(|e| !e.is_null()));
    assert_eq!((code, err.is_empty()), (i32::from(is_wrong), !is_wrong), "{args:?}: {out}{err}");
    Ok(json)
}

/// A directory `model` with this config and the tensors of a recorded checkpoint, renamed.
fn model(
    of: &str,
    config: &Value,
    rename: impl Fn(&str) -> Option<String>,
) -> Result<TempDir, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    fs::create_dir(dir.path().join("model"))?;
    fs::write(dir.path().join("model/config.json"), config.to_string())?;
    let bytes = fs::read(parity(of).join("model.safetensors"))?;
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into()?))?;
    let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length])?;
    let renamed = header.into_iter().map(|(name, entry)| (rename(&name).unwrap_or(name), entry));
    let mut header = Value::Object(renamed.collect()).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(&bytes[8 + length..]);
    fs::write(dir.path().join("model/model.safetensors"), out)?;
    Ok(dir)
}

fn same(_: &str) -> Option<String> {
    None
}

/// The recorded checkpoints that no other definition's tensors equal.
const ONE_OF_A_KIND: [&str; 16] = [
    "BertModel",
    "CLIPModel",
    "ConvNextModel",
    "DeepseekV3ForCausalLM",
    "GPT2LMHeadModel",
    "Gemma3ForCausalLM",
    "GptOssForCausalLM",
    "Mamba2ForCausalLM",
    "Phi3ForCausalLM",
    "Qwen3ForCausalLM",
    "Qwen3MoeForCausalLM",
    "Qwen3NextForCausalLM",
    "SwinModel",
    "T5ForConditionalGeneration",
    "ViTModel",
    "WhisperForConditionalGeneration",
];

#[test]
fn a_config_that_names_nothing_is_found_by_its_tensors() -> Outcome {
    for name in ONE_OF_A_KIND {
        let mut nameless = config(name)?;
        let named = json_of(&parity(name), &["info", ".", "--json"])?;
        let keys = nameless.as_object_mut().ok_or("an object")?;
        keys.shift_remove("architectures");
        keys.shift_remove("model_type");
        let dir = model(name, &nameless, same)?;
        let info = json_of(dir.path(), &["info", "model", "--json"])?;
        for key in ["architecture", "category", "task", "is_supported"] {
            assert_eq!(info[key], named[key], "{name}: {key}: {info}");
        }
    }
    Ok(())
}

#[test]
fn an_exact_fit_is_a_match_with_its_trace() -> Outcome {
    let mut unknown = config("Qwen3ForCausalLM")?;
    unknown["architectures"] = json!(["QuuxForCausalLM"]);
    unknown["model_type"] = json!("quux");
    let dir = model("Qwen3ForCausalLM", &unknown, same)?;
    let story = json_of(dir.path(), &["explain", "model", "--json"])?;
    assert_eq!(
        (&story["architecture"], &story["found_by"]),
        (&"Qwen3ForCausalLM".into(), &"fingerprint".into())
    );
    assert_eq!(story["rule"]["id"], "transformers-listed");
    let last = story["names"].as_array().and_then(|names| names.last()).ok_or("names")?;
    assert_eq!(last, &json!({ "step": "fingerprint", "name": "model", "found": "Qwen3ForCausalLM" }));
    let note = story["notes"][0].as_str().ok_or("a note")?;
    assert!(note.contains("exactly those of `Qwen3ForCausalLM`"), "{note}");
    // What is found so is also what is built.
    success(dir.path(), &["plan", "model"])?;
    Ok(())
}

#[test]
fn tensors_that_fit_two_definitions_are_a_tie() -> Outcome {
    let mut unknown = config("LlamaForCausalLM")?;
    unknown["architectures"] = json!(["QuuxForCausalLM"]);
    unknown["model_type"] = json!("quux");
    let dir = model("LlamaForCausalLM", &unknown, same)?;
    let error = json_of(dir.path(), &["info", "model", "--json"])?["error"].to_string();
    assert!(error.contains("the tensors of `model` could be any of `LlamaForCausalLM`, "), "{error}");
    assert!(error.contains("under `architectures` in `config.json`"), "{error}");
    Ok(())
}

#[test]
fn without_an_exact_fit_the_best_candidates_are_shown() -> Outcome {
    let rename = |name: &str| Some(name.replace("input_layernorm", "norm_1"));
    for names in [json!({ "architectures": ["QuuxForCausalLM"] }), json!({})] {
        let mut unknown = config("Qwen3ForCausalLM")?;
        let keys = unknown.as_object_mut().ok_or("an object")?;
        keys.shift_remove("architectures");
        keys.shift_remove("model_type");
        keys.extend(names.as_object().cloned().ok_or("an object")?);
        let dir = model("Qwen3ForCausalLM", &unknown, rename)?;
        let story = json_of(dir.path(), &["explain", "model", "--json"])?;
        assert_eq!(story["is_supported"], false);
        let best = json!({ "architecture": "Qwen3ForCausalLM", "agree": 23, "missing": 2, "unexpected": 2, "reshaped": 0 });
        assert_eq!(story["candidates"][0], best);
        let error = json_of(dir.path(), &["info", "model", "--json"])?["error"].to_string();
        assert!(error.contains("come nearest to `Qwen3ForCausalLM` (23 agree, 2 missing"), "{error}");
    }
    Ok(())
}

#[test]
fn new_writes_a_definition_that_checks_plans_and_fits() -> Outcome {
    let mut unknown = config("GptOssForCausalLM")?;
    unknown["architectures"] = json!(["QuuxForCausalLM"]);
    unknown["model_type"] = json!("quux");
    // Spelt as another family does, which a table of the registry knows.
    let keys = unknown.as_object_mut().ok_or("an object")?;
    let experts = keys.shift_remove("num_local_experts").ok_or("a number of experts")?;
    keys.insert("n_routed_experts".to_owned(), experts);
    let rename = |name: &str| Some(name.replace("self_attn.q_proj", "attn.query").replace("mlp.", "ffn."));
    let dir = model("GptOssForCausalLM", &unknown, rename)?;

    let told = success(dir.path(), &["new", "model"])?;
    assert!(
        told.contains("wrote ./quuxforcausallm.toml: QuuxForCausalLM extends GptOssForCausalLM"),
        "{told}"
    );
    assert!(told.contains("omni check: nothing found"), "{told}");
    assert!(told.contains("omni check --model: every tensor fits"), "{told}");
    assert!(told.contains("  omni check --model model --registry ./quuxforcausallm.toml"), "{told}");
    insta::assert_snapshot!("new", fs::read_to_string(dir.path().join("quuxforcausallm.toml"))?);

    let overlay = ["--registry", "quuxforcausallm.toml"];
    success(dir.path(), &["check", "quuxforcausallm.toml"])?;
    success(dir.path(), &["check", "--model", "model", overlay[0], overlay[1]])?;
    success(dir.path(), &["plan", "model", overlay[0], overlay[1]])?;
    let info = json_of(dir.path(), &["info", "model", "--json", overlay[0], overlay[1]])?;
    assert_eq!((&info["architecture"], &info["is_supported"]), (&"QuuxForCausalLM".into(), &true.into()));

    // What is there is never written over, unless that is asked for.
    let (code, _, err) = omni(dir.path(), &["new", "model"])?;
    assert_eq!(code, 1);
    assert!(err.contains("`./quuxforcausallm.toml` is there already"), "{err}");
    success(dir.path(), &["new", "model", "--force"])?;
    success(dir.path(), &["new", "model", "--out", "other.toml"])?;
    // With the overlay it has a definition, and needs no other.
    let (code, _, err) = omni(dir.path(), &["new", "model", "--out", "third.toml", overlay[0], overlay[1]])?;
    assert_eq!(code, 1);
    assert!(err.contains("`QuuxForCausalLM` has a definition already"), "{err}");
    Ok(())
}

#[test]
fn new_says_in_comments_what_it_cannot_tell() -> Outcome {
    let mut unknown = config("Qwen3ForCausalLM")?;
    unknown["architectures"] = json!(["Quux \n ForCausalLM"]);
    unknown["model_type"] = json!("quux");
    unknown["rope_magic"] = json!(7);
    unknown["vocab_size"] = json!(121);
    let rename = |name: &str| (name == "model.norm.weight").then(|| "something\u{7}.else".to_owned());
    let dir = model("Qwen3ForCausalLM", &unknown, rename)?;
    let told = success(dir.path(), &["new", "model", "--out", "out.toml"])?;
    assert!(told.contains("omni check: nothing found"), "{told}");
    assert!(told.contains("omni check --model: 4 errors"), "{told}");
    let text = fs::read_to_string(dir.path().join("out.toml"))?;
    for line in [
        "#   model.norm.weight [32]",
        "#   something .else [32]",
        "#   lm_head.weight: found [120, 32], expected [121, 32]",
        "#   rope_magic",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    success(dir.path(), &["check", "out.toml"])?;
    success(dir.path(), &["plan", "model", "--registry", "out.toml"])?;
    Ok(())
}

#[test]
fn new_works_from_a_config_alone() -> Outcome {
    let dir = tempfile::tempdir()?;
    let mut unknown = config("LlamaForCausalLM")?;
    unknown["architectures"] = json!(["LlamoForCausalLM"]);
    unknown["model_type"] = json!("llamo");
    fs::create_dir(dir.path().join("model"))?;
    fs::write(dir.path().join("model/config.json"), unknown.to_string())?;
    let told = success(dir.path(), &["new", "model"])?;
    assert!(told.contains("LlamoForCausalLM extends LlamaForCausalLM, the nearest by name"), "{told}");
    success(dir.path(), &["check", "llamoforcausallm.toml"])?;
    success(dir.path(), &["plan", "model", "--registry", "llamoforcausallm.toml"])?;
    Ok(())
}

#[test]
fn new_does_not_guess_where_nothing_tells_what_is_near() -> Outcome {
    let dir = tempfile::tempdir()?;
    fs::create_dir(dir.path().join("model"))?;
    fs::write(dir.path().join("model/config.json"), r#"{"hidden_size": 8}"#)?;
    let (code, _, told) = omni(dir.path(), &["new", "model"])?;
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("its config names nothing, and there are no weights to compare"), "{told}");
    assert_eq!(fs::read_dir(dir.path())?.count(), 1, "nothing is written");
    Ok(())
}

#[test]
fn every_recorded_checkpoint_fits_its_definition() -> Outcome {
    for name in ONE_OF_A_KIND.into_iter().chain(["LlamaForCausalLM", "Wav2Vec2Model"]) {
        let out = json_of(&parity(name), &["check", "--model", ".", "--output-format", "json"])?;
        assert_eq!((&out["architecture"], &out["fits"]), (&name.into(), &true.into()), "{out}");
    }
    Ok(())
}

#[test]
fn check_model_finds_what_does_not_fit_before_a_byte_is_read() -> Outcome {
    let mut wide = config("LlamaForCausalLM")?;
    wide["vocab_size"] = json!(121);
    wide["rope_magic"] = json!(7);
    let rename =
        |name: &str| name.contains("input_layernorm").then(|| name.replace("input_layernorm", "norm_1"));
    let dir = model("LlamaForCausalLM", &wide, rename)?;
    // No byte of weight is there to be read.
    let file = dir.path().join("model/model.safetensors");
    let bytes = fs::read(&file)?;
    let header = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into()?))?;
    fs::write(&file, &bytes[..header])?;
    fs::OpenOptions::new().write(true).open(&file)?.set_len(bytes.len() as u64)?;

    let (code, out, err) = omni(dir.path(), &["check", "--model", "model", "--output-format", "json"])?;
    assert_eq!(code, 1, "{out}{err}");
    let out: Value = serde_json::from_str(&out)?;
    let keys: Vec<&str> = out.as_object().ok_or("an object")?.keys().map(String::as_str).collect();
    let expected = [
        "name",
        "architecture",
        "fits",
        "findings",
        "parameters",
        "buffers",
        "bytes_in_32_bits",
        "bytes_in_16_bits",
        "tensors",
        "stored",
        "tied",
        "unread_config_keys",
    ];
    assert_eq!(keys, expected, "the keys of `check --model` are stable");
    let findings = out["findings"].as_array().ok_or("a list")?;
    let found: Vec<(&str, &str)> =
        findings.iter().filter_map(|one| Some((one["code"].as_str()?, one["message"].as_str()?))).collect();
    for expected in [
        ("missing-tensor", "the checkpoint lacks `model.layers.{0..1}.input_layernorm.weight` [32]"),
        ("unused-tensor", "no parameter of `LlamaForCausalLM` takes `model.layers.{0..1}.norm_1.weight`"),
        ("tensor-shape", "`lm_head.weight` is [120, 32] in the checkpoint, expected [121, 32]"),
        ("tensor-shape", "`model.embed_tokens.weight` is [120, 32] in the checkpoint, expected [121, 32]"),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
    // 23,200 numbers are stored; the wider vocabulary needs one more row at either end.
    assert_eq!((&out["parameters"], &out["bytes_in_32_bits"]), (&23_264.into(), &93_056.into()));
    assert_eq!(out["stored"], json!({ "F32": { "tensors": 21, "bytes": 92_800 } }));
    let unread = out["unread_config_keys"].as_array().ok_or("a list")?;
    assert!(unread.contains(&"rope_magic".into()) && !unread.contains(&"vocab_size".into()), "{unread:?}");
    for format in ["full", "concise", "sarif", "github", "junit"] {
        let (code, out, _) = omni(dir.path(), &["check", "--model", "model", "--output-format", format])?;
        assert_eq!(code, 1, "{format}");
        assert!(out.contains("missing-tensor"), "{format}: {out}");
    }
    assert_eq!(omni(dir.path(), &["check", "--model", "model", "--exit-zero"])?.0, 0);
    Ok(())
}

#[test]
fn check_model_mentions_renames_that_this_checkpoint_does_not_need() -> Outcome {
    let args = ["check", "--model", ".", "--output-format", "concise"];
    let out = success(&parity("BertModel"), &args)?;
    assert!(out.contains("renames nothing in this checkpoint"), "{out}");
    assert!(out.contains("it fits: 0 errors, 0 warnings, "), "{out}");
    let (code, ..) = omni(&parity("BertModel"), &["check", "--model", ".", "--fail-on", "note"])?;
    assert_eq!(code, 1, "a note fails where that is asked for");
    Ok(())
}

#[test]
fn check_model_says_which_tensors_are_tied() -> Outcome {
    let out = json_of(&parity("GPT2LMHeadModel"), &["check", "--model", ".", "--output-format", "json"])?;
    assert_eq!(out["tied"], json!([{ "name": "lm_head.weight", "to": "transformer.wte.weight" }]));
    Ok(())
}
