//! Calls of ops: arguments bound to the signature, checked by the op, written as an instruction.

use std::sync::Arc;

use super::ast::TextRange;
use super::builtins::wrong_arguments;
use super::call::Located;
use super::tracer::{KEPT, Mode, Scope, Tracer};
use super::value::{Eval, Value};
use crate::diag::did_you_mean;
use crate::ops::call::{Arg, resolve_axis};
use crate::ops::{self, Call, Found, Parameter, Slot, TensorType};
use crate::plan::{Constraint, Instr};

impl Tracer<'_> {
    /// `size(x, axis)`: a number, or a symbol.
    pub(super) fn size(&mut self, arguments: &[Value], range: &TextRange, scope: &Scope<'_>) -> Eval<Value> {
        let [value, axis] = arguments else { return Err(wrong_arguments("size", arguments, range, scope)) };
        let ty = match value {
            Value::Tensor(_, ty) => ty.clone(),
            Value::Param(id) => self.params[id.0].ty(),
            _ => return Err(wrong_arguments("size", arguments, range, scope)),
        };
        let axis = axis.as_const().and_then(|axis| axis.as_i64());
        match axis.and_then(|axis| resolve_axis(axis, ty.rank())) {
            Some(axis) => Ok(Value::size(ty.shape[axis].clone())),
            None => Err(scope.error("shape-mismatch", range, format!("a tensor `{ty}` has no such axis"))),
        }
    }

    /// Calls an op with positional arguments, for operators and indices.
    pub(super) fn call_op(
        &mut self,
        name: &str,
        arguments: Vec<Value>,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        if scope.mode != Mode::Body {
            return Err(scope.error("wrong-place", range, "tensors can be computed with in bodies only"));
        }
        let Some(found) = ops::find(name) else {
            return Err(scope.error("unknown-name", range, format!("there is no op `{name}`")));
        };
        let arguments = arguments.into_iter().map(|value| (value, range.clone())).collect();
        self.emit(found, arguments, Vec::new(), range, scope)
    }

    /// Checks the call of an op and writes its instruction.
    pub(super) fn emit(
        &mut self,
        (op, parameters): Found,
        positional: Vec<Located>,
        keywords: Vec<(Arc<str>, Located)>,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        let name = op.name;
        // What each parameter is given, and where.
        let mut bound: Vec<Option<Arg>> = parameters.iter().map(|_| None).collect();
        let mut places: Vec<TextRange> = vec![range.clone(); parameters.len()];
        let given = positional.len();
        for (index, (value, at)) in positional.into_iter().enumerate() {
            // Those that are given by name only come last.
            if parameters.get(index).is_none_or(|parameter| parameter.keyword_only) {
                let message = format!(
                    "`{name}` takes at most {} arguments by place, found {given}",
                    parameters.iter().filter(|p| !p.keyword_only).count()
                );
                return Err(scope.error("too-many-arguments", &at, message).help(signature(op)));
            }
            bound[index] = Some(self.argument(value, &at, scope)?);
            places[index] = at;
        }
        let mut collected: Vec<(Arc<str>, Arg)> = Vec::new();
        for (keyword, (value, at)) in keywords {
            let argument = self.argument(value, &at, scope)?;
            let is_named = |parameter: &Parameter| parameter.name == &*keyword && !parameter.variadic;
            match parameters.iter().position(is_named) {
                Some(index) if bound[index].is_some() => {
                    return Err(scope.error("argument-twice", &at, format!("`{keyword}` is given twice")));
                }
                Some(index) => (bound[index], places[index]) = (Some(argument), at),
                None if parameters.iter().any(|parameter| parameter.variadic) => {
                    collected.push((keyword, argument));
                }
                None => {
                    let message = format!("`{name}` has no argument `{keyword}`");
                    let help = did_you_mean(&keyword, parameters.iter().map(|parameter| parameter.name));
                    let problem = scope.error("unknown-argument", &at, message);
                    return Err(problem.help(help.unwrap_or_else(|| signature(op))));
                }
            }
        }
        for (parameter, given) in parameters.iter().zip(&mut bound).filter(|(_, given)| given.is_none()) {
            *given = Some(match &parameter.default {
                _ if parameter.variadic => Arg::Named(std::mem::take(&mut collected)),
                Some(default) => Arg::Const(default.clone()),
                None => {
                    let message = format!("`{name}` misses its argument `{}`", parameter.name);
                    return Err(scope.error("missing-argument", range, message).help(signature(op)));
                }
            });
        }
        self.step(KEPT, || scope.span(range))?;
        let mut call = Call::new(parameters, bound, self.block().states);
        let traced = (op.trace)(&mut call).map_err(|fault| {
            let at = parameters.iter().position(|parameter| Some(parameter.name) == fault.parameter);
            let at = at.map_or(range, |index| &places[index]);
            let problem = scope.error(fault.code, at, fault.message).maybe_help(fault.help);
            self.where_from(problem, &call.operands())
        })?;
        let path = scope.path();
        let block = self.block.as_mut().expect("a body is being traced");
        block.states = call.next_state;
        for (left, right, what) in call.constraints {
            let known = block.constraints.iter().any(|other| other.left == left && other.right == right);
            if !known {
                let span = scope.span(range);
                block.constraints.push(Constraint { left, right, what, path: Arc::clone(&path), span });
            }
        }
        let outputs: Vec<_> = traced.outputs.into_iter().map(|ty| (block.slot(), ty)).collect();
        let tensor = |(slot, ty): &(Slot, TensorType)| Value::Tensor(*slot, ty.clone());
        let value = match outputs.as_slice() {
            [only] if !traced.many => tensor(only),
            several => Value::list(several.iter().map(tensor).collect()),
        };
        call.attributes.shrink_to_fit();
        call.inputs.shrink_to_fit();
        call.sizes.shrink_to_fit();
        block.instrs.push(Instr {
            op: op.name,
            attributes: call.attributes,
            kernel: traced.kernel,
            inputs: call.inputs,
            sizes: call.sizes,
            outputs,
            path,
            span: scope.span(range),
        });
        Ok(value)
    }

    fn argument(&mut self, value: Value, at: &TextRange, scope: &Scope<'_>) -> Eval<Arg> {
        if let Some(value) = value.as_const() {
            return Ok(Arg::Const(value));
        }
        Ok(match value {
            Value::Dim(dim) => Arg::Dim(dim),
            Value::Tensor(slot, ty) => Arg::Tensor(slot, ty),
            Value::Param(id) => {
                let (slot, ty) = self.param_slot(id);
                Arg::Tensor(slot, ty)
            }
            Value::List(items) => {
                let items = items.iter().map(|item| self.argument(item.clone(), at, scope));
                Arg::List(items.collect::<Eval<_>>()?)
            }
            other => {
                let message = format!("{} is not something an op can take", other.describe());
                return Err(scope.error("wrong-kind", at, message));
            }
        })
    }
}

fn signature(op: &ops::Op) -> String {
    format!("the signature is `{}({})`", op.name, op.signature)
}
