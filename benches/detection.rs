//! What it costs to tell what a directory holds, beside the system calls that it cannot do without.
//!
//! `floor/…` opens and reads config.json and lists the directory, and no more; `floor/model_info` also reads the header
//! of the weights, whose numbers are counted, and asks for the size of each file. `floor and JSON/…` lets `serde_json`
//! skip that header as well, which is the least that a JSON parser takes. `detect/…` names follow the loader's
//! specification. `start/…` is paid once a process.

use std::cell::LazyCell;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use omni::facts::{self, Hub};
use omni::info::Inspector;
use omni::matcher::Matcher;
use omni::registry::Registry;
use tempfile::TempDir;

const CONFIG: &str = include_str!("../tests/parity/LlamaForCausalLM/config.json");
/// The weights that belong to that config: 21 tensors.
const WEIGHTS: &[u8] = include_bytes!("../tests/parity/LlamaForCausalLM/model.safetensors");
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

/// The weights of a model of full size, as far as a header goes: 291 tensors, and no bytes of them on the disk. The
/// header is in the order and the form in which the format's own library writes it, or in neither.
fn full_size(at: &Path, as_written: bool) {
    language_model(at);
    let names =
        ["input_layernorm", "post_attention_layernorm", "mlp.down_proj", "mlp.gate_proj", "mlp.up_proj"]
            .into_iter()
            .chain(["self_attn.k_proj", "self_attn.o_proj", "self_attn.q_proj", "self_attn.v_proj"]);
    let layers =
        (0..32).flat_map(|layer| names.clone().map(move |name| format!("model.layers.{layer}.{name}")));
    let names = layers.chain(["lm_head", "model.embed_tokens", "model.norm"].map(str::to_owned));
    let mut names: Vec<String> = names.collect();
    if as_written {
        names.sort();
    }
    let blank = if as_written { "" } else { " " };
    let entries: Vec<String> = names
        .into_iter()
        .enumerate()
        .map(|(at, name)| {
            let (start, end) = (at * (1 << 25), (at + 1) * (1 << 25));
            format!(
                r#""{name}.weight":{{"dtype":"BF16","shape":[4096,4096],"data_offsets":[{start},{blank}{end}]}}"#
            )
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let length = header.len() as u64;
    let path = at.join("model.safetensors");
    fs::write(&path, [&length.to_le_bytes(), header.as_bytes()].concat()).expect("written");
    let file = File::options().write(true).open(path).expect("there");
    file.set_len(8 + length + entries.len() as u64 * (1 << 25)).expect("a sparse file");
}

/// What counting the numbers of a checkpoint and the bytes of its directory cannot do without.
fn floor_of_info(path: &Path) -> Vec<u8> {
    black_box(fs::read(path.join("config.json")).ok());
    let mut file = File::open(path.join("model.safetensors")).expect("there");
    black_box(file.metadata().expect("a size"));
    let mut length = [0; 8];
    file.read_exact(&mut length).expect("a length");
    let mut header = vec![0; usize::try_from(u64::from_le_bytes(length)).expect("small")];
    file.read_exact(&mut header).expect("a header");
    for entry in fs::read_dir(path).expect("there") {
        black_box(fs::metadata(entry.expect("an entry").path()).expect("a size"));
    }
    header
}

/// The same, and what it costs a JSON parser to skip the header.
fn floor_of_json(path: &Path) {
    let header = floor_of_info(path);
    let skipped: serde::de::IgnoredAny = serde_json::from_slice(&header).expect("JSON");
    black_box(skipped);
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
    let facts = inspector.facts(&llama).expect("facts");
    c.bench_function("match/known facts", |b| b.iter(|| black_box(inspector.matcher().find(&facts))));
}

fn model_info(c: &mut Criterion) {
    let dir = TempDir::new().expect("a temporary directory");
    let [small, full, other] = ["small", "full", "other"].map(|name| dir.path().join(name));
    language_model(&small);
    fs::write(small.join("model.safetensors"), WEIGHTS).expect("written");
    full_size(&full, true);
    full_size(&other, false);
    let inspector = Inspector::new(Registry::shipped().expect("no errors"), Hub::none());
    for (name, path, tensors) in [
        ("21 tensors", small, 23_200),
        ("291 tensors", full, 291 << 24),
        ("291 tensors in another form", other, 291 << 24),
    ] {
        let info = inspector.model_info(&path);
        assert_eq!((info.parameters, info.error), (Some(tensors), None));
        c.bench_function(&format!("floor/model_info, {name}"), |b| b.iter(|| floor_of_info(&path)));
        c.bench_function(&format!("floor and JSON/model_info, {name}"), |b| b.iter(|| floor_of_json(&path)));
        c.bench_function(&format!("detect/model_info, {name}"), |b| {
            b.iter(|| black_box(inspector.model_info(&path)));
        });
    }
}

fn scan(c: &mut Criterion) {
    let dir = TempDir::new().expect("a temporary directory");
    // Made only where this is among what is asked for.
    let paths = LazyCell::new(|| {
        let paths: Vec<PathBuf> = (0..10_000).map(|index| dir.path().join(format!("{index}"))).collect();
        paths.iter().for_each(|path| language_model(path));
        paths
    });
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

criterion_group!(benches, detection, model_info, scan, start);
criterion_main!(benches);
