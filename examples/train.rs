//! Trains a small language model on a text, from nothing: tokenizer, weights and all.
//!
//! ```text
//! cargo run --release --example train -- TEXT DIRECTORY [--steps N] [--minutes N]
//! ```
//!
//! The directory then holds a model like any other: `omni run DIRECTORY "…"` writes more of the text. The demo
//! of this repository was made so; `examples/demo/README.md` says from which text.

#![expect(clippy::print_stdout, reason = "a program may say how far it is")]
#![expect(clippy::cast_precision_loss, reason = "counts of tokens are small")]

use std::error::Error;
use std::f64::consts::PI;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::AutodiffModule;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::{Int, Tensor, TensorData};
use clap::Parser;
use omni::model::device::{self, DeviceChoice};
use omni::model::sampling::GenerationConfig;
use omni::model::{Inputs, Model};
use omni::ops::backend::{B, Device};
use omni::registry::Registry;
use omni::weights::{SaveOptions, StoredDtype};
use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};
use tokenizers::{TokenizerBuilder, TokenizerImpl};

/// The token between texts: the first of the vocabulary.
const END: &str = "<|endoftext|>";

/// What is continued now and then, to see how far the training is.
const PROMPT: &str = "\"My dear Watson,\" said";

#[derive(Parser)]
struct Options {
    /// The text to learn, as UTF-8.
    text: PathBuf,
    /// Where the model is written.
    directory: PathBuf,
    /// How many batches to learn from.
    #[arg(long, default_value_t = 2000)]
    steps: u32,
    /// When to stop at the latest; the rate of learning has then fallen as far as after the last step.
    #[arg(long, default_value_t = f64::INFINITY)]
    minutes: f64,
    /// Windows of text in a batch.
    #[arg(long, default_value_t = 8)]
    batch: usize,
    /// Tokens in a window.
    #[arg(long, default_value_t = 128)]
    length: usize,
    /// The highest rate of learning.
    #[arg(long, default_value_t = 3e-3)]
    rate: f64,
    /// Steps between two looks at the text that is held out; the model is then saved, too.
    #[arg(long, default_value_t = 200)]
    every: u32,
    /// Where the first weights come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What computes: auto, cpu, cuda or wgpu.
    #[arg(long, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let text = fs::read_to_string(&options.text)?;
    fs::create_dir_all(&options.directory)?;
    let tokenizer = train_tokenizer(&text, &options)?;
    let tokens = encode(&tokenizer, &text)?;
    let (seen, held_out) = tokens.split_at(tokens.len() / 20 * 19);

    let config = config(tokenizer.get_vocab_size(true), options.length);
    let (device, report) = device::open(options.device)?;
    let model = Model::init(
        Registry::embedded()?,
        "LlamaForCausalLM",
        config,
        Device::autodiff(device),
        options.seed,
    )?;
    let parameters: usize = model.params().iter().map(|(_, param)| param.elements()).sum();
    println!(
        "{} tokens, {} of them held out; {parameters} parameters on {}",
        tokens.len(),
        held_out.len(),
        report.name
    );
    train(model, &tokenizer, seen, held_out, &options)
}

/// Learns from batch after batch, and now and then looks at the text that is held out and saves.
fn train(
    mut model: Model,
    tokenizer: &Bpe,
    seen: &[u32],
    held_out: &[u32],
    options: &Options,
) -> Result<(), Box<dyn Error>> {
    let mut optimizer = AdamWConfig::new()
        .with_beta_2(0.95)
        .with_weight_decay(0.1)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init::<B, Model>();
    let start = Instant::now();
    let mut losses = Vec::new();
    for step in 0_u32.. {
        let seconds = start.elapsed().as_secs_f64();
        let done = (f64::from(step) / f64::from(options.steps)).max(seconds / 60.0 / options.minutes);
        if done >= 1.0 || (step > 0 && step.is_multiple_of(options.every)) {
            let valid = model.valid();
            let unseen = held_out_loss(&valid, held_out, options)?;
            let mean = losses.iter().sum::<f32>() / losses.len() as f32;
            let speed = f64::from(step) * (options.batch * options.length) as f64 / seconds;
            println!("step {step:5}  loss {mean:.3}  held out {unseen:.3}  {speed:.0} tokens/s");
            println!("    {:?}", sample(&valid, tokenizer, PROMPT)?);
            let half = SaveOptions { dtype: Some(StoredDtype::F16), ..SaveOptions::default() };
            valid.save_with(&options.directory, half)?;
            losses.clear();
        }
        if done >= 1.0 {
            break;
        }
        let loss = loss(&model, &windows(seen, step as usize * options.batch, options))?;
        losses.push(loss.clone().into_scalar());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rate(step, done, options.rate), model, gradients);
    }
    Ok(())
}

