//! Configs and weight files changed at random, through the library: loading ends, never panics, and what it refuses it
//! names.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use omni::info;
use omni::model::Loader;
use omni::registry::Registry;
use proptest::prelude::*;
use serde_json::{Value, json};

const MODELS: [&str; 6] = [
    "LlamaForCausalLM",
    "GPT2LMHeadModel",
    "Qwen3MoeForCausalLM",
    "Mamba2ForCausalLM",
    "BertModel",
    "ViTModel",
];

static REGISTRY: LazyLock<Arc<Registry>> =
    LazyLock::new(|| Arc::new(Registry::embedded().expect("the shipped registry has no errors")));

fn recorded(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(model)
}

/// What is done to one field of a config.
#[derive(Debug, Clone)]
enum Edit {
    Drop,
    Set(Value),
    Negate,
    Nest,
    /// The value of another field.
    Swap(prop::sample::Index),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let values = vec![
        json!(null),
        json!(0),
        json!(1),
        json!(7),
        json!(2.5),
        json!(1e30),
        json!(1_000_000_000),
        json!(i64::MAX),
        json!(u64::MAX),
        json!("text"),
        json!(""),
        json!(true),
        json!([]),
        json!([1, 2]),
        json!({}),
        json!({ "rope_type": "yarn", "factor": -1 }),
    ];
    prop_oneof![
        Just(Edit::Drop),
        prop::sample::select(values).prop_map(Edit::Set),
        Just(Edit::Negate),
        Just(Edit::Nest),
        any::<prop::sample::Index>().prop_map(Edit::Swap),
    ]
}

fn apply(config: &mut Value, at: prop::sample::Index, edit: &Edit) {
    let fields = config.as_object_mut().expect("a config is an object");
    let keys: Vec<String> = fields.keys().cloned().collect();
    if keys.is_empty() {
        return;
    }
    let key = at.get(&keys);
    let value = fields[key].clone();
    let value = match edit {
        Edit::Drop => {
            fields.shift_remove(key);
            return;
        }
        Edit::Set(value) => value.clone(),
        Edit::Negate => value.as_i64().map_or(json!(-1), |number| json!(number.wrapping_neg())),
        Edit::Nest => json!({ "value": [value] }),
        Edit::Swap(other) => fields[other.get(&keys)].clone(),
    };
    fields.insert(key.clone(), value);
}

/// Looks at the directory and loads it; a refusal names a file.
fn load(dir: &Path) {
    let info = info::model_info(dir);
    assert!(!info.name.is_empty());
    if let Err(error) = Loader::new(dir).registry(Arc::clone(&REGISTRY)).load_model() {
        let text = error.to_string();
        let place = [".json", ".toml", ".safetensors", &*dir.to_string_lossy()];
        assert!(place.iter().any(|place| text.contains(place)), "no file is named: {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_configs_are_loaded_or_refused(
        model in prop::sample::select(MODELS.to_vec()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any_edit()), 1..4),
    ) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let text = fs::read(recorded(model).join("config.json")).expect("it is recorded");
        let mut config: Value = serde_json::from_slice(&text).expect("it is JSON");
        for (at, edit) in &edits {
            apply(&mut config, *at, edit);
        }
        fs::write(folder.path().join("config.json"), config.to_string()).expect("written");
        fs::copy(recorded(model).join("model.safetensors"), folder.path().join("model.safetensors")).expect("copied");
        load(folder.path());
    }

    #[test]
    fn changed_weight_files_are_loaded_or_refused(
        bytes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        entry in any::<prop::sample::Index>(),
        change in prop::option::of(prop::sample::select(vec![
            ("shape", json!([1])),
            ("shape", json!([-1, 2])),
            ("shape", json!([u64::MAX, u64::MAX])),
            ("shape", json!("long")),
            ("dtype", json!("F16")),
            ("dtype", json!("F9")),
            ("data_offsets", json!([0, 4])),
            ("data_offsets", json!([8, 0])),
            ("data_offsets", json!([0, u64::MAX])),
            ("data_offsets", json!([])),
        ])),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let from = recorded(MODELS[0]);
        fs::copy(from.join("config.json"), folder.path().join("config.json")).expect("copied");
        let mut file = fs::read(from.join("model.safetensors")).expect("it is recorded");
        if let Some((key, value)) = change {
            file = with_entry(&file, entry, key, value).expect("the recorded file is a good one");
        }
        let header = file.len().min(3000);
        for (at, byte) in bytes {
            let at = at.index(header);
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        fs::write(folder.path().join("model.safetensors"), &file).expect("written");
        load(folder.path());
    }
}

/// The file with one value of one tensor's entry replaced.
fn with_entry(
    file: &[u8],
    entry: prop::sample::Index,
    key: &str,
    value: Value,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let length = usize::try_from(u64::from_le_bytes(file[..8].try_into()?))?;
    let mut header: Value = serde_json::from_slice(&file[8..8 + length])?;
    let tensors = header.as_object_mut().ok_or("a header is an object")?;
    let names: Vec<String> = tensors.keys().filter(|name| *name != "__metadata__").cloned().collect();
    tensors[entry.get(&names)][key] = value;
    let text = header.to_string();
    let length = u64::try_from(text.len())?.to_le_bytes();
    Ok([&length, text.as_bytes(), &file[8 + length_of(file)?..]].concat())
}

fn length_of(file: &[u8]) -> Result<usize, Box<dyn Error>> {
    Ok(usize::try_from(u64::from_le_bytes(file[..8].try_into()?))?)
}
