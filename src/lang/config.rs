//! A model's config as the language sees it: `config.json`, completed by its config table.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value as Json;

use super::value::{Eval, Value};
use crate::diag::{Problem, Source, Span};
use crate::registry::{Code, ConfigTable, Fallback, Name};

/// Longer lines of a config file are not shown to people.
const LONGEST_LINE: usize = 400;

/// A config, or a part of one.
#[derive(Debug)]
pub(super) struct Config {
    /// Where it stands in `config.json`: empty for the whole.
    path: String,
    table: Option<ConfigTable>,
    json: Json,
    source: Option<Arc<Source>>,
    cache: RefCell<FxHashMap<String, Value>>,
    /// Fields being computed, to refuse a field that depends on itself.
    busy: RefCell<Vec<String>>,
    read: RefCell<BTreeSet<String>>,
    parts: RefCell<Vec<Rc<Config>>>,
}

/// What a config needs of the tracer to answer.
pub(super) trait Resolver {
    fn derive(&mut self, code: &Code, config: &Rc<Config>) -> Eval<Value>;
    fn table(&mut self, name: &Name, model_type: Option<&str>) -> Eval<ConfigTable>;
}

impl Config {
    pub(super) fn new(
        path: String,
        table: Option<ConfigTable>,
        json: Json,
        source: Option<Arc<Source>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            path,
            table,
            json,
            source,
            cache: RefCell::default(),
            busy: RefCell::default(),
            read: RefCell::default(),
            parts: RefCell::default(),
        })
    }

    pub(super) fn json(&self) -> &Json {
        &self.json
    }

    /// The name shown to people.
    pub(super) fn name(&self) -> String {
        if self.path.is_empty() { "config.json".to_owned() } else { self.path.clone() }
    }

    pub(super) fn table_name(&self) -> Option<&Name> {
        self.table.as_ref().map(|table| &table.name)
    }

    /// The expression that a field is computed with, where the config is silent.
    pub(super) fn derived(&self, name: &str) -> Option<&Code> {
        match &self.table.as_ref()?.fields.get(name)?.fallback {
            Fallback::Derived(code) if self.json.get(name).is_none_or(Json::is_null) => Some(code),
            _ => None,
        }
    }

    /// Every field that can be read, for suggestions.
    pub(super) fn known(&self) -> Vec<&str> {
        self.table.iter().flat_map(|table| table.fields.keys().map(String::as_str)).collect()
    }

    /// The text of the file, if it is known.
    pub(super) fn source(&self) -> Option<&Arc<Source>> {
        self.source.as_ref()
    }

    /// The key of the file that gives the field, with its value: the field's name or another spelling.
    pub(super) fn given(&self, name: &str) -> Option<(&str, &Json)> {
        let aliases = self.table.iter().flat_map(|table| &table.aliases);
        let spellings = aliases.filter(|(ours, _)| ours == name).map(|(_, theirs)| theirs.as_str());
        let mut given = std::iter::once(name)
            .chain(spellings)
            .filter_map(|key| self.json.as_object()?.get_key_value(key));
        given.find(|(_, value)| !value.is_null()).map(|(key, value)| (key.as_str(), value))
    }

    /// How the field is computed where the file does not give it.
    pub(super) fn derivation(&self, name: &str) -> Option<&Code> {
        match &self.table.as_ref()?.fields.get(name)?.fallback {
            Fallback::Derived(code) => Some(code),
            _ => None,
        }
    }

    /// The raw value under the field's name or its other spellings.
    fn raw(&self, name: &str) -> Option<&Json> {
        let found = self.json.get(name);
        if found.is_some_and(|value| !value.is_null()) {
            self.read.borrow_mut().insert(name.to_owned());
            return found;
        }
        let aliases = self.table.iter().flat_map(|table| &table.aliases).filter(|(ours, _)| ours == name);
        for (_, theirs) in aliases {
            if let Some(value) = self.json.get(theirs).filter(|value| !value.is_null()) {
                self.read.borrow_mut().insert(theirs.clone());
                return Some(value);
            }
        }
        if found.is_some() {
            self.read.borrow_mut().insert(name.to_owned());
        }
        found
    }

    /// The value of a field; `None` if the config table does not know it.
    pub(super) fn field(self: &Rc<Self>, name: &str, resolver: &mut dyn Resolver) -> Option<Eval<Value>> {
        if let Some(value) = self.cache.borrow().get(name) {
            return Some(Ok(value.clone()));
        }
        let fallback = match &self.table {
            Some(table) => &table.fields.get(name)?.fallback,
            None => &Fallback::Optional,
        };
        let value = self.complete(name, fallback, resolver);
        if let Ok(value) = &value {
            self.cache.borrow_mut().insert(name.to_owned(), value.clone());
        }
        Some(value)
    }

    fn complete(
        self: &Rc<Self>,
        name: &str,
        fallback: &Fallback,
        resolver: &mut dyn Resolver,
    ) -> Eval<Value> {
        match (self.raw(name), fallback) {
            (Some(value), Fallback::Part(table)) if value.is_object() => {
                self.part(name, value.clone(), table, resolver)
            }
            (None | Some(Json::Null), Fallback::Part(table)) => {
                self.part(name, Json::Object(serde_json::Map::new()), table, resolver)
            }
            (Some(value), Fallback::Part(_)) => {
                Err(self.problem(name, format!("`{name}` is `{value}`, expected an object")))
            }
            (Some(Json::Null) | None, Fallback::Derived(code)) => {
                if self.busy.borrow().iter().any(|busy| busy == name) {
                    let message = format!("the config field `{name}` is derived from itself");
                    return Err(Problem::error("field-cycle", code.span.clone(), message));
                }
                self.busy.borrow_mut().push(name.to_owned());
                let value = resolver.derive(code, self);
                self.busy.borrow_mut().pop();
                value
            }
            (Some(Json::Null) | None, Fallback::Sizes(sizes)) => {
                let sizes: Vec<String> = sizes.iter().map(|size| format!("`{size}`")).collect();
                let message = format!(
                    "{} has no `{name}`, and no checkpoint was found to tell it: it is the first of {}",
                    self.name(),
                    sizes.join(", ")
                );
                let problem = Problem::unplaced("missing-config-field", message);
                Err(problem.help(format!("check that the weights are there, or add `\"{name}\": …`")))
            }
            (Some(Json::Null) | None, Fallback::Required) => {
                let message = format!("{} has no `{name}`, which the definition requires", self.name());
                let problem = Problem::unplaced("missing-config-field", message);
                Err(problem.help(format!("add `\"{name}\": …` to it")))
            }
            (Some(value), _) => Ok(Value::from(value)),
            (None, Fallback::Default(value)) => Ok(Value::from(value)),
            (None, Fallback::Optional) => Ok(Value::NONE),
        }
    }

    fn part(
        self: &Rc<Self>,
        name: &str,
        json: Json,
        table: &Name,
        resolver: &mut dyn Resolver,
    ) -> Eval<Value> {
        let table = resolver.table(table, json.get("model_type").and_then(Json::as_str))?;
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        let part = Self::new(path, Some(table), json, self.source.clone());
        self.parts.borrow_mut().push(Rc::clone(&part));
        Ok(Value::Config(part))
    }

    /// A problem with the value of a field, at its place in `config.json` if that is known.
    pub(super) fn problem(&self, name: &str, message: String) -> Problem {
        match self.place(name) {
            Some(span) => Problem::error("wrong-config-value", span, message),
            None => Problem::unplaced("wrong-config-value", format!("{}: {message}", self.name())),
        }
    }

    /// Where a field stands in `config.json`, if it is written there.
    pub(super) fn place(&self, name: &str) -> Option<Span> {
        let source = self.source.as_ref()?;
        self.json.get(name)?;
        let key = format!("\"{name}\"");
        let start = match self.path.rsplit('.').next() {
            Some(part) if !part.is_empty() => source.text.find(&format!("\"{part}\""))?,
            _ => 0,
        };
        let at = start + source.text[start..].find(&key)?;
        let line = source.text[at..].find('\n').map_or(source.text.len(), |end| at + end);
        // A file that is one long line is better named than shown.
        let shown = |line: &str| line.len() <= LONGEST_LINE;
        let start = source.text[..at].rfind('\n').map_or(0, |end| end + 1);
        shown(&source.text[start..line]).then(|| Span::new(source, at..line))
    }

    /// The keys of `config.json` that nothing has read, as dotted paths.
    pub(super) fn unread(&self) -> Vec<String> {
        let read = self.read.borrow();
        let mut keys = Vec::new();
        if let Json::Object(entries) = &self.json {
            for key in entries.keys().filter(|key| !read.contains(*key)) {
                keys.push(if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) });
            }
        }
        for part in self.parts.borrow().iter() {
            keys.extend(part.unread());
        }
        keys.sort();
        keys
    }
}
