//! What can be wrong with weight files.
//!
//! One enum for the layer. Each message names the file and says what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::dtype::StoredDtype;
use super::report::BindReport;

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
    #[error("no weights in `{}`: expected {expected}, found {}", dir.display(), listed(found))]
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
    #[error("`{}` is not a valid safetensors file: {fault}", file.display())]
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
    /// A file that leads out of the model's directory.
    #[error("`{}` leads outside its directory, to `{}`: refused, put the file itself there", file.display(), target.display())]
    Outside {
        /// The file or link.
        file: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A pickle that cannot be read as data.
    #[error("`{}` cannot be read as a PyTorch checkpoint: {source}", file.display())]
    Pickle {
        /// The file.
        file: PathBuf,
        /// The reader's reason.
        source: pytorch_reader::PytorchError,
    },
    /// A numpy archive that cannot be read as data.
    #[error("`{}` cannot be read as a numpy archive: {reason}", file.display())]
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

/// What breaks a safetensors header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderFault {
    /// Fewer than the eight bytes of the length.
    #[error("it has {found} bytes, not even the 8 of the header's length")]
    TooShort {
        /// The bytes of the file.
        found: u64,
    },
    /// A header longer than the file or than the format allows.
    #[error(
        "its header claims {claimed} bytes of a file of {found}: the file is cut short or of another format"
    )]
    Length {
        /// The claimed length of the header.
        claimed: u64,
        /// The bytes of the file.
        found: u64,
    },
    /// Not UTF-8, not JSON, or not the JSON that the format asks for.
    #[error("its header is not the expected JSON: {0}")]
    Json(String),
    /// One name for two tensors.
    #[error("its header names `{0}` twice")]
    Duplicate(String),
    /// A dtype that this crate does not know.
    #[error("`{0}` has a dtype that is not known")]
    Dtype(String),
    /// A tensor whose bytes overlap those of another.
    #[error("the bytes of `{second}` begin inside those of `{first}`")]
    Overlap {
        /// The tensor that comes first.
        first: String,
        /// The tensor that begins too early.
        second: String,
    },
    /// Bytes that belong to no tensor.
    #[error("{bytes} bytes before `{name}` belong to no tensor")]
    Gap {
        /// The tensor after the gap.
        name: String,
        /// The size of the gap.
        bytes: u64,
    },
    /// Offsets that do not fit shape and dtype.
    #[error("`{name}` is {dtype} {shape:?}, {} bytes, but its offsets span {found}", expected.map_or_else(|| "too many".to_owned(), |bytes| bytes.to_string()))]
    Size {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: StoredDtype,
        /// Its shape.
        shape: Vec<usize>,
        /// The bytes that type and shape ask for; `None` if that number overflows.
        expected: Option<u64>,
        /// The bytes between its offsets.
        found: i128,
    },
    /// Bytes behind the last tensor.
    #[error("{bytes} bytes behind the last tensor belong to none")]
    Trailing {
        /// How many.
        bytes: u64,
    },
}

/// One way in which an index and its shards disagree.
#[derive(Debug)]
#[non_exhaustive]
pub enum IndexProblem {
    /// The index itself cannot be understood.
    Unreadable(String),
    /// The index names a path that leaves the directory.
    Outside {
        /// The path as written.
        shard: String,
    },
    /// The index names a file that is not there.
    MissingShard {
        /// The file.
        shard: String,
        /// How many tensors it should hold.
        tensors: usize,
    },
    /// A shard that is there but cannot be read.
    Shard(Box<WeightsError>),
    /// The index places a tensor in a shard that does not hold it.
    NotInShard {
        /// The tensor.
        tensor: String,
        /// The shard.
        shard: String,
        /// Another shard that does hold it.
        instead: Option<String>,
    },
    /// A shard holds a tensor that the index does not name.
    NotInIndex {
        /// The tensor.
        tensor: String,
        /// The shard.
        shard: String,
    },
    /// Two shards hold one tensor.
    Duplicate {
        /// The tensor.
        tensor: String,
        /// The shard that the index names.
        shard: String,
        /// The other one.
        other: String,
    },
    /// The index names one tensor twice.
    NamedTwice {
        /// The tensor.
        tensor: String,
    },
}

impl fmt::Display for IndexProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(reason) => write!(f, "the index cannot be understood: {reason}"),
            Self::Outside { shard } => {
                write!(
                    f,
                    "the index names `{shard}`, which leaves the directory: refused"
                )
            }
            Self::MissingShard { shard, tensors } => write!(
                f,
                "`{shard}` is missing, and with it {tensors} tensors: download it, or remove the index if it is stale"
            ),
            Self::Shard(error) => error.fmt(f),
            Self::NotInShard {
                tensor,
                shard,
                instead: None,
            } => {
                write!(
                    f,
                    "the index places `{tensor}` in `{shard}`, which does not hold it"
                )
            }
            Self::NotInShard {
                tensor,
                shard,
                instead: Some(instead),
            } => write!(
                f,
                "the index places `{tensor}` in `{shard}`, which does not hold it; `{instead}` does"
            ),
            Self::NotInIndex { tensor, shard } => {
                write!(
                    f,
                    "`{shard}` holds `{tensor}`, which the index does not name"
                )
            }
            Self::Duplicate {
                tensor,
                shard,
                other,
            } => {
                write!(
                    f,
                    "`{tensor}` is in `{shard}`, as the index says, and in `{other}` too"
                )
            }
            Self::NamedTwice { tensor } => write!(f, "the index names `{tensor}` twice"),
        }
    }
}

impl WeightsError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn conversion(what: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Conversion {
            what: format!("`{what}`"),
            reason: reason.to_string(),
        }
    }
}

/// How many lines of one kind a message shows before it only counts.
pub(crate) const SHOWN: usize = 20;

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let rest = names.len() - shown.len();
    let more = if rest == 0 {
        String::new()
    } else {
        format!(" and {rest} more")
    };
    format!("{}{more}", shown.join(", "))
}

fn lines(problems: &[IndexProblem]) -> String {
    let shown: Vec<String> = problems
        .iter()
        .take(SHOWN)
        .map(|problem| format!("  {problem}"))
        .collect();
    let rest = problems.len() - shown.len();
    let more = if rest == 0 {
        String::new()
    } else {
        format!("\n  and {rest} more")
    };
    format!("{}{more}", shown.join("\n"))
}
