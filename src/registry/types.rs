//! What the entries of registry files become: architectures, config tables, modules, tasks, expectations.
//!
//! Every name and every piece of code keeps its place. Absent on purpose: reading them ([`super::load`]) and looking
//! them up ([`super::Registry`]).

use std::collections::BTreeMap;

use super::Mode;
use crate::diag::Span;

/// A name with its place.
#[derive(Debug, Clone)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A piece of the module language with its place: offsets in `text` are offsets from the span's start.
#[derive(Debug, Clone)]
pub struct Code {
    /// The text.
    pub text: String,
    /// Where it stands, without quotes.
    pub span: Span,
}

/// Entries in the order written, each with the place of its name.
pub type Entries<T> = Vec<(Name, T)>;

/// An architecture: what identifies it and what it is built from.
#[derive(Debug, Clone)]
pub struct Architecture {
    /// Its class name.
    pub name: Name,
    /// The category it belongs to.
    pub category: Name,
    /// The task contract it fulfils.
    pub task: Name,
    /// The `model_type` values that stand for it.
    pub model_types: Vec<Name>,
    /// Whether recorded outputs of the reference implementation show that the definition is right.
    pub verified: bool,
    /// Other names that mean it.
    pub aliases: Vec<Name>,
    /// The config table that completes its `config.json`.
    pub config: Option<Name>,
    /// The module it is built from.
    pub module: Name,
    /// What a checkpoint may put before, or leave out of, every tensor name.
    pub prefixes: Vec<String>,
    /// Tensors that a checkpoint may hold and nobody wants, as globs.
    pub ignore: Vec<String>,
    /// Where the weights are, in order of preference, if not under a usual name.
    pub weights: Vec<String>,
    /// Checkpoint name templates and what they are called here.
    pub rename: Vec<(String, String)>,
    /// Where the right side of each of them is written.
    pub rename_at: Vec<Span>,
    /// The parts that can be built alone, by the name of the mode; see [`Architecture::in_mode`].
    pub modes: BTreeMap<String, Mode>,
    /// Tensors that stay as they are while it is trained; `None` where its category says it.
    pub freeze_for_training: Option<Vec<String>>,
    /// The mode that was chosen; `None` for the whole.
    pub mode: Option<Mode>,
}

/// What a config class fills in where `config.json` is silent.
#[derive(Debug, Clone)]
pub struct ConfigTable {
    /// Its name, a model type.
    pub name: Name,
    /// The table whose entries it inherits; empty once resolved.
    pub extends: Option<Name>,
    /// The fields it knows.
    pub fields: BTreeMap<String, Field>,
    /// Other spellings, by our name.
    pub aliases: Vec<(String, String)>,
    /// A small config to trace with.
    pub sample: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A field of a config table.
#[derive(Debug, Clone)]
pub struct Field {
    /// Where it is declared.
    pub span: Span,
    /// What it is where `config.json` is silent.
    pub fallback: Fallback,
}

/// What a field is where `config.json` is silent.
#[derive(Debug, Clone)]
pub enum Fallback {
    /// It must be there.
    Required,
    /// `None`.
    Optional,
    /// A fixed value.
    Default(serde_json::Value),
    /// Computed from other fields.
    Derived(Code),
    /// A sub-config completed by the named table, empty where it is absent.
    Part(Name),
    /// The first of these sizes that is known.
    Sizes(Vec<Size>),
}

/// A number that a checkpoint may tell by the shape of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Size {
    /// The size of an axis of a stored tensor.
    Axis(String, usize),
    /// This number.
    Fixed(u64),
}

impl std::str::FromStr for Size {
    type Err = String;

    /// Reads `tensor[axis]`, or a number.
    fn from_str(text: &str) -> Result<Self, String> {
        let axis = text.strip_suffix(']').and_then(|text| text.rsplit_once('['));
        let size = match axis {
            Some((name, axis)) if !name.is_empty() => {
                axis.parse().ok().map(|axis| Self::Axis(name.to_owned(), axis))
            }
            _ => text.parse().ok().map(Self::Fixed),
        };
        size.ok_or_else(|| format!("`{text}` is no size: write `tensor[axis]`, or a number"))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Axis(name, axis) => write!(f, "{name}[{axis}]"),
            Self::Fixed(number) => write!(f, "{number}"),
        }
    }
}

/// A way into a module.
#[derive(Debug, Clone)]
pub struct Method {
    /// What it takes, as Python writes parameters.
    pub inputs: Vec<Code>,
    /// Its statements.
    pub body: Code,
}

