//! The registry: every architecture, config table and module that omni knows, as data.
//!
//! The shipped files are compiled in; overlays are merged over them entry by entry, later ones winning. What
//! comes out is indexed by name, keeps its place in the files, and has not been given meaning beyond that: the
//! module language lives in `lang`.
//!
//! Absent on purpose: tensors, and any model's name in code.

mod conditions;
mod definitions;
mod load;
mod modes;
mod overlays;
pub mod raw;
pub mod rules;
pub mod rules_raw;
mod sample;
mod schema;
mod shipped;
mod table;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::diag::{Problem, Problems, Source, Span, did_you_mean};

pub use load::LoadError;
pub use modes::{FULL, Mode};
pub use overlays::overlays_of_the_user;
pub use sample::{named, sample};
pub use schema::schema;
pub use table::{Iter, Table};
pub use types::{
    Architecture, Code, ConfigTable, Contract, Entries, Expectation, ExpectedOf, Fallback, Field, Method,
    Module, Name, Size, Task,
};

/// Everything the registry files say, by name.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// The files it was read from, in order.
    pub sources: Vec<Arc<Source>>,
    /// Architectures by class name.
    pub architectures: Table<Architecture>,
    /// Config tables by model type.
    pub configs: Table<ConfigTable>,
    /// Modules by name, as written: see [`Registry::module`] for the resolved ones.
    pub modules: Table<Module>,
    /// Task contracts by name.
    pub tasks: Table<Task>,
    /// The types of well-known root inputs.
    pub inputs: Table<Code>,
    /// Mask inputs and the symbol whose axes each one covers.
    pub masks: Table<String>,
    /// Names, categories, rules and repairs.
    pub rules: Arc<rules::Rules>,
    /// How `omni check` treats the findings of a lint.
    pub lints: BTreeMap<String, (Name, raw::LintLevel)>,
    /// What definitions are expected to give. Those of the shipped files are not read with the rest.
    pub expectations: Vec<Expectation>,
    /// The names of entries that could not be read, each with the place where reading it failed.
    pub unread: BTreeMap<String, Span>,
}

