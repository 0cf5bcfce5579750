//! What keeps a model that was recognised from being loaded.
//!
//! Takes facts and what the matcher made of them; gives the reason, in words. Config and definition are not compared
//! here, nor is a checkpoint: that takes longer, and `model::fit` does it.

use super::inspector::Inspector;
use crate::facts::{self, Facts, Hub, Kind};
use crate::matcher::{ALLOW_LOCAL_DEFINITION, COLLECTION, Found, Match, PIPELINE, Status};

impl Inspector<'_> {
    /// What keeps a recognised model from being loaded.
    pub(super) fn obstacle(&self, facts: &Facts, found: &Match) -> Option<String> {
        let Some(architecture) = &found.architecture else {
            return match facts.config() {
                Some(config) if config.file != "model_index.json" => Some(format!(
                    "its `{}` does not name what to build: name the architecture under `architectures` there",
                    config.file
                )),
                _ => self.component_obstacle(facts),
            };
        };
        match (architecture.status, architecture.task.as_str()) {
            (Status::Defined, _) | (Status::Known, COLLECTION) => None,
            (Status::Known, PIPELINE) => self.component_obstacle(facts),
            (Status::Known, _) => {
                let obstacle = self.undefined(architecture, &found.category);
                if self.matcher().passes_over_local_definition(facts) {
                    return Some(format!("{obstacle}; {ALLOW_LOCAL_DEFINITION}"));
                }
                Some(obstacle)
            }
        }
    }

    fn undefined(&self, architecture: &Found, category: &str) -> String {
        let nearest = self.matcher().nearest_definition(&architecture.name, category, &architecture.task);
        let nearest = nearest.map(|name| format!(": nearest is `{name}`")).unwrap_or_default();
        format!("recognised as `{}`, category `{category}`; no definition yet{nearest}", architecture.name)
    }

    /// What keeps a pipeline from being loaded: the first of its components that is not there or not defined.
    ///
    /// Components without a config of their own (tokenizers, schedulers, image processors) hold no tensors.
    fn component_obstacle(&self, facts: &Facts) -> Option<String> {
        let folders = facts.entries().iter().filter(|entry| entry.kind == Kind::Dir);
        let mut seen = 0;
        for folder in folders {
            let Ok(inner) = facts::read_in(facts.root().join(folder.path()), &Hub::none()) else { continue };
            if inner.config().is_none() {
                continue;
            }
            let obstacle = match self.matcher().find(&inner) {
                Ok(found) if found.is_defined() => None,
                Ok(found) => found.architecture.as_ref().map(|known| self.undefined(known, &found.category)),
                Err(error) => Some(error.to_string()),
            };
            if let Some(obstacle) = obstacle {
                return Some(format!("its component `{}`: {obstacle}", folder.name));
            }
            seen += 1;
        }
        let missing = missing_components(facts);
        if let Some(first) = missing.first() {
            return Some(format!("its component `{first}` is named in `model_index.json` and not there"));
        }
        (seen == 0).then(|| "a pipeline without a component that holds weights".to_owned())
    }
}

/// The components that a pipeline's index names and the directory lacks.
fn missing_components(facts: &Facts) -> Vec<&str> {
    let entries = facts.value().as_object().into_iter().flatten();
    let components = entries.filter(|(name, value)| {
        // `name: [library, class]`; nulls mean that the component is left out on purpose.
        let parts = value.as_array().filter(|parts| parts.len() == 2);
        !name.starts_with('_') && parts.is_some_and(|parts| parts.iter().all(serde_json::Value::is_string))
    });
    let absent = |name: &&str| !facts.entries_named(name).any(|entry| entry.kind == Kind::Dir);
    components.map(|(name, _)| name.as_str()).filter(absent).collect()
}
