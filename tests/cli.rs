//! The commands that look at models, run as a person runs them.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use omni::registry::Registry;
use serde_json::Value;

type Outcome = Result<(), Box<dyn Error>>;

fn parity() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity")
}

/// Runs `omni` in `dir` with no cache and no overlays: its exit code, standard output and standard error.
fn omni(dir: &Path, args: &[&str]) -> Result<(i32, String, String), Box<dyn Error>> {
    omni_with(dir, args, &[])
}

/// The same with more of an environment.
fn omni_with(
    dir: &Path,
    args: &[&str],
    env: &[(&str, &OsStr)],
) -> Result<(i32, String, String), Box<dyn Error>> {
    let empty = tempfile::tempdir()?;
    let out = Command::new(env!("CARGO_BIN_EXE_omni"))
        .args(args)
        .current_dir(dir)
        .env("HF_HUB_CACHE", empty.path())
        .env("XDG_CONFIG_HOME", empty.path())
        .env("NO_COLOR", "1")
        .env_remove("OMNI_REGISTRY")
        .env_remove("COLUMNS")
        .envs(env.iter().copied())
        .output()?;
    let code = out.status.code().ok_or("killed by a signal")?;
    Ok((code, String::from_utf8(out.stdout)?, String::from_utf8(out.stderr)?))
}

fn success(dir: &Path, args: &[&str]) -> Result<String, Box<dyn Error>> {
    let (code, out, err) = omni(dir, args)?;
    if code == 0 { Ok(out) } else { Err(format!("{args:?} exits with {code}: {err}").into()) }
}

/// What a command prints about something that cannot be loaded: it exits with 1, and says why on standard error.
fn refused(dir: &Path, args: &[&str], why: &str) -> Result<String, Box<dyn Error>> {
    let (code, out, err) = omni(dir, args)?;
    assert!(code == 1 && err.contains(why), "{args:?} exits with {code}: {err}");
    Ok(out)
}

fn write(dir: &Path, file: &str, text: &str) -> Outcome {
    let path = dir.join(file);
    fs::create_dir_all(path.parent().ok_or("a file lies in a folder")?)?;
    Ok(fs::write(path, text)?)
}

#[test]
fn info_says_what_a_model_is() -> Outcome {
    insta::assert_snapshot!("info", success(&parity(), &["info", "LlamaForCausalLM"])?);
    let json: Value = serde_json::from_str(&success(&parity(), &["info", "LlamaForCausalLM", "--json"])?)?;
    let keys: Vec<&str> = json.as_object().ok_or("an object")?.keys().map(String::as_str).collect();
    let expected = [
        "name",
        "architecture",
        "model_type",
        "category",
        "task",
        "is_quantized",
        "quantization",
        "has_talker",
        "is_omni",
        "is_supported",
        "has_custom_files",
        "parameters",
        "dtypes",
        "size_on_disk",
        "error",
    ];
    assert_eq!(keys, expected, "the keys of `info --json` are stable");
    assert_eq!(json["is_supported"], true);
    Ok(())
}

#[test]
fn info_tells_a_person_once_why_something_cannot_be_loaded_and_what_to_do() -> Outcome {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "m/config.json", r#"{ "architectures": ["LlamaForTokenClassification"] }"#)?;
    let (code, out, err) = omni(dir.path(), &["info", "m"])?;
    assert_eq!(
        (code, out.contains("supported     no"), out.contains("no definition yet")),
        (1, true, false),
        "{out}"
    );
    assert_eq!(err.matches("no definition yet").count(), 1, "{err}");
    assert!(err.contains("`omni new DIR` writes"), "{err}");
    let json: Value =
        serde_json::from_str(&refused(dir.path(), &["info", "m", "--json"], "no definition yet")?)?;
    assert!(json["error"].as_str().is_some_and(|error| error.contains("no definition yet")), "{json}");
    Ok(())
}

