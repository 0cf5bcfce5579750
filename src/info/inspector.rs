//! Asks about models with one registry and one cache.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::{ModelInfo, Support};
use crate::diag::Problem;
use crate::facts::{self, Facts, FactsError, Hub};
use crate::lang::Program;
use crate::matcher::{COLLECTION, Match, Matcher, NoMatch, PIPELINE, Status};
use crate::model::{self, Fingerprints};
use crate::registry::Registry;

/// Asks about models with one registry and one cache.
pub struct Inspector<'r> {
    matcher: Matcher<'r>,
    hub: Hub,
    fingerprints: Fingerprints<'r>,
}

impl fmt::Debug for Inspector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").field("hub", &self.hub).finish_non_exhaustive()
    }
}

impl<'r> Inspector<'r> {
    /// An inspector that matches against `registry` and looks for repository ids in `hub`.
    ///
    /// Where names lead nowhere, it compares the headers of the weights with the definitions.
    #[must_use]
    pub fn new(registry: &'r Registry, hub: Hub) -> Self {
        Self { matcher: Matcher::new(registry), hub, fingerprints: Fingerprints::new(registry) }
    }

    /// What the facts are about.
    ///
    /// # Errors
    /// The reasons there is no match.
    pub fn find(&self, facts: &Facts) -> Result<Match, Box<NoMatch>> {
        self.matcher.find_with(facts, &self.fingerprints)
    }

    /// The matcher it asks.
    #[must_use]
    pub fn matcher(&self) -> &Matcher<'r> {
        &self.matcher
    }

    /// The facts about what `path` means.
    ///
    /// # Errors
    /// If there is nothing there, or nothing that can be read.
    pub fn facts(&self, path: impl AsRef<Path>) -> Result<Facts, FactsError> {
        facts::read_in(path, &self.hub)
    }

    /// What can be told about a model without loading it. Reads tensor headers, never tensors.
    #[must_use]
    pub fn model_info(&self, path: impl AsRef<Path>) -> ModelInfo {
        match self.facts(path.as_ref()) {
            Ok(facts) => self.model_info_of(&facts),
            Err(error) => ModelInfo {
                name: name_of(path.as_ref()),
                error: Some(error.to_string()),
                ..ModelInfo::default()
            },
        }
    }

    /// What can be told about a model whose facts are read already.
    #[must_use]
    pub fn model_info_of(&self, facts: &Facts) -> ModelInfo {
        self.inspect(facts, &self.find(facts)).0
    }

    /// What can be told about a model, given what the matcher made of it, and its error with its place and remedy.
    #[must_use]
    pub fn inspect(
        &self,
        facts: &Facts,
        outcome: &Result<Match, Box<NoMatch>>,
    ) -> (ModelInfo, Option<Problem>) {
        let support = self.support_of(facts, outcome);
        let quantization = facts.quantization();
        let stored = self.stored(facts, outcome.as_ref().ok());
        let error = support.error.or_else(|| stored.as_ref().err().cloned());
        let problem = error.as_ref().map(|error| match outcome {
            Err(reasons) => reasons.problem(facts),
            Ok(found) => {
                let undefined = found.architecture.as_ref().is_some_and(|known| {
                    known.status == Status::Known && ![COLLECTION, PIPELINE].contains(&known.task.as_str())
                });
                let help = "`omni new DIR` writes an overlay that extends the nearest definition";
                Problem::unplaced("cannot-be-loaded", error.clone())
                    .maybe_help(undefined.then(|| help.to_owned()))
            }
        });
        let stored = stored.unwrap_or_default();
        let info = ModelInfo {
            name: facts.name().to_owned(),
            architecture: support.architecture,
            model_type: support.model_type,
            category: support.category,
            task: outcome.as_ref().ok().and_then(|found| Some(found.architecture.as_ref()?.task.clone())),
            is_quantized: quantization.is_some(),
            quantization: quantization.and_then(|found| found.method.clone()),
            has_talker: self.matcher.has_trait_of(facts, outcome, "talker"),
            is_omni: self.matcher.has_trait_of(facts, outcome, "omni"),
            is_supported: error.is_none(),
            has_custom_files: support.has_custom_files,
            parameters: stored.parameters,
            dtypes: stored.dtypes,
            size_on_disk: facts.size_on_disk(),
            error,
        };
        (info, problem)
    }

    /// What in the definition does not fit the config, by building its layers: that takes milliseconds, which
    /// [`ModelInfo`] does without. What only a run of it would show stays unsaid.
    #[must_use]
    pub fn misfit(&self, facts: &Facts, found: &Match) -> Option<Problem> {
        let registry = self.matcher.registry();
        let architecture = registry.architectures.get(found.architecture_name()?)?;
        let mut config = found.config(facts).clone();
        model::complete(registry, architecture, facts, &mut config);
        let source = facts.config().map(|document| Arc::clone(&document.source));
        Program::build(registry, architecture, &config, source).err()
    }

    /// Whether a model can be loaded, and if not, why.
    #[must_use]
    pub fn support(&self, path: impl AsRef<Path>) -> Support {
        match self.facts(path) {
            Ok(facts) => self.support_of(&facts, &self.find(&facts)),
            Err(error) => Support { error: Some(error.to_string()), ..Support::default() },
        }
    }

    /// Whether a model can be loaded, given what the matcher made of it.
    #[must_use]
    pub fn support_of(&self, facts: &Facts, outcome: &Result<Match, Box<NoMatch>>) -> Support {
        let has_custom_files = facts.has_custom_code();
        let model_type = facts.model_type().map(str::to_owned);
        match outcome {
            Ok(found) => {
                let error = self.obstacle(facts, found);
                Support {
                    supported: error.is_none(),
                    category: Some(found.category.clone()),
                    architecture: found.architecture_name().map(str::to_owned),
                    model_type,
                    has_custom_files,
                    error,
                }
            }
            Err(error) => Support {
                supported: false,
                category: error.category.clone(),
                architecture: error.claimed.first().cloned(),
                model_type,
                has_custom_files,
                error: Some(format!("{error}; {}", error.help())),
            },
        }
    }

    /// The category of a model; `None` if nothing tells.
    #[must_use]
    pub fn category(&self, path: impl AsRef<Path>) -> Option<String> {
        self.matcher.category(&self.facts(path).ok()?, &self.fingerprints)
    }

    /// Whether a trait of that name holds; false if there is nothing to read.
    #[must_use]
    pub fn has_trait(&self, path: impl AsRef<Path>, id: &str) -> bool {
        self.facts(path).is_ok_and(|facts| self.matcher.has_trait(&facts, &self.fingerprints, id))
    }

    /// Whether a rule for that category holds; false if there is nothing to read.
    #[must_use]
    pub fn could_be(&self, path: impl AsRef<Path>, category: &str) -> bool {
        self.facts(path).is_ok_and(|facts| self.matcher.could_be(&facts, &self.fingerprints, category))
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
