//! Expressions: names, literals, arithmetic, comparisons, comprehensions.

use std::rc::Rc;
use std::sync::Arc;

use super::arith;
use super::ast::{BinaryOp, Clause, CompareOp, Expr, ExprKind, Target, TextRange, UnaryOp};
use super::builtins;
use super::tracer::{Mode, SYMBOLS, Scope, Tracer};
use super::value::{Eval, Value};
use crate::diag::did_you_mean;
use crate::ops::{self, Const};

impl Tracer<'_> {
    /// The value of an expression.
    pub(super) fn eval(&mut self, expr: &Expr, scope: &Scope<'_>) -> Eval<Value> {
        self.step(1, || scope.span(&expr.range))?;
        match &expr.kind {
            ExprKind::Name(name) => self.name(name, &expr.range, scope),
            ExprKind::Const(value) => Ok(Value::Const(value.clone())),
            ExprKind::Ellipsis | ExprKind::Slice(..) => Err(scope.error(
                "wrong-place",
                &expr.range,
                "`...` and `:` belong into an index of a tensor or list",
            )),
            ExprKind::List(items) => Ok(Value::list(self.eval_all(items, scope)?)),
            ExprKind::Dict(entries) => {
                let mut values: Vec<(Arc<str>, Value)> = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let Value::Const(Const::Str(name)) = self.eval(key, scope)? else {
                        return Err(scope.error(
                            "wrong-kind",
                            &key.range,
                            "a key of a dict must be a string",
                        ));
                    };
                    values.push((name, self.eval(value, scope)?));
                }
                Ok(Value::Dict(Rc::new(values)))
            }
            ExprKind::Unary(op, operand) => self.unary(*op, operand, &expr.range, scope),
            ExprKind::Binary(op, left, right) => {
                let (left, right) = (self.eval(left, scope)?, self.eval(right, scope)?);
                self.binary(*op, left, right, &expr.range, scope)
            }
            ExprKind::And(values) => self.logic(values, false, scope),
            ExprKind::Or(values) => self.logic(values, true, scope),
            ExprKind::Compare(first, rest) => self.comparison(first, rest, &expr.range, scope),
            ExprKind::IfElse(test, then, other) => {
                let holds = self.test(test, scope)?;
                if !then.is_refusal() && !other.is_refusal() {
                    self.went(|| scope.span(&test.range), holds);
                }
                self.eval(if holds { then } else { other }, scope)
            }
            ExprKind::Call(callee, arguments, named) => {
                self.call(callee, arguments, named, &expr.range, scope)
            }
            ExprKind::Attribute(of, name) => {
                let value = self.eval(of, scope)?;
                let is_absent = value.is_none();
                self.attribute(value, name, &expr.range, scope).map_err(|problem| {
                    if is_absent { self.where_absent(problem, of, scope) } else { problem }
                })
            }
            ExprKind::Subscript(of, index) => {
                let value = self.eval(of, scope)?;
                self.subscript(value, index, &expr.range, scope).map_err(|problem| {
                    if problem.code == "unknown-key" {
                        self.where_returned(problem, of, scope)
                    } else {
                        problem
                    }
                })
            }
            ExprKind::Comprehension(element, clauses) => {
                let mut items = Vec::new();
                let mut inner = scope.clone_for_comprehension();
                self.comprehend(element, clauses, &mut inner, &mut items)?;
                Ok(Value::list(items))
            }
        }
    }

    pub(super) fn eval_all(&mut self, items: &[Expr], scope: &Scope<'_>) -> Eval<Vec<Value>> {
        items.iter().map(|item| self.eval(item, scope)).collect()
    }

    /// Whether a condition holds; it must be known while tracing.
    pub(super) fn test(&mut self, expr: &Expr, scope: &Scope<'_>) -> Eval<bool> {
        let value = self.eval(expr, scope)?;
        self.truth(&value, &expr.range, scope)
    }

    fn truth(&self, value: &Value, range: &TextRange, scope: &Scope<'_>) -> Eval<bool> {
        Ok(match value {
            Value::Const(value) => value.is_true(),
            Value::List(items) => !items.is_empty(),
            Value::Dict(entries) => !entries.is_empty(),
            Value::Tensor(..) | Value::Dim(_) | Value::Param(_) => {
                let message = format!("a branch on {}", value.describe());
                return Err(scope
                    .error("branch-on-tensor", range, message)
                    .help("branch on config values; for tensors use `where(condition, a, b)`"));
            }
            _ => true,
        })
    }

    fn name(&mut self, name: &Arc<str>, range: &TextRange, scope: &Scope<'_>) -> Eval<Value> {
        if let Some(value) = self.lookup(name, scope)? {
            self.note(|| scope.span(range), &value, || scope.path());
            return Ok(value);
        }
        if let Some(value) = self.callable(name, scope) {
            return Ok(value);
        }
        Err(self.unknown(name, range, scope))
    }

    /// What a name means, functions aside.
    pub(super) fn lookup(&mut self, name: &Arc<str>, scope: &Scope<'_>) -> Eval<Option<Value>> {
        if let Some(value) = scope.own(name) {
            return Ok(Some(value));
        }
        // Without a config table every field is optional, so that one may have the name of a symbol and be None.
        let symbol = scope.mode == Mode::Types && SYMBOLS.contains(&&**name);
        match scope.config.field(name, self) {
            Some(Ok(Value::Const(Const::None))) if symbol => {}
            Some(value) => return value.map(Some),
            None => {}
        }
        if &**name == "config" {
            return Ok(Some(Value::Config(Rc::clone(&scope.config))));
        }
        if symbol {
            return Ok(Some(Value::Dim(self.block().symbol(name))));
        }
        Ok(None)
    }

    /// What a name means where something is called.
    pub(super) fn callable(&self, name: &Arc<str>, scope: &Scope<'_>) -> Option<Value> {
        if let Some(instance) = scope.instance
            && scope.mode == Mode::Body
            && instance.module.methods.contains_key(&**name)
        {
            return Some(Value::Method(Rc::clone(instance), Arc::clone(name)));
        }
        let is_function =
            (scope.mode == Mode::Body && ops::find(name).is_some()) || builtins::exists(name, scope.mode);
        if is_function {
            return Some(Value::Function(Arc::clone(name)));
        }
        let is_module = self.has_built(name) || self.registry.modules.contains_key(name);
        is_module.then(|| Value::Class(Arc::clone(name)))
    }

    pub(super) fn unknown(&self, name: &str, range: &TextRange, scope: &Scope<'_>) -> crate::diag::Problem {
        let mut known: Vec<String> = scope.locals.names().into_iter().map(str::to_owned).collect();
        if let Some(instance) = scope.instance {
            known.extend(instance.values.borrow().names().into_iter().map(str::to_owned));
        }
        known.extend(scope.config.known().into_iter().map(str::to_owned));
        if scope.mode == Mode::Body {
            known.extend(ops::all().map(|op| op.name.to_owned()));
        }
        if scope.mode == Mode::Layers {
            known.extend(self.registry.modules.keys().cloned());
        }
        let mut problem = scope.error("unknown-name", range, format!("`{name}` is not a name in scope"));
        problem.help = did_you_mean(name, known.iter().map(String::as_str)).or_else(|| {
            let table = scope.config.table_name()?;
            scope.config.json().get(name)?;
            Some(format!(
                "config.json has it: declare it in [config.{}], for example under `optional`",
                table.text
            ))
        });
        problem
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr, range: &TextRange, scope: &Scope<'_>) -> Eval<Value> {
        if op == UnaryOp::Not {
            return Ok(Value::bool(!self.test(operand, scope)?));
        }
        let value = self.eval(operand, scope)?;
        match (op, &value) {
            (UnaryOp::Pos, Value::Const(Const::Int(_) | Const::Float(_)) | Value::Dim(_)) => Ok(value),
            (UnaryOp::Neg, Value::Const(Const::Float(number))) => Ok(Value::Const(Const::Float(-number))),
            (UnaryOp::Neg, Value::Const(Const::Int(_)) | Value::Dim(_)) => {
                self.binary(BinaryOp::Sub, Value::int(0), value, range, scope)
            }
            (UnaryOp::Neg, Value::Tensor(..) | Value::Param(_)) => {
                self.call_op("neg", vec![value], range, scope)
            }
            (UnaryOp::Invert, Value::Tensor(..)) => self.call_op("logical_not", vec![value], range, scope),
            _ => {
                let message = format!("a sign before {}, expected a number or a tensor", value.describe());
                Err(scope.error("wrong-kind", range, message))
            }
        }
    }

    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        left: Value,
        right: Value,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        let is_tensor = |value: &Value| matches!(value, Value::Tensor(..) | Value::Param(_));
        if is_tensor(&left) || is_tensor(&right) {
            return self.call_op(op.op(), vec![left, right], range, scope);
        }
        if let (Value::List(a), Value::List(b), BinaryOp::Add) = (&left, &right, op) {
            self.step((a.len() + b.len()) as u64, || scope.span(range))?;
        }
        if let (Value::List(items), Value::Const(Const::Int(count)), BinaryOp::Mul) = (&left, &right, op) {
            let cost = (items.len() as u64).saturating_mul(u64::try_from(*count).unwrap_or(0));
            self.step(cost, || scope.span(range))?;
        }
        arith::binary(op, &left, &right).map_err(|fault| scope.error(fault.code, range, fault.message))
    }

    fn logic(&mut self, values: &[Expr], stop_at: bool, scope: &Scope<'_>) -> Eval<Value> {
        let mut last = Value::NONE;
        for expr in values {
            last = self.eval(expr, scope)?;
            if self.truth(&last, &expr.range, scope)? == stop_at {
                break;
            }
        }
        Ok(last)
    }

    fn comparison(
        &mut self,
        first: &Expr,
        rest: &[(CompareOp, Expr)],
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        let mut left = self.eval(first, scope)?;
        for (index, (op, right)) in rest.iter().enumerate() {
            let right = self.eval(right, scope)?;
            let is_tensor = |value: &Value| matches!(value, Value::Tensor(..) | Value::Param(_));
            if is_tensor(&left) || is_tensor(&right) {
                if matches!(op, CompareOp::Is | CompareOp::IsNot) || left.is_none() || right.is_none() {
                    // A tensor is never None: what is compared is whether it is there.
                    let differs = matches!(op, CompareOp::IsNot | CompareOp::Ne);
                    if !differs {
                        return Ok(Value::bool(false));
                    }
                    left = right;
                    continue;
                }
                let Some(name) = op.op().filter(|_| rest.len() == 1) else {
                    return Err(scope.error("wrong-kind", range, "tensors can be compared in pairs only"));
                };
                return self.call_op(name, vec![left, right], range, scope);
            }
            let holds = arith::compare(*op, &left, &right)
                .map_err(|fault| scope.error(fault.code, range, fault.message).maybe_help(fault.help))?;
            if !holds || index + 1 == rest.len() {
                return Ok(Value::bool(holds));
            }
            left = right;
        }
        Ok(Value::bool(true))
    }

    fn comprehend(
        &mut self,
        element: &Expr,
        clauses: &[Clause],
        scope: &mut Scope<'_>,
        items: &mut Vec<Value>,
    ) -> Eval<()> {
        let Some((clause, rest)) = clauses.split_first() else {
            items.push(self.eval(element, scope)?);
            return Ok(());
        };
        let values = self.eval(&clause.iter, scope)?;
        let values = self.items(&values, &clause.iter.range, scope)?;
        for value in values.iter() {
            self.bind(&clause.target, value.clone(), scope)?;
            let mut wanted = true;
            for condition in &clause.conditions {
                wanted = wanted && self.test(condition, scope)?;
            }
            if wanted {
                self.comprehend(element, rest, scope, items)?;
            }
        }
        Ok(())
    }

    /// The items that a loop walks over.
    pub(super) fn items(&self, value: &Value, range: &TextRange, scope: &Scope<'_>) -> Eval<Rc<Vec<Value>>> {
        match value {
            Value::List(items) => Ok(Rc::clone(items)),
            Value::Dict(entries) => Ok(Rc::new(entries.iter().map(|(key, _)| Value::str(key)).collect())),
            other => {
                let message =
                    format!("a loop over {}, expected a list known from the config", other.describe());
                Err(scope.error("wrong-kind", range, message))
            }
        }
    }

    /// Binds a value to names.
    pub(super) fn bind(&mut self, target: &Target, value: Value, scope: &mut Scope<'_>) -> Eval<()> {
        match target {
            Target::Name(name, range) => {
                self.note(|| scope.span(range), &value, || scope.path());
                scope.locals.insert(name, value);
                Ok(())
            }
            Target::Unpack(targets, range) => {
                let Value::List(items) = &value else {
                    let message = format!("{} cannot be unpacked into {}", value.describe(), targets.len());
                    return Err(scope.error("wrong-kind", range, message));
                };
                if items.len() != targets.len() {
                    let message = format!("{} values for {} names", items.len(), targets.len());
                    return Err(scope.error("wrong-count", range, message));
                }
                for (target, item) in targets.iter().zip(items.iter()) {
                    self.bind(target, item.clone(), scope)?;
                }
                Ok(())
            }
        }
    }

    fn attribute(
        &mut self,
        value: Value,
        name: &Arc<str>,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        match &value {
            Value::Layer(layer) => {
                if let Some(found) = layer.value(name) {
                    return Ok(found);
                }
                if layer.module.methods.contains_key(&**name) {
                    return Ok(Value::Method(Rc::clone(layer), Arc::clone(name)));
                }
                let values = layer.values.borrow();
                let methods = layer.module.methods.keys().map(String::as_str);
                let message = format!("{} has no `{name}`", value.describe());
                let help = did_you_mean(name, values.names().into_iter().chain(methods));
                Err(scope.error("unknown-attribute", range, message).maybe_help(help))
            }
            Value::Config(config) => {
                if let Some(field) = config.field(name, self) {
                    return field;
                }
                if matches!(&**name, "get") {
                    return Ok(Value::Bound(Rc::new(value.clone()), Arc::clone(name)));
                }
                let message = format!("`{name}` is not a field of {}", value.describe());
                let help = did_you_mean(name, config.known());
                Err(scope.error("unknown-field", range, message).maybe_help(help))
            }
            Value::Dict(entries) => {
                if matches!(&**name, "get" | "keys" | "values" | "items") {
                    return Ok(Value::Bound(Rc::new(value.clone()), Arc::clone(name)));
                }
                let message = format!("`{name}` is not a method of a dict");
                let help = if entries.iter().any(|(key, _)| key == name) {
                    Some(format!("write `[\"{name}\"]`"))
                } else {
                    did_you_mean(name, ["get", "keys", "values", "items"])
                };
                Err(scope.error("unknown-attribute", range, message).maybe_help(help))
            }
            Value::Const(Const::Str(_)) if matches!(&**name, "startswith" | "endswith" | "removeprefix") => {
                Ok(Value::Bound(Rc::new(value.clone()), Arc::clone(name)))
            }
            other => {
                let problem = scope.error(
                    "unknown-attribute",
                    range,
                    format!("{} has no attribute `{name}`", other.describe()),
                );
                Err(match other {
                    Value::Tensor(..) => problem.help("for a size write `size(x, axis)`"),
                    Value::Const(Const::None) => problem.help("test with `if … is not None` first"),
                    _ => problem,
                })
            }
        }
    }
}

impl<'a> Scope<'a> {
    fn clone_for_comprehension(&self) -> Scope<'a> {
        Scope {
            code: self.code,
            locals: self.locals.clone(),
            instance: self.instance,
            config: Rc::clone(&self.config),
            mode: self.mode,
        }
    }
}