#[test]
fn explain_names_every_definition_whose_tensors_fit() -> Outcome {
    let dir = tempfile::tempdir()?;
    let llama = parity().join("LlamaForCausalLM");
    let config = fs::read_to_string(llama.join("config.json"))?;
    let config = config.replace("LlamaForCausalLM", "QuuxForCausalLM").replace(r#""llama""#, r#""quux""#);
    write(dir.path(), "m/config.json", &config)?;
    fs::copy(llama.join("model.safetensors"), dir.path().join("m/model.safetensors"))?;
    let story = refused(dir.path(), &["explain", "m", "--json"], "could be any of")?;
    let story: Value = serde_json::from_str(&story)?;
    let candidates = story["candidates"].as_array().ok_or("a list")?;
    let exact = |name: &str| {
        candidates
            .iter()
            .any(|one| one["architecture"] == name && one["missing"] == 0 && one["unexpected"] == 0)
    };
    assert!(exact("LlamaForCausalLM") && exact("MistralForCausalLM"), "{candidates:?}");
    Ok(())
}

#[test]
fn run_says_at_once_that_a_model_generates_nothing() -> Outcome {
    let dir = tempfile::tempdir()?;
    let write_config = |name: &str, config: &str| write(dir.path(), &format!("{name}/config.json"), config);
    write_config("known", r#"{ "architectures": ["LlamaForTokenClassification"] }"#)?;
    write(dir.path(), "pipeline/model_index.json", r#"{ "_class_name": "StableDiffusionPipeline" }"#)?;
    // Neither tokenizer nor weights are there, and neither is asked for.
    for name in ["BertModel", "Qwen2_5OmniForConditionalGeneration"] {
        write_config(name, &fs::read_to_string(parity().join(name).join("config.json"))?)?;
    }
    let talker = ["Qwen2_5OmniForConditionalGeneration", "--mode", "talker_only"];
    let mistaken = ["Qwen2_5OmniForConditionalGeneration", "--mode", "talkr_only"];
    let sae =
        parity().join("sae/gemma_scope/resid_post/layer_5/width_16k/average_l0_18").display().to_string();
    let cases: [(&[&str], &str, &str); 6] = [
        (&["BertModel"], "a model for `embed` generates no tokens", "`omni plan DIR`"),
        (&[&sae], "a model for `sparse-autoencode` generates no tokens", "`Model::forward`"),
        (&talker, "in mode `talker_only` a model runs `talk`", "`omni plan DIR --mode talker_only`"),
        (&mistaken, "has no mode `talkr_only`", "did you mean `talker_only`?"),
        (&["known"], "no definition of it yet", "`omni new DIR`"),
        (&["pipeline"], "a pipeline of models", "give the folder of one of them"),
    ];
    for (args, what, help) in cases {
        let (code, out, err) = omni(dir.path(), &[&["run"], args, &["--device", "cpu"]].concat())?;
        let err = err.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}: {err}");
        assert!(err.contains(what) && err.contains(help) && !err.contains("okenizer"), "{args:?}: {err}");
    }
    // What generates does miss its tokenizer, and is told where to take one from.
    let (_, _, err) = omni(&parity(), &["run", "LlamaForCausalLM", "hi", "--device", "cpu"])?;
    assert!(err.contains("Tokenizer dependency missing") && err.contains("`--tokenizer`"), "{err}");
    Ok(())
}

#[test]
fn info_about_nothing_fails() -> Outcome {
    let dir = tempfile::tempdir()?;
    let (code, out, err) = omni(dir.path(), &["info", "./absent"])?;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("absent"), "{err}");
    Ok(())
}

/// The leaf folders that hold one recorded autoencoder each, of every layout.
fn autoencoders() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let (mut leaves, mut open) = (Vec::new(), vec![parity().join("sae")]);
    while let Some(folder) = open.pop() {
        if folder.join("golden.safetensors").is_file() {
            leaves.push(folder.clone());
        }
        for entry in fs::read_dir(&folder)? {
            open.extend(Some(entry?.path()).filter(|path| path.is_dir()));
        }
    }
    leaves.sort();
    Ok(leaves)
}

