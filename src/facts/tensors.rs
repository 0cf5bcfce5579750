//! The names and shapes of a checkpoint's tensors, for rules that ask.
//!
//! Reads safetensors headers (as the index lists them, else the model's own file, else every one but for what a
//! trainer leaves) and the names in an npz; never a tensor's bytes. A header is checked here as where it is loaded, by the one reader of both.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::FactsError;
use super::document::{contained, read_limited};
use super::fault::HeaderError;
use super::header::{Header, HeaderTensor, MAX_HEADER};
use super::json::is_lfs_pointer;
use super::listing::{Entry, Kind};

/// The most that is looked at of an npz's directory, in bytes.
const DIRECTORY_LIMIT: u64 = 1 << 20;

/// Beginnings of files that a trainer leaves beside the weights.
pub(crate) const NOT_WEIGHTS: [&str; 5] = ["training_args", "optimizer", "scheduler", "rng_state", "scaler"];

/// A tensor of a checkpoint, as its header has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorFact {
    /// Its name in the file.
    pub name: String,
    /// How a number is stored, as the file spells it; empty where the header does not say.
    pub dtype: String,
    /// Its shape; `None` where the header does not say.
    pub shape: Option<Vec<u64>>,
}

/// The tensors of the checkpoint in `root`, sorted by name.
pub(super) fn read(
    root: &Path,
    entries: &[Entry],
    chosen: Option<&str>,
) -> Result<Vec<TensorFact>, FactsError> {
    let mut tensors = Vec::new();
    for file in files(root, entries, chosen)? {
        let path = place(root, entries, &file)?;
        if has_ending(&file, ".npz") {
            tensors.extend(npz_names(&path, &file)?);
        } else {
            tensors.extend(safetensors_header(&path, &file)?);
        }
    }
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    tensors.dedup_by(|a, b| a.name == b.name);
    Ok(tensors)
}

/// The weight files to look at.
fn files(root: &Path, entries: &[Entry], chosen: Option<&str>) -> Result<Vec<String>, FactsError> {
    if let Some(file) = chosen.filter(|file| has_ending(file, ".safetensors") || has_ending(file, ".npz")) {
        return Ok(vec![file.to_owned()]);
    }
    let names = || entries.iter().filter(|entry| entry.kind == Kind::File).map(|entry| entry.name.as_str());
    if let Some(index) = names().find(|name| has_ending(name, ".safetensors.index.json")) {
        return indexed(root, entries, index);
    }
    for own in ["model.safetensors", "diffusion_pytorch_model.safetensors"] {
        if names().any(|name| name == own) {
            return Ok(vec![own.to_owned()]);
        }
    }
    Ok(names()
        .filter(|name| has_ending(name, ".safetensors") || has_ending(name, ".npz"))
        .filter(|name| !NOT_WEIGHTS.iter().any(|start| name.starts_with(start)))
        .map(str::to_owned)
        .collect())
}

fn has_ending(name: &str, ending: &str) -> bool {
    name.len() > ending.len()
        && name.as_bytes()[name.len() - ending.len()..].eq_ignore_ascii_case(ending.as_bytes())
}

/// Where a file of the checkpoint is; one that was listed as no link lies where it says.
fn place(root: &Path, entries: &[Entry], file: &str) -> Result<PathBuf, FactsError> {
    if is_plain(entries, file) { Ok(root.join(file)) } else { contained(root, file) }
}

fn is_plain(entries: &[Entry], file: &str) -> bool {
    let at = entries.binary_search_by(|entry| entry.name.as_str().cmp(file));
    at.is_ok_and(|at| entries[at].kind == Kind::File && !entries[at].link)
}

/// The files that a shard index names.
fn indexed(root: &Path, entries: &[Entry], index: &str) -> Result<Vec<String>, FactsError> {
    let bytes = read_limited(&place(root, entries, index)?, index, MAX_HEADER)?;
    let wrong = |message: String| FactsError::Header { file: index.to_owned(), message };
    if is_lfs_pointer(&bytes) {
        return Err(FactsError::LfsPointer { file: index.to_owned() });
    }
    let read: Index = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let Files(files) = read.weight_map.ok_or_else(|| wrong("no `weight_map` in the index".to_owned()))?;
    let is_absent = |file: &&String| {
        !is_plain(entries, file)
            && contained(root, file).is_ok_and(|path| fs::symlink_metadata(path).is_err())
    };
    if let Some(absent) = files.iter().find(is_absent) {
        let (file, index) = (absent.clone(), index.to_owned());
        return Err(FactsError::MissingShard { file, index });
    }
    Ok(files.into_iter().collect())
}

