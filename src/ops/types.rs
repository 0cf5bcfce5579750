//! What an op is told about its arguments: constants of the language, and the types of tensors.
//!
//! Absent on purpose: tensor data; see [`super::kernel`].

use std::fmt;
use std::sync::Arc;

use super::dim::Dim;

/// The kind of number a tensor holds. How wide a float is, the run decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Floating point of the model's run-time precision.
    Float,
    /// Integers.
    Int,
    /// Truth values.
    Bool,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "float",
            Self::Int => "int",
            Self::Bool => "bool",
        })
    }
}

/// A tensor's kind and shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// What it holds.
    pub kind: Kind,
    /// Its sizes, outermost first.
    pub shape: Arc<[Dim]>,
}

impl TensorType {
    /// A tensor of floats.
    #[must_use]
    pub fn float(shape: impl Into<Arc<[Dim]>>) -> Self {
        Self { kind: Kind::Float, shape: shape.into() }
    }

    /// A tensor of integers.
    #[must_use]
    pub fn int(shape: impl Into<Arc<[Dim]>>) -> Self {
        Self { kind: Kind::Int, shape: shape.into() }
    }

    /// The number of dimensions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The same kind with another shape.
    #[must_use]
    pub fn with_shape(&self, shape: impl Into<Arc<[Dim]>>) -> Self {
        Self { kind: self.kind, shape: shape.into() }
    }

    /// The last size.
    #[must_use]
    pub fn last(&self) -> Option<&Dim> {
        self.shape.last()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, show_shape(&self.shape))
    }
}

/// A shape as people write it: `[batch, time, 32]`.
#[must_use]
pub fn show_shape(shape: &[Dim]) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        f.write_str("[")?;
        for (index, size) in shape.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{size}")?;
        }
        f.write_str("]")
    })
}

/// A value of the language that holds no tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Const {
    /// `None`, and a JSON `null`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// A list or a tuple.
    List(Arc<Vec<Const>>),
    /// A dictionary, in the order written.
    Dict(Arc<Vec<(Arc<str>, Const)>>),
}

impl Const {
    /// Wraps text.
    #[must_use]
    pub fn str(text: &str) -> Self {
        Self::Str(Arc::from(text))
    }

    /// The name of the kind of value, as error messages call it.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Float(_) => "a float",
            Self::Str(_) => "a string",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
        }
    }

    /// The number, whole or not.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "config numbers are small; Python does the same")]
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number; a float that is whole counts, since JSON writers differ.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(*value as i64),
            _ => None,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The entry of a dictionary.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Const> {
        match self {
            Self::Dict(entries) => entries.iter().find(|(name, _)| &**name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Whether Python would take it as true.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Dict(entries) => !entries.is_empty(),
        }
    }
}

impl From<&serde_json::Value> for Const {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::None,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::str(text),
            Value::Array(items) => Self::List(Arc::new(items.iter().map(Self::from).collect())),
            Value::Object(entries) => Self::Dict(Arc::new(
                entries.iter().map(|(key, value)| (Arc::from(key.as_str()), Self::from(value))).collect(),
            )),
        }
    }
}

impl fmt::Display for Const {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Str(text) => write!(f, "{text:?}"),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Dict(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key:?}: {value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}
