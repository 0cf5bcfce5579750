//! Names, categories and rules: what identifies a model, before anything is built.
//!
//! The raw types are what serde reads from `categories.toml`, `names/*.toml`, `repairs.toml`, `tokenizers.toml`
//! and any overlay; the resolved ones are what `matcher` evaluates. Conditions keep their places, so that a trace
//! and a lint can point at them.
//!
//! Absent on purpose: conditions, which have a file of their own, and their evaluation (`matcher`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::shipped::NameLists;
use super::{Mode, Name};
use crate::diag::Span;

pub use super::conditions::{Ask, Condition, ConfigTest, NameTest, Test};

/// A name that is known, with or without a definition.
#[derive(Debug, Clone)]
pub struct Known {
    /// The name.
    pub name: Name,
    /// The category it belongs to.
    pub category: String,
    /// What it does, such as `causal-lm`.
    pub task: String,
    /// The `model_type` values under which it occurs.
    pub model_types: Vec<String>,
}

/// What stands for an architecture where a config names none.
#[derive(Debug, Clone)]
pub struct ModelType {
    /// The value of `model_type`.
    pub name: Name,
    /// The architecture that it means by default.
    pub architecture: Name,
    /// The config class of the reference library.
    pub config_class: Option<String>,
}

/// Another name of an architecture.
#[derive(Debug, Clone)]
pub struct Alias {
    /// The other name.
    pub name: Name,
    /// The architecture meant.
    pub target: Name,
}

/// A kind of model.
#[derive(Debug, Clone)]
pub struct Category {
    /// Its name.
    pub name: Name,
    /// What belongs to it, in one sentence.
    pub what: String,
    /// The parts that can be built alone, by the name of the mode.
    pub modes: BTreeMap<String, Mode>,
    /// Tensors that stay as they are while a model of it is trained, as globs over paths.
    pub freeze_for_training: Vec<String>,
}

/// A rule that gives a directory its category.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name.
    pub id: Name,
    /// The category it gives.
    pub category: Name,
    /// Rules of higher priority are tried first.
    pub priority: i64,
    /// Where that is written.
    pub priority_at: Span,
    /// Why the condition implies the category.
    pub why: String,
    /// What must hold.
    pub when: Condition,
    /// The architecture that it implies where the config names none.
    pub architecture: Option<Name>,
}

/// Something that may be true of a model beside its category, such as having a part that speaks.
#[derive(Debug, Clone)]
pub struct Trait {
    /// Its name.
    pub id: Name,
    /// Why the condition implies it.
    pub why: String,
    /// What must hold.
    pub when: Condition,
}

/// A correction of a config that is known to be wrong or outdated.
#[derive(Debug, Clone)]
pub struct Repair {
    /// Its name.
    pub id: Name,
    /// What is wrong with such a config, and where that is known from.
    pub why: String,
    /// What must hold.
    pub when: Condition,
    /// The edits, in the order in which they are made.
    pub edits: Vec<Edit>,
}

/// One edit of a config. A path is dotted; tables on the way are made.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Moves the value at the first path to the second, if it is there and the second is not.
    Rename(String, String),
    /// Writes a value where there is none, or null.
    Fill(String, Value),
    /// Writes a value over what is there.
    Set(String, Value),
    /// Takes a value away.
    Remove(String),
}

/// Where a directory without a tokenizer of its own gets one.
#[derive(Debug, Clone)]
pub struct TokenizerRule {
    /// Its name.
    pub id: Name,
    /// Why this tokenizer is the right one.
    pub why: String,
    /// What must hold.
    pub when: Condition,
    /// The model whose tokenizer it is.
    pub source: TokenizerSource,
}

/// How a tokenizer rule finds the model whose tokenizer is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizerSource {
    /// This repository.
    Repository(String),
    /// The model that the config names at one of these paths.
    Config(Vec<String>),
    /// The known base model whose name occurs in the directory's name.
    Path,
}

/// Names, and what they mean.
#[derive(Debug, Clone, Default)]
pub(super) struct Naming {
    pub(super) known: BTreeMap<String, Known>,
    pub(super) model_types: BTreeMap<String, ModelType>,
    pub(super) aliases: BTreeMap<String, Alias>,
    pub(super) argued: BTreeMap<String, String>,
}

/// Everything about identification that the registry files say.
///
/// The shipped names are many and rarely needed, since most models have a definition: they are read when one is
/// first asked for.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub(super) naming: Naming,
    pub(super) shipped_names: Option<&'static LazyLock<NameLists>>,
    /// Categories.
    pub categories: BTreeMap<String, Category>,
    /// Category rules by id.
    pub rules: BTreeMap<String, Rule>,
    /// Traits by id.
    pub traits: BTreeMap<String, Trait>,
    /// Repairs by id.
    pub repairs: BTreeMap<String, Repair>,
    /// Tokenizer rules by id.
    pub tokenizers: BTreeMap<String, TokenizerRule>,
    /// Short names of base models and the repositories they mean.
    pub base_models: BTreeMap<String, String>,
}

