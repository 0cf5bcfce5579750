//! What is built from what: the modules and config tables that each architecture can reach.
//!
//! Read off the names in the layers, so that it also holds for branches that no sample takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::code::View;
use crate::registry::{Fallback, Registry};

/// The reach of every architecture.
#[derive(Debug, Default)]
pub struct Reach {
    modules: BTreeMap<String, BTreeSet<String>>,
    tables: BTreeMap<String, BTreeSet<String>>,
    /// The architectures of each module.
    users: BTreeMap<String, BTreeSet<String>>,
    /// Modules that are built by name somewhere, or stand for such.
    built: BTreeSet<String>,
}

impl Reach {
    pub(super) fn new(registry: &Registry, views: &BTreeMap<&str, Arc<View>>) -> Self {
        let children: BTreeMap<&str, BTreeSet<String>> =
            views.iter().map(|(name, view)| (*name, children(registry, view))).collect();
        let mut reach = Self::default();
        for (name, architecture) in &registry.architectures {
            let mut modules = BTreeSet::new();
            let mut open = vec![architecture.module.text.clone()];
            while let Some(module) = open.pop() {
                if modules.insert(module.clone()) {
                    open.extend(children.get(module.as_str()).into_iter().flatten().cloned());
                }
            }
            let mut tables = BTreeSet::new();
            let mut open: Vec<String> = architecture.config.iter().map(|name| name.text.clone()).collect();
            while let Some(table) = open.pop() {
                if let Some(found) = registry.configs.get(&table).filter(|_| tables.insert(table.clone())) {
                    open.extend(found.extends.iter().map(|name| name.text.clone()));
                    open.extend(found.fields.values().filter_map(|field| match &field.fallback {
                        Fallback::Part(table) => Some(table.text.clone()),
                        _ => None,
                    }));
                }
            }
            for module in &modules {
                reach.users.entry(module.clone()).or_default().insert(name.clone());
            }
            reach.modules.insert(name.clone(), modules);
            reach.tables.insert(name.clone(), tables);
            reach.built.insert(architecture.module.text.clone());
        }
        reach.built.extend(children.into_values().flatten());
        reach
    }

    /// The modules that an architecture may be built from.
    pub fn modules(&self, architecture: &str) -> impl Iterator<Item = &str> {
        self.modules.get(architecture).into_iter().flatten().map(String::as_str)
    }

    /// The config tables that complete an architecture's config and its parts.
    pub fn tables(&self, architecture: &str) -> impl Iterator<Item = &str> {
        self.tables.get(architecture).into_iter().flatten().map(String::as_str)
    }

    /// The architectures that a module may take part in.
    pub fn architectures(&self, module: &str) -> impl Iterator<Item = &str> {
        self.users.get(module).into_iter().flatten().map(String::as_str)
    }

    /// Whether a module is built by name somewhere, by an architecture, a layer or a replacement.
    #[must_use]
    pub fn is_built(&self, module: &str) -> bool {
        self.built.contains(module)
    }
}

/// The modules that the layers of a module, or its replacements, name.
fn children(registry: &Registry, view: &View) -> BTreeSet<String> {
    let named = view.builds.iter().filter(|name| registry.modules.contains_key(name));
    let mut names: BTreeSet<String> = named.map(ToString::to_string).collect();
    names.extend(view.module.replace.iter().map(|(_, to)| to.text.clone()));
    names
}
