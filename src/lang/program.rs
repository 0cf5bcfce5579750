//! The entry points: a definition built against a config, and its ways in traced into plans.

use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Expr, ExprKind};
use super::config::{Config, Resolver};
use super::given::trace_back;
use super::instance::{self, Instance, Parameter, Parsed};
use super::notes::Notes;
use super::parses::Parses;
use super::tracer::{Block, Mode, Scope, Tracer, span_in};
use super::value::{Eval, Value};
use crate::diag::{Problem, Source, did_you_mean};
use crate::ops::{Const, Dim, Kind, Slot, TensorType};
use crate::plan::{Input, Param, Plan};
use crate::registry::{Architecture, Code, Registry};

/// A definition built against one config: its tensors are known, its methods can be traced.
#[derive(Debug)]
pub struct Program<'r> {
    pub(super) tracer: Tracer<'r>,
    root: Rc<Instance>,
    architecture: &'r Architecture,
}

impl<'r> Program<'r> {
    /// Builds the tree of layers for a config.
    ///
    /// `source` is the text of the `config.json`, so that errors can point into it.
    ///
    /// # Errors
    /// The first thing in the definition or the config that does not fit.
    pub fn build(
        registry: &'r Registry,
        architecture: &'r Architecture,
        config: &serde_json::Value,
        source: Option<Arc<Source>>,
    ) -> Result<Self, Problem> {
        Self::build_parsed(registry, None, architecture, config, source)
    }

    /// Builds the tree of layers; code that `parses` knows is not parsed again.
    ///
    /// # Errors
    /// As [`Program::build`].
    pub fn build_parsed(
        registry: &'r Registry,
        parses: Option<&'r Parses>,
        architecture: &'r Architecture,
        config: &serde_json::Value,
        source: Option<Arc<Source>>,
    ) -> Result<Self, Problem> {
        let mut tracer = Tracer::new(registry, parses);
        let root = Self::root(&mut tracer, architecture, config, source)?;
        Ok(Self { tracer, root, architecture })
    }

    fn root(
        tracer: &mut Tracer<'r>,
        architecture: &'r Architecture,
        config: &serde_json::Value,
        source: Option<Arc<Source>>,
    ) -> Eval<Rc<Instance>> {
        let table = match &architecture.config {
            Some(name) => Some(tracer.table(name, None)?),
            None => None,
        };
        tracer.root(architecture, Config::new(String::new(), table, config.clone(), source))
    }

    /// Builds a definition and traces every way in, only to note what is met. Whatever fails ends its part.
    #[must_use]
    pub fn observe(
        registry: &'r Registry,
        architecture: &'r Architecture,
        config: &serde_json::Value,
    ) -> Notes {
        let mut tracer = Tracer::new(registry, None);
        tracer.notes = Some(Notes::default());
        let Ok(root) = Self::root(&mut tracer, architecture, config, None) else {
            return Notes { params: tracer.params, ..tracer.notes.unwrap_or_default() };
        };
        let mut program = Self { tracer, root, architecture };
        let methods: Vec<String> = program.methods().into_iter().map(str::to_owned).collect();
        for method in methods {
            // Without what may be left out first: that is what a definition is usually called with.
            let _ = program.trace(&method, &|_| false);
            let _ = program.trace(&method, &|_| true);
            // And each of them missed alone.
            let switches: Vec<String> = program.switches(&method).into_iter().map(str::to_owned).collect();
            for left_out in switches.iter().filter(|_| switches.len() > 1) {
                let _ = program.trace(&method, &|name| name != left_out);
            }
        }
        let Self { tracer, .. } = program;
        Notes { params: tracer.params, ..tracer.notes.unwrap_or_default() }
    }

