//! The values of the language while tracing.

use std::rc::Rc;
use std::sync::Arc;

use super::config::Config;
use super::instance::{Blueprint, Instance};
use crate::diag::Problem;
use crate::ops::{Const, Dim, Slot, TensorType};
use crate::plan::{ParamId, Stored};

/// The result of evaluating something.
pub(super) type Eval<T> = Result<T, Problem>;

/// A value of the language.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A constant; lists and dictionaries of constants are [`Value::List`] and [`Value::Dict`].
    Const(Const),
    /// A size that only a call fixes.
    Dim(Dim),
    /// A tensor of the program being traced.
    Tensor(Slot, TensorType),
    /// A list or a tuple.
    List(Rc<Vec<Value>>),
    /// A dictionary.
    Dict(Rc<Vec<(Arc<str>, Value)>>),
    /// A config, or a part of one.
    Config(Rc<Config>),
    /// A layer.
    Layer(Rc<Instance>),
    /// A layer that has no place in the tree yet.
    Blueprint(Rc<Blueprint>),
    /// A parameter.
    Param(ParamId),
    /// A pure function or an op, by name.
    Function(Arc<str>),
    /// A module, by name.
    Class(Arc<str>),
    /// A method of a layer.
    Method(Rc<Instance>, Arc<str>),
    /// A method of a plain value, such as `config.get`.
    Bound(Rc<Value>, Arc<str>),
    /// How a checkpoint stores a parameter.
    Stored(Rc<Stored>),
}

/// Values by name, so few that walking them is faster than any index.
#[derive(Debug, Clone, Default)]
pub(super) struct Locals(Vec<(Arc<str>, Value)>);

impl Locals {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, name: &Arc<str>, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((Arc::clone(name), value)),
        }
    }

    /// The names, in order.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        names
    }
}

impl FromIterator<(Arc<str>, Value)> for Locals {
    /// Of a name that stands there twice, the last value counts.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(values: I) -> Self {
        let values = values.into_iter();
        let mut locals = Self(Vec::with_capacity(values.size_hint().0));
        values.for_each(|(name, value)| locals.insert(&name, value));
        locals
    }
}

impl From<Vec<(Arc<str>, Value)>> for Locals {
    /// No name may stand in them twice.
    fn from(values: Vec<(Arc<str>, Value)>) -> Self {
        Self(values)
    }
}

impl Value {
    pub(super) const NONE: Self = Self::Const(Const::None);

    pub(super) fn int(value: i64) -> Self {
        Self::Const(Const::Int(value))
    }

    pub(super) fn bool(value: bool) -> Self {
        Self::Const(Const::Bool(value))
    }

    pub(super) fn str(text: &str) -> Self {
        Self::Const(Const::str(text))
    }

    pub(super) fn list(items: Vec<Value>) -> Self {
        Self::List(Rc::new(items))
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::Const(Const::None))
    }

    /// A size as a value: a number if it is known.
    pub(super) fn size(dim: Dim) -> Self {
        match dim.known() {
            Some(value) => Self::int(value),
            None => Self::Dim(dim),
        }
    }

    /// The size that the value is, if it is one.
    pub(super) fn as_dim(&self) -> Option<Dim> {
        match self {
            Self::Const(value) => value.as_i64().map(Dim::Known),
            Self::Dim(dim) => Some(dim.clone()),
            _ => None,
        }
    }

    /// The constant that the value is, lists and dictionaries of constants included.
    pub(super) fn as_const(&self) -> Option<Const> {
        match self {
            Self::Const(value) => Some(value.clone()),
            Self::List(items) => {
                let items: Option<Vec<Const>> = items.iter().map(Self::as_const).collect();
                items.map(|items| Const::List(Arc::new(items)))
            }
            Self::Dict(entries) => {
                let entry = |(key, value): &(Arc<str>, Self)| Some((Arc::clone(key), value.as_const()?));
                let entries: Option<Vec<_>> = entries.iter().map(entry).collect();
                entries.map(|entries| Const::Dict(Arc::new(entries)))
            }
            Self::Config(config) => Some(Const::from(config.json())),
            _ => None,
        }
    }

    /// What it is, for error messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Const(value) => match value {
                Const::None | Const::Bool(_) => format!("`{value}`"),
                _ => format!("{} `{value}`", value.kind_name()),
            },
            Self::Dim(dim) => format!("the size `{dim}`, known only when the model is called"),
            Self::Tensor(_, ty) => format!("a tensor `{ty}`"),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Dict(_) => "a dict".to_owned(),
            Self::Config(config) => format!("the config `{}`", config.name()),
            Self::Layer(layer) => format!("the layer `{}` ({})", layer.path, layer.module_name()),
            Self::Blueprint(blueprint) => format!("a new {}", blueprint.module_name()),
            Self::Param(_) => "a parameter".to_owned(),
            Self::Function(name) => format!("the function `{name}`"),
            Self::Class(name) => format!("the module `{name}`"),
            Self::Method(layer, name) => format!("the method `{name}` of `{}`", layer.path),
            Self::Bound(_, name) => format!("the method `{name}`"),
            Self::Stored(stored) => format!("the stored tensor `{stored}`"),
        }
    }
}

impl From<&Const> for Value {
    fn from(value: &Const) -> Self {
        match value {
            Const::List(items) => Self::list(items.iter().map(Self::from).collect()),
            Const::Dict(entries) => Self::Dict(Rc::new(
                entries.iter().map(|(key, value)| (Arc::clone(key), value.into())).collect(),
            )),
            other => Self::Const(other.clone()),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        Self::from(&Const::from(value))
    }
}
