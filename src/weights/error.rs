//! What can be wrong with weight files.
//!
//! One enum for the layer. Each message names the file and says what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::dtype::StoredDtype;
use super::fault::IndexProblem;
use super::report::BindReport;
use crate::facts::{HeaderError, HeaderFault};

/// Why weights could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The operating system refused.
    #[error("cannot read or write `{}`: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A directory without weights.
    #[error("no weights in `{}`: expected {expected}, found {}: download them", dir.display(), listed(found))]
    NoWeights {
        /// The directory.
        dir: PathBuf,
        /// The names that were looked for.
        expected: String,
        /// What is there instead.
        found: Vec<String>,
    },
    /// A directory with several sets of weights, none of them the usual one.
    #[error("several sets of weights in `{}`: {}: name one of these files, or its variant", dir.display(), listed(candidates))]
    Ambiguous {
        /// The directory.
        dir: PathBuf,
        /// The files among which to choose.
        candidates: Vec<String>,
    },
    /// A Git LFS pointer where weights should be.
    #[error("`{}` is a Git LFS pointer, not the {} it stands for: run `git lfs pull` in its directory, or download the file again", file.display(), size.map_or_else(|| "weights".to_owned(), |size| format!("{size} bytes")))]
    LfsPointer {
        /// The pointer.
        file: PathBuf,
        /// The size of the real file, as the pointer tells it.
        size: Option<u64>,
    },
    /// A file of zero bytes.
    #[error("`{}` is empty: download it again", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// A file that ends before its contents do.
    #[error("`{}` is cut short: it has {found} bytes, its header describes {expected}: download it again", file.display())]
    Truncated {
        /// The file.
        file: PathBuf,
        /// The bytes that the header describes, itself included.
        expected: u64,
        /// The bytes that are there.
        found: u64,
    },
    /// A safetensors header that breaks the format.
    #[error("`{}` is not a valid safetensors file: {fault}: download it again", file.display())]
    Header {
        /// The file.
        file: PathBuf,
        /// What breaks it.
        fault: HeaderFault,
    },
    /// An index that cannot be read or that disagrees with the shards; every disagreement at once.
    #[error("`{}` disagrees with the files beside it:\n{}", file.display(), lines(problems))]
    Index {
        /// The index.
        file: PathBuf,
        /// Every disagreement.
        problems: Vec<IndexProblem>,
    },
    /// A link to a file that is not there, as an interrupted download leaves it.
    #[error("`{}` is a link to `{}`, which is not there: download the file again", file.display(), target.display())]
    BrokenLink {
        /// The link.
        file: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A file that leads out of the model's directory.
    #[error("`{}` leads outside its directory, to `{}`: refused, put the file itself there", file.display(), target.display())]
    Outside {
        /// The file or link.
        file: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A pickle that cannot be read as data.
    #[error("`{}` cannot be read as a PyTorch checkpoint: {source}{hint}: download it again", file.display())]
    Pickle {
        /// The file.
        file: PathBuf,
        /// What its first bytes say about it; may be empty.
        hint: &'static str,
        /// The reader's reason.
        source: pytorch_reader::PytorchError,
    },
    /// A numpy archive that cannot be read as data.
    #[error("`{}` cannot be read as a numpy archive: {reason}: download it again", file.display())]
    Npz {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor that the checkpoint does not hold.
    #[error("the checkpoint holds no tensor `{name}`")]
    Absent {
        /// The name that was asked for.
        name: String,
    },
    /// A conversion that does not fit the tensors it is applied to.
    #[error("cannot convert {what}: {reason}")]
    Conversion {
        /// The parameter or stored tensor.
        what: String,
        /// What does not fit.
        reason: String,
    },
    /// A dtype that cannot be loaded into a tensor.
    #[error("`{name}` is stored as {dtype}, which cannot be loaded as numbers")]
    Unloadable {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: StoredDtype,
    },
    /// The checkpoint does not hold what the model needs.
    #[error(transparent)]
    Bind(#[from] Box<BindReport>),
}

impl WeightsError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn header(path: &Path) -> impl FnOnce(HeaderError) -> Self + '_ {
        move |error| match error {
            HeaderError::Io(source) => Self::io(path)(source),
            HeaderError::Fault(fault) => Self::Header { file: path.to_owned(), fault },
            HeaderError::Truncated { expected, found } => {
                Self::Truncated { file: path.to_owned(), expected, found }
            }
        }
    }

    pub(crate) fn conversion(what: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Conversion { what: format!("`{what}`"), reason: reason.to_string() }
    }
}

/// How many lines of one kind a message shows before it only counts.
pub(crate) const SHOWN: usize = 20;

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let rest = names.len() - shown.len();
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    format!("{}{more}", shown.join(", "))
}

fn lines(problems: &[IndexProblem]) -> String {
    let shown: Vec<String> = problems.iter().take(SHOWN).map(|problem| format!("  {problem}")).collect();
    let rest = problems.len() - shown.len();
    let more = if rest == 0 { String::new() } else { format!("\n  and {rest} more") };
    format!("{}{more}", shown.join("\n"))
}
