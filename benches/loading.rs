//! Loading a checkpoint of 1 GiB in bf16 against reading the same bytes, and how much memory that takes at most.
//!
//! The checkpoint is written to a temporary directory (`TMPDIR`) and is in the page cache when the clock starts, for
//! both sides. Loading is measured as stored (`bf16`) and widened to the 32 bits that the CPU computes in (`f32`).
//! Memory is the high-water mark of a child process (`VmHWM`, so only on Linux), against the weights in their
//! run-time width; the goal is those and 64 MiB.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::Command;

use criterion::{Criterion, SamplingMode, criterion_group};
use omni::model::device::{DeviceChoice, open};
use omni::model::{Dtype, Loader, Model};
use serde_json::{Map, Value, json};

/// What a child process is to load, and in which width.
const CHILD: &str = "OMNI_BENCH_LOAD";
const MIB: f64 = 1024.0 * 1024.0;

const HIDDEN: usize = 2048;
const INNER: usize = 5632;
const VOCABULARY: usize = 30720;
const LAYERS: usize = 8;

/// Every tensor of the checkpoint: 1 GiB.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
        ("lm_head.weight".to_owned(), vec![VOCABULARY, HIDDEN]),
    ];
    for layer in 0..LAYERS {
        let mut add = |name: &str, shape: &[usize]| {
            tensors.push((format!("model.layers.{layer}.{name}.weight"), shape.to_vec()));
        };
        for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            add(&format!("self_attn.{name}"), &[HIDDEN, HIDDEN]);
        }
        add("mlp.gate_proj", &[INNER, HIDDEN]);
        add("mlp.up_proj", &[INNER, HIDDEN]);
        add("mlp.down_proj", &[HIDDEN, INNER]);
        add("input_layernorm", &[HIDDEN]);
        add("post_attention_layernorm", &[HIDDEN]);
    }
    tensors
}

/// Writes the checkpoint; gives the number of bytes of its weights.
fn write(directory: &Path) -> std::io::Result<usize> {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": 16, "num_key_value_heads": 16, "torch_dtype": "bfloat16",
    });
    fs::write(directory.join("config.json"), config.to_string())?;
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in tensors() {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(name, json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, end] }));
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::new(File::create(directory.join("model.safetensors"))?);
    file.write_all(&u64::try_from(header.len()).expect("a short header").to_le_bytes())?;
    file.write_all(&header)?;
    // Numbers between 0.0078 and 0.03 without a pattern that a file system could fold.
    let mut state = 1_u32;
    let block: Vec<u8> = (0..1 << 19)
        .flat_map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            [state.to_be_bytes()[0], 0x3c]
        })
        .collect();
    let mut left = end;
    while left > 0 {
        let size = left.min(block.len());
        file.write_all(&block[..size])?;
        left -= size;
    }
    file.flush()?;
    Ok(end)
}

/// Reads the file as `cp` would; gives a sum, so that the bytes are really there.
fn read(directory: &Path) -> u64 {
    let mut file = File::open(directory.join("model.safetensors")).expect("there");
    let size = usize::try_from(file.metadata().expect("there").len()).expect("it fits in memory");
    let mut bytes = Vec::with_capacity(size);
    file.read_to_end(&mut bytes).expect("read");
    bytes.iter().step_by(4096).map(|byte| u64::from(*byte)).sum()
}

fn load(directory: &Path, dtype: Dtype) -> Model {
    let (device, _) = open(DeviceChoice::Cpu).expect("the CPU is always there");
    Loader::new(directory).device(device).dtype(dtype).load_model().expect("loaded")
}

/// The most memory that this process has held, in bytes.
fn high_water() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1024.0)
}

/// What a fresh process that loads the checkpoint holds at most, less what it holds before it.
fn peak(directory: &Path, width: &str) -> Option<f64> {
    let child = Command::new(std::env::current_exe().ok()?).env(CHILD, width).arg(directory).output().ok()?;
    String::from_utf8_lossy(&child.stdout).trim().parse().ok()
}

fn loading(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let bytes = write(directory.path()).expect("a disk with 1 GiB to spare");
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 bytes")]
    let stored = bytes as f64;
    for (width, held) in [("bf16", stored), ("f32", 2.0 * stored)] {
        match peak(directory.path(), width) {
            Some(peak) => println!(
                "peak {width}: {:.0} MiB for {:.0} MiB of weights, ratio {:.3}, {:+.0} MiB",
                peak / MIB,
                held / MIB,
                peak / held,
                (peak - held) / MIB,
            ),
            None => println!("peak {width}: not known, since /proc/self/status has no VmHWM here"),
        }
    }
    let mut group = c.benchmark_group("loading");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function("read", |b| b.iter(|| black_box(read(directory.path()))));
    group.bench_function("bf16", |b| b.iter(|| black_box(load(directory.path(), Dtype::BF16))));
    group.bench_function("f32", |b| b.iter(|| black_box(load(directory.path(), Dtype::F32))));
    group.finish();
}

criterion_group!(benches, loading);

fn main() {
    if let (Ok(width), Some(directory)) = (std::env::var(CHILD), std::env::args_os().nth(1)) {
        let before = high_water();
        black_box(load(directory.as_ref(), width.parse().expect("a width")));
        if let (Some(before), Some(after)) = (before, high_water()) {
            println!("{}", after - before);
        }
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
