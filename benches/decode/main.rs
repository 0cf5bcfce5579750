//! A Llama from the registry against the same Llama written by hand in burn, with the same weights in the same run.
//!
//! Prints, beside criterion's own figures, the ratio of the two as the median over rounds that alternate, since what
//! else a machine does changes from minute to minute. The goal is 1.03. `OMNI_BENCH_DEVICE` chooses the device
//! (`cpu`, `cuda`, `wgpu`); `OMNI_BENCH_SAVE` names a directory where the checkpoint is left for `benches/candle`.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod by_hand;

use std::time::Instant;

use by_hand::{ByHand, Sizes};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use omni::model::device::open;
use omni::model::{Inputs, Model, Session};
use omni::ops::backend::Device;
use omni::registry::Registry;
use serde_json::json;

const SIZES: Sizes = Sizes { vocabulary: 4096, hidden: 512, inner: 1376, layers: 8, heads: 8, kv_heads: 4 };
/// Tokens of the prompt, and of a generation after it.
const PROMPT: usize = 128;
const STEPS: usize = 16;
const ROUNDS: usize = 15;

fn model(device: Device) -> Model {
    let config = json!({
        "model_type": "llama", "vocab_size": SIZES.vocabulary, "hidden_size": SIZES.hidden,
        "intermediate_size": SIZES.inner, "num_hidden_layers": SIZES.layers,
        "num_attention_heads": SIZES.heads, "num_key_value_heads": SIZES.kv_heads,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "hidden_act": "silu", "tie_word_embeddings": false, "initializer_range": 0.05,
    });
    let registry = Registry::embedded().expect("no errors");
    Model::init(registry, "LlamaForCausalLM", config, device, 1).expect("a model")
}

/// The token at a place of the text.
fn token(index: usize) -> u32 {
    u32::try_from(index * 37 % SIZES.vocabulary).expect("a small vocabulary")
}

fn prompt() -> Vec<u32> {
    (0..PROMPT).map(token).collect()
}

/// Both models and what runs them.
struct Pair {
    registry: Model,
    by_hand: ByHand,
    device: Device,
}

impl Pair {
    fn started(&self) -> Session<'_> {
        let mut session = self.registry.session(&Inputs::new(), PROMPT + STEPS).expect("it generates");
        session.feed(&[prompt()], None).expect("a prompt");
        session
    }

    fn registry_prefill(&self) -> Vec<f32> {
        let mut session = self.registry.session(&Inputs::new(), PROMPT + STEPS).expect("it generates");
        session.feed(&[prompt()], None).expect("a prompt").swap_remove(0)
    }

    fn by_hand_prefill(&self) -> (Vec<f32>, by_hand::Cache) {
        let mut cache = self.by_hand.cache();
        (self.by_hand.feed(&prompt(), 0, &mut cache, &self.device), cache)
    }

    fn registry_steps(mut session: Session<'_>) -> Vec<f32> {
        let mut logits = Vec::new();
        for at in PROMPT..PROMPT + STEPS {
            logits = session.feed(&[vec![token(at)]], None).expect("a step").swap_remove(0);
        }
        logits
    }

    fn by_hand_steps(&self, mut cache: by_hand::Cache) -> Vec<f32> {
        let mut logits = Vec::new();
        for at in PROMPT..PROMPT + STEPS {
            logits = self.by_hand.feed(&[token(at)], at, &mut cache, &self.device);
        }
        logits
    }
}

fn milliseconds<T>(run: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    std::hint::black_box(run());
    start.elapsed().as_secs_f64() * 1e3
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Alternates the two, the first going first in every other round, and prints what they took and their ratio.
fn compare(what: &str, per: usize, mut registry: impl FnMut() -> f64, mut by_hand: impl FnMut() -> f64) {
    let (mut left, mut right, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (a, b) = if round % 2 == 0 {
            let a = registry();
            (a, by_hand())
        } else {
            let b = by_hand();
            (registry(), b)
        };
        ratios.push(a / b);
        left.push(a);
        right.push(b);
    }
    ratios.sort_by(f64::total_cmp);
    let per = f64::from(u32::try_from(per).expect("few steps"));
    println!(
        "{what}: registry {:.3} ms, by hand {:.3} ms, ratio {:.3} (middle half {:.3} to {:.3})",
        median(left) / per,
        median(right) / per,
        ratios[ROUNDS / 2],
        ratios[ROUNDS / 4],
        ratios[ROUNDS * 3 / 4],
    );
}

fn decode(c: &mut Criterion) {
    let choice = std::env::var("OMNI_BENCH_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let (device, report) = open(choice.parse().expect("a device")).expect("the device is there");
    println!("on {}: {}", report.name, report.what);
    let registry = model(device.clone());
    if let Some(directory) = std::env::var_os("OMNI_BENCH_SAVE") {
        registry.save(directory).expect("saved");
    }
    let by_hand = ByHand::new(SIZES, PROMPT + STEPS, &registry, &device);
    let pair = Pair { registry, by_hand, device };

    let (expected, cache) = pair.by_hand_prefill();
    equal(&pair.registry_prefill(), &expected);
    equal(&Pair::registry_steps(pair.started()), &pair.by_hand_steps(cache));

    compare(
        "prefill",
        1,
        || milliseconds(|| pair.registry_prefill()),
        || milliseconds(|| pair.by_hand_prefill()),
    );
    compare(
        "decode",
        STEPS,
        || {
            let session = pair.started();
            milliseconds(|| Pair::registry_steps(session))
        },
        || {
            let (_, cache) = pair.by_hand_prefill();
            milliseconds(|| pair.by_hand_steps(cache))
        },
    );

    let mut group = c.benchmark_group("llama");
    group.sample_size(10);
    group.bench_function("prefill/registry", |b| b.iter(|| pair.registry_prefill()));
    group.bench_function("prefill/by hand", |b| b.iter(|| pair.by_hand_prefill()));
    group.bench_function("decode/registry", |b| {
        b.iter_batched(|| pair.started(), Pair::registry_steps, BatchSize::PerIteration);
    });
    group.bench_function("decode/by hand", |b| {
        b.iter_batched(
            || pair.by_hand_prefill().1,
            |cache| pair.by_hand_steps(cache),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A bench of two things that differ would measure nothing.
fn equal(found: &[f32], expected: &[f32]) {
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(found.len() == expected.len() && worst < 1e-3, "the two give other logits: {worst}");
}

criterion_group!(benches, decode);
criterion_main!(benches);
