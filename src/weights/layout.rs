//! Which file holds which tensor, and where in it.
//!
//! In: a checkpoint and the tensors that are used of it. Out: the files to write, as they were read or
//! cut anew, each with its header.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::checkpoint::Checkpoint;
use super::dtype::{StoredDtype, byte_len};
use super::file::WeightFile;

/// The name under which weights of another format are saved.
const DEFAULT_NAME: &str = "model.safetensors";

/// The files of a checkpoint, with the tensors that are used.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) files: Vec<FileLayout>,
    /// The index, if there is one.
    pub(crate) index: Option<String>,
}

/// One file to write.
#[derive(Debug, Clone)]
pub(crate) struct FileLayout {
    pub(crate) name: String,
    metadata: BTreeMap<String, String>,
    /// In the order of the file.
    tensors: Vec<TensorLayout>,
}

/// One tensor to write.
#[derive(Debug, Clone)]
pub(crate) struct TensorLayout {
    pub(crate) name: String,
    pub(crate) dtype: StoredDtype,
    pub(crate) shape: Vec<usize>,
}

impl TensorLayout {
    /// Its bytes; that they do not overflow was checked when it was read.
    pub(crate) fn bytes(&self) -> usize {
        byte_len(self.dtype, &self.shape).unwrap_or(0)
    }
}

impl Layout {
    pub(crate) fn of(checkpoint: &Checkpoint, used: &BTreeSet<&str>) -> Self {
        let as_read = checkpoint.files().iter().all(WeightFile::is_safetensors);
        let mut files: Vec<FileLayout> = checkpoint
            .files()
            .iter()
            .map(|file| FileLayout {
                name: file.name.clone(),
                metadata: file.metadata.clone(),
                tensors: Vec::new(),
            })
            .collect();
        let mut tensors: Vec<_> =
            used.iter().filter_map(|&name| Some((name, checkpoint.get(name)?))).collect();
        tensors.sort_by_key(|(name, entry)| (entry.file, entry.range().map(|r| r.start), *name));
        for (name, entry) in tensors {
            let name = name.to_owned();
            let shape = entry.shape.clone();
            files[entry.file].tensors.push(TensorLayout { name, dtype: entry.dtype, shape });
        }
        if as_read {
            files.retain(|file| !file.tensors.is_empty() || checkpoint.files().len() == 1);
            let index = checkpoint.index().map(str::to_owned);
            let index = index.or_else(|| (files.len() > 1).then(|| index_name(&stem(&files))));
            return Self { files, index };
        }
        Self::single(files.into_iter().flat_map(|file| file.tensors).collect())
    }

    /// These tensors in one new file.
    pub(crate) fn fresh(tensors: BTreeMap<String, (StoredDtype, Vec<usize>)>) -> Self {
        let tensors = tensors.into_iter().map(|(name, (dtype, shape))| TensorLayout { name, dtype, shape });
        Self::single(tensors.collect())
    }

    fn single(tensors: Vec<TensorLayout>) -> Self {
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        let mut file = FileLayout { name: DEFAULT_NAME.to_owned(), metadata, tensors };
        file.sort();
        Self { files: vec![file], index: None }
    }

    /// The same tensors with every floating point one in this dtype.
    pub(crate) fn in_dtype(mut self, dtype: StoredDtype) -> Self {
        for file in &mut self.files {
            for tensor in file.tensors.iter_mut().filter(|tensor| tensor.dtype.is_float()) {
                tensor.dtype = dtype;
            }
            file.sort();
        }
        self
    }

    /// The same tensors in files of at most `max` bytes of tensors each, unless a single tensor is
    /// larger.
    pub(crate) fn in_shards(self, max: u64) -> Self {
        let stem = stem(&self.files);
        let metadata = self.files.first().map_or_else(BTreeMap::new, |file| file.metadata.clone());
        let mut shards: Vec<(u64, Vec<TensorLayout>)> = vec![(0, Vec::new())];
        for tensor in self.files.into_iter().flat_map(|file| file.tensors) {
            let bytes = tensor.bytes() as u64;
            match shards.last_mut() {
                Some((size, shard)) if shard.is_empty() || size.saturating_add(bytes) <= max => {
                    *size = size.saturating_add(bytes);
                    shard.push(tensor);
                }
                _ => shards.push((bytes, vec![tensor])),
            }
        }
        let count = shards.len();
        let name = |at: usize| match count {
            1 => format!("{stem}.safetensors"),
            _ => format!("{stem}-{:05}-of-{count:05}.safetensors", at + 1),
        };
        let files = shards
            .into_iter()
            .enumerate()
            .map(|(at, (_, tensors))| {
                let metadata = metadata.clone();
                let mut file = FileLayout { name: name(at), metadata, tensors };
                file.sort();
                file
            })
            .collect();
        Self { files, index: (count > 1).then(|| index_name(&stem)) }
    }

    /// The stem that the file names share: `model` of `model-00001-of-00002.safetensors`.
    pub(crate) fn stem(&self) -> String {
        stem(&self.files)
    }

    /// The index as JSON, in the form in which the reference library writes it.
    pub(crate) fn index_json(&self) -> Vec<u8> {
        let all = || self.files.iter().flat_map(|file| file.tensors.iter().map(move |t| (file, t)));
        let total: u64 = all().map(|(_, tensor)| tensor.bytes() as u64).sum();
        let map: BTreeMap<&str, &str> =
            all().map(|(file, tensor)| (tensor.name.as_str(), file.name.as_str())).collect();
        let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
        let mut text = format!("{index:#}").into_bytes();
        text.push(b'\n');
        text
    }
}

impl FileLayout {
    /// Into the order in which the reference library writes: the widest types first, then by name.
    fn sort(&mut self) {
        self.tensors.sort_by(|left, right| {
            let by_dtype = right.dtype.safetensors().cmp(&left.dtype.safetensors());
            by_dtype.then_with(|| left.name.cmp(&right.name))
        });
    }

    /// Everything before the first tensor: the header's length and the header.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut header = Map::new();
        if !self.metadata.is_empty() {
            header.insert("__metadata__".to_owned(), json!(self.metadata));
        }
        let mut start = 0;
        for tensor in &self.tensors {
            let end = start + tensor.bytes();
            let mut info = Map::new();
            info.insert("dtype".to_owned(), Value::String(tensor.dtype.to_string()));
            info.insert("shape".to_owned(), json!(tensor.shape));
            info.insert("data_offsets".to_owned(), json!([start, end]));
            header.insert(tensor.name.clone(), Value::Object(info));
            start = end;
        }
        let mut text = Value::Object(header).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text);
        bytes
    }

    /// Every tensor with the position of its first byte behind the header.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (&TensorLayout, u64)> {
        self.tensors.iter().scan(0_u64, |at, tensor| {
            let start = *at;
            *at += tensor.bytes() as u64;
            Some((tensor, start))
        })
    }
}

fn index_name(stem: &str) -> String {
    format!("{stem}.safetensors.index.json")
}

fn stem(files: &[FileLayout]) -> String {
    let name = files.first().map_or(DEFAULT_NAME, |file| file.name.as_str());
    let name = name.strip_suffix(".safetensors").unwrap_or(name);
    match name.split_once("-of-").and_then(|(before, _)| before.rsplit_once('-')) {
        Some((stem, _)) => stem.to_owned(),
        None => name.to_owned(),
    }
}
