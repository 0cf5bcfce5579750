//! Which files of a repository are wanted.
//!
//! In: names of files, as the hub lists them or as the cache holds them. Out: those that describe the model, and
//! those that hold its weights by the same choice that loading makes: an index over a single file, safetensors
//! over pickles, one set and not two.
//!
//! Absent on purpose: code, pictures, other formats of the same weights, subfolders that nothing names.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::Want;
use crate::weights::{self, Index};

/// The table of contents of a pipeline.
pub(super) const PIPELINE: &str = "model_index.json";
/// Files by which a folder is known for a model.
const CONFIGS: [&str; 5] = [PIPELINE, "config.json", "cfg.json", "hyperparams.json", "params.json"];
/// JSON that a trainer leaves and nobody needs.
#[cfg(any(test, feature = "hub"))]
const NOT_NEEDED: [&str; 5] = ["trainer_state", "all_results", "train_results", "eval_results", "optimizer"];

/// Whether a file of the top of a model's folder describes it.
#[cfg(any(test, feature = "hub"))]
pub(super) fn describes(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if let Some(template) = name.strip_prefix("additional_chat_templates/") {
        return extension == "jinja" && !template.contains('/');
    }
    let is_needed = !name.contains(".index.") && !NOT_NEEDED.iter().any(|start| name.starts_with(start));
    let wanted = match extension {
        "json" => is_needed,
        "txt" | "toml" => matches!(name, "vocab.txt" | "merges.txt" | "omni.toml"),
        "model" | "tiktoken" | "jinja" => true,
        _ => false,
    };
    wanted && !name.contains('/')
}

/// The weight files among the names of a folder, and the index that lists them, if one does.
pub(super) fn weights(names: &BTreeSet<String>) -> (Vec<String>, Option<String>) {
    let top: BTreeSet<String> = names.iter().filter(|name| !name.contains('/')).cloned().collect();
    match weights::among(Path::new(""), top, None) {
        Ok(found) => (found.files, found.index),
        // Nothing, or several: that is for loading to say.
        Err(_) => (Vec::new(), None),
    }
}

/// The folders that a pipeline's index names: `name: [library, class]`, neither of them null.
pub(super) fn components(index: &Value) -> Vec<String> {
    let entries = index.as_object().into_iter().flatten();
    let named = entries.filter(|(name, value)| {
        let parts = value.as_array().filter(|parts| parts.len() == 2);
        !name.starts_with('_') && parts.is_some_and(|parts| parts.iter().all(Value::is_string))
    });
    named.map(|(name, _)| name.clone()).filter(|name| !name.contains(['/', '\\', '.'])).collect()
}

/// The shards that an index names.
pub(super) fn shards(index: &Path) -> Vec<String> {
    let read = Index::read(index);
    read.map(|index| index.shards().into_keys().map(str::to_owned).collect()).unwrap_or_default()
}

/// Whether a folder of the cache holds all that is wanted.
pub(super) fn is_complete(folder: &Path, want: Want) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let names: BTreeSet<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let there = |name: &str| folder.join(name).is_file();
    if names.contains(PIPELINE) {
        let index = std::fs::read(folder.join(PIPELINE)).ok();
        let index: Option<Value> = index.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let components = index.as_ref().map(components).unwrap_or_default();
        return !components.is_empty()
            && components.iter().all(|name| has_component(&folder.join(name), want));
    }
    match want {
        Want::Description => CONFIGS.iter().any(|name| there(name)),
        Want::Weights => has_weights(folder, &names),
    }
}

/// Whether a component is there; those without a config of their own hold no weights.
fn has_component(folder: &Path, want: Want) -> bool {
    let holds_weights = folder.join("config.json").is_file();
    folder.is_dir() && (!holds_weights || is_complete(folder, want))
}

fn has_weights(folder: &Path, names: &BTreeSet<String>) -> bool {
    let (mut files, index) = weights(names);
    files.extend(index.iter().flat_map(|index| shards(&folder.join(index))));
    !files.is_empty() && files.iter().all(|file| folder.join(file).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_describes_a_model_is_told_from_what_does_not() {
        for name in [
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer.model",
            "vocab.txt",
            "merges.txt",
            "chat_template.jinja",
            "additional_chat_templates/tools.jinja",
            "omni.toml",
        ] {
            assert!(describes(name), "{name}");
        }
        for name in [
            "README.md",
            "modeling_x.py",
            "model.safetensors",
            "model.safetensors.index.json",
            "model.safetensors.index.fp32.json",
            "trainer_state.json",
            "onnx/config.json",
            "original/params.json",
            "notes.txt",
        ] {
            assert!(!describes(name), "{name}");
        }
    }

    #[test]
    fn one_set_of_weights_is_wanted_and_no_pickle_beside_it() {
        let both = set(&["model.safetensors", "pytorch_model.bin", "onnx/model.safetensors"]);
        assert_eq!(weights(&both), (vec!["model.safetensors".to_owned()], None));
        let sharded = set(&["model.safetensors.index.json", "model-1-of-2.safetensors", "pytorch_model.bin"]);
        assert_eq!(weights(&sharded), (Vec::new(), Some("model.safetensors.index.json".to_owned())));
        let pickle = set(&["pytorch_model.bin", "training_args.bin"]);
        assert_eq!(weights(&pickle), (vec!["pytorch_model.bin".to_owned()], None));
        assert_eq!(weights(&set(&["README.md"])), (Vec::new(), None));
    }

    #[test]
    fn a_pipelines_parts_are_the_folders_that_its_index_names() {
        let index = serde_json::json!({
            "_class_name": "Pipeline", "unet": ["library", "Class"], "checker": [null, null], "../up": ["a", "b"],
        });
        assert_eq!(components(&index), ["unet"]);
    }

    #[test]
    fn a_folder_is_complete_when_every_shard_is_there() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("written");
        };
        assert!(!is_complete(dir.path(), Want::Description));
        write("config.json", "{}");
        assert!(is_complete(dir.path(), Want::Description) && !is_complete(dir.path(), Want::Weights));
        write(
            "model.safetensors.index.json",
            r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#,
        );
        write("1.safetensors", "");
        assert!(!is_complete(dir.path(), Want::Weights));
        write("2.safetensors", "");
        assert!(is_complete(dir.path(), Want::Weights));
    }
}
