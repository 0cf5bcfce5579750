//! What it costs to trace the largest definition at its full size, without weights: 61 layers of a mixture of 256 experts.
//!
//! The goal is below 50 ms for `trace`. The first time, which reads the shipped registry as well, is printed.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use omni::lang::Program;
use omni::registry::Registry;
use serde_json::Value;

const CONFIG: &str = include_str!("../tests/fixtures/configs/deepseek_v3_full.json");
const ARCHITECTURE: &str = "DeepseekV3ForCausalLM";

/// Reads the definition with the config, and traces its forward pass; the number of instructions.
fn trace(registry: &Registry, config: &Value) -> usize {
    let architecture = registry.architectures.get(ARCHITECTURE).expect("it is shipped");
    let mut program = Program::build(registry, architecture, config, None).expect("the definition fits");
    let plan = program.trace("forward", &|name| name == "input_ids").expect("it can be traced");
    plan.instrs.len()
}

fn tracing(c: &mut Criterion) {
    let config: Value = serde_json::from_str(CONFIG).expect("a config");
    assert_eq!(config["num_hidden_layers"], 61, "the full size");
    let start = Instant::now();
    let registry = Registry::shipped().expect("no errors");
    let instructions = trace(registry, &config);
    println!("the first time: {:.1} ms for {instructions} instructions", start.elapsed().as_secs_f64() * 1e3);
    assert!(instructions > 1000, "all layers are there");
    let mut group = c.benchmark_group("tracing");
    group.sample_size(20);
    group.bench_function("trace", |b| b.iter(|| trace(registry, black_box(&config))));
    group.finish();
}

criterion_group!(benches, tracing);
criterion_main!(benches);
