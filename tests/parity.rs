//! Every shipped definition against recorded outputs of its reference implementation.
//!
//! One test an architecture: each case of its `golden.json` is run and every recorded value compared, inner ones
//! first, so that a failure names the module that differs first. `OMNI_PARITY_DEVICE` chooses the device
//! (`cpu`, `wgpu`, `cuda`, …); see `parity/README.md` for the recordings.

#[path = "parity/harness.rs"]
mod harness;

use harness::{Outcome, check, check_variant};

/// A test for each recording and for each variant.
macro_rules! parity {
    ({$($test:ident: $folder:literal,)*} {$($variant:ident: $stored:literal,)*}) => {
        $(#[test]
        fn $test() -> Outcome {
            check($folder)
        })*

        $(#[test]
        fn $variant() -> Outcome {
            check_variant($stored)
        })*

        #[test]
        fn every_recording_has_a_test() -> Outcome {
            harness::all_are_listed(&[$($folder),*], &[$($stored),*])
        }
    };
}

parity! {
    {
        bert: "BertModel",
        clip: "CLIPModel",
        convnext: "ConvNextModel",
        deepseek_v3: "DeepseekV3ForCausalLM",
        gemma3: "Gemma3ForCausalLM",
        gpt2: "GPT2LMHeadModel",
        gpt_oss: "GptOssForCausalLM",
        llama: "LlamaForCausalLM",
        mamba2: "Mamba2ForCausalLM",
        phi3: "Phi3ForCausalLM",
        qwen3: "Qwen3ForCausalLM",
        qwen3_moe: "Qwen3MoeForCausalLM",
        qwen3_next: "Qwen3NextForCausalLM",
        stable_diffusion: "StableDiffusionPipeline",
        swin: "SwinModel",
        t5: "T5ForConditionalGeneration",
        vit: "ViTModel",
        wav2vec2: "Wav2Vec2Model",
        whisper: "WhisperForConditionalGeneration",
    }
    {
        bin: "BertModel--bin",
        bin_before_zip: "BertModel--bin-legacy",
        bin_with_views: "BertModel--bin-views",
        another_prefix: "CLIPTextModel--text-model",
        no_prefix_and_buffers: "GPT2LMHeadModel--bare",
        stored_although_tied: "Gemma3ForCausalLM--stored-head",
        bf16: "LlamaForCausalLM--bf16",
        f16: "LlamaForCausalLM--f16",
        sharded: "LlamaForCausalLM--sharded",
        sharded_bin: "LlamaForCausalLM--sharded-bin",
        weight_norm_by_hook: "Wav2Vec2Model--weight-norm",
    }
}
