//! Writes a model back in the layout in which it was read.
//!
//! In: parameters with their values, and the binding that says how each was stored. Out: the config
//! and safetensors files, complete or not at all: every file is written beside its place and renamed.
//!
//! An unchanged model gives the tensors that were read, bit for bit. Absent on purpose: pickles and
//! numpy archives are read, never written; such a checkpoint is saved as safetensors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{BoolStore, DType, TensorData};

use super::binding::{Binding, Bound, Source};
use super::convert;
use super::dtype::StoredDtype;
use super::error::WeightsError;
use super::layout::Layout;
use super::resolve::Headers;
use super::unfinished::Unfinished;
use super::unstore::Unstore;
use crate::plan::Stored;

/// How to save.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SaveOptions {
    /// Cut the files anew so that none holds more bytes of tensors; `None` keeps the files as read.
    pub max_shard_bytes: Option<u64>,
    /// Save floating point tensors in this dtype; `None` keeps the one in which each was read.
    pub dtype: Option<StoredDtype>,
}

/// Saves the parameters of a model into `dir`, which is made if need be.
///
/// Parameters may come in any order. Tied ones may be left out. `config` is the config's file name and its
/// text, which is written as it is.
/// Gives the files written.
///
/// # Errors
///
/// If a parameter is missing, unknown or of another shape than was read; if writing fails. Files that
/// were there before are then untouched.
pub fn save(
    dir: impl AsRef<Path>,
    params: impl IntoIterator<Item = (String, TensorData)>,
    binding: &Binding,
    config: Option<(&str, &[u8])>,
    options: SaveOptions,
) -> Result<Vec<PathBuf>, WeightsError> {
    let dir = dir.as_ref();
    fs::create_dir_all(dir).map_err(WeightsError::io(dir))?;
    let mut layout = binding.layout.clone();
    if let Some(dtype) = options.dtype {
        layout = layout.in_dtype(dtype);
    }
    if let Some(max) = options.max_shard_bytes {
        layout = layout.in_shards(max);
    }
    let mut writer = Writer::create(dir, &layout)?;
    write_params(params, binding, &mut writer)?;
    writer.finish(&layout, config)
}

fn write_params(
    params: impl IntoIterator<Item = (String, TensorData)>,
    binding: &Binding,
    writer: &mut Writer,
) -> Result<(), WeightsError> {
    let bound: BTreeMap<&str, &Bound> =
        binding.params().iter().map(|bound| (bound.name.as_str(), bound)).collect();
    let mut copies: BTreeMap<&str, Vec<&Stored>> = BTreeMap::new();
    for bound in binding.params() {
        if let Source::Tied { to, copy: Some(copy) } = &bound.source {
            copies.entry(to).or_default().push(copy);
        }
    }
    let mut unstore = Unstore::default();
    for (name, data) in params {
        let Some(bound) = bound.get(name.as_str()) else {
            return Err(WeightsError::conversion(name, "it is no parameter that was bound"));
        };
        match &bound.source {
            Source::Tied { .. } => {}
            Source::Absent => {
                return Err(WeightsError::conversion(name, "the checkpoint read did not hold it"));
            }
            Source::Stored { stored, .. } => {
                let places = copies.get(name.as_str()).into_iter().flatten().copied();
                for stored in std::iter::once(stored).chain(places) {
                    put(&name, stored, &data, &mut unstore, writer)?;
                }
            }
        }
    }
    unstore.finish()
}

fn put(
    name: &str,
    stored: &Stored,
    data: &TensorData,
    unstore: &mut Unstore,
    writer: &mut Writer,
) -> Result<(), WeightsError> {
    let node = stored.resolve(writer)?;
    if node.shape != data.shape.as_slice() {
        let reason = format!("it is {:?}, {:?} was read", data.shape.as_slice(), node.shape);
        return Err(WeightsError::conversion(name, reason));
    }
    let bytes = as_stored(name, data, node.dtype)?;
    unstore.put(&node, &bytes, &mut |tensor, bytes| writer.write(tensor, bytes))
}

