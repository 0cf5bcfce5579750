//! The loader's specification, example by example, row by row.
//!
//! Names follow the guide's sections. Where the guide is wrong (see the comments), the right thing is asserted. Its
//! benchmarks are in `benches/`, its coverage table is about the Python program.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use omni::diag::Source;
use omni::facts::{Facts, Hub};
use omni::info::{self, Inspector};
use omni::matcher::{Matcher, Step};
use omni::model::{Dtype, Inputs, Loader, Model};
use omni::ops::backend::Device;
use omni::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;

fn model(config: &Value, files: &[&str]) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
    add(dir.path(), files);
    dir
}

fn folder(files: &[&str]) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    add(dir.path(), files);
    dir
}

fn add(dir: &Path, files: &[&str]) {
    for name in files {
        let path = dir.join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).expect("a folder");
        } else {
            fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
            fs::write(path, "{}").expect("a file");
        }
    }
}

fn named(architecture: &str, model_type: &str) -> TempDir {
    model(&json!({"architectures": [architecture], "model_type": model_type}), &[])
}

/// The model that comes with the repository: small, with a tokenizer.
/// What is said about a directory whose architecture is known. An unknown one has a category and a name too.
fn recognised(dir: &Path) -> info::Support {
    let support = info::is_model_supported(dir);
    let error = support.error.as_deref().unwrap_or_default();
    assert!(!error.starts_with("architecture not recognized"), "{error}");
    support
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo")
}

fn cpu() -> Device {
    Device::Flex(burn_flex::FlexDevice)
}

/// Floats of an output.
fn floats(model: &Model, method: &str, inputs: &Inputs, output: &str) -> Vec<f32> {
    let outputs = model.call(method, inputs, &[]).expect("it runs");
    outputs.get(output).expect("the output is there").to_host().to_vec().expect("32 bits")
}

/// A model that thinks and speaks, made up: each part in a layer of the root.
const DUO: &str = r#"
[architectures.DuoForConditionalGeneration]
category    = "omni"
task        = "causal-lm"
model-types = ["duo"]

[config.duo]
required = ["vocab_size", "hidden_size", "voices"]

[modules.DuoForConditionalGeneration]
inputs         = ["input_ids"]
layers.thinker = "DuoThinker()"
layers.talker  = "DuoTalker()"
types.hidden   = "float[batch, time, hidden_size]"
forward        = 'return thinker(input_ids)'
methods.talk   = { inputs = ["hidden"], body = 'return {"speech": talker(hidden)}' }

[modules.DuoThinker]
inputs              = ["input_ids"]
layers.embed_tokens = "Embedding(vocab_size, hidden_size)"
layers.lm_head      = "Linear(hidden_size, vocab_size, bias=False)"
forward = """
h = embed_tokens(input_ids)
return {"logits": lm_head(h), "last_hidden_state": h}
"""

[modules.DuoTalker]
inputs      = ["x"]
layers.proj = "Linear(hidden_size, voices)"
forward     = 'return proj(x)'
"#;

fn duo_registry() -> Arc<Registry> {
    let mut registry = Registry::embedded().expect("no errors");
    let problems = registry.merge(&Source::new("duo.toml", DUO));
    assert!(problems.is_empty(), "{problems}");
    Arc::new(registry)
}

/// A checkpoint of it, and the model that it was written from.
fn duo() -> (TempDir, Model) {
    let config = json!({"model_type": "duo", "vocab_size": 11, "hidden_size": 8, "voices": 4,
        "initializer_range": 0.5, "thinker_config": {}, "talker_config": {}});
    let model =
        Model::init(duo_registry(), "DuoForConditionalGeneration", config, cpu(), 1).expect("it fits");
    let dir = folder(&[]);
    model.save(dir.path()).expect("written");
    (dir, model)
}

fn duo_loader(dir: &Path) -> Loader<'static> {
    Loader::new(dir).registry(duo_registry())
}

fn parts(model: &Model) -> Vec<&str> {
    let mut parts: Vec<&str> = model.params().iter().filter_map(|(name, _)| name.split('.').next()).collect();
    parts.dedup();
    parts
}

// ── Quick Start ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn quick_start_basic_usage() {
    let (model, tokenizer) = omni::load(demo()).expect("it loads");
    assert_eq!((model.architecture(), model.mode()), ("LlamaForCausalLM", "full"));
    assert!(!tokenizer.encode("A cold morning.", false).expect("ids").is_empty());
    let (model, _) = Loader::new(demo()).mode("full").load().expect("the same, with choices");
    assert_eq!(model.mode(), "full");
}

#[test]
fn quick_start_safe_loading() {
    assert!(omni::load_safe("/no/such/place").is_none());
    let (model, _) = omni::load_safe(demo()).expect("it loads");
    assert_eq!(model.architecture(), "LlamaForCausalLM");
}

#[test]
fn quick_start_checking_model_support() {
    let dir = named("LlamaForCausalLM", "llama");
    let support = info::is_model_supported(dir.path());
    assert!(support.supported, "{:?}", support.error);
    assert_eq!(support.category.as_deref(), Some("transformers"));
    assert_eq!(support.architecture.as_deref(), Some("LlamaForCausalLM"));
    let unknown = info::is_model_supported(named("NobodyKnowsForCausalLM", "nobody").path());
    assert!(!unknown.supported);
    assert!(unknown.error.is_some());
}

