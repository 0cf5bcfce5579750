//! What can be wrong with a model directory itself.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a model directory could not be read.
///
/// Every variant names the file or the folder at fault. I/O errors are shared, so that an answer that was
/// computed once can be given twice.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FactsError {
    /// There is nothing at the path, and it is no id of a cached repository either.
    #[error("`{}` does not exist{looked}: check how it is spelled{ways_on}", path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
        /// Where else it was looked for; starts with a comma, or is empty.
        looked: String,
        /// What else can be done about it; starts with a comma, or is empty.
        ways_on: String,
    },
    /// The hub cache has the repository, but no usable snapshot of it.
    #[error("the cached repository `{id}` in `{}` has no complete snapshot: {reason}", hub.display())]
    NoSnapshot {
        /// The repository, `org/name`.
        id: String,
        /// The cache folder.
        hub: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The directory holds nothing.
    #[error("`{}` is an empty directory: give the one that holds the model's files", path.display())]
    EmptyDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The path is a file of no kind that a model consists of.
    #[error("`{}` is a file, and not one that belongs to a model: give the model's directory", path.display())]
    NotAModelFile {
        /// The file.
        path: PathBuf,
    },
    /// The file holds nothing.
    #[error("`{file}` is empty: download it again")]
    EmptyFile {
        /// The file.
        file: String,
    },
    /// The file is larger than any honest one of its kind.
    #[error("`{file}` is {size} bytes, at most {limit} are read: put the right file in its place")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A Git LFS pointer stands in the place of the file.
    #[error(
        "`{file}` is a Git LFS pointer, not the file it stands for: run `git lfs pull` in its directory, or download the file again"
    )]
    LfsPointer {
        /// The file.
        file: String,
    },
    /// A shard that an index names and that is not there.
    #[error(
        "`{file}` is missing, though `{index}` names it: download it, or remove the index if it is stale"
    )]
    MissingShard {
        /// The shard.
        file: String,
        /// The index.
        index: String,
    },
    /// The file is not UTF-8.
    #[error(
        "`{file}` is not UTF-8, the first wrong byte is at offset {offset}: save it as UTF-8, or download it again"
    )]
    NotUtf8 {
        /// The file.
        file: String,
        /// The offset of the first byte that is not UTF-8.
        offset: usize,
    },
    /// The file is not JSON, repeats a key, or is nested too deeply.
    #[error("`{file}`: {message}: mend it there, or download it again")]
    Json {
        /// The file.
        file: String,
        /// What the parser said, with line and column.
        message: String,
    },
    /// The JSON is not an object.
    #[error("`{file}` holds {found}, expected an object: put the right file in its place")]
    NotAnObject {
        /// The file.
        file: String,
        /// The kind of value found.
        found: &'static str,
    },
    /// A name or link leads out of the model directory.
    #[error("`{file}` leads out of the model directory, to `{}`: refused", target.display())]
    Outside {
        /// The file as named.
        file: String,
        /// Where it leads.
        target: PathBuf,
    },
    /// A weight file whose header cannot be understood.
    #[error("`{file}`: {message}: download it again")]
    Header {
        /// The file.
        file: String,
        /// What is wrong with its header.
        message: String,
    },
    /// A link to a file that is not there, as an interrupted download leaves it.
    #[error("`{file}` is a link to `{}`, which is not there: download the file again", target.display())]
    BrokenLink {
        /// The link.
        file: String,
        /// Where it leads.
        target: PathBuf,
    },
    /// The operating system said no.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl FactsError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source: Arc::new(source) }
    }
}
