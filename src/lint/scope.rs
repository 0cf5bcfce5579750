//! What a name may mean in the code of a module, told without tracing.
//!
//! More is allowed than tracing would allow (a field of any config the module is used with), so that a name that is
//! unknown here is unknown wherever the code runs, also in branches that no sample takes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::Context;
use super::code::{Piece, Role, View};
use crate::diag::{Problem, did_you_mean};
use crate::lang::ast::ExprKind;
use crate::lang::{SYMBOLS, functions};
use crate::ops;
use crate::registry::ConfigTable;

/// The config tables whose fields each architecture may read; none where any name may be a field.
pub(super) struct Tables<'a>(BTreeMap<&'a str, Option<Vec<&'a ConfigTable>>>);

impl<'a> Tables<'a> {
    pub(super) fn of(context: &'a Context<'_>) -> Self {
        let registry = context.registry;
        let tables = registry.architectures.iter().map(|(name, architecture)| {
            let tables = || context.reach.tables(name).map(|table| registry.configs.get(table)).collect();
            (name.as_str(), architecture.config.as_ref().and_then(|_| tables()))
        });
        Self(tables.collect())
    }

    /// Those that a module may read, of every architecture that it takes part in.
    fn of_module(&self, context: &'a Context<'_>, module: &str) -> Option<Vec<&'a ConfigTable>> {
        let mut tables: Vec<&ConfigTable> = Vec::new();
        let mut reached = false;
        for architecture in context.reach.architectures(module) {
            reached = true;
            tables.extend(self.0.get(architecture)?.as_ref()?);
        }
        if !reached {
            tables.extend(context.registry.configs.values());
        }
        Some(tables)
    }
}

/// The names that are known to all pieces of a module's code.
pub(super) struct Names<'a> {
    module: BTreeSet<&'a str>,
    /// The config tables whose fields it may read; `None` where any name may be a field.
    tables: Option<Vec<&'a ConfigTable>>,
}

impl<'a> Names<'a> {
    pub(super) fn of(context: &'a Context<'_>, view: &'a View, tables: &Tables<'a>) -> Self {
        let own = [&view.module.lets, &view.module.layers, &view.module.params, &view.module.buffers];
        let mut module: BTreeSet<&str> =
            own.into_iter().flatten().map(|(name, _)| name.text.as_str()).collect();
        module.extend(view.args.iter().map(|parameter| parameter.name.text.as_str()));
        Self { module, tables: tables.of_module(context, &view.module.name.text) }
    }

    /// Whether the name is a layer, a parameter, a constant or an argument of the module.
    pub(super) fn in_module(&self, name: &str) -> bool {
        self.module.contains(name)
    }
}

/// A problem for every name in a piece of code that means nothing there; `bound` are those that the piece itself binds.
pub(super) fn unknown_names(
    context: &Context<'_>,
    view: &View,
    names: &Names<'_>,
    piece: &Piece,
    bound: &BTreeSet<&str>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(tables) = &names.tables else { return problems };
    let body = piece.role == Role::Body;
    let method = view.methods.iter().find(|method| body && method.name.span == piece.entry.span);
    let inputs: BTreeSet<&str> = method.map_or_else(BTreeSet::new, |method| {
        method.inputs.iter().map(|input| input.name.text.as_str()).collect()
    });
    let modules = &context.registry.modules;
    let known = |name: &str| {
        names.module.contains(name)
            || bound.contains(name)
            || inputs.contains(name)
            || name == "config"
            || (body && (ops::find(name).is_some() || view.methods.iter().any(|m| m.name.text == name)))
            || (piece.role == Role::Type
                && (SYMBOLS.contains(&name) || ["float", "int", "bool"].contains(&name)))
            || functions().any(|function| function == name)
            || modules.contains_key(name)
            || tables.iter().any(|table| table.fields.contains_key(name))
    };
    piece.each(&mut |expr| {
        let ExprKind::Name(name) = &expr.kind else { return };
        if known(name) {
            return;
        }
        let mut near: Vec<&str> = bound.iter().chain(&inputs).chain(&names.module).copied().collect();
        near.extend(tables.iter().flat_map(|table| table.fields.keys()).map(String::as_str));
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
pub(super) fn mentions(piece: &Piece, found: &mut HashSet<Arc<str>>) {
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