// ── Architecture Support ────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn supported_architectures_of_the_guide_are_known() {
    let names = [
        "LlamaForCausalLM",
        "Llama4ForCausalLM",
        "LlamaBidirectionalModel",
        "Qwen2ForCausalLM",
        "Qwen2MoeForCausalLM",
        "Qwen3ForCausalLM",
        "Qwen3MoeForCausalLM",
        "Qwen3NextForCausalLM",
        "MistralForCausalLM",
        "GemmaForCausalLM",
        "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",
        "Gemma3ForConditionalGeneration",
        "PhiForCausalLM",
        "Phi3ForCausalLM",
        "PhiMoEForCausalLM",
        "DeepseekForCausalLM",
        // Forgotten there, and among the most used.
        "MixtralForCausalLM",
        "DeepseekV2ForCausalLM",
        "DeepseekV3ForCausalLM",
    ];
    for name in names {
        let support = recognised(named(name, "").path());
        let category =
            if name == "Gemma3ForConditionalGeneration" { "vision_language" } else { "transformers" };
        assert_eq!(support.category.as_deref(), Some(category), "{name}");
    }
}

#[test]
fn vision_encoders_of_the_guide_are_detected() {
    for name in [
        "SigLIPModel",
        "SigLIPVisionModel",
        "CLIPModel",
        "CLIPVisionModel",
        "DINOv2Model",
        "VideoMAEModel",
        "ViTModel",
        "ViTMAEModel",
        "ViTMSNModel",
        "DeiTModel",
        "BeitModel",
        "ConvNextModel",
        "ConvNextV2Model",
    ] {
        let dir = named(name, "");
        assert_eq!(info::detect_category(dir.path()).as_deref(), Some("vision_encoder"), "{name}");
        assert!(info::is_vision_encoder(dir.path()) && !info::is_asr_model(dir.path()), "{name}");
    }
}

#[test]
fn audio_encoders_of_the_guide_are_detected() {
    for name in [
        "Wav2Vec2Model",
        "Wav2Vec2ForCTC",
        "HubertModel",
        "WavLMModel",
        "UniSpeechSatModel",
        "Data2VecAudioModel",
    ] {
        let dir = named(name, "");
        assert_eq!(info::detect_category(dir.path()).as_deref(), Some("audio_encoder"), "{name}");
        assert!(info::is_audio_encoder(dir.path()), "{name}");
    }
}

#[test]
fn asr_models_of_the_guide_are_detected() {
    for name in [
        "WhisperForConditionalGeneration",
        "WhisperModel",
        "Speech2TextForConditionalGeneration",
        "SpeechEncoderDecoderModel",
    ] {
        let dir = named(name, "");
        assert_eq!(info::detect_category(dir.path()).as_deref(), Some("asr"), "{name}");
        assert!(info::is_asr_model(dir.path()) && !info::is_vision_encoder(dir.path()), "{name}");
    }
}

#[test]
fn architecture_aliases_mean_the_right_definition() {
    // `AutoModelForCausalLM` means: its own causal-LM definition.
    for name in ["Step3VL10BForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM", "Qwen3NextForCausalLM"] {
        let support = recognised(named(name, "").path());
        assert_eq!(support.architecture.as_deref(), Some(name));
    }
    // The guide loads this one as Glm4Moe, whose attention is another: the numbers would be wrong.
    let support = recognised(named("Glm4MoeLiteForCausalLM", "glm4_moe_lite").path());
    assert_eq!(support.architecture.as_deref(), Some("Glm4MoeLiteForCausalLM"));
}

#[test]
fn model_type_mappings_of_the_guide() {
    let cases = [
        ("glm4_moe_lite", "Glm4MoeLiteForCausalLM", "Glm4MoeLiteConfig"), // the guide: Glm4Moe, see above
        ("step_robotics", "Step3VL10BForCausalLM", "Step3VL10BConfig"),
        ("qwen3", "Qwen3ForCausalLM", "Qwen3Config"),
        ("qwen3_moe", "Qwen3MoeForCausalLM", "Qwen3MoeConfig"),
        ("agent_cpm", "Qwen3ForCausalLM", "Qwen3Config"),
    ];
    let registry = Registry::shipped().expect("no errors");
    for (model_type, architecture, config_class) in cases {
        let facts = Facts::of_config("test", json!({"model_type": model_type}));
        let found = Matcher::new(registry).find(&facts).expect("a match").architecture.expect("found");
        assert_eq!((found.name.as_str(), found.step), (architecture, Step::ModelType));
        let entry = registry.rules.model_type(model_type).expect("listed");
        assert_eq!(entry.config_class.as_deref(), Some(config_class));
    }
}

// ── Model Categories ────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn category_1_transformers() {
    for name in ["LlamaForCausalLM", "Qwen2ForCausalLM", "MistralForCausalLM"] {
        let support = recognised(named(name, "").path());
        assert_eq!((support.category.as_deref(), support.supported), (Some("transformers"), true), "{name}");
    }
}

