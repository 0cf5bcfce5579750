//! Reads registry files: text to [`RawFile`] entries to the indexed [`Registry`].
//!
//! Each entry is read on its own, so that one broken entry does not hide the problems of the others.
//!
//! Absent on purpose: the meaning of expressions and the existence of what is named; `lang` and `lint` see to it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::raw::Text;
use super::rules::{Alias, Known, Rules};
use super::rules_raw::RawKnown;
use super::{Code, Entries, Name, Registry};
use crate::diag::{Problem, Problems, Source, Span, did_you_mean};

/// Why a registry could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder cannot be read.
    #[error("cannot read the registry `{}`: {error}; give a .toml file or a folder of them", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// A file is no text.
    #[error("`{}` is not UTF-8: line {line} holds the byte {byte:#04x}; save it as UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line, from 1, of the first byte that is wrong.
        line: usize,
        /// That byte.
        byte: u8,
    },
    /// The files have errors.
    #[error("{0}")]
    Problems(Problems),
}

pub(super) const TABLES: &[&str] = &[
    "architectures",
    "config",
    "modules",
    "tasks",
    "inputs",
    "masks",
    "known",
    "model-types",
    "aliases",
    "categories",
    "base-models",
    "argued",
    "lints",
];
/// What is written as `[[name]]`, each entry with an `id`, but for what is expected.
pub(super) const LISTS: &[&str] = &["rule", "trait", "repair", "tokenizer", "expect"];

/// The registry files at a path that are wanted: the file itself, or every `.toml` file below the folder, by name. Those
/// that cannot be read are told beside the others.
pub(super) fn sources(path: &Path, wanted: &dyn Fn(&Path) -> bool) -> (Vec<Arc<Source>>, Vec<LoadError>) {
    let mut files = Vec::new();
    if let Err(error) = collect(path, &mut Vec::new(), &mut files) {
        return (Vec::new(), vec![LoadError::Read { path: path.to_owned(), error }]);
    }
    files.retain(|file| wanted(file));
    files.sort();
    let read = |file: &PathBuf| Ok(Source::new(file.display().to_string(), read(file)?));
    // What the system does for a file takes longer than to hand some of many to another thread.
    let read: Vec<Result<_, LoadError>> = match files.len() {
        ..=8 => files.iter().map(read).collect(),
        _ => files.par_iter().map(read).collect(),
    };
    let (mut sources, mut faults) = (Vec::with_capacity(files.len()), Vec::new());
    for found in read {
        match found {
            Ok(source) => sources.push(source),
            Err(fault) => faults.push(fault),
        }
    }
    (sources, faults)
}

fn read(file: &Path) -> Result<String, LoadError> {
    let bytes = std::fs::read(file).map_err(|error| LoadError::Read { path: file.to_owned(), error })?;
    String::from_utf8(bytes).map_err(|error| {
        let (good, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let line = String::from_utf8_lossy(&bytes[..good]).matches('\n').count() + 1;
        LoadError::NotText { path: file.to_owned(), line, byte: bytes[good] }
    })
}

/// Folders deeper than this are not looked into.
const MAX_DEPTH: usize = 8;

/// `within` are the folders that lead here. A link to one of them is not followed: it would have no end.
fn collect(path: &Path, within: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let here = path.canonicalize()?;
    if within.contains(&here) {
        return Ok(());
    }
    within.push(here);
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        if (kind.is_dir() || (kind.is_symlink() && path.is_dir())) && within.len() <= MAX_DEPTH {
            collect(&path, within, files)?;
        } else if is_toml {
            files.push(path);
        }
    }
    within.pop();
    Ok(())
}

/// Reads one file into the registry, over what is there already.
pub(super) fn merge(registry: &mut Registry, source: &Arc<Source>) -> Problems {
    registry.sources.push(Arc::clone(source));
    merge_part(registry, source, 0..source.text.len())
}