/// The numbers in the weight file of a leaf; what else lies there is none.
fn numbers(leaf: &Path) -> Result<u64, Box<dyn Error>> {
    const WEIGHTS: [&str; 6] = [
        "sae_weights.safetensors",
        "sae.safetensors",
        "params.safetensors",
        "params.npz",
        "ae.pt",
        "checkpoints/final.safetensors",
    ];
    let file = WEIGHTS.iter().map(|file| leaf.join(file)).find(|file| file.is_file());
    let checkpoint = omni::weights::Checkpoint::open(file.ok_or("a weight file")?)?;
    Ok(checkpoint.tensors().map(|(_, entry)| entry.shape.iter().product::<usize>() as u64).sum())
}

#[test]
fn a_leaf_of_every_layout_of_autoencoders_is_told_explained_and_planned() -> Outcome {
    let leaves = autoencoders()?;
    assert!(leaves.len() > 12, "{leaves:?}");
    for leaf in leaves {
        let info: Value = serde_json::from_str(&success(&leaf, &["info", ".", "--json"])?)?;
        assert_eq!((&info["category"], &info["is_supported"]), (&"sae".into(), &true.into()), "{info}");
        assert_eq!(info["parameters"], numbers(&leaf)?, "{}: {info}", leaf.display());
        assert_ne!(info["dtypes"], serde_json::json!([]), "{info}");
        let story: Value = serde_json::from_str(&success(&leaf, &["explain", ".", "--json"])?)?;
        assert_eq!((&story["architecture"], &story["status"]), (&info["architecture"], &"defined".into()));
        let plan = success(&leaf, &["plan", ".", "--method", "encode"])?;
        assert!(plan.contains("features"), "{plan}");
    }
    Ok(())
}

#[test]
fn explain_tells_the_story_of_a_defined_model() -> Outcome {
    insta::assert_snapshot!("explain_defined", success(&parity(), &["explain", "Wav2Vec2Model"])?);
    Ok(())
}

#[test]
fn explain_says_what_to_write_for_an_unknown_one_and_never_runs_its_code() -> Outcome {
    let dir = tempfile::tempdir()?;
    let config = r#"{ "architectures": ["QuuxForCausalLM"], "model_type": "quux", "hidden_size": 8,
        "num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1, "vocab_size": 9 }"#;
    write(dir.path(), "quux/config.json", config)?;
    write(dir.path(), "quux/modeling_quux.py", "open('ran', 'w')\n")?;
    let why = "architecture not recognized: `QuuxForCausalLM`";
    insta::assert_snapshot!("explain_unknown", refused(dir.path(), &["explain", "quux"], why)?);
    assert!(!dir.path().join("ran").exists() && !dir.path().join("quux/ran").exists());
    let json: Value = serde_json::from_str(&refused(dir.path(), &["explain", "quux", "--json"], why)?)?;
    assert_eq!(json["is_supported"], false);
    let info: Value = serde_json::from_str(&refused(dir.path(), &["info", "quux", "--json"], why)?)?;
    assert_eq!((&info["is_supported"], &info["error"]), (&false.into(), &json["error"]));
    assert_eq!(json["custom_code"][0], "modeling_quux.py");
    // What it says to write is a registry file, and with it the architecture is known and can be built.
    write(dir.path(), "overlay.toml", json["what_to_write"].as_str().ok_or("something to write")?)?;
    let args = ["info", "quux", "--registry", "overlay.toml", "--json"];
    let info: Value = serde_json::from_str(&success(dir.path(), &args)?)?;
    assert_eq!((&info["architecture"], &info["is_supported"]), (&"QuuxForCausalLM".into(), &true.into()));
    let params = success(dir.path(), &["plan", "quux", "--registry", "overlay.toml", "--params"])?;
    assert!(params.contains("embed_tokens.weight [9, 8]"), "{params}");
    Ok(())
}

