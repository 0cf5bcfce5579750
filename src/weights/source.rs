//! The bytes of one file: mapped, or read when asked for.
//!
//! In: a path and the way of access. Out: ranges of bytes, without a copy where the file is mapped.
//!
//! Also refuses, before anything is parsed, what is not a weight file at all: an empty file, or a
//! Git LFS pointer.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::WeightsError;
use crate::facts::is_lfs_pointer;

/// How the bytes of a checkpoint reach memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Map the files: nothing is read before it is used, and tensors that need no conversion are
    /// not copied. The files must not be cut short while the model lives.
    #[default]
    Map,
    /// Read each tensor into memory of its own. Faster on network disks, and safe if files change.
    Read,
}

/// Bytes that are either a part of a mapped file or memory of their own.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Mapped(bytes::Bytes),
    Owned(Vec<u8>),
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Data {
    /// A part of these bytes; a copy only where they are owned and the part is not the whole.
    pub(crate) fn part(self, range: Range<usize>) -> Self {
        match self {
            Self::Mapped(bytes) => Self::Mapped(bytes.slice(range)),
            Self::Owned(bytes) if range == (0..bytes.len()) => Self::Owned(bytes),
            Self::Owned(bytes) => Self::Owned(bytes[range].to_vec()),
        }
    }
}

/// One open file.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    handle: Handle,
}

#[derive(Debug)]
enum Handle {
    Mapped(bytes::Bytes),
    Read(Mutex<File>),
}

impl Source {
    pub(crate) fn open(path: &Path, file: File, access: Access) -> Result<Self, WeightsError> {
        let handle = match access {
            Access::Map => Handle::Mapped(map(&file).map_err(WeightsError::io(path))?),
            Access::Read => Handle::Read(Mutex::new(file)),
        };
        Ok(Self { path: path.to_owned(), handle })
    }

    /// The bytes of `range` in a mapped file.
    pub(crate) fn borrow(&self, range: Range<u64>) -> Option<&[u8]> {
        let Handle::Mapped(bytes) = &self.handle else {
            return None;
        };
        bytes.get(to_usize(range.start)?..to_usize(range.end)?)
    }

    /// The bytes of `range`, which was checked against the file when the file was opened.
    pub(crate) fn range(&self, range: Range<u64>) -> Result<Data, WeightsError> {
        let bounds = to_usize(range.start).zip(to_usize(range.end));
        match (&self.handle, bounds) {
            (Handle::Mapped(bytes), Some((start, end))) if end <= bytes.len() => {
                Ok(Data::Mapped(bytes.slice(start..end)))
            }
            (Handle::Read(file), Some((start, end))) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let mut bytes = vec![0; end - start];
                file.seek(SeekFrom::Start(range.start))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(WeightsError::io(&self.path))?;
                Ok(Data::Owned(bytes))
            }
            _ => Err(WeightsError::Truncated {
                file: self.path.clone(),
                expected: range.end,
                found: match &self.handle {
                    Handle::Mapped(bytes) => bytes.len() as u64,
                    Handle::Read(_) => usize::MAX as u64,
                },
            }),
        }
    }
}

fn to_usize(value: u64) -> Option<usize> {
    usize::try_from(value).ok()
}

/// Maps a whole file, to be shared by every tensor in it.
#[expect(
    unsafe_code,
    reason = "a mapped file may change under the program; weight files are replaced by rename, not \
              written in place, and `Access::Read` is there for whoever cannot promise that"
)]
fn map(file: &File) -> std::io::Result<bytes::Bytes> {
    // SAFETY: the mapping is read-only and only ever seen as plain bytes, for which every bit
    // pattern is valid; the precondition left to the caller is the one in the reason above.
    let mapping = unsafe { memmap2::Mmap::map(file)? };
    Ok(bytes::Bytes::from_owner(mapping))
}

/// A pointer is smaller than this (the specification's own limit).
const LFS_MAX: u64 = 1024;

/// Opens a file that should hold weights or an index; gives it and its length.
pub(crate) fn open_file(path: &Path) -> Result<(File, u64), WeightsError> {
    let mut file = File::open(path).map_err(WeightsError::io(path))?;
    let meta = file.metadata().map_err(WeightsError::io(path))?;
    if meta.is_dir() {
        let source = std::io::Error::from(std::io::ErrorKind::IsADirectory);
        return Err(WeightsError::Io { path: path.to_owned(), source });
    }
    let len = meta.len();
    if len == 0 {
        return Err(WeightsError::Empty { file: path.to_owned() });
    }
    if len <= LFS_MAX {
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(WeightsError::io(path))?;
        file.rewind().map_err(WeightsError::io(path))?;
        if is_lfs_pointer(&text) {
            return Err(WeightsError::LfsPointer { file: path.to_owned(), size: lfs_size(&text) });
        }
    }
    Ok((file, len))
}

fn lfs_size(pointer: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(pointer).ok()?;
    text.lines().find_map(|line| line.strip_prefix("size "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(contents: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("w");
        std::fs::write(&path, contents).expect("written");
        (dir, path)
    }

    #[test]
    fn both_ways_give_the_same_bytes() {
        let (_dir, path) = written(&[1, 2, 3, 4, 5]);
        for access in [Access::Map, Access::Read] {
            let (file, len) = open_file(&path).expect("opens");
            assert_eq!(len, 5);
            let source = Source::open(&path, file, access).expect("opens");
            assert_eq!(&*source.range(1..4).expect("in the file"), &[2, 3, 4]);
            assert!(source.range(3..9).is_err(), "{access:?} gave bytes behind the end");
        }
    }

    #[test]
    fn what_is_no_weight_file_is_refused() {
        let (_dir, path) = written(b"");
        assert!(matches!(open_file(&path), Err(WeightsError::Empty { .. })));
        let (_dir, path) =
            written(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4976698672\n");
        let error = open_file(&path).expect_err("a pointer");
        assert!(matches!(error, WeightsError::LfsPointer { size: Some(4_976_698_672), .. }));
        assert!(error.to_string().contains("git lfs pull"), "{error}");
    }
}
