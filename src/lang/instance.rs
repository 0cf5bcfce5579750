//! Modules in use: parsed once, then built into a tree whose paths are the names of tensors.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::ast::{Expr, Stmt};
use super::config::Config;
use super::parse;
use super::parses::{Parses, Syntax, default_of};
use super::value::{Eval, Locals, Value};
use crate::diag::{Problem, Span};
use crate::registry::{Code, Entries, Module, Name};

/// An expression with the code it was parsed from.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) code: Code,
    pub(super) expr: Arc<Expr>,
}

/// A parameter of a constructor or a method, with its code.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) code: Code,
    pub(super) name: Arc<str>,
    pub(super) default: Option<Parsed>,
}

/// A way into a module.
#[derive(Debug)]
pub(super) struct ParsedMethod {
    pub(super) inputs: Vec<Parameter>,
    pub(super) body: Arc<Vec<Stmt>>,
    pub(super) code: Code,
}

impl ParsedModule {
    /// Whether it is a kind of layer: all it knows comes from its arguments, so a fault in it is its user's.
    pub(super) fn is_kind(&self) -> bool {
        self.layers.is_empty() && !self.args.is_empty()
    }
}

/// Blames a fault met inside a kind of layer on the place where it is used.
pub(super) fn blame(problem: Problem, at: &Span, declared: &Span) -> Problem {
    let Some(inner) = problem.span.clone() else { return problem };
    let problem = Problem { span: Some(at.clone()), ..problem };
    let problem = if declared == at { problem } else { problem.related(declared.clone(), "declared here") };
    problem.related(inner, "met here")
}

/// More places than this make a report longer than what it explains.
pub(super) const MAX_RELATED: usize = 12;

/// Adds that the code at fault was called from a place, and where its layer was given arguments, if that helps to see
/// why.
pub(super) fn called(problem: Problem, at: &Span, made: Option<&Span>) -> Problem {
    let about_values = matches!(
        problem.code,
        "shape-mismatch"
            | "wrong-kind"
            | "wrong-value"
            | "wrong-count"
            | "not-callable"
            | "unknown-attribute"
    );
    let mut problem = problem;
    for (place, why) in [(Some(at), "called here"), (made, "with these arguments")] {
        let Some(place) = place.filter(|_| about_values && problem.related.len() < MAX_RELATED) else {
            continue;
        };
        if problem.related.iter().all(|(span, _)| span != place) {
            problem = problem.related(place.clone(), why);
        }
    }
    problem
}

/// Named expressions in the order written.
pub(super) type ParsedEntries = Vec<(Name, Parsed)>;

/// A module with everything it inherits, parsed.
#[derive(Debug)]
pub(super) struct ParsedModule {
    pub(super) name: Name,
    pub(super) replace: Vec<(Name, Name)>,
    pub(super) args: Vec<Parameter>,
    pub(super) lets: ParsedEntries,
    pub(super) layers: ParsedEntries,
    pub(super) params: ParsedEntries,
    pub(super) buffers: ParsedEntries,
    pub(super) tied: ParsedEntries,
    pub(super) stored: ParsedEntries,
    pub(super) types: ParsedEntries,
    pub(super) methods: BTreeMap<String, ParsedMethod>,
}

impl ParsedModule {
    /// Parses a module; what `parses` knows is taken from there.
    pub(super) fn new(module: Module, parses: Option<&Parses>) -> Eval<Self> {
        let entries = |entries: Entries<Code>| -> Eval<ParsedEntries> {
            let parse =
                |(name, code): (Name, Code)| Ok((name, Parsed { expr: expression(&code, parses)?, code }));
            entries.into_iter().map(parse).collect()
        };
        let parameters = |codes: Vec<Code>| -> Eval<Vec<Parameter>> {
            let parse = |code: Code| {
                let parse = |code: Code| Ok(Parsed { expr: expression(&code, parses)?, code });
                let default = default_of(&code).map(parse).transpose()?;
                Ok(Parameter { name: parse::parameter(&code)?, default, code })
            };
            codes.into_iter().map(parse).collect()
        };
        let forward_inputs = module.inputs.unwrap_or_default();
        let mut methods = BTreeMap::new();
        for (name, method) in module.methods {
            let inputs = if name.text == "forward" { forward_inputs.clone() } else { method.inputs };
            let parsed = ParsedMethod {
                inputs: parameters(inputs)?,
                body: body(&method.body, parses)?,
                code: method.body,
            };
            methods.insert(name.text, parsed);
        }
        Ok(Self {
            name: module.name,
            replace: module.replace,
            args: parameters(module.args.unwrap_or_default())?,
            lets: entries(module.lets)?,
            layers: entries(module.layers)?,
            params: entries(module.params)?,
            buffers: entries(module.buffers)?,
            tied: entries(module.tied)?,
            stored: entries(module.stored)?,
            types: entries(module.types)?,
            methods,
        })
    }
}

/// An expression: from `parses` if it is there, else parsed now.
pub(super) fn expression(code: &Code, parses: Option<&Parses>) -> Eval<Arc<Expr>> {
    match parses.map(|parses| parses.expression(code)) {
        Some(Syntax::Expr(expr)) => Ok(expr),
        Some(Syntax::Broken(problem)) => Err(Problem::clone(&problem)),
        Some(Syntax::Body(_)) | None => parse::expression(code).map(Arc::new),
    }
}

fn body(code: &Code, parses: Option<&Parses>) -> Eval<Arc<Vec<Stmt>>> {
    match parses.map(|parses| parses.body(code)) {
        Some(Syntax::Body(body)) => Ok(body),
        Some(Syntax::Broken(problem)) => Err(Problem::clone(&problem)),
        Some(Syntax::Expr(_)) | None => parse::body(code).map(Arc::new),
    }
}

/// The modules that stand for others below some point of the tree, innermost first.
pub(super) type Replacements = Rc<Vec<Vec<(Name, Name)>>>;

/// A layer as its constructor was called, without a place in the tree.
#[derive(Debug)]
pub(super) struct Blueprint {
    pub(super) module: Arc<ParsedModule>,
    pub(super) arguments: Vec<(Arc<str>, Value)>,
    pub(super) config: Rc<Config>,
    pub(super) replacements: Replacements,
    pub(super) span: Span,
    /// The layer that it is a layer of.
    pub(super) parent: Weak<Instance>,
}

impl Blueprint {
    pub(super) fn module_name(&self) -> &str {
        &self.module.name.text
    }
}

/// A layer in the tree.
#[derive(Debug)]
pub(super) struct Instance {
    /// Its place: the prefix of its tensors' names.
    pub(super) path: Arc<str>,
    pub(super) module: Arc<ParsedModule>,
    pub(super) config: Rc<Config>,
    pub(super) replacements: Replacements,
    /// Where its constructor was called.
    pub(super) span: Span,
    /// The layer that it is a layer of; none for the root.
    pub(super) parent: Weak<Instance>,
    /// Arguments, constants, layers and parameters, by name.
    pub(super) values: RefCell<Locals>,
}

impl Instance {
    pub(super) fn module_name(&self) -> &str {
        &self.module.name.text
    }

    pub(super) fn value(&self, name: &str) -> Option<Value> {
        self.values.borrow().get(name).cloned()
    }

    pub(super) fn set(&self, name: &str, value: Value) {
        self.values.borrow_mut().insert(&Arc::from(name), value);
    }

    /// The path of something below it.
    pub(super) fn child(&self, name: &str) -> String {
        join(&self.path, name)
    }
}

/// A path one step deeper.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { [path, ".", name].concat() }
}