#[test]
fn explain_tells_a_person_once_why_something_cannot_be_loaded() -> Outcome {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "bare/notes.txt", "hello")?;
    write(dir.path(), "broken/config.json", r#"{ "architectures": "#)?;
    write(dir.path(), "unknown/config.json", r#"{ "architectures": ["QuuxForCausalLM"] }"#)?;
    write(dir.path(), "nothing/config.json", r#"{ "size": 5 }"#)?;
    write(dir.path(), "known/config.json", r#"{ "architectures": ["LlamaForTokenClassification"] }"#)?;
    let misfit = r#"{ "architectures": ["LlamaForCausalLM"], "hidden_size": 0 }"#;
    write(dir.path(), "misfit/config.json", misfit)?;
    for (model, why) in [
        ("bare", "no config.json found in"),
        ("broken", "EOF while parsing"),
        ("unknown", "architecture not recognized"),
        ("nothing", "names neither an architecture nor a model_type"),
        ("known", "category `transformers`; no definition yet"),
        ("misfit", "expected an int above 0"),
    ] {
        let out = refused(dir.path(), &["explain", model], why)?;
        assert!(!out.contains(why) && !out.contains("cannot be loaded"), "{model}: {out}");
        let (_, _, err) = omni(dir.path(), &["explain", model])?;
        assert_eq!(err.matches(why).count(), 1, "{model}: {err}");
    }
    Ok(())
}

#[test]
fn explain_names_the_config_keys_that_nothing_reads() -> Outcome {
    let dir = tempfile::tempdir()?;
    let text = fs::read_to_string(parity().join("LlamaForCausalLM/config.json"))?;
    let mut config: Value = serde_json::from_str(&text)?;
    config["no_such_key"] = 7.into();
    write(dir.path(), "config.json", &config.to_string())?;
    let json: Value = serde_json::from_str(&success(dir.path(), &["explain", ".", "--json"])?)?;
    let unread = json["unread_config_keys"].as_array().ok_or("a list")?;
    assert!(unread.contains(&"no_such_key".into()), "{unread:?}");
    assert!(!unread.contains(&"hidden_size".into()), "{unread:?}");
    assert_eq!(json["definition_error"], Value::Null);
    Ok(())
}

#[test]
fn list_filters_by_category_task_and_status() -> Outcome {
    let dir = tempfile::tempdir()?;
    let args = ["list", "--category", "asr", "--task", "speech-seq2seq", "--status", "verified"];
    insta::assert_snapshot!("list", success(dir.path(), &args)?);
    let all: Value = serde_json::from_str(&success(dir.path(), &["list", "--json"])?)?;
    let defined: Value =
        serde_json::from_str(&success(dir.path(), &["list", "--json", "--status", "defined"])?)?;
    let (all, defined) = (all.as_array().ok_or("a list")?, defined.as_array().ok_or("a list")?);
    assert!(defined.len() < all.len(), "{} of {}", defined.len(), all.len());
    assert!(defined.iter().all(|row| row["status"] == "defined"));
    assert_eq!(defined.len(), Registry::shipped()?.architectures.len());
    let (code, _, err) = omni(dir.path(), &["list", "--category", "transformer"])?;
    assert_eq!(code, 1);
    assert!(err.contains("transformers"), "{err}");
    let (code, _, err) = omni(dir.path(), &["list", "--category", "nothing-of-it"])?;
    assert_eq!(code, 1);
    assert!(err.contains("one of: ") && err.contains("audio_encoder") && err.contains("sae"), "{err}");
    Ok(())
}

#[test]
fn list_finds_names_by_a_part_of_them() -> Outcome {
    let dir = tempfile::tempdir()?;
    let found = success(dir.path(), &["list", "WAV2vec2model"])?;
    assert!(found.starts_with("Wav2Vec2Model "), "{found}");
    assert!(found.ends_with("1 known, 1 of them defined, 1 of those verified\n"), "{found}");
    let (code, out, err) = omni(dir.path(), &["list", "WavVec2Model"])?;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("no known name has `WavVec2Model` in it") && err.contains("`Wav2Vec2Model`"),
        "{err}"
    );
    let (_, _, err) = omni(dir.path(), &["list", "zzzzzzzz"])?;
    assert!(err.contains("`omni list` prints every known name"), "{err}");
    Ok(())
}

#[test]
fn a_folder_without_registry_files_is_remarked_on() -> Outcome {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "bare/notes.txt", "hello")?;
    // Without a name, there is nothing that could be meant.
    for args in [&["fmt"][..], &["fmt", "-", "bare"]] {
        assert_eq!(omni(dir.path(), args)?.0, 2, "{args:?}");
    }
    for command in ["check", "fmt", "test"] {
        let (code, _, err) = omni(dir.path(), &[command, "bare"])?;
        assert_eq!(
            (code, err.matches("there is no .toml file in `bare`").count()),
            (0, 1),
            "{command}: {err}"
        );
    }
    Ok(())
}

#[test]
fn scan_lists_every_model_below_in_the_order_of_their_paths() -> Outcome {
    let dir = tempfile::tempdir()?;
    write(
        dir.path(),
        "b/inner/config.json",
        r#"{ "architectures": ["QuuxForCausalLM"], "model_type": "quux" }"#,
    )?;
    write(dir.path(), "b/inner/part/config.json", "{}")?;
    write(dir.path(), "c/notes.txt", "no model")?;
    let bert = parity().join("BertModel");
    for file in ["config.json", "model.safetensors"] {
        fs::create_dir_all(dir.path().join("a"))?;
        fs::copy(bert.join(file), dir.path().join("a").join(file))?;
    }
    insta::assert_snapshot!("scan", success(dir.path(), &["scan", "."])?);
    let json: Value = serde_json::from_str(&success(dir.path(), &["scan", "b", "a", "a", "--json"])?)?;
    let paths: Vec<&str> =
        json.as_array().ok_or("a list")?.iter().filter_map(|row| row["path"].as_str()).collect();
    assert_eq!(paths, ["a", "b/inner"]);
    for (path, expected) in [
        ("absent", "`absent` does not exist: check"),
        ("c/notes.txt", "`c/notes.txt` is a file: give a directory"),
    ] {
        let (code, out, err) = omni(dir.path(), &["scan", path])?;
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.contains(expected), "{err}");
    }
    assert!(success(dir.path(), &["scan", "a"])?.ends_with("1 model, 1 of them supported\n"));
    Ok(())
}

