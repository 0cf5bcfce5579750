//! What is built from what: the modules and config tables that each architecture can reach.
//!
//! Read off the names in the layers, so that it also holds for branches that no sample takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::code::{Role, View};
use crate::registry::{Architecture, Fallback, Registry};

/// The reach of every architecture.
#[derive(Debug, Default)]
pub struct Reach {
    modules: FxHashMap<Arc<str>, Vec<Arc<str>>>,
    tables: FxHashMap<Arc<str>, Vec<Arc<str>>>,
    /// The modules that each names in its layers.
    named: FxHashMap<Arc<str>, Vec<Arc<str>>>,
    /// The architectures of each module.
    users: FxHashMap<Arc<str>, Vec<Arc<str>>>,
    /// Modules that are built by name somewhere, or stand for such.
    built: FxHashSet<Arc<str>>,
    /// Modules that another extends.
    extended: FxHashSet<Arc<str>>,
}

impl Reach {
    pub(super) fn new(registry: &Registry, views: &BTreeMap<&str, Arc<View>>) -> Self {
        let modules: FxHashSet<&str> = registry.modules.keys().map(String::as_str).collect();
        let named: FxHashMap<&str, BTreeSet<&str>> =
            views.par_iter().map(|(name, view)| (*name, named(&modules, view))).collect();
        let stand_ins = |module: &str| {
            let replace = views.get(module).into_iter().flat_map(|view| &view.module.replace);
            replace.map(|(_, to)| to.text.as_str())
        };
        let below = |module: &str| named.get(module).into_iter().flatten().copied().chain(stand_ins(module));
        let parts = |table| parts(registry, table);
        let architectures: Vec<&Architecture> = registry.architectures.values().collect();
        let found: Vec<_> = (architectures.par_iter())
            .map(|architecture| {
                let modules = reached(Some(architecture.module.text.as_str()), below);
                let mut tables = reached(architecture.config.as_ref().map(|name| name.text.as_str()), parts);
                tables.retain(|table| registry.configs.contains_key(table));
                (architecture, modules, tables)
            })
            .collect();
        let mut known: FxHashMap<&str, Arc<str>> = FxHashMap::default();
        let mut shared = |name| Arc::clone(known.entry(name).or_insert_with(|| Arc::from(name)));
        let mut reach = Self::default();
        for (architecture, modules, tables) in found {
            let name = shared(&architecture.name.text);
            for module in &modules {
                reach.users.entry(shared(module)).or_default().push(Arc::clone(&name));
            }
            reach.modules.insert(Arc::clone(&name), modules.into_iter().map(&mut shared).collect());
            reach.tables.insert(name, tables.into_iter().map(&mut shared).collect());
            reach.built.insert(shared(&architecture.module.text));
        }
        for name in views.keys() {
            let named: Vec<Arc<str>> = named[name].iter().copied().map(&mut shared).collect();
            reach.built.extend(named.iter().cloned().chain(stand_ins(name).map(&mut shared)));
            reach.named.insert(shared(name), named);
        }
        let extended = registry.modules.values().filter_map(|module| module.extends.as_ref());
        reach.extended = extended.map(|parent| shared(&parent.text)).collect();
        reach
    }

    /// The modules that a module names in its layers.
    pub fn named(&self, module: &str) -> impl Iterator<Item = &str> {
        self.named.get(module).into_iter().flatten().map(|name| &**name)
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

/// The modules that the layers of a module name; a layer may have the name of its module.
fn named<'a>(modules: &FxHashSet<&'a str>, view: &View) -> BTreeSet<&'a str> {
    let layers = view.pieces.iter().filter(|piece| matches!(piece.role, Role::Layer | Role::Let));
    let names = layers.flat_map(|piece| &piece.free).chain(&view.own);
    names.filter_map(|name| modules.get(&**name).copied()).collect()
}
