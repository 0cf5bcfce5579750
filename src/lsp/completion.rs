//! What can be written at the cursor: keys, names of what exists, and in code whatever is in scope.
//!
//! The text may be newer than the check whose names are offered. Absent on purpose: ranking and filtering, which
//! editors do.

use std::collections::{BTreeMap, BTreeSet};

use lsp_types::{CompletionItem, CompletionItemKind, CompletionTextEdit, TextEdit};
use serde_json::{Value, json};

use super::answers::Asked;
use super::cursor::{self, Cursor, Place};
use super::{infer, keys, owners, position};
use crate::diag::{Source, Span};
use crate::lang::{SYMBOLS, functions, parse};
use crate::lint::code::{Role, View};
use crate::ops;
use crate::registry::Code;

/// Something that can be written.
struct Offer {
    label: String,
    kind: CompletionItemKind,
    detail: String,
    /// What is inserted, if not the label.
    insert: Option<String>,
}

/// What can be written at the cursor.
pub(super) fn complete(asked: &Asked<'_>) -> Value {
    let cursor = cursor::find(asked.text, asked.offset);
    let path: Vec<&str> = cursor.path.iter().map(String::as_str).collect();
    let offers = match cursor.place {
        Place::Header => headers(asked, &cursor),
        Place::Key => key(asked, &cursor, &path),
        Place::Text(start, _) => {
            let before = asked.text.get(start..asked.offset).unwrap_or_default();
            text(asked, &path, before)
        }
        Place::Other => Vec::new(),
    };
    let range = position::range(asked.text, &cursor.word);
    let mut seen = BTreeSet::new();
    let items: Vec<CompletionItem> = (offers.into_iter())
        .filter(|offer| seen.insert(offer.label.clone()))
        .map(|offer| CompletionItem {
            text_edit: Some(CompletionTextEdit::Edit(TextEdit {
                range,
                new_text: offer.insert.unwrap_or_else(|| offer.label.clone()),
            })),
            label: offer.label,
            kind: Some(offer.kind),
            detail: (!offer.detail.is_empty()).then_some(offer.detail),
            ..CompletionItem::default()
        })
        .collect();
    json!(items)
}

fn offer(label: &str, kind: CompletionItemKind, detail: impl Into<String>) -> Offer {
    Offer { label: label.to_owned(), kind, detail: detail.into(), insert: None }
}

fn headers(asked: &Asked<'_>, cursor: &Cursor) -> Vec<Offer> {
    if cursor.path.is_empty() {
        let known = keys::below(&[]).into_iter();
        return known.map(|key| offer(&key.name, CompletionItemKind::MODULE, key.what)).collect();
    }
    // What something names and nothing declares yet.
    let registry = &asked.analysis.checked.registry;
    let architectures = registry.architectures.values();
    let missing: Vec<&str> = match cursor.path[0].as_str() {
        "modules" => architectures
            .map(|architecture| architecture.module.text.as_str())
            .filter(|name| !registry.modules.contains_key(name))
            .collect(),
        "config" => architectures
            .filter_map(|architecture| architecture.config.as_ref())
            .map(|name| name.text.as_str())
            .filter(|name| !registry.configs.contains_key(name))
            .collect(),
        _ => Vec::new(),
    };
    missing
        .into_iter()
        .map(|name| offer(name, CompletionItemKind::CLASS, "named, and not there yet"))
        .collect()
}

