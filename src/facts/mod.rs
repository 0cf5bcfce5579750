//! What a model directory says about itself.
//!
//! [`read`] takes a path (a directory, one file of it, a component folder, the id of a cached repository) and gives
//! [`Facts`]: one listing and one config file, read at once; everything deeper (subfolders, tensor headers, further
//! files) is read when asked for, and once.
//!
//! Absent on purpose: opinions. Which model it is, is for `matcher` to say. Nothing is written, nothing found in the
//! directory is executed, nothing outside of it is read.

mod document;
mod error;
mod fault;
mod header;
mod index;
mod json;
mod listing;
mod locate;
mod plain;
mod quantization;
mod raw;
mod tensors;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

pub use document::{CONFIG_LIMIT, Document, lookup, lookup_all};
pub use error::FactsError;
pub(crate) use fault::HeaderError;
pub use fault::HeaderFault;
pub(crate) use header::{HeaderText, MAX_HEADER, byte_len, elements};
pub(crate) use index::ShardIndex;
pub use json::INFINITY;
pub(crate) use json::is_lfs_pointer;
pub use listing::{Entry, Kind, MAX_DEPTH, MAX_ENTRIES};
pub use locate::{Hub, RepositoryPath};
pub use quantization::Quantization;
pub(crate) use tensors::NOT_WEIGHTS;
pub use tensors::TensorFact;

/// The files that may hold a model's config, the first that is there being read: a pipeline's index, the usual one,
/// and those of sparse autoencoders and of original releases.
pub(crate) const CONFIG_FILES: [&str; 5] =
    ["model_index.json", "config.json", "cfg.json", "hyperparams.json", "params.json"];

/// The file with which a model directory can bring a definition of its own, as data.
pub const LOCAL_DEFINITION: &str = "omni.toml";

/// What a model directory says about itself.
#[derive(Debug)]
pub struct Facts {
    root: PathBuf,
    name: String,
    chosen: Option<String>,
    entries: Vec<Entry>,
    has_folders: bool,
    config: Option<Document>,
    deep: OnceLock<Vec<Entry>>,
    tensors: OnceLock<Result<Vec<TensorFact>, FactsError>>,
    sum: OnceLock<Result<tensors::Sum, FactsError>>,
    quantization: OnceLock<Option<Quantization>>,
}

/// Reads what `path` means, looking for repository ids in the cache that the environment names.
///
/// # Errors
/// If there is nothing there, or if the directory is empty, cannot be listed, or has a config that cannot be read.
/// A directory without any config is no error here.
pub fn read(path: impl AsRef<Path>) -> Result<Facts, FactsError> {
    read_at(path.as_ref(), Hub::from_env)
}

/// Reads what `path` means, looking for repository ids in `hub`.
///
/// # Errors
/// As [`read`].
pub fn read_in(path: impl AsRef<Path>, hub: &Hub) -> Result<Facts, FactsError> {
    read_at(path.as_ref(), || hub.clone())
}

fn read_at(path: &Path, hub: impl FnOnce() -> Hub) -> Result<Facts, FactsError> {
    // What can be listed is a directory: there is no need to ask first.
    if let Some(place) = locate::directory(path)
        && let Ok(entries) = listing::list(&place.root)
    {
        return read_place(place, entries);
    }
    let place = locate::locate(path, hub)?;
    let entries = listing::list(&place.root)?;
    read_place(place, entries)
}

fn read_place(mut place: locate::Place, mut entries: Vec<Entry>) -> Result<Facts, FactsError> {
    if entries.is_empty() {
        return Err(FactsError::EmptyDirectory { path: place.root });
    }
    if place.file.is_some() && entries.iter().all(|entry| locate::is_weight_file(&entry.name)) {
        // Weights in a folder of their own belong to the model whose config lies above it.
        let above = place.above().map(|above| (listing::list(&above.root), above));
        if let Some((Ok(outer), above)) = above
            && outer.iter().any(|entry| CONFIG_FILES.contains(&entry.name.as_str()))
        {
            (place, entries) = (above, outer);
        }
    }
    let entry = |file: &str| entries.iter().find(|entry| entry.name == file && entry.kind != Kind::Dir);
    // A JSON file that was pointed at is the config that is meant, if it is one of those that may be.
    let pointed = place.file.as_deref().filter(|file| CONFIG_FILES.contains(file));
    let found = pointed.into_iter().chain(CONFIG_FILES).find_map(entry);
    let read = |entry: &Entry| {
        if entry.link {
            document::read(&place.root, &entry.name)
        } else {
            document::read_at(&place.root.join(entry.path()), &entry.name)
        }
    };
    let config = found.map(read).transpose()?;
    Ok(Facts {
        root: place.root,
        name: place.name,
        chosen: place.file,
        has_folders: entries.iter().any(|entry| entry.kind == Kind::Dir),
        entries,
        config,
        deep: OnceLock::new(),
        tensors: OnceLock::new(),
        sum: OnceLock::new(),
        quantization: OnceLock::new(),
    })
}

