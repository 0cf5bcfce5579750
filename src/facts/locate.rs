//! From what a person typed to the directory that is meant.
//!
//! Takes a path or the id of a repository in the Hugging Face cache (`org/name`, `name`, either with `@revision`), of
//! which a folder can be meant (`org/name/folder@revision`); a path that exists always wins over an id. Gives the
//! directory, the file in it that was named, and a name to show. Nothing is downloaded.

use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::FactsError;

/// Where the Hugging Face cache is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hub {
    folder: Option<PathBuf>,
}

impl Hub {
    /// No cache: only paths are found.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The cache in `folder`, the one that holds `models--org--name`.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()) }
    }

    /// The cache that the environment names.
    ///
    /// `HF_HUB_CACHE`, else `HUGGINGFACE_HUB_CACHE`, else `HF_HOME/hub`, else
    /// `XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`, as `huggingface_hub` has it.
    #[must_use]
    pub fn from_env() -> Self {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = variable("HF_HUB_CACHE")
            .or_else(|| variable("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(variable("HF_HOME")?.join("hub")))
            .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface/hub")))
            .or_else(|| Some(env::home_dir()?.join(".cache/huggingface/hub")));
        Self { folder }
    }

    /// The folder that holds `models--org--name`, if there is a cache.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The folder of a repository in the cache, if it is there.
    #[must_use]
    pub fn repository(&self, id: &str) -> Option<PathBuf> {
        if !is_repository_id(id) {
            return None;
        }
        let folder = self.folder.as_ref()?.join(format!("models--{}", id.replace('/', "--")));
        folder.is_dir().then_some(folder)
    }

    /// The directory of a repository's snapshot, `revision` or `main`.
    ///
    /// # Errors
    /// If the cache lacks the repository or a snapshot of that revision.
    pub fn snapshot(&self, id: &str, revision: Option<&str>) -> Result<PathBuf, FactsError> {
        let Some(repository) = self.repository(id) else {
            let looked = match &self.folder {
                Some(folder) => format!(", and the cache `{}` has no `{id}`", folder.display()),
                None => String::new(),
            };
            let ways_on = self.folder.as_ref().map(|_| format!(", {}", ways_on(id, revision)));
            let ways_on = ways_on.unwrap_or_default();
            return Err(FactsError::Missing { path: id.into(), looked, ways_on });
        };
        snapshot_in(&repository, revision).map_err(|reason| FactsError::NoSnapshot {
            id: id.to_owned(),
            hub: self.folder.clone().unwrap_or_default(),
            reason: format!("{reason}; {}", ways_on(id, revision)),
        })
    }
}

/// How a repository comes into the cache.
fn ways_on(id: &str, revision: Option<&str>) -> String {
    let revision = revision.map(|revision| format!(" --revision {revision}")).unwrap_or_default();
    format!(
        "allow the download with `--download` (in Rust: `Loader::allow_download`), or run `hf download {id}{revision}`"
    )
}

/// The id of a repository, and what of it is meant: `org/name/folder@revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryPath {
    /// `org/name`, or `name`.
    pub id: String,
    /// A folder or a file in it; empty for the whole.
    pub inside: String,
    /// A branch, a tag or a commit; `main` if none is named.
    pub revision: Option<String>,
}

impl RepositoryPath {
    /// Reads an id, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (path, revision) = match text.split_once('@') {
            Some((path, revision)) => (path, Some(revision.to_owned())),
            None => (text, None),
        };
        let end = path.match_indices('/').nth(1).map_or(path.len(), |(at, _)| at);
        let (id, inside) = path.split_at(end);
        let inside = inside.trim_matches('/');
        let is_inner = Path::new(inside).components().all(|part| matches!(part, Component::Normal(_)));
        let is_revision = revision.as_deref().is_none_or(is_revision);
        let is_id = is_repository_id(id) && is_inner && !inside.contains(['\\', '\0']) && is_revision;
        is_id.then(|| Self { id: id.to_owned(), inside: inside.to_owned(), revision })
    }
}

/// Whether a text could name a branch, a tag or a commit: `main`, `refs/pr/1`, `v1.0`.
fn is_revision(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains("..");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    text.chars().all(plain) && text.split('/').all(part)
}

/// What was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The directory.
    pub(super) root: PathBuf,
    /// The file in it that was named, if one was.
    pub(super) file: Option<String>,
    /// What to call it.
    pub(super) name: String,
}

impl Place {
    /// The same file, as one of the directory above.
    pub(super) fn above(&self) -> Option<Self> {
        let folder = self.root.file_name()?.to_str()?;
        let root = match self.root.parent()? {
            parent if parent.as_os_str().is_empty() => PathBuf::from("."),
            parent => parent.to_owned(),
        };
        let file = self.file.as_ref().map(|file| format!("{folder}/{file}"));
        Some(Self { name: display_name(&root), root, file })
    }
}

