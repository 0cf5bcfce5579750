//! What every name in a registry means: each occurrence, with what it stands for.
//!
//! Built from the registry's entries and the parsed code, once per check, when something is first asked. Absent on
//! purpose: guesses. A name that may mean several things has several occurrences, and one that may mean anything has
//! none and is kept in [`Index::open`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::owners::{field_owner, owner, parameter};
use crate::diag::{Source, Span};
use crate::lang::ast::{ExprKind, TextRange};
use crate::lang::{functions, parse};
use crate::lint::Checked;
use crate::registry::{Code, Fallback, Name};

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meaning {
    Architecture(String),
    Config(String),
    Module(String),
    /// A layer, parameter, buffer, constant or argument, by the topmost module that declares it.
    Member(String, String),
    /// A field, by the topmost config table that declares it.
    Field(String, String),
    /// What a method takes, by module and method.
    Input(String, String, String),
    /// A variable of one piece of code, by the place of that piece.
    Local(usize, usize, String),
    Op(String),
    Function(String),
    Task(String),
    Category(String),
}

/// A name somewhere.
#[derive(Debug, Clone)]
pub(super) struct Occurrence {
    pub(super) span: Span,
    pub(super) meaning: Meaning,
    /// Whether it is declared here.
    pub(super) declares: bool,
    /// Whether the text is only there for something else, too: an architecture's name that also names its module.
    pub(super) implied: bool,
}

/// Every occurrence of every name.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) occurrences: Vec<Occurrence>,
    /// Names that nobody can tell the meaning of without running the code: attributes, keywords, texts.
    pub(super) open: BTreeMap<String, Vec<Span>>,
}

impl Index {
    pub(super) fn new(checked: &Checked) -> Self {
        let mut builder = Builder { checked, index: Self::default(), seen: BTreeSet::new() };
        builder.architectures();
        builder.configs();
        builder.modules();
        builder.index
    }

    /// What stands at a byte of a file.
    pub(super) fn at(&self, file: &str, offset: usize) -> Vec<&Occurrence> {
        let holds =
            |span: &Span| span.source.name == file && span.range.start <= offset && offset <= span.range.end;
        let mut found: Vec<&Occurrence> =
            self.occurrences.iter().filter(|occurrence| holds(&occurrence.span)).collect();
        // The shortest is meant: an implied one may lie around others.
        let least = found.iter().map(|occurrence| occurrence.span.range.len()).min();
        found.retain(|occurrence| Some(occurrence.span.range.len()) == least);
        found
    }

    /// Every occurrence of something.
    pub(super) fn all<'s>(&'s self, meaning: &'s Meaning) -> impl Iterator<Item = &'s Occurrence> {
        self.occurrences.iter().filter(move |occurrence| occurrence.meaning == *meaning)
    }
}

pub(super) struct Builder<'c> {
    pub(super) checked: &'c Checked,
    index: Index,
    /// What is there already: a piece of code is inherited by many.
    seen: BTreeSet<(usize, usize, usize, Meaning)>,
}