#[test]
fn category_2_vision_encoders() {
    for name in ["SigLIPModel", "CLIPVisionModel", "DINOv2Model"] {
        assert_eq!(
            info::detect_category(named(name, "").path()).as_deref(),
            Some("vision_encoder"),
            "{name}"
        );
    }
}

#[test]
fn category_3_asr() {
    for name in ["WhisperForConditionalGeneration", "Speech2TextForConditionalGeneration"] {
        assert_eq!(info::detect_category(named(name, "").path()).as_deref(), Some("asr"), "{name}");
    }
}

#[test]
fn category_4_diffusers() {
    for files in [&["model_index.json"][..], &["unet/", "vae/"], &["transformer/", "vae/"]] {
        let dir = folder(files);
        assert_eq!(info::detect_category(dir.path()).as_deref(), Some("diffusers"), "{files:?}");
        assert!(info::is_diffusers_model(dir.path()), "{files:?}");
    }
    assert!(!info::is_diffusers_model(folder(&["unet/"]).path()), "half a pipeline is none");
    for name in ["StableDiffusionPipeline", "StableDiffusionXLPipeline"] {
        let dir = folder(&[]);
        let index =
            json!({"_class_name": name, "_diffusers_version": "0.42.1", "safety_checker": [null, null]});
        fs::write(dir.path().join("model_index.json"), index.to_string()).expect("written");
        let support = info::is_model_supported(dir.path());
        assert_eq!(support.architecture.as_deref(), Some(name));
        assert_eq!(support.category.as_deref(), Some("diffusers"));
    }
}

#[test]
fn category_5_sae() {
    for name in ["resid_post", "mlp_out", "attn_out", "transcoder", "resid_post_all"] {
        let dir = folder(&[&format!("{name}/")]);
        assert_eq!(info::detect_category(dir.path()).as_deref(), Some("sae"), "{name}");
        for tokenizer in ["tokenizer.json", "tokenizer_config.json", "spiece.model", "tokenizer.model"] {
            let dir = folder(&[&format!("{name}/"), tokenizer]);
            assert!(!info::is_sae_model(dir.path()), "{name} with {tokenizer}");
        }
    }
}

#[test]
fn category_detection_goes_by_priority() {
    let llama = json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama"});
    let category = |files: &[&str]| info::detect_category(model(&llama, files).path());
    assert_eq!(category(&["model_index.json", "resid_post/"]).as_deref(), Some("diffusers"));
    assert_eq!(category(&["resid_post/"]).as_deref(), Some("sae"));
    assert_eq!(category(&["resid_post/", "tokenizer.json"]).as_deref(), Some("transformers"));
    let vision = json!({"architectures": ["CLIPModel"], "model_type": "whisper"});
    assert_eq!(info::detect_category(model(&vision, &[]).path()).as_deref(), Some("vision_encoder"));
}

// ── Loading Modes ───────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn mode_full_builds_everything() {
    let (dir, saved) = duo();
    let model = duo_loader(dir.path()).mode("full").load_model().expect("it loads");
    assert_eq!((model.mode(), parts(&model)), ("full", vec!["talker", "thinker"]));
    let inputs = Inputs::tokens(&[vec![1, 2, 3]]);
    assert_eq!(floats(&model, "forward", &inputs, "logits"), floats(&saved, "forward", &inputs, "logits"));
}

#[test]
fn mode_thinker_only_builds_and_reads_the_thinker_alone() {
    let (dir, saved) = duo();
    let model = duo_loader(dir.path()).mode("thinker_only").load_model().expect("it loads");
    assert_eq!((model.mode(), parts(&model)), ("thinker_only", vec!["thinker"]));
    let inputs = Inputs::tokens(&[vec![1, 2, 3]]);
    assert_eq!(floats(&model, "forward", &inputs, "logits"), floats(&saved, "forward", &inputs, "logits"));
    // What it writes has no talker: as a whole it is incomplete, as a thinker it is all there.
    let alone = folder(&[]);
    model.save(alone.path()).expect("written");
    let whole = duo_loader(alone.path()).load_model().expect_err("no talker").to_string();
    assert!(whole.contains("talker.proj.weight"), "{whole}");
    assert!(duo_loader(alone.path()).mode("thinker_only").load_model().is_ok());
    // What is missed because of the mode says so.
    let hidden = Inputs::new().floats("hidden", vec![0.0; 8], [1, 1, 8]);
    let error = format!("{:?}", model.call("talk", &hidden, &[]).expect_err("no talker"));
    assert!(error.contains("mode `thinker_only` leaves out `talker`"), "{error}");
}

#[test]
fn mode_talker_only_builds_the_talker_and_takes_hidden_states() {
    let (dir, saved) = duo();
    let model = duo_loader(dir.path()).mode("talker_only").load_model().expect("it loads");
    assert_eq!((model.mode(), parts(&model)), ("talker_only", vec!["talker"]));
    let hidden = Inputs::new().floats("hidden", (0..16u8).map(f32::from).collect(), [1, 2, 8]);
    assert_eq!(floats(&model, "forward", &hidden, "speech"), floats(&saved, "talk", &hidden, "speech"));
}

