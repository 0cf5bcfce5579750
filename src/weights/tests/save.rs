//! Saving: the layout that was read, bit for bit, or cut anew.

use std::fs;
use std::path::Path;

use burn::tensor::TensorData;
use tempfile::TempDir;

use crate::weights::testing::{Written, file, ramp, singles, write};
use crate::weights::{
    BindRules, Binding, Checkpoint, LoadDtype, LoadOptions, SaveOptions, Stored, StoredDtype, Wanted,
    WeightsError, bind, save,
};

fn temporary() -> TempDir {
    tempfile::tempdir().expect("temporary directory")
}

fn load(binding: &Binding, checkpoint: &Checkpoint, dtype: LoadDtype) -> Vec<(String, TensorData)> {
    let options = LoadOptions { dtype, check_values: false };
    binding
        .load(checkpoint, options, &mut |_, _| {})
        .map(|loaded| loaded.expect("loads"))
        .map(|loaded| (loaded.name.to_owned(), loaded.data))
        .collect()
}

fn wanted(name: &str, shape: &[usize], stored: Stored) -> Wanted {
    Wanted { stored: vec![stored], ..Wanted::new(name, shape) }
}

/// A model whose parameters are stored in every way: fused, stacked, transposed, tied with a copy.
fn model() -> Vec<Wanted> {
    let fused =
        |start| Stored::Slice { of: Box::new(Stored::tensor("qkv")), axis: 0, start, len: 2, total: 6 };
    let expert = |at: usize| Stored::Transpose(Box::new(Stored::tensor(format!("e.{at}"))), 0, 1);
    vec![
        wanted("q", &[2, 3], Stored::rope_to_halves(fused(0), 1)),
        wanted("k", &[2, 3], fused(2)),
        wanted("v", &[2, 3], fused(4)),
        wanted("experts", &[2, 3, 2], Stored::Stack(vec![expert(0), expert(1)], 0)),
        Wanted::new("embed", [4]),
        Wanted { tied_to: Some("embed".into()), ..Wanted::new("head", [4]) },
        Wanted::new("count", [1]),
    ]
}

fn tensors() -> Vec<Written<'static>> {
    let half = StoredDtype::BF16;
    vec![
        ("qkv", half, vec![6, 3], ramp(36)),
        ("e.0", half, vec![2, 3], ramp(12)),
        ("e.1", half, vec![2, 3], ramp(13)[1..].to_vec()),
        ("embed", half, vec![4], ramp(8)),
        ("head", half, vec![4], ramp(8)),
        ("count", StoredDtype::I64, vec![1], vec![3, 0, 0, 0, 0, 0, 0, 0]),
    ]
}

fn bound(dir: &Path) -> (Checkpoint, Binding) {
    let checkpoint = Checkpoint::open(dir).expect("opens");
    let mut binding = bind(&model(), &checkpoint, &BindRules::default()).expect("binds");
    assert_eq!(binding.resolve_ties(&checkpoint).expect("read"), []);
    (checkpoint, binding)
}