impl Facts {
    /// Facts about a config alone, as if it were the only file of a directory named `name`.
    #[must_use]
    pub fn of_config(name: &str, config: Value) -> Self {
        let file = "config.json".to_owned();
        let text = config.to_string();
        Self {
            root: PathBuf::new(),
            name: name.to_owned(),
            chosen: None,
            entries: vec![Entry::file(&file)],
            has_folders: false,
            config: Some(Document { source: crate::diag::Source::new(&file, text), file, value: config }),
            deep: OnceLock::from(Vec::new()),
            tensors: OnceLock::from(Ok(Vec::new())),
            sum: OnceLock::from(Ok(tensors::Sum::default())),
            quantization: OnceLock::new(),
        }
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What to call it: `org/name` for a repository in the cache, else the directory's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that was named instead of the directory, if one was.
    #[must_use]
    pub fn chosen_file(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// The top level of the directory, sorted by name.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether the top level has a folder.
    #[must_use]
    pub fn has_folders(&self) -> bool {
        self.has_folders
    }

    /// What lies below the top level, sorted; listed on the first call.
    #[must_use]
    pub fn deep_entries(&self) -> &[Entry] {
        self.deep.get_or_init(|| listing::list_below(&self.root, &self.entries))
    }

    /// The entries of the top level of exactly that name: one, unless names that are not Unicode collide.
    pub fn entries_named<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f Entry> {
        let start = self.entries.partition_point(|entry| entry.name.as_str() < name);
        let count = self.entries[start..].iter().take_while(|entry| entry.name == name).count();
        self.entries[start..start + count].iter()
    }

    /// Whether the top level has a file of that name.
    #[must_use]
    pub fn has_file(&self, name: &str) -> bool {
        self.entries_named(name).any(|entry| entry.kind == Kind::File)
    }

    /// The config, if the directory has one.
    #[must_use]
    pub fn config(&self) -> Option<&Document> {
        self.config.as_ref()
    }

    /// What the config says; null if there is none.
    #[must_use]
    pub fn value(&self) -> &Value {
        self.config.as_ref().map_or(&Value::Null, |config| &config.value)
    }

    /// The config's value at a dotted path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        lookup(self.value(), path)
    }

    /// Another JSON file of the directory, by its path relative to it.
    ///
    /// # Errors
    /// If it is not there, leads out of the directory, or is no JSON object.
    pub fn document(&self, file: &str) -> Result<Document, FactsError> {
        document::read(&self.root, file)
    }

    /// The architecture names that the config gives: `architectures`, or a pipeline's or component's `_class_name`.
    #[must_use]
    pub fn architectures(&self) -> Vec<&str> {
        let value = self.value();
        let listed = match value.get("architectures") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(name)) => vec![name.as_str()],
            _ => Vec::new(),
        };
        if !listed.is_empty() {
            return listed;
        }
        match value.get("_class_name") {
            Some(Value::String(name)) => vec![name],
            // Two-element form: the module of a custom pipeline, and the class in it.
            Some(Value::Array(parts)) => parts.last().and_then(Value::as_str).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The config's `model_type`.
    #[must_use]
    pub fn model_type(&self) -> Option<&str> {
        self.value().get("model_type").and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// The names of the config's parts: `text_config` and the like.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        let entries = self.value().as_object().into_iter().flatten();
        entries
            .filter(|(key, value)| key.ends_with("_config") && value.is_object())
            .map(|(key, _)| key.as_str())
    }

    /// Python files that the repository brings along, sorted. They are never executed.
    pub fn custom_code(&self) -> impl Iterator<Item = &str> {
        const STARTS: [&str; 5] =
            ["modeling_", "configuration_", "tokenization_", "processing_", "image_processing_"];
        let is_code = |entry: &&Entry| {
            entry.kind == Kind::File
                && STARTS.iter().any(|start| entry.name.starts_with(start))
                && entry.path().extension().is_some_and(|ending| ending == "py")
        };
        self.entries.iter().filter(is_code).map(|entry| entry.name.as_str())
    }

    /// The classes that the config's `auto_map` refers to, sorted by the auto class.
    #[must_use]
    pub fn auto_map(&self) -> Vec<(&str, &str)> {
        let entries = self.value().get("auto_map").and_then(Value::as_object).into_iter().flatten();
        let mut classes: Vec<(&str, &str)> =
            entries.filter_map(|(k, v)| Some((k.as_str(), v.as_str()?))).collect();
        classes.sort_unstable();
        classes
    }

    /// Whether the repository brings modeling code of its own, or its config refers to some.
    #[must_use]
    pub fn has_custom_code(&self) -> bool {
        self.custom_code().any(|file| file.starts_with("modeling_")) || !self.auto_map().is_empty()
    }

    /// Whether the directory brings a definition of its own. It is data, and used only where the caller allows it.
    #[must_use]
    pub fn has_local_definition(&self) -> bool {
        self.has_file(LOCAL_DEFINITION)
    }

    /// The definition that the directory brings, if it brings one: a registry file.
    ///
    /// # Errors
    /// If it cannot be read, is no text, or is a link that leads out of the directory.
    pub fn local_definition(&self) -> Result<Option<Arc<crate::diag::Source>>, FactsError> {
        if !self.has_local_definition() {
            return Ok(None);
        }
        let text = document::text(&self.root, LOCAL_DEFINITION)?;
        Ok(Some(crate::diag::Source::new(self.local_definition_name(), text)))
    }

    /// What the directory's own definition is called among the files of a registry.
    #[must_use]
    pub fn local_definition_name(&self) -> String {
        self.root.join(LOCAL_DEFINITION).display().to_string()
    }

    /// How the checkpoint says it is quantised: in the config, in a part of it, or in a file beside it.
    #[must_use]
    pub fn quantization(&self) -> Option<&Quantization> {
        self.quantization.get_or_init(|| quantization::find(self)).as_ref()
    }

    /// The names and shapes of the checkpoint's tensors, sorted by name; headers are read on the first call.
    ///
    /// # Errors
    /// If a weight file has a header that cannot be read. A checkpoint of another format gives no tensors.
    pub fn tensors(&self) -> Result<&[TensorFact], FactsError> {
        let read = || tensors::read(&self.root, &self.entries, self.chosen.as_deref());
        self.tensors.get_or_init(read).as_deref().map_err(Clone::clone)
    }

    /// How the tensors are stored, as the files spell it, sorted.
    ///
    /// # Errors
    /// As [`Facts::tensors`].
    pub fn dtypes(&self) -> Result<Vec<String>, FactsError> {
        self.sum().map(|sum| sum.dtypes.clone())
    }

    /// The number of stored numbers, if every header says its shape and there is at least one tensor.
    ///
    /// # Errors
    /// As [`Facts::tensors`].
    pub fn parameters(&self) -> Result<Option<u64>, FactsError> {
        self.sum().map(|sum| sum.parameters)
    }

    /// What the tensors come to: the headers are read once more, which is faster than to make a list of the tensors.
    fn sum(&self) -> Result<&tensors::Sum, FactsError> {
        let sum = || tensors::sum(&self.root, &self.entries, self.chosen.as_deref());
        self.sum.get_or_init(sum).as_ref().map_err(Clone::clone)
    }

    /// The bytes that the directory's files take, subfolders included; what cannot be looked at counts as none.
    #[must_use]
    pub fn size_on_disk(&self) -> u64 {
        let files = self.entries.iter().chain(self.deep_entries()).filter(|entry| entry.kind == Kind::File);
        files
            .filter_map(|entry| fs::metadata(self.root.join(entry.path())).ok())
            .map(|found| found.len())
            .fold(0, u64::saturating_add)
    }
}