#[test]
fn a_mode_that_an_architecture_lacks_names_those_it_has() {
    // The guide's program took `thinker_only` for anything, and loaded all of it.
    let error = Loader::new(demo()).mode("thinker_only").load_model().expect_err("no such mode").to_string();
    assert!(error.contains("`LlamaForCausalLM` has no mode `thinker_only`; it has `full`"), "{error}");
    let (dir, _) = duo();
    let error = duo_loader(dir.path()).mode("thinking").load_model().expect_err("no such mode").to_string();
    assert!(error.contains("it has `full`, `talker_only`, `thinker_only`"), "{error}");
}

// ── API Reference ───────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn load_takes_device_and_dtype() {
    let model = Loader::new(demo()).device(cpu()).dtype(Dtype::F32).load_model().expect("it loads");
    assert_eq!((model.device(), model.float_dtype()), (&cpu(), burn::tensor::FloatDType::F32));
}

#[test]
fn load_takes_one_file_of_a_directory() {
    for file in ["config.json", "model.safetensors"] {
        assert!(omni::load(demo().join(file)).is_ok(), "{file}");
    }
    // The weight file that is named is the one that is read.
    let dir = folder(&["model.safetensors"]);
    for file in ["config.json", "tokenizer.json"] {
        fs::copy(demo().join(file), dir.path().join(file)).expect("copied");
    }
    fs::copy(demo().join("model.safetensors"), dir.path().join("best.safetensors")).expect("copied");
    assert!(omni::load(dir.path()).is_err());
    assert!(omni::load(dir.path().join("best.safetensors")).is_ok());
}

#[test]
fn load_for_training_freezes_the_talker() {
    let (dir, _) = duo();
    let trained = |model: &Model, part: &str| {
        let mut params = model.params().iter().filter(|(name, _)| name.starts_with(part));
        params.all(|(_, param)| param.is_trained())
    };
    let model = duo_loader(dir.path()).for_training().load_model().expect("it loads");
    assert!(trained(&model, "thinker.") && !trained(&model, "talker."));
    let all = duo_loader(dir.path()).for_training().freeze_by_default(false).load_model().expect("it loads");
    assert!(trained(&all, "thinker.") && trained(&all, "talker."));
    let (model, _) = omni::load_for_training(demo()).expect("it loads");
    assert!(trained(&model, ""));
    let (model, _) = omni::load(demo()).expect("it loads");
    assert!(!trained(&model, ""));
}

#[test]
fn load_model_safe_gives_none_or_an_error_as_asked() {
    let nothing = folder(&["README.md"]);
    assert!(Loader::new(nothing.path()).load_safe().is_none());
    let error = Loader::new(nothing.path()).load().expect_err("nothing there").to_string();
    assert!(error.starts_with("no config.json found in `"), "{error}");
    assert!(Loader::new(demo()).load_safe().is_some());
}

#[test]
fn load_omni_model_is_load() {
    let (model, tokenizer) = omni::load(demo()).expect("it loads");
    let ids = tokenizer.encode("It was", false).expect("ids");
    assert!(model.forward(&Inputs::tokens(&[ids])).is_ok());
}

#[test]
fn trust_remote_code_is_a_definition_that_the_caller_allows() {
    let (dir, saved) = duo();
    fs::write(dir.path().join("omni.toml"), DUO).expect("written");
    fs::write(dir.path().join("modeling_duo.py"), "open('ran', 'w')").expect("written");
    let error = Loader::new(dir.path()).load_model().expect_err("not known");
    let omni::model::LoadError::Definition(problem) = error else { panic!("{error}") };
    let help = problem.help.expect("what to do");
    assert!(help.contains("--allow-local-definition"), "{help}");
    let support = info::is_model_supported(dir.path());
    assert!(support.error.expect("not known").contains("`omni.toml`"));
    let model = Loader::new(dir.path()).allow_local_definition(true).load_model().expect("it loads");
    let inputs = Inputs::tokens(&[vec![1, 2, 3]]);
    assert_eq!(floats(&model, "forward", &inputs, "logits"), floats(&saved, "forward", &inputs, "logits"));
}

#[cfg(unix)]
#[test]
fn a_local_definition_may_not_lie_outside_the_directory() {
    let (dir, _) = duo();
    let elsewhere = folder(&[]);
    fs::write(elsewhere.path().join("duo.toml"), DUO).expect("written");
    std::os::unix::fs::symlink(elsewhere.path().join("duo.toml"), dir.path().join("omni.toml"))
        .expect("a link");
    let error = Loader::new(dir.path()).allow_local_definition(true).load_model().expect_err("refused");
    assert!(error.to_string().contains("leads out of the model directory"), "{error}");
}

#[test]
fn a_local_definition_is_bound_by_the_limits_of_every_definition() {
    let dir = model(&json!({"architectures": ["EndlessForCausalLM"], "model_type": "endless"}), &[]);
    let endless = "[architectures.EndlessForCausalLM]\ncategory = 'transformers'\ntask = 'causal-lm'\n\
        [modules.EndlessForCausalLM]\ninputs = ['input_ids']\n\
        lets.n = 'sum([i for i in range(1000000000)])'\nforward = 'return input_ids + n'\n";
    fs::write(dir.path().join("omni.toml"), endless).expect("written");
    let error = Loader::new(dir.path()).allow_local_definition(true).load_model().expect_err("too much");
    assert!(error.to_string().contains("steps") || error.to_string().contains("items"), "{error}");
}