impl Builder<'_> {
    fn add(&mut self, span: Span, meaning: Meaning, declares: bool, implied: bool) {
        let key = (Arc::as_ptr(&span.source).addr(), span.range.start, span.range.end, meaning.clone());
        if self.seen.insert(key) {
            self.index.occurrences.push(Occurrence { span, meaning, declares, implied });
        }
    }

    pub(super) fn declare(&mut self, span: &Span, meaning: Meaning) {
        self.add(span.clone(), meaning, true, false);
    }

    pub(super) fn mention(&mut self, span: Span, meaning: Meaning) {
        self.add(span, meaning, false, false);
    }

    pub(super) fn open(&mut self, name: &str, span: Span) {
        self.index.open.entry(name.to_owned()).or_default().push(span);
    }

    fn architectures(&mut self) {
        let checked = self.checked;
        for architecture in checked.registry.architectures.values() {
            let name = &architecture.name;
            self.declare(&name.span, Meaning::Architecture(name.text.clone()));
            self.mention(
                architecture.category.span.clone(),
                Meaning::Category(architecture.category.text.clone()),
            );
            self.mention(architecture.task.span.clone(), Meaning::Task(architecture.task.text.clone()));
            let implied = architecture.module.span == name.span;
            let module = Meaning::Module(architecture.module.text.clone());
            self.add(architecture.module.span.clone(), module, false, implied);
            if let Some(config) = &architecture.config {
                let implied = architecture.model_types.iter().any(|found| found.span == config.span);
                self.add(config.span.clone(), Meaning::Config(config.text.clone()), false, implied);
            }
            let texts = architecture.prefixes.iter().chain(&architecture.ignore);
            let renames = architecture.rename.iter().flat_map(|(from, to)| [from, to]);
            for text in texts.chain(renames) {
                for part in text.split(['.', '{', '}']).filter(|part| !part.is_empty()) {
                    self.open(part, name.span.clone());
                }
            }
        }
        for task in checked.registry.tasks.values() {
            self.declare(&task.name.span, Meaning::Task(task.name.text.clone()));
        }
        for category in checked.registry.rules.categories.values() {
            self.declare(&category.name.span, Meaning::Category(category.name.text.clone()));
        }
    }

    fn configs(&mut self) {
        let checked = self.checked;
        for table in checked.registry.configs.values() {
            let name = table.name.text.as_str();
            self.declare(&table.name.span, Meaning::Config(name.to_owned()));
            if let Some(parent) = &table.extends {
                self.mention(parent.span.clone(), Meaning::Config(parent.text.clone()));
            }
            for (field, declared) in &table.fields {
                if let Some(owner) = field_owner(checked, name, field) {
                    self.declare(&declared.span, Meaning::Field(owner, field.clone()));
                }
                match &declared.fallback {
                    Fallback::Part(part) => {
                        self.mention(part.span.clone(), Meaning::Config(part.text.clone()));
                    }
                    Fallback::Derived(code) => self.derived(name, code),
                    _ => {}
                }
            }
        }
        for source in &checked.registry.sources {
            if source.text.contains("[config.") {
                self.keys_of_configs(source);
            }
        }
    }

    fn derived(&mut self, table: &str, code: &Code) {
        let Ok(expr) = parse::expression(code) else { return };
        expr.each(&mut |expr| {
            let ExprKind::Name(name) = &expr.kind else { return };
            let span = inside(code, &expr.range);
            if let Some(owner) = field_owner(self.checked, table, name) {
                self.mention(span, Meaning::Field(owner, name.to_string()));
            } else if functions().any(|function| function == &**name) {
                self.mention(span, Meaning::Function(name.to_string()));
            }
        });
    }

    /// The keys under `sample` and `aliases`, which are names of fields too.
    fn keys_of_configs(&mut self, source: &Arc<Source>) {
        let (root, _) = toml::de::DeTable::parse_recoverable(&source.text);
        let Some(tables) = root.get_ref().get("config").and_then(|configs| configs.get_ref().as_table())
        else {
            return;
        };
        for (name, table) in tables {
            for group in ["sample", "aliases"] {
                let Some(keys) = table.get_ref().get(group).and_then(|keys| keys.get_ref().as_table()) else {
                    continue;
                };
                for (key, _) in keys {
                    if let Some(owner) = field_owner(self.checked, name.get_ref(), key.get_ref()) {
                        let span = content(source, key.span());
                        self.mention(span, Meaning::Field(owner, key.get_ref().to_string()));
                    }
                }
            }
        }
    }

    fn modules(&mut self) {
        let checked = self.checked;
        for module in checked.registry.modules.values() {
            let name = module.name.text.as_str();
            self.declare(&module.name.span, Meaning::Module(name.to_owned()));
            if let Some(parent) = &module.extends {
                self.mention(parent.span.clone(), Meaning::Module(parent.text.clone()));
            }
            for (from, to) in &module.replace {
                self.mention(from.span.clone(), Meaning::Module(from.text.clone()));
                self.mention(to.span.clone(), Meaning::Module(to.text.clone()));
            }
            let member = |entry: &str| {
                owner(checked, name, entry).map(|owner| Meaning::Member(owner, entry.to_owned()))
            };
            let groups = [&module.layers, &module.params, &module.buffers, &module.lets];
            for (entry, _) in groups.into_iter().flatten() {
                if let Some(meaning) = member(&entry.text) {
                    self.declare(&entry.span, meaning);
                }
            }
            for code in module.args.iter().flatten() {
                let (text, span) = parameter(code);
                if let Some(meaning) = member(text) {
                    self.declare(&span, meaning);
                }
            }
            for (entry, _) in module.stored.iter().chain(&module.tied) {
                self.path(entry, &member);
            }
            let forward = module.inputs.iter().flatten().map(|code| ("forward", code));
            let others = module
                .methods
                .iter()
                .flat_map(|(name, method)| method.inputs.iter().map(|code| (name.text.as_str(), code)));
            for (method, code) in forward.chain(others) {
                let (text, span) = parameter(code);
                let input = Meaning::Input(name.to_owned(), method.to_owned(), text.to_owned());
                self.declare(&span, input);
            }
        }
        for view in checked.views.values() {
            for piece in view.all() {
                self.piece(view, piece);
            }
        }
    }

    /// A dotted path as a key: its first step is a member, what follows can be anything.
    fn path(&mut self, entry: &Name, member: &dyn Fn(&str) -> Option<Meaning>) {
        let (first, rest) = entry.text.split_once('.').unwrap_or((&entry.text, ""));
        if let Some(meaning) = member(first) {
            let start = entry.span.range.start;
            self.mention(Span::new(&entry.span.source, start..start + first.len()), meaning);
        }
        rest.split('.').filter(|part| !part.is_empty()).for_each(|part| self.open(part, entry.span.clone()));
    }
}

/// A range of a piece of code in its file.
fn inside(code: &Code, range: &TextRange) -> Span {
    let start = code.span.range.start;
    Span::new(&code.span.source, start + range.start as usize..start + range.end as usize)
}

/// A key or text without its quotes.
fn content(source: &Arc<Source>, token: std::ops::Range<usize>) -> Span {
    let text = source.text.get(token.clone()).unwrap_or_default();
    let quotes = usize::from(text.starts_with(['\'', '"']));
    Span::new(source, token.start + quotes..token.end.saturating_sub(quotes).max(token.start + quotes))
}
