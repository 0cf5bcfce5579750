//! What the lints look at: the files, the merged registry, its code parsed, its architectures traced.
//!
//! Built once per check. Absent on purpose: any judgement beyond what loading, parsing and tracing report.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::code::{Syntax, View};
use super::memory::Memory;
use super::reach::Reach;
use super::traced::Traced;
use super::tracing::{self, Trace};
use crate::diag::{Problem, Problems, Source, Span, did_you_mean};
use crate::lang::Parses;
use crate::registry::rules::Rules;
use crate::registry::{Architecture, ConfigTable, Fallback, Name, Registry, Table};

/// One file and what it says on its own.
#[derive(Debug, Clone)]
pub struct File {
    /// Its text.
    pub source: Arc<Source>,
    /// Its entries, without those of other files.
    pub registry: Arc<Registry>,
    /// Whether it is checked, or only stood upon.
    pub checked: bool,
}

/// What the lints look at.
#[derive(Debug)]
pub struct Context<'a> {
    /// All files merged.
    pub registry: &'a Registry,
    /// The files, in the order in which they are merged.
    pub files: &'a [File],
    /// All code that is parsed.
    pub(super) parses: &'a Parses,
    /// Every module with all that it inherits, its code parsed; those whose ancestors do not exist are absent.
    pub views: BTreeMap<&'a str, Arc<View>>,
    /// Every config table with all that it inherits; those whose ancestors do not exist are absent.
    pub tables: BTreeMap<&'a str, Arc<ConfigTable>>,
    /// Whether the code of a derived field has a syntax error.
    pub broken_derivation: bool,
    /// What is built from what.
    pub reach: Reach,
    /// The architectures that what is checked takes part in, traced.
    pub traces: Vec<Trace<'a>>,
    /// Where the files that are checked lie in memory.
    checked: FxHashSet<usize>,
    /// Each module with those that extend it, directly or not, and itself.
    heirs: FxHashMap<&'a str, Vec<Arc<View>>>,
}

/// What is kept from one check to the next.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) rules: Memory<Rules>,
    /// What the lints found that look at rules alone, by lint.
    pub(super) of_rules: Memory<Problems>,
    pub(super) views: Memory<View>,
    pub(super) tables: Memory<ConfigTable>,
    pub(super) traces: Memory<Traced>,
}

impl Kept {
    /// Lets go of what does not stand in the files that `current` holds for.
    pub(super) fn retain(&mut self, current: &dyn Fn(&Arc<Source>) -> bool) {
        self.rules.retain(current);
        self.of_rules.retain(current);
        self.views.retain(current);
        self.tables.retain(current);
        self.traces.retain(current);
    }
}

/// All files as one registry, later ones winning. Rules are many, in few files, and merged anew only if one changed.
pub(super) fn merge(files: &[File], known: &mut Memory<Rules>) -> Registry {
    let with_rules = with_rules(files);
    let rules = known.find("rules", &with_rules);
    let mut merged = Registry::default();
    for file in files {
        let mut registry = Registry::clone(&file.registry);
        if rules.is_some() {
            registry.rules = Arc::default();
        }
        merged.absorb(registry);
    }
    match rules {
        Some(rules) => merged.rules = rules,
        None => known.insert("rules", with_rules, &merged.rules),
    }
    merged
}

/// The files that rules stand in.
pub(super) fn with_rules(files: &[File]) -> Vec<Arc<Source>> {
    let with_rules = files.iter().filter(|file| !file.registry.rules.is_empty());
    with_rules.map(|file| Arc::clone(&file.source)).collect()
}

impl<'a> Context<'a> {
    /// Reads and traces everything, adding what is wrong on the way to `problems`. All code is parsed already.
    pub(super) fn new(
        registry: &'a Registry,
        files: &'a [File],
        parses: &'a Parses,
        kept: &mut Kept,
        problems: &mut Problems,
    ) -> Self {
        let mut views = BTreeMap::new();
        for (name, found) in resolved(
            &registry.modules,
            |module| (&module.name, module.extends.as_ref()),
            |name, module| Ok(View::new(module, registry.module(name, &module.name.span)?, parses)),
            &mut kept.views,
        ) {
            match found {
                Ok(view) => drop(views.insert(name, view)),
                Err(problem) => problems.push(problem),
            }
        }
        let mut tables = BTreeMap::new();
        for (name, found) in resolved(
            &registry.configs,
            |table| (&table.name, table.extends.as_ref()),
            |_, table| registry.config(&table.name),
            &mut kept.tables,
        ) {
            match found {
                Ok(table) => drop(tables.insert(name, table)),
                Err(problem) => problems.push(problem),
            }
        }
        problems.extend(views.values().flat_map(|view| view.problems.iter().cloned()));
        let derived = registry.configs.values().flat_map(|table| table.fields.values());
        let derived = derived.filter_map(|field| match &field.fallback {
            Fallback::Derived(code) => Some(code),
            _ => None,
        });
        let mut broken_derivation = false;
        for code in derived {
            if let Syntax::Broken(problem) = parses.expression(code) {
                broken_derivation = true;
                problems.push(Problem::clone(&problem));
            }
        }
        for code in registry.inputs.values() {
            if let Syntax::Broken(problem) = parses.expression(code) {
                problems.push(Problem::clone(&problem));
            }
        }
        let reach = Reach::new(registry, &views);
        let checked = files.iter().filter(|file| file.checked);
        let mut context = Self {
            registry,
            files,
            parses,
            heirs: heirs(registry, &views),
            views,
            tables,
            broken_derivation,
            reach,
            traces: Vec::new(),
            checked: checked.map(|file| Arc::as_ptr(&file.source).addr()).collect(),
        };
        context.traces = tracing::run(&context, kept, problems);
        context
    }

