//! One JSON file of a model directory, read within limits and never from outside of it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::diag::Source;

use super::{FactsError, json};

/// The most that is read of a config file, in bytes.
pub const CONFIG_LIMIT: u64 = 10 * 1024 * 1024;

/// A JSON file as it was read.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its path relative to the model directory.
    pub file: String,
    /// Its text, for pointing into.
    pub source: Arc<Source>,
    /// What it says; always an object.
    pub value: Value,
}

/// Reads the JSON object in `root/file`.
pub(super) fn read(root: &Path, file: &str) -> Result<Document, FactsError> {
    read_at(&contained(root, file)?, file)
}

/// Reads the text of `root/file`.
pub(super) fn text(root: &Path, file: &str) -> Result<String, FactsError> {
    json::decode(file, read_limited(&contained(root, file)?, file, CONFIG_LIMIT)?)
}

/// Reads the JSON object at `path`, which is known to lie within the model.
pub(super) fn read_at(path: &Path, file: &str) -> Result<Document, FactsError> {
    let bytes = read_limited(path, file, CONFIG_LIMIT)?;
    let text = json::decode(file, bytes)?;
    let value = json::parse(file, &text)?;
    if !value.is_object() {
        return Err(FactsError::NotAnObject { file: file.to_owned(), found: json::kind(&value) });
    }
    Ok(Document { file: file.to_owned(), source: Source::new(file, text), value })
}

/// All bytes of a file that has at most `limit` of them.
pub(super) fn read_limited(path: &Path, file: &str, limit: u64) -> Result<Vec<u8>, FactsError> {
    let opened = File::open(path).map_err(FactsError::io(path))?;
    let size = opened.metadata().map_err(FactsError::io(path))?.len();
    let too_large = |size| FactsError::TooLarge { file: file.to_owned(), size, limit };
    if size > limit {
        return Err(too_large(size));
    }
    // The size is a hint only: a file may grow, and some report none.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(FactsError::io(path))?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// The path of `root/file`, if that stays within the model.
///
/// A link may lead to another place of the same directory or, in a hub cache, to the repository's own blobs:
/// that is how the cache stores every file.
pub(super) fn contained(root: &Path, file: &str) -> Result<PathBuf, FactsError> {
    let relative = Path::new(file);
    let outside = |target: PathBuf| FactsError::Outside { file: file.to_owned(), target };
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside(root.join(relative)));
    }
    let path = root.join(relative);
    let crosses_link = relative
        .ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        .any(|part| fs::symlink_metadata(root.join(part)).is_ok_and(|found| found.is_symlink()));
    if !crosses_link {
        return Ok(path);
    }
    let target = fs::canonicalize(&path).map_err(|error| match (error.kind(), fs::read_link(&path)) {
        (ErrorKind::NotFound, Ok(target)) => FactsError::BrokenLink { file: file.to_owned(), target },
        _ => FactsError::io(&path)(error),
    })?;
    let home = fs::canonicalize(root).map_err(FactsError::io(root))?;
    let blobs = hub_blobs(&home);
    if target.starts_with(&home) || blobs.is_some_and(|blobs| target.starts_with(blobs)) {
        Ok(path)
    } else {
        Err(outside(target))
    }
}

/// The `blobs` folder of the hub repository whose snapshot `home` is or lies in.
fn hub_blobs(home: &Path) -> Option<PathBuf> {
    let snapshots =
        home.ancestors().skip(1).find(|path| path.file_name().is_some_and(|n| n == "snapshots"))?;
    fs::canonicalize(snapshots.parent()?.join("blobs")).ok()
}

/// `at.key`, or `key` at the top.
pub(super) fn joined(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// The value at a dotted path; a number is an index into a list.
#[must_use]
pub fn lookup<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, key| match value {
        Value::Object(entries) => entries.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Every value at a dotted path in which `*` stands for any key or index, with the path it was found at.
#[must_use]
pub fn lookup_all<'v>(value: &'v Value, path: &str) -> Vec<(String, &'v Value)> {
    let mut found = vec![(String::new(), value)];
    for key in path.split('.') {
        found = found
            .into_iter()
            .flat_map(|(at, value)| -> Vec<(String, &Value)> {
                match (key, value) {
                    ("*", Value::Object(entries)) => {
                        entries.iter().map(|(key, value)| (joined(&at, key), value)).collect()
                    }
                    ("*", Value::Array(items)) => {
                        items.iter().enumerate().map(|(i, v)| (joined(&at, &i.to_string()), v)).collect()
                    }
                    _ => lookup(value, key).map(|value| (joined(&at, key), value)).into_iter().collect(),
                }
            })
            .collect();
    }
    found
}
