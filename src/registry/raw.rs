//! The shape of a registry file, as written.
//!
//! These types are what serde reads and what the JSON Schema is generated from. Everything keeps its place in
//! the file; meaning is given in `load`.

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::rules_raw::{RawCategory, RawKnown, RawModelType, RawRepair, RawRule, RawTokenizer, RawTrait};

/// Text with its place in the file.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
pub struct Text(Spanned<String>);

impl Text {
    /// The text itself.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get_ref()
    }

    /// The bytes of the token, quotes included.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.0.span()
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// An architecture: what identifies it and what it is built from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawArchitecture {
    /// The category it belongs to, such as `transformers` or `vision_encoder`.
    pub category: Text,
    /// The task contract its module fulfils, such as `causal-lm`.
    pub task: Text,
    /// The `model_type` values that stand for it; the first one also names its config table.
    #[serde(default)]
    pub model_types: Vec<Text>,
    /// Whether recorded outputs of the reference implementation show that the definition is right.
    #[serde(default)]
    pub verified: bool,
    /// The config table that completes its `config.json`, if not that of the first model type.
    pub config: Option<Text>,
    /// The module it is built from, if not the one of its own name.
    pub module: Option<Text>,
    /// Other names that mean this architecture.
    #[serde(default)]
    pub aliases: Vec<Text>,
    /// What a checkpoint may put before, or leave out of, every tensor name.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Tensors that a checkpoint may hold and nobody wants, as globs.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Where the weights are, in order of preference, if not under a usual name: paths below the model's directory.
    #[serde(default)]
    pub weights: Vec<String>,
    /// Checkpoint name templates and what they are called here; `{i}` is a number, any other `{x}` text.
    #[serde(default)]
    pub rename: BTreeMap<Text, Text>,
    /// The parts that can be built alone, by the name of the mode; else those of its category.
    #[serde(default)]
    pub modes: BTreeMap<Text, RawMode>,
    /// Tensors that stay as they are while it is trained, as globs over paths; else those of its category.
    pub freeze_for_training: Option<Vec<String>>,
}

/// A part of an architecture that can be built alone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawMode {
    /// The layers of the root module that are built; tensors of the others are left unread.
    pub parts: Vec<Text>,
    /// The method of the root module that stands for `forward`, if it is another.
    pub forward: Option<Text>,
}

/// What a config class fills in where `config.json` is silent.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawConfig {
    /// Another config table whose entries are inherited.
    pub extends: Option<Text>,
    /// Fields that `config.json` must have.
    #[serde(default)]
    pub required: Vec<Text>,
    /// Fields with a fixed default.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub defaults: BTreeMap<Text, toml::Value>,
    /// Fields that are `None` where `config.json` is silent.
    #[serde(default)]
    pub optional: Vec<Text>,
    /// Fields computed from others where `config.json` is silent or null.
    #[serde(default)]
    pub derived: BTreeMap<Text, Text>,
    /// Fields that are the size of a stored tensor where `config.json` is silent or null: `W[0]` is the size of
    /// axis 0 of `W`. The first whose tensor is there counts; a number at the end is for when none is.
    #[serde(default)]
    pub from_tensors: BTreeMap<Text, Vec<String>>,
    /// Sub-configs and the config table that completes each.
    #[serde(default)]
    pub parts: BTreeMap<Text, Text>,
    /// Our name of a field and another name that `config.json` may use for it.
    #[serde(default)]
    pub aliases: BTreeMap<Text, Text>,
    /// A small config that `omni check` traces the definition with.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub sample: Option<toml::Table>,
}

/// A further way into a module.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawMethod {
    /// What it takes.
    #[serde(default)]
    pub inputs: Vec<Text>,
    /// Its statements, in the module language.
    pub body: Text,
}

/// A module: its layers and its dataflow.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawModule {
    /// A module whose entries are inherited.
    pub extends: Option<Text>,
    /// Modules that stand for others anywhere below this one.
    #[serde(default)]
    pub replace: BTreeMap<Text, Text>,
    /// What the constructor takes, as Python writes parameters.
    pub args: Option<Vec<Text>>,
    /// What `forward` takes, as Python writes parameters.
    pub inputs: Option<Vec<Text>>,
    /// Constants computed once, in the order written.
    #[serde(default)]
    pub lets: BTreeMap<Text, Text>,
    /// Submodules, by the name their tensors have in the checkpoint.
    #[serde(default)]
    pub layers: BTreeMap<Text, Text>,
    /// Trainable tensors of its own, with their shapes.
    #[serde(default)]
    pub params: BTreeMap<Text, Text>,
    /// Stored tensors that are never trained, with their shapes.
    #[serde(default)]
    pub buffers: BTreeMap<Text, Text>,
    /// Layers or parameters that share the tensors of another.
    #[serde(default)]
    pub tied: BTreeMap<Text, Text>,
    /// How a checkpoint stores a parameter, where not under its own name and shape.
    #[serde(default)]
    pub stored: BTreeMap<Text, Text>,
    /// The types of root inputs, where they differ from the usual.
    #[serde(default)]
    pub types: BTreeMap<Text, Text>,
    /// The dataflow of a call, in the module language.
    pub forward: Option<Text>,
    /// Further ways in.
    #[serde(default)]
    pub methods: BTreeMap<Text, RawMethod>,
}

