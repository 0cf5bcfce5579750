//! The registry: every architecture, config table and module that omni knows, as data.
//!
//! The shipped files are compiled in; overlays are merged over them entry by entry, later ones winning. What
//! comes out is indexed by name, keeps its place in the files, and has not been given meaning beyond that: the
//! module language lives in `lang`.
//!
//! Absent on purpose: tensors, and any model's name in code.

mod load;
mod modes;
mod overlays;
pub mod raw;
pub mod rules;
pub mod rules_raw;
mod sample;
mod schema;
mod shipped;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::diag::{Problem, Problems, Source, Span, did_you_mean};

pub use load::LoadError;
pub use modes::{FULL, Mode};
pub use overlays::overlays_of_the_user;
pub use sample::{named, sample};
pub use schema::schema;
pub use table::{Iter, Table};

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

/// The config that an expectation is about.
#[derive(Debug, Clone)]
pub enum ExpectedOf {
    /// Written beside it.
    Written(serde_json::Map<String, serde_json::Value>),
    /// In this file or model directory, relative to the registry file.
    Path(Name),
}

/// Everything the registry files say, by name.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// The files it was read from, in order.
    pub sources: Vec<Arc<Source>>,
    /// Architectures by class name.
    pub architectures: Table<Architecture>,
    /// Config tables by model type.
    pub configs: Table<ConfigTable>,
    /// Modules by name, as written: see [`Registry::module`] for the resolved ones.
    pub modules: Table<Module>,
    /// Task contracts by name.
    pub tasks: Table<Task>,
    /// The types of well-known root inputs.
    pub inputs: Table<Code>,
    /// Mask inputs and the symbol whose axes each one covers.
    pub masks: Table<String>,
    /// Names, categories, rules and repairs.
    pub rules: Arc<rules::Rules>,
    /// How `omni check` treats the findings of a lint.
    pub lints: BTreeMap<String, (Name, raw::LintLevel)>,
    /// What definitions are expected to give. Those of the shipped files are not read with the rest.
    pub expectations: Vec<Expectation>,
}

impl Registry {
    /// The registry that omni ships with, shared. Its tables are parsed when they are first looked at.
    ///
    /// # Errors
    /// None: a test keeps the shipped files free of problems.
    pub fn shipped() -> Result<&'static Self, Problems> {
        Ok(&shipped::REGISTRY)
    }

    /// The registry that omni ships with, as a copy that can be merged into.
    ///
    /// # Errors
    /// None, as [`Registry::shipped`].
    pub fn embedded() -> Result<Self, Problems> {
        Self::shipped().cloned()
    }

    /// The shipped registry with every overlay merged over it, in order. A path is a file or a folder of files.
    ///
    /// # Errors
    /// If a path cannot be read, or if what it holds is not a registry file.
    pub fn with_overlays<P: AsRef<Path>>(overlays: &[P]) -> Result<Self, LoadError> {
        let mut registry = Self::embedded().map_err(LoadError::Problems)?;
        let mut problems = Problems::new();
        for path in overlays {
            for source in load::sources(path.as_ref())? {
                problems.extend(load::merge(&mut registry, &source));
            }
        }
        problems.or_ok(registry).map_err(LoadError::Problems)
    }

    /// A registry of just these files, later ones winning, with everything that is wrong with them.
    #[must_use]
    pub fn from_files(files: impl IntoIterator<Item = Arc<Source>>) -> (Self, Problems) {
        let mut registry = Self::default();
        let mut problems = Problems::new();
        for source in files {
            problems.extend(load::merge(&mut registry, &source));
        }
        (registry, problems)
    }

    /// Merges one more file over what is there.
    pub fn merge(&mut self, source: &Arc<Source>) -> Problems {
        load::merge(self, source)
    }

    /// The registry files at a path: the file itself, or every `.toml` file below the folder, by name.
    ///
    /// # Errors
    /// If the path, or a file below it, cannot be read.
    pub fn sources(path: &Path) -> Result<Vec<Arc<Source>>, LoadError> {
        load::sources(path)
    }

    /// This registry with one more file over it: what a model directory brings, for instance.
    ///
    /// # Errors
    /// The problems of the file.
    pub fn with_file(&self, source: &Arc<Source>) -> Result<Self, LoadError> {
        let mut registry = self.clone();
        let problems = registry.merge(source);
        problems.or_ok(registry).map_err(LoadError::Problems)
    }

    /// Whether a file of that name is part of it.
    #[must_use]
    pub fn has_file(&self, name: &str) -> bool {
        self.sources.iter().any(|source| source.name == name)
    }

    /// Merges another registry over this one, entry by entry.
    pub fn absorb(&mut self, other: Self) {
        self.sources.extend(other.sources);
        self.architectures.absorb(other.architectures);
        self.configs.absorb(other.configs);
        self.modules.absorb(other.modules);
        self.tasks.absorb(other.tasks);
        self.inputs.absorb(other.inputs);
        self.masks.absorb(other.masks);
        self.lints.extend(other.lints);
        self.expectations.extend(other.expectations);
        let theirs = Arc::unwrap_or_clone(other.rules);
        let ours = Arc::make_mut(&mut self.rules);
        ours.naming.known.extend(theirs.naming.known);
        ours.naming.model_types.extend(theirs.naming.model_types);
        ours.naming.aliases.extend(theirs.naming.aliases);
        ours.naming.argued.extend(theirs.naming.argued);
        ours.shipped_names = ours.shipped_names.or(theirs.shipped_names);
        ours.categories.extend(theirs.categories);
        ours.rules.extend(theirs.rules);
        ours.traits.extend(theirs.traits);
        ours.repairs.extend(theirs.repairs);
        ours.tokenizers.extend(theirs.tokenizers);
        ours.base_models.extend(theirs.base_models);
    }

    /// The module of that name with everything it inherits.
    ///
    /// # Errors
    /// If it, or a module it extends, does not exist, or if it extends itself.
    pub fn module(&self, name: &str, asked_at: &Span) -> Result<Module, Problem> {
        let find = |name: &str, at: &Span| {
            self.modules.get(name).ok_or_else(|| {
                Problem::error("unknown-module", at.clone(), format!("`{name}` is not a module"))
                    .maybe_help(did_you_mean(name, self.modules.keys().map(String::as_str)))
            })
        };
        let mut chain = vec![find(name, asked_at)?];
        let mut seen = BTreeSet::from([name]);
        while let Some(parent) = &chain[chain.len() - 1].extends {
            if !seen.insert(&parent.text) {
                let message = format!("`{name}` extends itself through `{}`", parent.text);
                return Err(Problem::error("extends-cycle", parent.span.clone(), message));
            }
            chain.push(find(&parent.text, &parent.span)?);
        }
        let mut module = chain.pop().cloned().unwrap_or_else(|| unreachable!("the chain starts with one"));
        for child in chain.into_iter().rev() {
            module = child.over(module);
        }
        Ok(module)
    }

    /// The config table of that name with everything it inherits.
    ///
    /// # Errors
    /// If it, or a table it extends, does not exist, or if it extends itself.
    pub fn config(&self, name: &Name) -> Result<ConfigTable, Problem> {
        let find = |name: &Name| {
            self.configs.get(&name.text).ok_or_else(|| {
                let message = format!("`{}` is not a config table", name.text);
                Problem::error("unknown-config", name.span.clone(), message)
                    .maybe_help(did_you_mean(&name.text, self.configs.keys().map(String::as_str)))
            })
        };
        let mut table = find(name)?.clone();
        let mut seen = BTreeSet::from([name.text.clone()]);
        while let Some(parent) = table.extends.take() {
            if !seen.insert(parent.text.clone()) {
                let message = format!("config `{}` extends itself through `{}`", name.text, parent.text);
                return Err(Problem::error("extends-cycle", parent.span, message));
            }
            let parent = find(&parent)?.clone();
            for (field, value) in parent.fields {
                table.fields.entry(field).or_insert(value);
            }
            table.aliases.extend(parent.aliases);
            for (field, value) in parent.sample.into_iter().flatten() {
                table.sample.get_or_insert_default().entry(field).or_insert(value);
            }
            table.extends = parent.extends;
        }
        Ok(table)
    }
}

