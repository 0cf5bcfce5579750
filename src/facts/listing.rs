//! What lies in a directory: names and kinds, never contents.
//!
//! One `readdir` gives the top level. Deeper levels are listed only when a rule asks, never through links to
//! directories, and never further than [`MAX_DEPTH`] levels or [`MAX_ENTRIES`] names. An entry that cannot be
//! read is kept and marked, never an error: hostile names and loops of links are facts like any other.

use std::fs;
use std::path::{Path, PathBuf};

use super::FactsError;

/// How many levels below a model directory are listed at most.
pub const MAX_DEPTH: usize = 6;
/// How many names are listed at most.
pub const MAX_ENTRIES: usize = 100_000;

/// What an entry is, after following links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A link that leads nowhere or in a circle, a socket, or something that cannot be looked at.
    Other,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path relative to the model directory, with `/`; what is not Unicode is replaced.
    pub name: String,
    /// What it is, links followed.
    pub kind: Kind,
    /// Whether it is a link.
    pub link: bool,
    /// The path as the system spells it, where that is no Unicode.
    spelling: Option<PathBuf>,
}

impl Entry {
    /// A regular file of that name.
    pub(super) fn file(name: &str) -> Self {
        Self { name: name.to_owned(), kind: Kind::File, link: false, spelling: None }
    }

    /// The path relative to the model directory, as the system spells it.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.spelling.as_deref().unwrap_or(Path::new(&self.name))
    }
}

/// The entries of `dir`, sorted by name.
pub(super) fn list(dir: &Path) -> Result<Vec<Entry>, FactsError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(FactsError::io(dir))? {
        // An entry that vanishes or cannot be read while listing is as good as absent.
        let Ok(entry) = entry else { continue };
        if entries.len() >= MAX_ENTRIES {
            break;
        }
        let (kind, link) = kind_of(&entry);
        let (name, spelling) = match entry.file_name().into_string() {
            Ok(name) => (name, None),
            Err(name) => (name.to_string_lossy().into_owned(), Some(PathBuf::from(name))),
        };
        entries.push(Entry { name, kind, link, spelling });
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name).then_with(|| a.path().cmp(b.path())));
    Ok(entries)
}

fn kind_of(entry: &fs::DirEntry) -> (Kind, bool) {
    let Ok(file_type) = entry.file_type() else { return (Kind::Other, false) };
    if file_type.is_file() {
        return (Kind::File, false);
    }
    if file_type.is_dir() {
        return (Kind::Dir, false);
    }
    if !file_type.is_symlink() {
        return (Kind::Other, false);
    }
    let kind = match fs::metadata(entry.path()) {
        Ok(target) if target.is_file() => Kind::File,
        Ok(target) if target.is_dir() => Kind::Dir,
        _ => Kind::Other,
    };
    (kind, true)
}

/// The entries below the directories among `top`, level by level, sorted; `top` itself is not repeated.
pub(super) fn list_below(root: &Path, top: &[Entry]) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let mut level: Vec<(PathBuf, String)> = subdirectories(top);
    for _ in 1..MAX_DEPTH {
        let mut next = Vec::new();
        for (path, name) in level {
            let Ok(entries) = list(&root.join(&path)) else { continue };
            let entries: Vec<Entry> = entries
                .into_iter()
                .map(|entry| Entry {
                    name: format!("{name}/{}", entry.name),
                    spelling: is_spelt(&path, &name, &entry).then(|| path.join(entry.path())),
                    ..entry
                })
                .collect();
            next.extend(subdirectories(&entries));
            found.extend(entries);
            if found.len() >= MAX_ENTRIES {
                return found;
            }
        }
        level = next;
    }
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name).then_with(|| a.path().cmp(b.path())));
    found
}

/// Whether the path of an entry below `folder` has to be kept beside its name.
fn is_spelt(folder: &Path, name: &str, entry: &Entry) -> bool {
    entry.spelling.is_some() || folder != Path::new(name)
}

fn subdirectories(entries: &[Entry]) -> Vec<(PathBuf, String)> {
    let real = entries.iter().filter(|entry| entry.kind == Kind::Dir && !entry.link);
    real.map(|entry| (entry.path().to_owned(), entry.name.clone())).collect()
}