/// A rate that rises over the first hundred steps and then falls to a tenth along half a cosine.
fn rate(step: u32, done: f64, highest: f64) -> f64 {
    let risen = f64::from(step + 1) / 100.0;
    let fallen = 0.1 + 0.45 * (1.0 + (PI * done).cos());
    highest * risen.min(fallen)
}

/// The windows of a batch: `first` and those after it, in an order that spreads them over the text.
///
/// Each holds one token more than the model reads, since it is to tell the next one.
fn windows(tokens: &[u32], first: usize, options: &Options) -> Vec<Vec<u32>> {
    let places = tokens.len() - options.length;
    // A step near the golden section of the text comes close to every place before it comes back.
    let stride = (places * 618 / 1000) | 1;
    let starts = (first..first + options.batch).map(|window| (window * stride) % places);
    starts.map(|start| tokens[start..=start + options.length].to_vec()).collect()
}

/// The mean of what the model is surprised by each token after the first.
fn loss(model: &Model, rows: &[Vec<u32>]) -> Result<Tensor<B, 1>, Box<dyn Error>> {
    let inputs: Vec<Vec<u32>> = rows.iter().map(|row| row[..row.len() - 1].to_vec()).collect();
    let targets: Vec<i64> = rows.iter().flat_map(|row| &row[1..]).map(|id| i64::from(*id)).collect();
    let outputs = model.forward(&Inputs::tokens(&inputs))?;
    let logits = outputs.get("logits").ok_or("the model gives no logits")?.clone().float::<3>();
    let [batch, time, vocabulary] = logits.dims();
    let targets = Tensor::<B, 1, Int>::from_data(TensorData::new(targets, [batch * time]), model.device());
    let loss = CrossEntropyLossConfig::new().init(model.device());
    Ok(loss.forward(logits.reshape([batch * time, vocabulary]), targets))
}

/// The mean loss over the first windows of the text that is held out.
fn held_out_loss(model: &Model, tokens: &[u32], options: &Options) -> Result<f32, Box<dyn Error>> {
    let rows: Vec<Vec<u32>> = tokens.chunks_exact(options.length + 1).take(32).map(<[u32]>::to_vec).collect();
    if rows.is_empty() {
        return Err("the text is too short to hold a window of it out".into());
    }
    let losses = rows.chunks(options.batch).map(|rows| {
        let loss: f32 = loss(model, rows)?.into_scalar();
        Ok(loss * rows.len() as f32)
    });
    Ok(losses.sum::<Result<f32, Box<dyn Error>>>()? / rows.len() as f32)
}

/// The likeliest continuation of a prompt.
fn sample(model: &Model, tokenizer: &Bpe, prompt: &str) -> Result<String, Box<dyn Error>> {
    let mut greedy = GenerationConfig::default();
    greedy.max_new_tokens = Some(40);
    let generated = model.generate(&encode(tokenizer, prompt)?, &greedy, 0, |_| ControlFlow::Continue(()))?;
    let text = tokenizer.decode(&generated.tokens, true).map_err(|error| error.to_string())?;
    Ok(format!("{prompt}{text}"))
}

fn encode(tokenizer: &Bpe, text: &str) -> Result<Vec<u32>, Box<dyn Error>> {
    Ok(tokenizer.encode(text, false).map_err(|error| error.to_string())?.get_ids().to_vec())
}

/// A tokenizer over bytes, as GPT-2's.
type Bpe = TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// Learns the pairs that occur most often, and writes everything that tells how to make text from tokens.
fn train_tokenizer(text: &str, options: &Options) -> Result<Bpe, Box<dyn Error>> {
    let bytes = ByteLevel::new(false, true, true);
    let mut tokenizer: Bpe = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None)
        .with_pre_tokenizer(Some(bytes.into()))
        .with_post_processor(None)
        .with_decoder(Some(bytes.into()))
        .build()
        .map_err(|error| error.to_string())?;
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(2048)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![AddedToken::from(END, true)])
        .show_progress(false)
        .build();
    tokenizer.train(&mut trainer, text.lines()).map_err(|error| error.to_string())?;
    let path = options.directory.join("tokenizer.json");
    tokenizer.save(path, false).map_err(|error| error.to_string())?;
    let write = |name, value| fs::write(options.directory.join(name), format!("{value:#}\n"));
    write(
        "tokenizer_config.json",
        json!({
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END,
            "clean_up_tokenization_spaces": false, "model_max_length": options.length,
        }),
    )?;
    write(
        "generation_config.json",
        json!({
            "bos_token_id": 0, "eos_token_id": 0, "do_sample": true, "temperature": 0.7, "top_p": 0.9,
            "max_new_tokens": options.length * 3 / 4,
        }),
    )?;
    Ok(tokenizer)
}

/// The config of a model of about a million parameters.
fn config(vocabulary: usize, length: usize) -> serde_json::Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "float16",
        "vocab_size": vocabulary, "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "hidden_act": "silu",
        "max_position_embeddings": length, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 0,
    })
}
