//! The network: lists a repository, and downloads what is wanted of it with hf-hub.
//!
//! hf-hub resumes what was broken off, locks what another process downloads, and stores as `huggingface_hub` does.
//! Names and hashes come from the server and become paths, so they are looked at first; a file whose size is not the
//! one announced is refused.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};

use super::{HubError, Want, select};
use crate::facts::RepositoryPath;

/// The server where none is named.
const ENDPOINT: &str = "https://huggingface.co";

/// Downloads what is wanted of a repository into the cache in `folder`.
pub(super) fn download(
    wanted: &RepositoryPath,
    folder: &Path,
    want: Want,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), HubError> {
    let endpoint = std::env::var("HF_ENDPOINT").ok().filter(|text| !text.is_empty());
    let endpoint = endpoint.unwrap_or_else(|| ENDPOINT.to_owned()).trim_end_matches('/').to_owned();
    let cache = Cache::new(std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));
    let revision = wanted.revision.clone().unwrap_or_else(|| "main".to_owned());
    let repo = Repo::with_revision(wanted.id.clone(), RepoType::Model, revision);
    let failed = |error: ApiError| HubError::Request {
        id: wanted.id.clone(),
        endpoint: endpoint.clone(),
        message: error.to_string(),
    };
    let api = api(cache.clone(), &endpoint).map_err(failed)?;
    let info = api.repo(repo.clone()).info().map_err(failed)?;
    plain(&info.sha, &wanted.id, "a revision")?;
    // By its hash, so that all files are of one revision; the branch is made to mean it when everything is there.
    let fixed = Repo::with_revision(wanted.id.clone(), RepoType::Model, info.sha.clone());
    let remote = api.repo(fixed.clone());
    let listed = info.siblings.into_iter().map(|file| file.rfilename).filter(|name| is_inner(name));
    let mut session = Session {
        id: &wanted.id,
        endpoint: &endpoint,
        api: &api,
        remote: &remote,
        snapshot: cache.repo(fixed).pointer_path(&info.sha),
        sha: &info.sha,
        listed: listed.collect(),
        progress,
        done: 0,
        total: 0,
    };
    let inside = session.folder(&wanted.inside);
    let found = session.model(&inside, want)?;
    if found == 0 {
        let held: Vec<&str> = session.listed.iter().take(8).map(String::as_str).collect();
        return Err(HubError::Nothing {
            id: wanted.id.clone(),
            inside: wanted.inside.clone(),
            held: if held.is_empty() { "no files".to_owned() } else { format!("{}, …", held.join(", ")) },
        });
    }
    let references = folder.join(repo.folder_name()).join("refs");
    let path = references.join(repo.revision());
    let is_hash = repo.revision() == info.sha;
    cache.repo(repo).create_ref(&info.sha).map_err(|source| HubError::Io { path, source })?;
    if !is_hash {
        // hf-hub leaves a reference for the hash too, which says nothing.
        let _ = std::fs::remove_file(references.join(&info.sha));
    }
    Ok(())
}

fn api(cache: Cache, endpoint: &str) -> Result<Api, ApiError> {
    let mut builder = ApiBuilder::from_cache(cache)
        .with_progress(false)
        .with_endpoint(endpoint.to_owned())
        .with_retries(3)
        .with_user_agent("omni", env!("CARGO_PKG_VERSION"));
    if let Some(token) = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty()) {
        builder = builder.with_token(Some(token));
    }
    builder.build()
}

/// Whether a name of the server's list stays within the repository, on every system.
fn is_inner(name: &str) -> bool {
    let mut parts = Path::new(name).components().peekable();
    parts.peek().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && !name.contains(['\\', ':', '\0'])
}

/// Refuses a hash that is none: it becomes the name of a file.
fn plain(hash: &str, file: &str, what: &str) -> Result<(), HubError> {
    let is_plain = (1..=128).contains(&hash.len())
        && hash.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_plain {
        return Ok(());
    }
    let reason = format!("`{}` is not the name of {what}", hash.escape_debug());
    Err(HubError::Refused { file: file.to_owned(), reason })
}

/// One download of several files.
struct Session<'a> {
    id: &'a str,
    endpoint: &'a str,
    api: &'a Api,
    remote: &'a ApiRepo,
    /// Where the files are to be.
    snapshot: PathBuf,
    /// The revision.
    sha: &'a str,
    /// What the repository holds.
    listed: BTreeSet<String>,
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
}