/// Reads some sections of a file into the registry, over what is there already.
pub(super) fn merge_part(registry: &mut Registry, source: &Arc<Source>, part: Range<usize>) -> Problems {
    let mut reader = Reader { source, offset: part.start, problems: Problems::new() };
    let (table, errors) = DeTable::parse_recoverable(&source.text[part]);
    for error in errors {
        let span = reader.span(error.span().unwrap_or(0..0));
        reader.problems.push(Problem::error("toml-syntax", span, error.message().to_owned()));
    }
    for (key, value) in table.into_inner() {
        let (name, at) = (key.get_ref().to_string(), key.span());
        if LISTS.contains(&name.as_str()) {
            reader.list(registry, &name, value);
            continue;
        }
        if !TABLES.contains(&name.as_str()) {
            let message = format!("`{name}` is not a registry table");
            let problem = Problem::error("unknown-key", reader.span(at), message);
            let help = did_you_mean(&name, TABLES.iter().chain(LISTS).copied());
            reader.problems.push(problem.help(
                help.unwrap_or_else(|| format!("use one of: {}, {}", TABLES.join(", "), LISTS.join(", "))),
            ));
            continue;
        }
        let span = reader.span(value.span());
        let DeValue::Table(entries) = value.into_inner() else {
            let problem = Problem::error("wrong-type", span, format!("`{name}` is no table"));
            reader.problems.push(problem.help(format!("write `[{name}.NAME]`")));
            continue;
        };
        for (entry, value) in entries {
            let entry = Name { text: entry.get_ref().to_string(), span: reader.span(entry.span()) };
            reader.entry(registry, &name, entry, value);
        }
    }
    reader.problems
}

pub(super) struct Reader<'a> {
    source: &'a Arc<Source>,
    /// Where what is parsed begins in the source: the parser counts from there.
    offset: usize,
    problems: Problems,
}

