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

use pytorch_reader::PytorchReader;

use super::dtype::{StoredDtype, byte_len};
use super::error::{HeaderFault, IndexProblem, WeightsError};
use super::header;
use super::index::{Index, stays_inside};
use super::locate::{self, Found};
use super::npz::{ArrayPlace, Npz, PackedArray};
use super::resolve::Headers;
use super::source::{Access, Data, Source, open_file};

/// How to open a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// How its bytes are read.
    pub access: Access,
    /// Which variant (`fp16`) to take where a directory has several.
    pub variant: Option<String>,
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

/// One tensor of a checkpoint.
#[derive(Debug)]
pub struct Entry {
    /// The type of its elements.
    pub dtype: StoredDtype,
    /// Its extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its bytes when read.
    pub bytes: usize,
    /// Which of [`Checkpoint::files`] holds it.
    pub file: usize,
    place: Place,
}

impl Entry {
    /// Where its bytes lie in the file, unless they have to be unpacked.
    #[must_use]
    pub fn range(&self) -> Option<Range<u64>> {
        match &self.place {
            Place::Range(range) => Some(range.clone()),
            Place::Torch(_) | Place::Packed(_) => None,
        }
    }
}

#[derive(Debug)]
enum Place {
    Range(Range<u64>),
    Torch(pytorch_reader::Tensor),
    Packed(PackedArray),
}

/// One file of a checkpoint.
#[derive(Debug)]
pub struct WeightFile {
    /// Its name, relative to [`Checkpoint::root`].
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// What its header says beside the tensors (`{"format": "pt"}`).
    pub metadata: BTreeMap<String, String>,
    contents: Contents,
}

impl WeightFile {
    /// Whether this is a safetensors file, so that saving can keep its name.
    pub(crate) fn is_safetensors(&self) -> bool {
        matches!(self.contents, Contents::Safetensors(_))
    }
}

#[derive(Debug)]
enum Contents {
    Safetensors(Source),
    Torch,
    Npz(Source, Npz),
}