impl Registry {
    /// The registry that omni ships with, shared. Its tables are parsed when they are first looked at.
    ///
    /// # Errors
    /// None: a test keeps the shipped files free of problems.
    pub fn shipped() -> Result<&'static Self, Problems> {
        Ok(&shipped::REGISTRY)
    }

    /// The registry that omni ships with, as a copy that can be merged into.
    ///
    /// # Errors
    /// None, as [`Registry::shipped`].
    pub fn embedded() -> Result<Self, Problems> {
        Self::shipped().cloned()
    }

    /// The shipped registry with every overlay merged over it, in order. A path is a file or a folder of files.
    ///
    /// # Errors
    /// If a path cannot be read, or if what it holds is not a registry file.
    pub fn with_overlays<P: AsRef<Path>>(overlays: &[P]) -> Result<Self, LoadError> {
        let mut registry = Self::embedded().map_err(LoadError::Problems)?;
        let mut problems = Problems::new();
        for path in overlays {
            for source in Self::sources(path.as_ref())? {
                problems.extend(load::merge(&mut registry, &source));
            }
        }
        problems.or_ok(registry).map_err(LoadError::Problems)
    }

    /// A registry of just these files, later ones winning, with everything that is wrong with them.
    #[must_use]
    pub fn from_files(files: impl IntoIterator<Item = Arc<Source>>) -> (Self, Problems) {
        let mut registry = Self::default();
        let mut problems = Problems::new();
        for source in files {
            problems.extend(load::merge(&mut registry, &source));
        }
        (registry, problems)
    }

    /// Merges one more file over what is there.
    pub fn merge(&mut self, source: &Arc<Source>) -> Problems {
        load::merge(self, source)
    }

    /// The registry files at a path: the file itself, or every `.toml` file below the folder, by name.
    ///
    /// # Errors
    /// If the path, or a file below it, cannot be read.
    pub fn sources(path: &Path) -> Result<Vec<Arc<Source>>, LoadError> {
        let (sources, faults) = load::sources(path, &|_| true);
        faults.into_iter().next().map_or(Ok(sources), Err)
    }

    /// The registry files at a path for which `wanted` holds, and why others of these cannot be read.
    #[must_use]
    pub fn readable_sources(
        path: &Path,
        wanted: &dyn Fn(&Path) -> bool,
    ) -> (Vec<Arc<Source>>, Vec<LoadError>) {
        load::sources(path, wanted)
    }

    /// This registry with one more file over it: what a model directory brings, for instance.
    ///
    /// # Errors
    /// The problems of the file.
    pub fn with_file(&self, source: &Arc<Source>) -> Result<Self, LoadError> {
        let mut registry = self.clone();
        let problems = registry.merge(source);
        problems.or_ok(registry).map_err(LoadError::Problems)
    }

    /// Whether a file of that name is part of it.
    #[must_use]
    pub fn has_file(&self, name: &str) -> bool {
        self.sources.iter().any(|source| source.name == name)
    }

    /// Merges another registry over this one, entry by entry.
    pub fn absorb(&mut self, other: Self) {
        self.sources.extend(other.sources);
        self.architectures.absorb(other.architectures);
        self.configs.absorb(other.configs);
        self.modules.absorb(other.modules);
        self.tasks.absorb(other.tasks);
        self.inputs.absorb(other.inputs);
        self.masks.absorb(other.masks);
        self.lints.extend(other.lints);
        self.expectations.extend(other.expectations);
        self.unread.extend(other.unread);
        let theirs = Arc::unwrap_or_clone(other.rules);
        let ours = Arc::make_mut(&mut self.rules);
        ours.naming.known.extend(theirs.naming.known);
        ours.naming.model_types.extend(theirs.naming.model_types);
        ours.naming.aliases.extend(theirs.naming.aliases);
        ours.naming.argued.extend(theirs.naming.argued);
        ours.shipped_names = ours.shipped_names.or(theirs.shipped_names);
        ours.categories.extend(theirs.categories);
        ours.rules.extend(theirs.rules);
        ours.traits.extend(theirs.traits);
        ours.repairs.extend(theirs.repairs);
        ours.tokenizers.extend(theirs.tokenizers);
        ours.base_models.extend(theirs.base_models);
    }

    /// The module of that name with everything it inherits.
    ///
    /// # Errors
    /// If it, or a module it extends, does not exist, or if it extends itself.
    pub fn module(&self, name: &str, asked_at: &Span) -> Result<Module, Problem> {
        Ok(Module::inherited(&self.chain(name, asked_at)?))
    }

    /// The module of that name and those that it extends, nearest first; never empty.
    pub(crate) fn chain<'r>(&'r self, name: &'r str, asked_at: &Span) -> Result<Vec<&'r Module>, Problem> {
        let find = |name: &'r str, at: &Span| {
            self.modules.get(name).ok_or_else(|| {
                Problem::error("unknown-module", at.clone(), format!("`{name}` is not a module"))
                    .maybe_help(did_you_mean(name, self.modules.keys().map(String::as_str)))
            })
        };
        let mut chain = vec![find(name, asked_at)?];
        while let Some(parent) = &chain[chain.len() - 1].extends {
            let next = find(&parent.text, &parent.span)?;
            if chain.iter().any(|known| std::ptr::eq(*known, next)) {
                let message = format!("`{name}` extends itself through `{}`", parent.text);
                return Err(Problem::error("extends-cycle", parent.span.clone(), message));
            }
            chain.push(next);
        }
        Ok(chain)
    }

    /// The config table of that name with everything it inherits.
    ///
    /// # Errors
    /// If it, or a table it extends, does not exist, or if it extends itself.
    pub fn config(&self, name: &Name) -> Result<ConfigTable, Problem> {
        let find = |name: &Name| {
            self.configs.get(&name.text).ok_or_else(|| {
                let message = format!("`{}` is not a config table", name.text);
                Problem::error("unknown-config", name.span.clone(), message)
                    .maybe_help(did_you_mean(&name.text, self.configs.keys().map(String::as_str)))
            })
        };
        let mut table = find(name)?.clone();
        let mut seen = BTreeSet::from([name.text.clone()]);
        while let Some(parent) = table.extends.take() {
            if !seen.insert(parent.text.clone()) {
                let message = format!("config `{}` extends itself through `{}`", name.text, parent.text);
                return Err(Problem::error("extends-cycle", parent.span, message));
            }
            let parent = find(&parent)?.clone();
            for (field, value) in parent.fields {
                table.fields.entry(field).or_insert(value);
            }
            table.aliases.extend(parent.aliases);
            for (field, value) in parent.sample.into_iter().flatten() {
                table.sample.get_or_insert_default().entry(field).or_insert(value);
            }
            table.extends = parent.extends;
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(text: &str) -> (Registry, Problems) {
        Registry::from_files([Source::new("test.toml", text)])
    }

    #[test]
    fn a_child_replaces_by_name_and_keeps_the_order() {
        let (registry, problems) = registry(
            "[modules.A]\nlayers.one = 'X()'\nlayers.two = 'Y()'\nforward = 'return one'\n\
             [modules.B]\nextends = 'A'\nlayers.one = 'Z()'\nlayers.three = 'W()'\n",
        );
        assert!(problems.is_empty(), "{problems}");
        let at = registry.modules["B"].name.span.clone();
        let module = registry.module("B", &at).expect("B exists");
        let layers: Vec<_> = module.layers.iter().map(|(n, c)| format!("{}={}", n.text, c.text)).collect();
        assert_eq!(layers, ["one=Z()", "two=Y()", "three=W()"]);
        assert_eq!(module.methods[0].1.body.text, "return one");
    }

    #[test]
    fn a_cycle_of_extends_is_a_problem_not_a_hang() {
        let (registry, _) = registry("[modules.A]\nextends = 'B'\n[modules.B]\nextends = 'A'\n");
        let at = registry.modules["A"].name.span.clone();
        let problem = registry.module("A", &at).expect_err("a cycle");
        assert_eq!(problem.code, "extends-cycle");
    }

    #[test]
    fn code_knows_its_place_without_quotes_and_first_newline() {
        let text = "[modules.A]\nlayers.x = 'Linear(1)'\nforward = '''\nreturn x\n'''\n";
        let (registry, problems) = registry(text);
        assert!(problems.is_empty(), "{problems}");
        let module = &registry.modules["A"];
        assert_eq!(module.layers[0].1.span.text(), "Linear(1)");
        assert_eq!(module.methods[0].1.body.span.text(), "return x\n");
    }

    #[test]
    fn several_broken_entries_are_reported_at_once() {
        let (_, problems) =
            registry("[modules.A]\nlayer.x = 'X()'\n[modules.B]\nforwards = 'x'\n[modulez.C]\n");
        let found: Vec<_> = problems.sorted().into_iter().map(|p| p.to_string()).collect();
        insta::assert_snapshot!(found.join("\n"));
    }
}
