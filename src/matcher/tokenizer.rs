//! Whose tokenizer a directory without one of its own uses.

use std::path::Path;

use serde_json::Value;

use super::conditions::Subject;
use super::{Match, Matcher};
use crate::facts::{Facts, Kind, lookup};
use crate::registry::rules::{TokenizerRule, TokenizerSource};

/// A model whose tokenizer a rule says to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerHint {
    /// The rule.
    pub rule: String,
    /// Why this tokenizer is the right one.
    pub why: String,
    /// The repository whose tokenizer it is.
    pub repository: String,
    /// What told: a config path or a name.
    pub told_by: String,
}

/// How many of a folder's inner configs are looked at for the name of the base model.
const INNER_CONFIGS: usize = 8;

impl Matcher<'_> {
    /// The models whose tokenizers the rules name for this directory, in the order of the rules' ids.
    ///
    /// Nothing is chosen silently: the caller tries them, and reports the one it takes.
    #[must_use]
    pub fn tokenizers(&self, facts: &Facts, found: &Match) -> Vec<TokenizerHint> {
        let architecture = found.architecture.as_ref();
        let names: Vec<&str> = architecture.map(|found| found.name.as_str()).into_iter().collect();
        let subject = Subject {
            facts,
            config: found.config(facts),
            names: &names,
            listed: Some(architecture.map_or(found.category.as_str(), |found| found.category.as_str())),
            model_type: found.model_type.as_deref(),
        };
        let rules = self.registry.rules.tokenizers.values();
        let holding = rules.filter(|rule| self.evaluator().holds(&rule.when, subject));
        let mut hints: Vec<TokenizerHint> = holding.filter_map(|rule| self.hint(facts, rule)).collect();
        hints.dedup_by(|a, b| a.repository == b.repository);
        hints
    }

    fn hint(&self, facts: &Facts, rule: &TokenizerRule) -> Option<TokenizerHint> {
        let (repository, told_by) = match &rule.source {
            TokenizerSource::Repository(repository) => (repository.clone(), "the rule itself".to_owned()),
            TokenizerSource::Config(paths) => self.base_in_config(facts, paths)?,
            TokenizerSource::Path => self.base_in_path(facts)?,
        };
        Some(TokenizerHint { rule: rule.id.text.clone(), why: rule.why.clone(), repository, told_by })
    }

    /// The base model that the config names, or that a config further inside does.
    fn base_in_config(&self, facts: &Facts, paths: &[String]) -> Option<(String, String)> {
        let named = |file: &str, value: &Value| {
            paths.iter().find_map(|path| {
                let name = lookup(value, path)?.as_str().filter(|name| !name.is_empty())?;
                Some((self.repository_of(name), format!("`{path}` in {file}")))
            })
        };
        if let Some(config) = facts.config()
            && let Some(found) = named(&config.file, &config.value)
        {
            return Some(found);
        }
        let inner = facts.deep_entries().iter().filter(|entry| {
            let file = entry.name.rsplit('/').next().unwrap_or_default();
            entry.kind == Kind::File && (file == "config.json" || file == "cfg.json")
        });
        inner.take(INNER_CONFIGS).find_map(|entry| {
            let document = facts.document(&entry.name).ok()?;
            named(&document.file, &document.value)
        })
    }

    /// The known base model with the longest name that occurs in the directory's name or those above it.
    fn base_in_path(&self, facts: &Facts) -> Option<(String, String)> {
        let places: Vec<String> = std::iter::once(facts.name().to_lowercase())
            .chain(facts.root().ancestors().take(6).filter_map(last_part))
            .collect();
        let bases = &self.registry.rules.base_models;
        places.iter().find_map(|place| {
            let occurring = bases.iter().filter(|(name, _)| place.contains(name.as_str()));
            let (name, repository) = occurring.max_by_key(|(name, _)| name.len())?;
            Some((repository.clone(), format!("`{name}` in the name `{place}`")))
        })
    }

    /// The repository that a base model's name means.
    fn repository_of(&self, name: &str) -> String {
        self.registry.rules.base_models.get(&name.to_lowercase()).cloned().unwrap_or_else(|| name.to_owned())
    }
}

fn last_part(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().to_lowercase())
}