/// Finds the directory that `path` means; `hub` is asked for only where there is no such path.
pub(super) fn locate(path: &Path, hub: impl FnOnce() -> Hub) -> Result<Place, FactsError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(repository(path).unwrap_or_else(|| plain(path))),
        Ok(_) => file(path),
        Err(error) if is_absence(&error) => cached(path, &hub()),
        Err(error) => Err(FactsError::io(path)(error)),
    }
}

fn is_absence(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidInput | InvalidFilename)
}

/// What `path` means if it is a directory, unless that could be a repository of a cache.
pub(super) fn directory(path: &Path) -> Option<Place> {
    (!is_repository(path)).then(|| plain(path))
}

fn plain(path: &Path) -> Place {
    Place { root: path.to_owned(), file: None, name: display_name(path) }
}

/// The snapshot that a directory of a cache means.
fn repository(path: &Path) -> Option<Place> {
    let root = is_repository(path).then(|| snapshot_in(path, None).ok())??;
    Some(Place { name: display_name(&root), root, file: None })
}

fn is_repository(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"models--"))
}

fn file(path: &Path) -> Result<Place, FactsError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !is_model_file(&name) {
        return Err(FactsError::NotAModelFile { path: path.to_owned() });
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let root = parent.map_or_else(|| PathBuf::from("."), Path::to_owned);
    Ok(Place { name: display_name(&root), root, file: Some(name) })
}

fn is_model_file(name: &str) -> bool {
    ends_with_one(name, &[".json", ".model", ".jinja"]) || is_weight_file(name)
}

/// Whether a name is one that weights have.
pub(super) fn is_weight_file(name: &str) -> bool {
    ends_with_one(name, &[".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".npz", ".gguf"])
}

fn ends_with_one(name: &str, endings: &[&str]) -> bool {
    let lower = name.to_ascii_lowercase();
    endings.iter().any(|ending| lower.ends_with(ending))
}

fn cached(path: &Path, hub: &Hub) -> Result<Place, FactsError> {
    let Some(RepositoryPath { id, inside, revision }) = RepositoryPath::parse(&path.to_string_lossy()) else {
        let (looked, ways_on) = (String::new(), String::new());
        return Err(FactsError::Missing { path: path.to_owned(), looked, ways_on });
    };
    let snapshot = hub.snapshot(&id, revision.as_deref())?;
    if inside.is_empty() {
        return Ok(Place { root: snapshot, file: None, name: id });
    }
    let name = format!("{id}/{inside}");
    let root = snapshot.join(&inside);
    match fs::metadata(&root) {
        Ok(found) if found.is_dir() => Ok(Place { root, file: None, name }),
        Ok(_) => file(&root),
        Err(_) => {
            let looked = format!(", and the cached snapshot `{}` has no `{inside}`", snapshot.display());
            let ways_on = format!(", {}", ways_on(&id, revision.as_deref()));
            Err(FactsError::Missing { path: path.to_owned(), looked, ways_on })
        }
    }
}

/// Whether `id` could be a repository: one or two parts of letters, digits, `-`, `_` and `.`.
fn is_repository_id(id: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 96
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    id.split('/').count() <= 2 && id.split('/').all(part) && !id.contains("--") && !id.contains("..")
}

/// The snapshot directory of a cached repository, or why there is none.
fn snapshot_in(repository: &Path, revision: Option<&str>) -> Result<PathBuf, String> {
    let snapshots = repository.join("snapshots");
    let wanted = revision.unwrap_or("main");
    if wanted.contains("..") || wanted.starts_with('/') {
        return Err(format!("`{wanted}` is no revision"));
    }
    let named = fs::read_to_string(repository.join("refs").join(wanted)).ok();
    let commit = named.as_deref().map_or(wanted, str::trim);
    let is_name = !commit.is_empty() && !commit.contains(['/', '\\']) && !commit.starts_with('.');
    if is_name && snapshots.join(commit).is_dir() {
        return Ok(snapshots.join(commit));
    }
    if revision.is_some() || named.is_some() {
        return Err(format!("no snapshot of revision `{wanted}`"));
    }
    let mut all: Vec<PathBuf> = fs::read_dir(&snapshots)
        .map_err(|_| "no folder `snapshots`".to_owned())?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .collect();
    match all.len() {
        0 => Err("the folder `snapshots` is empty".to_owned()),
        1 => Ok(all.remove(0)),
        count => Err(format!("{count} snapshots and no `refs/main` to choose one")),
    }
}

/// `org/name` for a snapshot in a hub cache, else the directory's own name.
fn display_name(root: &Path) -> String {
    let from_cache = || {
        let snapshots = root.parent()?;
        if snapshots.file_name()? != "snapshots" {
            return None;
        }
        let repository = snapshots.parent()?.file_name()?.to_str()?;
        Some(repository.strip_prefix("models--")?.replacen("--", "/", 1))
    };
    let own = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    from_cache()
        .or_else(|| own(root))
        .or_else(|| own(&fs::canonicalize(root).ok()?))
        .unwrap_or_else(|| root.display().to_string())
}
