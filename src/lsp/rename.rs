//! Renames: of modules, config tables, layers and other members, config fields, and variables.
//!
//! A rename is refused when it is unsure: when a place may mean something else too, when a text or an attribute could
//! mean it, when the new name is taken, or when a check of the renamed files finds more than before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::answers::Asked;
use super::index::{Meaning, Occurrence};
use super::position;
use crate::diag::{Source, Span, line_column};
use crate::lint::{Checker, Options};

/// The name at the cursor, if it can be renamed.
pub(super) fn prepare(asked: &Asked<'_>) -> Result<Value, String> {
    let (meaning, here) = target(asked)?;
    Ok(json!({ "range": position::range(&here.source.text, &here.range), "placeholder": name_of(&meaning) }))
}

/// The edits that give the name at the cursor a new one.
pub(super) fn rename(asked: &Asked<'_>, new: &str) -> Result<Value, String> {
    let (meaning, _) = target(asked)?;
    let old = name_of(&meaning).to_owned();
    if !is_name(new, matches!(meaning, Meaning::Config(_))) {
        return Err(format!("`{new}` is no name: use letters, digits and `_`, and start with a letter"));
    }
    if old == new {
        return Ok(json!({ "changes": {} }));
    }
    let spans = places(asked, &meaning, &old)?;
    is_free(asked, &meaning, new)?;
    let mut by_file: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in spans {
        by_file.entry(span.source.name.clone()).or_default().push(span);
    }
    proves(asked, &by_file, new)?;
    let mut changes = serde_json::Map::new();
    for (file, spans) in by_file {
        let uri = asked.documents.uri(&PathBuf::from(&file)).ok_or_else(|| shipped(&old))?;
        let edits: Vec<Value> = (spans.iter())
            .map(|span| json!({ "range": position::range(&span.source.text, &span.range), "newText": new }))
            .collect();
        changes.insert(uri.as_str().to_owned(), json!(edits));
    }
    Ok(json!({ "changes": changes }))
}

fn shipped(name: &str) -> String {
    format!("`{name}` is also written in the shipped registry, which cannot be changed from here")
}

/// What the cursor is at, with its place.
fn target(asked: &Asked<'_>) -> Result<(Meaning, Span), String> {
    let found = asked.occurrences();
    let can = |occurrence: &&&Occurrence| {
        !occurrence.implied
            && matches!(
                occurrence.meaning,
                Meaning::Config(_)
                    | Meaning::Module(_)
                    | Meaning::Member(..)
                    | Meaning::Field(..)
                    | Meaning::Local(..)
            )
    };
    let mut meanings: Vec<&&Occurrence> = found.iter().filter(can).collect();
    meanings.dedup_by(|a, b| a.meaning == b.meaning);
    match meanings.as_slice() {
        [] => Err("here is no module, config table, layer, field or variable to rename".to_owned()),
        [one] => Ok((one.meaning.clone(), one.span.clone())),
        [first, ..] => Err(format!(
            "`{}` means several things, depending on who uses this code; rename it where it is declared",
            name_of(&first.meaning)
        )),
    }
}

fn name_of(meaning: &Meaning) -> &str {
    match meaning {
        Meaning::Architecture(name)
        | Meaning::Config(name)
        | Meaning::Module(name)
        | Meaning::Op(name)
        | Meaning::Function(name)
        | Meaning::Task(name)
        | Meaning::Category(name)
        | Meaning::Member(_, name)
        | Meaning::Field(_, name)
        | Meaning::Input(_, _, name)
        | Meaning::Local(_, _, name) => name,
    }
}

fn is_name(name: &str, with_dashes: bool) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (with_dashes && c == '-');
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(part)
}