/// A file with its tensors, before they join the others.
type Opened = (WeightFile, Vec<(String, Entry)>);

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
            let found = locate::find(path, options.variant.as_deref())?;
            return Self::of_directory(path, found, options.access);
        }
        let (root, name) = split(path);
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let found = Found {
                files: Vec::new(),
                index: Some(name),
                remarks: Vec::new(),
            };
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
            let path = locate::resolve(root, &name)?;
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
        let index = Index::read(&locate::resolve(root, &name)?)?;
        let mut problems = Vec::new();
        let mut opened = Vec::new();
        for (shard, tensors) in index.shards() {
            if !stays_inside(shard) {
                problems.push(IndexProblem::Outside {
                    shard: shard.to_owned(),
                });
            } else if root.join(shard).symlink_metadata().is_err() {
                problems.push(IndexProblem::MissingShard {
                    shard: shard.to_owned(),
                    tensors,
                });
            } else {
                let shard_file = locate::resolve(root, shard)
                    .and_then(|path| open_one(&path, shard.to_owned(), access));
                match shard_file {
                    Ok(file) => opened.push(file),
                    Err(error) => problems.push(IndexProblem::Shard(Box::new(error))),
                }
            }
        }
        let held: BTreeMap<&str, BTreeSet<&str>> = opened
            .iter()
            .map(|(file, tensors)| {
                (
                    file.name.as_str(),
                    tensors.iter().map(|(name, _)| name.as_str()).collect(),
                )
            })
            .collect();
        problems.extend(index.compare(&held));
        if !problems.is_empty() {
            return Err(WeightsError::Index {
                file: index_path,
                problems,
            });
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
            Ok(Self {
                root,
                files,
                entries,
                index,
                remarks,
            })
        } else {
            Err(WeightsError::Index {
                file: root,
                problems,
            })
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
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_str(), entry))
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
        Ok(match self.part(name, 0..entry.bytes)? {
            Data::Owned(bytes) => Cow::Owned(bytes),
            Data::Mapped(bytes) => match &self.files[entry.file].contents {
                // The same bytes, borrowed from the checkpoint rather than counted.
                Contents::Safetensors(source) | Contents::Npz(source, _) => {
                    let borrowed = entry.range().and_then(|range| source.borrow(range));
                    borrowed.map_or_else(|| Cow::Owned(bytes.to_vec()), Cow::Borrowed)
                }
                Contents::Torch => Cow::Owned(bytes.to_vec()),
            },
        })
    }

    fn entry(&self, name: &str) -> Result<&Entry, WeightsError> {
        self.get(name).ok_or_else(|| WeightsError::Absent {
            name: name.to_owned(),
        })
    }

    /// Whether parts of this tensor are read at no more cost than their own size.
    pub(crate) fn reads_in_parts(&self, name: &str) -> bool {
        self.get(name).is_some_and(|entry| entry.range().is_some())
    }

    /// Whether this tensor's bytes are mapped, so that reading them takes no memory.
    pub(crate) fn is_mapped(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|entry| match &self.files[entry.file].contents {
                Contents::Safetensors(source) | Contents::Npz(source, _) => {
                    source.is_mapped() && entry.range().is_some()
                }
                Contents::Torch => false,
            })
    }

    /// A part of a tensor's bytes.
    pub(crate) fn part(&self, name: &str, part: Range<usize>) -> Result<Data, WeightsError> {
        let entry = self.entry(name)?;
        let file = &self.files[entry.file];
        match (&entry.place, &file.contents) {
            (Place::Range(range), Contents::Safetensors(source) | Contents::Npz(source, _)) => {
                source.range(range.start + part.start as u64..range.start + part.end as u64)
            }
            (Place::Packed(array), Contents::Npz(_, npz)) => {
                Ok(Data::Owned(npz.read(array)?).part(part))
            }
            (Place::Torch(tensor), _) => {
                let path = self.root.join(&file.name);
                let bytes = tensor.read().map_err(WeightsError::io(&path))?;
                Ok(Data::Owned(bytes).part(part))
            }
            _ => unreachable!("a place is made together with the contents it points into"),
        }
    }
}

impl Headers for Checkpoint {
    fn header(&self, name: &str) -> Option<(StoredDtype, &[usize])> {
        self.get(name)
            .map(|entry| (entry.dtype, entry.shape.as_slice()))
    }
}

fn split(path: &Path) -> (PathBuf, String) {
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let root = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    (root.unwrap_or(Path::new(".")).to_owned(), name)
}

/// Files beside an index that look like weights of its kind and that it does not name.
fn strays(root: &Path, index: &str, held: &BTreeMap<&str, BTreeSet<&str>>) -> Option<String> {
    let extension = if index.contains(".safetensors") {
        "safetensors"
    } else {
        "bin"
    };
    let stem = index.split('.').next().unwrap_or(index);
    let mut names: Vec<String> = std::fs::read_dir(root)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let shard = locate::shard_number(name, stem, extension).is_some();
            let single = name
                .strip_prefix(stem)
                .and_then(|rest| rest.strip_prefix('.'));
            (shard || single == Some(extension)) && !held.contains_key(name.as_str())
        })
        .collect();
    names.sort();
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| format!("`{index}` does not name {}: not read", quoted.join(", ")))
}

/// Opens a single file as what its name says, or, failing that, its first bytes.
fn open_one(path: &Path, name: String, access: Access) -> Result<Opened, WeightsError> {
    let (mut file, bytes) = open_file(path)?;
    let kind = Kind::of(&name, &mut file).map_err(WeightsError::io(path))?;
    match kind {
        Kind::Safetensors => open_safetensors(path, name, file, bytes, access),
        Kind::Torch => open_torch(path, name, bytes),
        Kind::Npz => open_npz(path, name, file, bytes, access),
    }
}

enum Kind {
    Safetensors,
    Torch,
    Npz,
}