impl Reader<'_> {
    fn entry(&mut self, registry: &mut Registry, table: &str, name: Name, value: Spanned<DeValue<'_>>) {
        let key = name.text.clone();
        let (unread, known) = (key.clone(), self.problems.iter().len());
        match table {
            "architectures" => {
                if let Some(raw) = self.read(value) {
                    registry.architectures.insert(key, self.architecture(name, raw));
                }
            }
            "config" => {
                if let Some(raw) = self.read(value) {
                    registry.configs.insert(key, self.config(name, raw));
                }
            }
            "modules" => {
                if let Some(raw) = self.read(value) {
                    registry.modules.insert(key, self.module(name, raw));
                }
            }
            "tasks" => {
                if let Some(raw) = self.read(value) {
                    registry.tasks.insert(key, self.task(name, raw));
                }
            }
            "inputs" => {
                if let Some(text) = self.read::<Text>(value) {
                    registry.inputs.insert(key, self.code(&text));
                }
            }
            "lints" => {
                if let Some(level) = self.read(value) {
                    registry.lints.insert(key, (name, level));
                }
            }
            "masks" => {
                if let Some(text) = self.read::<Text>(value) {
                    registry.masks.insert(key, text.get().to_owned());
                }
            }
            _ => self.naming(Arc::make_mut(&mut registry.rules), table, name, value),
        }
        if let Some(at) = self.problems.iter().nth(known).and_then(|problem| problem.span.clone()) {
            registry.unread.insert(unread, at);
        }
    }

    /// An entry of one of the tables that name things.
    fn naming(&mut self, rules: &mut Rules, table: &str, name: Name, value: Spanned<DeValue<'_>>) {
        let key = name.text.clone();
        match table {
            "known" => {
                for (task, names) in self.read::<RawKnown>(value).into_iter().flatten() {
                    for (name, types) in names {
                        let known = Known {
                            name: self.name(&name),
                            category: key.clone(),
                            task: task.get().to_owned(),
                            model_types: types.0,
                        };
                        let at = known.name.clone();
                        let earlier = rules.naming.known.insert(at.text.clone(), known);
                        self.once("listed name", &at, earlier.as_ref().map(|known| &known.name));
                    }
                }
            }
            "model-types" => {
                if let Some(raw) = self.read(value) {
                    rules.naming.model_types.insert(key, self.model_type(name, raw));
                }
            }
            "aliases" => {
                if let Some(text) = self.read::<Text>(value) {
                    rules.naming.aliases.insert(key, Alias { name, target: self.name(&text) });
                }
            }
            "categories" => {
                if let Some(raw) = self.read(value) {
                    rules.categories.insert(key, self.category(name, raw));
                }
            }
            "base-models" => rules.base_models.extend(self.read(value).map(|text: String| (key, text))),
            _ => rules.naming.argued.extend(self.read(value).map(|text: String| (key, text))),
        }
    }

    /// The entries of one of the lists, by their ids.
    fn list(&mut self, registry: &mut Registry, list: &str, value: Spanned<DeValue<'_>>) {
        let rules = Arc::make_mut(&mut registry.rules);
        let span = self.span(value.span());
        let DeValue::Array(entries) = value.into_inner() else {
            let problem = Problem::error("wrong-type", span, format!("`{list}` is no list of tables"));
            self.problems.push(problem.help(format!("write `[[{list}]]`")));
            return;
        };
        for entry in entries {
            match list {
                "expect" => {
                    let found = self.read(entry).and_then(|raw| self.expectation(raw));
                    registry.expectations.extend(found);
                }
                "rule" => {
                    let rule = self.read(entry).map(|raw| self.rule(raw));
                    if let Some(rule) = rule {
                        let at = rule.id.clone();
                        let earlier = rules.rules.insert(at.text.clone(), rule);
                        self.once("rule", &at, earlier.as_ref().map(|rule| &rule.id));
                    }
                }
                "trait" => {
                    let found = self.read(entry).map(|raw| self.trait_(raw));
                    if let Some(found) = found {
                        let at = found.id.clone();
                        let earlier = rules.traits.insert(at.text.clone(), found);
                        self.once("trait", &at, earlier.as_ref().map(|found| &found.id));
                    }
                }
                "repair" => {
                    let repair = self.read(entry).map(|raw| self.repair(raw));
                    if let Some(repair) = repair {
                        let at = repair.id.clone();
                        let earlier = rules.repairs.insert(at.text.clone(), repair);
                        self.once("repair", &at, earlier.as_ref().map(|repair| &repair.id));
                    }
                }
                _ => {
                    let rule = self.read(entry).and_then(|raw| self.tokenizer(raw));
                    if let Some(rule) = rule {
                        let at = rule.id.clone();
                        let earlier = rules.tokenizers.insert(at.text.clone(), rule);
                        self.once("tokenizer rule", &at, earlier.as_ref().map(|rule| &rule.id));
                    }
                }
            }
        }
    }

    /// Reports an entry of a list that stands in this file already; over another file's it is an overlay.
    fn once(&mut self, what: &str, name: &Name, earlier: Option<&Name>) {
        let Some(earlier) = earlier.filter(|earlier| Arc::ptr_eq(&earlier.span.source, self.source)) else {
            return;
        };
        let message = format!("the {what} `{}` is declared twice", name.text);
        let problem = Problem::error("entry-declared-twice", name.span.clone(), message);
        self.problems.push(problem.related(earlier.span.clone(), "first here").help("keep one of the two"));
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The place of something at this range of what is parsed.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.source, range.start + self.offset..range.end + self.offset)
    }

    fn read<T: DeserializeOwned>(&mut self, value: Spanned<DeValue<'_>>) -> Option<T> {
        let whole = value.span();
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(raw) => Some(raw),
            Err(error) => {
                let span = self.span(error.span().unwrap_or(whole));
                let message = error.message().to_owned();
                let code = if message.starts_with("unknown field") {
                    "unknown-key"
                } else if message.starts_with("missing field") {
                    "missing-key"
                } else if message.starts_with("unknown variant") {
                    "wrong-value"
                } else {
                    "wrong-type"
                };
                // serde writes "unknown field `x`, expected one of `a`, `b`": offer the nearest.
                let mut quoted = message.split('`').skip(1).step_by(2);
                let help = (code == "unknown-key" || code == "wrong-value")
                    .then(|| quoted.next().and_then(|name| did_you_mean(name, quoted)));
                self.problems.push(Problem::error(code, span, message).maybe_help(help.flatten()));
                None
            }
        }
    }

    pub(super) fn name(&self, text: &Text) -> Name {
        Name { text: text.get().to_owned(), span: self.content(text.span()) }
    }

    pub(super) fn code(&self, text: &Text) -> Code {
        Code { text: text.get().to_owned(), span: self.content(text.span()) }
    }

    /// The place of a token without its quotes and without the newline that TOML drops after them.
    fn content(&self, token: Range<usize>) -> Span {
        let mut span = self.span(token);
        let text = span.text();
        let quotes = if text.starts_with("'''") || text.starts_with("\"\"\"") {
            3
        } else {
            usize::from(text.starts_with(['\'', '"']))
        };
        let inner = &text[quotes.min(text.len())..];
        let newline = match quotes {
            3 if inner.starts_with("\r\n") => 2,
            3 if inner.starts_with('\n') => 1,
            _ => 0,
        };
        let start = span.range.start + quotes + newline;
        span.range = start..span.range.end.saturating_sub(quotes).max(start);
        span
    }

    /// The entries in the order in which they stand in the file.
    pub(super) fn entries<T, U>(&self, raw: &BTreeMap<Text, T>, read: impl Fn(&Self, &T) -> U) -> Entries<U> {
        let mut entries: Entries<U> =
            raw.iter().map(|(key, value)| (self.name(key), read(self, value))).collect();
        entries.sort_by_key(|(name, _)| name.span.range.start);
        entries
    }
}

pub(super) fn json(value: &toml::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(value) => Value::from(*value),
        toml::Value::Datetime(date) => Value::from(date.to_string()),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