/// How findings of a lint are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LintLevel {
    /// They are left out.
    Off,
    /// They are notes.
    Note,
    /// They are warnings.
    Warning,
    /// They are errors.
    Error,
}

/// What a task asks of a method.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawContractMethod {
    /// Inputs that the method must take.
    pub inputs: Vec<Text>,
    /// Outputs that the method must give.
    pub outputs: Vec<Text>,
}

/// What a task asks of an architecture, so that one driver can run all of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawTask {
    /// What the task is, in one sentence.
    pub what: Option<String>,
    /// The methods it needs.
    pub methods: BTreeMap<Text, RawContractMethod>,
    /// The one of them that tokens are generated by: from those of its first input, the `logits` of the next.
    pub generates: Option<Text>,
}

/// What a definition is expected to give for a config; `omni test` holds it to that.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawExpect {
    /// The architecture that the config is expected to mean. A config that names none is taken to name it.
    pub architecture: Text,
    /// What is expected, in a few words, such as the name of a published model.
    pub what: Option<String>,
    /// The config: a table, or the path of a config.json or model directory, relative to the registry file. The
    /// architecture's sample config if it is absent.
    #[schemars(with = "Option<serde_json::Value>")]
    pub config: Option<Spanned<toml::Value>>,
    /// What is otherwise than in the architecture's sample config, which is then what the rest is about.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub sample: Option<Spanned<toml::Table>>,
    /// The category that such a config is expected to be of.
    pub category: Option<Text>,
    /// The `model_type` that such a config is expected to have.
    pub model_type: Option<Text>,
    /// The number of trainable numbers.
    #[schemars(with = "Option<u64>")]
    pub parameters: Option<Spanned<u64>>,
    /// The method that inputs and outputs are of, if not `forward`.
    pub method: Option<Text>,
    /// The shapes of inputs that are given, such as `[2, 5]`; optional inputs are there if they are given.
    #[serde(default)]
    pub inputs: BTreeMap<Text, Text>,
    /// The shapes of outputs; sizes are numbers where the inputs fix them, and else as they are printed.
    #[serde(default)]
    pub outputs: BTreeMap<Text, Text>,
}

/// Everything that a registry file may hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawFile {
    /// Architectures, by class name.
    #[serde(default)]
    pub architectures: BTreeMap<Text, RawArchitecture>,
    /// Config tables, by model type.
    #[serde(default)]
    pub config: BTreeMap<Text, RawConfig>,
    /// Modules, by name.
    #[serde(default)]
    pub modules: BTreeMap<Text, RawModule>,
    /// Task contracts, by name.
    #[serde(default)]
    pub tasks: BTreeMap<Text, RawTask>,
    /// The types of well-known root inputs.
    #[serde(default)]
    pub inputs: BTreeMap<Text, Text>,
    /// Mask inputs and the symbol whose axes each one covers.
    #[serde(default)]
    pub masks: BTreeMap<Text, Text>,
    /// Names that are known without a definition: category, task, name and its model types.
    #[serde(default)]
    pub known: BTreeMap<Text, RawKnown>,
    /// What a `model_type` means.
    #[serde(default)]
    pub model_types: BTreeMap<Text, RawModelType>,
    /// Other names of architectures.
    #[serde(default)]
    pub aliases: BTreeMap<Text, Text>,
    /// Kinds of models.
    #[serde(default)]
    pub categories: BTreeMap<Text, RawCategory>,
    /// Short names of base models and the repositories they mean.
    #[serde(default)]
    pub base_models: BTreeMap<Text, String>,
    /// Names whose category is arguable, and the argument.
    #[serde(default)]
    pub argued: BTreeMap<Text, String>,
    /// Rules that give a directory its category.
    #[serde(default)]
    pub rule: Vec<RawRule>,
    /// Things that may be true of a model beside its category.
    #[serde(default, rename = "trait")]
    pub traits: Vec<RawTrait>,
    /// Corrections of configs that are known to be wrong or outdated.
    #[serde(default)]
    pub repair: Vec<RawRepair>,
    /// Where a directory without a tokenizer gets one.
    #[serde(default)]
    pub tokenizer: Vec<RawTokenizer>,
    /// How `omni check` treats the findings of a lint, by the lint's name.
    #[serde(default)]
    pub lints: BTreeMap<Text, LintLevel>,
    /// What definitions are expected to give.
    #[serde(default)]
    pub expect: Vec<RawExpect>,
}
