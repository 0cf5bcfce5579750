//! Keeps a checkpoint within its directory.
//!
//! In: a directory and a name from an index or a listing. Out: the real path, or a refusal if it leads
//! out of the directory, except for the links that make up a Hugging Face cache.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::error::WeightsError;

/// Whether a path of an index stays below the index's directory, as text.
pub(crate) fn stays_inside(shard: &str) -> bool {
    let mut components = Path::new(shard).components().peekable();
    components.peek().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)))
        && !shard.contains('\\')
}

/// The real path of `name` in `dir`, if it does not lead out of it.
///
/// A snapshot in a Hugging Face cache is made of links into `blobs` of the same `models--*` folder:
/// these are followed.
pub(crate) fn resolve(dir: &Path, name: &str) -> Result<PathBuf, WeightsError> {
    let path = dir.join(name);
    let root = dir.canonicalize().map_err(WeightsError::io(dir))?;
    let target = path.canonicalize().map_err(|error| match (error.kind(), path.read_link()) {
        (ErrorKind::NotFound, Ok(target)) => WeightsError::BrokenLink { file: path.clone(), target },
        _ => WeightsError::io(&path)(error),
    })?;
    let allowed = cache_folder(&root).unwrap_or(&root);
    if target.starts_with(allowed) { Ok(target) } else { Err(WeightsError::Outside { file: path, target }) }
}

/// The `models--*` folder that holds a snapshot, if `root` is below its `snapshots`.
fn cache_folder(root: &Path) -> Option<&Path> {
    root.ancestors().find(|folder| {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("models--") && root.starts_with(folder.join("snapshots"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_are_told_from_those_that_stay() {
        for inside in ["model-1.safetensors", "sub/model-1.safetensors"] {
            assert!(stays_inside(inside), "{inside}");
        }
        for outside in ["", "../x", "/etc/passwd", "a/../../x", "..\\x", "."] {
            assert!(!stays_inside(outside), "{outside}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_may_not_leave_the_directory_but_for_the_cache() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let cache = dir.path().join("models--org--name");
        let snapshot = cache.join("snapshots/abc");
        std::fs::create_dir_all(&snapshot).expect("made");
        std::fs::create_dir_all(cache.join("blobs")).expect("made");
        std::fs::write(cache.join("blobs/1"), "x").expect("written");
        std::fs::write(dir.path().join("secret"), "x").expect("written");
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, snapshot.join(name)).expect("linked");
        };
        link("../../blobs/1", "model.safetensors");
        link("../../../secret", "evil.safetensors");
        link("nowhere", "broken.safetensors");
        assert!(resolve(&snapshot, "model.safetensors").is_ok());
        assert!(matches!(resolve(&snapshot, "evil.safetensors"), Err(WeightsError::Outside { .. })));
        let broken = resolve(&snapshot, "broken.safetensors");
        assert!(matches!(broken, Err(WeightsError::BrokenLink { .. })), "{broken:?}");
        assert!(matches!(resolve(&snapshot, "absent.safetensors"), Err(WeightsError::Io { .. })));
    }
}
