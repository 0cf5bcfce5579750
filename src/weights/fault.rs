//! What can be wrong inside a weight file or between an index and its shards.
//!
//! The details of [`WeightsError`]: `HeaderFault` for one file, `IndexProblem` for a set of them.

use std::fmt;

use super::dtype::StoredDtype;
use super::error::WeightsError;

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
                    "the index names `{shard}`, which leaves the directory: refused, take the index from the model's publisher"
                )
            }
            Self::MissingShard { shard, tensors } => write!(
                f,
                "`{shard}` is missing, and with it {tensors} {}: download it, or remove the index if it is stale",
                if *tensors == 1 { "tensor" } else { "tensors" }
            ),
            Self::Shard(error) => error.fmt(f),
            Self::NotInShard { tensor, shard, instead: None } => {
                write!(f, "the index places `{tensor}` in `{shard}`, which does not hold it")
            }
            Self::NotInShard { tensor, shard, instead: Some(instead) } => write!(
                f,
                "the index places `{tensor}` in `{shard}`, which does not hold it; `{instead}` does"
            ),
            Self::NotInIndex { tensor, shard } => {
                write!(f, "`{shard}` holds `{tensor}`, which the index does not name")
            }
            Self::Duplicate { tensor, shard, other } => {
                write!(f, "`{tensor}` is in `{shard}`, as the index says, and in `{other}` too")
            }
            Self::NamedTwice { tensor } => write!(f, "the index names `{tensor}` twice"),
        }
    }
}
