//! The rule tables of a registry file, as written, and what they become.
//!
//! Takes serde's view of an entry; gives the resolved entry of [`super::rules`]. A condition that asks nothing is
//! a problem here; whether patterns and names are sound is for `lint` to say.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::Name;
use super::load::{Reader, json};
use super::raw::{RawMode, Text};
use super::rules::{
    Ask, Category, Condition, ConfigTest, Edit, ModelType, NameTest, Repair, Rule, Test, TokenizerRule,
    TokenizerSource, Trait,
};
use crate::diag::Problem;

/// One name, or a list of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<String>);

impl JsonSchema for OneOrMany {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a model type, or a list of model types")
            }
            fn visit_str<E>(self, name: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![name.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = items.next_element()? {
                    names.push(name);
                }
                Ok(OneOrMany(names))
            }
        }
        deserializer.deserialize_any(Names)
    }
}

/// A table with its place in the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Placed<T>(toml::Spanned<T>);

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// The known names of one category: task, then name and the model types it occurs under.
pub type RawKnown = BTreeMap<Text, BTreeMap<Text, OneOrMany>>;

/// What a `model_type` means.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawModelType {
    /// The architecture that it means where a config names none.
    pub architecture: Text,
    /// The config class of the reference library.
    pub config_class: Option<String>,
}

/// A kind of model.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawCategory {
    /// What belongs to it, in one sentence.
    pub what: String,
    /// The parts that can be built alone, by the name of the mode; of the layers named, those that there are.
    #[serde(default)]
    pub modes: BTreeMap<Text, RawMode>,
    /// Tensors that stay as they are while a model of it is trained, as globs over paths.
    #[serde(default)]
    pub freeze_for_training: Vec<String>,
}

/// A condition on a model directory. Several keys in one table must all hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawCondition {
    /// Every one of these holds.
    pub all: Option<Vec<Placed<RawCondition>>>,
    /// At least one of these holds.
    pub any: Option<Vec<Placed<RawCondition>>>,
    /// This does not hold.
    pub not: Option<Box<Placed<RawCondition>>>,
    /// A file matches one of these globs; with a `/`, also below the top level.
    pub file: Option<Vec<String>>,
    /// A folder matches one of these globs; with a `/`, also below the top level.
    pub dir: Option<Vec<String>>,
    /// A tensor of the checkpoint has a name that matches one of these globs.
    pub tensor: Option<Vec<String>>,
    /// The config says so.
    pub config: Option<RawConfigTest>,
    /// The architecture's name fits.
    pub architecture: Option<RawNameTest>,
    /// The `model_type` fits.
    pub model_type: Option<RawNameTest>,
}

/// A question to the config. Several keys must all hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawConfigTest {
    /// The dotted path of the value; `*` stands for any key or index.
    pub path: String,
    /// Whether it is there and not null.
    pub exists: Option<bool>,
    /// The value it has.
    #[schemars(with = "Option<serde_json::Value>")]
    pub equals: Option<toml::Value>,
    /// The values it may have.
    #[schemars(with = "Option<Vec<serde_json::Value>>")]
    pub one_of: Option<Vec<toml::Value>>,
    /// A regular expression that matches the string it is.
    pub matches: Option<String>,
    /// The smallest number it may be.
    pub at_least: Option<f64>,
    /// The largest number it may be.
    pub at_most: Option<f64>,
}

/// A question to a name. Several keys must all hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawNameTest {
    /// The names it may be.
    pub exact: Option<Vec<String>>,
    /// The category under which it must be known.
    pub listed: Option<String>,
    /// A regular expression that matches it.
    pub matches: Option<String>,
}

/// A rule that gives a directory its category.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawRule {
    /// Its name.
    pub id: Text,
    /// The category it gives.
    pub category: Text,
    /// Rules of higher priority are tried first.
    pub priority: Placed<i64>,
    /// Why the condition implies the category.
    pub why: String,
    /// What must hold.
    pub when: Placed<RawCondition>,
    /// The architecture that it implies where the config names none.
    pub architecture: Option<Text>,
}

/// Something that may be true of a model beside its category.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawTrait {
    /// Its name.
    pub id: Text,
    /// Why the condition implies it.
    pub why: String,
    /// What must hold.
    pub when: Placed<RawCondition>,
}

/// A correction of a config that is known to be wrong or outdated.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawRepair {
    /// Its name.
    pub id: Text,
    /// What is wrong with such a config.
    pub why: String,
    /// What must hold.
    pub when: Placed<RawCondition>,
    /// Old path and new path of values that are moved.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Values written where there is none.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub fill: BTreeMap<String, toml::Value>,
    /// Values written over what is there.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: BTreeMap<String, toml::Value>,
    /// Paths of values that are taken away.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// Where a directory without a tokenizer of its own gets one. Exactly one of the last three keys is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawTokenizer {
    /// Its name.
    pub id: Text,
    /// Why this tokenizer is the right one.
    pub why: String,
    /// What must hold.
    pub when: Placed<RawCondition>,
    /// The repository whose tokenizer it is.
    pub repository: Option<String>,
    /// Config paths at which the model may be named.
    pub from_config: Option<Vec<String>>,
    /// Whether the directory's name tells the base model.
    pub from_path: Option<bool>,
}

