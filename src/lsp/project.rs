//! Which files a document is checked together with.
//!
//! A file below a registry (a folder with `categories.toml` and `tasks.toml`) is part of that registry. Any other one
//! is an overlay over the shipped registry and the overlays that the server was started with, together with the overlays
//! beside it. Absent on purpose: files that hold no entry of
//! a registry; an editor sends every TOML file there is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::Source;
use crate::lint::Input;
use crate::registry::Registry;

/// Files that are checked together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Project {
    /// A whole registry.
    Registry(PathBuf),
    /// The overlays in a folder.
    Overlays(PathBuf),
}

impl Project {
    /// The project of a document; `None` if it has nothing to do with a registry.
    pub(super) fn of(path: &Path, text: &str) -> Option<Self> {
        let is_root =
            |folder: &&Path| folder.join("categories.toml").is_file() && folder.join("tasks.toml").is_file();
        if path.extension().is_none_or(|extension| extension != "toml") {
            return None;
        }
        let folder = path.parent()?;
        match folder.ancestors().find(is_root) {
            Some(root) => Some(Self::Registry(root.to_owned())),
            None => is_overlay(text).then(|| Self::Overlays(folder.to_owned())),
        }
    }

    /// Its files, with the open documents laid over the disk. What cannot be read is not there.
    ///
    /// Overlays stand upon the shipped registry and upon `below`, later ones winning.
    pub(super) fn input(&self, open: &BTreeMap<PathBuf, String>, below: &[PathBuf]) -> Input {
        let (Self::Registry(folder) | Self::Overlays(folder)) = self;
        let on_disk = match self {
            Self::Registry(root) => Registry::sources(root).unwrap_or_default(),
            Self::Overlays(folder) => beside(folder),
        };
        let mut files: BTreeMap<PathBuf, Arc<Source>> =
            on_disk.into_iter().map(|source| (PathBuf::from(&source.name), source)).collect();
        for (path, text) in open.iter().filter(|(path, _)| path.starts_with(folder)) {
            files.insert(path.clone(), Source::new(path.display().to_string(), text.as_str()));
        }
        let is_overlays = matches!(self, Self::Overlays(_));
        let mut base = Vec::new();
        if is_overlays {
            base = Registry::shipped().map(|shipped| shipped.sources.clone()).unwrap_or_default();
            let sources = below.iter().filter_map(|path| Registry::sources(&absolute(path)).ok()).flatten();
            // What is checked is not stood upon; an open document counts as it is open.
            base.extend(sources.filter(|source| !files.contains_key(Path::new(&source.name))).map(
                |source| {
                    let text = open.get(Path::new(&source.name));
                    text.map_or(Arc::clone(&source), |text| Source::new(source.name.clone(), text.as_str()))
                },
            ));
        }
        let files = files.into_values().filter(|source| !is_overlays || is_overlay(&source.text)).collect();
        Input { base, files }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The TOML files that lie in a folder.
fn beside(folder: &Path) -> Vec<Arc<Source>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_toml = |path: &PathBuf| path.is_file() && path.extension().is_some_and(|found| found == "toml");
    entries.filter(is_toml).filter_map(|path| Registry::sources(&path).ok()).flatten().collect()
}

/// Whether a text holds entries of a registry.
fn is_overlay(text: &str) -> bool {
    const HEADERS: &[&str] =
        &["[architectures.", "[modules.", "[known.", "[[rule]]", "[[trait]]", "[[repair]]", "[[tokenizer]]"];
    text.lines().map(str::trim_start).any(|line| {
        let schema =
            line.strip_prefix("#:schema ").is_some_and(|rest| rest.trim().ends_with("/registry.json"));
        schema || HEADERS.iter().any(|header| line.starts_with(header))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_holds_entries_of_a_registry_is_checked() {
        let project = |path: &str, text: &str| Project::of(Path::new(path), text);
        assert_eq!(project("/none/Cargo.toml", "[package]\nname = 'x'\n"), None);
        assert_eq!(project("/none/a.md", "[modules.A]\n"), None);
        let overlays = Some(Project::Overlays(PathBuf::from("/none")));
        assert_eq!(project("/none/a.toml", "# my model\n [modules.A]\n"), overlays);
        assert_eq!(project("/none/a.toml", "#:schema ../schema/registry.json\n"), overlays);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("registry");
        let inside = root.join("families/new.toml");
        assert_eq!(Project::of(&inside, ""), Some(Project::Registry(root)));
    }

    #[test]
    fn an_open_document_is_laid_over_its_file_and_new_ones_are_added() {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b, c) =
            (folder.path().join("a.toml"), folder.path().join("b.toml"), folder.path().join("c.toml"));
        std::fs::write(&a, "[modules.A]\n").expect("written");
        std::fs::write(&c, "[package]\n").expect("written");
        let open = BTreeMap::from([(a, "[modules.New]\n".to_owned()), (b, "[modules.B]\n".to_owned())]);
        let input = Project::Overlays(folder.path().to_owned()).input(&open, &[]);
        let texts: Vec<&str> = input.files.iter().map(|source| source.text.as_str()).collect();
        assert_eq!(texts, ["[modules.New]\n", "[modules.B]\n"]);
        assert!(!input.base.is_empty());
    }
}
