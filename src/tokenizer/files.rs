//! Reads the few files of a model directory that concern text.
//!
//! In: a directory. Out: the bytes, text or JSON object of a named file, or nothing where it is absent.
//! Sizes are capped before anything is read.
//!
//! Absent on purpose: listing, searching, writing; names that come out of a file are never opened.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::{TokenizerError, described};
use crate::facts::is_lfs_pointer;

/// No tokenizer on the hub is a tenth as large.
const LIMIT: u64 = 512 << 20;
/// Templates and configurations are a few kilobytes.
const SMALL_LIMIT: u64 = 16 << 20;

/// A model directory, seen by its tokenizer.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    dir: PathBuf,
}

impl Folder {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// The bytes of a file, or `None` where there is no such file.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, TokenizerError> {
        self.capped(name, LIMIT)
    }

    /// The text of a file; bytes that are not UTF-8 are an error.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, TokenizerError> {
        self.bytes(name)?.map(|bytes| utf8(name, bytes)).transpose()
    }

    /// The text of a small file, such as a template.
    pub(crate) fn small_text(&self, name: &str) -> Result<Option<String>, TokenizerError> {
        self.capped(name, SMALL_LIMIT)?.map(|bytes| utf8(name, bytes)).transpose()
    }

    /// The JSON object in a small file.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Map<String, Value>>, TokenizerError> {
        self.capped(name, SMALL_LIMIT)?.map(|bytes| object(name, &bytes)).transpose()
    }

    /// The names of the files in a subdirectory that end in `suffix`, sorted.
    pub(crate) fn names(&self, subdir: &str, suffix: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.dir.join(subdir)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.ends_with(suffix))
            .collect();
        names.sort_unstable();
        names
    }

    fn capped(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, TokenizerError> {
        let path = self.dir.join(name);
        let unreadable = |source| TokenizerError::Read { path: path.clone(), source };
        let bytes = match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return Ok(None),
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        if bytes > limit {
            return Err(TokenizerError::TooLarge { file: name.to_owned(), bytes, limit });
        }
        let mut content = Vec::new();
        std::fs::File::open(&path)
            .and_then(|file| file.take(limit).read_to_end(&mut content))
            .map_err(unreadable)?;
        if is_lfs_pointer(&content) {
            let reason = "a Git LFS pointer stands in its place; fetch the file itself, for example with `git lfs pull`";
            return Err(TokenizerError::format(name, reason));
        }
        Ok(Some(content))
    }
}

/// A directory that is itself a file has no files in it either.
fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn utf8(name: &str, bytes: Vec<u8>) -> Result<String, TokenizerError> {
    let mut text = String::from_utf8(bytes)
        .map_err(|error| TokenizerError::format(name, format!("not UTF-8 ({})", error.utf8_error())))?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Parses a JSON object out of the bytes of the file called `name`.
pub(crate) fn object(name: &str, bytes: &[u8]) -> Result<Map<String, Value>, TokenizerError> {
    let value = serde_json::from_slice(bytes)
        .map_err(|source| TokenizerError::Json { file: name.to_owned(), source })?;
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(TokenizerError::format(name, format!("{}, expected an object", described(&other)))),
    }
}