/// The values in their stored type.
fn as_stored<'a>(
    name: &str,
    data: &'a TensorData,
    to: StoredDtype,
) -> Result<std::borrow::Cow<'a, [u8]>, WeightsError> {
    let bytes = data.as_bytes();
    if let (DType::Bool(BoolStore::U32), StoredDtype::Bool) = (data.dtype, to) {
        let flags = bytes.as_chunks::<4>().0.iter().map(|word| u8::from(*word != [0; 4]));
        return Ok(flags.collect::<Vec<u8>>().into());
    }
    match StoredDtype::of_runtime(data.dtype) {
        Some(from) if from == to => Ok(bytes.into()),
        Some(from) if from.is_float() && to.is_float() => Ok(convert::to_vec(bytes, from, to)?.into()),
        _ => {
            let reason = format!("it is {:?}, {to} was read", data.dtype);
            Err(WeightsError::conversion(name, reason))
        }
    }
}

/// The files being written.
struct Writer {
    dir: PathBuf,
    files: Vec<Unfinished>,
    /// The file of each tensor, its position there, its dtype and its shape.
    places: BTreeMap<String, (usize, u64, StoredDtype, Vec<usize>)>,
    written: BTreeSet<String>,
}

impl Headers for Writer {
    fn header(&self, name: &str) -> Option<(StoredDtype, &[usize])> {
        self.places.get(name).map(|(_, _, dtype, shape)| (*dtype, shape.as_slice()))
    }
}

impl Writer {
    fn create(dir: &Path, layout: &Layout) -> Result<Self, WeightsError> {
        let mut files = Vec::new();
        let mut places = BTreeMap::new();
        for (at, file) in layout.files.iter().enumerate() {
            let mut unfinished = Unfinished::create(dir, &file.name)?;
            let header = file.header();
            unfinished.write_at(0, &header)?;
            let mut end = header.len() as u64;
            for (tensor, start) in file.tensors() {
                let start = start + header.len() as u64;
                end = start + tensor.bytes() as u64;
                let place = (at, start, tensor.dtype, tensor.shape.clone());
                places.insert(tensor.name.clone(), place);
            }
            unfinished.set_len(end)?;
            files.push(unfinished);
        }
        Ok(Self { dir: dir.to_owned(), files, places, written: BTreeSet::new() })
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), WeightsError> {
        let Some(&(file, start, ..)) = self.places.get(name) else {
            return Err(WeightsError::Absent { name: name.to_owned() });
        };
        if self.written.contains(name) {
            let before = self.files[file].read_at(start, bytes.len())?;
            if before != bytes {
                let reason = "two parameters give it different values";
                return Err(WeightsError::conversion(name, reason));
            }
            return Ok(());
        }
        self.files[file].write_at(start, bytes)?;
        self.written.insert(name.to_owned());
        Ok(())
    }

    /// Puts every file in its place, the index and the configuration last.
    fn finish(
        mut self,
        layout: &Layout,
        config: Option<(&str, &[u8])>,
    ) -> Result<Vec<PathBuf>, WeightsError> {
        if let Some(name) = self.places.keys().find(|name| !self.written.contains(*name)) {
            return Err(WeightsError::conversion(name, "no parameter was given for it"));
        }
        if let Some(index) = &layout.index {
            self.add(index, &layout.index_json())?;
        }
        if let Some((name, text)) = config {
            self.add(name, text)?;
        }
        let paths = self.files.iter().map(|file| file.path.clone()).collect();
        for file in &mut self.files {
            file.sync()?;
        }
        for file in self.files {
            file.rename()?;
        }
        remove_stale(&self.dir, layout);
        Ok(paths)
    }

    fn add(&mut self, name: &str, contents: &[u8]) -> Result<(), WeightsError> {
        let mut file = Unfinished::create(&self.dir, name)?;
        file.write_at(0, contents)?;
        self.files.push(file);
        Ok(())
    }
}

/// Removes the files of an earlier layout under the same stem: a stale index would win over the new
/// file, and stale shards would lie beside it for nothing.
fn remove_stale(dir: &Path, layout: &Layout) {
    let stem = layout.stem();
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let shard = super::locate::shard_number(&name, &stem, "safetensors").is_some();
        let single = name == format!("{stem}.safetensors");
        let index = name == format!("{stem}.safetensors.index.json");
        let ours = layout.files.iter().any(|file| file.name == name)
            || layout.index.as_deref() == Some(name.as_str());
        if (shard || single || index) && !ours {
            // What cannot be removed is reported as stray when the directory is opened.
            let _ = fs::remove_file(dir.join(name));
        }
    }
}