/// Writes the tensors as two shards with an index, as the reference library does.
fn sharded(dir: &Path) {
    let all = tensors();
    let (first, second) = all.split_at(3);
    write(&dir.join("model-00001-of-00002.safetensors"), first);
    write(&dir.join("model-00002-of-00002.safetensors"), second);
    let index = "{\n  \"metadata\": {\n    \"total_size\": 84\n  },\n  \"weight_map\": {\n    \
        \"count\": \"model-00002-of-00002.safetensors\",\n    \
        \"e.0\": \"model-00001-of-00002.safetensors\",\n    \
        \"e.1\": \"model-00001-of-00002.safetensors\",\n    \
        \"embed\": \"model-00002-of-00002.safetensors\",\n    \
        \"head\": \"model-00002-of-00002.safetensors\",\n    \
        \"qkv\": \"model-00001-of-00002.safetensors\"\n  }\n}\n";
    fs::write(dir.join("model.safetensors.index.json"), index).expect("written");
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn an_unchanged_model_gives_the_same_files() {
    for shards in [false, true] {
        let (from, to) = (temporary(), temporary());
        if shards {
            sharded(from.path());
        } else {
            write(&from.path().join("model.safetensors"), &tensors());
        }
        fs::write(from.path().join("config.json"), b"{\"a\" :1}").expect("written");
        let (checkpoint, binding) = bound(from.path());
        for dtype in [LoadDtype::Keep, LoadDtype::F32] {
            let params = load(&binding, &checkpoint, dtype);
            assert!(params.iter().all(|(name, _)| name != "head"), "tied ones are not loaded");
            save(to.path(), params, &binding, Some(("config.json", b"{\"a\" :1}")), SaveOptions::default())
                .expect("saves");
            assert_eq!(names(to.path()), names(from.path()));
            for name in names(from.path()) {
                let read = |dir: &TempDir| fs::read(dir.path().join(&name)).expect("a file");
                assert_eq!(read(&from), read(&to), "{name} {dtype:?}");
            }
        }
    }
}

#[test]
fn a_changed_model_is_saved_over_its_own_files() {
    let dir = temporary();
    sharded(dir.path());
    let (checkpoint, binding) = bound(dir.path());
    let mut params = load(&binding, &checkpoint, LoadDtype::F32);
    for (name, data) in &mut params {
        if name == "embed" {
            *data = TensorData::new(vec![1.0_f32, 2.0, 3.0, 4.0], [4]);
        }
    }
    save(dir.path(), params, &binding, Some(("config.json", b"{}")), SaveOptions::default()).expect("saves");
    assert_eq!(checkpoint.bytes("embed").expect("there")[..], ramp(8), "what is mapped stays");
    let again = Checkpoint::open(dir.path()).expect("opens");
    let one_to_four = [0x80, 0x3F, 0x00, 0x40, 0x40, 0x40, 0x80, 0x40];
    assert_eq!(again.bytes("embed").expect("there")[..], one_to_four);
    assert_eq!(again.bytes("head").expect("there")[..], one_to_four, "the copy follows");
    assert_eq!(again.bytes("qkv").expect("there")[..], ramp(36));
}

#[test]
fn files_can_be_cut_anew_and_widened() {
    let dir = temporary();
    sharded(dir.path());
    let (checkpoint, binding) = bound(dir.path());
    let save_with = |options| {
        let params = load(&binding, &checkpoint, LoadDtype::F32);
        save(dir.path(), params, &binding, Some(("config.json", b"{}")), options).expect("saves")
    };
    let options = SaveOptions { dtype: Some(StoredDtype::F32), max_shard_bytes: Some(1 << 20) };
    save_with(options);
    assert_eq!(names(dir.path()), ["config.json", "model.safetensors"], "stale files are gone");
    let one = Checkpoint::open(dir.path()).expect("opens");
    assert_eq!(one.get("qkv").expect("there").dtype, StoredDtype::F32);
    assert_eq!(one.get("count").expect("there").dtype, StoredDtype::I64);

    save_with(SaveOptions { dtype: None, max_shard_bytes: Some(40) });
    let many = Checkpoint::open(dir.path()).expect("opens");
    assert_eq!(many.files().len(), 3, "{:?}", names(dir.path()));
    assert_eq!(many.index(), Some("model.safetensors.index.json"));
    assert!(many.remarks().is_empty(), "{:?}", many.remarks());
    for (name, _, _, bytes) in tensors() {
        assert_eq!(many.bytes(name).expect("there")[..], bytes, "{name}");
    }
}

#[test]
fn other_formats_become_safetensors() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    for name in ["zip.bin", "arrays.npz"] {
        let checkpoint = Checkpoint::open(fixtures.join(name)).expect("opens");
        let all: Vec<Wanted> =
            checkpoint.tensors().map(|(name, entry)| Wanted::new(name, entry.shape.clone())).collect();
        let binding = bind(&all, &checkpoint, &BindRules::default()).expect("binds");
        let dir = temporary();
        let params = load(&binding, &checkpoint, LoadDtype::Keep);
        save(dir.path(), params, &binding, Some(("config.json", b"{}")), SaveOptions::default())
            .expect("saves");
        let whole: Vec<(String, StoredDtype, Vec<usize>, Vec<u8>)> = checkpoint
            .tensors()
            .map(|(name, entry)| {
                let bytes = checkpoint.bytes(name).expect("there").into_owned();
                (name.to_owned(), entry.dtype, entry.shape.clone(), bytes)
            })
            .collect();
        let written: Vec<Written<'_>> = whole
            .iter()
            .map(|(name, dtype, shape, bytes)| (name.as_str(), *dtype, shape.clone(), bytes.clone()))
            .collect();
        let saved = fs::read(dir.path().join("model.safetensors")).expect("saved");
        assert_eq!(saved, file(&written), "not what the reference library writes for {name}");
    }
}

#[test]
fn a_save_that_fails_leaves_no_trace() {
    let dir = temporary();
    sharded(dir.path());
    let (checkpoint, binding) = bound(dir.path());
    let before = names(dir.path());
    let params = || load(&binding, &checkpoint, LoadDtype::Keep);
    let fails = |params: Vec<(String, TensorData)>, part: &str| {
        let error = save(dir.path(), params, &binding, Some(("config.json", b"{}")), SaveOptions::default());
        let message = error.expect_err("must fail").to_string();
        assert!(message.contains(part), "{message}");
        assert_eq!(names(dir.path()), before);
    };
    let without = |name: &str| params().into_iter().filter(|(other, _)| other != name).collect();
    fails(without("embed"), "no parameter was given");
    fails(without("k"), "parameters hold only");
    let with = |name: &str, data: TensorData| {
        let mut all: Vec<_> = without(name);
        all.push((name.to_owned(), data));
        all
    };
    fails(with("new", TensorData::new(vec![1.0_f32], [1])), "no parameter that was bound");
    fails(with("embed", TensorData::new(vec![1.0_f32; 2], [2])), "[2], [4] was read");
    fails(with("embed", TensorData::new(vec![1_i32; 4], [4])), "I32, BF16 was read");
}

#[test]
fn a_file_under_another_name_keeps_it() {
    let (from, to) = (temporary(), temporary());
    let name = "diffusion_pytorch_model.fp16.safetensors";
    write(&from.path().join(name), &[("a", StoredDtype::F32, vec![1], singles(&[2.0]))]);
    let checkpoint = Checkpoint::open(from.path()).expect("opens");
    let binding = bind(&[Wanted::new("a", [1])], &checkpoint, &BindRules::default()).expect("binds");
    let params = load(&binding, &checkpoint, LoadDtype::Keep);
    let paths = save(to.path(), params, &binding, Some(("config.json", b"{}")), SaveOptions::default())
        .expect("saves");
    assert_eq!(paths, [to.path().join(name), to.path().join("config.json")]);
    let absent = checkpoint.bytes("b");
    assert!(matches!(absent, Err(WeightsError::Absent { .. })));
}
