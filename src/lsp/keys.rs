//! The keys that a registry file may hold at a path, with what they mean.
//!
//! Read off the schema of [`RawFile`], so that keys and their descriptions stand in one place.

use std::sync::LazyLock;

use serde_json::Value;

use crate::registry::raw::RawFile;

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) what: String,
    /// Whether it holds entries of its own: `layers.NAME`.
    pub(super) is_table: bool,
}

static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(schemars::schema_for!(RawFile)).unwrap_or_default());

/// The keys below a path, by name.
pub(super) fn below(path: &[String]) -> Vec<Key> {
    let Some(node) = walk(path) else { return Vec::new() };
    let mut keys: Vec<Key> = (properties(node).into_iter())
        .map(|(name, schema)| Key {
            name: name.clone(),
            what: schema["description"].as_str().unwrap_or_default().replace('\n', " "),
            is_table: plain(schema)
                .into_iter()
                .any(|schema| schema.get("additionalProperties").is_some_and(Value::is_object)),
        })
        .collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    keys
}

/// What the key at a path means.
pub(super) fn what(path: &[String]) -> Option<String> {
    let (last, above) = path.split_last()?;
    below(above).into_iter().find(|key| key.name == *last).map(|key| key.what).filter(|what| !what.is_empty())
}

fn walk(path: &[String]) -> Option<&'static Value> {
    let mut node = &*SCHEMA;
    for step in path {
        let next = plain(node).into_iter().find_map(|schema| {
            let schema =
                schema.get("items").map_or(schema, |items| plain(items).first().copied().unwrap_or(items));
            schema
                .pointer("/properties")
                .and_then(|found| found.get(step))
                .or_else(|| schema.get("additionalProperties"))
        });
        node = next?;
    }
    Some(node)
}

fn properties(node: &'static Value) -> Vec<(&'static String, &'static Value)> {
    let mut found = Vec::new();
    for schema in plain(node) {
        let schemas = schema.get("items").map_or_else(|| vec![schema], plain);
        for schema in schemas {
            found.extend(schema.get("properties").and_then(Value::as_object).into_iter().flatten());
        }
    }
    found
}

/// A schema without references, or the alternatives that it stands for.
fn plain(schema: &'static Value) -> Vec<&'static Value> {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return name
            .strip_prefix('#')
            .and_then(|pointer| SCHEMA.pointer(pointer))
            .map_or_else(Vec::new, plain);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(schemas) = schema.get(key).and_then(Value::as_array) {
            return schemas.iter().flat_map(plain).collect();
        }
    }
    vec![schema]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &[&str]) -> Vec<String> {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        below(&path).into_iter().map(|key| key.name).collect()
    }

    #[test]
    fn the_keys_are_those_of_the_table() {
        assert!(names(&[]).contains(&"model-types".to_owned()));
        assert!(names(&["modules", "Any"]).contains(&"replace".to_owned()));
        assert!(names(&["config", "any"]).contains(&"derived".to_owned()));
        assert_eq!(names(&["modules", "Any", "methods", "any"]), ["body", "inputs"]);
        assert!(names(&["rule"]).contains(&"priority".to_owned()));
        assert_eq!(names(&["modules", "Any", "layers"]), [""; 0]);
        assert!(names(&["nothing", "at", "all"]).is_empty());
        let layers =
            below(&["modules".to_owned(), "Any".to_owned()]).into_iter().find(|key| key.name == "layers");
        assert!(layers.is_some_and(|key| key.is_table && key.what.contains("Submodules")));
    }
}
