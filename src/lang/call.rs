//! Calls: of ops, of layers, of constructors, of functions.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Expr, ExprKind, TextRange};
use super::builtins::{self, wrong_arguments};
use super::given::trace_back;
use super::instance::{Blueprint, Instance, Parameter, blame, called};
use super::tracer::{Block, Mode, Scope, Tracer};
use super::value::{Eval, Value};
use crate::diag::{Problem, did_you_mean};
use crate::ops::call::{Arg, resolve_axis};
use crate::ops::{self, Call, Const, Slot};
use crate::plan::{Constraint, Instr};

/// An argument with the place where it is written.
type Located = (Value, TextRange);

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
        let found = self.lookup(name, scope)?;
        match found {
            Some(value @ (Value::Layer(_) | Value::Method(..) | Value::Class(_) | Value::Bound(..))) => {
                Ok(value)
            }
            found => match self.callable(name, scope).or(found) {
                Some(value) => Ok(value),
                None => Err(self.unknown(name, &callee.range, scope)),
            },
        }
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
            let is_pure = builtins::exists(name, scope.mode);
            if ops::find(name).is_some() && (of_tensor || !is_pure) {
                return self.emit(name, positional, keywords, range, scope);
            }
        }
        if &**name == "auto" {
            self.no_keywords(name, &keywords, scope)?;
            return self.auto(&values(), range, scope);
        }
        self.no_keywords(name, &keywords, scope)?;
        self.call_pure(name, &values(), range, scope)
    }

    fn size(&mut self, arguments: &[Value], range: &TextRange, scope: &Scope<'_>) -> Eval<Value> {
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
        let arguments = arguments.into_iter().map(|value| (value, range.clone())).collect();
        self.emit(name, arguments, Vec::new(), range, scope)
    }

    /// Checks the call of an op and writes its instruction.
    fn emit(
        &mut self,
        name: &str,
        positional: Vec<Located>,
        keywords: Vec<(Arc<str>, Located)>,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        let Some((op, parameters)) = ops::find(name) else {
            return Err(scope.error("unknown-name", range, format!("there is no op `{name}`")));
        };
        let mut places: BTreeMap<&'static str, TextRange> = BTreeMap::new();
        let mut arguments: BTreeMap<&'static str, Arg> = BTreeMap::new();
        let mut free = parameters.iter().filter(|parameter| !parameter.keyword_only);
        let given = positional.len();
        for (value, at) in positional {
            let Some(parameter) = free.next() else {
                let message = format!(
                    "`{name}` takes at most {} arguments by place, found {given}",
                    parameters.iter().filter(|p| !p.keyword_only).count()
                );
                return Err(scope.error("too-many-arguments", &at, message).help(signature(op)));
            };
            arguments.insert(parameter.name, self.argument(&value, &at, scope)?);
            places.insert(parameter.name, at);
        }
        let mut collected: Vec<(Arc<str>, Arg)> = Vec::new();
        for (keyword, (value, at)) in keywords {
            let argument = self.argument(&value, &at, scope)?;
            let parameter =
                parameters.iter().find(|parameter| parameter.name == &*keyword && !parameter.variadic);
            match parameter {
                Some(parameter) if places.contains_key(parameter.name) => {
                    return Err(scope.error("argument-twice", &at, format!("`{keyword}` is given twice")));
                }
                Some(parameter) => {
                    arguments.insert(parameter.name, argument);
                    places.insert(parameter.name, at);
                }
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
        for parameter in parameters {
            if parameter.variadic {
                arguments.insert(parameter.name, Arg::Named(std::mem::take(&mut collected)));
            } else if !arguments.contains_key(parameter.name) {
                let Some(default) = &parameter.default else {
                    let message = format!("`{name}` misses its argument `{}`", parameter.name);
                    return Err(scope.error("missing-argument", range, message).help(signature(op)));
                };
                arguments.insert(parameter.name, Arg::Const(default.clone()));
            }
        }
        let states = self.block().states;
        let operands: Vec<Slot> = arguments.values().flat_map(Arg::tensors).collect();
        let mut call = Call::new(arguments, states);
        let traced = (op.trace)(&mut call).map_err(|fault| {
            let at = fault.parameter.and_then(|parameter| places.get(parameter)).unwrap_or(range);
            let problem = scope.error(fault.code, at, fault.message).maybe_help(fault.help);
            self.where_from(problem, &operands)
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
        // What is at its default says nothing.
        let is_default = |name: &str, value: &str| {
            let parameter = parameters.iter().find(|parameter| parameter.name == name);
            parameter
                .and_then(|parameter| parameter.default.as_ref())
                .is_some_and(|default| default.to_string() == value)
        };
        let attributes =
            call.attributes.into_iter().filter(|(name, value)| !is_default(name, value)).collect();
        block.instrs.push(Instr {
            op: op.name,
            attributes,
            kernel: Arc::from(traced.kernel),
            inputs: call.inputs,
            sizes: call.sizes,
            outputs: outputs.clone(),
            path,
            span: scope.span(range),
        });
        let mut values: Vec<Value> = outputs.into_iter().map(|(slot, ty)| Value::Tensor(slot, ty)).collect();
        Ok(match values.pop() {
            Some(value) if values.is_empty() && !traced.many => value,
            Some(value) => {
                values.push(value);
                Value::list(values)
            }
            None => Value::list(Vec::new()),
        })
    }

    fn argument(&mut self, value: &Value, at: &TextRange, scope: &Scope<'_>) -> Eval<Arg> {
        if let Some(value) = value.as_const() {
            return Ok(Arg::Const(value));
        }
        Ok(match value {
            Value::Dim(dim) => Arg::Dim(dim.clone()),
            Value::Tensor(slot, ty) => Arg::Tensor(*slot, ty.clone()),
            Value::Param(id) => {
                let (slot, ty) = self.param_slot(*id);
                Arg::Tensor(slot, ty)
            }
            Value::List(items) => {
                Arg::List(items.iter().map(|item| self.argument(item, at, scope)).collect::<Eval<_>>()?)
            }
            other => {
                let message = format!("{} is not something an op can take", other.describe());
                return Err(scope.error("wrong-kind", at, message));
            }
        })
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
        let mut name = name.to_string();
        let mut asked_at = scope.span(range);
        for scope in replacements.iter() {
            if let Some((_, to)) = scope.iter().find(|(from, _)| from.text == name) {
                name.clone_from(&to.text);
                asked_at = to.span.clone();
            }
        }
        let module = self.module(&name, &asked_at)?;
        let arguments = self.bind_arguments(&name, &module.args, positional, keywords, None, range, scope)?;
        Ok(Value::Blueprint(Rc::new(Blueprint {
            module,
            arguments,
            config,
            replacements,
            span: scope.span(range),
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
        let label = format!("{}.{name}", layer.module_name());
        let arguments =
            self.bind_arguments(&label, &method.inputs, positional, keywords, Some(layer), range, scope)?;
        let given = arguments.iter().find_map(|(_, value)| match value {
            Value::Tensor(slot, _) => Some(*slot),
            _ => None,
        });
        if let (Some(slot), "forward", false) = (given, name, layer.path.is_empty()) {
            self.block().taps.push((format!("{}:input", layer.path), slot));
        }
        let value = self.deeper(&scope.span(range), |tracer| tracer.run(layer, method, arguments));
        let value = value.map_err(|problem| {
            let here = scope.span(range);
            let is_kind = layer.module.is_kind();
            let problem = if is_kind { blame(problem, &here, &layer.span) } else { called(problem, &here) };
            trace_back(problem, &layer.module, &layer.config)
        })?;
        self.tap(&layer.path, name, &value);
        Ok(value)
    }

    /// Records what a layer gave, so that it can be captured by its path.
    fn tap(&mut self, path: &Arc<str>, method: &str, value: &Value) {
        let path = if method == "forward" { path.to_string() } else { super::instance::join(path, method) };
        if path.is_empty() {
            return;
        }
        let Block { taps, calls, .. } = self.block();
        let calls = calls.entry(path.clone()).or_default();
        let path = if *calls == 0 { path } else { format!("{path}#{calls}") };
        *calls += 1;
        match value {
            Value::Tensor(slot, _) => taps.push((path, *slot)),
            Value::List(items) => {
                let tensors = items.iter().filter_map(|item| match item {
                    Value::Tensor(slot, _) => Some(*slot),
                    _ => None,
                });
                for (index, slot) in tensors.enumerate() {
                    let name = if index == 0 { path.clone() } else { format!("{path}.{index}") };
                    taps.push((name, slot));
                }
            }
            Value::Dict(entries) => {
                for (key, entry) in entries.iter() {
                    if let Value::Tensor(slot, _) = entry {
                        taps.push((format!("{path}.{key}"), *slot));
                    }
                }
            }
            _ => {}
        }
    }

    /// Binds arguments to parameters, filling in defaults.
    #[expect(clippy::too_many_arguments, reason = "everything a call consists of")]
    fn bind_arguments(
        &mut self,
        what: &str,
        parameters: &[Parameter],
        positional: Vec<Located>,
        keywords: Vec<(Arc<str>, Located)>,
        defaults_of: Option<&Rc<Instance>>,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Vec<(Arc<str>, Value)>> {
        let mut bound: Vec<(Arc<str>, Value)> = Vec::with_capacity(parameters.len());
        let given = positional.len();
        for (index, (value, at)) in positional.into_iter().enumerate() {
            let Some(parameter) = parameters.get(index) else {
                let message = format!("`{what}` takes {} arguments, found {given}", parameters.len());
                let problem = scope.error("too-many-arguments", &at, message);
                return Err(match defaults_of {
                    Some(layer) if parameters.is_empty() => {
                        problem.related(layer.module.name.span.clone(), "declared here")
                    }
                    _ => self.with_definition(problem, parameters),
                });
            };
            bound.push((Arc::clone(&parameter.param.name), value));
        }
        for (keyword, (value, at)) in keywords {
            if bound.iter().any(|(name, _)| *name == keyword) {
                let problem = scope.error("argument-twice", &at, format!("`{keyword}` is given twice"));
                return Err(self.with_definition(problem, parameters));
            }
            if !parameters.iter().any(|parameter| parameter.param.name == keyword) {
                let message = format!("`{what}` has no argument `{keyword}`");
                let help = did_you_mean(&keyword, parameters.iter().map(|parameter| &*parameter.param.name));
                let problem = scope.error("unknown-argument", &at, message).maybe_help(help);
                return Err(self.with_definition(problem, parameters));
            }
            bound.push((keyword, value));
        }
        for parameter in parameters {
            let name = &parameter.param.name;
            if bound.iter().any(|(bound, _)| bound == name) {
                continue;
            }
            let Some(default) = &parameter.param.default else {
                let message = format!("`{what}` misses its argument `{name}`");
                let problem = scope.error("missing-argument", range, message);
                return Err(problem.related(parameter.code.span.clone(), "declared here"));
            };
            // The default's ranges count from after the `=`.
            let at = parameter.code.text.len()
                - parameter.code.text.split_once('=').map_or("", |(_, rest)| rest).len();
            let code = crate::registry::Code {
                text: parameter.code.text[at..].to_owned(),
                span: crate::diag::Span::new(
                    &parameter.code.span.source,
                    parameter.code.span.range.start + at..parameter.code.span.range.end,
                ),
            };
            let inner = Scope {
                code: &code,
                locals: BTreeMap::new(),
                instance: defaults_of,
                config: Rc::clone(&scope.config),
                mode: Mode::Numbers,
            };
            bound.push((Arc::clone(name), self.eval(default, &inner)?));
        }
        Ok(bound)
    }

    fn with_definition(&self, problem: Problem, parameters: &[Parameter]) -> Problem {
        match parameters.first() {
            Some(first) => problem.related(first.code.span.clone(), "its parameters are declared here"),
            None => problem,
        }
    }
}

fn signature(op: &ops::Op) -> String {
    format!("the signature is `{}({})`", op.name, op.signature)
}
