//! Finds which architecture a directory holds, and of which category it is.
//!
//! Takes [`Facts`] and the [`Registry`]; gives one [`Match`], or the reasons there is none. The architecture comes
//! from a cascade: exact name, alias or other case, `model_type`, layout, fingerprint of the tensors; the category
//! from rules, tried by priority. A tie is a problem, never settled by file order.
//!
//! Absent on purpose: I/O of its own, tensors, model names.

mod conditions;
mod find;
mod fingerprint;
mod names;
mod nearest;
mod patterns;
mod repair;
mod report;
mod tokenizer;
mod trace;

use std::sync::OnceLock;

use serde_json::Value;

use crate::diag::Problem;
use crate::facts::Facts;
use crate::registry::Registry;
use crate::registry::rules::Rule;

pub use conditions::Verdict;
pub use fingerprint::{Candidate, Fingerprints, NoFingerprints};
pub use names::{Found, Status, Step};
pub use nearest::Near;
pub use repair::{Applied, Change, undo};
pub use tokenizer::TokenizerHint;
pub use trace::{RuleTrace, Trace};

use patterns::Patterns;

/// A registry made ready for matching many directories; patterns are compiled when first needed.
#[derive(Debug)]
pub struct Matcher<'r> {
    registry: &'r Registry,
    patterns: Patterns,
    by_priority: OnceLock<Vec<&'r Rule>>,
}

/// What a directory holds, and why that is so.
#[derive(Debug, Clone)]
pub struct Match {
    /// The architecture; `None` where the category needs none, as for a pipeline that names no class.
    pub architecture: Option<Found>,
    /// The category.
    pub category: String,
    /// The rule that gave the category.
    pub rule: String,
    /// Why that rule implies it.
    pub why: String,
    /// The `model_type`.
    pub model_type: Option<String>,
    /// The repairs that were applied to the config.
    pub repairs: Vec<Applied>,
    /// The repaired config; `None` if nothing had to be repaired.
    pub repaired: Option<Value>,
    /// The names that were looked up, in order.
    pub looked: Vec<Looked>,
    /// How many rules were tried, highest priority first; [`Matcher::explain`] tells how each came out.
    pub rules_tried: usize,
    /// What is odd about it, none of it an error.
    pub notes: Vec<Problem>,
}

/// How to let a directory's own definition count.
pub const ALLOW_LOCAL_DEFINITION: &str = "the directory brings a definition of its own, `omni.toml`, which is data and \
    runs nothing: allow it with `--allow-local-definition` (in Rust: `Loader::allow_local_definition`)";

impl Match {
    /// The config to build from: repaired if it had to be.
    #[must_use]
    pub fn config<'a>(&'a self, facts: &'a Facts) -> &'a Value {
        self.repaired.as_ref().unwrap_or_else(|| facts.value())
    }

    /// The architecture's name in the registry.
    #[must_use]
    pub fn architecture_name(&self) -> Option<&str> {
        self.architecture.as_ref().map(|found| found.name.as_str())
    }

    /// Whether there is a definition of the architecture.
    #[must_use]
    pub fn is_defined(&self) -> bool {
        self.architecture.as_ref().is_some_and(|found| found.status == Status::Defined)
    }
}

/// The task of a known name that stands for a folder of models.
pub(crate) const COLLECTION: &str = "collection";
/// The task of a known name that stands for several models working together.
pub(crate) const PIPELINE: &str = "pipeline";

/// A name that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Under which step of the cascade.
    pub step: Step,
    /// The name.
    pub name: String,
    /// The architecture it led to, if it did.
    pub found: Option<String>,
}

/// Why no architecture was found.
#[derive(Debug, Clone)]
pub struct NoMatch {
    /// The reason.
    pub reason: Reason,
    /// What the directory is called.
    pub directory: String,
    /// The category, if a rule gave one all the same.
    pub category: Option<String>,
    /// The names that the config gives.
    pub claimed: Vec<String>,
    /// The `model_type`.
    pub model_type: Option<String>,
    /// The known names that come nearest in spelling, best first.
    pub nearest: Vec<Near>,
    /// The definitions whose tensors come nearest, best first.
    pub candidates: Vec<Candidate>,
    /// Python files that the repository brings along; they are never executed.
    pub custom_code: Vec<String>,
    /// Whether the directory brings a definition of its own that nobody has allowed.
    pub local_definition: bool,
    /// The names that were looked up, in order.
    pub looked: Vec<Looked>,
    /// How many rules were tried, highest priority first; [`Matcher::explain`] tells how each came out.
    pub rules_tried: usize,
}

/// The reason why no architecture was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The directory has no config, and nothing else that tells.
    NoConfig,
    /// The config names neither an architecture nor a model type.
    NothingNamed {
        /// The config file.
        file: String,
    },
    /// What the config names is not known.
    Unknown,
    /// Several things are equally right.
    Tie {
        /// What is tied, as an article and a noun.
        what: &'static str,
        /// What was looked at.
        of: String,
        /// The tied ones, sorted.
        between: Vec<String>,
    },
    /// No name leads anywhere, and the tensors are those of several definitions.
    SeveralFit {
        /// The file that should name one.
        file: String,
        /// Their architectures, sorted.
        between: Vec<String>,
    },
}

/// Finds what `facts` are about, without a look at tensors.
///
/// Compiles the patterns anew: use a [`Matcher`] for more than one directory.
///
/// # Errors
/// The reasons there is no match.
pub fn find(registry: &Registry, facts: &Facts) -> Result<Match, Box<NoMatch>> {
    Matcher::new(registry).find(facts)
}

impl<'r> Matcher<'r> {
    /// A matcher over a registry; nothing is compiled yet.
    #[must_use]
    pub fn new(registry: &'r Registry) -> Self {
        Self { registry, patterns: Patterns::default(), by_priority: OnceLock::new() }
    }

    /// The registry it matches against.
    #[must_use]
    pub fn registry(&self) -> &'r Registry {
        self.registry
    }

    /// Whether the directory brings a definition of its own that is not part of the registry.
    #[must_use]
    pub fn passes_over_local_definition(&self, facts: &Facts) -> bool {
        facts.has_local_definition() && !self.registry.has_file(&facts.local_definition_name())
    }

    /// What is wrong with the patterns of the registry's rules.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.patterns.problems(&self.registry.rules)
    }

    /// The rules, highest priority first, by id among equals.
    fn by_priority(&self) -> &[&'r Rule] {
        self.by_priority.get_or_init(|| {
            let mut rules: Vec<&'r Rule> = self.registry.rules.rules.values().collect();
            rules.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.id.text.cmp(&b.id.text)));
            rules
        })
    }
}
