//! Statements of a body, and indices.

use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Expr, ExprKind, Stmt, StmtKind, TextRange};
use super::instance::{Instance, ParsedMethod};
use super::tracer::{Mode, Scope, Tracer, span_in};
use super::value::{Eval, Value};
use crate::ops::call::resolve_axis;
use crate::ops::{Const, TensorType};

impl Tracer<'_> {
    /// Traces a method of a layer and gives what it returns.
    pub(super) fn run(
        &mut self,
        layer: &Rc<Instance>,
        method: &ParsedMethod,
        arguments: Vec<(Arc<str>, Value)>,
    ) -> Eval<Value> {
        let mut scope = Scope::of(layer, &method.code, Mode::Body);
        for (name, value) in &arguments {
            if let Some(input) = method.inputs.iter().find(|input| input.name == *name) {
                let range = 0..u32::try_from(name.len()).unwrap_or(0);
                self.note(|| span_in(&input.code, &range), value, || Arc::clone(&layer.path));
            }
        }
        scope.locals = arguments.into();
        let returned = self.exec(&method.body, &mut scope)?;
        returned.ok_or_else(|| {
            let end = u32::try_from(method.code.text.trim_end().len()).unwrap_or(u32::MAX);
            let start = method.code.text.trim_end().rfind('\n').map_or(0, |at| at + 1);
            let start = u32::try_from(start).unwrap_or(0);
            scope
                .error("no-return", &(start..end), "the body ends without `return`")
                .help("return a tensor, a tuple of tensors, or a dict of named tensors")
        })
    }

    /// Runs statements; gives a value if one of them returned.
    fn exec(&mut self, body: &[Stmt], scope: &mut Scope<'_>) -> Eval<Option<Value>> {
        for statement in body {
            self.step(1, || scope.span(&statement.range))?;
            match &statement.kind {
                StmtKind::Assign(targets, value) => {
                    let value = self.eval(value, scope)?;
                    for target in targets {
                        self.bind(target, value.clone(), scope)?;
                    }
                }
                StmtKind::Augment(name, op, value) => {
                    let Some(old) = self.lookup(name, scope)? else {
                        return Err(self.unknown(name, &statement.range, scope));
                    };
                    let value = self.eval(value, scope)?;
                    let value = self.binary(*op, old, value, &statement.range, scope)?;
                    let start = statement.range.start;
                    let range = start..start + u32::try_from(name.len()).unwrap_or(0);
                    self.note(|| scope.span(&range), &value, || scope.path());
                    scope.locals.insert(name, value);
                }
                StmtKind::For(target, iter, body) => {
                    let values = self.eval(iter, scope)?;
                    for value in self.items(&values, &iter.range, scope)?.iter() {
                        self.bind(target, value.clone(), scope)?;
                        if let Some(returned) = self.exec(body, scope)? {
                            return Ok(Some(returned));
                        }
                    }
                }
                StmtKind::If(branches) => {
                    for (test, body) in branches {
                        let taken = match test {
                            Some(test) => {
                                let holds = self.test(test, scope)?;
                                let refuses = matches!(body.as_slice(),
                                    [Stmt { kind: StmtKind::Expr(only), .. }] if only.is_refusal());
                                if !refuses {
                                    self.went(|| scope.span(&test.range), holds);
                                }
                                holds
                            }
                            None => true,
                        };
                        if taken {
                            if let Some(returned) = self.exec(body, scope)? {
                                return Ok(Some(returned));
                            }
                            break;
                        }
                    }
                }
                StmtKind::Return(value) => {
                    return match value {
                        Some(value) => self.eval(value, scope).map(Some),
                        None => Ok(Some(Value::NONE)),
                    };
                }
                StmtKind::Expr(value) => {
                    self.eval(value, scope)?;
                }
                StmtKind::Pass => {}
            }
        }
        Ok(None)
    }

    /// `value[index]`.
    pub(super) fn subscript(
        &mut self,
        value: Value,
        index: &Expr,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        match &value {
            Value::Tensor(..) | Value::Param(_) => self.subscript_tensor(value, index, range, scope),
            Value::List(items) => self.subscript_list(items, index, range, scope),
            Value::Dict(entries) => {
                let key = self.eval(index, scope)?;
                let Value::Const(Const::Str(name)) = &key else {
                    return Err(scope.error(
                        "wrong-kind",
                        &index.range,
                        format!("a dict has no key {}", key.describe()),
                    ));
                };
                entries.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).ok_or_else(|| {
                    let message = format!("the dict has no key `{name}`");
                    let help = crate::diag::did_you_mean(name, entries.iter().map(|(key, _)| &**key));
                    scope.error("unknown-key", &index.range, message).maybe_help(help)
                })
            }
            Value::Config(config) => {
                let key = self.eval(index, scope)?;
                let found = match &key {
                    Value::Const(Const::Str(name)) => config.field(name, self),
                    _ => None,
                };
                found.unwrap_or_else(|| {
                    Err(scope.error(
                        "unknown-field",
                        &index.range,
                        format!("{} has no such field", value.describe()),
                    ))
                })
            }
            other => Err(scope.error("wrong-kind", range, format!("{} cannot be indexed", other.describe()))),
        }
    }

    fn subscript_list(
        &mut self,
        items: &Rc<Vec<Value>>,
        index: &Expr,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let ExprKind::Slice(start, stop, step) = &index.kind {
            let step = self.bound(step.as_deref(), scope)?.unwrap_or(1);
            if step == 0 {
                return Err(scope.error("wrong-value", &index.range, "a slice with step 0"));
            }
            let clip =
                |at: i64, low: i64, high: i64| (if at < 0 { at + length } else { at }).clamp(low, high);
            let (start, stop) = (self.bound(start.as_deref(), scope)?, self.bound(stop.as_deref(), scope)?);
            let mut picked = Vec::new();
            if step > 0 {
                let (mut at, stop) =
                    (clip(start.unwrap_or(0), 0, length), clip(stop.unwrap_or(length), 0, length));
                while at < stop {
                    picked.push(items[usize::try_from(at).unwrap_or(0)].clone());
                    at += step;
                }
            } else {
                let mut at = clip(start.unwrap_or(length - 1), -1, length - 1);
                let stop = stop.map_or(-1, |stop| clip(stop, -1, length - 1));
                while at > stop {
                    picked.push(items[usize::try_from(at).unwrap_or(0)].clone());
                    at += step;
                }
            }
            return Ok(Value::list(picked));
        }
        let at = self.eval(index, scope)?;
        let at = at.as_const().and_then(|at| at.as_i64()).ok_or_else(|| {
            scope.error("wrong-kind", &index.range, format!("a list indexed by {}", at.describe()))
        })?;
        match resolve_axis(at, items.len()) {
            Some(at) => Ok(items[at].clone()),
            None => {
                Err(scope.error("index-out-of-range", range, format!("index {at} of a list of {length}")))
            }
        }
    }

    fn bound(&mut self, bound: Option<&Expr>, scope: &Scope<'_>) -> Eval<Option<i64>> {
        let Some(expr) = bound else { return Ok(None) };
        let value = self.eval(expr, scope)?;
        match value.as_const() {
            Some(Const::None) => Ok(None),
            Some(number) if number.as_i64().is_some() => Ok(number.as_i64()),
            _ => Err(scope.error(
                "wrong-kind",
                &expr.range,
                format!("{} as a bound of a list", value.describe()),
            )),
        }
    }

    /// An index of a tensor is a chain of one-axis slices, selections and new axes, as in `PyTorch`.
    fn subscript_tensor(
        &mut self,
        value: Value,
        index: &Expr,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        let parts: &[Expr] = match &index.kind {
            ExprKind::List(items) => items,
            _ => std::slice::from_ref(index),
        };
        let rank = self.tensor_type(&value).rank();
        let is_new_axis = |part: &Expr| matches!(part.kind, ExprKind::Const(Const::None));
        let used = parts.iter().filter(|part| !is_new_axis(part) && part.kind != ExprKind::Ellipsis).count();
        if used > rank {
            let message = format!("{used} indices for {}", value.describe());
            return Err(scope.error("shape-mismatch", range, message));
        }
        let mut value = value;
        let mut axis = 0usize;
        for part in parts {
            let at = Value::int(i64::try_from(axis).unwrap_or(i64::MAX));
            match &part.kind {
                ExprKind::Ellipsis => axis += rank - used,
                ExprKind::Slice(start, stop, step) => {
                    if start.is_some() || stop.is_some() || step.is_some() {
                        let mut arguments = vec![value, at];
                        for bound in [start, stop] {
                            arguments.push(match bound {
                                Some(bound) => self.eval(bound, scope)?,
                                None => Value::NONE,
                            });
                        }
                        arguments.push(match step {
                            Some(step) => self.eval(step, scope)?,
                            None => Value::int(1),
                        });
                        value = self.call_op("slice", arguments, &part.range, scope)?;
                    }
                    axis += 1;
                }
                ExprKind::Const(Const::None) => {
                    value = self.call_op("unsqueeze", vec![value, at], &part.range, scope)?;
                    axis += 1;
                }
                _ => {
                    let index = self.eval(part, scope)?;
                    if let Value::Tensor(..) = index {
                        return Err(scope
                            .error("wrong-kind", &part.range, "a tensor indexed by a tensor")
                            .help("use `gather(x, index, axis)` or `index_select(x, index, axis)`"));
                    }
                    value = self.call_op("select", vec![value, at, index], &part.range, scope)?;
                }
            }
        }
        Ok(value)
    }

    /// The type of a tensor or a parameter.
    fn tensor_type(&self, value: &Value) -> TensorType {
        match value {
            Value::Tensor(_, ty) => ty.clone(),
            Value::Param(id) => self.params[id.0].ty(),
            _ => TensorType::float(Vec::new()),
        }
    }
}
