//! Code that was parsed once, however many modules inherit it and definitions are built from them.
//!
//! Absent on purpose: noticing that a text changed. A piece of code is known by its place in a [`Source`], which never
//! changes.

use std::sync::{Arc, PoisonError, RwLock};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::ast::{Expr, Stmt};
use super::instance::ParsedModule;
use super::parse;
use super::value::Eval;
use crate::diag::{Problem, Source, Span};
use crate::registry::{Code, Fallback, Module, Registry};

/// What a piece of code was parsed into.
#[derive(Debug, Clone)]
pub enum Syntax {
    /// An expression.
    Expr(Arc<Expr>),
    /// Statements.
    Body(Arc<Vec<Stmt>>),
    /// It has this syntax error.
    Broken(Arc<Problem>),
}

impl Syntax {
    fn expression(code: &Code) -> Self {
        match parse::expression(code) {
            Ok(expr) => Self::Expr(Arc::new(expr)),
            Err(problem) => Self::Broken(Arc::new(problem)),
        }
    }

    fn body(code: &Code) -> Self {
        match parse::body(code) {
            Ok(body) => Self::Body(Arc::new(body)),
            Err(problem) => Self::Broken(Arc::new(problem)),
        }
    }
}

/// Code parsed so far, by place.
#[derive(Debug, Default)]
pub struct Parses {
    /// The file is held so that no other one can take its place in memory.
    known: FxHashMap<(usize, usize), (Arc<Source>, Syntax)>,
    /// Modules with all that they inherit, by name, each with the files that it and its ancestors stand in.
    modules: RwLock<FxHashMap<String, (Vec<Arc<Source>>, Arc<ParsedModule>)>>,
}

impl Parses {
    /// Parses what the files of some registries hold, each of one file.
    pub fn add<'r>(&mut self, files: impl IntoIterator<Item = &'r Registry>) {
        let files: Vec<&Registry> = files.into_iter().collect();
        let parsed: Vec<Vec<_>> = files.par_iter().map(|file| parsed(file)).collect();
        self.known.extend(parsed.into_iter().flatten());
    }

    /// Keeps what stands in the files that `current` holds for.
    pub fn retain(&mut self, current: &dyn Fn(&Arc<Source>) -> bool) {
        self.known.retain(|_, (source, _)| current(source));
        let modules = self.modules.get_mut().unwrap_or_else(PoisonError::into_inner);
        modules.retain(|_, (files, _)| files.iter().all(current));
    }

    /// The module of that name with all that it inherits: as it is known, or put together now.
    pub(super) fn module(&self, registry: &Registry, name: &str, asked_at: &Span) -> Eval<Arc<ParsedModule>> {
        let chain = registry.chain(name, asked_at)?;
        let files = || chain.iter().map(|module| &module.name.span.source);
        let is_same = |known: &[Arc<Source>]| {
            known.len() == chain.len() && known.iter().zip(files()).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        let known = self.modules.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, module)) = known.get(name).filter(|(known, _)| is_same(known)) {
            return Ok(Arc::clone(module));
        }
        drop(known);
        let files = files().cloned().collect();
        let module = Arc::new(ParsedModule::new(Module::inherited(&chain), Some(self))?);
        let mut modules = self.modules.write().unwrap_or_else(PoisonError::into_inner);
        modules.insert(name.to_owned(), (files, Arc::clone(&module)));
        Ok(module)
    }

    /// An expression: as it is known, or parsed now.
    #[must_use]
    pub fn expression(&self, code: &Code) -> Syntax {
        self.known.get(&place(code)).map_or_else(|| Syntax::expression(code), |(_, syntax)| syntax.clone())
    }

    /// The statements of a body: as they are known, or parsed now.
    #[must_use]
    pub fn body(&self, code: &Code) -> Syntax {
        self.known.get(&place(code)).map_or_else(|| Syntax::body(code), |(_, syntax)| syntax.clone())
    }
}

fn place(code: &Code) -> (usize, usize) {
    (Arc::as_ptr(&code.span.source).addr(), code.span.range.start)
}

/// The default of a parameter, if it has one.
#[must_use]
pub fn default_of(code: &Code) -> Option<Code> {
    let at = code.text.find('=')? + 1;
    let start = code.span.range.start;
    let span = Span::new(&code.span.source, start + at..code.span.range.end);
    Some(Code { text: code.text[at..].to_owned(), span })
}

/// All code of a file.
fn parsed(file: &Registry) -> Vec<((usize, usize), (Arc<Source>, Syntax))> {
    let mut found = Vec::new();
    let mut add = |code: &Code, parse: fn(&Code) -> Syntax| {
        found.push((place(code), (Arc::clone(&code.span.source), parse(code))));
    };
    for module in file.modules.values() {
        let entries = [
            &module.lets,
            &module.layers,
            &module.params,
            &module.buffers,
            &module.tied,
            &module.stored,
            &module.types,
        ];
        entries.into_iter().flatten().for_each(|(_, code)| add(code, Syntax::expression));
        let own = module.args.iter().chain(&module.inputs).flatten();
        let parameters = own.chain(module.methods.iter().flat_map(|(_, method)| &method.inputs));
        parameters.filter_map(default_of).for_each(|code| add(&code, Syntax::expression));
        module.methods.iter().for_each(|(_, method)| add(&method.body, Syntax::body));
    }
    for field in file.configs.values().flat_map(|table| table.fields.values()) {
        if let Fallback::Derived(code) = &field.fallback {
            add(code, Syntax::expression);
        }
    }
    file.inputs.values().for_each(|code| add(code, Syntax::expression));
    found
}
