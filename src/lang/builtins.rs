//! The pure functions of the language, and the methods of plain values.

use std::rc::Rc;
use std::sync::Arc;

use super::arith;
use super::ast::{BinaryOp, CompareOp, TextRange};
use super::tracer::{Mode, Scope, Tracer};
use super::value::{Eval, Value};
use crate::diag::Problem;
use crate::ops::{Const, Fault};

/// Functions known everywhere.
const PURE: &[&str] = &[
    "abs",
    "all",
    "any",
    "bool",
    "dict",
    "enumerate",
    "exp",
    "fail",
    "float",
    "int",
    "isinstance",
    "len",
    "list",
    "log",
    "max",
    "min",
    "range",
    "reversed",
    "round",
    "sqrt",
    "str",
    "tuple",
    "zip",
];

/// Functions that say how a checkpoint stores a parameter.
const STORED: &[&str] = &["concat", "part", "permute_rope", "reshape", "stack", "tensor", "transpose"];

/// Every function that some piece of code may call, ops aside.
pub fn functions() -> impl Iterator<Item = &'static str> {
    PURE.iter().chain(STORED).copied().chain(["auto", "size", "sum"])
}

/// Whether there is such a function in code of that mode.
pub(super) fn exists(name: &str, mode: Mode) -> bool {
    match mode {
        Mode::Stored if STORED.contains(&name) => true,
        Mode::Layers if name == "auto" => true,
        Mode::Body if name == "size" => true,
        _ => PURE.contains(&name),
    }
}

impl Tracer<'_> {
    /// Calls a pure function.
    pub(super) fn call_pure(
        &mut self,
        name: &str,
        arguments: &[Value],
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        if name == "fail" {
            let message = match arguments {
                [Value::Const(Const::Str(text))] => text.to_string(),
                _ => "the definition does not support this config".to_owned(),
            };
            return Err(scope.error("not-supported", range, message));
        }
        if name == "range" {
            let length =
                range_length(arguments).map_err(|fault| scope.error(fault.code, range, fault.message))?;
            self.step(length, || scope.span(range))?;
        }
        if let [Value::List(items), ..] = arguments {
            self.step(items.len() as u64, || scope.span(range))?;
        }
        pure(name, arguments)
            .map_err(|fault| scope.error(fault.code, range, fault.message).maybe_help(fault.help))
    }

    /// Calls a method of a plain value, such as `config.get`.
    pub(super) fn call_bound(
        &mut self,
        value: &Value,
        name: &str,
        arguments: &[Value],
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        match (value, name, arguments) {
            (Value::Dict(entries), "get", [Value::Const(Const::Str(key)), rest @ ..]) if rest.len() < 2 => {
                let found = entries.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
                Ok(found.or_else(|| rest.first().cloned()).unwrap_or(Value::NONE))
            }
            (Value::Config(config), "get", [Value::Const(Const::Str(key)), rest @ ..]) if rest.len() < 2 => {
                let value = match config.field(key, self) {
                    Some(value) => value?,
                    None => Value::NONE,
                };
                Ok(if value.is_none() { rest.first().cloned().unwrap_or(value) } else { value })
            }
            (Value::Dict(entries), "keys", []) => {
                Ok(Value::list(entries.iter().map(|(key, _)| Value::str(key)).collect()))
            }
            (Value::Dict(entries), "values", []) => {
                Ok(Value::list(entries.iter().map(|(_, value)| value.clone()).collect()))
            }
            (Value::Dict(entries), "items", []) => Ok(Value::list(
                entries
                    .iter()
                    .map(|(key, value)| Value::list(vec![Value::str(key), value.clone()]))
                    .collect(),
            )),
            (Value::Const(Const::Str(text)), "startswith", [Value::Const(Const::Str(part))]) => {
                Ok(Value::bool(text.starts_with(&**part)))
            }
            (Value::Const(Const::Str(text)), "endswith", [Value::Const(Const::Str(part))]) => {
                Ok(Value::bool(text.ends_with(&**part)))
            }
            (Value::Const(Const::Str(text)), "removeprefix", [Value::Const(Const::Str(part))]) => {
                Ok(Value::str(text.strip_prefix(&**part).unwrap_or(text)))
            }
            _ => Err(wrong_arguments(name, arguments, range, scope)),
        }
    }
}

pub(super) fn wrong_arguments(
    name: &str,
    arguments: &[Value],
    range: &TextRange,
    scope: &Scope<'_>,
) -> Problem {
    let given: Vec<String> = arguments.iter().map(Value::describe).collect();
    let given = if given.is_empty() { "nothing".to_owned() } else { given.join(", ") };
    scope.error("wrong-arguments", range, format!("`{name}` cannot take {given}"))
}