#[test]
fn tables_fit_narrow_columns_and_keep_every_name_and_path() -> Outcome {
    let dir = tempfile::tempdir()?;
    let path = "models/of/the/acme/company/quux-7b-instruct";
    let config = r#"{ "architectures": ["QuuxForConditionalGeneration"], "model_type": "quux" }"#;
    write(dir.path(), &format!("{path}/config.json"), config)?;
    let name = "WhisperForConditionalGeneration";
    for (args, whole, pair) in [
        (["scan", "models"], format!("{path}  Quux"), format!("{path}\n  QuuxForConditionalGeneration  ")),
        (["list", name], format!("{name}  asr  "), format!("{name}\n  asr  speech-seq2seq  verified\n")),
    ] {
        let wide = success(dir.path(), &args)?;
        assert!(wide.contains(&whole), "{wide}");
        let (code, narrow, err) = omni_with(dir.path(), &args, &[("COLUMNS", OsStr::new("60"))])?;
        // There is nobody to see a bar.
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(narrow.contains(&pair), "{narrow}");
        assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    }
    Ok(())
}

#[test]
fn a_folder_of_models_is_told_as_one_and_not_as_one_without_a_definition() -> Outcome {
    let story = success(&parity().join("sae"), &["explain", "gemma_scope"])?;
    assert!(story.starts_with("gemma_scope: SAE, category sae, task collection\n"), "{story}");
    let folder = ["`gemma_scope` is a folder of models", "`resid_post/layer_5/width_16k/average_l0_18`"];
    let pipeline = ["is a pipeline of models", "one of them: `text_encoder`, `unet`, `vae`"];
    for command in ["plan", "new"] {
        for (path, expected) in [("sae/gemma_scope", folder), ("StableDiffusionPipeline", pipeline)] {
            let (code, _, err) = omni(&parity(), &[command, path])?;
            assert_eq!(code, 1);
            // The lines may break anywhere.
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            for part in expected {
                assert!(letters(&err).contains(&letters(part)), "{err}");
            }
        }
    }
    let (code, _, err) = omni(&parity(), &["info", "sae"])?;
    assert_eq!(code, 1);
    assert!(err.contains("no config.json found in `sae`") && err.contains("omni scan DIR"), "{err}");
    Ok(())
}

