//! What is built from what: the modules and config tables that each architecture can reach.
//!
//! Read off the names in the layers, so that it also holds for branches that no sample takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::code::View;
use crate::registry::{Architecture, Fallback, Registry};

/// The reach of every architecture.
#[derive(Debug, Default)]
pub struct Reach {
    modules: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    tables: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// The architectures of each module.
    users: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// Modules that are built by name somewhere, or stand for such.
    built: BTreeSet<Arc<str>>,
    /// Modules that another extends.
    extended: BTreeSet<Arc<str>>,
}

impl Reach {
    pub(super) fn new(registry: &Registry, views: &BTreeMap<&str, Arc<View>>) -> Self {
        let children: BTreeMap<&str, BTreeSet<&str>> =
            views.par_iter().map(|(name, view)| (*name, children(registry, view))).collect();
        let below = |module: &str| children.get(module).into_iter().flatten().copied();
        let parts = |table| parts(registry, table);
        let mut reach = Self::default();
        let mut users: BTreeMap<&str, Vec<Arc<str>>> = BTreeMap::new();
        let architectures: Vec<&Architecture> = registry.architectures.values().collect();
        let found: Vec<_> = (architectures.par_iter())
            .map(|architecture| {
                let modules = reached(Some(architecture.module.text.as_str()), below);
                let mut tables = reached(architecture.config.as_ref().map(|name| name.text.as_str()), parts);
                tables.retain(|table| registry.configs.contains_key(table));
                (architecture, modules, tables)
            })
            .collect();
        for (architecture, modules, tables) in found {
            let name: Arc<str> = Arc::from(architecture.name.text.as_str());
            for module in &modules {
                users.entry(module).or_default().push(Arc::clone(&name));
            }
            let shared = |names: BTreeSet<&str>| names.into_iter().map(Arc::from).collect();
            reach.modules.insert(Arc::clone(&name), shared(modules));
            reach.tables.insert(name, shared(tables));
            reach.built.insert(Arc::from(architecture.module.text.as_str()));
        }
        reach.users = users.into_iter().map(|(module, users)| (Arc::from(module), users)).collect();
        reach.built.extend(children.into_values().flatten().map(Arc::from));
        let extended = registry.modules.values().filter_map(|module| module.extends.as_ref());
        reach.extended = extended.map(|parent| Arc::from(parent.text.as_str())).collect();
        reach
    }

    /// The modules that an architecture may be built from.
    pub fn modules(&self, architecture: &str) -> impl Iterator<Item = &str> {
        self.modules.get(architecture).into_iter().flatten().map(|name| &**name)
    }

    /// The config tables that complete an architecture's config and its parts.
    pub fn tables(&self, architecture: &str) -> impl Iterator<Item = &str> {
        self.tables.get(architecture).into_iter().flatten().map(|name| &**name)
    }

    /// The architectures that a module may take part in.
    pub fn architectures(&self, module: &str) -> impl Iterator<Item = &str> {
        self.users.get(module).into_iter().flatten().map(|name| &**name)
    }

    /// Whether a module is built by name somewhere, by an architecture, a layer or a replacement.
    #[must_use]
    pub fn is_built(&self, module: &str) -> bool {
        self.built.contains(module)
    }

    /// Whether another module extends it.
    #[must_use]
    pub fn is_extended(&self, module: &str) -> bool {
        self.extended.contains(module)
    }
}

/// The config table that a table extends, and those that complete parts of it.
pub(super) fn parts<'a>(registry: &'a Registry, table: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let found = registry.configs.get(table);
    let extends = found.and_then(|table| table.extends.as_ref());
    let fields = found.into_iter().flat_map(|table| table.fields.values());
    let parts = fields.filter_map(|field| match &field.fallback {
        Fallback::Part(table) => Some(table),
        _ => None,
    });
    extends.into_iter().chain(parts).map(|name| name.text.as_str())
}

/// All that is reached from some names, they themselves included.
pub(super) fn reached<'a, I: Iterator<Item = &'a str>>(
    from: impl IntoIterator<Item = &'a str>,
    next: impl Fn(&'a str) -> I,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = from.into_iter().collect();
    while let Some(name) = open.pop() {
        if found.insert(name) {
            open.extend(next(name));
        }
    }
    found
}

/// The modules that the layers of a module, or its replacements, name.
fn children<'a>(registry: &'a Registry, view: &'a View) -> BTreeSet<&'a str> {
    let named = view.builds.iter().filter_map(|name| registry.modules.get_key_value(name));
    let mut names: BTreeSet<&str> = named.map(|(name, _)| name.as_str()).collect();
    names.extend(view.module.replace.iter().map(|(_, to)| to.text.as_str()));
    names
}