fn key(asked: &Asked<'_>, cursor: &Cursor, path: &[&str]) -> Vec<Offer> {
    let mut offers: Vec<Offer> = (keys::below(&cursor.path).into_iter())
        .map(|key| Offer {
            insert: Some(if key.is_table { format!("{}.", key.name) } else { format!("{} = ", key.name) }),
            ..offer(&key.name, CompletionItemKind::PROPERTY, key.what)
        })
        .collect();
    let checked = &asked.analysis.checked;
    match path {
        [
            "modules",
            module,
            group @ ("layers" | "params" | "buffers" | "lets" | "stored" | "tied" | "types"),
        ] => {
            if let Some(view) = checked.views.get(*module) {
                let entries = match *group {
                    "layers" | "tied" => &view.module.layers,
                    "buffers" => &view.module.buffers,
                    "lets" => &view.module.lets,
                    _ => &view.module.params,
                };
                let inherited = entries.iter().filter(|_| *group != "types");
                offers
                    .extend(inherited.map(|(name, code)| {
                        offer(&name.text, CompletionItemKind::FIELD, code.text.as_str())
                    }));
                if *group == "types" {
                    let inputs = view.methods.iter().flat_map(|method| &method.inputs);
                    offers.extend(
                        inputs.map(|input| offer(&input.name.text, CompletionItemKind::VARIABLE, "an input")),
                    );
                }
            }
        }
        ["modules", _, "replace"] => offers.extend(modules(asked)),
        ["config", table, "sample" | "derived" | "aliases"] => offers.extend(fields_of_table(asked, table)),
        _ => {}
    }
    offers
}

/// What a text can be: a name of something, or code.
fn text(asked: &Asked<'_>, path: &[&str], before: &str) -> Vec<Offer> {
    let checked = &asked.analysis.checked;
    let registry = &checked.registry;
    let names = |names: Vec<&str>, kind: CompletionItemKind, what: &str| -> Vec<Offer> {
        names.into_iter().map(|name| offer(name, kind, what)).collect()
    };
    let configs = || {
        names(
            registry.configs.keys().map(String::as_str).collect(),
            CompletionItemKind::STRUCT,
            "a config table",
        )
    };
    let (module, role, entry) = match path {
        ["modules", _, "extends"] | ["modules", _, "replace", _] | ["architectures", _, "module"] => {
            return modules(asked);
        }
        ["config", _, "extends"] | ["config", _, "parts", _] | ["architectures", _, "config"] => {
            return configs();
        }
        ["architectures", _, "task"] => {
            return names(
                registry.tasks.keys().map(String::as_str).collect(),
                CompletionItemKind::INTERFACE,
                "a task",
            );
        }
        ["architectures" | "rule", .., "category"] => {
            let known = registry.rules.categories.keys().map(String::as_str).collect();
            return names(known, CompletionItemKind::ENUM_MEMBER, "a category");
        }
        ["config", table, "derived", _] => {
            let mut offers = fields_of_table(asked, table);
            offers.extend(functions().map(|name| offer(name, CompletionItemKind::FUNCTION, "")));
            return offers;
        }
        ["modules", module, "forward"] => (*module, Role::Body, "forward"),
        ["modules", module, "methods", method, "body"] => (*module, Role::Body, *method),
        ["modules", module, group, entry] => {
            let role = match *group {
                "layers" => Role::Layer,
                "lets" => Role::Let,
                "params" => Role::Param,
                "buffers" => Role::Buffer,
                "tied" => Role::Tied,
                "stored" => Role::Stored,
                "types" => Role::Type,
                _ => return Vec::new(),
            };
            (*module, role, *entry)
        }
        _ => return Vec::new(),
    };
    let Some(view) = checked.views.get(module) else { return Vec::new() };
    code(asked, view, role, entry, before)
}

