//! The tree of layers of a built definition, as others may look at it.
//!
//! Absent on purpose: what the layers compute; see [`crate::plan::Plan`].

use std::rc::Rc;

use super::instance::{Instance, join};
use super::program::Program;
use super::value::Value;
use crate::diag::Span;
use crate::plan::ParamId;

/// A layer, or a list of layers, with everything below it.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its name within the layer above it; empty for the root.
    pub name: String,
    /// Its path: what its tensors' names start with; empty for the root.
    pub path: String,
    /// The module that it is; `None` for a list or a dict of layers.
    pub module: Option<String>,
    /// Where it is made.
    pub span: Span,
    /// The tensors of its own, in the order written, buffers last.
    pub params: Vec<ParamId>,
    /// What is below it, in the order written.
    pub layers: Vec<Layer>,
}

impl Program<'_> {
    /// The tree of layers, from the root.
    #[must_use]
    pub fn tree(&self) -> Layer {
        layer(String::new(), self.top())
    }
}

fn layer(name: String, instance: &Rc<Instance>) -> Layer {
    let module = &instance.module;
    let own = module.params.iter().chain(&module.buffers);
    let params = own.filter_map(|(name, _)| match instance.value(&name.text) {
        Some(Value::Param(id)) => Some(id),
        _ => None,
    });
    let below = module.layers.iter().filter_map(|(name, _)| {
        let value = instance.value(&name.text)?;
        entry(name.text.clone(), &instance.child(&name.text), &value, &instance.span)
    });
    Layer {
        name,
        path: instance.path.to_string(),
        module: Some(instance.module_name().to_owned()),
        span: instance.span.clone(),
        params: params.collect(),
        layers: below.collect(),
    }
}

/// A layer or a collection of layers; `None` where there is none.
fn entry(name: String, path: &str, value: &Value, span: &Span) -> Option<Layer> {
    let entries: Vec<(String, &Value)> = match value {
        Value::Layer(instance) => return Some(layer(name, instance)),
        Value::List(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        Value::Dict(entries) => entries.iter().map(|(key, item)| (key.to_string(), item)).collect(),
        _ => return None,
    };
    let layers: Vec<Layer> = (entries.into_iter())
        .filter_map(|(key, item)| {
            let path = join(path, &key);
            entry(key, &path, item, span)
        })
        .collect();
    let span = layers.first().map_or_else(|| span.clone(), |layer| layer.span.clone());
    Some(Layer { name, path: path.to_owned(), module: None, span, params: Vec::new(), layers })
}