impl Reader<'_> {
    /// The resolved condition; a problem and a condition that never holds if it asks nothing.
    pub(super) fn condition(&mut self, raw: Placed<RawCondition>) -> Condition {
        let span = self.span(raw.0.span());
        let raw = raw.0.into_inner();
        let mut tests = Vec::new();
        let several = |reader: &mut Self, raws: Vec<Placed<RawCondition>>| -> Vec<Condition> {
            raws.into_iter().map(|raw| reader.condition(raw)).collect()
        };
        if let Some(raws) = raw.all {
            tests.push(Test::All(several(self, raws)));
        }
        if let Some(raws) = raw.any {
            tests.push(Test::Any(several(self, raws)));
        }
        if let Some(raw) = raw.not {
            tests.push(Test::Not(Box::new(self.condition(*raw))));
        }
        tests.extend(raw.file.map(Test::File));
        tests.extend(raw.dir.map(Test::Dir));
        tests.extend(raw.tensor.map(Test::Tensor));
        tests.extend(raw.config.map(config_test).map(Test::Config));
        for name in raw.architecture.into_iter().flat_map(name_tests) {
            tests.push(Test::Architecture(name));
        }
        for name in raw.model_type.into_iter().flat_map(name_tests) {
            tests.push(Test::ModelType(name));
        }
        if tests.is_empty() {
            let problem = Problem::error("empty-condition", span.clone(), "this condition asks nothing");
            self.problem(
                problem
                    .help("give one of: all, any, not, file, dir, tensor, config, architecture, model-type"),
            );
            return Condition { span, test: Test::Any(Vec::new()) };
        }
        let test = if tests.len() == 1 {
            tests.remove(0)
        } else {
            Test::All(tests.into_iter().map(|test| Condition { span: span.clone(), test }).collect())
        };
        Condition { span, test }
    }

    pub(super) fn model_type(&self, name: Name, raw: RawModelType) -> ModelType {
        ModelType { name, architecture: self.name(&raw.architecture), config_class: raw.config_class }
    }

    pub(super) fn category(&self, name: Name, raw: RawCategory) -> Category {
        Category {
            name,
            what: raw.what,
            modes: self.modes(&raw.modes),
            freeze_for_training: raw.freeze_for_training,
        }
    }

    pub(super) fn rule(&mut self, raw: RawRule) -> Rule {
        Rule {
            id: self.name(&raw.id),
            category: self.name(&raw.category),
            priority_at: self.span(raw.priority.0.span()),
            priority: raw.priority.0.into_inner(),
            why: raw.why,
            architecture: raw.architecture.as_ref().map(|text| self.name(text)),
            when: self.condition(raw.when),
        }
    }

    pub(super) fn trait_(&mut self, raw: RawTrait) -> Trait {
        Trait { id: self.name(&raw.id), why: raw.why, when: self.condition(raw.when) }
    }

    pub(super) fn repair(&mut self, raw: RawRepair) -> Repair {
        let renames = raw.rename.into_iter().map(|(from, to)| Edit::Rename(from, to));
        let fills = raw.fill.into_iter().map(|(path, value)| Edit::Fill(path, json(&value)));
        let sets = raw.set.into_iter().map(|(path, value)| Edit::Set(path, json(&value)));
        let removals = raw.remove.into_iter().map(Edit::Remove);
        let edits: Vec<Edit> = renames.chain(fills).chain(sets).chain(removals).collect();
        let id = self.name(&raw.id);
        if edits.is_empty() {
            let message = format!("the repair `{}` edits nothing", id.text);
            let problem = Problem::error("empty-repair", id.span.clone(), message);
            self.problem(problem.help("give one of: rename, fill, set, remove"));
        }
        Repair { id, why: raw.why, when: self.condition(raw.when), edits }
    }

    pub(super) fn tokenizer(&mut self, raw: RawTokenizer) -> Option<TokenizerRule> {
        let id = self.name(&raw.id);
        let source = match (raw.repository, raw.from_config, raw.from_path) {
            (Some(repository), None, None) => TokenizerSource::Repository(repository),
            (None, Some(paths), None) => TokenizerSource::Config(paths),
            (None, None, Some(true)) => TokenizerSource::Path,
            _ => {
                let message = format!("the tokenizer rule `{}` does not say where to look", id.text);
                let problem = Problem::error("tokenizer-source", id.span, message);
                self.problem(problem.help("give exactly one of: repository, from-config, from-path = true"));
                return None;
            }
        };
        Some(TokenizerRule { id, why: raw.why, when: self.condition(raw.when), source })
    }
}

fn config_test(raw: RawConfigTest) -> ConfigTest {
    let mut asks = Vec::new();
    asks.extend(raw.exists.map(Ask::Exists));
    asks.extend(raw.equals.map(|value| Ask::OneOf(vec![json(&value)])));
    asks.extend(raw.one_of.map(|values| Ask::OneOf(values.iter().map(json).collect())));
    asks.extend(raw.matches.map(Ask::Matches));
    asks.extend(raw.at_least.map(Ask::AtLeast));
    asks.extend(raw.at_most.map(Ask::AtMost));
    if asks.is_empty() {
        asks.push(Ask::Exists(true));
    }
    ConfigTest { path: raw.path, asks }
}

fn name_tests(raw: RawNameTest) -> Vec<NameTest> {
    let mut tests = Vec::new();
    tests.extend(raw.exact.map(NameTest::Exact));
    tests.extend(raw.listed.map(NameTest::Listed));
    tests.extend(raw.matches.map(NameTest::Matches));
    tests
}
