//! What the lints look at: the files, the merged registry, its code parsed, its architectures traced.
//!
//! Built once per check. Absent on purpose: any judgement beyond what loading, parsing and tracing report.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::code::{Parses, View};
use super::reach::Reach;
use super::tracing::{self, Known, Trace};
use crate::diag::{Problem, Problems, Source, Span, did_you_mean};
use crate::registry::{Architecture, Name, Registry};

/// One file and what it says on its own.
#[derive(Debug, Clone)]
pub struct File {
    /// Its text.
    pub source: Arc<Source>,
    /// Its entries, without those of other files.
    pub registry: Registry,
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
    /// Every module with all that it inherits, its code parsed; those whose ancestors do not exist are absent.
    pub views: BTreeMap<&'a str, View>,
    /// What is built from what.
    pub reach: Reach,
    /// The architectures that what is checked takes part in, traced.
    pub traces: Vec<Trace<'a>>,
}

/// All files as one registry, later ones winning.
pub(super) fn merge(files: &[File]) -> Registry {
    let mut merged = Registry::default();
    for file in files {
        merged.absorb(file.registry.clone());
    }
    merged
}

impl<'a> Context<'a> {
    /// Parses and traces everything, adding what is wrong on the way to `problems`.
    pub(super) fn new(
        registry: &'a Registry,
        files: &'a [File],
        parses: &mut Parses,
        known: &mut Known,
        problems: &mut Problems,
    ) -> Self {
        let mut views = BTreeMap::new();
        for (name, module) in &registry.modules {
            match registry.module(name, &module.name.span) {
                Ok(resolved) => {
                    views.insert(name.as_str(), View::new(module, resolved, parses));
                }
                Err(problem) => problems.push(problem),
            }
        }
        for table in registry.configs.values() {
            if let Err(problem) = registry.config(&table.name) {
                problems.push(problem);
            }
            parses.config(table);
        }
        for code in registry.inputs.values() {
            parses.expression(code);
        }
        problems.extend(std::mem::take(&mut parses.problems));
        let reach = Reach::new(registry, &views);
        let mut context = Self { registry, files, views, reach, traces: Vec::new() };
        context.traces = tracing::run(&context, known, problems);
        context
    }

    /// Whether a place is in a file that is checked.
    #[must_use]
    pub fn is_checked(&self, span: &Span) -> bool {
        self.files.iter().any(|file| file.checked && Arc::ptr_eq(&file.source, &span.source))
    }

    /// The files that are checked.
    pub fn checked(&self) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(|file| file.checked)
    }

    /// Whether something that is checked takes part in an architecture.
    #[must_use]
    pub fn concerns(&self, architecture: &Architecture) -> bool {
        let all = self.files.iter().all(|file| file.checked);
        all || self.is_checked(&architecture.name.span)
            || self.reach.modules(&architecture.name.text).any(|module| {
                self.registry.modules.get(module).is_some_and(|module| self.is_checked(&module.name.span))
            })
            || self.reach.tables(&architecture.name.text).any(|table| {
                self.registry.configs.get(table).is_some_and(|table| self.is_checked(&table.name.span))
            })
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
