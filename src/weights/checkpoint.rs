//! An open checkpoint: which tensors there are, and their bytes on demand.
//!
//! In: a directory or a file. Out: every tensor's dtype, shape and place, in one name space over all
//! shards. Opening reads headers only.
//!
//! Absent on purpose: what the tensors are for (see `bind`), and any execution of a pickle.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::dtype::StoredDtype;
use super::error::WeightsError;
use super::fault::IndexProblem;
use super::file::{Entry, Opened, WeightFile, open_one};
use super::index::Index;
use super::inside::{resolve, stays_inside};
use super::locate::{self, Found};
use super::resolve::Headers;
use super::source::Access;

/// How to open a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// How its bytes are read.
    pub access: Access,
    /// Which variant (`fp16`) to take where a directory has several.
    pub variant: Option<String>,
    /// Files to look for before those of the usual names, the first choice first; paths below the directory.
    pub files: Vec<String>,
}

/// An open checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    root: PathBuf,
    files: Vec<WeightFile>,
    entries: BTreeMap<String, Entry>,
    index: Option<String>,
    remarks: Vec<String>,
}

impl Checkpoint {
    /// Opens a directory of weights or a single weight file, mapped into memory.
    ///
    /// # Errors
    ///
    /// See [`WeightsError`]: nothing there, a file that is not what its name says, or an index that
    /// disagrees with its shards (every disagreement at once).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// As [`Checkpoint::open`], with options.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let meta = std::fs::metadata(path).map_err(WeightsError::io(path))?;
        if meta.is_dir() {
            let found = locate::find(path, options.variant.as_deref(), &options.files)?;
            return Self::of_directory(path, found, options.access);
        }
        let (root, name) = split(path);
        if path.extension().is_some_and(|extension| extension == "json") {
            let found = Found { files: Vec::new(), index: Some(name), remarks: Vec::new() };
            return Self::of_directory(&root, found, options.access);
        }
        let opened = open_one(path, name, options.access)?;
        Self::of_files(root, vec![opened], None, Vec::new())
    }

    fn of_directory(root: &Path, found: Found, access: Access) -> Result<Self, WeightsError> {
        if let Some(index) = found.index {
            return Self::of_index(root, index, found.remarks, access);
        }
        let mut opened = Vec::new();
        for name in found.files {
            let path = resolve(root, &name)?;
            opened.push(open_one(&path, name, access)?);
        }
        Self::of_files(root.to_owned(), opened, None, found.remarks)
    }

    fn of_index(
        root: &Path,
        name: String,
        mut remarks: Vec<String>,
        access: Access,
    ) -> Result<Self, WeightsError> {
        let index_path = root.join(&name);
        let index = Index::read(&resolve(root, &name)?)?;
        let mut problems = Vec::new();
        let mut opened = Vec::new();
        for (shard, tensors) in index.shards() {
            if !stays_inside(shard) {
                problems.push(IndexProblem::Outside { shard: shard.to_owned() });
            } else if root.join(shard).symlink_metadata().is_err() {
                problems.push(IndexProblem::MissingShard { shard: shard.to_owned(), tensors });
            } else {
                let shard_file =
                    resolve(root, shard).and_then(|path| open_one(&path, shard.to_owned(), access));
                match shard_file {
                    Ok(file) => opened.push(file),
                    Err(error) => problems.push(IndexProblem::Shard(Box::new(error))),
                }
            }
        }
        let held: BTreeMap<&str, BTreeSet<&str>> = opened
            .iter()
            .map(|(file, tensors)| {
                (file.name.as_str(), tensors.iter().map(|(name, _)| name.as_str()).collect())
            })
            .collect();
        problems.extend(index.compare(&held));
        if !problems.is_empty() {
            return Err(WeightsError::Index { file: index_path, problems });
        }
        remarks.extend(strays(root, &name, &held));
        Self::of_files(root.to_owned(), opened, Some(name), remarks)
    }

    fn of_files(
        root: PathBuf,
        opened: Vec<Opened>,
        index: Option<String>,
        remarks: Vec<String>,
    ) -> Result<Self, WeightsError> {
        let mut files: Vec<WeightFile> = Vec::new();
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        let mut problems = Vec::new();
        for (file, tensors) in opened {
            for (name, mut entry) in tensors {
                entry.file = files.len();
                if let Some(before) = entries.get(&name) {
                    problems.push(IndexProblem::Duplicate {
                        tensor: name,
                        shard: files.get(before.file).unwrap_or(&file).name.clone(),
                        other: file.name.clone(),
                    });
                } else {
                    entries.insert(name, entry);
                }
            }
            files.push(file);
        }
        if problems.is_empty() {
            Ok(Self { root, files, entries, index, remarks })
        } else {
            Err(WeightsError::Index { file: root, problems })
        }
    }

    /// The directory of the weight files.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The weight files, in the order of their names.
    #[must_use]
    pub fn files(&self) -> &[WeightFile] {
        &self.files
    }

    /// The index that lists the shards, by name.
    #[must_use]
    pub fn index(&self) -> Option<&str> {
        self.index.as_deref()
    }

    /// What a person should know about the choice of files: variants taken, files passed over.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// All tensors, sorted by name.
    #[must_use]
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// One tensor.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The bytes of all tensors together.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.bytes as u64).sum()
    }

    /// The dtypes that occur, each with the number of its tensors and their bytes.
    #[must_use]
    pub fn dtypes(&self) -> BTreeMap<StoredDtype, (usize, u64)> {
        let mut summary = BTreeMap::new();
        for entry in self.entries.values() {
            let (tensors, bytes) = summary.entry(entry.dtype).or_insert((0, 0));
            *tensors += 1;
            *bytes += entry.bytes as u64;
        }
        summary
    }

    /// The bytes of one tensor in row order; no copy where the file is mapped and holds them so.
    ///
    /// # Errors
    ///
    /// If there is no such tensor, or its file cannot be read.
    pub fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        let entry = self.entry(name)?;
        let file = &self.files[entry.file];
        if let Some(bytes) = file.borrow(entry) {
            return Ok(Cow::Borrowed(bytes));
        }
        Ok(Cow::Owned(file.whole(entry)?))
    }

    fn entry(&self, name: &str) -> Result<&Entry, WeightsError> {
        self.get(name).ok_or_else(|| WeightsError::Absent { name: name.to_owned() })
    }

    /// Whether parts of this tensor are read at no more cost than their own size.
    pub(crate) fn reads_in_parts(&self, name: &str) -> bool {
        self.get(name).is_some_and(|entry| entry.range().is_some())
    }

    /// A part of a tensor's bytes, if they are mapped as they are.
    pub(crate) fn mapped(
        &self,
        name: &str,
        part: Range<usize>,
    ) -> Result<Option<bytes::Bytes>, WeightsError> {
        let entry = self.entry(name)?;
        self.files[entry.file].mapped(entry, part)
    }

    /// All bytes of a tensor in memory of their own; nothing of it stays mapped.
    pub(crate) fn whole(&self, name: &str) -> Result<Vec<u8>, WeightsError> {
        let entry = self.entry(name)?;
        self.files[entry.file].whole(entry)
    }

    /// Fills `buffer` with the bytes of a tensor that [reads in parts](Self::reads_in_parts), from its byte `at` on.
    pub(crate) fn read_into(&self, name: &str, at: usize, buffer: &mut [u8]) -> Result<(), WeightsError> {
        let entry = self.entry(name)?;
        self.files[entry.file].read(entry, at, buffer)
    }
}

impl Headers for Checkpoint {
    fn header(&self, name: &str) -> Option<(StoredDtype, &[usize])> {
        self.get(name).map(|entry| (entry.dtype, entry.shape.as_slice()))
    }
}

fn split(path: &Path) -> (PathBuf, String) {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let root = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    (root.unwrap_or(Path::new(".")).to_owned(), name)
}

/// Files beside an index that look like weights of its kind and that it does not name.
fn strays(root: &Path, index: &str, held: &BTreeMap<&str, BTreeSet<&str>>) -> Option<String> {
    let extension = if index.contains(".safetensors") { "safetensors" } else { "bin" };
    let stem = index.split('.').next().unwrap_or(index);
    let mut names: Vec<String> = std::fs::read_dir(root)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let shard = locate::shard_number(name, stem, extension).is_some();
            let single = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.'));
            (shard || single == Some(extension)) && !held.contains_key(name.as_str())
        })
        .collect();
    names.sort();
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| format!("`{index}` does not name {}: not read", quoted.join(", ")))
}