impl Module {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(text: &str) -> (Registry, Problems) {
        Registry::from_files([Source::new("test.toml", text)])
    }

    #[test]
    fn a_child_replaces_by_name_and_keeps_the_order() {
        let (registry, problems) = registry(
            "[modules.A]\nlayers.one = 'X()'\nlayers.two = 'Y()'\nforward = 'return one'\n\
             [modules.B]\nextends = 'A'\nlayers.one = 'Z()'\nlayers.three = 'W()'\n",
        );
        assert!(problems.is_empty(), "{problems}");
        let at = registry.modules["B"].name.span.clone();
        let module = registry.module("B", &at).expect("B exists");
        let layers: Vec<_> = module.layers.iter().map(|(n, c)| format!("{}={}", n.text, c.text)).collect();
        assert_eq!(layers, ["one=Z()", "two=Y()", "three=W()"]);
        assert_eq!(module.methods[0].1.body.text, "return one");
    }

    #[test]
    fn a_cycle_of_extends_is_a_problem_not_a_hang() {
        let (registry, _) = registry("[modules.A]\nextends = 'B'\n[modules.B]\nextends = 'A'\n");
        let at = registry.modules["A"].name.span.clone();
        let problem = registry.module("A", &at).expect_err("a cycle");
        assert_eq!(problem.code, "extends-cycle");
    }

    #[test]
    fn code_knows_its_place_without_quotes_and_first_newline() {
        let text = "[modules.A]\nlayers.x = 'Linear(1)'\nforward = '''\nreturn x\n'''\n";
        let (registry, problems) = registry(text);
        assert!(problems.is_empty(), "{problems}");
        let module = &registry.modules["A"];
        assert_eq!(module.layers[0].1.span.text(), "Linear(1)");
        assert_eq!(module.methods[0].1.body.span.text(), "return x\n");
    }

    #[test]
    fn several_broken_entries_are_reported_at_once() {
        let (_, problems) =
            registry("[modules.A]\nlayer.x = 'X()'\n[modules.B]\nforwards = 'x'\n[modulez.C]\n");
        let found: Vec<_> = problems.sorted().into_iter().map(|p| p.to_string()).collect();
        insta::assert_snapshot!(found.join("\n"));
    }
}
