//! How a checkpoint stores a parameter: the forms that `stored.NAME` may take.
//!
//! Absent on purpose: carrying them out, which `weights` does.

use std::rc::Rc;
use std::sync::Arc;

use super::ast::TextRange;
use super::builtins::{fill, wrong_arguments};
use super::instance::{Instance, join};
use super::tracer::{Mode, Scope, Tracer};
use super::value::{Eval, Value};
use crate::plan::Stored;
use crate::registry::Name;

impl Tracer<'_> {
    /// How a checkpoint may store a parameter of this shape.
    pub(super) fn stored(
        &mut self,
        instance: &Rc<Instance>,
        name: &Name,
        full: &str,
        shape: &[usize],
    ) -> Eval<Vec<Stored>> {
        let module = Arc::clone(&instance.module);
        let Some((_, parsed)) = module.stored.iter().find(|(entry, _)| entry.text == name.text) else {
            return Ok(vec![Stored::Tensor(full.to_owned())]);
        };
        let scope = Scope::of(instance, &parsed.code, Mode::Stored);
        let alternatives = match self.eval(&parsed.expr, &scope)? {
            Value::List(items) => items.to_vec(),
            other => vec![other],
        };
        let mut stored = Vec::with_capacity(alternatives.len());
        for value in alternatives {
            let Value::Stored(found) = value else {
                let message = format!("`{}` is stored as {}", name.text, value.describe());
                let problem = scope.error("wrong-kind", &parsed.expr.range, message);
                return Err(problem.help("write `tensor(\"name\")`, or a function of such"));
            };
            let mut found = (*found).clone();
            if let Stored::Reshape { to, .. } = &mut found
                && to.is_empty()
            {
                *to = shape.to_vec();
            }
            stored.push(found);
        }
        Ok(stored)
    }

    /// Calls a function that says how something is stored; `None` if it is not one.
    pub(super) fn call_stored(
        &mut self,
        name: &str,
        arguments: &[Value],
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Option<Value>> {
        let whole = |value: &Value| {
            value.as_const().and_then(|value| value.as_i64()).and_then(|value| usize::try_from(value).ok())
        };
        let wholes = |value: &Value| match value {
            Value::List(items) => items.iter().map(whole).collect::<Option<Vec<usize>>>(),
            _ => None,
        };
        let parts = |value: &Value| match value {
            Value::List(items) => items
                .iter()
                .map(|item| match item {
                    Value::Stored(stored) => Some((**stored).clone()),
                    _ => None,
                })
                .collect::<Option<Vec<Stored>>>(),
            _ => None,
        };
        let boxed = |stored: &Rc<Stored>| Box::new((**stored).clone());
        let stored = match (name, arguments) {
            ("tensor", [template]) => {
                let Some(template) = template.as_const().and_then(|text| text.as_str().map(str::to_owned))
                else {
                    return Err(wrong_arguments(name, arguments, range, scope));
                };
                Some(Stored::Tensor(self.stored_name(&template, range, scope)?))
            }
            ("transpose", [Value::Stored(of), a, b]) => {
                whole(a).zip(whole(b)).map(|(a, b)| Stored::Transpose(boxed(of), a, b))
            }
            ("concat", [items, axis]) => {
                parts(items).zip(whole(axis)).map(|(items, axis)| Stored::Concat(items, axis))
            }
            ("stack", [items, axis]) => {
                parts(items).zip(whole(axis)).map(|(items, axis)| Stored::Stack(items, axis))
            }
            ("stack", [items]) => parts(items).map(|items| Stored::Stack(items, 0)),
            ("part", [Value::Stored(of), axis, start, length, total]) => {
                match (whole(axis), whole(start), whole(length), whole(total)) {
                    (Some(axis), Some(start), Some(length), Some(total))
                        if start.saturating_add(length) <= total =>
                    {
                        Some(Stored::Slice { of: boxed(of), axis, start, len: length, total })
                    }
                    _ => None,
                }
            }
            ("reshape", [Value::Stored(of), from]) => {
                wholes(from).map(|from| Stored::Reshape { of: boxed(of), from, to: Vec::new() })
            }
            ("reshape", [Value::Stored(of), from, to]) => {
                wholes(from).zip(wholes(to)).map(|(from, to)| Stored::Reshape { of: boxed(of), from, to })
            }
            ("permute_rope", [Value::Stored(of), heads]) => {
                whole(heads).map(|heads| Stored::rope_to_halves((**of).clone(), heads))
            }
            ("tensor" | "transpose" | "concat" | "stack" | "part" | "reshape" | "permute_rope", _) => None,
            _ => return Ok(None),
        };
        match stored {
            Some(stored) => Ok(Some(Value::Stored(Rc::new(stored)))),
            None => Err(wrong_arguments(name, arguments, range, scope)),
        }
    }

    /// The full name of a stored tensor: relative to the module unless it starts with `/`.
    fn stored_name(&mut self, template: &str, range: &TextRange, scope: &Scope<'_>) -> Eval<String> {
        let mut lookup = |name: &Arc<str>| {
            let value = self.lookup(name, scope).ok().flatten()?.as_const()?;
            Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let filled = fill(template, scope, &mut lookup).map_err(|name| {
            scope.error("unknown-name", range, format!("`{{{name}}}` is not a variable in scope"))
        })?;
        Ok(match filled.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => join(&scope.path(), &filled),
        })
    }
}