#[test]
fn is_omni_model_means_thinker_talker_or_any_to_any() {
    let omni = |config: Value| info::is_omni_model(model(&config, &[]).path());
    assert!(omni(json!({"architectures": ["Qwen2_5OmniModel"], "model_type": "qwen2_5_omni"})));
    assert!(omni(json!({"model_type": "some_omni_type"})));
    assert!(omni(json!({"model_type": "any-to-any"})));
    assert!(omni(json!({"model_type": "x", "thinker_config": {}, "talker_config": {}})));
    // The guide's program said yes to every architecture that it could load.
    assert!(!omni(json!({"architectures": ["BertModel"], "model_type": "bert"})));
    assert!(!info::is_omni_model("/no/such/place"));
}

#[test]
fn get_model_info_has_every_key_of_the_guide() {
    let config = json!({
        "architectures": ["Qwen2_5OmniModel"],
        "model_type": "qwen2_5_omni",
        "talker_config": {},
        "thinker_config": {"text_config": {"quantization_config": {"quant_method": "gptq"}}},
    });
    let dir = model(&config, &["modeling_x.py"]);
    let info = info::model_info(dir.path());
    assert_eq!(info.architecture.as_deref(), Some("Qwen2_5OmniForConditionalGeneration"));
    assert_eq!(info.model_type.as_deref(), Some("qwen2_5_omni"));
    assert_eq!(info.category.as_deref(), Some("omni"));
    assert!(info.is_quantized && info.has_talker && info.is_omni && info.has_custom_files);
    assert_eq!(info.quantization.as_deref(), Some("gptq"));
    let json = serde_json::to_value(&info).expect("serialisable");
    for key in [
        "name",
        "architecture",
        "model_type",
        "is_quantized",
        "has_talker",
        "is_supported",
        "has_custom_files",
        "error",
        "parameters",
        "dtypes",
        "size_on_disk",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    let plain = info::model_info(named("LlamaForCausalLM", "llama").path());
    assert!(!plain.is_quantized && !plain.has_talker && !plain.is_omni && !plain.has_custom_files);
    assert!(plain.is_supported && plain.error.is_none());
}

#[test]
fn get_model_info_counts_what_a_real_checkpoint_holds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/LlamaForCausalLM");
    let info = info::model_info(&dir);
    assert_eq!(info.name, "LlamaForCausalLM");
    assert_eq!(info.dtypes, ["F32"]);
    let bytes = fs::metadata(dir.join("model.safetensors")).expect("there").len();
    let numbers = info.parameters.expect("the header tells");
    assert!(numbers * 4 < bytes && numbers * 4 > bytes - 16_384, "{numbers} numbers in {bytes} bytes");
    assert!(info.size_on_disk > bytes);
}

#[test]
fn get_model_info_counts_no_file_that_holds_no_weights() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/LlamaForCausalLM");
    let dir = folder(&[]);
    fs::copy(from.join("config.json"), dir.path().join("config.json")).expect("copied");
    for file in ["model-00001-of-00001.safetensors", "optimizer.safetensors", "scheduler.safetensors"] {
        fs::copy(from.join("model.safetensors"), dir.path().join(file)).expect("copied");
    }
    let stray = from.join("golden.safetensors");
    assert_eq!(info::model_info(dir.path()).parameters, info::model_info(&from).parameters);
    // An index says which files count.
    fs::copy(stray, dir.path().join("stray.safetensors")).expect("copied");
    let index = json!({ "weight_map": { "lm_head.weight": "model-00001-of-00001.safetensors" } });
    fs::write(dir.path().join("model.safetensors.index.json"), index.to_string()).expect("written");
    assert_eq!(info::model_info(dir.path()).parameters, info::model_info(&from).parameters);
}

#[test]
fn where_names_lead_nowhere_every_question_is_answered_by_the_tensors() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/WhisperForConditionalGeneration");
    let text = fs::read_to_string(from.join("config.json")).expect("there");
    let mut config: Value = serde_json::from_str(&text).expect("a config");
    let keys = config.as_object_mut().expect("an object");
    keys.shift_remove("model_type");
    keys.insert("architectures".to_owned(), json!(["QuuxForEverything"]));
    let dir = model(&config, &[]);
    assert_ne!(info::detect_category(dir.path()).as_deref(), Some("asr"));
    assert!(!info::is_asr_model(dir.path()) && !info::is_model_supported(dir.path()).supported);
    fs::copy(from.join("model.safetensors"), dir.path().join("model.safetensors")).expect("copied");
    assert_eq!(info::detect_category(dir.path()).as_deref(), Some("asr"));
    assert!(info::is_asr_model(dir.path()) && !info::is_omni_model(dir.path()));
    let support = info::is_model_supported(dir.path());
    assert!(support.supported, "{:?}", support.error);
    assert_eq!(support.architecture.as_deref(), Some("WhisperForConditionalGeneration"));
    let info = info::model_info(dir.path());
    assert_eq!((info.architecture, info.category), (support.architecture, support.category));
}

