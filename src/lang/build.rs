//! Builds the tree of layers: gives every layer its place and every tensor its name and shape.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::ast::{Expr, ExprKind, TextRange};
use super::builtins::wrong_arguments;
use super::config::Config;
use super::given::trace_back;
use super::instance::{Blueprint, Instance, Parsed, blame, join};
use super::notes::Placed;
use super::tracer::{KEPT, Mode, Scope, Tracer};
use super::value::{Eval, Locals, Value};
use crate::diag::Problem;
use crate::plan::{Param, ParamId};
use crate::registry::{Architecture, Name};

/// A tensor may have this many elements: 2^46 of them fill more memory than any machine has.
const MAX_ELEMENTS: u64 = 1 << 46;

impl Tracer<'_> {
    /// Gives a layer its place: evaluates its constants, parameters and layers.
    pub(super) fn realize(&mut self, blueprint: &Blueprint, path: &str) -> Eval<Rc<Instance>> {
        let built = self.deeper(&blueprint.span, |tracer| tracer.build(blueprint, path));
        let is_kind = blueprint.module.is_kind() && !path.is_empty();
        built.map_err(|problem| {
            let problem = if is_kind { blame(problem, &blueprint.span, &blueprint.span) } else { problem };
            trace_back(problem, &blueprint.module, &blueprint.config)
        })
    }

    fn build(&mut self, blueprint: &Blueprint, path: &str) -> Eval<Rc<Instance>> {
        self.step(KEPT, || blueprint.span.clone())?;
        let module = Arc::clone(&blueprint.module);
        let mut replacements = Rc::clone(&blueprint.replacements);
        if !module.replace.is_empty() {
            Rc::make_mut(&mut replacements).insert(0, module.replace.clone());
        }
        let instance = Rc::new(Instance {
            path: Arc::from(path),
            module: Arc::clone(&module),
            config: Rc::clone(&blueprint.config),
            replacements,
            span: blueprint.span.clone(),
            parent: blueprint.parent.clone(),
            values: RefCell::new(blueprint.arguments.iter().cloned().collect()),
        });
        for (name, parsed) in &module.lets {
            let scope = Scope::of(&instance, &parsed.code, Mode::Numbers);
            let value = self.eval(&parsed.expr, &scope)?;
            instance.set(&name.text, value);
        }
        for (name, parsed) in &module.params {
            self.declare(&instance, name, parsed, false)?;
        }
        for (name, parsed) in &module.buffers {
            self.declare(&instance, name, parsed, true)?;
        }
        for (name, parsed) in &module.layers {
            if path.is_empty() && self.leaves_out(&name.text) {
                instance.set(&name.text, Value::NONE);
                continue;
            }
            let scope = Scope::of(&instance, &parsed.code, Mode::Layers);
            let value = self.eval(&parsed.expr, &scope)?;
            let path = instance.child(&name.text);
            if let Some(notes) = &mut self.notes {
                notes.layers.push(Placed { entry: name.span.clone(), path: path.clone() });
            }
            let value = self.place(value, &path, &parsed.expr, &scope)?;
            instance.set(&name.text, value);
        }
        for (name, parsed) in &module.tied {
            let layer = name.text.split('.').next().unwrap_or_default();
            if path.is_empty() && self.leaves_out(layer) && module.layers.iter().any(|(l, _)| l.text == layer)
            {
                continue;
            }
            let scope = Scope::of(&instance, &parsed.code, Mode::Numbers);
            let target = self.eval(&parsed.expr, &scope)?;
            self.tie(&instance, name, target, &parsed.expr.range, &scope)?;
        }
        Ok(instance)
    }

    /// Gives the layers in a value their places below `path`.
    fn place(&mut self, value: Value, path: &str, expr: &Expr, scope: &Scope<'_>) -> Eval<Value> {
        match value {
            Value::Blueprint(blueprint) => Ok(Value::Layer(self.realize(&blueprint, path)?)),
            Value::List(items) => {
                let mut placed = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    placed.push(self.place(item.clone(), &join(path, &index.to_string()), expr, scope)?);
                }
                Ok(Value::list(placed))
            }
            Value::Dict(entries) => {
                let mut placed = Vec::with_capacity(entries.len());
                for (key, item) in entries.iter() {
                    placed.push((Arc::clone(key), self.place(item.clone(), &join(path, key), expr, scope)?));
                }
                Ok(Value::Dict(Rc::new(placed)))
            }
            value if value.is_none() => Ok(value),
            other => {
                let message = format!("a layer is {}, expected a module or None", other.describe());
                Err(scope.error("wrong-kind", &expr.range, message))
            }
        }
    }

    fn declare(&mut self, instance: &Rc<Instance>, name: &Name, parsed: &Parsed, buffer: bool) -> Eval<()> {
        let scope = Scope::of(instance, &parsed.code, Mode::Numbers);
        let value = self.eval(&parsed.expr, &scope)?;
        if value.is_none() {
            instance.set(&name.text, Value::NONE);
            return Ok(());
        }
        let shape = self
            .shape(&value, parsed, &scope)
            .map_err(|problem| Self::where_computed(problem, instance, &parsed.expr))?;
        let full = instance.child(&name.text);
        if let Some(other) = self.named.get(&full).map(|id| &self.params[id.0]) {
            let problem = scope.error(
                "tensor-named-twice",
                &parsed.expr.range,
                format!("two tensors are named `{full}`"),
            );
            return Err(problem.related(other.span.clone(), "the other one"));
        }
        self.step(KEPT, || scope.span(&parsed.expr.range))?;
        let id = ParamId(self.params.len());
        self.named.insert(full.clone(), id);
        let stored = self.stored(instance, name, &full, &shape)?;
        let span = scope.span(&parsed.expr.range);
        let of_kind = instance.module.is_kind() && !instance.path.is_empty();
        self.params.push(Param {
            layer: if of_kind { instance.span.clone() } else { span.clone() },
            name: full,
            shape,
            buffer,
            tied_to: None,
            stored,
            span,
        });
        self.owners.push(Rc::clone(instance));
        instance.set(&name.text, Value::Param(id));
        Ok(())
    }

    fn shape(&self, value: &Value, parsed: &Parsed, scope: &Scope<'_>) -> Eval<Vec<usize>> {
        let Value::List(items) = value else {
            let message = format!("the shape of a tensor is {}, expected a list of ints", value.describe());
            return Err(scope.error("wrong-kind", &parsed.expr.range, message));
        };
        let mut shape = Vec::with_capacity(items.len());
        let mut elements = 1u64;
        for (index, item) in items.iter().enumerate() {
            let at = match &parsed.expr.kind {
                ExprKind::List(parts) => parts.get(index).map_or(&parsed.expr.range, |part| &part.range),
                _ => &parsed.expr.range,
            };
            let number = item.as_const().and_then(|number| number.as_i64());
            let size = number.and_then(|number| usize::try_from(number).ok()).filter(|size| *size > 0);
            let Some(size) = size else {
                let message = format!("a size of a tensor is {}, expected an int above 0", item.describe());
                return Err(scope.error("wrong-size", at, message));
            };
            elements = elements.saturating_mul(size as u64);
            shape.push(size);
        }
        if elements > MAX_ELEMENTS {
            let message = format!("a tensor of shape {shape:?} is larger than any memory");
            return Err(scope.error("wrong-size", &parsed.expr.range, message));
        }
        Ok(shape)
    }

    /// Builds whatever architecture a part of the config names.
    pub(super) fn auto(&mut self, arguments: &[Value], range: &TextRange, scope: &Scope<'_>) -> Eval<Value> {
        let (config, wanted) = match arguments {
            [Value::Config(config)] => (config, None),
            [Value::Config(config), wanted] => {
                (config, wanted.as_const().and_then(|name| name.as_str().map(str::to_owned)))
            }
            _ => return Err(wrong_arguments("auto", arguments, range, scope)),
        };
        let text = |key: &str| config.json().get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let model_type = text("model_type").or_else(|| config.table_name().map(|name| name.text.clone()));
        let named =
            config.json().get("architectures").and_then(|list| list.get(0)?.as_str().map(str::to_owned));
        let registry = self.registry;
        let of_type = |architecture: &&Architecture| {
            architecture.model_types.iter().any(|name| Some(&name.text) == model_type.as_ref())
        };
        let candidates: Vec<&Architecture> = registry.architectures.values().filter(of_type).collect();
        let by_name =
            |name: &Option<String>| candidates.iter().find(|a| Some(&a.name.text) == name.as_ref()).copied();
        let by_task = || {
            let of_task: Vec<_> =
                candidates.iter().filter(|a| Some(&a.task.text) == wanted.as_ref()).collect();
            if let [only] = of_task.as_slice() { Some(**only) } else { None }
        };
        let only = if let [only] = candidates.as_slice() { Some(*only) } else { None };
        let found = by_name(&wanted).or_else(by_task).or_else(|| by_name(&named)).or(only);
        let Some(architecture) = found else {
            let model_type = model_type.unwrap_or_else(|| "no model_type".to_owned());
            let message = format!("{} ({model_type}) does not say which architecture it is", config.name());
            let names: Vec<&str> = candidates.iter().map(|a| a.name.text.as_str()).collect();
            let help = if names.is_empty() {
                format!("add an architecture with model-types = [\"{model_type}\"]")
            } else {
                format!("write `auto(…, \"NAME\")` with one of: {}", names.join(", "))
            };
            return Err(scope.error("unknown-architecture", range, message).help(help));
        };
        let module = self.module(&architecture.module.text, &architecture.module.span)?;
        Ok(Value::Blueprint(Rc::new(Blueprint {
            module,
            arguments: Vec::new(),
            config: Rc::clone(config),
            replacements: Rc::default(),
            span: scope.span(range),
            parent: scope.instance.map(Rc::downgrade).unwrap_or_default(),
        })))
    }

    /// The root of a definition's tree.
    pub(super) fn root(&mut self, architecture: &Architecture, config: Rc<Config>) -> Eval<Rc<Instance>> {
        self.mode.clone_from(&architecture.mode);
        let module = self.module(&architecture.module.text, &architecture.module.span)?;
        if let Some(required) = module.args.iter().find(|parameter| parameter.default.is_none()) {
            let message = format!("the root module `{}` needs an argument", module.name.text);
            return Err(Problem::error("missing-argument", required.code.span.clone(), message)
                .help("give it a default, or read it from the config"));
        }
        let blueprint = Blueprint {
            arguments: Vec::new(),
            config,
            replacements: Rc::default(),
            span: architecture.name.span.clone(),
            parent: Weak::new(),
            module: Arc::clone(&module),
        };
        let mut with_defaults = Vec::new();
        for parameter in &module.args {
            if let Some(default) = &parameter.default {
                let scope = Scope {
                    code: &default.code,
                    locals: Locals::default(),
                    instance: None,
                    config: Rc::clone(&blueprint.config),
                    mode: Mode::Numbers,
                };
                with_defaults.push((Arc::clone(&parameter.name), self.eval(&default.expr, &scope)?));
            }
        }
        self.realize(&Blueprint { arguments: with_defaults, ..blueprint }, "")
    }
}
