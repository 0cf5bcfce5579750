//! What the shipped rules make of configs and directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::Path;

use omni::diag::Source;
use omni::facts::{self, Facts, Hub};
use omni::matcher::{Candidate, Match, Matcher, NoFingerprints, NoMatch, Reason, Status, Step};
use omni::registry::Registry;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

fn shipped() -> Matcher<'static> {
    Matcher::new(Registry::shipped().expect("the shipped registry has no errors"))
}

/// The shipped registry with one more file over it.
fn with_overlay(text: &str) -> Registry {
    let mut registry = Registry::embedded().expect("the shipped registry has no errors");
    let problems = registry.merge(&Source::new("overlay.toml", text));
    assert!(problems.is_empty(), "{problems}");
    registry
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    for (name, text) in files {
        let path = dir.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).expect("a folder");
        } else {
            fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
    }
    dir
}

fn read(path: &Path) -> Facts {
    facts::read_in(path, &Hub::none()).expect("facts")
}

fn find(files: &[(&str, &str)]) -> Result<Match, Box<NoMatch>> {
    let dir = directory(files);
    shipped().find(&read(dir.path()))
}

fn find_config(config: Value) -> Result<Match, Box<NoMatch>> {
    shipped().find(&Facts::of_config("test", config))
}

/// Category and architecture of a directory, `-` where there is none.
fn outcome(files: &[(&str, &str)]) -> (String, String) {
    match find(files) {
        Ok(found) => {
            let name = found.architecture_name().unwrap_or("-").to_owned();
            (found.category, name)
        }
        Err(error) => (error.category.unwrap_or_else(|| "-".into()), "-".into()),
    }
}

#[test]
fn every_pattern_of_the_shipped_rules_compiles() {
    assert_eq!(shipped().problems().len(), 0, "{:?}", shipped().problems());
}

#[test]
fn every_name_that_the_shipped_data_refers_to_exists() {
    let registry = Registry::shipped().expect("no errors");
    let rules = &registry.rules;
    let exists = |name: &str| registry.architectures.contains_key(name) || rules.known(name).is_some();
    for alias in rules.all_aliases().into_values() {
        assert!(exists(&alias.target.text), "the alias `{}` means nothing", alias.name.text);
        assert!(!exists(&alias.name.text), "the alias `{}` is a name of its own", alias.name.text);
    }
    for entry in rules.all_model_types().into_values() {
        assert!(exists(&entry.architecture.text), "the model type `{}` means nothing", entry.name.text);
    }
    for rule in rules.rules.values() {
        assert!(rules.categories.contains_key(&rule.category.text), "{:?}", rule.id);
        assert!(rule.architecture.as_ref().is_none_or(|name| exists(&name.text)), "{:?}", rule.id);
    }
    for known in rules.all_known().into_values() {
        assert!(rules.categories.contains_key(&known.category), "{:?}", known.name);
    }
    for (name, architecture) in &registry.architectures {
        let known = rules.known(name);
        let agrees = known.is_none_or(|known| known.category == architecture.category.text);
        assert!(agrees, "`{name}` is listed under another category than its definition's");
    }
}