#[test]
fn is_model_supported_has_every_key_of_the_guide() {
    let support = info::is_model_supported(named("BertModel", "bert").path());
    let json = serde_json::to_value(&support).expect("serialisable");
    for key in ["supported", "category", "architecture", "model_type", "has_custom_files", "error"] {
        assert!(json.get(key).is_some(), "{key}");
    }
}

// ── Error Handling ──────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn error_no_config_json_found() {
    let dir = folder(&["README.md"]);
    let support = info::is_model_supported(dir.path());
    let error = support.error.expect("an error");
    assert!(error.starts_with("no config.json found in `"), "{error}");
    assert!(!support.supported && support.category.is_none());
    assert_eq!(info::detect_category(dir.path()), None);
}

#[test]
fn error_path_does_not_exist() {
    let info = info::model_info("/no/such/place");
    assert_eq!(info.name, "place");
    assert_eq!(info.error.as_deref(), Some("`/no/such/place` does not exist: check how it is spelled"));
}

#[test]
fn error_architecture_not_recognized() {
    let dir =
        model(&json!({"architectures": ["LamaForCausalLM"], "model_type": "lama"}), &["modeling_lama.py"]);
    let support = info::is_model_supported(dir.path());
    assert!(support.has_custom_files);
    assert_eq!(support.category.as_deref(), Some("transformers"), "the guide's fallback");
    let error = support.error.expect("an error");
    assert!(
        error.starts_with("architecture not recognized: `LamaForCausalLM` (model_type `lama`)"),
        "{error}"
    );
    assert!(error.contains("`LlamaForCausalLM`"), "the nearest name: {error}");
    assert!(error.contains("modeling_lama.py"), "custom code is named: {error}");
    assert!(error.contains("omni new"), "and what to do: {error}");
}

/// An autoencoder without a tokenizer, whose config names its base model.
fn autoencoder(base: &str) -> TempDir {
    let dir = folder(&["resid_post/layer_2/config.json"]);
    let config = json!({ "model_name": base }).to_string();
    fs::write(dir.path().join("resid_post/layer_2/config.json"), config).expect("written");
    dir
}

#[test]
fn error_tokenizer_dependency_missing() {
    let empty = folder(&[]);
    let sae = autoencoder("gemma-2-2b");
    let error = Loader::new(sae.path()).hub(Hub::at(empty.path())).load_tokenizer().expect_err("no base");
    assert!(error.to_string().starts_with("Tokenizer dependency missing: `"), "{error}");
    let omni::model::LoadError::Definition(problem) = error else { panic!("{error}") };
    let help = problem.help.expect("what to do");
    assert!(help.contains("google/gemma-2-2b") && help.contains("--download"), "{help}");
    assert!(help.contains("hf download google/gemma-2-2b"), "{help}");
    let plain = named("LlamaForCausalLM", "llama");
    let error = Loader::new(plain.path()).load().expect_err("no tokenizer").to_string();
    assert!(error.starts_with("Tokenizer dependency missing: `"), "{error}");
    // A path in a config is no base model: nothing outside the directory is read.
    let sly = autoencoder(&demo().display().to_string());
    let error = Loader::new(sly.path()).hub(Hub::at(empty.path())).load_tokenizer().expect_err("a path");
    let omni::model::LoadError::Definition(problem) = error else { panic!("{error}") };
    let help = problem.help.expect("what to do");
    assert!(help.contains("which is no repository") && help.contains("tokenizer_from"), "{help}");
}

#[test]
fn an_autoencoder_loads_with_the_tokenizer_of_its_base_model() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/sae");
    let scope = folder(&["gemma-scope-2b-pt-res/layer_5/width_16k/average_l0_18/"]);
    let leaf = scope.path().join("gemma-scope-2b-pt-res/layer_5/width_16k/average_l0_18");
    let params = "gemma_scope/resid_post/layer_5/width_16k/average_l0_18/params.npz";
    fs::copy(recorded.join(params), leaf.join("params.npz")).expect("copied");
    let known = [
        // By the path, then by the configs of several libraries.
        (leaf.clone(), "google/gemma-2-2b"),
        (leaf.join("params.npz"), "google/gemma-2-2b"),
        (recorded.join("llama_scope/Llama3_1-8B-Base-L3R-8x"), "meta-llama/Llama-3.1-8B"),
        (recorded.join("gemma_scope2/resid_post/layer_2_width_16k_l0_medium"), "google/gemma-3-1b-it"),
        (recorded.join("dictionary_learning/topk/ae.pt"), "google/gemma-2-2b"),
        (recorded.join("sae_lens_legacy/v3-noarch/cfg.json"), "openai-community/gpt2"),
    ];
    for (path, base) in known {
        let cache = folder(&[]);
        let snapshot = cache.path().join(format!("models--{}/snapshots/abc", base.replace('/', "--")));
        fs::create_dir_all(&snapshot).expect("a folder");
        let loader = || Loader::new(&path).hub(Hub::at(cache.path()));
        let missing = loader().load().expect_err("nothing in the cache yet").to_string();
        assert!(missing.starts_with("Tokenizer dependency missing: `"), "{missing}");
        fs::copy(demo().join("tokenizer.json"), snapshot.join("tokenizer.json")).expect("copied");
        let (model, tokenizer) = loader().load().expect("the model and its base's tokenizer");
        assert_eq!(model.task(), "sparse-autoencode");
        assert!(tokenizer.notes().iter().any(|note| note.contains(base)), "{:?}", tokenizer.notes());
        let (_, own) = loader().tokenizer_from(demo()).load().expect("the caller's choice");
        assert!(!own.notes().iter().any(|note| note.contains(base)), "{:?}", own.notes());
    }
}

