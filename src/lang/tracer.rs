//! The state of tracing, and what every part of it uses: scopes, limits, places.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::ast::TextRange;
use super::config::{Config, Resolver};
use super::instance::{self, Instance, ParsedModule};
use super::notes::{Noted, Notes};
use super::parses::Parses;
use super::value::{Eval, Locals, Value};
use crate::diag::{Problem, Span};
use crate::ops::{Dim, Slot, Symbol, TensorType};
use crate::plan::{Constraint, Instr, Param, ParamId};
use crate::registry::{Code, ConfigTable, Name, Registry};

/// Steps that one definition may take to be built and traced once. The largest published model needs a thirtieth; one
/// with as many experts as layers of their own would need a half.
const MAX_STEPS: u64 = 10_000_000;

/// What a layer, a parameter or an instruction costs in steps: it is kept, and so takes memory as well as time.
pub(super) const KEPT: u64 = 16;

/// Modules and methods may be nested this deep.
pub(super) const MAX_DEPTH: usize = 48;

/// The symbols that a type may name, beside config fields.
pub const SYMBOLS: &[&str] = &[
    "batch", "time", "source", "target", "height", "width", "frames", "samples", "clips", "images", "patches",
];

/// The program being written.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) symbols: Vec<Symbol>,
    pub(super) params: BTreeMap<ParamId, (Slot, TensorType)>,
    pub(super) instrs: Vec<Instr>,
    pub(super) constraints: Vec<Constraint>,
    pub(super) taps: Vec<(Arc<str>, Slot)>,
    /// How often the method of each path was called.
    pub(super) calls: FxHashMap<Arc<str>, usize>,
    pub(super) states: usize,
    pub(super) slots: usize,
}

impl Block {
    pub(super) fn slot(&mut self) -> Slot {
        self.slots += 1;
        Slot(self.slots - 1)
    }

    /// The symbol of that name, new if need be.
    pub(super) fn symbol(&mut self, name: &str) -> Dim {
        let found = self.symbols.iter().find(|symbol| &*symbol.name == name).cloned();
        Dim::symbol(found.unwrap_or_else(|| {
            let symbol = Symbol { index: self.symbols.len(), name: Arc::from(name) };
            self.symbols.push(symbol.clone());
            symbol
        }))
    }
}

/// Traces one definition against one config.
#[derive(Debug)]
pub(super) struct Tracer<'r> {
    pub(super) registry: &'r Registry,
    /// Code that is parsed already.
    pub(super) parses: Option<&'r Parses>,
    modules: FxHashMap<String, Arc<ParsedModule>>,
    pub(super) params: Vec<Param>,
    /// The place of each parameter, by name.
    pub(super) named: FxHashMap<String, ParamId>,
    /// The layer of each parameter.
    pub(super) owners: Vec<Rc<Instance>>,
    pub(super) block: Option<Block>,
    /// What was built and traced so far, to be held against [`MAX_STEPS`].
    pub(super) steps: u64,
    pub(super) depth: usize,
    /// The mode in which the root is built, if not the whole.
    pub(super) mode: Option<crate::registry::Mode>,
    /// What is met on the way, if somebody wants to know.
    pub(super) notes: Option<Notes>,
}

/// What a name may mean in the code being evaluated.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) code: &'a Code,
    pub(super) locals: Locals,
    pub(super) instance: Option<&'a Rc<Instance>>,
    pub(super) config: Rc<Config>,
    /// What beyond names and arithmetic the code may use.
    pub(super) mode: Mode,
}

/// What a piece of code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Numbers: lets, shapes, derived config fields.
    Numbers,
    /// Layers of a module: constructors are known.
    Layers,
    /// The type of an input: symbols are known.
    Types,
    /// How a checkpoint stores a parameter.
    Stored,
    /// A body: ops are known.
    Body,
}

impl<'a> Scope<'a> {
    pub(super) fn of(instance: &'a Rc<Instance>, code: &'a Code, mode: Mode) -> Self {
        Self {
            code,
            locals: Locals::default(),
            instance: Some(instance),
            config: Rc::clone(&instance.config),
            mode,
        }
    }

    /// What a name means that is bound in the code, or in the module that it belongs to.
    pub(super) fn own(&self, name: &str) -> Option<Value> {
        self.locals.get(name).cloned().or_else(|| self.instance?.value(name))
    }

