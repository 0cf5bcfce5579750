//! The names and shapes of a checkpoint's tensors, for rules that ask.
//!
//! Reads safetensors headers (as the index lists them, else the model's own file, else every one but for what a
//! trainer leaves) and the names in an npz; never a tensor's bytes. A header is checked here as where it is loaded, by the one reader of both.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;

use super::FactsError;
use super::document::{contained, read_limited};
use super::fault::HeaderError;
use super::header::{HeaderText, MAX_HEADER, elements};
use super::index::{IndexFault, ShardIndex};
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

/// What the tensors of a checkpoint come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// How they are stored, as the files spell it, sorted.
    pub(super) dtypes: Vec<String>,
    /// The stored numbers, if every header says its shape and there is at least one tensor.
    pub(super) parameters: Option<u64>,
}

/// The tensors of the checkpoint in `root`, sorted by name.
pub(super) fn read(
    root: &Path,
    entries: &[Entry],
    chosen: Option<&str>,
) -> Result<Vec<TensorFact>, FactsError> {
    let mut tensors = Vec::new();
    for file in open(root, entries, chosen)? {
        file.each(|name, rest| tensors.push(fact(name, rest)))?;
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors.dedup_by(|a, b| a.name == b.name);
    Ok(tensors)
}

fn fact(name: Cow<'_, str>, rest: Option<(Dtype, &[usize])>) -> TensorFact {
    let (dtype, shape) = rest.unzip();
    TensorFact {
        name: name.into_owned(),
        dtype: dtype.map(|dtype| dtype.to_string()).unwrap_or_default(),
        shape: shape.map(|shape| shape.iter().map(|&extent| extent as u64).collect()),
    }
}

/// What the tensors of the checkpoint in `root` come to, without a list of them.
pub(super) fn sum(root: &Path, entries: &[Entry], chosen: Option<&str>) -> Result<Sum, FactsError> {
    let files = open(root, entries, chosen)?;
    // Within one file no name occurs twice; of several the first counts.
    let mut seen = (files.len() > 1).then(HashSet::new);
    let (mut count, mut parameters, mut dtypes) = (0_usize, Some(0_u64), Vec::new());
    for file in &files {
        file.each(|name, rest| {
            if seen.as_mut().is_some_and(|seen| !seen.insert(name)) {
                return;
            }
            count += 1;
            let numbers = rest.and_then(|(_, shape)| elements(shape));
            parameters = parameters.zip(numbers).map(|(sum, more)| sum.saturating_add(more as u64));
            dtypes.extend(rest.map(|(dtype, _)| dtype).filter(|dtype| !dtypes.contains(dtype)));
        })?;
    }
    let mut dtypes: Vec<String> = dtypes.iter().map(ToString::to_string).collect();
    dtypes.sort_unstable();
    Ok(Sum { dtypes, parameters: parameters.filter(|_| count > 0) })
}

/// The weight files to look at.
fn files(root: &Path, entries: &[Entry], chosen: Option<&str>) -> Result<Vec<String>, FactsError> {
    if let Some(file) = chosen.filter(|file| has_ending(file, ".safetensors") || has_ending(file, ".npz")) {
        return Ok(vec![file.to_owned()]);
    }
    // A link that leads nowhere counts: it is a file that is missing, and to be told.
    let is_file = |entry: &&Entry| entry.kind == Kind::File || (entry.link && entry.kind == Kind::Other);
    let names = || entries.iter().filter(is_file).map(|entry| entry.name.as_str());
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
    let ShardIndex(pairs) = ShardIndex::parse(&bytes).map_err(|fault| match fault {
        IndexFault::LfsPointer => FactsError::LfsPointer { file: index.to_owned() },
        _ => FactsError::Header { file: index.to_owned(), message: fault.to_string() },
    })?;
    let mut files: Vec<Cow<'_, str>> = pairs.into_iter().map(|(_, file)| file).collect();
    // Some thousand tensors are in a few files, mostly one file after the other.
    files.dedup();
    files.sort_unstable();
    files.dedup();
    let is_absent = |file: &&Cow<'_, str>| {
        !is_plain(entries, file)
            && contained(root, file).is_ok_and(|path| fs::symlink_metadata(path).is_err())
    };
    if let Some(absent) = files.iter().find(is_absent) {
        let (file, index) = (absent.to_string(), index.to_owned());
        return Err(FactsError::MissingShard { file, index });
    }
    Ok(files.into_iter().map(Cow::into_owned).collect())
}

/// What a weight file says of its tensors, unread.
struct Opened {
    file: String,
    said: Said,
}

enum Said {
    Header(HeaderText),
    /// Names without anything else.
    Names(Vec<String>),
}

/// Opens the weight files and reads their headers.
fn open(root: &Path, entries: &[Entry], chosen: Option<&str>) -> Result<Vec<Opened>, FactsError> {
    let open = |file: String| {
        let path = place(root, entries, &file)?;
        let said = if has_ending(&file, ".npz") {
            Said::Names(npz_names(&path, &file)?)
        } else {
            Said::Header(header_text(&path, &file)?)
        };
        Ok(Opened { file, said })
    };
    files(root, entries, chosen)?.into_iter().map(open).collect()
}

impl Opened {
    /// Its tensors one by one: name, dtype and shape, where it says so.
    fn each<'o>(
        &'o self,
        mut tensor: impl FnMut(Cow<'o, str>, Option<(Dtype, &[usize])>),
    ) -> Result<(), FactsError> {
        let text = match &self.said {
            Said::Header(text) => text,
            Said::Names(names) => {
                names.iter().for_each(|name| tensor(name.into(), None));
                return Ok(());
            }
        };
        let wrong =
            |error: HeaderError| FactsError::Header { file: self.file.clone(), message: error.to_string() };
        let mut header = text.check().map_err(wrong)?;
        for one in std::mem::take(&mut header.tensors) {
            let shape = header.shape(&one);
            tensor(one.name, Some((one.dtype, shape)));
        }
        Ok(())
    }
}

fn header_text(path: &Path, name: &str) -> Result<HeaderText, FactsError> {
    let mut file = File::open(path).map_err(FactsError::io(path))?;
    let size = file.metadata().map_err(FactsError::io(path))?.len();
    match HeaderText::read(&mut file, size) {
        Ok(header) => Ok(header),
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

/// The names in a zip's central directory, without `.npy`. Shapes stay unknown: they lie inside the members.
fn npz_names(path: &Path, name: &str) -> Result<Vec<String>, FactsError> {
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
        names.push(text.strip_suffix(".npy").unwrap_or(&text).to_owned());
        at += 46 + name + extra + comment;
    }
    Ok(names)
}