fn range_length(arguments: &[Value]) -> Result<u64, Fault> {
    let bounds: Option<Vec<i64>> = arguments
        .iter()
        .map(|value| match value {
            Value::Const(value) => value.as_i64(),
            _ => None,
        })
        .collect();
    let (start, end, step) = match bounds.as_deref() {
        // Python counts to a negative number in no steps; here it is a count that went wrong.
        Some([end]) if *end < 0 => {
            return Err(Fault::value(format!("`range` is to count to {end}, expected an int from 0")));
        }
        Some([end]) => (0, *end, 1),
        Some([start, end]) => (*start, *end, 1),
        Some([start, end, step]) if *step != 0 => (*start, *end, *step),
        _ => {
            let given: Vec<String> = arguments.iter().map(Value::describe).collect();
            return Err(Fault::value(format!("`range` takes one to three ints, found {}", given.join(", "))));
        }
    };
    let span =
        if step > 0 { i128::from(end) - i128::from(start) } else { i128::from(start) - i128::from(end) };
    let step = i128::from(step).abs();
    Ok(u64::try_from((span.max(0) + step - 1) / step).unwrap_or(u64::MAX))
}

fn ints(arguments: &[Value]) -> Vec<i64> {
    arguments.iter().filter_map(|value| value.as_const()?.as_i64()).collect()
}

fn pure(name: &str, arguments: &[Value]) -> Result<Value, Fault> {
    let refuse = || {
        let given: Vec<String> = arguments.iter().map(Value::describe).collect();
        Fault::new("wrong-arguments", format!("`{name}` cannot take {}", given.join(", ")))
    };
    match (name, arguments) {
        ("range", _) => {
            let (start, end, step) = match ints(arguments).as_slice() {
                [end] => (0, *end, 1),
                [start, end] => (*start, *end, 1),
                [start, end, step] => (*start, *end, *step),
                _ => return Err(refuse()),
            };
            let mut items = Vec::new();
            let mut at = start;
            while (step > 0 && at < end) || (step < 0 && at > end) {
                items.push(Value::int(at));
                at = at.saturating_add(step);
            }
            Ok(Value::list(items))
        }
        ("len", [Value::List(items)]) => Ok(Value::int(length(items.len()))),
        ("len", [Value::Dict(entries)]) => Ok(Value::int(length(entries.len()))),
        ("len", [Value::Const(Const::Str(text))]) => Ok(Value::int(length(text.chars().count()))),
        ("list" | "tuple", [Value::List(_)]) => Ok(arguments[0].clone()),
        ("list" | "tuple", []) => Ok(Value::list(Vec::new())),
        ("dict", []) => Ok(Value::Dict(Rc::new(Vec::new()))),
        ("reversed", [Value::List(items)]) => Ok(Value::list(items.iter().rev().cloned().collect())),
        ("enumerate", [Value::List(items)]) => Ok(Value::list(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| Value::list(vec![Value::int(length(index)), item.clone()]))
                .collect(),
        )),
        ("zip", [Value::List(first), rest @ ..]) => {
            let rest: Option<Vec<&Rc<Vec<Value>>>> = rest
                .iter()
                .map(|value| match value {
                    Value::List(items) => Some(items),
                    _ => None,
                })
                .collect();
            let rest = rest.ok_or_else(refuse)?;
            let shortest = rest.iter().map(|items| items.len()).min().unwrap_or(usize::MAX).min(first.len());
            let row = |index: usize| {
                let others = rest.iter().map(|items| items[index].clone());
                Value::list(std::iter::once(first[index].clone()).chain(others).collect())
            };
            Ok(Value::list((0..shortest).map(row).collect()))
        }
        ("min" | "max", [Value::List(items)]) => extreme(name, items),
        ("min" | "max", [_, _, ..]) => extreme(name, arguments),
        ("abs", [Value::Const(Const::Int(value))]) => {
            value.checked_abs().map(Value::int).ok_or_else(|| Fault::value("the number overflows"))
        }
        ("abs", [Value::Const(Const::Float(value))]) => Ok(Value::Const(Const::Float(value.abs()))),
        ("sqrt", [Value::Const(value)]) => {
            let value = value.as_f64().filter(|value| *value >= 0.0).ok_or_else(refuse)?;
            Ok(Value::Const(Const::Float(value.sqrt())))
        }
        ("log", [Value::Const(value)]) => {
            let value = value.as_f64().filter(|value| *value > 0.0).ok_or_else(refuse)?;
            Ok(Value::Const(Const::Float(value.ln())))
        }
        ("exp", [Value::Const(value)]) => {
            let value = value.as_f64().ok_or_else(refuse)?;
            Ok(Value::Const(Const::Float(value.exp())))
        }
        ("isinstance", [value, Value::Function(kind)]) => {
            is_instance(value, kind).map(Value::bool).ok_or_else(refuse)
        }
        ("int", [Value::Dim(_)]) => Ok(arguments[0].clone()),
        ("int", [Value::Const(value)]) => match value {
            Const::Bool(value) => Ok(Value::int(i64::from(*value))),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
            Const::Float(value) if value.abs() < 9e15 => Ok(Value::int(value.trunc() as i64)),
            Const::Str(text) => text.trim().parse().map(Value::int).map_err(|_| refuse()),
            Const::Int(_) => Ok(arguments[0].clone()),
            _ => Err(refuse()),
        },
        ("float", [Value::Const(value)]) => match value {
            Const::Bool(value) => Ok(Value::Const(Const::Float(f64::from(u8::from(*value))))),
            Const::Str(text) => {
                text.trim().parse().map(|value| Value::Const(Const::Float(value))).map_err(|_| refuse())
            }
            _ => value.as_f64().map(|value| Value::Const(Const::Float(value))).ok_or_else(refuse),
        },
        ("round", [Value::Const(value)]) => {
            let value = value.as_f64().filter(|value| value.abs() < 9e15).ok_or_else(refuse)?;
            #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
            Ok(Value::int(value.round_ties_even() as i64))
        }
        ("bool", [Value::Const(value)]) => Ok(Value::bool(value.is_true())),
        ("str", [Value::Const(Const::Str(_))]) => Ok(arguments[0].clone()),
        ("str", [Value::Const(value)]) => Ok(Value::str(&value.to_string())),
        ("any" | "all", [Value::List(items)]) => {
            let mut truths = Vec::with_capacity(items.len());
            for item in items.iter() {
                truths.push(item.as_const().ok_or_else(refuse)?.is_true());
            }
            Ok(Value::bool(if name == "any" { truths.contains(&true) } else { !truths.contains(&false) }))
        }
        _ => Err(refuse()),
    }
}

