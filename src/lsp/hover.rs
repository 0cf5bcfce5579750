//! What stands at the cursor: tensors and shapes, as tracing on the sample gives them, and what is written about it.

use std::fmt::Write as _;
use std::rc::Rc;

use serde_json::{Value, json};

use super::answers::Asked;
use super::cursor::{self, Place};
use super::index::{Meaning, Occurrence};
use super::{keys, owners, position};
use crate::diag::Problem;
use crate::lang::Notes;
use crate::lint;
use crate::ops;
use crate::plan::Param;
use crate::registry::{Fallback, Field};

/// Tensors that are listed by name; of more there is a count.
const MAX_LISTED: usize = 12;

/// What is shown of what stands at the cursor.
pub(super) fn hover(asked: &Asked<'_>) -> Value {
    let found = asked.occurrences();
    let mut parts: Vec<String> = Vec::new();
    for occurrence in &found {
        let part = of(asked, occurrence);
        if !part.is_empty() && !parts.contains(&part) {
            parts.push(part);
        }
    }
    let mut range = found.first().map(|occurrence| position::range(asked.text, &occurrence.span.range));
    if parts.is_empty() {
        let cursor = cursor::find(asked.text, asked.offset);
        let mut path = cursor.path;
        if matches!(cursor.place, Place::Key | Place::Header) {
            path.push(asked.text.get(cursor.word.clone()).unwrap_or_default().to_owned());
            parts.extend(keys::what(&path));
            range = Some(position::range(asked.text, &cursor.word));
        }
    }
    for problem in findings(asked) {
        range = range.or_else(|| problem.span.as_ref().map(|span| position::range(asked.text, &span.range)));
        let about = lint::find(problem.code).map(lint::summary).unwrap_or_default();
        let part = format!("**{}** `{}`: {about}", problem.level.word(), problem.code);
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if parts.is_empty() {
        return Value::Null;
    }
    json!({ "contents": { "kind": "markdown", "value": parts.join("\n\n---\n\n") }, "range": range })
}

/// What is found at the cursor.
fn findings<'a>(asked: &'a Asked<'_>) -> impl Iterator<Item = &'a Problem> {
    let file = asked.path.display().to_string();
    asked.analysis.checked.findings.problems.iter().filter(move |problem| {
        problem.span.as_ref().is_some_and(|span| {
            span.source.name == file && span.range.start <= asked.offset && asked.offset <= span.range.end
        })
    })
}

fn of(asked: &Asked<'_>, occurrence: &Occurrence) -> String {
    let checked = &asked.analysis.checked;
    let registry = &checked.registry;
    match &occurrence.meaning {
        Meaning::Architecture(name) => {
            let Some(found) = registry.architectures.get(name) else { return String::new() };
            let mut out = format!("**architecture** `{name}`: {}, {}", found.category.text, found.task.text);
            if let Some(notes) = asked.analysis.notes(name) {
                let _ =
                    write!(out, "\n\n{} on its sample", tensors(&notes.params.iter().collect::<Vec<_>>()));
            }
            out
        }
        Meaning::Module(name) => {
            let Some(view) = checked.views.get(name) else { return String::new() };
            let args: Vec<&str> = view.module.args.iter().flatten().map(|code| code.text.as_str()).collect();
            let mut out = format!("**module** `{name}({})`", args.join(", "));
            let above: Vec<String> = (owners::ancestors(checked, name).iter().skip(1))
                .map(|module| format!("`{}`", module.name.text))
                .collect();
            if !above.is_empty() {
                let _ = write!(out, "\n\nextends {}", above.join(", which extends "));
            }
            let users: Vec<String> =
                checked.reach.architectures(name).map(|architecture| format!("`{architecture}`")).collect();
            let shown = users.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>().join(", ");
            let more = if users.len() > MAX_LISTED {
                format!(" and {} more", users.len() - MAX_LISTED)
            } else {
                String::new()
            };
            let _ = if users.is_empty() {
                write!(out, "\n\nno architecture is built from it")
            } else {
                write!(out, "\n\npart of {shown}{more}")
            };
            out
        }
        Meaning::Config(name) => {
            let Some(table) = registry.configs.get(name) else { return String::new() };
            let mut out = format!("**config** `{name}`: {} fields of its own", table.fields.len());
            if let Some(parent) = &table.extends {
                let _ = write!(out, ", over those of `{}`", parent.text);
            }
            out
        }
        Meaning::Member(module, name) => member(asked, occurrence, module, name),
        Meaning::Field(table, name) => {
            let Some(field) = registry.configs.get(table).and_then(|table| table.fields.get(name)) else {
                return String::new();
            };
            let mut out = format!("**field** `{name}` of config `{table}`: {}", fallback(field));
            let sample = registry.configs.get(table).and_then(|table| table.sample.as_ref()?.get(name));
            if let Some(value) = sample {
                let _ = write!(out, "\n\n`{value}` in its sample");
            }
            out
        }
        Meaning::Input(_, method, name) => {
            shape(asked, occurrence, &format!("**input** `{name}` of `{method}`"))
        }
        Meaning::Local(_, _, name) => shape(asked, occurrence, &format!("**variable** `{name}`")),
        Meaning::Op(name) => ops::find(name).map_or_else(String::new, |(op, _)| {
            format!("```python\n{}({})\n```\n\n{}", op.name, op.signature, op.summary)
        }),
        Meaning::Function(name) => format!("**function** `{name}`, as in Python"),
        Meaning::Task(name) => registry
            .tasks
            .get(name)
            .map_or_else(String::new, |task| format!("**task** `{name}`: {}", task.what)),
        Meaning::Category(name) => {
            let found = registry.rules.categories.get(name);
            found.map_or_else(String::new, |found| format!("**category** `{name}`: {}", found.what))
        }
    }
}

fn fallback(field: &Field) -> String {
    match &field.fallback {
        Fallback::Required => "required".to_owned(),
        Fallback::Optional => "`None` where config.json is silent".to_owned(),
        Fallback::Default(value) => format!("`{value}` where config.json is silent"),
        Fallback::Derived(code) => format!("`{}` where config.json is silent or null", code.text),
        Fallback::Part(table) => format!("a part, completed by config `{}`", table.text),
        Fallback::Sizes(sizes) => {
            let sizes: Vec<String> = sizes.iter().map(|size| format!("`{size}`")).collect();
            format!("where config.json is silent or null, the first that is known of {}", sizes.join(", "))
        }
    }
}

/// The notes of the architectures that the module at the cursor is part of.
fn notes<'a>(asked: &'a Asked<'_>) -> impl Iterator<Item = (String, Rc<Notes>)> + 'a {
    let checked = &asked.analysis.checked;
    let module = asked.module().unwrap_or_default();
    let own = asked.path.display().to_string();
    let mut users: Vec<String> = checked.reach.architectures(&module).map(str::to_owned).collect();
    // Those that inherit the code run it too.
    for (name, view) in &checked.views {
        if view.extends.is_some()
            && owners::ancestors(checked, name).iter().any(|above| above.name.text == module)
        {
            users.extend(checked.reach.architectures(name).map(str::to_owned));
        }
    }
    users.sort_by_key(|name| {
        let found = checked.registry.architectures.get(name);
        found.is_none_or(|found| found.name.span.source.name != own)
    });
    let mut seen = std::collections::BTreeSet::new();
    users.retain(|name| seen.insert(name.clone()));
    users.into_iter().filter_map(|name| Some((name.clone(), asked.analysis.notes(&name)?)))
}

/// What tracing met at the cursor.
fn shape(asked: &Asked<'_>, occurrence: &Occurrence, title: &str) -> String {
    for (architecture, notes) in notes(asked) {
        if let Some(noted) = notes.at(&occurrence.span) {
            let place = if noted.path.is_empty() { String::new() } else { format!(" in `{}`", noted.path) };
            return format!("{title}: `{}`\n\n{place} of `{architecture}` on its sample", noted.what)
                .replace("\n\n in", "\n\nin")
                .replace("\n\n of", "\n\nof");
        }
    }
    format!("{title}\n\nno sample comes by here")
}

fn member(asked: &Asked<'_>, occurrence: &Occurrence, owner: &str, name: &str) -> String {
    let checked = &asked.analysis.checked;
    let module =
        asked.module().filter(|module| owners::owner(checked, module, name).as_deref() == Some(owner));
    let module = module.unwrap_or_else(|| owner.to_owned());
    let Some(view) = checked.views.get(&module) else { return String::new() };
    let groups = [
        ("layer", &view.module.layers),
        ("parameter", &view.module.params),
        ("buffer", &view.module.buffers),
        ("constant", &view.module.lets),
    ];
    let found = groups.into_iter().find_map(|(what, entries)| {
        entries.iter().find(|(entry, _)| entry.text == name).map(|(entry, code)| (what, entry, code))
    });
    let Some((what, entry, code)) = found else {
        return shape(asked, occurrence, &format!("**argument** `{name}`"));
    };
    let title = format!("**{what}** `{name}` of `{module}`");
    let text = format!("```python\n{}\n```", code.text.trim());
    if what != "layer" {
        let met = shape(asked, occurrence, &title);
        return if occurrence.declares { format!("{title}\n\n{text}") } else { format!("{met}\n\n{text}") };
    }
    for (architecture, notes) in notes(asked) {
        let paths: Vec<&str> = (notes.layers.iter())
            .filter(|placed| placed.entry == entry.span)
            .map(|placed| placed.path.as_str())
            .collect();
        let Some(first) = paths.first() else { continue };
        let below = |param: &&Param| param.name.strip_prefix(first).is_some_and(|rest| rest.starts_with('.'));
        let params: Vec<&Param> = notes.params.iter().filter(below).collect();
        let places = if paths.len() > 1 { format!(", the first of {}", paths.len()) } else { String::new() };
        return format!(
            "{title}\n\n{text}\n\n`{first}`{places}, of `{architecture}` on its sample: {}",
            tensors(&params)
        );
    }
    format!("{title}\n\n{text}")
}

/// How many parameters there are, and the tensors that hold them.
fn tensors(params: &[&Param]) -> String {
    let own: Vec<&&Param> = params.iter().filter(|param| param.tied_to.is_none()).collect();
    let count: u64 = own.iter().filter(|param| !param.buffer).map(|param| param.elements()).sum();
    let mut out = format!("{count} parameters in {} tensors", own.len());
    if params.len() <= MAX_LISTED {
        for param in params {
            let tied = if param.tied_to.is_some() { ", tied" } else { "" };
            let _ = write!(out, "\n- `{}` {:?}{tied}", param.name, param.shape);
        }
    }
    out
}
