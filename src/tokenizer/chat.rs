//! Chat templates: messages to the one text that a model was trained on.
//!
//! In: the templates of a model directory, messages, and whatever else a template may read. Out: text. The
//! templates are Jinja2 as transformers runs it (`chat_template_utils.py`); they come from strangers, so they
//! see no files, and run on a budget.
//!
//! Absent on purpose: templates for models that ship none; a wrong one would be worse than an error.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::TokenizerError;
use super::files::Folder;
use super::special::CONFIG_FILE;
use super::{chat_functions, files};

const FILE: &str = "chat_template.jinja";
const FOLDER: &str = "additional_chat_templates";
const SUFFIX: &str = ".jinja";
const OLD_FILE: &str = "chat_template.json";
const DEFAULT: &str = "default";
/// The template for chats in which the model may call tools.
const TOOL_USE: &str = "tool_use";

/// Steps, and as many pieces of 64 bytes, that a template may take; a long chat takes some ten thousand.
const FUEL: u64 = 1_000_000;

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, `tool`.
    pub role: String,
    /// A text, or a list of parts as the model's template expects them.
    pub content: Value,
    /// Further fields that a template reads, such as `tool_calls`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Message {
    /// A message of text.
    #[must_use]
    pub fn new(role: &str, text: &str) -> Self {
        Self { role: role.to_owned(), content: Value::from(text), more: Map::new() }
    }
}

/// The templates of a model, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChatTemplates {
    sources: BTreeMap<String, String>,
}

impl ChatTemplates {
    /// Reads all templates: files of their own first, then `tokenizer_config.json`, then `chat_template.json`.
    pub(crate) fn read(folder: &Folder, config: &Map<String, Value>) -> Result<Self, TokenizerError> {
        let mut templates = Self::default();
        if let Some(source) = folder.small_text(FILE)? {
            templates.keep(DEFAULT, &source);
        }
        for name in folder.names(FOLDER, SUFFIX) {
            if let Some(source) = folder.small_text(&format!("{FOLDER}/{name}"))? {
                templates.keep(name.strip_suffix(SUFFIX).unwrap_or(&name), &source);
            }
        }
        templates.take(CONFIG_FILE, config)?;
        if !templates.sources.contains_key(DEFAULT)
            && let Some(text) = folder.small_text(OLD_FILE)?
        {
            templates.take(OLD_FILE, &files::object(OLD_FILE, text.as_bytes())?)?;
        }
        Ok(templates)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.sources.keys().cloned().collect()
    }

    /// The template of this name; without one, the one for tools where `with_tools`, else the default.
    pub(crate) fn choose(&self, name: Option<&str>, with_tools: bool) -> Result<&str, TokenizerError> {
        let wanted = match name {
            Some(name) => name,
            None if with_tools && self.sources.contains_key(TOOL_USE) => TOOL_USE,
            None => DEFAULT,
        };
        match self.sources.get_key_value(wanted) {
            Some((name, _)) => Ok(name),
            None => Err(TokenizerError::NoTemplate { wanted: format!("`{wanted}`"), known: self.names() }),
        }
    }

    /// Renders the template called `name` with these variables.
    pub(crate) fn render(
        &self,
        name: &str,
        variables: &Map<String, Value>,
    ) -> Result<String, TokenizerError> {
        let source = self.sources.get(name).map_or("", String::as_str);
        let mut environment = environment().map_err(|error| failure(name, &error))?;
        let size: usize = variables.values().map(approximate_size).sum();
        environment.set_fuel(Some(FUEL.saturating_add(u64::try_from(size).unwrap_or(u64::MAX))));
        let source = without_generation_tags(source);
        environment
            .template_from_named_str(name, &source)
            .and_then(|template| template.render(minijinja::value::Serde(variables)))
            .map_err(|error| failure(name, &error))
    }

    fn take(&mut self, file: &str, fields: &Map<String, Value>) -> Result<(), TokenizerError> {
        let wrong =
            |found| TokenizerError::field(file, "chat_template", found, "a template or a list of named ones");
        match fields.get("chat_template") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(source)) => {
                self.keep(DEFAULT, source);
                Ok(())
            }
            Some(Value::Array(items)) => items.iter().try_for_each(|item| {
                let text = |field| item.get(field).and_then(Value::as_str);
                let (name, source) = text("name").zip(text("template")).ok_or_else(|| wrong(item))?;
                self.keep(name, source);
                Ok(())
            }),
            Some(Value::Object(items)) => items.iter().try_for_each(|(name, item)| {
                self.keep(name, item.as_str().ok_or_else(|| wrong(item))?);
                Ok(())
            }),
            Some(other) => Err(wrong(other)),
        }
    }

    /// The first source that names a template wins.
    fn keep(&mut self, name: &str, source: &str) {
        self.sources.entry(name.to_owned()).or_insert_with(|| source.to_owned());
    }
}

/// Jinja2 as transformers sets it up.
fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    chat_functions::add(&mut environment);
    Ok(environment)
}

fn failure(name: &str, error: &minijinja::Error) -> TokenizerError {
    let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let line = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
    TokenizerError::Template { name: name.to_owned(), reason: format!("{reason}{line}") }
}

fn approximate_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(approximate_size).sum::<usize>() + items.len(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| key.len() + approximate_size(value)).sum::<usize>()
                + fields.len()
        }
        _ => 8,
    }
}

/// Takes out `{% generation %}` and `{% endgeneration %}`, which mark what an assistant said for training and
/// leave the text as it is. The white space control of the tags stays.
fn without_generation_tags(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        text.push_str(before);
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        let inner = tag.trim_start_matches("{%").trim_end_matches("%}");
        let word =
            inner.trim_matches(|letter: char| letter.is_whitespace() || letter == '-' || letter == '+');
        match word {
            "generation" => text.push_str(&tag.replace(word, "if true")),
            "endgeneration" => text.push_str(&tag.replace(word, "endif")),
            _ => text.push_str(tag),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}