/// A definition of one layer that multiplies by `factor`.
fn quux(factor: u8) -> String {
    format!(
        "[architectures.QuuxForCausalLM]\ncategory = 'transformers'\ntask = 'causal-lm'\nmodel-types = ['quux']\n\
         [config.quux]\nrequired = ['vocab_size', 'hidden_size']\n\
         [modules.QuuxForCausalLM]\ninputs = ['input_ids']\n\
         layers.embed_tokens = 'Embedding(vocab_size, hidden_size)'\n\
         forward = 'return {{\"last_hidden_state\": embed_tokens(input_ids) * {factor}.5}}'\n"
    )
}

const QUUX: &str =
    r#"{ "architectures": ["QuuxForCausalLM"], "model_type": "quux", "vocab_size": 9, "hidden_size": 8 }"#;

#[test]
fn overlays_come_from_the_users_folder_the_environment_and_the_command_line() -> Outcome {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "quux/config.json", QUUX)?;
    write(dir.path(), "home/omni/registry/family/quux.toml", &quux(1))?;
    write(dir.path(), "second.toml", &quux(2))?;
    write(dir.path(), "third.toml", &quux(3))?;
    write(dir.path(), "fourth/quux.toml", &quux(4))?;
    let home = dir.path().join("home");
    let home = ("XDG_CONFIG_HOME", home.as_os_str());
    let listed = std::env::join_paths(["second.toml", "", "third.toml"])?;
    let listed = ("OMNI_REGISTRY", listed.as_os_str());
    // Each of them wins over those before it.
    let plan = |args: &[&str], env: &[(&str, &OsStr)]| omni_with(dir.path(), args, env);
    assert_eq!(plan(&["plan", "quux"], &[])?.0, 1, "without any it is not known");
    let args = ["plan", "quux", "--registry", "fourth"];
    for (args, env, factor) in [
        (&args[..2], &[home][..], "1.5"),
        (&args[..2], &[home, listed], "3.5"),
        (&args[..2], &[listed], "3.5"),
        (&args, &[home, listed], "4.5"),
        (&args, &[], "4.5"),
    ] {
        let (code, out, err) = plan(args, env)?;
        assert!(code == 0 && out.contains(factor), "{args:?} {factor}: {out}{err}");
    }
    let absent = ("OMNI_REGISTRY", OsStr::new("absent.toml"));
    let (code, _, err) = plan(&["plan", "quux"], &[absent])?;
    assert!(code == 1 && err.contains("cannot read the registry `absent.toml`"), "{err}");
    Ok(())
}