impl Session<'_> {
    /// The folder that a path in the repository means, with a `/` behind it; empty for the top.
    fn folder(&self, inside: &str) -> String {
        let folder = match inside.rsplit_once('/') {
            Some((folder, _)) if self.listed.contains(inside) => folder,
            None if self.listed.contains(inside) => "",
            _ => inside,
        };
        if folder.is_empty() { String::new() } else { format!("{folder}/") }
    }

    /// Downloads what is wanted of the model in a folder; gives how many files that are.
    fn model(&mut self, folder: &str, want: Want) -> Result<usize, HubError> {
        let names: BTreeSet<String> =
            self.listed.iter().filter_map(|name| name.strip_prefix(folder)).map(str::to_owned).collect();
        let mut files: Vec<String> = names.iter().filter(|name| select::describes(name)).cloned().collect();
        if want == Want::Weights {
            let (weights, index) = select::weights(&names);
            files.extend(weights);
            if let Some(index) = index {
                self.files(folder, std::slice::from_ref(&index))?;
                let shards = select::shards(&self.snapshot.join(folder).join(&index));
                files.extend(shards.into_iter().filter(|shard| names.contains(shard)));
            }
        }
        self.files(folder, &files)?;
        let mut count = files.len();
        if folder.is_empty() && names.contains(select::PIPELINE) {
            let path = self.snapshot.join(select::PIPELINE);
            let bytes = std::fs::read(&path).map_err(|source| HubError::Io { path, source })?;
            let index = serde_json::from_slice(&bytes).unwrap_or_default();
            for component in select::components(&index) {
                count += self.model(&format!("{component}/"), want)?;
            }
        }
        Ok(count)
    }

    /// Downloads those of the files that are not there.
    fn files(&mut self, folder: &str, files: &[String]) -> Result<(), HubError> {
        let absent: Vec<String> = files
            .iter()
            .map(|file| format!("{folder}{file}"))
            .filter(|file| !self.snapshot.join(file).is_file())
            .collect();
        let mut sizes = Vec::with_capacity(absent.len());
        for file in &absent {
            let found =
                self.api.metadata(&self.remote.url(file)).map_err(|error| self.failed(file, &error))?;
            plain(found.etag(), file, "a blob")?;
            if found.commit_hash() != self.sha {
                let reason = format!("it is of revision `{}`, not of `{}`", found.commit_hash(), self.sha);
                return Err(HubError::Refused { file: file.clone(), reason });
            }
            sizes.push(found.size() as u64);
            self.total += found.size() as u64;
        }
        for (file, size) in absent.iter().zip(sizes) {
            let meter = Meter { before: self.done, file: 0, total: self.total, tell: &mut *self.progress };
            let path = self.remote.download_with_progress(file, meter);
            let path = path.map_err(|error| self.failed(file, &error))?;
            let stored = std::fs::metadata(&path).map(|found| found.len());
            match stored {
                Ok(found) if found == size => self.done += size,
                Ok(found) => {
                    // What is wrong must not be taken for what was wanted by the next to look.
                    let _ = std::fs::canonicalize(&path).and_then(std::fs::remove_file);
                    let _ = std::fs::remove_file(&path);
                    let reason = format!("{found} bytes came, {size} were announced");
                    return Err(HubError::Refused { file: file.clone(), reason });
                }
                Err(source) => return Err(HubError::Io { path, source }),
            }
        }
        Ok(())
    }

    fn failed(&self, file: &str, error: &ApiError) -> HubError {
        HubError::Request {
            id: format!("{}/{file}", self.id),
            endpoint: self.endpoint.to_owned(),
            message: error.to_string(),
        }
    }
}

/// Adds up what hf-hub tells about one file after another.
struct Meter<'a> {
    before: u64,
    file: u64,
    total: u64,
    tell: &'a mut dyn FnMut(u64, u64),
}

impl Progress for Meter<'_> {
    fn init(&mut self, _size: usize, _name: &str) {
        self.file = 0;
    }

    fn update(&mut self, bytes: usize) {
        self.file += bytes as u64;
        (self.tell)(self.before + self.file, self.total);
    }

    fn finish(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_hashes_that_leave_the_cache_are_refused() {
        assert!(is_inner("model.safetensors") && is_inner("unet/config.json"));
        for name in ["", "/etc/passwd", "../x", "a/../../x", "a\\b", "C:x", "a\0"] {
            assert!(!is_inner(name), "{name:?}");
        }
        assert!(plain("0123abc", "f", "a blob").is_ok());
        for hash in ["", "../../x", "W/abc", "a b", "a.b"] {
            assert!(matches!(plain(hash, "f", "a blob"), Err(HubError::Refused { .. })), "{hash:?}");
        }
    }
}