/// What a shard index says, as far as it matters here.
#[derive(serde::Deserialize)]
struct Index {
    weight_map: Option<Files>,
}

/// The files that a map of tensors names.
struct Files(BTreeSet<String>);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = Files;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors to files")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Files, A::Error> {
                let mut files = BTreeSet::new();
                while let Some((IgnoredAny, file)) = map.next_entry::<IgnoredAny, Cow<'de, str>>()? {
                    // Some thousand tensors are in a few files.
                    if !files.contains(file.as_ref()) {
                        files.insert(file.into_owned());
                    }
                }
                Ok(Files(files))
            }
        }

        deserializer.deserialize_map(Map)
    }
}

fn safetensors_header(path: &Path, name: &str) -> Result<Vec<TensorFact>, FactsError> {
    let mut file = File::open(path).map_err(FactsError::io(path))?;
    let size = file.metadata().map_err(FactsError::io(path))?.len();
    match Header::read(&mut file, size) {
        Ok(header) => Ok(header.tensors.into_iter().map(TensorFact::from).collect()),
        Err(HeaderError::Io(error)) => Err(FactsError::io(path)(error)),
        Err(error) => {
            let mut start = [0; 64];
            let read = file.rewind().and_then(|()| file.read(&mut start)).unwrap_or(0);
            let file = name.to_owned();
            if is_lfs_pointer(&start[..read]) {
                return Err(FactsError::LfsPointer { file });
            }
            Err(FactsError::Header { file, message: error.to_string() })
        }
    }
}

impl From<HeaderTensor> for TensorFact {
    fn from(tensor: HeaderTensor) -> Self {
        let shape = tensor.shape.into_iter().map(|extent| extent as u64).collect();
        Self { name: tensor.name, dtype: tensor.dtype.to_string(), shape: Some(shape) }
    }
}

/// The names in a zip's central directory, without `.npy`. Shapes stay unknown: they lie inside the members.
fn npz_names(path: &Path, name: &str) -> Result<Vec<TensorFact>, FactsError> {
    const END: [u8; 4] = *b"PK\x05\x06";
    const MEMBER: [u8; 4] = *b"PK\x01\x02";
    let wrong =
        || FactsError::Header { file: name.to_owned(), message: "no npz directory at its end".into() };
    let mut file = File::open(path).map_err(FactsError::io(path))?;
    let size = file.metadata().map_err(FactsError::io(path))?.len();
    let start = size.saturating_sub(DIRECTORY_LIMIT);
    file.seek(SeekFrom::Start(start)).map_err(FactsError::io(path))?;
    let mut tail = Vec::new();
    file.take(DIRECTORY_LIMIT).read_to_end(&mut tail).map_err(FactsError::io(path))?;
    let end = tail.windows(4).rposition(|bytes| bytes == END).ok_or_else(wrong)?;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = tail.get(at..at + bytes)?;
        Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let offset = number(end + 16, 4).and_then(|offset| offset.checked_sub(start)).ok_or_else(wrong)?;
    let mut at = usize::try_from(offset).map_err(|_| wrong())?;
    let mut names = Vec::new();
    while tail.get(at..at + 4) == Some(&MEMBER) {
        let field = |offset| number(at + offset, 2).and_then(|n| usize::try_from(n).ok()).ok_or_else(wrong);
        let (name, extra, comment) = (field(28)?, field(30)?, field(32)?);
        let text = tail.get(at + 46..at + 46 + name).ok_or_else(wrong)?;
        let text = String::from_utf8_lossy(text);
        let name_of = text.strip_suffix(".npy").unwrap_or(&text).to_owned();
        names.push(TensorFact { name: name_of, dtype: String::new(), shape: None });
        at += 46 + name + extra + comment;
    }
    Ok(names)
}