#[test]
fn a_definition_in_the_directory_counts_only_where_it_is_allowed() -> Outcome {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "quux/config.json", QUUX)?;
    write(dir.path(), "quux/omni.toml", &quux(7))?;
    let (code, _, err) = omni(dir.path(), &["plan", "quux"])?;
    assert!(code == 1 && err.contains("--allow-local-definition"), "{err}");
    let (code, _, err) = omni(dir.path(), &["run", "quux", "x", "--device", "cpu"])?;
    assert!(code == 1 && err.contains("--allow-local-definition"), "{err}");
    let way = "--allow-local-definition";
    let info: Value = serde_json::from_str(&refused(dir.path(), &["info", "quux", "--json"], way)?)?;
    assert!(info["error"].as_str().ok_or("not known")?.contains(way), "{info}");
    let story = refused(dir.path(), &["explain", "quux"], way)?;
    assert!(
        story.contains("`omni.toml`: data, and ignored; `--allow-local-definition` lets it count"),
        "{story}"
    );
    let allowed = |command: &str, more: &[&str]| {
        let args = [&[command, "quux", "--allow-local-definition"], more].concat();
        success(dir.path(), &args)
    };
    assert!(allowed("plan", &[])?.contains("7.5"));
    assert!(allowed("explain", &[])?.contains("`omni.toml`: allowed"));
    let info: Value = serde_json::from_str(&allowed("info", &["--json"])?)?;
    assert_eq!(info["is_supported"], true);
    let story: Value = serde_json::from_str(&allowed("explain", &["--json"])?)?;
    assert_eq!((&story["local_definition"], &story["status"]), (&"allowed".into(), &"defined".into()));
    Ok(())
}

#[test]
fn what_a_model_does_not_have_is_refused_with_what_it_has() -> Outcome {
    let dir = parity();
    for (args, what, help) in [
        (["plan", "LlamaForCausalLM", "--method", "zzz"], "has no method `zzz`", "it has `forward`"),
        (
            ["plan", "LlamaForCausalLM", "--with", "zzz"],
            "`forward` takes no input `zzz`",
            "it takes `input_ids`",
        ),
        (["plan", "BertModel", "--with", "token_type_idz"], "no input `token_type_idz`", "`token_type_ids`?"),
    ] {
        let (code, out, err) = omni(&dir, &args)?;
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}: {err}");
        assert!(err.contains(what) && err.contains(help), "{args:?}: {err}");
    }
    assert!(
        success(&dir, &["plan", "BertModel", "--with", "token_type_ids"])?.contains("in  token_type_ids")
    );
    // The name of an architecture in place of a folder.
    let empty = tempfile::tempdir()?;
    let (code, _, err) = omni(empty.path(), &["info", "LlamaForCausalLM"])?;
    assert!(code == 1 && err.contains("is an architecture, not a model of it: `omni graph`"), "{err}");
    Ok(())
}

