//! What a call is given: constants, sizes, tensors by their place, and lists of them.

use std::fmt;
use std::sync::Arc;

use super::super::dim::Dim;
use super::super::types::{Const, TensorType};

/// The place of a value in a running program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub usize);

/// The place of something a generation keeps from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateId(pub usize);

/// An argument as the tracer hands it to an op.
#[derive(Debug, Clone)]
pub enum Arg {
    /// A value known while tracing.
    Const(Const),
    /// A size known only to the call.
    Dim(Dim),
    /// A tensor of the running program.
    Tensor(Slot, TensorType),
    /// A list that holds a size or a tensor.
    List(Vec<Arg>),
    /// What `**name` collected: the named arguments that no other parameter takes.
    Named(Vec<(Arc<str>, Arg)>),
}

impl Arg {
    /// The tensors in it.
    #[must_use]
    pub fn tensors(&self) -> Vec<Slot> {
        match self {
            Self::Tensor(slot, _) => vec![*slot],
            Self::List(items) => items.iter().flat_map(Self::tensors).collect(),
            Self::Named(named) => named.iter().flat_map(|(_, item)| item.tensors()).collect(),
            Self::Const(_) | Self::Dim(_) => Vec::new(),
        }
    }

    /// What it is, for error messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Const(value @ (Const::None | Const::Bool(_))) => format!("`{value}`"),
            Self::Const(value) => {
                let text = value.to_string();
                if text.len() > 60 {
                    value.kind_name().to_owned()
                } else {
                    format!("{} `{text}`", value.kind_name())
                }
            }
            Self::Dim(dim) => format!("the size `{dim}`"),
            Self::Tensor(_, ty) => format!("a tensor `{ty}`"),
            Self::List(_) => "a list of tensors or sizes".to_owned(),
            Self::Named(_) => "named arguments".to_owned(),
        }
    }
}

/// As the printed Plan shows it.
impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comma = |index: usize| if index == 0 { "" } else { ", " };
        match self {
            Self::Const(value) => write!(f, "{value}"),
            Self::Dim(dim) => write!(f, "{dim}"),
            Self::Tensor(_, ty) => write!(f, "{ty}"),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", comma(index))?;
                }
                f.write_str("]")
            }
            Self::Named(named) => {
                for (index, (name, item)) in named.iter().enumerate() {
                    write!(f, "{}{name}={item}", comma(index))?;
                }
                Ok(())
            }
        }
    }
}

/// A parameter of an op's signature.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, as keyword arguments use it.
    pub name: &'static str,
    /// Its default; `None` when it must be given.
    pub default: Option<Const>,
    /// Whether it can only be given by name.
    pub keyword_only: bool,
    /// Whether it collects the named arguments that are left: `**sizes`.
    pub variadic: bool,
}
