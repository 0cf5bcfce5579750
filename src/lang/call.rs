//! Calls as written: what is called, and calls of functions, constructors and layers.
//!
//! Arguments are bound in [`super::bind`], ops are called in [`super::emit`].

use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Expr, ExprKind, TextRange};
use super::builtins;
use super::given::trace_back;
use super::instance::{Blueprint, Instance, blame, called, join};
use super::tracer::{Block, Mode, Scope, Tracer};
use super::value::{Eval, Value};
use crate::diag::did_you_mean;
use crate::ops::{self, Const};

/// An argument with the place where it is written.
pub(super) type Located = (Value, TextRange);

impl Tracer<'_> {
    /// A call as written.
    pub(super) fn call(
        &mut self,
        callee: &Expr,
        arguments: &[Expr],
        named: &[(Arc<str>, Expr)],
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        let function = self.callee(callee, scope)?;
        let mut positional: Vec<Located> = Vec::with_capacity(arguments.len());
        for argument in arguments {
            positional.push((self.eval(argument, scope)?, argument.range.clone()));
        }
        let mut keywords: Vec<(Arc<str>, Located)> = Vec::with_capacity(named.len());
        for (name, argument) in named {
            if keywords.iter().any(|(other, _)| other == name) {
                return Err(scope.error(
                    "argument-twice",
                    &argument.range,
                    format!("`{name}` is given twice"),
                ));
            }
            keywords.push((Arc::clone(name), (self.eval(argument, scope)?, argument.range.clone())));
        }
        match function {
            Value::Function(name) => self.call_function(&name, positional, keywords, range, scope),
            Value::Class(name) => self.construct(&name, positional, keywords, range, scope),
            Value::Layer(layer) => self.call_method(&layer, "forward", positional, keywords, range, scope),
            Value::Method(layer, name) => self.call_method(&layer, &name, positional, keywords, range, scope),
            Value::Bound(value, name) => {
                self.no_keywords(&name, &keywords, scope)?;
                let values: Vec<Value> = positional.into_iter().map(|(value, _)| value).collect();
                self.call_bound(&value, &name, &values, range, scope)
            }
            other => {
                let problem = scope.error(
                    "not-callable",
                    &callee.range,
                    format!("{} cannot be called", other.describe()),
                );
                Err(match other {
                    Value::Const(Const::None) => {
                        let problem = self.where_absent(problem, callee, scope);
                        problem.help("this layer is absent for this config: test it with `if` first")
                    }
                    _ => problem,
                })
            }
        }
    }

    /// What is called. A config field that shares its name with a function gives way to the function.
    fn callee(&mut self, callee: &Expr, scope: &Scope<'_>) -> Eval<Value> {
        let ExprKind::Name(name) = &callee.kind else { return self.eval(callee, scope) };
        let own = scope.own(name);
        if let Some(Value::Layer(_) | Value::Method(..) | Value::Class(_) | Value::Bound(..)) = own {
            return own.ok_or_else(|| self.unknown(name, &callee.range, scope));
        }
        if let Some(value) = self.callable(name, scope).or(own) {
            return Ok(value);
        }
        let found = self.lookup(name, scope)?;
        found.ok_or_else(|| self.unknown(name, &callee.range, scope))
    }

    fn no_keywords(&self, name: &str, keywords: &[(Arc<str>, Located)], scope: &Scope<'_>) -> Eval<()> {
        match keywords.first() {
            Some((keyword, (_, at))) => Err(scope.error(
                "unknown-argument",
                at,
                format!("`{name}` takes no argument by the name `{keyword}`"),
            )),
            None => Ok(()),
        }
    }

    fn call_function(
        &mut self,
        name: &Arc<str>,
        positional: Vec<Located>,
        keywords: Vec<(Arc<str>, Located)>,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        let values = || -> Vec<Value> { positional.iter().map(|(value, _)| value.clone()).collect() };
        let of_tensor = matches!(positional.first(), Some((Value::Tensor(..) | Value::Param(_), _)));
        if scope.mode == Mode::Stored {
            self.no_keywords(name, &keywords, scope)?;
            if let Some(stored) = self.call_stored(name, &values(), range, scope)? {
                return Ok(stored);
            }
        }
        if scope.mode == Mode::Body {
            if &**name == "size" {
                self.no_keywords(name, &keywords, scope)?;
                return self.size(&values(), range, scope);
            }
            if let (false, "sum", [(Value::List(items), _)]) = (of_tensor, &**name, positional.as_slice()) {
                return builtins::sum_list(items)
                    .map_err(|fault| scope.error(fault.code, range, fault.message));
            }
            if let Some(found) = ops::find(name)
                && (of_tensor || !builtins::exists(name, scope.mode))
            {
                return self.emit(found, positional, keywords, range, scope);
            }
        }
        if &**name == "auto" {
            self.no_keywords(name, &keywords, scope)?;
            return self.auto(&values(), range, scope);
        }
        self.no_keywords(name, &keywords, scope)?;
        self.call_pure(name, &values(), range, scope)
    }

    /// Calls a constructor: gives a layer without a place.
    fn construct(
        &mut self,
        name: &Arc<str>,
        positional: Vec<Located>,
        mut keywords: Vec<(Arc<str>, Located)>,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        if scope.mode != Mode::Layers {
            let message = format!("`{name}` is a module: layers are made under `layers`, not in a body");
            return Err(scope.error("wrong-place", range, message));
        }
        let mut config = Rc::clone(&scope.config);
        if let Some(at) = keywords.iter().position(|(keyword, _)| &**keyword == "config") {
            let (_, (value, at)) = keywords.remove(at);
            let Value::Config(given) = value else {
                let message = format!("`config` is {}, expected a part of the config", value.describe());
                return Err(scope.error("wrong-kind", &at, message));
            };
            config = given;
        }
        let replacements =
            scope.instance.map(|instance| Rc::clone(&instance.replacements)).unwrap_or_default();
        let span = scope.span(range);
        let (mut name, mut asked_at) = (&**name, &span);
        for scope in replacements.iter() {
            if let Some((_, to)) = scope.iter().find(|(from, _)| from.text == name) {
                (name, asked_at) = (&to.text, &to.span);
            }
        }
        let module = self.module(name, asked_at)?;
        let arguments = self.bind_arguments(&name, &module.args, positional, keywords, None, range, scope)?;
        Ok(Value::Blueprint(Rc::new(Blueprint {
            module,
            arguments,
            config,
            replacements: Rc::clone(&replacements),
            span,
            parent: scope.instance.map(Rc::downgrade).unwrap_or_default(),
        })))
    }

    /// Calls a method of a layer: its body is traced in place.
    fn call_method(
        &mut self,
        layer: &Rc<Instance>,
        name: &str,
        positional: Vec<Located>,
        keywords: Vec<(Arc<str>, Located)>,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        if scope.mode != Mode::Body {
            let message = format!("the layer `{}` can be called in a body only", layer.path);
            return Err(scope.error("wrong-place", range, message));
        }
        let Some(method) = layer.module.methods.get(name) else {
            let message = format!("{} has no `{name}`", layer.module_name());
            let known = layer.module.methods.keys().map(String::as_str);
            return Err(scope.error("unknown-method", range, message).maybe_help(did_you_mean(name, known)));
        };
        let label = format_args!("{}.{name}", layer.module_name());
        let arguments =
            self.bind_arguments(&label, &method.inputs, positional, keywords, Some(layer), range, scope)?;
        let given = arguments.iter().find_map(|(_, value)| match value {
            Value::Tensor(slot, _) => Some(*slot),
            _ => None,
        });
        if let (Some(slot), "forward", false) = (given, name, layer.path.is_empty()) {
            self.block().taps.push(([&*layer.path, ":input"].concat().into(), slot));
        }
        let value = self.deeper(&scope.span(range), |tracer| tracer.run(layer, method, arguments));
        let value = value.map_err(|problem| {
            let here = scope.span(range);
            let is_kind = layer.module.is_kind();
            let problem = if is_kind {
                blame(problem, &here, &layer.span)
            } else {
                called(problem, &here, Some(&layer.span).filter(|_| !layer.module.args.is_empty()))
            };
            trace_back(problem, &layer.module, &layer.config)
        })?;
        self.tap(&layer.path, name, &value);
        Ok(value)
    }

    /// Records what a layer gave, so that it can be captured by its path.
    fn tap(&mut self, path: &Arc<str>, method: &str, value: &Value) {
        let path = if method == "forward" { Arc::clone(path) } else { join(path, method).into() };
        if path.is_empty() {
            return;
        }
        let Block { taps, calls, .. } = self.block();
        let calls = calls.entry(Arc::clone(&path)).or_default();
        let path = if *calls == 0 { path } else { format!("{path}#{calls}").into() };
        *calls += 1;
        match value {
            Value::Tensor(slot, _) => taps.push((path, *slot)),
            Value::List(items) => {
                let tensors = items.iter().filter_map(|item| match item {
                    Value::Tensor(slot, _) => Some(*slot),
                    _ => None,
                });
                for (index, slot) in tensors.enumerate() {
                    let name = if index == 0 { Arc::clone(&path) } else { format!("{path}.{index}").into() };
                    taps.push((name, slot));
                }
            }
            Value::Dict(entries) => {
                for (key, entry) in entries.iter() {
                    if let Value::Tensor(slot, _) = entry {
                        taps.push((join(&path, key).into(), *slot));
                    }
                }
            }
            _ => {}
        }
    }
}
