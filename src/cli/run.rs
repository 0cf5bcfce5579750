//! `omni run`: text from a prompt.

use std::io::{IsTerminal, Read};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::source::Source;
use super::{Global, Outcome, output};
use crate::hub::Want;
use crate::model::device::{self, DeviceChoice};
use crate::model::sampling::GenerationConfig;
use crate::model::{self, Dtype};
use crate::registry::FULL;
use crate::tokenizer::{Message, Tokenizer};

/// Continue a prompt with a model, printing the text as it comes.
///
/// Stop tokens and sampling follow the model's `generation_config.json` where no option says otherwise.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    source: Source,
    /// The prompt; read from standard input if absent.
    prompt: Option<String>,
    /// Where to run: auto, cpu, cuda[:N] or wgpu[:N].
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Load only a part: full, or a mode of the architecture, such as `thinker_only`.
    #[arg(long, value_name = "NAME", default_value = FULL)]
    mode: String,
    /// Take the tokenizer of this directory.
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// The width of floats: auto, f32, f16 or bf16.
    #[arg(long, default_value = "auto")]
    dtype: Dtype,
    /// The most new tokens.
    #[arg(long, short = 'n', value_name = "COUNT")]
    max_new_tokens: Option<usize>,
    /// Divides the logits: below 1 safer, above 1 wilder; 0 always takes the likeliest token.
    #[arg(long, value_parser = number::<0, 1_000_000>)]
    temperature: Option<f32>,
    /// Draw among this many likeliest tokens; 0 for all.
    #[arg(long)]
    top_k: Option<usize>,
    /// Draw among the fewest tokens whose probabilities reach this sum.
    #[arg(long, value_parser = number::<0, 1>)]
    top_p: Option<f32>,
    /// Above 1, tokens that were already there become less likely.
    #[arg(long, value_parser = positive)]
    repetition_penalty: Option<f32>,
    /// The seed of the draws; the same seed gives the same text.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Always take the likeliest token.
    #[arg(long, conflicts_with = "temperature")]
    greedy: bool,
    /// Wrap the prompt in the model's chat template.
    #[arg(long)]
    chat: bool,
    /// Print one JSON object at the end instead of streaming.
    #[arg(long)]
    json: bool,
}

/// A number between two bounds.
fn number<const LOW: u32, const HIGH: u32>(text: &str) -> Result<f32, String> {
    let number: Option<f32> = text.parse().ok();
    let fits = |number: &f32| f64::from(*number) >= LOW.into() && f64::from(*number) <= HIGH.into();
    number.filter(fits).ok_or_else(|| format!("expected a number from {LOW} to {HIGH}"))
}

/// A number above 0.
fn positive(text: &str) -> Result<f32, String> {
    let number: Option<f32> = text.parse().ok();
    let fits = |number: &f32| number.is_finite() && *number > 0.0;
    number.filter(fits).ok_or_else(|| "expected a number above 0".to_owned())
}

impl Run {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let (registry, facts) = self.source.open(global, Want::Description)?;
        model::check_generates(&registry, &facts, &self.mode)?;
        let prompt = self.prompt()?;
        let (device, report) = device::open(self.device)?;
        self.source.fetch(Want::Weights)?;
        let bar = output::Progress::new("loading");
        let started = Instant::now();
        let mut loader = self.source.loader(registry);
        if let Some(dir) = &self.tokenizer {
            loader = loader.tokenizer_from(dir);
        }
        let (model, tokenizer) = loader
            .device(device)
            .mode(self.mode.as_str())
            .dtype(self.dtype)
            .progress(|done, total| bar.update(done, total))
            .load()?;
        bar.finish();
        for note in model.remarks().iter().chain(tokenizer.notes()) {
            output::note(note);
        }
        let load_seconds = started.elapsed().as_secs_f64();
        let config = self.config(model.generation_config(), &tokenizer);
        let ids = self.ids(&tokenizer, &prompt)?;
        let mut stream = tokenizer.stream(true);
        let mut text = String::new();
        let mut failure = None;
        let mut first = None;
        let started = Instant::now();
        let generated = model.generate(&ids, &config, self.seed, |token| {
            first.get_or_insert_with(|| started.elapsed().as_secs_f64());
            let piece = if config.is_eos(token) { Ok(None) } else { stream.push(token) };
            match piece {
                Ok(piece) => {
                    let piece = piece.unwrap_or_default();
                    if !self.json {
                        output::print(&piece);
                    }
                    text.push_str(&piece);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        let seconds = started.elapsed().as_secs_f64();
        if let Some(rest) = stream.finish()? {
            if !self.json {
                output::print(&rest);
            }
            text.push_str(&rest);
        }
        let count = generated.tokens.len();
        let first = first.unwrap_or(seconds);
        #[expect(clippy::cast_precision_loss, reason = "token counts are small")]
        let speed = count.saturating_sub(1) as f64 / (seconds - first).max(1e-9);
        if self.json {
            let object = json!({
                "text": text,
                "tokens": generated.tokens,
                "prompt_tokens": ids.len(),
                "stopped": format!("{:?}", generated.stopped).to_lowercase(),
                "device": report.name,
                "load_seconds": load_seconds,
                "first_token_seconds": first,
                "tokens_per_second": speed,
            });
            output::print(&format!("{object}\n"));
        } else {
            output::print("\n");
            output::note(&format!(
                "{count} tokens, {speed:.1} tokens/s after {first:.2} s for a prompt of {} on {}; loaded in {load_seconds:.2} s",
                ids.len(),
                report.name,
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn prompt(&self) -> Result<String, Box<dyn std::error::Error>> {
        if let Some(prompt) = &self.prompt {
            return Ok(prompt.clone());
        }
        if std::io::stdin().is_terminal() {
            return Err("no prompt: give it as an argument or through standard input".into());
        }
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        Ok(text)
    }

    fn ids(&self, tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>, Box<dyn std::error::Error>> {
        if !self.chat {
            return Ok(tokenizer.encode(prompt, true)?);
        }
        let text = tokenizer.apply_chat(&[Message::new("user", prompt)], true, &serde_json::Map::new())?;
        Ok(tokenizer.encode(&text, false)?)
    }

    fn config(&self, found: &GenerationConfig, tokenizer: &Tokenizer) -> GenerationConfig {
        let mut config = found.clone();
        if config.eos_token_ids.is_empty() {
            config.eos_token_ids.extend(tokenizer.eos_id());
        }
        let sampled = self.temperature.is_some() || self.top_k.is_some() || self.top_p.is_some();
        config.do_sample = !self.greedy && (config.do_sample || sampled);
        config.temperature = self.temperature.unwrap_or(config.temperature);
        config.top_k = self.top_k.unwrap_or(config.top_k);
        config.top_p = self.top_p.unwrap_or(config.top_p);
        config.repetition_penalty = self.repetition_penalty.unwrap_or(config.repetition_penalty);
        config.max_new_tokens = self.max_new_tokens.or(config.max_new_tokens);
        config
    }
}
