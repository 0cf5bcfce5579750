//! What can be wrong between an index and its shards: the details of a [`WeightsError`].

use std::fmt;

use super::error::WeightsError;

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