    /// The path of the module that the code belongs to.
    pub(super) fn path(&self) -> Arc<str> {
        self.instance.map_or_else(|| Arc::from(""), |instance| Arc::clone(&instance.path))
    }

    pub(super) fn span(&self, range: &TextRange) -> Span {
        span_in(self.code, range)
    }

    /// An error at some characters of the code, saying in which module it was met.
    pub(super) fn error(&self, code: &'static str, range: &TextRange, message: impl Into<String>) -> Problem {
        let problem = Problem::error(code, self.span(range), message);
        match self.instance {
            Some(instance) if !instance.path.is_empty() => {
                let name = instance.module_name();
                let article = if name.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
                problem.label(format!("in `{}`, {article} {name}", instance.path))
            }
            Some(instance) => problem.label(format!("in {}", instance.module_name())),
            None => problem,
        }
    }
}

/// The span of a range within a piece of code.
pub(super) fn span_in(code: &Code, range: &TextRange) -> Span {
    let start = code.span.range.start;
    let end = (start + range.end as usize).min(code.span.range.end.max(start));
    Span::new(&code.span.source, (start + range.start as usize).min(end)..end)
}

impl<'r> Tracer<'r> {
    pub(super) fn new(registry: &'r Registry, parses: Option<&'r Parses>) -> Self {
        Self {
            registry,
            parses,
            modules: FxHashMap::default(),
            params: Vec::new(),
            named: FxHashMap::default(),
            owners: Vec::new(),
            block: None,
            steps: 0,
            depth: 0,
            mode: None,
            notes: None,
        }
    }

    /// Whether a layer of the root is not built in this mode.
    pub(super) fn leaves_out(&self, layer: &str) -> bool {
        self.mode.as_ref().is_some_and(|mode| !mode.builds(layer))
    }

    /// Whether something is built already from the module of that name.
    pub(super) fn has_built(&self, module: &str) -> bool {
        self.modules.contains_key(module)
    }

    /// The module of that name with everything it inherits, parsed once.
    pub(super) fn module(&mut self, name: &str, asked_at: &Span) -> Eval<Arc<ParsedModule>> {
        if let Some(module) = self.modules.get(name) {
            return Ok(Arc::clone(module));
        }
        let module = match self.parses {
            Some(parses) => parses.module(self.registry, name, asked_at)?,
            None => Arc::new(ParsedModule::new(self.registry.module(name, asked_at)?, None)?),
        };
        self.modules.insert(name.to_owned(), Arc::clone(&module));
        Ok(module)
    }

    /// Notes which way a condition went.
    pub(super) fn went(&mut self, span: impl FnOnce() -> Span, holds: bool) {
        if let Some(notes) = &mut self.notes {
            notes.went(span(), holds);
        }
    }

    /// Notes what a name stands for.
    pub(super) fn note(
        &mut self,
        span: impl FnOnce() -> Span,
        value: &Value,
        path: impl FnOnce() -> Arc<str>,
    ) {
        let Some(mut notes) = self.notes.take() else { return };
        notes.note(&span(), || {
            let what = match value {
                Value::Tensor(_, ty) => ty.to_string(),
                Value::Param(id) => self.params[id.0].ty().to_string(),
                other => other.describe(),
            };
            Noted { what, path: path() }
        });
        self.notes = Some(notes);
    }

    /// Counts work, so that every definition ends.
    pub(super) fn step(&mut self, cost: u64, at: impl FnOnce() -> Span) -> Eval<()> {
        self.steps = self.steps.saturating_add(cost);
        if self.steps <= MAX_STEPS {
            return Ok(());
        }
        let message = format!("the definition takes more than {MAX_STEPS} steps for this config");
        let problem = Problem::error("step-budget", at(), message);
        Err(problem.help("look for a count in config.json that is far too large"))
    }

    /// Enters a module or a method, if the nesting allows.
    pub(super) fn deeper<T>(&mut self, at: &Span, what: impl FnOnce(&mut Self) -> Eval<T>) -> Eval<T> {
        if self.depth >= MAX_DEPTH {
            let message = format!("modules nested more than {MAX_DEPTH} deep: does one contain itself?");
            return Err(Problem::error("module-depth", at.clone(), message));
        }
        self.depth += 1;
        let result = super::parse::grow(|| what(self));
        self.depth -= 1;
        result
    }

