//! What a name may mean in the code of a module, told without tracing.
//!
//! More is allowed than tracing would allow (a field of any config the module is used with), so that a name that is
//! unknown here is unknown wherever the code runs, also in branches that no sample takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::Context;
use super::code::{Piece, Role, View};
use crate::diag::{Problem, did_you_mean};
use crate::lang::ast::ExprKind;
use crate::lang::{SYMBOLS, functions};
use crate::ops;
use crate::registry::ConfigTable;

/// The config fields that code may read.
pub(super) struct Fields<'a> {
    /// Those of each architecture; none where any name may be a field.
    of: BTreeMap<&'a str, Option<FxHashSet<&'a str>>>,
    /// Those of all config tables.
    all: FxHashSet<&'a str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(context: &'a Context<'_>) -> Self {
        let registry = context.registry;
        let names = |table: &'a ConfigTable| table.fields.keys().map(String::as_str);
        let of = registry.architectures.iter().map(|(name, architecture)| {
            let mut fields = architecture.config.as_ref().map(|_| FxHashSet::default());
            for table in context.reach.tables(name) {
                match (&mut fields, registry.configs.get(table)) {
                    (Some(fields), Some(table)) => fields.extend(names(table)),
                    _ => fields = None,
                }
            }
            (name.as_str(), fields)
        });
        Self { of: of.collect(), all: registry.configs.values().flat_map(names).collect() }
    }

    /// Those that a module may read, of every architecture that it takes part in.
    pub(super) fn of_module(&self, context: &Context<'_>, module: &str) -> Option<Vec<&FxHashSet<&'a str>>> {
        let mut fields = Vec::new();
        for architecture in context.reach.architectures(module) {
            fields.push(self.of.get(architecture)?.as_ref()?);
        }
        if fields.is_empty() {
            fields.push(&self.all);
        }
        Some(fields)
    }
}

/// The names of a piece of code that neither it, nor its module, nor the language explains.
pub(super) fn free_names(view: &View, piece: &Piece) -> Vec<Arc<str>> {
    let bound = piece.bound();
    let inputs = inputs(view, piece);
    let body = piece.role == Role::Body;
    let known = |name: &str| {
        view.own.contains(name)
            || bound.iter().any(|(bound, _)| **bound == *name)
            || inputs.contains(&name)
            || name == "config"
            || (body && (ops::find(name).is_some() || view.methods.iter().any(|m| m.name.text == name)))
            || (piece.role == Role::Type
                && (SYMBOLS.contains(&name) || ["float", "int", "bool"].contains(&name)))
            || functions().any(|function| function == name)
    };
    let mut free: Vec<Arc<str>> = Vec::new();
    piece.each(&mut |expr| {
        let ExprKind::Name(name) = &expr.kind else { return };
        if !free.contains(name) && !known(name) {
            free.push(Arc::clone(name));
        }
    });
    free
}

/// The inputs of the method that a piece of code is the body of.
fn inputs<'a>(view: &'a View, piece: &Piece) -> Vec<&'a str> {
    let body = piece.role == Role::Body;
    let method = view.methods.iter().find(|method| body && method.name.span == piece.entry.span);
    let inputs = method.into_iter().flat_map(|method| &method.inputs);
    inputs.map(|input| input.name.text.as_str()).collect()
}

/// A problem for every name in a piece of code that means nothing there; its module may read these fields.
pub(super) fn unknown_names(
    context: &Context<'_>,
    view: &View,
    fields: Option<&[&FxHashSet<&str>]>,
    piece: &Piece,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(fields) = fields else { return problems };
    let modules = &context.registry.modules;
    let unknown = |name: &&Arc<str>| {
        !fields.iter().any(|fields| fields.contains(&***name)) && !modules.contains_key(name)
    };
    let unknown: Vec<&Arc<str>> = piece.free.iter().filter(unknown).collect();
    if unknown.is_empty() {
        return problems;
    }
    let bound = piece.bound();
    let bound: BTreeSet<&str> = bound.iter().map(|(name, _)| &**name).collect();
    let inputs: BTreeSet<&str> = inputs(view, piece).into_iter().collect();
    piece.each(&mut |expr| {
        let ExprKind::Name(name) = &expr.kind else { return };
        if !unknown.contains(&name) {
            return;
        }
        let own: BTreeSet<&str> = view.own.iter().map(|name| &**name).collect();
        let fields: BTreeSet<&str> = fields.iter().copied().flatten().copied().collect();
        let mut near: Vec<&str> = bound.iter().chain(&inputs).chain(&own).chain(&fields).copied().collect();
        match piece.role {
            Role::Body => near.extend(ops::all().map(|op| op.name)),
            Role::Layer => near.extend(modules.keys().map(String::as_str)),
            _ => {}
        }
        let message = format!("`{name}` is not a name in scope");
        let problem = Problem::error("unknown-name", piece.span(&expr.range), message);
        problems.push(
            problem.label(format!("in {}", view.module.name.text)).maybe_help(did_you_mean(name, near)),
        );
    });
    problems
}

/// Every name that a piece of code mentions: as a name, an attribute, a keyword or inside a text.
pub(super) fn mentions(piece: &Piece, found: &mut FxHashSet<Arc<str>>) {
    piece.each(&mut |expr| match &expr.kind {
        ExprKind::Name(name) | ExprKind::Attribute(_, name) => {
            found.insert(Arc::clone(name));
        }
        ExprKind::Const(ops::Const::Str(text)) => {
            // A template such as "experts.{i}.weight" mentions `i`; a text in an index may name a field.
            found.insert(Arc::clone(text));
            for part in text.split(['{', '}']).skip(1).step_by(2) {
                found.insert(Arc::from(part));
            }
        }
        _ => {}
    });
}
