//! One weight file: its tensors, and the bytes of each.
//!
//! In: a path, opened as what its name says, or, failing that, its first bytes. Out: a [`WeightFile`] and
//! an [`Entry`] for each tensor. safetensors, `PyTorch` pickles and numpy archives meet here, and nothing
//! above knows which of them it reads.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pytorch_reader::PytorchReader;

use super::dtype::{StoredDtype, byte_len};
use super::error::WeightsError;
use super::npz::{ArrayPlace, Npz, PackedArray};
use super::source::{Access, Source, open_file};
use crate::facts::{HeaderFault, HeaderText};

/// One tensor of a checkpoint.
#[derive(Debug)]
pub struct Entry {
    /// The type of its elements.
    pub dtype: StoredDtype,
    /// Its extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its bytes when read.
    pub bytes: usize,
    /// Which of [`files`](super::Checkpoint::files) holds it.
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
    /// Its name, relative to [`root`](super::Checkpoint::root).
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

    /// The bytes of one of its tensors, if they are mapped as they are.
    pub(crate) fn borrow(&self, entry: &Entry) -> Option<&[u8]> {
        match &self.contents {
            Contents::Safetensors(source) | Contents::Npz(source, _) => source.borrow(entry.range()?),
            Contents::Torch(_) => None,
        }
    }

    /// Fills `buffer` with the bytes of a tensor that has a range, from its byte `at` on; not through the mapping.
    pub(crate) fn read(&self, entry: &Entry, at: usize, buffer: &mut [u8]) -> Result<(), WeightsError> {
        match (&entry.place, &self.contents) {
            (Place::Range(range), Contents::Safetensors(source) | Contents::Npz(source, _)) => {
                source.read(range.start + at as u64, buffer)
            }
            _ => unreachable!(
                "only a tensor with a range is read in parts, and ranges are of files of these kinds"
            ),
        }
    }

    /// The longest read so far.
    #[cfg(test)]
    pub(crate) fn longest_read(&self) -> usize {
        match &self.contents {
            Contents::Safetensors(source) | Contents::Npz(source, _) => {
                source.longest.load(std::sync::atomic::Ordering::Relaxed)
            }
            Contents::Torch(_) => 0,
        }
    }

    /// A part of the bytes of one of its tensors, if they are mapped as they are.
    pub(crate) fn mapped(
        &self,
        entry: &Entry,
        part: Range<usize>,
    ) -> Result<Option<bytes::Bytes>, WeightsError> {
        match (&entry.place, &self.contents) {
            (Place::Range(range), Contents::Safetensors(source) | Contents::Npz(source, _)) => {
                source.mapped(range.start + part.start as u64..range.start + part.end as u64)
            }
            _ => Ok(None),
        }
    }

    /// All bytes of one of its tensors, in memory of their own.
    pub(crate) fn whole(&self, entry: &Entry) -> Result<Vec<u8>, WeightsError> {
        match (&entry.place, &self.contents) {
            (Place::Packed(array), Contents::Npz(_, npz)) => npz.read(array),
            (Place::Torch(tensor), Contents::Torch(path)) => tensor.read().map_err(WeightsError::io(path)),
            _ => {
                let mut bytes = vec![0; entry.bytes];
                self.read(entry, 0, &mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

#[derive(Debug)]
enum Contents {
    Safetensors(Source),
    Torch(PathBuf),
    Npz(Source, Npz),
}

/// A file with its tensors, before they join the others.
pub(crate) type Opened = (WeightFile, Vec<(String, Entry)>);

/// Opens a single file as what its name says, or, failing that, its first bytes.
pub(crate) fn open_one(path: &Path, name: String, access: Access) -> Result<Opened, WeightsError> {
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
        match Path::new(name).extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => return Ok(Self::Safetensors),
            Some("npz") => return Ok(Self::Npz),
            Some("bin" | "pt" | "pth" | "ckpt") => return Ok(Self::Torch),
            _ => {}
        }
        let mut begin = [0_u8; 2];
        let read = file.read(&mut begin)?;
        file.rewind()?;
        let pickle = matches!(begin, [b'P', b'K'] | [0x80, _]);
        Ok(if pickle && read == 2 { Self::Torch } else { Self::Safetensors })
    }
}

fn open_safetensors(
    path: &Path,
    name: String,
    mut file: std::fs::File,
    bytes: u64,
    access: Access,
) -> Result<Opened, WeightsError> {
    let text = HeaderText::read(&mut file, bytes).map_err(WeightsError::header(path))?;
    let mut header = text.check().map_err(WeightsError::header(path))?;
    let fault = |fault| WeightsError::Header { file: path.to_owned(), fault };
    let mut tensors = Vec::with_capacity(header.tensors.len());
    for tensor in std::mem::take(&mut header.tensors) {
        let shape = header.shape(&tensor).to_vec();
        let name = tensor.name.into_owned();
        let dtype = StoredDtype::of_safetensors(tensor.dtype)
            .ok_or_else(|| fault(HeaderFault::Dtype(name.clone())))?;
        let bytes =
            byte_len(dtype, &shape).ok_or_else(|| WeightsError::conversion(&name, "its size overflows"))?;
        tensors.push((name, Entry { dtype, shape, bytes, file: 0, place: Place::Range(tensor.range) }));
    }
    let contents = Contents::Safetensors(Source::open(path, file, access)?);
    Ok((WeightFile { name, bytes, metadata: header.metadata, contents }, tensors))
}

fn open_torch(path: &Path, name: String, bytes: u64) -> Result<Opened, WeightsError> {
    let broken = |source| WeightsError::Pickle { file: path.to_owned(), hint: hint(path), source };
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
    let file =
        WeightFile { name, bytes, metadata: BTreeMap::new(), contents: Contents::Torch(path.to_owned()) };
    Ok((file, tensors))
}

/// Why a file that should be a pickle may be none, by its first bytes.
fn hint(path: &Path) -> &'static str {
    let mut begin = [0_u8; 9];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut begin));
    match &begin {
        _ if read.is_err() => "",
        [b'P', b'K', 3, 4, ..] => "; if it is cut short, download it again",
        [.., b'{'] => "; its first bytes are those of a safetensors file",
        [b'<', ..] => "; its first bytes are those of a web page: download it again",
        _ => "",
    }
}

fn open_npz(
    path: &Path,
    name: String,
    file: std::fs::File,
    bytes: u64,
    access: Access,
) -> Result<Opened, WeightsError> {
    let (npz, arrays) = Npz::open(path, file, bytes)?;
    let mut tensors = Vec::with_capacity(arrays.len());
    for array in arrays {
        let len = byte_len(array.dtype, &array.shape)
            .ok_or_else(|| WeightsError::conversion(&array.name, "its size overflows"))?;
        let place = match array.place {
            ArrayPlace::Range(range) => Place::Range(range),
            ArrayPlace::Entry(packed) => Place::Packed(packed),
        };
        let entry = Entry { dtype: array.dtype, shape: array.shape, bytes: len, file: 0, place };
        tensors.push((array.name, entry));
    }
    // A cloned handle shares its position, so that reading needs one of its own.
    let source = Source::open(path, open_file(path)?.0, access)?;
    let contents = Contents::Npz(source, npz);
    Ok((WeightFile { name, bytes, metadata: BTreeMap::new(), contents }, tensors))
}
