//! Why a model could not be loaded or run.

use crate::diag::Problem;
use crate::ops::RunError;

/// Why a model could not run.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ModelError {
    /// The definition does not fit the config, or has no such method.
    #[error(transparent)]
    Definition(#[from] Problem),
    /// An input is missing.
    #[error("`{method}` needs the input `{name}`, found: {}", list(.given))]
    MissingInput {
        /// The method called.
        method: String,
        /// The input that is missing.
        name: String,
        /// The inputs that were given.
        given: Vec<String>,
    },
    /// An input that the method does not take.
    #[error("`{method}` has no input `{name}`, expected: {}", list(.known))]
    UnknownInput {
        /// The method called.
        method: String,
        /// The input that nobody knows.
        name: String,
        /// The inputs that it takes.
        known: Vec<String>,
    },
    /// An input of the wrong shape or kind.
    #[error("the input `{name}` is {found}, expected {expected}")]
    WrongInput {
        /// The input.
        name: String,
        /// What was given.
        found: String,
        /// What is expected.
        expected: String,
    },
    /// A number that a table of the model has no row for.
    #[error("`{name}` has {found}, expected a number from 0 to {}: the model's table has {rows} rows", rows - 1)]
    OutOfRange {
        /// The input.
        name: String,
        /// The number found.
        found: i64,
        /// The number of rows.
        rows: i64,
    },
    /// More tokens than the model has positions for.
    #[error(
        "{found} tokens are too many: the model has a table of {positions} positions, give it at most so many"
    )]
    TooLong {
        /// The number of tokens, those of earlier steps included.
        found: i64,
        /// The number of positions.
        positions: i64,
    },
    /// Sizes that do not fit together for these inputs.
    #[error("{what} differ for these inputs: {left} and {right}{}", in_path(.path))]
    SizesDiffer {
        /// What the sizes are of.
        what: String,
        /// One size, as computed.
        left: String,
        /// The other.
        right: String,
        /// The module that asks for it.
        path: String,
    },
    /// An op met data that it cannot work on.
    #[error("`{op}`{}: {error}", in_path(.path))]
    Op {
        /// The op.
        op: &'static str,
        /// The module it is called in.
        path: String,
        /// What happened.
        #[source]
        error: RunError,
    },
    /// A name to be captured or frozen that is no glob, or matches nothing.
    #[error("`{pattern}` {reason}")]
    Pattern {
        /// The glob.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else the caller asked that this model cannot do.
    #[error("{0}")]
    Unsupported(String),
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn in_path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in `{path}`") }
}