#[test]
fn error_failed_to_load_model() {
    let config = fs::read_to_string(demo().join("config.json")).expect("there");
    let dir = folder(&[]);
    fs::write(dir.path().join("config.json"), config).expect("written");
    let error = Loader::new(dir.path()).load_model().expect_err("no weights").to_string();
    assert!(error.contains("model.safetensors"), "what was looked for: {error}");
    fs::write(dir.path().join("model.safetensors"), "version https://git-lfs.github.com/spec/v1")
        .expect("written");
    let error = Loader::new(dir.path()).load_model().expect_err("a pointer").to_string();
    assert!(error.contains("LFS") || error.contains("lfs"), "{error}");
}

#[test]
fn degradation_1_strategy_cascading() {
    // Instead of trying loaders until one does not fail: name, alias, case, model type, each reported.
    let facts = Facts::of_config("test", json!({"architectures": ["qwen3forcausallm"]}));
    let registry = Registry::shipped().expect("no errors");
    let found = Matcher::new(registry).find(&facts).expect("a match").architecture.expect("found");
    assert_eq!((found.name.as_str(), found.step), ("Qwen3ForCausalLM", Step::Case));
}

#[test]
fn degradation_2_tokenizer_fallback_is_reported_and_never_silent() {
    let cache = folder(&[]);
    let snapshot = cache.path().join("models--google--gemma-2-2b/snapshots/abc");
    fs::create_dir_all(&snapshot).expect("a folder");
    fs::copy(demo().join("tokenizer.json"), snapshot.join("tokenizer.json")).expect("copied");
    let sae = autoencoder("gemma-2-2b");
    let tokenizer = Loader::new(sae.path()).hub(Hub::at(cache.path())).load_tokenizer().expect("the base's");
    assert!(
        tokenizer.notes().iter().any(|note| note.contains("google/gemma-2-2b")),
        "{:?}",
        tokenizer.notes()
    );
    // The caller's choice goes before any rule.
    assert!(Loader::new(sae.path()).tokenizer_from(demo()).load_tokenizer().is_ok());
}

#[test]
fn degradation_3_safe_loading_never_panics() {
    for text in ["", "{", "[]", r#"{"architectures": 7, "model_type": []}"#] {
        let dir = folder(&["model.safetensors"]);
        fs::write(dir.path().join("config.json"), text).expect("written");
        assert!(omni::load_safe(dir.path()).is_none(), "{text}");
    }
}

#[test]
fn degradation_4_an_unknown_type_is_registered_by_data() {
    let (dir, _) = duo();
    assert!(Loader::new(dir.path()).load_model().is_err());
    assert!(duo_loader(dir.path()).load_model().is_ok());
}

#[test]
fn a_known_name_without_a_definition_says_so() {
    let error = info::is_model_supported(named("Grok1ForCausalLM", "grok-1").path()).error.expect("an error");
    let start = "recognised as `Grok1ForCausalLM`, category `transformers`; no definition yet: nearest is `";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn a_broken_config_is_an_error_and_no_panic() {
    let dir = folder(&[]);
    fs::write(dir.path().join("config.json"), "{\"architectures\": [").expect("written");
    let info = info::model_info(dir.path());
    assert!(info.error.expect("an error").starts_with("`config.json`: EOF while parsing"));
}

// ── Extending the Loader ────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn adding_a_new_architecture_is_a_few_lines_of_data() {
    let mut registry = Registry::embedded().expect("no errors");
    let problems = registry.merge(&Source::new(
        "overlay.toml",
        "[architectures.NewArchitectureForCausalLM]\ncategory = 'transformers'\ntask = 'causal-lm'\n\
         model-types = ['new_model_type']\nconfig = 'llama'\nmodule = 'LlamaForCausalLM'\n\
         [model-types]\nnew_model_type = { architecture = 'NewArchitectureForCausalLM', config-class = 'NewConfig' }\n",
    ));
    assert!(problems.is_empty(), "{problems}");
    let inspector = Inspector::new(&registry, Hub::none());
    assert!(inspector.support(named("NewArchitectureForCausalLM", "").path()).supported);
    let by_type = model(&json!({"model_type": "new_model_type"}), &[]);
    assert_eq!(inspector.support(by_type.path()).architecture.as_deref(), Some("NewArchitectureForCausalLM"));
}

#[test]
fn adding_a_new_category_is_a_rule() {
    let mut registry = Registry::embedded().expect("no errors");
    let problems = registry.merge(&Source::new(
        "overlay.toml",
        "[categories.new_category]\nwhat = 'new'\n\
         [[rule]]\nid = 'indicator'\ncategory = 'new_category'\npriority = 110\nwhy = 'its indicator is there'\n\
         when = { file = ['indicator_file.json'] }\n",
    ));
    assert!(problems.is_empty(), "{problems}");
    let inspector = Inspector::new(&registry, Hub::none());
    let dir = model(&json!({"architectures": ["LlamaForCausalLM"]}), &["indicator_file.json"]);
    assert_eq!(inspector.category(dir.path()).as_deref(), Some("new_category"));
    assert!(inspector.support(dir.path()).supported);
}