    /// The program being written.
    ///
    /// # Panics
    /// If there is none: bodies are only evaluated while a program is being written.
    pub(super) fn block(&mut self) -> &mut Block {
        self.block.as_mut().expect("bodies are evaluated only while a program is being written")
    }

    /// The place of a parameter in the program being written; tied ones share one.
    pub(super) fn param_slot(&mut self, id: ParamId) -> (Slot, TensorType) {
        let mut id = id;
        while let Some(owner) = self.params[id.0].tied_to {
            id = owner;
        }
        if let Some(found) = self.block().params.get(&id) {
            return found.clone();
        }
        let ty = self.params[id.0].ty();
        let block = self.block();
        let slot = block.slot();
        block.params.insert(id, (slot, ty.clone()));
        (slot, ty)
    }
}

impl Resolver for Tracer<'_> {
    fn derive(&mut self, code: &Code, config: &Rc<Config>) -> Eval<Value> {
        let expr = instance::expression(code, self.parses)?;
        let scope = Scope {
            code,
            locals: Locals::default(),
            instance: None,
            config: Rc::clone(config),
            mode: Mode::Numbers,
        };
        self.eval(&expr, &scope)
    }

    fn table(&mut self, name: &Name, model_type: Option<&str>) -> Eval<ConfigTable> {
        // A part that names another registered model type is completed by that one's table.
        if let Some(found) = model_type.and_then(|model_type| self.registry.configs.get(model_type)) {
            return self.registry.config(&found.name);
        }
        self.registry.config(name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::diag::Source;
    use crate::lang::Program;

    #[test]
    fn what_asks_for_a_million_of_anything_is_refused_and_told_which_number_asked() {
        let (registry, problems) = Registry::from_files([Source::new(
            "test.toml",
            "[architectures.A]\ncategory = 'c'\ntask = 't'\nconfig = 'a'\n\
             [config.a]\nrequired = ['depth', 'count']\n\
             [modules.A]\ninputs = ['x']\ntypes.x = 'float[batch, 8]'\n\
             layers.blocks = '[Block() for i in range(depth)]'\n\
             forward = '''\nfor i in range(count):\n    x = x + 1\nreturn x\n'''\n\
             [modules.Block]\nparams.weight = '[8]'\n",
        )]);
        assert!(problems.is_empty(), "{problems}");
        let refused = |config: Json| {
            let source = Source::new("config.json", config.to_string());
            let architecture = &registry.architectures["A"];
            let built = Program::build(&registry, architecture, &config, Some(source));
            built.and_then(|mut program| program.trace("forward", &|_| true)).expect_err("it is too much")
        };
        for (config, asked) in [
            (json!({ "width": 9, "depth": 1_000_000, "count": 1 }), "`depth` = 1000000, `width` = 9"),
            (
                json!({ "width": [9, 8], "depth": 1, "count": 1_000_000 }),
                "`count` = 1000000, `width` = [9,8]",
            ),
        ] {
            let problem = refused(config);
            assert_eq!(problem.code, "step-budget", "{problem}");
            let help = problem.help.expect("it says what to do");
            assert!(help.contains("far too large; config.json has") && help.contains(asked), "{help}");
        }
        // What was traced before does not count.
        let config = json!({ "depth": 1, "count": 100_000 });
        let mut program =
            Program::build(&registry, &registry.architectures["A"], &config, None).expect("it fits");
        for _ in 0..=MAX_STEPS / 100_000 / KEPT {
            program.trace("forward", &|_| true).expect("each is small enough");
        }
    }

    #[test]
    fn no_published_model_takes_more_than_a_fifth_of_what_is_allowed() {
        let registry = Registry::embedded().expect("the shipped registry has no errors");
        let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/configs");
        let mut most = 0;
        for file in fs::read_dir(configs).expect("they are there") {
            let text = fs::read(file.expect("a file").path()).expect("it can be read");
            let config: Json = serde_json::from_slice(&text).expect("it is JSON");
            let name = config["architectures"][0].as_str().or(config["_class_name"].as_str());
            let architecture = &registry.architectures[name.expect("it names its class")];
            let mut program = Program::build(&registry, architecture, &config, None).expect("it fits");
            if program.has_method("forward") {
                program.trace_own("forward", &|_| true).expect("it can be traced");
            }
            most = most.max(program.tracer.steps);
        }
        assert!((100_000..MAX_STEPS / 5).contains(&most), "the costliest takes {most} steps");
    }
}