#[test]
fn plan_takes_a_mode() -> Outcome {
    let dir = tempfile::tempdir()?;
    let text = "[architectures.QuuxOmni]\ncategory = 'omni'\ntask = 'causal-lm'\nconfig = 'quux'\n\
        [config.quux]\n[modules.QuuxOmni]\ninputs = ['input_ids']\n\
        layers.thinker = 'Embedding(9, 8)'\nlayers.talker = 'Linear(8, 4)'\n\
        types.hidden = 'float[batch, time, 8]'\nforward = 'return thinker(input_ids)'\n\
        methods.talk = { inputs = ['hidden'], body = 'return talker(hidden)' }\n";
    write(dir.path(), "quux.toml", text)?;
    write(dir.path(), "config.json", r#"{ "architectures": ["QuuxOmni"] }"#)?;
    let plan = |mode: &str, more: &[&str]| {
        let args = [&["plan", ".", "--registry", "quux.toml", "--mode", mode], more].concat();
        success(dir.path(), &args)
    };
    assert_eq!(plan("thinker_only", &["--params"])?, "thinker.weight [9, 8] thinker.weight\n");
    assert!(plan("talker_only", &["--params"])?.starts_with("talker.weight [4, 8]"));
    assert!(plan("talker_only", &[])?.contains("linear("));
    assert_eq!(plan("full", &["--params"])?.lines().count(), 3);
    let error = plan("all", &[]).expect_err("no such mode").to_string();
    assert!(error.contains("it has `full`, `talker_only`, `thinker_only`"), "{error}");
    Ok(())
}

#[test]
fn a_repository_is_looked_up_in_the_cache_and_what_is_missing_has_two_ways_on() -> Outcome {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "hub/models--org--quux/refs/main", "abc")?;
    write(dir.path(), "hub/models--org--quux/snapshots/abc/config.json", QUUX)?;
    write(dir.path(), "hub/models--org--quux/snapshots/abc/unet/config.json", QUUX)?;
    let hub = dir.path().join("hub");
    for variable in ["HF_HUB_CACHE", "HF_HOME"] {
        let value = if variable == "HF_HOME" { dir.path() } else { hub.as_path() };
        for (id, name) in
            [("org/quux", "org/quux"), ("org/quux@main", "org/quux"), ("org/quux/unet", "org/quux/unet")]
        {
            let mut env = vec![(variable, value.as_os_str())];
            if variable == "HF_HOME" {
                env.push(("HF_HUB_CACHE", OsStr::new("")));
            }
            let (code, out, err) = omni_with(dir.path(), &["info", id, "--json"], &env)?;
            assert!(code == 1 && err.contains("architecture not recognized: `Quux"), "{id}: {err}");
            assert_eq!(serde_json::from_str::<Value>(&out)?["name"], name);
        }
    }
    let env = [("HF_HUB_CACHE", hub.as_os_str())];
    for (id, command) in [
        ("org/absent", "hf download org/absent"),
        ("org/quux@v2", "hf download org/quux --revision v2"),
        ("org/quux/vae", "hf download org/quux"),
    ] {
        let (code, _, err) = omni_with(dir.path(), &["info", id], &env)?;
        assert_eq!(code, 1);
        for words in [command, "--download", &hub.display().to_string()] {
            assert!(err.contains(words), "{id}: {err}");
        }
    }
    Ok(())
}

#[cfg(not(feature = "hub"))]
#[test]
fn a_build_without_the_network_says_so() -> Outcome {
    let dir = tempfile::tempdir()?;
    let (code, _, err) = omni(dir.path(), &["info", "org/absent", "--download"])?;
    assert!(code == 1 && err.contains("feature `hub`") && err.contains("hf download org/absent"), "{err}");
    Ok(())
}

/// The architectures that a recorded checkpoint is of: one a folder, or one a component of a pipeline.
fn recorded() -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut names = BTreeSet::new();
    for folder in fs::read_dir(parity())? {
        let folder = folder?.path();
        if !folder.join("golden.safetensors").is_file() {
            continue;
        }
        let parts = fs::read_dir(&folder)?.filter_map(|part| Some(part.ok()?.path().join("config.json")));
        for file in parts.chain([folder.join("config.json")]).filter(|file| file.is_file()) {
            let config: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
            let name = config["architectures"][0].as_str().or(config["_class_name"].as_str());
            names.insert(name.ok_or("a recorded config names its class")?.to_owned());
        }
    }
    // Autoencoders are told by their layout.
    names.extend(autoencoders()?.iter().filter_map(|leaf| omni::info::model_info(leaf).architecture));
    Ok(names)
}

#[test]
fn what_is_verified_is_what_has_recorded_outputs() -> Outcome {
    let registry = Registry::shipped()?;
    let verified = registry.architectures.iter().filter(|(_, entry)| entry.verified);
    let verified: BTreeSet<String> = verified.map(|(name, _)| name.clone()).collect();
    assert_eq!(verified, recorded()?);
    Ok(())
}