// ── Architecture Compatibility Matrix ───────────────────────────────────────────────────────────────────────────

/// Architecture and category of a directory.
fn row(dir: &TempDir) -> (String, String) {
    let support = recognised(dir.path());
    (support.architecture.unwrap_or_default(), support.category.unwrap_or_default())
}

fn pair(architecture: &str, category: &str) -> (String, String) {
    (architecture.to_owned(), category.to_owned())
}

#[test]
fn matrix_01_agentcpm_explore() {
    assert_eq!(row(&named("Qwen3ForCausalLM", "qwen3")), pair("Qwen3ForCausalLM", "transformers"));
    assert_eq!(
        row(&model(&json!({"model_type": "agent_cpm"}), &[])),
        pair("Qwen3ForCausalLM", "transformers")
    );
}

#[test]
fn matrix_02_glm_4_7_flash() {
    let expected = pair("Glm4MoeLiteForCausalLM", "transformers"); // the guide says Glm4Moe: see the aliases
    assert_eq!(row(&named("Glm4MoeLiteForCausalLM", "glm4_moe_lite")), expected);
}

#[test]
fn matrix_03_step3_vl_10b() {
    for name in ["Step3VL10BForCausalLM", "StepVLForConditionalGeneration"] {
        assert_eq!(row(&named(name, "step_robotics")), pair(name, "vision_language"));
    }
}

#[test]
fn matrix_04_gemma_scope() {
    let first =
        folder(&["layer_0/width_16k/average_l0_13/params.npz", "embedding/width_4k/average_l0_6/params.npz"]);
    let second = folder(&["resid_post/layer_0_width_16k_l0_big/config.json", "transcoder_all/"]);
    for dir in [first, second] {
        assert_eq!(row(&dir), pair("SAE", "sae"));
        assert!(info::is_model_supported(dir.path()).supported);
    }
    // Each autoencoder loads by its own path too.
    assert_eq!(row(&folder(&["params.npz"])), pair("JumpReLUSAE", "sae"));
}

#[test]
fn matrix_05_stable_diffusion() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/StableDiffusionPipeline");
    let support = info::is_model_supported(&dir);
    assert_eq!(support.category.as_deref(), Some("diffusers"));
    assert_eq!(support.architecture.as_deref(), Some("StableDiffusionPipeline"));
    assert!(support.supported, "{:?}", support.error);
    for component in ["unet", "vae", "text_encoder"] {
        let support = info::is_model_supported(dir.join(component));
        assert!(support.supported, "{component}: {:?}", support.error);
    }
}

#[test]
fn a_pipeline_with_a_component_missing_says_which() {
    let dir = folder(&[]);
    let unet = json!({"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.42.1"});
    let index = json!({
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "safety_checker": [null, null],
    });
    fs::create_dir(dir.path().join("unet")).expect("a folder");
    fs::write(dir.path().join("unet/config.json"), unet.to_string()).expect("written");
    fs::write(dir.path().join("model_index.json"), index.to_string()).expect("written");
    let error = info::is_model_supported(dir.path()).error.expect("an error");
    assert_eq!(error, "its component `vae` is named in `model_index.json` and not there");
}

#[test]
fn matrix_06_siglip() {
    assert_eq!(row(&named("SigLIPModel", "siglip")), pair("SiglipModel", "vision_encoder"));
}

#[test]
fn matrix_07_videomae() {
    assert_eq!(row(&named("VideoMAEModel", "videomae")), pair("VideoMAEModel", "vision_encoder"));
    let pretraining = named("VideoMAEForPreTraining", "videomae");
    assert_eq!(row(&pretraining), pair("VideoMAEForPreTraining", "vision_encoder"));
}

#[test]
fn matrix_08_whisper_and_vibevoice() {
    let whisper = named("WhisperForConditionalGeneration", "whisper");
    assert_eq!(row(&whisper), pair("WhisperForConditionalGeneration", "asr"));
    // VibeVoice is no Whisper; its model_type is that of a model that speaks, so the name decides.
    let vibevoice = named("VibeVoiceForASRTraining", "vibevoice");
    assert_eq!(row(&vibevoice), pair("VibeVoiceForASRTraining", "asr"));
    let speaking = named("VibeVoiceForConditionalGeneration", "vibevoice");
    assert_eq!(row(&speaking), pair("VibeVoiceForConditionalGeneration", "tts"));
}

#[test]
fn matrix_09_to_14_language_models() {
    let rows = [
        ("LlamaForCausalLM", "llama"),
        ("Qwen2ForCausalLM", "qwen2"),
        ("MistralForCausalLM", "mistral"),
        ("GemmaForCausalLM", "gemma"),
        ("Phi3ForCausalLM", "phi3"),
        ("DeepseekForCausalLM", "deepseek"),
    ];
    for (name, model_type) in rows {
        assert_eq!(row(&named(name, model_type)), pair(name, "transformers"));
    }
}
