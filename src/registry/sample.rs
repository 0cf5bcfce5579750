//! The small config that a definition is tried with.

use serde_json::{Map, Value};

use super::{Architecture, ConfigTable, Fallback, Registry};
use crate::diag::Problem;

impl Registry {
    /// The sample config of an architecture; `None` if it has none and needs one.
    ///
    /// # Errors
    /// If its config table, or one that it extends, does not exist.
    pub fn sample(&self, architecture: &Architecture) -> Result<Option<Value>, Problem> {
        let table = architecture.config.as_ref().map(|name| self.config(name)).transpose()?;
        Ok(sample(architecture, table.as_ref()))
    }
}

/// The sample config of an architecture whose table is at hand; `None` if there is none and it needs one.
#[must_use]
pub fn sample(architecture: &Architecture, table: Option<&ConfigTable>) -> Option<Value> {
    let written = table.and_then(|table| table.sample.clone());
    let needs =
        |table: &ConfigTable| table.fields.values().any(|field| matches!(field.fallback, Fallback::Required));
    if written.is_none() && table.is_some_and(needs) {
        return None;
    }
    Some(named(architecture, written.unwrap_or_default()))
}

/// A config that names the architecture, and its model type, where it names none itself.
#[must_use]
pub fn named(architecture: &Architecture, mut config: Map<String, Value>) -> Value {
    let name = Value::from(architecture.name.text.as_str());
    config.entry("architectures").or_insert_with(|| vec![name].into());
    if let Some(model_type) = architecture.model_types.first() {
        config.entry("model_type").or_insert_with(|| Value::from(model_type.text.as_str()));
    }
    Value::Object(config)
}