/// What can be written in code, behind what stands before the cursor.
fn code(asked: &Asked<'_>, view: &View, role: Role, entry: &str, before: &str) -> Vec<Offer> {
    let checked = &asked.analysis.checked;
    let word = before
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let ahead = &before[..word];
    if let Some(ahead) = ahead.strip_suffix('.') {
        return attributes(asked, view, role, entry, receiver(ahead));
    }
    let mut offers = keywords(asked, view, role, ahead);
    if role == Role::Body {
        offers.extend(
            locals(ahead).into_iter().map(|name| offer(&name, CompletionItemKind::VARIABLE, "a variable")),
        );
        if let Some(method) = view.methods.iter().find(|method| method.name.text == entry) {
            let inputs = method.inputs.iter();
            offers.extend(
                inputs.map(|input| offer(&input.name.text, CompletionItemKind::VARIABLE, "an input")),
            );
        }
    }
    if matches!(role, Role::Body | Role::Tied) {
        offers.extend(members(view));
    }
    offers.extend(
        view.args.iter().map(|arg| offer(&arg.name.text, CompletionItemKind::VARIABLE, "an argument")),
    );
    let lets = view.module.lets.iter();
    offers
        .extend(lets.map(|(name, code)| offer(&name.text, CompletionItemKind::CONSTANT, code.text.as_str())));
    let mut tables: BTreeMap<&str, &str> = BTreeMap::new();
    for architecture in checked.reach.architectures(&view.module.name.text) {
        for table in
            checked.reach.tables(architecture).filter_map(|table| checked.registry.configs.get(table))
        {
            tables.extend(table.fields.keys().map(|field| (field.as_str(), table.name.text.as_str())));
        }
    }
    let fields = tables.into_iter();
    offers.extend(
        fields.map(|(field, table)| offer(field, CompletionItemKind::FIELD, format!("of config {table}"))),
    );
    offers.push(offer("config", CompletionItemKind::STRUCT, "the whole config"));
    if role == Role::Layer {
        offers.extend(modules(asked));
    }
    if role == Role::Body {
        let ops = ops::all();
        offers.extend(ops.map(|op| {
            offer(op.name, CompletionItemKind::FUNCTION, format!("({}) {}", op.signature, op.summary))
        }));
    }
    if role == Role::Type {
        let kinds = SYMBOLS.iter().chain(&["float", "int", "bool"]);
        offers.extend(kinds.map(|name| offer(name, CompletionItemKind::KEYWORD, "")));
    }
    offers.extend(functions().map(|name| offer(name, CompletionItemKind::FUNCTION, "")));
    offers
}

fn members(view: &View) -> Vec<Offer> {
    let module = &view.module;
    let groups =
        [(&module.layers, "a layer"), (&module.params, "a parameter"), (&module.buffers, "a buffer")];
    let all = groups.into_iter().flat_map(|(entries, what)| entries.iter().map(move |entry| (entry, what)));
    all.map(|((name, code), what)| {
        offer(&name.text, CompletionItemKind::FIELD, format!("{what}: {}", code.text.trim()))
    })
    .collect()
}

fn modules(asked: &Asked<'_>) -> Vec<Offer> {
    let views = asked.analysis.checked.views.values();
    views
        .map(|view| {
            let args: Vec<&str> = view.module.args.iter().flatten().map(|arg| arg.text.as_str()).collect();
            offer(&view.module.name.text, CompletionItemKind::CLASS, format!("({})", args.join(", ")))
        })
        .collect()
}

/// The fields of a table and of those that it extends.
fn fields_of_table(asked: &Asked<'_>, table: &str) -> Vec<Offer> {
    let configs = &asked.analysis.checked.registry.configs;
    let (mut offers, mut seen) = (Vec::new(), BTreeSet::new());
    let mut next = configs.get(table);
    while let Some(table) = next.filter(|table| seen.insert(table.name.text.clone())) {
        let detail = format!("of config {}", table.name.text);
        offers.extend(
            table.fields.keys().map(|field| offer(field, CompletionItemKind::FIELD, detail.as_str())),
        );
        next = table.extends.as_ref().and_then(|parent| configs.get(&parent.text));
    }
    offers
}