    /// Every tensor of the definition, in the order of its tree.
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.tracer.params
    }

    /// The same, of a program that has nothing left to trace.
    #[must_use]
    pub fn into_params(self) -> Vec<Param> {
        self.tracer.params
    }

    /// Gives the named parameters tensors of their own, whatever the definition ties them to.
    pub fn untie(&mut self, names: &[String]) {
        for param in self.tracer.params.iter_mut().filter(|param| names.contains(&param.name)) {
            param.tied_to = None;
        }
    }

    pub(super) fn top(&self) -> &Rc<Instance> {
        &self.root
    }

    /// The architecture that was built.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        self.architecture
    }

    /// The tensors that a checkpoint may hold beside those of the definition, as globs: a `{field}` of the config in
    /// the architecture's `ignore` stands for its value.
    ///
    /// # Errors
    /// If such a field cannot be computed.
    pub fn ignored(&mut self) -> Result<Vec<String>, Problem> {
        let config = Rc::clone(&self.root.config);
        let architecture = self.architecture;
        let mut globs = Vec::with_capacity(architecture.ignore.len());
        for template in &architecture.ignore {
            let mut glob = template.clone();
            for field in config.known() {
                let hole = format!("{{{field}}}");
                if let (true, Some(value)) = (glob.contains(&hole), config.field(field, &mut self.tracer)) {
                    let value = value?.as_const().unwrap_or(Const::None);
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    glob = glob.replace(&hole, &text);
                }
            }
            globs.push(glob);
        }
        for layer in self.left_out() {
            let prefixes =
                architecture.prefixes.iter().map(String::as_str).filter(|prefix| !prefix.is_empty());
            globs.extend(std::iter::once("").chain(prefixes).map(|prefix| format!("{prefix}{layer}.*")));
        }
        Ok(globs)
    }

    /// The layers of the root that the architecture's mode leaves out.
    fn left_out(&self) -> Vec<String> {
        let layers = self.root.module.layers.iter().map(|(name, _)| name.text.clone());
        layers.filter(|layer| self.tracer.leaves_out(layer)).collect()
    }

    /// The root's own name of a method: in some modes another stands for `forward`.
    fn own_name<'n>(&'n self, method: &'n str) -> &'n str {
        let forward = self.architecture.mode.as_ref().and_then(|mode| mode.forward.as_ref());
        forward.filter(|_| method == "forward").map_or(method, |name| &name.text)
    }

    /// Whether there is a way in of that name.
    #[must_use]
    pub fn has_method(&self, method: &str) -> bool {
        self.root.module.methods.contains_key(self.own_name(method))
    }

    /// The names of the root's methods, `forward` among them.
    #[must_use]
    pub fn methods(&self) -> Vec<&str> {
        self.root.module.methods.keys().map(String::as_str).collect()
    }

    /// The inputs of a method: each name, and whether it may be left out.
    #[must_use]
    pub fn inputs(&self, method: &str) -> Vec<(&str, bool)> {
        let inputs = self.parameters(method).iter();
        inputs.map(|input| (&*input.name, input.default.is_some())).collect()
    }

    /// The inputs of a method that change its program by being there: those with the default `None`.
    #[must_use]
    pub fn switches(&self, method: &str) -> Vec<&str> {
        let is_none = |default: &Parsed| matches!(default.expr.kind, ExprKind::Const(Const::None));
        let inputs = self.parameters(method).iter();
        inputs.filter(|input| input.default.as_ref().is_some_and(is_none)).map(|input| &*input.name).collect()
    }

    fn parameters(&self, method: &str) -> &[Parameter] {
        let found = self.root.module.methods.get(self.own_name(method));
        found.map(|method| method.inputs.as_slice()).unwrap_or_default()
    }

    /// The keys of the config that nothing has read so far, as dotted paths.
    #[must_use]
    pub fn unread_config_keys(&self) -> Vec<String> {
        self.root.config.unread()
    }

    /// Traces a method of the root. An input with the default `None` is there only if `present` says so.
    ///
    /// # Errors
    /// The first thing in the body that does not fit.
    pub fn trace(&mut self, method: &str, present: &dyn Fn(&str) -> bool) -> Result<Plan, Problem> {
        // What a trace writes is its caller's to keep, and does not count against the next.
        let before = self.tracer.steps;
        let traced = self.trace_own(method, present);
        self.tracer.steps = before;
        traced.map_err(|problem| self.blame_mode(problem))
    }

    /// Says which layers are not there where a mode leaves some out and a body misses one.
    fn blame_mode(&self, problem: Problem) -> Problem {
        let left_out = self.left_out();
        let (Some(mode), false) = (&self.architecture.mode, left_out.is_empty()) else { return problem };
        let reason = format!("mode `{}` leaves out `{}`", mode.name.text, left_out.join("`, `"));
        let help = problem.help.as_ref().map_or(reason.clone(), |help| format!("{help}; {reason}"));
        problem.help(help)
    }

    pub(super) fn trace_own(
        &mut self,
        method: &str,
        present: &dyn Fn(&str) -> bool,
    ) -> Result<Plan, Problem> {
        let root = Rc::clone(&self.root);
        let own = self.own_name(method).to_owned();
        let Some(found) = root.module.methods.get(&own) else {
            let method = &own;
            let message = format!("`{}` has no method `{method}`", root.module_name());
            let known = || root.module.methods.keys().map(String::as_str);
            let listed = || format!("it has `{}`", known().collect::<Vec<_>>().join("`, `"));
            return Err(Problem::error("unknown-method", root.module.name.span.clone(), message)
                .help(did_you_mean(method, known()).unwrap_or_else(listed)));
        };
        self.tracer.block = Some(Block::default());
        let mut inputs = Vec::new();
        let mut arguments = Vec::new();
        for parameter in &found.inputs {
            let name = &parameter.name;
            let default = self.default(parameter)?;
            if matches!(default, Some(Const::None)) && !present(name) {
                arguments.push((Arc::clone(name), Value::NONE));
                continue;
            }
            let ty = self.input_type(&root, parameter)?;
            let slot = self.tracer.block().slot();
            arguments.push((Arc::clone(name), Value::Tensor(slot, ty.clone())));
            inputs.push(Input {
                name: name.to_string(),
                slot,
                ty,
                default: default.and_then(|value| value.as_f64()),
            });
        }
        let value = self.tracer.run(&root, found, arguments);
        let value = value.map_err(|problem| trace_back(problem, &root.module, &root.config))?;
        let mut outputs = Vec::new();
        self.outputs("", &value, &mut outputs);
        if outputs.is_empty() {
            let problem =
                Problem::error("no-output", found.code.span.clone(), format!("`{method}` returns no tensor"));
            return Err(problem.help("return a tensor, a tuple of tensors, or a dict of named tensors"));
        }
        let block = self.tracer.block.take().unwrap_or_default();
        let mut plan = Plan {
            method: method.to_owned(),
            symbols: block.symbols,
            inputs,
            params: block.params.into_iter().map(|(id, (slot, ty))| (id, slot, ty)).collect(),
            instrs: block.instrs,
            outputs,
            taps: block.taps,
            constraints: block.constraints,
            states: block.states,
            slots: block.slots,
        };
        plan.prune();
        plan.instrs.shrink_to_fit();
        plan.taps.shrink_to_fit();
        Ok(plan)
    }

    fn default(&mut self, parameter: &Parameter) -> Eval<Option<Const>> {
        let Some(default) = &parameter.default else { return Ok(None) };
        if let ExprKind::Const(value @ (Const::None | Const::Int(_) | Const::Float(_))) = &default.expr.kind {
            Ok(Some(value.clone()))
        } else {
            let message = "the default of a root input is neither a number nor None".to_owned();
            Err(Problem::error("wrong-kind", parameter.code.span.clone(), message))
        }
    }

    /// The type of a root input: as its module says, or as inputs of that name usually are.
    fn input_type(&mut self, root: &Rc<Instance>, parameter: &Parameter) -> Eval<TensorType> {
        let name = &*parameter.name;
        if let Some((_, parsed)) = root.module.types.iter().find(|(entry, _)| entry.text == name) {
            return self.read_type(root, &parsed.code, &parsed.expr);
        }
        let registry = self.tracer.registry;
        let Some(code) = registry.inputs.get(name) else {
            let message = format!("the root input `{name}` has no type");
            let known = registry.inputs.keys().map(String::as_str);
            let help = did_you_mean(name, known)
                .unwrap_or_else(|| format!("say what it is: types.{name} = \"float[batch, time]\""));
            return Err(Problem::error("untyped-input", parameter.code.span.clone(), message).help(help));
        };
        let expr = instance::expression(code, self.tracer.parses)?;
        self.read_type(root, code, &expr)
    }

    fn read_type(&mut self, root: &Rc<Instance>, code: &Code, expr: &Expr) -> Eval<TensorType> {
        let wrong = |expr: &Expr| {
            let problem =
                Problem::error("wrong-type", span_in(code, &expr.range), "not the type of a tensor");
            problem.help("write `float[batch, time]`, `int[…]` or `bool[…]`")
        };
        let (kind, sizes): (&Expr, &[Expr]) = match &expr.kind {
            ExprKind::Subscript(kind, sizes) => match &sizes.kind {
                ExprKind::List(sizes) => (kind, sizes),
                _ => (kind, std::slice::from_ref(&**sizes)),
            },
            _ => (expr, &[]),
        };
        let kind = match &kind.kind {
            ExprKind::Name(name) => match &**name {
                "float" => Kind::Float,
                "int" => Kind::Int,
                "bool" => Kind::Bool,
                _ => return Err(wrong(expr)),
            },
            _ => return Err(wrong(expr)),
        };
        let scope = Scope::of(root, code, Mode::Types);
        let mut shape: Vec<Dim> = Vec::with_capacity(sizes.len());
        for size in sizes {
            let value = self.tracer.eval(size, &scope)?;
            shape.push(value.as_dim().ok_or_else(|| wrong(size))?);
        }
        Ok(TensorType { kind, shape: shape.into() })
    }

    /// Names the tensors of what a method returns.
    fn outputs(&mut self, name: &str, value: &Value, outputs: &mut Vec<(String, Slot, TensorType)>) {
        let join = |part: &str| super::instance::join(name, part);
        let own = || if name.is_empty() { "output".to_owned() } else { name.to_owned() };
        match value {
            Value::Tensor(slot, ty) => outputs.push((own(), *slot, ty.clone())),
            Value::Param(id) => {
                let (slot, ty) = self.tracer.param_slot(*id);
                outputs.push((own(), slot, ty));
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.outputs(&join(&index.to_string()), item, outputs);
                }
            }
            Value::Dict(entries) => {
                for (key, item) in entries.iter() {
                    self.outputs(&join(key), item, outputs);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_tensor_may_be_named_by_a_field_of_the_config() {
        let (registry, problems) = Registry::from_files([Source::new(
            "test.toml",
            "[architectures.A]\ncategory = 'c'\ntask = 't'\nmodel-types = ['a']\n\
             ignore = ['layers.{depth}.*', '{x,y}.bias']\n\
             [config.a]\ndefaults = { depth = 2 }\nderived = { more = 'depth + 1' }\n\
             [modules.A]\ninputs = ['x']\nforward = 'return x'\n",
        )]);
        assert!(problems.is_empty(), "{problems}");
        let config = serde_json::json!({ "depth": 7 });
        let mut program = Program::build(&registry, &registry.architectures["A"], &config, None)
            .expect("the definition fits the config");
        assert_eq!(program.ignored().expect("the field is there"), ["layers.7.*", "{x,y}.bias"]);
    }
}
