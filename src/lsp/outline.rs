//! The entries of a document, as a tree.

use std::ops::Range;

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use super::position;

/// The entries of a document with what they hold.
pub(super) fn symbols(text: &str) -> Value {
    let (root, _) = DeTable::parse_recoverable(text);
    let mut entries: Vec<(String, String, Range<usize>, Vec<Value>)> = Vec::new();
    for (table, value) in root.get_ref() {
        let table = table.get_ref();
        match value.get_ref() {
            DeValue::Table(found) => {
                for (name, entry) in found {
                    let children = children(text, table, entry.get_ref());
                    entries.push((name.get_ref().to_string(), table.to_string(), name.span(), children));
                }
            }
            DeValue::Array(found) => {
                for entry in found {
                    let id = entry.get_ref().as_table().and_then(|entry| entry.get("id"));
                    let Some(id) = id else { continue };
                    let name = id.get_ref().as_str().unwrap_or_default();
                    entries.push((name.to_owned(), table.to_string(), id.span(), Vec::new()));
                }
            }
            _ => {}
        }
    }
    entries.sort_by_key(|(_, _, span, _)| span.start);
    // An entry reaches to the line of the next one.
    let starts: Vec<usize> =
        entries.iter().map(|(_, _, span, _)| text[..span.start].rfind('\n').map_or(0, |at| at + 1)).collect();
    let shown = entries.into_iter().enumerate().map(|(index, (name, table, span, children))| {
        let end = starts.get(index + 1).copied().unwrap_or(text.len()).max(span.end);
        json!({
            "name": if name.is_empty() { "?" } else { &name },
            "detail": table,
            "kind": kind(&table),
            "range": position::range(text, &(starts[index]..end)),
            "selectionRange": position::range(text, &span),
            "children": children,
        })
    });
    json!(shown.collect::<Vec<_>>())
}

/// The protocol's number for what an entry is.
fn kind(table: &str) -> u32 {
    match table {
        "architectures" => 5,
        "modules" => 2,
        "config" => 23,
        "layers" => 8,
        "methods" | "forward" => 6,
        "params" | "buffers" => 7,
        "lets" => 14,
        _ => 20,
    }
}

fn children(text: &str, table: &str, entry: &DeValue<'_>) -> Vec<Value> {
    let (Some(groups), "modules") = (entry.as_table(), table) else { return Vec::new() };
    let mut found = Vec::new();
    let mut add = |name: &str, group: &str, key: Range<usize>, value: Range<usize>| {
        found.push((
            key.start,
            json!({
                "name": if name.is_empty() { "?" } else { name },
                "detail": group,
                "kind": kind(group),
                "range": position::range(text, &(key.start..value.end.max(key.end))),
                "selectionRange": position::range(text, &key),
            }),
        ));
    };
    for (group, value) in groups {
        let name = group.get_ref();
        match value.get_ref() {
            DeValue::Table(members) => {
                for (member, value) in members {
                    add(member.get_ref(), name, member.span(), value.span());
                }
            }
            DeValue::String(_) if name == "forward" => add(name, name, group.span(), value.span()),
            _ => {}
        }
    }
    found.sort_by_key(|(start, _)| *start);
    found.into_iter().map(|(_, value)| value).collect()
}
