//! What can be wrong with a safetensors header.

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
        /// Its type, as the file spells it.
        dtype: String,
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

/// Why a header could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It breaks the format.
    #[error(transparent)]
    Fault(#[from] HeaderFault),
    /// The file ends before the last tensor does.
    #[error("it is cut short: it has {found} bytes, its header describes {expected}")]
    Truncated {
        /// The bytes that the header describes, itself included.
        expected: u64,
        /// The bytes that are there.
        found: u64,
    },
}