/// Every place that has to change; an error where that is not sure.
fn places(asked: &Asked<'_>, meaning: &Meaning, old: &str) -> Result<Vec<Span>, String> {
    let index = asked.analysis.index();
    let show = |span: &Span| {
        let (line, _) = line_column(&span.source.text, span.range.start);
        format!("{}:{line}", span.source.name)
    };
    let mut spans: Vec<Span> = Vec::new();
    for occurrence in index.all(meaning) {
        let span = &occurrence.span;
        if occurrence.implied {
            let place = show(span);
            return Err(match meaning {
                Meaning::Module(_) => format!(
                    "the architecture at {place} means its module by its own name; give it `module = \"{old}\"` first"
                ),
                _ => format!("the model type at {place} names this table; give `config = \"{old}\"` first"),
            });
        }
        if span.text() != old {
            return Err(format!("`{old}` is written in another way at {}", show(span)));
        }
        let other = index.occurrences.iter().find(|other| other.span == *span && other.meaning != *meaning);
        if let Some(other) = other.filter(|other| !other.implied) {
            let what = match &other.meaning {
                Meaning::Field(table, _) => format!("the field of config `{table}`"),
                Meaning::Member(module, _) => format!("the one of module `{module}`"),
                _ => "something else".to_owned(),
            };
            return Err(format!("`{old}` at {} may also mean {what}", show(span)));
        }
        spans.push(span.clone());
    }
    if matches!(meaning, Meaning::Member(..) | Meaning::Field(..))
        && let Some(place) = index.open.get(old).and_then(|places| places.first())
    {
        return Err(format!("only running the code tells whether `{old}` at {} means it", show(place)));
    }
    if let Some(span) = spans.iter().find(|span| asked.location(span).is_none()) {
        return Err(shipped(span.text()));
    }
    spans.sort_by(|a, b| (&a.source.name, a.range.start).cmp(&(&b.source.name, b.range.start)));
    spans.dedup();
    Ok(spans)
}

/// Whether nothing of that kind has the new name yet.
fn is_free(asked: &Asked<'_>, meaning: &Meaning, new: &str) -> Result<(), String> {
    let taken = asked.analysis.index().occurrences.iter().any(|other| match (meaning, &other.meaning) {
        (Meaning::Config(_), Meaning::Config(name)) | (Meaning::Module(_), Meaning::Module(name)) => {
            name == new
        }
        (Meaning::Member(a, _), Meaning::Member(b, name)) => a == b && name == new,
        (Meaning::Field(a, _), Meaning::Field(b, name)) => a == b && name == new,
        (Meaning::Local(a, b, _), Meaning::Local(c, d, name)) => (a, b) == (c, d) && name == new,
        _ => false,
    });
    if taken { Err(format!("`{new}` is a name here already")) } else { Ok(()) }
}

/// Checks the renamed files: nothing may be found that was not found before.
fn proves(asked: &Asked<'_>, by_file: &BTreeMap<String, Vec<Span>>, new: &str) -> Result<(), String> {
    let open = asked.documents.iter().map(|(path, document)| (path.to_owned(), document.text.clone()));
    let mut input = asked.project.input(&open.collect(), asked.overlays);
    for file in input.files.iter_mut().chain(&mut input.base) {
        let Some(spans) = by_file.get(&file.name) else { continue };
        let mut text = file.text.clone();
        for span in spans.iter().rev() {
            if span.source.text != file.text {
                return Err(format!("{} changed on the disk; save or reload it first", file.name));
            }
            text.replace_range(span.range.clone(), new);
        }
        *file = Source::new(file.name.clone(), text);
    }
    let count = |problems: &[crate::diag::Problem]| {
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        problems.iter().for_each(|problem| *counts.entry(problem.code).or_default() += 1);
        counts
    };
    let found = Checker::default().check(&input, &Options::default()).findings.problems;
    let before = count(&asked.analysis.checked.findings.problems);
    let more: BTreeSet<&str> = (count(&found).into_iter())
        .filter(|(code, number)| before.get(code).is_none_or(|before| number > before))
        .map(|(code, _)| code)
        .collect();
    let known: BTreeSet<&str> =
        asked.analysis.checked.findings.problems.iter().map(|problem| problem.message.as_str()).collect();
    let new_one = found.iter().filter(|problem| more.contains(problem.code));
    match new_one.max_by_key(|problem| !known.contains(problem.message.as_str())) {
        Some(problem) => Err(format!("it would break something: {problem}")),
        None => Ok(()),
    }
}
