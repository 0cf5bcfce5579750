//! From the names in a config to a known architecture: exact, alias or other case, model type.
//!
//! Exact names are looked up where they stand; other spellings only when that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::registry::Registry;
use crate::registry::rules::fold_model_type;

/// How an architecture was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The config gives its very name.
    Exact,
    /// The config gives another name of it.
    Alias,
    /// The config gives its name in other case.
    Case,
    /// The config's `model_type` stands for it.
    ModelType,
    /// A rule that recognised the directory's layout implies it.
    Layout,
    /// The checkpoint's tensors are exactly those that its definition expects.
    Fingerprint,
}

impl Step {
    /// A word for it that programs can rely on.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Alias => "alias",
            Self::Case => "case",
            Self::ModelType => "model-type",
            Self::Layout => "layout",
            Self::Fingerprint => "fingerprint",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "by its exact name",
            Self::Alias => "by an alias",
            Self::Case => "by its name in other case",
            Self::ModelType => "by its model_type",
            Self::Layout => "by the layout of its files",
            Self::Fingerprint => "by the names and shapes of its tensors",
        })
    }
}

/// Whether omni can build what it recognises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// There is a definition.
    Defined,
    /// The name is known, and that is all.
    Known,
}

/// An architecture that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name in the registry.
    pub name: String,
    /// The name in the config that led to it, if one did.
    pub claimed: Option<String>,
    /// How it was found.
    pub step: Step,
    /// The category it is listed under.
    pub category: String,
    /// What it does.
    pub task: String,
    /// Whether there is a definition.
    pub status: Status,
}

/// Several architectures that a name could mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ambiguous {
    pub(super) name: String,
    pub(super) step: Step,
    pub(super) candidates: Vec<String>,
}

/// How many aliases may follow one another.
const ALIAS_CHAIN: usize = 8;

/// Looks names up in a registry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) registry: &'a Registry,
}

impl Names<'_> {
    /// The architecture of exactly that name.
    pub(super) fn known(self, name: &str, claimed: Option<&str>, step: Step) -> Option<Found> {
        let claimed = claimed.map(str::to_owned);
        if let Some(architecture) = self.registry.architectures.get(name) {
            return Some(Found {
                name: name.to_owned(),
                claimed,
                step,
                category: architecture.category.text.clone(),
                task: architecture.task.text.clone(),
                status: Status::Defined,
            });
        }
        let known = self.registry.rules.known(name)?;
        Some(Found {
            name: name.to_owned(),
            claimed,
            step,
            category: known.category.clone(),
            task: known.task.clone(),
            status: Status::Known,
        })
    }

    /// The architecture that an alias means, aliases of aliases followed.
    pub(super) fn alias(self, name: &str) -> Option<Found> {
        let mut at = name;
        for _ in 0..ALIAS_CHAIN {
            at = match self.registry.rules.alias(at) {
                Some(alias) => &alias.target.text,
                None => self.declared_alias(at)?,
            };
            if let Some(found) = self.known(at, Some(name), Step::Alias) {
                return Some(found);
            }
        }
        None
    }

    /// The architecture whose definition claims the alias.
    fn declared_alias(&self, name: &str) -> Option<&str> {
        let claims = |(_, entry): &(&String, &crate::registry::Architecture)| {
            entry.aliases.iter().any(|alias| alias.text == name)
        };
        self.registry.architectures.iter().find(claims).map(|(target, _)| target.as_str())
    }

    /// The architecture whose name differs in case alone.
    pub(super) fn other_case(self, name: &str) -> Result<Option<Found>, Ambiguous> {
        let folded = name.to_lowercase();
        let is_same = |other: &str| other.to_lowercase() == folded;
        let rules = &self.registry.rules;
        let mut candidates: BTreeSet<&str> = rules.known_in_other_case(name).into_keys().collect();
        candidates
            .extend(rules.aliases_in_other_case(name).into_values().map(|alias| alias.target.text.as_str()));
        for (target, architecture) in &self.registry.architectures {
            if is_same(target) || architecture.aliases.iter().any(|alias| is_same(&alias.text)) {
                candidates.insert(target);
            }
        }
        let resolved: BTreeMap<String, Found> = candidates
            .into_iter()
            .filter_map(|target| self.known(target, Some(name), Step::Case).or_else(|| self.alias(target)))
            .map(|found| {
                (found.name.clone(), Found { claimed: Some(name.to_owned()), step: Step::Case, ..found })
            })
            .collect();
        one_of(resolved, name, Step::Case)
    }

    /// The architecture that a model type stands for: its entry decides, else the one definition that claims it.
    pub(super) fn exact_model_type(self, name: &str) -> Result<Option<Found>, Ambiguous> {
        if let Some(entry) = self.registry.rules.model_type(name) {
            let target = entry.architecture.text.as_str();
            let found = self.known(target, None, Step::ModelType).or_else(|| self.alias(target));
            return Ok(found.map(|found| Found { claimed: None, step: Step::ModelType, ..found }));
        }
        let claims = self
            .registry
            .architectures
            .iter()
            .filter(|(_, entry)| entry.model_types.iter().any(|model_type| model_type.text == name));
        let found = claims
            .filter_map(|(target, _)| Some((target.clone(), self.known(target, None, Step::ModelType)?)))
            .collect();
        one_of(found, name, Step::ModelType)
    }

    /// The architecture that a model type stands for, spelled with other case or other dashes.
    pub(super) fn folded_model_type(self, name: &str) -> Result<Option<Found>, Ambiguous> {
        let folded = fold_model_type(name);
        let listed = self.registry.rules.model_types_in_other_spelling(name).into_keys();
        let claimed = self.registry.architectures.values().flat_map(|entry| &entry.model_types);
        let claimed = claimed.map(|name| name.text.as_str()).filter(|name| fold_model_type(name) == folded);
        let mut resolved = BTreeMap::new();
        for candidate in listed.chain(claimed).collect::<BTreeSet<_>>() {
            if let Some(found) = self.exact_model_type(candidate)? {
                resolved.insert(found.name.clone(), found);
            }
        }
        one_of(resolved, name, Step::ModelType)
    }
}

fn one_of(mut found: BTreeMap<String, Found>, name: &str, step: Step) -> Result<Option<Found>, Ambiguous> {
    match found.len() {
        0 | 1 => Ok(found.pop_first().map(|(_, found)| found)),
        _ => Err(Ambiguous { name: name.to_owned(), step, candidates: found.into_keys().collect() }),
    }
}
