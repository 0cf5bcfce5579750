//! What can go wrong between a model directory and token ids.
//!
//! Every variant names the file, and the field where there is one, in the words of the file itself.
//!
//! Absent on purpose: problems that leave a usable tokenizer; those are notes (see `Tokenizer::notes`).

use std::path::PathBuf;

/// Why a tokenizer could not be opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The directory holds none of the files that a tokenizer can be made from.
    #[error("Tokenizer dependency missing: `{}` holds none of {}", dir.display(), listed(looked_for))]
    Missing {
        /// The directory that was looked at.
        dir: PathBuf,
        /// The files that were looked for, in the order of preference.
        looked_for: Vec<String>,
    },
    /// A file is there but cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason the system gave.
        source: std::io::Error,
    },
    /// A file is larger than any real one of its kind.
    #[error("`{file}` is {bytes} bytes large, expected at most {limit}")]
    TooLarge {
        /// The file's name.
        file: String,
        /// Its size in bytes.
        bytes: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// A file is not the JSON it should be.
    #[error("`{file}` is not valid JSON")]
    Json {
        /// The file's name.
        file: String,
        /// What the parser said, with line and column.
        source: serde_json::Error,
    },
    /// A field has the wrong type or an impossible value.
    #[error("`{field}` in `{file}` is {found}, expected {expected}")]
    Field {
        /// The file's name.
        file: String,
        /// The path of the field, dotted.
        field: String,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// A file breaks its own format.
    #[error("`{file}` is not a usable tokenizer file: {reason}")]
    Format {
        /// The file's name.
        file: String,
        /// Which rule of the format is broken.
        reason: String,
    },
    /// A text could not be turned into ids, or ids into text.
    #[error("the tokenizer cannot {action}: {reason}")]
    Run {
        /// `encode`, `decode` or `pad`.
        action: &'static str,
        /// Why not.
        reason: String,
    },
    /// There is no chat template, or none of that name.
    #[error("no chat template {wanted}; there is {}", listed(known))]
    NoTemplate {
        /// The name that was asked for, or the default one.
        wanted: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A chat template is wrong, refuses its messages or does not come to an end.
    #[error("chat template `{name}` failed: {reason}")]
    Template {
        /// The template's name.
        name: String,
        /// What the template engine, or the template itself, said.
        reason: String,
    },
}

impl TokenizerError {
    pub(crate) fn format(file: &str, reason: impl Into<String>) -> Self {
        Self::Format { file: file.to_owned(), reason: reason.into() }
    }

    pub(crate) fn field(file: &str, field: &str, found: &serde_json::Value, expected: &str) -> Self {
        Self::Field {
            file: file.to_owned(),
            field: field.to_owned(),
            found: described(found),
            expected: expected.to_owned(),
        }
    }
}

/// A JSON value as an error message shows it: its kind, and the value itself where that is short.
pub(crate) fn described(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) => format!("a list of {}", items.len()),
        serde_json::Value::Object(fields) => format!("an object of {} fields", fields.len()),
        serde_json::Value::String(text) => {
            let short: String = text.chars().take(40).collect();
            format!("the string {short:?}")
        }
        other => format!("`{other}`"),
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