/// A module: its layers and its dataflow.
#[derive(Debug, Clone)]
pub struct Module {
    /// Its name.
    pub name: Name,
    /// The module whose entries it inherits.
    pub extends: Option<Name>,
    /// Modules that stand for others anywhere below this one.
    pub replace: Vec<(Name, Name)>,
    /// What the constructor takes.
    pub args: Option<Vec<Code>>,
    /// What `forward` takes.
    pub inputs: Option<Vec<Code>>,
    /// Constants.
    pub lets: Entries<Code>,
    /// Submodules.
    pub layers: Entries<Code>,
    /// Trainable tensors of its own.
    pub params: Entries<Code>,
    /// Stored tensors that are never trained.
    pub buffers: Entries<Code>,
    /// Layers or parameters that share the tensors of another.
    pub tied: Entries<Code>,
    /// How a checkpoint stores a parameter.
    pub stored: Entries<Code>,
    /// The types of root inputs.
    pub types: Entries<Code>,
    /// The ways in, `forward` among them.
    pub methods: Entries<Method>,
}

impl Module {
    /// The first of a chain of modules, each of which extends the next, with all that it inherits.
    pub(crate) fn inherited(chain: &[&Self]) -> Self {
        let (oldest, heirs) = chain.split_last().expect("a chain starts with the module itself");
        heirs.iter().rev().fold((*oldest).clone(), |parent, child| child.over(parent))
    }

    /// This module's entries over those of the one it extends.
    fn over(&self, mut parent: Self) -> Self {
        fn merge<T: Clone>(parent: &mut Entries<T>, child: &Entries<T>) {
            for (name, value) in child {
                match parent.iter_mut().find(|(existing, _)| existing.text == name.text) {
                    Some(entry) => *entry = (name.clone(), value.clone()),
                    None => parent.push((name.clone(), value.clone())),
                }
            }
        }
        merge(&mut parent.lets, &self.lets);
        merge(&mut parent.layers, &self.layers);
        merge(&mut parent.params, &self.params);
        merge(&mut parent.buffers, &self.buffers);
        merge(&mut parent.tied, &self.tied);
        merge(&mut parent.stored, &self.stored);
        merge(&mut parent.types, &self.types);
        // A child that changes only the inputs of `forward` keeps its parent's body, and the reverse.
        merge(&mut parent.methods, &self.methods);
        for (from, to) in &self.replace {
            parent.replace.retain(|(existing, _)| existing.text != from.text);
            parent.replace.push((from.clone(), to.clone()));
        }
        Self {
            name: self.name.clone(),
            extends: None,
            args: self.args.clone().or(parent.args),
            inputs: self.inputs.clone().or(parent.inputs),
            ..parent
        }
    }
}

/// What a task asks of one method.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Inputs that the method must take.
    pub inputs: Vec<Name>,
    /// Outputs that the method must give.
    pub outputs: Vec<Name>,
}

/// What a task asks of an architecture.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its name.
    pub name: Name,
    /// What it is, in one sentence.
    pub what: String,
    /// The methods it needs.
    pub methods: Entries<Contract>,
    /// The one of them that tokens are generated by: from those of its first input, the `logits` of the next.
    pub generates: Option<Name>,
}

/// What a definition is expected to give for a config.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The architecture that the config is expected to mean.
    pub architecture: Name,
    /// What is expected, in a few words.
    pub what: Option<String>,
    /// The config; the architecture's sample if it is absent.
    pub config: Option<ExpectedOf>,
    /// The category expected.
    pub category: Option<Name>,
    /// The `model_type` expected.
    pub model_type: Option<Name>,
    /// The number of trainable numbers expected, and where it stands.
    pub parameters: Option<(u64, Span)>,
    /// The method that inputs and outputs are of; `forward` if it is absent.
    pub method: Option<Name>,
    /// The shapes of inputs.
    pub inputs: Entries<Name>,
    /// The shapes of outputs expected.
    pub outputs: Entries<Name>,
}

impl Expectation {
    /// The name of the method that inputs and outputs are of.
    #[must_use]
    pub fn method_name(&self) -> &str {
        self.method.as_ref().map_or("forward", |method| &method.text)
    }

    /// Whether the shape of an input is given.
    #[must_use]
    pub fn gives(&self, input: &str) -> bool {
        self.inputs.iter().any(|(name, _)| name.text == input)
    }
}

/// The config that an expectation is about.
#[derive(Debug, Clone)]
pub enum ExpectedOf {
    /// Written beside it.
    Written(serde_json::Map<String, serde_json::Value>),
    /// The sample, but for these fields.
    Changed(serde_json::Map<String, serde_json::Value>),
    /// In this file or model directory, relative to the registry file.
    Path(Name),
}