    /// Whether a place is in a file that is checked.
    #[must_use]
    pub fn is_checked(&self, span: &Span) -> bool {
        self.checked.contains(&Arc::as_ptr(&span.source).addr())
    }

    /// The files that are checked.
    pub fn checked(&self) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(|file| file.checked)
    }

    /// Whether something that is checked takes part in an architecture.
    #[must_use]
    pub fn concerns(&self, architecture: &Architecture) -> bool {
        let expected = &self.registry.expectations;
        let mut expected =
            expected.iter().filter(|expected| expected.architecture.text == architecture.name.text);
        self.checked.len() == self.files.len()
            || self.is_checked(&architecture.name.span)
            || expected.any(|expected| self.is_checked(&expected.architecture.span))
            || self.reach.modules(&architecture.name.text).any(|module| {
                self.registry.modules.get(module).is_some_and(|module| self.is_checked(&module.name.span))
            })
            || self.reach.tables(&architecture.name.text).any(|table| {
                self.registry.configs.get(table).is_some_and(|table| self.is_checked(&table.name.span))
            })
    }

    /// Whether the code of a module, or of one that extends it, mentions a name.
    #[must_use]
    pub fn is_mentioned(&self, module: &str, name: &str) -> bool {
        let heirs = self.heirs.get(module).into_iter().flatten();
        heirs.into_iter().any(|view| view.mentions.contains(name))
    }

    /// Every name under which an architecture is known, defined or not.
    pub fn architecture_names(&self) -> impl Iterator<Item = &'a str> {
        let registry = self.registry;
        registry.architectures.keys().map(String::as_str).chain(registry.rules.all_known().into_keys())
    }

    /// A problem for a name that means nothing, with the nearest one that does.
    #[must_use]
    pub fn unknown<'n>(
        &self,
        code: &'static str,
        name: &Name,
        what: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> Problem {
        Problem::error(code, name.span.clone(), format!("`{}` is not {what}", name.text))
            .maybe_help(did_you_mean(&name.text, known))
    }
}

/// Entries with all that they inherit: those that are known, and the others worked out.
fn resolved<'a, E: Send + Sync, T: Send + Sync>(
    entries: &'a Table<E>,
    name_and_parent: impl Fn(&'a E) -> (&'a Name, Option<&'a Name>) + Sync,
    resolve: impl Fn(&'a str, &'a E) -> Result<T, Problem> + Sync,
    known: &mut Memory<T>,
) -> Vec<(&'a str, Result<Arc<T>, Problem>)> {
    let files = |entry: &'a E| {
        let mut files = Vec::new();
        let mut next = Some(entry);
        while let Some((name, parent)) = next.map(&name_and_parent) {
            files.push(Arc::clone(&name.span.source));
            // A cycle is a problem of whoever resolves it.
            next =
                parent.and_then(|parent| entries.get(&parent.text)).filter(|_| files.len() <= entries.len());
        }
        files
    };
    let all: Vec<(&'a String, &'a E)> = entries.into_iter().collect();
    let found: Vec<_> = (all.into_par_iter())
        .map(|(name, entry)| {
            let files = files(entry);
            match known.find(name, &files) {
                Some(found) => (name.as_str(), None, Ok(found)),
                None => (name.as_str(), Some(files), resolve(name, entry).map(Arc::new)),
            }
        })
        .collect();
    let remember = |(name, files, found): (&'a str, Option<Vec<Arc<Source>>>, Result<Arc<T>, Problem>)| {
        if let (Some(files), Ok(found)) = (files, &found) {
            known.insert(name, files, found);
        }
        (name, found)
    };
    found.into_iter().map(remember).collect()
}

/// Each module with those that extend it, directly or not, and itself.
fn heirs<'a>(
    registry: &'a Registry,
    views: &BTreeMap<&'a str, Arc<View>>,
) -> FxHashMap<&'a str, Vec<Arc<View>>> {
    let mut heirs: FxHashMap<&str, Vec<Arc<View>>> = FxHashMap::default();
    for (name, view) in views {
        let mut at = Some(*name);
        // There is a view, so the walk ends.
        while let Some(here) = at {
            heirs.entry(here).or_default().push(Arc::clone(view));
            at = registry.modules.get(here).and_then(|module| Some(module.extends.as_ref()?.text.as_str()));
        }
    }
    heirs
}
