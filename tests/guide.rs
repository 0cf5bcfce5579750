//! The loader's specification, example by example, row by row: what needs no weights.
//!
//! Names follow the guide's sections. Where the guide is wrong (see the comments), the right thing is asserted.

use std::fs;
use std::path::Path;

use omni::diag::Source;
use omni::facts::{Facts, Hub};
use omni::info::{self, Inspector};
use omni::matcher::{Matcher, Step};
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

// ── Quick Start ─────────────────────────────────────────────────────────────────────────────────────────────────

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
        let support = info::is_model_supported(named(name, "").path());
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
        let support = info::is_model_supported(named(name, "").path());
        assert_eq!(support.architecture.as_deref(), Some(name));
    }
    // The guide loads this one as Glm4Moe, whose attention is another: the numbers would be wrong.
    let support = info::is_model_supported(named("Glm4MoeLiteForCausalLM", "glm4_moe_lite").path());
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
        assert_eq!(info::detect_category(named(name, "").path()).as_deref(), Some("transformers"), "{name}");
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

// ── API Reference ───────────────────────────────────────────────────────────────────────────────────────────────

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
    assert_eq!(info.error.as_deref(), Some("`/no/such/place` does not exist"));
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
    let support = info::is_model_supported(dir.path());
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
