//! Brings what is not there yet from a model hub into the local cache.
//!
//! In: a path or a repository's id, the cache, and how much is wanted. Out: nothing but a cache in which
//! [`crate::facts::read_in`] finds it. What is there is never asked for again; a path that exists needs nothing.
//!
//! Absent on purpose: any call of its own. Only a caller who allows downloads calls this, and the feature `hub`
//! leaves the network out of the build.

mod error;
#[cfg(feature = "hub")]
mod remote;
mod select;

use std::path::Path;

pub use error::HubError;

use crate::facts::{Hub, RepositoryPath};

/// How much of a repository is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// What describes the model: configs, tokenizer, chat templates.
    Description,
    /// The weights too.
    Weights,
}

/// Makes sure that the cache holds what `path` means; `progress` is told how many bytes of how many are there.
///
/// Asks the network only where `path` does not exist, could be the id of a repository, and the cache lacks a part of
/// what is wanted. The server is `HF_ENDPOINT`, or else huggingface.co; `HF_TOKEN`, or the token beside the cache,
/// opens what needs one; `HF_HUB_OFFLINE=1` forbids it all.
///
/// # Errors
/// If the server cannot be reached, refuses, or sends something that must not be stored; if this build cannot
/// download.
pub fn fetch(
    path: impl AsRef<Path>,
    hub: &Hub,
    want: Want,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), HubError> {
    let path = path.as_ref();
    if std::fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    let Some(wanted) = RepositoryPath::parse(&path.to_string_lossy()) else { return Ok(()) };
    let cached = hub.snapshot(&wanted.id, wanted.revision.as_deref());
    let is_there = |place: &Path| place.is_file() || select::is_complete(place, want);
    if cached.is_ok_and(|snapshot| is_there(&snapshot.join(&wanted.inside))) {
        return Ok(());
    }
    let offline = std::env::var_os("HF_HUB_OFFLINE").is_some_and(|value| value != "0" && !value.is_empty());
    if offline {
        return Err(HubError::Offline { id: wanted.id });
    }
    download(&wanted, hub, want, progress)
}

#[cfg(feature = "hub")]
fn download(
    wanted: &RepositoryPath,
    hub: &Hub,
    want: Want,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), HubError> {
    let Some(folder) = hub.folder() else { return Err(HubError::NoCache { id: wanted.id.clone() }) };
    remote::download(wanted, folder, want, progress)
}

#[cfg(not(feature = "hub"))]
fn download(
    wanted: &RepositoryPath,
    _hub: &Hub,
    _want: Want,
    _progress: &mut dyn FnMut(u64, u64),
) -> Result<(), HubError> {
    Err(HubError::NotBuilt { id: wanted.id.clone() })
}
