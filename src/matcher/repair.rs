//! Applies the repairs whose condition holds, and remembers how to undo each.

use serde_json::{Map, Value};

use crate::facts::lookup;
use crate::registry::rules::{Edit, Repair};

/// A repair that was applied to a config, in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The repair's name.
    pub repair: String,
    /// Why it was needed.
    pub why: String,
    /// What changed, path by path.
    pub changes: Vec<Change>,
}

/// One value that a repair changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The dotted path.
    pub path: String,
    /// The value before; `None` where there was none.
    pub before: Option<Value>,
    /// The value after; `None` where it was taken away.
    pub after: Option<Value>,
}

/// Makes the edits of a repair; `None` if they change nothing.
pub(super) fn apply(repair: &Repair, config: &mut Value) -> Option<Applied> {
    let mut changes = Vec::new();
    for edit in &repair.edits {
        changes.extend(edit_one(edit, config));
    }
    let applied = Applied { repair: repair.id.text.clone(), why: repair.why.clone(), changes };
    (!applied.changes.is_empty()).then_some(applied)
}

/// Takes back what a repair changed.
pub fn undo(applied: &Applied, config: &mut Value) {
    for change in applied.changes.iter().rev() {
        match &change.before {
            Some(value) => write(config, &change.path, value.clone()),
            None => drop(take(config, &change.path)),
        }
    }
}

fn edit_one(edit: &Edit, config: &mut Value) -> Vec<Change> {
    let present = |config: &Value, path: &str| lookup(config, path).is_some_and(|value| !value.is_null());
    match edit {
        Edit::Rename(from, to) => {
            if !present(config, from) || present(config, to) {
                return Vec::new();
            }
            let taken = change(config, from, None);
            let value = taken.before.clone();
            vec![taken, change(config, to, value)]
        }
        Edit::Fill(path, _) if present(config, path) => Vec::new(),
        Edit::Set(path, value) if lookup(config, path) == Some(value) => Vec::new(),
        Edit::Fill(path, value) | Edit::Set(path, value) => vec![change(config, path, Some(value.clone()))],
        Edit::Remove(path) if lookup(config, path).is_none() => Vec::new(),
        Edit::Remove(path) => vec![change(config, path, None)],
    }
}

fn change(config: &mut Value, path: &str, after: Option<Value>) -> Change {
    let before = match &after {
        Some(value) => {
            let before = lookup(config, path).cloned();
            write(config, path, value.clone());
            before
        }
        None => take(config, path),
    };
    Change { path: path.to_owned(), before, after }
}

/// Writes a value at a dotted path, making tables on the way.
fn write(config: &mut Value, path: &str, value: Value) {
    let mut at = config;
    for key in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(entries) = at else { unreachable!("it was made an object just now") };
        at = entries.entry(key).or_insert(Value::Null);
    }
    *at = value;
}

fn take(config: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = match path.rsplit_once('.') {
        Some((parent, key)) => (parent.split('.').try_fold(config, |value, key| value.get_mut(key))?, key),
        None => (config, path),
    };
    parent.as_object_mut()?.shift_remove(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diag::{Source, Span};
    use crate::registry::Name;
    use crate::registry::rules::{Condition, Test};

    fn repair(edits: Vec<Edit>) -> Repair {
        let span = Span::new(&Source::new("test.toml", ""), 0..0);
        let id = Name { text: "test".into(), span: span.clone() };
        Repair { id, why: "a test".into(), when: Condition { span, test: Test::All(Vec::new()) }, edits }
    }

    #[test]
    fn each_edit_does_what_it_says_and_can_be_undone() {
        let cases = [
            (Edit::Rename("a".into(), "b.c".into()), json!({"a": 1}), json!({"b": {"c": 1}})),
            (Edit::Rename("a".into(), "b".into()), json!({"a": 1, "b": 2}), json!({"a": 1, "b": 2})),
            (Edit::Fill("a".into(), json!(3)), json!({"a": null}), json!({"a": 3})),
            (Edit::Fill("a".into(), json!(3)), json!({"a": 4}), json!({"a": 4})),
            (
                Edit::Set("a.b".into(), json!("x")),
                json!({"a": {"b": 1, "c": 2}}),
                json!({"a": {"b": "x", "c": 2}}),
            ),
            (Edit::Remove("a.b".into()), json!({"a": {"b": 1}}), json!({"a": {}})),
            (Edit::Remove("z".into()), json!({"a": 1}), json!({"a": 1})),
        ];
        for (edit, before, after) in cases {
            let mut config = before.clone();
            let applied = apply(&repair(vec![edit.clone()]), &mut config);
            assert_eq!(config, after, "{edit:?}");
            assert_eq!(applied.is_some(), before != after, "{edit:?}");
            if let Some(applied) = applied {
                undo(&applied, &mut config);
                // A table made on the way stays, empty; nothing else does.
                config
                    .as_object_mut()
                    .expect("an object")
                    .retain(|_, value| *value != json!({}) || before["b"] == *value);
                assert_eq!(config, before, "{edit:?}");
            }
        }
    }
}