/// The default configs of all architectures of the reference library, with the category its script guessed.
fn reference_configs() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/configs-all/configs.jsonl.gz");
    let mut text = String::new();
    let packed = fs::File::open(file).expect("the fixture");
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("gzip");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_reference_config_gets_its_architecture_its_model_type_and_its_category() {
    let matcher = shipped();
    let argued = matcher.registry().rules.all_arguments();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    let configs = reference_configs();
    assert_eq!(configs.len(), 1781);
    for entry in &configs {
        let name = entry["name"].as_str().expect("a name");
        let config = entry["config"].clone();
        let architecture = config["architectures"][0].as_str().expect("an architecture").to_owned();
        let model_type = config["model_type"].as_str().unwrap_or_default().to_owned();
        let found = match matcher.find(&Facts::of_config(name, config)) {
            Ok(found) => found,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let exact =
            found.architecture.as_ref().is_some_and(|f| f.name == architecture && f.step == Step::Exact);
        if !exact || found.model_type.unwrap_or_default() != model_type {
            wrong.push(format!("{name}: found {:?}", found.architecture));
        }
        // The reference has one column for speech and omni, and one for what it has no opinion about.
        let guesses: &[&str] = match entry["category"].as_str().expect("a category") {
            "tts_omni" => &["tts", "omni"],
            "other" => &[],
            category => &[category],
        };
        if !guesses.contains(&found.category.as_str()) && !argued.contains_key(architecture.as_str()) {
            wrong
                .push(format!("{name}: {} instead of {guesses:?}, and nobody argues for it", found.category));
        }
        used.insert(architecture);
    }
    let stale: Vec<_> = argued.keys().filter(|name| !used.contains(**name)).collect();
    // The reference cannot build this one's config without arguments.
    assert!(stale.is_empty(), "argued about without need: {stale:?}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_model_type_alone_leads_to_an_architecture_that_has_it() {
    let matcher = shipped();
    let registry = matcher.registry();
    for entry in reference_configs() {
        let mut config = entry["config"].clone();
        config.as_object_mut().expect("an object").remove("architectures");
        let Some(model_type) = config["model_type"].as_str().map(str::to_owned) else { continue };
        if model_type.is_empty() || registry.rules.model_type(&model_type).is_none() {
            continue;
        }
        let found = matcher.find(&Facts::of_config("test", config)).expect("a match");
        let found = found.architecture.expect("an architecture");
        assert_eq!(found.step, Step::ModelType, "{model_type}");
        let types = match registry.rules.known(&found.name) {
            Some(known) => known.model_types.clone(),
            None => registry.architectures[&found.name].model_types.iter().map(|n| n.text.clone()).collect(),
        };
        assert!(types.contains(&model_type), "{model_type} leads to {} of {types:?}", found.name);
    }
}

#[test]
fn each_step_of_the_cascade_finds_what_it_should() {
    let step = |config: Value| {
        let found = find_config(config).expect("a match").architecture.expect("an architecture");
        (found.name, found.step)
    };
    let named = |name: &str| step(json!({"architectures": [name]}));
    assert_eq!(named("LlamaForCausalLM"), ("LlamaForCausalLM".into(), Step::Exact));
    assert_eq!(named("YiForCausalLM"), ("LlamaForCausalLM".into(), Step::Alias));
    assert_eq!(named("SigLIPModel"), ("SiglipModel".into(), Step::Case));
    assert_eq!(named("llamaforcausallm"), ("LlamaForCausalLM".into(), Step::Case));
    assert_eq!(named("BAICHUANFORCAUSALLM").0, "BaichuanForCausalLM");
    assert_eq!(step(json!({"model_type": "llama"})), ("LlamaForCausalLM".into(), Step::ModelType));
    assert_eq!(step(json!({"model_type": "Xlm_Roberta"})).0, "XLMRobertaModel");
    assert_eq!(
        step(json!({"architectures": ["NobodyKnows"], "model_type": "qwen3"})),
        ("Qwen3ForCausalLM".into(), Step::ModelType)
    );
    // The first name that is known wins, in the order of the config.
    assert_eq!(
        step(json!({"architectures": ["NobodyKnows", "BertModel"], "model_type": "llama"})).0,
        "BertModel"
    );
}

#[test]
fn a_name_taken_from_its_model_type_is_reported() {
    let found =
        find_config(json!({"architectures": ["NobodyKnows"], "model_type": "qwen3"})).expect("a match");
    assert_eq!(found.notes.len(), 1);
    assert_eq!(
        found.notes[0].to_string(),
        "the config names `NobodyKnows`, which is not known; its model_type stands for `Qwen3ForCausalLM` \
         (check that it has the same layers, and give it an alias if so)"
    );
}

#[test]
fn an_alias_that_two_mean_is_a_tie() {
    let registry =
        with_overlay("[known.transformers.causal-lm]\nTwinForCausalLM = 'twin'\nTWINForCausalLM = 'twin'\n");
    let error = Matcher::new(&registry)
        .find(&Facts::of_config("test", json!({"architectures": ["twinforcausallm"]})))
        .expect_err("a tie");
    assert_eq!(
        error.to_string(),
        "the name `twinforcausallm` could be any of `TWINForCausalLM`, `TwinForCausalLM`"
    );
}

#[test]
fn an_alias_cycle_ends() {
    let registry = with_overlay("[aliases]\nA = 'B'\nB = 'A'\n");
    let error = Matcher::new(&registry)
        .find(&Facts::of_config("test", json!({"architectures": ["A"]})))
        .expect_err("nothing at its end");
    assert_eq!(error.reason, Reason::Unknown);
}

#[test]
fn two_rules_of_one_priority_that_disagree_are_a_tie() {
    let registry = with_overlay(
        "[[rule]]\nid = 'one'\ncategory = 'asr'\npriority = 500\nwhy = 'x'\nwhen = { file = ['config.json'] }\n\
         [[rule]]\nid = 'two'\ncategory = 'tts'\npriority = 500\nwhy = 'x'\nwhen = { file = ['config.json'] }\n",
    );
    let error = Matcher::new(&registry)
        .find(&Facts::of_config("test", json!({"architectures": ["BertModel"]})))
        .expect_err("a tie");
    assert_eq!(error.to_string(), "the category of `test` could be any of `one`, `two`");
}

#[test]
fn unknown_architectures_name_what_comes_near_and_what_to_do() {
    let error = find_config(json!({"architectures": ["LlamaForCausalLMs"], "model_type": "no_such"}))
        .expect_err("unknown");
    assert_eq!(error.to_string(), "architecture not recognized: `LlamaForCausalLMs` (model_type `no_such`)");
    assert_eq!(error.category.as_deref(), Some("transformers"));
    assert_eq!(error.nearest[0].name, "LlamaForCausalLM");
    assert!(error.help().contains("nearest known names: `LlamaForCausalLM`"), "{}", error.help());
    assert!(error.help().contains("omni new DIR"), "{}", error.help());
    let facts = Facts::of_config("test", json!({"architectures": ["LlamaForCausalLMs"]}));
    let problem = shipped().find(&facts).expect_err("unknown").problem(&facts);
    assert_eq!(problem.span.expect("a place in the config").text(), "\"LlamaForCausalLMs\"");
}

#[test]
fn a_fingerprint_finds_the_definition_and_ties_are_reported() {
    let dir = directory(&[("config.json", r#"{"architectures": ["NobodyKnows"]}"#)]);
    let header = r#"{"a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend([0; 24]);
    fs::write(dir.path().join("model.safetensors"), file).expect("written");
    let facts = read(dir.path());
    let registry = with_overlay(
        "[architectures.Left]\ncategory = 'transformers'\ntask = 'embed'\n\
         [architectures.Right]\ncategory = 'transformers'\ntask = 'embed'\n",
    );
    let matcher = Matcher::new(&registry);
    let candidate = |name: &str, missing: usize| Candidate {
        architecture: name.to_owned(),
        agree: 1,
        missing,
        unexpected: 0,
        reshaped: 0,
    };
    let one = |facts: &Facts, _: &Value| {
        assert_eq!(facts.tensors().expect("headers").len(), 1);
        vec![candidate("Right", 1), candidate("Left", 0)]
    };
    let outcome = matcher.find_with(&facts, &one);
    let found = outcome.as_ref().expect("a match").architecture.as_ref().expect("found");
    assert_eq!((found.name.as_str(), found.step), ("Left", Step::Fingerprint));
    let trace = matcher.explain(&facts, &outcome);
    assert_eq!(trace.fired().expect("a rule fired").id, "transformers-listed");
    assert_eq!(trace.looked.last().expect("a step").found.as_deref(), Some("Left"));
    let two = |_: &Facts, _: &Value| vec![candidate("Right", 0), candidate("Left", 0)];
    let tie = matcher.find_with(&facts, &two).expect_err("a tie").to_string();
    assert!(tie.contains("could be any of `Left`, `Right`"), "{tie}");
    let near = |_: &Facts, _: &Value| vec![candidate("Left", 2), candidate("Right", 1)];
    let error = matcher.find_with(&facts, &near).expect_err("none is exact");
    assert_eq!((error.reason, error.candidates[0].architecture.as_str()), (Reason::Unknown, "Right"));
    let known = |_: &Facts, _: &Value| -> Vec<Candidate> { panic!("a known name needs no fingerprint") };
    let llama = Facts::of_config("test", json!({"architectures": ["LlamaForCausalLM"]}));
    assert!(matcher.find_with(&llama, &known).is_ok());
}

#[test]
fn layouts_of_sparse_autoencoders_are_recognised() {
    let legacy = r#"{"d_in": 8, "d_sae": 16, "architecture": "standard", "activation_fn_str": "topk"}"#;
    let affine = r#"{"architecture": "jump_relu", "hf_hook_point_out": "x", "affine_connection": true}"#;
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("cfg.json", r#"{"architecture": "jumprelu", "d_sae": 1}"#)], "JumpReLUSAE"),
        (&[("cfg.json", r#"{"architecture": "standard", "d_sae": 1}"#)], "StandardSAE"),
        (&[("cfg.json", r#"{"architecture": "gated", "d_sae": 1}"#)], "GatedSAE"),
        (&[("cfg.json", r#"{"architecture": "topk", "d_sae": 1}"#)], "TopKSAE"),
        (&[("cfg.json", legacy)], "TopKSAE"),
        (&[("cfg.json", r#"{"d_sae": 1}"#)], "StandardSAE"),
        (&[("cfg.json", r#"{"architecture": "temporal", "d_sae": 1}"#)], "TemporalSAE"),
        (&[("cfg.json", r#"{"architecture": "skip_transcoder", "d_sae": 1}"#)], "SkipTranscoder"),
        (&[("cfg.json", r#"{"k": 4, "num_latents": 8}"#), ("sae.safetensors", "")], "TopKSAE"),
        (&[("config.json", r#"{"architecture": "jump_relu", "width": 8}"#)], "JumpReLUSAE"),
        (
            &[("config.json", r#"{"architecture": "jump_relu", "hf_hook_point_out": "x"}"#)],
            "JumpReLUTranscoder",
        ),
        (&[("config.json", affine)], "JumpReLUSkipTranscoder"),
        (&[("Llama3_1-8B-Base-L3R-8x/hyperparams.json", "{}")], "SAE"),
        (&[("trainer_0/ae.pt", "")], "SAE"),
        (&[("config.json", r#"{"trainer": {"dict_class": "AutoEncoderTopK"}}"#), ("ae.pt", "")], "TopKSAE"),
        (&[("config.json", r#"{"trainer": {"dict_class": "BatchTopKSAE"}}"#)], "BatchTopKSAE"),
        (&[("config.json", r#"{"trainer": {"dict_class": "GatedAutoEncoder"}}"#)], "GatedSAE"),
        (&[("config.json", r#"{"trainer": {"dict_class": "JumpReluAutoEncoder"}}"#)], "JumpReLUSAE"),
        (&[("config.json", r#"{"trainer": {"dict_class": "AutoEncoder"}}"#)], "StandardSAE"),
        (&[("hyperparams.json", r#"{"d_sae": 8}"#)], "JumpReLUSAE"),
        (&[("params.npz", "")], "JumpReLUSAE"),
        (&[("layer_5/width_16k/average_l0_18/params.npz", "")], "SAE"),
        (&[("embedding/width_4k/average_l0_6/params.npz", ""), ("README.md", "")], "SAE"),
        (&[("width_16k/canonical/params.npz", "")], "SAE"),
        (&[("blocks.0.hook_resid_pre/cfg.json", "{}")], "SAE"),
        (&[("resid_post_all/layer_0_width_16k_l0_big/config.json", "{}")], "SAE"),
    ];
    for (files, architecture) in cases {
        assert_eq!(outcome(files), ("sae".to_owned(), (*architecture).to_owned()), "{files:?}");
    }
}

#[test]
fn a_language_model_with_layer_folders_is_no_autoencoder() {
    let config = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}"#;
    let files = [("config.json", config), ("layer_0/params.npz", ""), ("tokenizer.json", "{}")];
    assert_eq!(outcome(&files).0, "transformers");
}

#[test]
fn a_whole_pipeline_is_recognised_by_its_index() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/StableDiffusionPipeline");
    let found = shipped().find(&read(&dir)).expect("a match");
    assert_eq!((found.category.as_str(), found.rule.as_str()), ("diffusers", "diffusers-index"));
    assert_eq!(found.architecture_name(), Some("StableDiffusionPipeline"));
}

#[test]
fn components_of_pipelines_are_recognised_alone() {
    let unet = r#"{"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.42.1"}"#;
    let expected = ("diffusers".to_owned(), "UNet2DConditionModel".to_owned());
    assert_eq!(outcome(&[("config.json", unet)]), expected);
    let flux = [("transformer/config.json", "{}"), ("vae/config.json", "{}")];
    assert_eq!(outcome(&flux), ("diffusers".into(), "DiffusionPipeline".into()));
    let text = r#"{"architectures": ["CLIPTextModel"], "model_type": "clip_text_model"}"#;
    assert_eq!(outcome(&[("config.json", text)]), ("transformers".into(), "CLIPTextModel".into()));
}

#[test]
fn unlisted_architectures_get_a_category_by_what_their_config_says() {
    let category = |config: Value| find_config(config).expect_err("unknown").category.expect("a category");
    let named = |name: &str| category(json!({"architectures": [name]}));
    assert_eq!(named("NobodyForCTC"), "asr");
    assert_eq!(named("NobodyTTSModel"), "tts");
    assert_eq!(named("NobodyVisionModel"), "vision_encoder");
    assert_eq!(named("NobodyForCausalLM"), "transformers");
    assert_eq!(category(json!({"architectures": ["Nobody"], "thinker_config": {}})), "omni");
    assert_eq!(
        category(
            json!({"architectures": ["NobodyForConditionalGeneration"], "vision_config": {}, "text_config": {}})
        ),
        "vision_language"
    );
    assert_eq!(category(json!({"architectures": ["Nobody"], "num_mel_bins": 80})), "audio_encoder");
    assert_eq!(category(json!({"model_type": "some-any-to-any"})), "omni");
}

#[test]
fn repairs_are_reported_and_leave_the_facts_alone() {
    let facts = Facts::of_config(
        "test",
        json!({"architectures": ["RWForCausalLM"], "model_type": "RefinedWebModel", "n_head": 4, "n_layer": 2}),
    );
    let found = shipped().find(&facts).expect("a match");
    assert_eq!(found.architecture_name(), Some("FalconForCausalLM"));
    assert_eq!(
        found.repairs.iter().map(|r| r.repair.as_str()).collect::<Vec<_>>(),
        ["falcon-of-refined-web"]
    );
    assert_eq!(found.config(&facts)["num_attention_heads"], 4);
    assert_eq!(found.config(&facts)["model_type"], "falcon");
    assert_eq!(facts.get("n_head"), Some(&json!(4)), "what was read stays as it was");
    let mut undone = found.config(&facts).clone();
    found.repairs.iter().rev().for_each(|applied| omni::matcher::undo(applied, &mut undone));
    assert_eq!(&undone, facts.value());
    let clean =
        find_config(json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})).expect("a match");
    assert!(clean.repairs.is_empty() && clean.repaired.is_none());
}

#[test]
fn every_repair_and_every_trait_can_fire() {
    let cases = [
        ("falcon-of-refined-web", json!({"model_type": "RefinedWeb"})),
        ("stablelm-epoch", json!({"model_type": "stablelm_epoch", "norm_eps": 1e-5})),
        ("longrope-called-su", json!({"model_type": "phi3", "rope_scaling": {"type": "su"}})),
        ("mrope-is-default", json!({"model_type": "qwen2_vl", "rope_scaling": {"type": "mrope"}})),
        ("gemma-gelu", json!({"model_type": "gemma", "hidden_act": "gelu"})),
        ("llava-text-is-llama", json!({"model_type": "llava", "text_config": {"hidden_size": 8}})),
        ("pad-of-minus-one", json!({"model_type": "llama", "pad_token_id": -1})),
    ];
    let all: BTreeSet<_> = shipped().registry().rules.repairs.keys().map(String::as_str).collect();
    assert_eq!(all, cases.iter().map(|(id, _)| *id).collect(), "each repair has a case here");
    for (id, config) in cases {
        let found = find_config(config).expect("a match");
        assert_eq!(found.repairs.iter().map(|r| r.repair.as_str()).collect::<Vec<_>>(), [id]);
    }
    let has =
        |id: &str, config: Value| shipped().has_trait(&Facts::of_config("test", config), &NoFingerprints, id);
    assert!(has("talker", json!({"model_type": "x", "talker_config": {}})));
    assert!(has("omni", json!({"model_type": "x", "thinker_config": {}})));
    assert!(has("omni", json!({"model_type": "new-any-to-any"})));
    assert!(!has("omni", json!({"architectures": ["BertModel"], "model_type": "bert"})));
}

#[test]
fn tokenizers_come_from_the_base_model_that_is_named() {
    let hints = |files: &[(&str, &str)], at: &str| {
        let dir = directory(files);
        let facts = read(&dir.path().join(at));
        let found = shipped().find(&facts).expect("a match");
        let hints = shipped().tokenizers(&facts, &found);
        hints.into_iter().map(|hint| (hint.rule, hint.repository)).collect::<Vec<_>>()
    };
    let pair = |rule: &str, repository: &str| (rule.to_owned(), repository.to_owned());
    // The folder's own config, a config further inside, and the folder's name.
    assert_eq!(
        hints(&[("cfg.json", r#"{"d_sae": 1, "model_name": "gpt2-small"}"#)], ""),
        [pair("sae-config", "openai-community/gpt2")]
    );
    assert_eq!(
        hints(&[("resid_post/layer_2/config.json", r#"{"model_name": "gemma-v3-1b-it"}"#)], ""),
        [pair("sae-config", "google/gemma-3-1b-it")]
    );
    assert_eq!(
        hints(
            &[("gemma-scope-9b-pt-res/layer_0/width_16k/average_l0_5/params.npz", "")],
            "gemma-scope-9b-pt-res"
        ),
        [pair("sae-path", "google/gemma-2-9b")]
    );
    assert_eq!(
        hints(
            &[("gemma-scope-2b-pt-mlp/layer_0/width_16k/average_l0_5/params.npz", "")],
            "gemma-scope-2b-pt-mlp/layer_0/width_16k/average_l0_5"
        ),
        [pair("sae-path", "google/gemma-2-2b")]
    );
    // A name that is no short name is the repository itself.
    assert_eq!(
        hints(&[("config.json", r#"{"trainer": {"dict_class": "AutoEncoder", "lm_name": "org/base"}}"#)], ""),
        [pair("sae-config", "org/base")]
    );
    assert_eq!(
        hints(
            &[(
                "config.json",
                r#"{"architectures": ["VibeVoiceForASRTraining"], "model_type": "vibevoice"}"#
            )],
            ""
        ),
        [pair("vibevoice", "Qwen/Qwen2.5-1.5B")]
    );
    assert_eq!(hints(&[("config.json", r#"{"architectures": ["LlamaForCausalLM"]}"#)], ""), []);
}

#[test]
fn the_trace_tells_what_was_tried_and_what_nearly_held() {
    let dir = directory(&[
        ("config.json", r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}"#),
        ("vae/config.json", "{}"),
        ("tokenizer.json", "{}"),
    ]);
    let facts = read(dir.path());
    let matcher = shipped();
    let outcome = matcher.find(&facts);
    let trace = matcher.explain(&facts, &outcome);
    let fired = trace.fired().expect("a rule fired");
    assert_eq!(
        (fired.id.as_str(), fired.verdict.fact.as_str()),
        ("transformers-listed", "`LlamaForCausalLM` is listed under `transformers`")
    );
    let near = trace.near_misses(1);
    assert_eq!(near[0].id, "diffusers-folders");
    let parts: Vec<_> = near[0].verdict.parts.iter().map(|part| (part.holds, part.fact.as_str())).collect();
    assert_eq!(parts, [(false, "there is no such folder"), (true, "`vae` is there")]);
    assert_eq!(near[0].verdict.parts[0].condition, "a folder `unet` or `transformer`");
    assert_eq!(near[0].verdict.parts[0].span.text().trim(), r#"{ dir = ["unet", "transformer"] }"#);
}

#[test]
fn a_new_category_is_a_rule_and_no_rust() {
    let registry = with_overlay(
        "[categories.robotics]\nwhat = 'observations in, actions out'\n\
         [[rule]]\nid = 'robotics-config'\ncategory = 'robotics'\npriority = 110\n\
         why = 'a policy has an action space'\nwhen = { config = { path = 'action_dim', at-least = 1 } }\n",
    );
    let facts = Facts::of_config("test", json!({"architectures": ["BertModel"], "action_dim": 7}));
    assert_eq!(Matcher::new(&registry).find(&facts).expect("a match").category, "robotics");
    let facts = Facts::of_config("test", json!({"architectures": ["BertModel"], "action_dim": 0}));
    assert_eq!(Matcher::new(&registry).find(&facts).expect("a match").category, "transformers");
}

#[test]
fn the_readme_of_the_registry_is_valid_data() {
    let text = include_str!("../registry/README.md");
    let section = text.split("## Names, rules and repairs").nth(1).expect("the section");
    let example =
        section.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let registry = with_overlay(example);
    let find =
        |config: Value| Matcher::new(&registry).find(&Facts::of_config("test", config)).expect("a match");
    assert_eq!(
        find(json!({"architectures": ["NewLMHeadModel"]})).architecture_name(),
        Some("NewForCausalLM")
    );
    assert_eq!(find(json!({"model_type": "new_type", "n_layer": 2})).repairs.len(), 1);
}

#[test]
fn every_kind_of_condition_holds_and_fails_as_it_says() {
    let dir = directory(&[
        (
            "config.json",
            r#"{"architectures": ["BertModel"], "model_type": "bert", "a": {"b": [1, {"c": "xyz"}]}, "n": null}"#,
        ),
        ("one/two/three.bin", ""),
    ]);
    let facts = read(dir.path());
    let holds = |condition: &str| {
        let registry = with_overlay(&format!(
            "[[rule]]\nid = 'probe'\ncategory = 'sae'\npriority = 999\nwhy = 'x'\nwhen = {condition}\n"
        ));
        let matcher = Matcher::new(&registry);
        assert!(matcher.problems().is_empty(), "{condition}: {:?}", matcher.problems());
        matcher.find(&facts).is_ok_and(|found| found.rule == "probe")
    };
    let yes = [
        "{ file = ['conf*.json'] }",
        "{ file = ['nothing', 'config.json'] }",
        "{ file = ['**/three.bin'] }",
        "{ file = ['one/*/three.bin'] }",
        "{ dir = ['one'] }",
        "{ dir = ['one/t*'] }",
        "{ config = { path = 'a.b.0', equals = 1 } }",
        "{ config = { path = 'a.b.0', equals = 1.0 } }",
        "{ config = { path = 'a.b.0', one-of = [0, 1] } }",
        "{ config = { path = 'a.b.0', at-least = 1, at-most = 1 } }",
        "{ config = { path = 'a.b.1.c', matches = '^x.z$' } }",
        "{ config = { path = 'a.b.*.c', matches = 'y' } }",
        "{ config = { path = 'a' } }",
        "{ config = { path = 'n', exists = false } }",
        "{ architecture = { exact = ['BertModel'] } }",
        "{ architecture = { matches = '^Bert' } }",
        "{ architecture = { listed = 'transformers' } }",
        "{ model-type = { exact = ['bert'] } }",
        "{ not = { dir = ['config.json'] } }",
        "{ any = [{ file = ['x'] }, { file = ['config.json'] }] }",
        "{ all = [{ dir = ['one'] }, { file = ['config.json'] }] }",
        "{ dir = ['one'], file = ['config.json'] }",
    ];
    let no = [
        "{ file = ['one'] }",
        "{ file = ['three.bin'] }",
        "{ file = ['*/three.bin'] }",
        "{ dir = ['config.json'] }",
        "{ tensor = ['*'] }",
        "{ config = { path = 'a.b.0', at-least = 2 } }",
        "{ config = { path = 'a.b.7', at-least = 0 } }",
        "{ config = { path = 'n', exists = true } }",
        "{ config = { path = 'a', matches = 'x' } }",
        "{ architecture = { listed = 'asr' } }",
        "{ model-type = { matches = '^x' } }",
        "{ not = { file = ['config.json'] } }",
        "{ any = [] }",
        "{ dir = ['one'], file = ['x'] }",
    ];
    assert_eq!(yes.iter().filter(|condition| !holds(condition)).collect::<Vec<_>>(), Vec::<&&str>::new());
    assert_eq!(no.iter().filter(|condition| holds(condition)).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn a_pattern_that_does_not_compile_is_a_problem_and_matches_nothing() {
    let registry = with_overlay(
        "[[rule]]\nid = 'a'\ncategory = 'sae'\npriority = 999\nwhy = 'x'\nwhen = { file = ['[broken'] }\n\
         [[rule]]\nid = 'b'\ncategory = 'sae'\npriority = 998\nwhy = 'x'\nwhen = { model-type = { matches = '(' } }\n",
    );
    let matcher = Matcher::new(&registry);
    let codes: Vec<_> = matcher.problems().iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["invalid-pattern", "invalid-pattern"]);
    assert_eq!(
        matcher.find(&Facts::of_config("x", json!({"model_type": "bert"}))).expect("a match").category,
        "transformers"
    );
}

#[test]
fn conditions_that_ask_nothing_are_problems_with_their_place() {
    let mut registry = Registry::default();
    let text = "[[rule]]\nid = 'a'\ncategory = 'sae'\npriority = 1\nwhy = 'x'\nwhen = { all = [{ }] }\n\
                [[repair]]\nid = 'r'\nwhy = 'x'\nwhen = { file = ['x'] }\n\
                [[tokenizer]]\nid = 't'\nwhy = 'x'\nwhen = { file = ['x'] }\nrepository = 'a/b'\nfrom-path = true\n\
                [[rule]]\nid = 'b'\ncategory = 'sae'\npriority = 1\nwhy = 'x'\nwhen = { fill = ['x'] }\n";
    let problems: Vec<_> =
        registry.merge(&Source::new("t.toml", text)).sorted().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(problems.join("\n"));
}

#[test]
fn every_name_of_the_specification_is_recognised() {
    let text = include_str!("fixtures/names.json");
    let lists: BTreeMap<String, Value> = serde_json::from_str(text).expect("JSON");
    let expected =
        BTreeMap::from([("architectures", 180), ("vision_encoders", 13), ("audio_encoders", 6), ("asr", 4)]);
    for (list, count) in expected {
        let names = lists[list].as_array().expect("a list");
        assert_eq!(names.len(), count, "{list}");
        for name in names {
            let found = find_config(json!({"architectures": [name]}));
            let found = found.unwrap_or_else(|error| panic!("{error}"));
            let category = found.category.as_str();
            match list {
                "vision_encoders" => assert_eq!(category, "vision_encoder", "{name}"),
                "audio_encoders" => assert_eq!(category, "audio_encoder", "{name}"),
                "asr" => assert_eq!(category, "asr", "{name}"),
                _ => {}
            }
        }
    }
    // `AutoModelForCausalLM` means: its own causal-LM definition. The one alias that is not kept is wrong.
    for (alias, target) in lists["aliases"].as_object().expect("a table") {
        let found = find_config(json!({"architectures": [alias]})).expect("a match");
        assert_eq!(found.architecture_name(), Some(alias.as_str()), "not {target}");
    }
    for (model_type, entry) in lists["model_types"].as_object().expect("a table") {
        let found = find_config(json!({"model_type": model_type})).expect("a match");
        let known = shipped().registry().rules.model_type(model_type).expect("listed");
        let ours = (found.architecture_name().unwrap_or_default().to_owned(), known.config_class.clone());
        let theirs = (entry["architecture"].as_str().unwrap_or_default(), entry["config_class"].as_str());
        match model_type.as_str() {
            // The specification names the class of a model with other attention: see names/other.toml.
            "glm4_moe_lite" => {
                assert_eq!(ours, ("Glm4MoeLiteForCausalLM".into(), Some("Glm4MoeLiteConfig".into())));
            }
            _ => assert_eq!((ours.0.as_str(), ours.1.as_deref()), theirs, "{model_type}"),
        }
    }
}

#[test]
fn a_known_name_without_a_definition_is_never_called_supported() {
    let found = find_config(json!({"architectures": ["Grok1ForCausalLM"]})).expect("a match");
    assert_eq!(found.architecture.expect("known").status, Status::Known);
}

/// A small directory of arbitrary content, from a few names that matter and a few that do not.
fn any_directory() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = prop::sample::select(vec![
        "config.json",
        "model_index.json",
        "unet/x",
        "vae/x",
        "transformer/x",
        "resid_post/x",
        "tokenizer.json",
        "cfg.json",
        "params.npz",
        "layer_1/params.npz",
        "model.safetensors",
        "mlp_out_all/x",
        "README.md",
    ]);
    let configs = prop::sample::select(vec![
        r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}"#,
        r#"{"architectures": ["CLIPModel"]}"#,
        r#"{"model_type": "whisper"}"#,
        r#"{"architectures": ["Unheard"], "vision_config": {}, "text_config": {}}"#,
        r#"{"d_sae": 4, "architecture": "jumprelu"}"#,
        "{}",
    ]);
    prop::collection::btree_map(names, configs, 1..6)
        .prop_map(|files| files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
}

fn summary(outcome: &Result<Match, Box<NoMatch>>) -> String {
    match outcome {
        Ok(found) => {
            format!("{} {} {:?} {:?}", found.category, found.rule, found.architecture, found.rules_tried)
        }
        Err(error) => {
            let reason = format!("{:?}", error.reason).replace(&error.directory, "DIR");
            format!("{reason} {:?} {:?}", error.category, error.rules_tried)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_match_does_not_depend_on_the_order_of_files_or_registry_files(
        files in any_directory(),
        seed in any::<prop::sample::Index>(),
    ) {
        let forward = directory(&files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect::<Vec<_>>());
        let backward = directory(&files.iter().rev().map(|(n, t)| (n.as_str(), t.as_str())).collect::<Vec<_>>());
        let expected = summary(&shipped().find(&read(forward.path())));
        prop_assert_eq!(&expected, &summary(&shipped().find(&read(backward.path()))));
        let mut sources = shipped().registry().sources.clone();
        let at = seed.index(sources.len());
        sources.rotate_left(at);
        let (registry, problems) = Registry::from_files(sources);
        prop_assert!(problems.is_empty());
        prop_assert_eq!(&expected, &summary(&Matcher::new(&registry).find(&read(forward.path()))));
    }

    #[test]
    fn unrelated_files_never_change_a_match(
        files in any_directory(),
        noise in prop::collection::vec("[a-y ]{1,12}\\.(txt|md|log)", 0..5),
    ) {
        let plain: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
        let noisy: Vec<(&str, &str)> =
            plain.iter().copied().chain(noise.iter().map(|name| (name.as_str(), "x"))).collect();
        let (plain, noisy) = (directory(&plain), directory(&noisy));
        prop_assert_eq!(
            summary(&shipped().find(&read(plain.path()))),
            summary(&shipped().find(&read(noisy.path())))
        );
    }

    #[test]
    fn hostile_configs_never_panic(
        name in "\\PC{0,40}",
        model_type in prop_oneof![Just(json!(null)), Just(json!([])), Just(json!(3)), "\\PC{0,20}".prop_map(Value::from)],
        extra in "\\PC{0,20}",
    ) {
        let config = json!({"architectures": [name, 3, null], "model_type": model_type, extra: {"a": [null]}});
        let facts = Facts::of_config("test", config);
        let matcher = shipped();
        let outcome = matcher.find(&facts);
        let trace = matcher.explain(&facts, &outcome);
        prop_assert!(!trace.rules.is_empty());
        if let Err(error) = &outcome {
            prop_assert!(!error.to_string().is_empty() && !error.help().is_empty());
            let _ = error.problem(&facts).render(80);
        }
    }
}
