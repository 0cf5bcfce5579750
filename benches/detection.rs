//! What it costs to tell what a directory holds, beside the system calls that it cannot do without.
//!
//! `floor/…` opens and reads config.json and lists the directory, and no more. `detect/…` names follow the loader's
//! specification. `start/…` is paid once a process.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use omni::facts::{self, Hub};
use omni::info::Inspector;
use omni::matcher::Matcher;
use omni::registry::Registry;
use tempfile::TempDir;

const CONFIG: &str = include_str!("../tests/parity/LlamaForCausalLM/config.json");
/// Files as a checkpoint of that kind has them.
const FILES: [&str; 9] = [
    "README.md",
    "generation_config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "LICENSE",
];

fn language_model(at: &Path) {
    fs::create_dir_all(at).expect("a folder");
    fs::write(at.join("config.json"), CONFIG).expect("written");
    for file in FILES {
        fs::write(at.join(file), "").expect("written");
    }
}

fn autoencoders(at: &Path) {
    for folder in ["resid_post", "mlp_out", "attn_out"] {
        fs::create_dir_all(at.join(folder).join("layer_0_width_16k_l0_big")).expect("a folder");
    }
    fs::write(at.join("README.md"), "").expect("written");
}

fn floor(path: &Path) {
    black_box(fs::read(path.join("config.json")).ok());
    for entry in fs::read_dir(path).expect("there") {
        black_box(entry.expect("an entry").file_type().ok());
    }
}

fn detection(c: &mut Criterion) {
    let dir = TempDir::new().expect("a temporary directory");
    let (llama, sae) = (dir.path().join("llama"), dir.path().join("sae"));
    language_model(&llama);
    autoencoders(&sae);
    let registry = Registry::shipped().expect("no errors");
    let inspector = Inspector::new(registry, Hub::none());
    assert_eq!(inspector.category(&llama).as_deref(), Some("transformers"));
    assert_eq!(inspector.category(&sae).as_deref(), Some("sae"));
    c.bench_function("floor/language model", |b| b.iter(|| floor(&llama)));
    c.bench_function("floor/autoencoders", |b| b.iter(|| floor(&sae)));
    c.bench_function("detect/facts", |b| b.iter(|| black_box(facts::read_in(&llama, &Hub::none()))));
    c.bench_function("detect/architecture", |b| {
        b.iter(|| black_box(inspector.matcher().find(&inspector.facts(&llama).expect("facts"))));
    });
    c.bench_function("detect/category", |b| b.iter(|| black_box(inspector.category(&llama))));
    c.bench_function("detect/autoencoders", |b| b.iter(|| black_box(inspector.category(&sae))));
    c.bench_function("detect/support", |b| b.iter(|| black_box(inspector.support(&llama))));
    c.bench_function("detect/model_info", |b| b.iter(|| black_box(inspector.model_info(&llama))));
    let facts = inspector.facts(&llama).expect("facts");
    c.bench_function("match/known facts", |b| b.iter(|| black_box(inspector.matcher().find(&facts))));
}

fn scan(c: &mut Criterion) {
    let dir = TempDir::new().expect("a temporary directory");
    let paths: Vec<PathBuf> = (0..10_000).map(|index| dir.path().join(format!("{index}"))).collect();
    for path in &paths {
        language_model(path);
    }
    let inspector = Inspector::new(Registry::shipped().expect("no errors"), Hub::none());
    let mut group = c.benchmark_group("scan of 10,000");
    group.sample_size(10);
    group.bench_function("floor", |b| b.iter(|| paths.iter().for_each(|path| floor(path))));
    group.bench_function("support", |b| {
        b.iter(|| paths.iter().filter(|path| inspector.support(path).supported).count());
    });
    group.finish();
}

fn start(c: &mut Criterion) {
    let shipped = Registry::shipped().expect("no errors");
    // What a process would pay if it parsed every file; it parses what it looks at.
    c.bench_function("start/every file, parsed", |b| {
        b.iter(|| black_box(Registry::from_files(shipped.sources.iter().cloned())));
    });
    c.bench_function("start/first match of an unknown name", |b| {
        let facts = facts::Facts::of_config("test", serde_json::json!({"architectures": ["Nobody"]}));
        b.iter(|| black_box(Matcher::new(shipped).find(&facts).is_err()));
    });
}

criterion_group!(benches, detection, scan, start);
criterion_main!(benches);