impl Rules {
    /// Whether there are none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { naming, shipped_names, categories, rules, traits, repairs, tokenizers, base_models } =
            self;
        let Naming { known, model_types, aliases, argued } = naming;
        let names = known.len() + model_types.len() + aliases.len() + argued.len();
        let lists = rules.len() + traits.len() + repairs.len() + tokenizers.len();
        shipped_names.is_none() && names + lists + categories.len() + base_models.len() == 0
    }

    /// A name that is known without a definition.
    #[must_use]
    pub fn known(&self, name: &str) -> Option<&Known> {
        self.named("known", name, |naming| &naming.known)
    }

    /// What a `model_type` means where a config names no architecture.
    #[must_use]
    pub fn model_type(&self, name: &str) -> Option<&ModelType> {
        self.named("model-types", name, |naming| &naming.model_types)
    }

    /// The alias of that name.
    #[must_use]
    pub fn alias(&self, name: &str) -> Option<&Alias> {
        self.named("aliases", name, |naming| &naming.aliases)
    }

    /// The argument for the category of a name, where one could argue.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.named("argued", name, |naming| &naming.argued).map(String::as_str)
    }

    /// Every name that is known without a definition.
    #[must_use]
    pub fn all_known(&self) -> BTreeMap<&str, &Known> {
        self.all("known", |naming| &naming.known)
    }

    /// Every model type.
    #[must_use]
    pub fn all_model_types(&self) -> BTreeMap<&str, &ModelType> {
        self.all("model-types", |naming| &naming.model_types)
    }

    /// Every alias.
    #[must_use]
    pub fn all_aliases(&self) -> BTreeMap<&str, &Alias> {
        self.all("aliases", |naming| &naming.aliases)
    }

    /// Every name whose category is argued for, and the argument.
    #[must_use]
    pub fn all_arguments(&self) -> BTreeMap<&str, &String> {
        self.all("argued", |naming| &naming.argued)
    }

    /// Every name that is known without a definition, without what is known of it; a name may come twice.
    #[must_use]
    pub fn known_names(&self) -> Vec<&str> {
        self.names("known", |naming| &naming.known)
    }

    /// The names of every model type; a name may come twice.
    #[must_use]
    pub fn model_type_names(&self) -> Vec<&str> {
        self.names("model-types", |naming| &naming.model_types)
    }

    /// The known names that differ from this one in case at most.
    #[must_use]
    pub fn known_in_other_case(&self, name: &str) -> BTreeMap<&str, &Known> {
        self.folded("known", name, str::to_lowercase, |naming| &naming.known)
    }

    /// The aliases that differ from this name in case at most.
    #[must_use]
    pub fn aliases_in_other_case(&self, name: &str) -> BTreeMap<&str, &Alias> {
        self.folded("aliases", name, str::to_lowercase, |naming| &naming.aliases)
    }

    /// The model types that differ from this one in case and dashes at most.
    #[must_use]
    pub fn model_types_in_other_spelling(&self, name: &str) -> BTreeMap<&str, &ModelType> {
        self.folded("model-types", name, fold_model_type, |naming| &naming.model_types)
    }

    fn names<T: 'static>(&self, table: &'static str, of: fn(&Naming) -> &BTreeMap<String, T>) -> Vec<&str> {
        let mut names: Vec<&str> = of(&self.naming).keys().map(String::as_str).collect();
        if let Some(shipped) = self.shipped_names {
            for name in shipped.names(table) {
                names.push(name);
            }
        }
        names
    }

    fn folded<T: 'static>(
        &self,
        table: &'static str,
        name: &str,
        fold: fn(&str) -> String,
        of: fn(&Naming) -> &BTreeMap<String, T>,
    ) -> BTreeMap<&str, &T> {
        let wanted = fold(name);
        let mut found: BTreeMap<&str, &T> = BTreeMap::new();
        if let Some(shipped) = self.shipped_names {
            for naming in shipped.mentioning_folded(table, &wanted, fold) {
                found.extend(of(naming).iter().map(|(name, entry)| (name.as_str(), entry)));
            }
        }
        found.extend(of(&self.naming).iter().map(|(name, entry)| (name.as_str(), entry)));
        found.retain(|name, _| fold(name) == wanted);
        found
    }

    fn named<T: 'static>(
        &self,
        table: &'static str,
        name: &str,
        of: fn(&Naming) -> &BTreeMap<String, T>,
    ) -> Option<&T> {
        of(&self.naming).get(name).or_else(|| {
            let shipped = self.shipped_names?;
            shipped.mentioning(table, name).find_map(|naming| of(naming).get(name))
        })
    }

    fn all<T: 'static>(
        &self,
        table: &'static str,
        of: fn(&Naming) -> &BTreeMap<String, T>,
    ) -> BTreeMap<&str, &T> {
        let shipped = self.shipped_names.into_iter().flat_map(|shipped| shipped.all(table));
        let mut namings: Vec<&Naming> = shipped.collect();
        namings.push(&self.naming);
        namings.into_iter().flat_map(of).map(|(name, entry)| (name.as_str(), entry)).collect()
    }
}

/// A model type as it is compared with others: in lower case, every dash an underscore.
#[must_use]
pub fn fold_model_type(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}