/// Whether a value is of the type that a name stands for in Python; `None` if the name stands for no type.
fn is_instance(value: &Value, kind: &str) -> Option<bool> {
    Some(match kind {
        "list" => matches!(value, Value::List(_)),
        "dict" => matches!(value, Value::Dict(_)),
        "str" => matches!(value, Value::Const(Const::Str(_))),
        "bool" => matches!(value, Value::Const(Const::Bool(_))),
        "float" => matches!(value, Value::Const(Const::Float(_))),
        "int" => matches!(value, Value::Dim(_) | Value::Const(Const::Int(_) | Const::Bool(_))),
        _ => return None,
    })
}

fn extreme(name: &str, items: &[Value]) -> Result<Value, Fault> {
    let mut items = items.iter();
    let mut best = items.next().cloned().ok_or_else(|| Fault::value(format!("`{name}` of an empty list")))?;
    for item in items {
        let symbolic = matches!(item, Value::Dim(_)) || matches!(best, Value::Dim(_));
        if let (true, Some(a), Some(b)) = (symbolic, best.as_dim(), item.as_dim()) {
            best = Value::size(if name == "min" { a.smaller(&b) } else { a.larger(&b) });
        } else {
            let op = if name == "min" { CompareOp::Lt } else { CompareOp::Gt };
            if arith::compare(op, item, &best)? {
                best = item.clone();
            }
        }
    }
    Ok(best)
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// `sum` of a list of numbers; of a tensor it is an op.
pub(super) fn sum_list(items: &[Value]) -> Result<Value, Fault> {
    items.iter().try_fold(Value::int(0), |total, item| arith::binary(BinaryOp::Add, &total, item))
}

/// Replaces `{name}` in a template by the value of a local variable.
pub(super) fn fill(
    template: &str,
    scope: &Scope<'_>,
    lookup: &mut dyn FnMut(&Arc<str>) -> Option<String>,
) -> Result<String, String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}') else { break };
        out.push_str(&rest[..open]);
        let name: Arc<str> = Arc::from(&rest[open + 1..open + close]);
        let local = scope.locals.get(&name).and_then(Value::as_const).map(|value| match value {
            Const::Str(text) => text.to_string(),
            other => other.to_string(),
        });
        match local.or_else(|| lookup(&name)) {
            Some(text) => out.push_str(&text),
            None => return Err(name.to_string()),
        }
        rest = &rest[open + close + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(value: Value, kind: &str) -> Option<bool> {
        let given = pure("isinstance", &[value, Value::Function(Arc::from(kind))]).ok()?;
        given.as_const().map(|given| given.is_true())
    }

    #[test]
    fn a_value_is_an_instance_of_the_type_python_gives_it() {
        assert_eq!(instance(Value::list(Vec::new()), "list"), Some(true));
        assert_eq!(instance(Value::int(3), "list"), Some(false));
        assert_eq!(instance(Value::bool(true), "int"), Some(true));
        assert_eq!(instance(Value::int(3), "float"), Some(false));
        assert_eq!(instance(Value::NONE, "dict"), Some(false));
        assert_eq!(instance(Value::int(3), "len"), None);
    }

    #[test]
    fn logarithms_are_of_numbers_above_zero() {
        let log = |value| pure("log", &[Value::Const(Const::Float(value))]).ok().and_then(|v| v.as_const());
        assert_eq!(log(1.0), Some(Const::Float(0.0)));
        assert_eq!(log(0.0), None);
    }
}
