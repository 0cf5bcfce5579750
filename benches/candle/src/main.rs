//! Decodes with candle's own Llama, on the CPU and in 32 bits, from a checkpoint that `benches/decode.rs` saved.
//!
//! ```text
//! candle-decode DIRECTORY PROMPT STEPS
//! ```
//!
//! Prints the milliseconds of the prompt and of a token after it, each the median of seven generations.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama::{Cache, Llama, LlamaConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("the directory of a checkpoint is missing")?;
    let prompt: usize = arguments.next().ok_or("the number of tokens of the prompt is missing")?.parse()?;
    let steps: usize = arguments.next().ok_or("the number of steps is missing")?.parse()?;
    let directory = Path::new(&directory);
    let config: LlamaConfig = serde_json::from_slice(&std::fs::read(directory.join("config.json"))?)?;
    let config = config.into_config(false);
    let weights = candle_core::safetensors::load(directory.join("model.safetensors"), &Device::Cpu)?;
    let model = Llama::load(VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu), &config)?;
    // The same tokens as `benches/decode.rs` feeds.
    let token = |index: usize| u32::try_from(index * 37 % config.vocab_size).unwrap_or(0);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..7 {
        let mut cache = Cache::new(true, DType::F32, &config, &Device::Cpu)?;
        let tokens: Vec<u32> = (0..prompt).map(token).collect();
        let start = Instant::now();
        model.forward(&Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?, 0, &mut cache)?;
        times[0].push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        for at in prompt..prompt + steps {
            model.forward(&Tensor::new(&[token(at)], &Device::Cpu)?.unsqueeze(0)?, at, &mut cache)?;
        }
        times[1].push(start.elapsed().as_secs_f64() * 1e3 / steps as f64);
    }
    for (what, mut times) in ["prefill", "decode"].into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        println!("candle {what} {:.3} ms", times[times.len() / 2]);
    }
    Ok(())
}
