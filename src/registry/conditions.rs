//! Conditions: what rules, traits, repairs and tokenizer rules ask of a directory, and how they are told.
//!
//! Absent on purpose: their evaluation (`matcher`), and compiled patterns.

use std::fmt;

use serde_json::Value;

use crate::diag::Span;

/// A condition on facts.
#[derive(Debug, Clone)]
pub struct Condition {
    /// Where it stands.
    pub span: Span,
    /// What it asks.
    pub test: Test,
}

/// What a condition asks.
#[derive(Debug, Clone)]
pub enum Test {
    /// Every one holds.
    All(Vec<Condition>),
    /// At least one holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// A file matches one of these globs.
    File(Vec<String>),
    /// A directory matches one of these globs.
    Dir(Vec<String>),
    /// A checkpoint tensor's name matches one of these globs.
    Tensor(Vec<String>),
    /// The config says so.
    Config(ConfigTest),
    /// The name of the architecture fits.
    Architecture(NameTest),
    /// The `model_type` fits.
    ModelType(NameTest),
}

/// A question to the config.
#[derive(Debug, Clone)]
pub struct ConfigTest {
    /// The dotted path of the value; `*` stands for any key or index.
    pub path: String,
    /// What is asked of it; all must hold.
    pub asks: Vec<Ask>,
}

/// What is asked of one config value.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// It is there (and not null), or it is not.
    Exists(bool),
    /// It is one of these.
    OneOf(Vec<Value>),
    /// It is a string that this regular expression matches.
    Matches(String),
    /// It is a number no smaller.
    AtLeast(f64),
    /// It is a number no larger.
    AtMost(f64),
}

/// A question to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameTest {
    /// It is one of these.
    Exact(Vec<String>),
    /// It is known, and belongs to this category.
    Listed(String),
    /// This regular expression matches it.
    Matches(String),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.test.fmt(f)
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(all) => joined(f, all, " and "),
            Self::Any(any) => joined(f, any, " or "),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::File(globs) => write!(f, "a file {}", quoted(globs)),
            Self::Dir(globs) => write!(f, "a folder {}", quoted(globs)),
            Self::Tensor(globs) => write!(f, "a tensor {}", quoted(globs)),
            Self::Config(test) => test.fmt(f),
            Self::Architecture(test) => write!(f, "architecture {test}"),
            Self::ModelType(test) => write!(f, "model_type {test}"),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Condition], between: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        match part.test {
            Test::All(_) | Test::Any(_) => write!(f, "({part})")?,
            _ => write!(f, "{part}")?,
        }
    }
    Ok(())
}

/// `` `a`, `b` or `c` ``.
fn quoted(words: &[String]) -> String {
    let ticked: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match ticked.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

impl fmt::Display for ConfigTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "config `{}`", self.path)?;
        for (index, ask) in self.asks.iter().enumerate() {
            f.write_str(if index > 0 { " and " } else { " " })?;
            ask.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(true) => f.write_str("is set"),
            Self::Exists(false) => f.write_str("is not set"),
            Self::OneOf(values) => {
                let words: Vec<String> =
                    values.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
                write!(f, "is {}", quoted(&words))
            }
            Self::Matches(pattern) => write!(f, "matches `{pattern}`"),
            Self::AtLeast(bound) => write!(f, "is at least {bound}"),
            Self::AtMost(bound) => write!(f, "is at most {bound}"),
        }
    }
}

impl fmt::Display for NameTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(names) => write!(f, "is {}", quoted(names)),
            Self::Listed(category) => write!(f, "is listed under `{category}`"),
            Self::Matches(pattern) => write!(f, "matches `{pattern}`"),
        }
    }
}
