//! What a checkpoint tells about a config that is silent: the sizes of its tensors.
//!
//! In: a definition, the config of a directory and its facts. Out: the open checkpoint, found where the definition
//! says that its weights are, and the config with the sizes that its table takes `from-tensors`.

use serde_json::{Map, Value as Json};

use crate::facts::Facts;
use crate::registry::{Architecture, Fallback, Registry, Size};
use crate::weights::{Checkpoint, OpenOptions, WeightsError};

/// The checkpoint: the weight file that was pointed at, if one was, else the first of `files` that is there, else
/// the one of the directory.
pub(crate) fn checkpoint(facts: &Facts, files: &[String]) -> Result<Checkpoint, WeightsError> {
    const ENDINGS: [&str; 7] = [".safetensors", ".npz", ".bin", ".pt", ".pth", ".ckpt", ".index.json"];
    // One shard of a set stands for the set.
    let whole = |file: &&str| ENDINGS.iter().any(|ending| file.ends_with(ending)) && !file.contains("-of-");
    if let Some(file) = facts.chosen_file().filter(whole) {
        return Checkpoint::open(facts.root().join(file));
    }
    Checkpoint::open_with(facts.root(), &OpenOptions { files: files.to_vec(), ..OpenOptions::default() })
}

/// Fills in the sizes that the config leaves to the checkpoint.
///
/// A checkpoint that cannot be opened tells nothing: whoever needs the field says that it is missing.
pub(crate) fn complete(registry: &Registry, architecture: &Architecture, facts: &Facts, config: &mut Json) {
    let table = architecture.config.as_ref().and_then(|name| registry.config(name).ok());
    let given = |field: &str| config.get(field).is_some_and(|value| !value.is_null());
    let open: Vec<(String, Vec<Size>)> = table
        .into_iter()
        .flat_map(|table| table.fields)
        .filter_map(|(name, field)| match field.fallback {
            Fallback::Sizes(sizes) if !given(&name) => Some((name, sizes)),
            _ => None,
        })
        .collect();
    if open.is_empty() {
        return;
    }
    let Ok(checkpoint) = checkpoint(facts, &architecture.weights) else { return };
    let found = open.into_iter().filter_map(|(name, sizes)| {
        let size = sizes.iter().find_map(|size| match size {
            Size::Axis(tensor, axis) => checkpoint.get(tensor)?.shape.get(*axis).map(|size| *size as u64),
            Size::Fixed(number) => Some(*number),
        })?;
        Some((name, Json::from(size)))
    });
    if !config.is_object() {
        *config = Json::Object(Map::new());
    }
    if let Json::Object(fields) = config {
        fields.extend(found);
    }
}
