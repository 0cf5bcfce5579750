//! Every shipped definition against recorded outputs of its reference implementation.
//!
//! One test an architecture: each case of its `golden.json` is run and every recorded value compared, inner ones
//! first, so that a failure names the module that differs first. `OMNI_PARITY_DEVICE` chooses the device
//! (`cpu`, `wgpu`, `cuda`, …); see `parity/README.md` for the recordings.

#[path = "parity/sae.rs"]
mod autoencoders;
#[path = "parity/harness.rs"]
mod harness;
#[path = "parity/speak.rs"]
mod speak;

use harness::{Outcome, check, check_mode, check_variant};

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
        qwen2_5_omni: "Qwen2_5OmniForConditionalGeneration",
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

#[test]
fn qwen2_5_omni_thinker_only() -> Outcome {
    let cases = ["plain", "leftpad", "rightpad", "audio", "image", "all"];
    check_mode("Qwen2_5OmniForConditionalGeneration", "thinker_only", &cases)
}

#[test]
fn qwen2_5_omni_talker_only() -> Outcome {
    let cases = ["talk", "talk_prompt", "talk_step", "denoise", "vocode"];
    check_mode("Qwen2_5OmniForConditionalGeneration", "talker_only", &cases)
}

#[test]
fn qwen2_5_omni_speaks() -> Outcome {
    speak::check("Qwen2_5OmniForConditionalGeneration")
}

/// A test for each autoencoder.
macro_rules! sae {
    ($($test:ident: $folder:literal,)*) => {
        mod sae {
            use super::{Outcome, autoencoders};

            $(#[test]
            fn $test() -> Outcome {
                autoencoders::check($folder)
            })*

            #[test]
            fn thresholds_may_be_stored_as_logarithms() -> Outcome {
                autoencoders::thresholds_may_be_stored_as_logarithms()
            }

            #[test]
            fn finetuned_features_are_scaled() -> Outcome {
                autoencoders::finetuned_features_are_scaled()
            }

            #[test]
            fn unknown_options_are_refused() -> Outcome {
                autoencoders::unknown_options_are_refused()
            }

            #[test]
            fn every_recording_has_a_test() -> Outcome {
                autoencoders::all_are_listed(&[$($folder),*])
            }
        }
    };
}

sae! {
    dictionary_learning_batchtopk: "dictionary_learning/batchtopk",
    dictionary_learning_gated: "dictionary_learning/gated",
    dictionary_learning_jumprelu: "dictionary_learning/jumprelu",
    dictionary_learning_relu: "dictionary_learning/relu",
    dictionary_learning_topk: "dictionary_learning/topk",
    gemma_scope_attn_out: "gemma_scope/attn_out/layer_7/width_16k/average_l0_62",
    gemma_scope_resid_post: "gemma_scope/resid_post/layer_5/width_16k/average_l0_18",
    gemma_scope2_resid_post_medium: "gemma_scope2/resid_post/layer_2_width_16k_l0_medium",
    gemma_scope2_transcoder_small: "gemma_scope2/transcoder/layer_2_width_16k_l0_small",
    gemma_scope2_transcoder_small_affine: "gemma_scope2/transcoder/layer_2_width_16k_l0_small_affine",
    llama_scope_residual: "llama_scope/Llama3_1-8B-Base-L3R-8x",
    abstopk: "sae_lens/abstopk-k=7",
    batchtopk_as_saved: "sae_lens/batchtopk-as-saved",
    gated: "sae_lens/gated",
    jumprelu: "sae_lens/jumprelu",
    jumprelu_not_centred_layer_norm: "sae_lens/jumprelu-apply_b_dec_to_input=False-normalize_activations=layer_norm",
    jumprelu_skip_transcoder: "sae_lens/jumprelu_skip_transcoder-d_out=24",
    jumprelu_transcoder: "sae_lens/jumprelu_transcoder-d_out=24",
    skip_transcoder: "sae_lens/skip_transcoder-d_out=24",
    standard: "sae_lens/standard",
    standard_not_centred: "sae_lens/standard-apply_b_dec_to_input=False",
    standard_constant_norm_rescale: "sae_lens/standard-normalize_activations=constant_norm_rescale",
    standard_expected_average_only_in: "sae_lens/standard-normalize_activations=expected_average_only_in",
    standard_layer_norm: "sae_lens/standard-normalize_activations=layer_norm",
    standard_hook_z: "sae_lens/standard-reshape_activations=hook_z",
    topk: "sae_lens/topk-k=7",
    topk_rescaled: "sae_lens/topk-k=7-rescale_acts_by_decoder_norm=True",
    transcoder: "sae_lens/transcoder-d_out=24",
    legacy_v3_noarch: "sae_lens_legacy/v3-noarch",
    legacy_v5_gated: "sae_lens_legacy/v5-gated",
    legacy_v5_jumprelu: "sae_lens_legacy/v5-jumprelu",
    legacy_v5_standard: "sae_lens_legacy/v5-standard",
    legacy_v5_topk: "sae_lens_legacy/v5-topk",
    sparsify_layer_3: "sparsify/layers.3",
    sparsify_layer_5_mlp_transcode: "sparsify/layers.5.mlp-transcode",
    sparsify_layer_6_groupmax: "sparsify/layers.6-groupmax",
}
