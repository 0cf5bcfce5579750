//! The bytes of one file: mapped, or read when asked for.
//!
//! In: a path and the way of access. Out: ranges of bytes, without a copy where the file is mapped; or read into a
//! buffer of the caller's, which never goes through the mapping, since each page that is touched there stays in
//! memory, beside what was made of it.
//!
//! Also refuses, before anything is parsed, what is not a weight file at all: an empty file, or a
//! Git LFS pointer.

use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::WeightsError;
use crate::facts::is_lfs_pointer;

/// How the bytes of a checkpoint reach memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Map the files: nothing is read before it is used, and tensors that need no conversion are
    /// not copied. The files must not be cut short while the model lives. Tensors that are converted are
    /// read, so that they leave nothing behind in memory.
    #[default]
    Map,
    /// Read each tensor into memory of its own. Faster on network disks, and safe if files change.
    Read,
}

/// One open file.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    file: Shared,
    mapping: Option<bytes::Bytes>,
    /// The longest read that a test has seen.
    #[cfg(test)]
    pub(crate) longest: std::sync::atomic::AtomicUsize,
}

impl Source {
    pub(crate) fn open(path: &Path, file: File, access: Access) -> Result<Self, WeightsError> {
        let mapping = match access {
            Access::Map => Some(map(&file).map_err(WeightsError::io(path))?),
            Access::Read => None,
        };
        Ok(Self {
            path: path.to_owned(),
            file: Shared::new(file),
            mapping,
            #[cfg(test)]
            longest: 0.into(),
        })
    }

    /// The bytes of `range` in a mapped file.
    pub(crate) fn borrow(&self, range: Range<u64>) -> Option<&[u8]> {
        self.mapping.as_ref()?.get(to_usize(range.start)?..to_usize(range.end)?)
    }

    /// The bytes of `range`, which was checked against the file when the file was opened; `None` if it is not mapped.
    pub(crate) fn mapped(&self, range: Range<u64>) -> Result<Option<bytes::Bytes>, WeightsError> {
        let Some(mapping) = &self.mapping else {
            return Ok(None);
        };
        // Touching a page behind the end of a file that was cut short meanwhile would end the program.
        let whole = self.file.len().is_none_or(|len| range.end <= len);
        let bounds = to_usize(range.start).zip(to_usize(range.end)).filter(|(_, end)| *end <= mapping.len());
        match bounds {
            Some((start, end)) if whole => Ok(Some(mapping.slice(start..end))),
            _ => Err(self.cut_short(range.end)),
        }
    }

    /// Fills `buffer` with the bytes from `at` on, past the mapping; any number of threads may do so at once.
    pub(crate) fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), WeightsError> {
        #[cfg(test)]
        self.longest.fetch_max(buffer.len(), std::sync::atomic::Ordering::Relaxed);
        self.file.read_exact_at(buffer, at).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.cut_short(at.saturating_add(buffer.len() as u64)),
            _ => WeightsError::io(&self.path)(error),
        })
    }

    fn cut_short(&self, expected: u64) -> WeightsError {
        let found = self.file.len().unwrap_or(0);
        WeightsError::Truncated { file: self.path.clone(), expected, found }
    }
}

/// A file that several threads read at once, each where it likes.
#[derive(Debug)]
struct Shared {
    file: File,
    /// Whose turn it is, where a read moves the position that all share.
    #[cfg(not(unix))]
    turn: std::sync::Mutex<()>,
}

impl Shared {
    fn new(file: File) -> Self {
        Self {
            file,
            #[cfg(not(unix))]
            turn: std::sync::Mutex::default(),
        }
    }

    fn len(&self) -> Option<u64> {
        self.file.metadata().ok().map(|meta| meta.len())
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, at)
    }

    #[cfg(not(unix))]
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (&self.file).seek(std::io::SeekFrom::Start(at))?;
        (&self.file).read_exact(buffer)
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
            let mapped = source.mapped(1..4).expect("in the file");
            assert_eq!(mapped.as_deref(), (access == Access::Map).then_some(&[2, 3, 4][..]));
            assert_eq!(source.mapped(3..9).is_err(), access == Access::Map, "bytes behind the end");
            let mut two = [0; 2];
            source.read(3, &mut two).expect("in the file");
            assert_eq!(two, [4, 5]);
            assert!(source.read(4, &mut two).is_err(), "{access:?} gave bytes behind the end");
        }
    }

    #[test]
    fn a_file_cut_short_after_it_was_opened_is_named() {
        for access in [Access::Map, Access::Read] {
            let (_dir, path) = written(&[7; 9000]);
            let source = Source::open(&path, open_file(&path).expect("opens").0, access).expect("opens");
            File::options().write(true).open(&path).and_then(|file| file.set_len(100)).expect("cut");
            let errors = [source.mapped(0..9000).err(), source.read(50, &mut [0; 100]).err()];
            assert_eq!(errors[0].is_some(), access == Access::Map);
            for error in errors.into_iter().flatten() {
                let WeightsError::Truncated { file, found: 100, .. } = error else {
                    panic!("{access:?}: {error:?}");
                };
                assert_eq!(file, path);
            }
            assert!(source.mapped(0..100).is_ok() && source.read(50, &mut [0; 50]).is_ok(), "still there");
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