/// What is behind the dot.
fn attributes(asked: &Asked<'_>, view: &View, role: Role, entry: &str, receiver: &str) -> Vec<Offer> {
    let checked = &asked.analysis.checked;
    let source = Source::new("", receiver);
    let code = Code { text: receiver.to_owned(), span: Span::new(&source, 0..receiver.len()) };
    let Ok(expr) = parse::expression(&code) else { return Vec::new() };
    if receiver == "config" {
        let architectures = checked.reach.architectures(&view.module.name.text);
        let tables: BTreeSet<&str> = architectures.flat_map(|name| checked.reach.tables(name)).collect();
        let mut offers: Vec<Offer> =
            tables.into_iter().flat_map(|table| fields_of_table(asked, table)).collect();
        offers.push(offer("get", CompletionItemKind::METHOD, "(name, default)"));
        return offers;
    }
    let Some(piece) = view.all().find(|piece| piece.role == role && piece.entry.text == entry) else {
        return Vec::new();
    };
    match infer::of(checked, view, piece, &expr) {
        infer::Kind::Layers(modules) => {
            let views = modules.iter().filter_map(|module| checked.views.get(module));
            views
                .flat_map(|view| {
                    let methods = view.methods.iter().filter(|method| method.name.text != "forward");
                    let methods =
                        methods.map(|method| offer(&method.name.text, CompletionItemKind::METHOD, ""));
                    members(view).into_iter().chain(methods)
                })
                .collect()
        }
        infer::Kind::Config(table) => fields_of_table(asked, &table),
        infer::Kind::Unknown => Vec::new(),
    }
}

/// The names, attributes and indices that a text ends with.
fn receiver(text: &str) -> &str {
    let (mut depth, mut start) = (0usize, text.len());
    for (at, character) in text.char_indices().rev() {
        match character {
            ']' => depth += 1,
            '[' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            c if c.is_alphanumeric() || c == '_' || c == '.' => {}
            _ => break,
        }
        start = at;
    }
    &text[start..]
}

/// The names that are bound before the cursor.
fn locals(body: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in body.lines().map(str::trim_start) {
        let bound = match line.strip_prefix("for ") {
            Some(rest) => rest.split(" in ").next(),
            None => line.split_once('=').filter(|(_, rest)| !rest.starts_with('=')).map(|(before, _)| before),
        };
        let bound = bound.unwrap_or_default().trim_end_matches(['+', '-', '*', '/', '%', ' ']);
        let parts: Vec<&str> = bound.split(',').map(|part| part.trim().trim_matches(['(', ')'])).collect();
        let is_name = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if parts.iter().all(is_name) {
            names.extend(parts.into_iter().map(str::to_owned));
        }
    }
    names
}

/// The keywords of the call that the cursor is in.
fn keywords(asked: &Asked<'_>, view: &View, role: Role, ahead: &str) -> Vec<Offer> {
    let mut depth = 0usize;
    let open = ahead.char_indices().rev().find(|(_, character)| {
        match character {
            ')' | ']' | '}' => depth += 1,
            '(' | '[' | '{' if depth > 0 => depth -= 1,
            '(' | '[' | '{' => return true,
            _ => {}
        }
        false
    });
    let Some((at, '(')) = open else { return Vec::new() };
    let callee = receiver(&ahead[..at]);
    let names: Vec<String> = match asked.analysis.checked.views.get(callee) {
        Some(built) if role == Role::Layer => built.args.iter().map(|arg| arg.name.text.clone()).collect(),
        _ if role == Role::Body
            && owners::owner(&asked.analysis.checked, &view.module.name.text, callee).is_none() =>
        {
            let parameters = ops::find(callee).map(|(_, parameters)| parameters).unwrap_or_default();
            parameters.iter().filter(|one| !one.variadic).map(|one| one.name.to_owned()).collect()
        }
        _ => Vec::new(),
    };
    let keyword = |name: &String| Offer {
        insert: Some(format!("{name}=")),
        ..offer(&format!("{name}="), CompletionItemKind::PROPERTY, format!("an argument of {callee}"))
    };
    names.iter().map(keyword).collect()
}