impl Kind {
    fn of(name: &str, file: &mut std::fs::File) -> std::io::Result<Self> {
        use std::io::{Read, Seek};
        match Path::new(name)
            .extension()
            .and_then(|extension| extension.to_str())
        {
            Some("safetensors") => return Ok(Self::Safetensors),
            Some("npz") => return Ok(Self::Npz),
            Some("bin" | "pt" | "pth" | "ckpt") => return Ok(Self::Torch),
            _ => {}
        }
        let mut begin = [0_u8; 2];
        let read = file.read(&mut begin)?;
        file.rewind()?;
        let pickle = matches!(begin, [b'P', b'K'] | [0x80, _]);
        Ok(if pickle && read == 2 {
            Self::Torch
        } else {
            Self::Safetensors
        })
    }
}

fn open_safetensors(
    path: &Path,
    name: String,
    mut file: std::fs::File,
    bytes: u64,
    access: Access,
) -> Result<Opened, WeightsError> {
    let header = header::read(path, &mut file, bytes)?;
    let mut tensors = Vec::with_capacity(header.tensors.len());
    for tensor in header.tensors {
        let len = usize::try_from(tensor.range.end - tensor.range.start).map_err(|_| {
            let fault = HeaderFault::Trailing { bytes };
            WeightsError::Header {
                file: path.to_owned(),
                fault,
            }
        })?;
        let place = Place::Range(tensor.range);
        let entry = Entry {
            dtype: tensor.dtype,
            shape: tensor.shape,
            bytes: len,
            file: 0,
            place,
        };
        tensors.push((tensor.name, entry));
    }
    let contents = Contents::Safetensors(Source::open(path, file, access)?);
    Ok((
        WeightFile {
            name,
            bytes,
            metadata: header.metadata,
            contents,
        },
        tensors,
    ))
}

fn open_torch(path: &Path, name: String, bytes: u64) -> Result<Opened, WeightsError> {
    let broken = |source| WeightsError::Pickle {
        file: path.to_owned(),
        source,
    };
    let reader = PytorchReader::new(path).map_err(broken)?;
    let mut tensors: Vec<(String, Entry)> = reader
        .into_tensors()
        .into_iter()
        .map(|(tensor_name, tensor)| {
            let entry = Entry {
                dtype: StoredDtype::of_torch(tensor.dtype()),
                shape: tensor.shape().to_vec(),
                bytes: tensor.byte_len(),
                file: 0,
                place: Place::Torch(tensor),
            };
            (tensor_name, entry)
        })
        .collect();
    tensors.sort_by(|left, right| left.0.cmp(&right.0));
    let file = WeightFile {
        name,
        bytes,
        metadata: BTreeMap::new(),
        contents: Contents::Torch,
    };
    Ok((file, tensors))
}

fn open_npz(
    path: &Path,
    name: String,
    file: std::fs::File,
    bytes: u64,
    access: Access,
) -> Result<Opened, WeightsError> {
    let again = file.try_clone().map_err(WeightsError::io(path))?;
    let (npz, arrays) = Npz::open(path, file, bytes)?;
    let mut tensors = Vec::with_capacity(arrays.len());
    for array in arrays {
        let len = byte_len(array.dtype, &array.shape)
            .ok_or_else(|| WeightsError::conversion(&array.name, "its size overflows"))?;
        let place = match array.place {
            ArrayPlace::Range(range) => Place::Range(range),
            ArrayPlace::Entry(packed) => Place::Packed(packed),
        };
        let entry = Entry {
            dtype: array.dtype,
            shape: array.shape,
            bytes: len,
            file: 0,
            place,
        };
        tensors.push((array.name, entry));
    }
    // A cloned handle shares its position, so that reading needs one of its own.
    let source = match access {
        Access::Map => Source::open(path, again, access)?,
        Access::Read => Source::open(path, open_file(path)?.0, access)?,
    };
    let contents = Contents::Npz(source, npz);
    Ok((
        WeightFile {
            name,
            bytes,
            metadata: BTreeMap::new(),
            contents,
        },
        tensors,
    ))
}
