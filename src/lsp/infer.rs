//! What an expression is, told without tracing: layers of which modules, or a part of the config.
//!
//! Absent on purpose: tensors and numbers, and everything that only running the code can tell.

use std::collections::BTreeSet;

use crate::lang::ast::{Clause, Expr, ExprKind, Stmt, StmtKind, Target};
use crate::lint::Checked;
use crate::lint::code::{Piece, Role, Syntax, View};
use crate::registry::Fallback;

/// What an expression is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A layer of one of these modules, or a list of such.
    Layers(BTreeSet<String>),
    /// A config, by its table.
    Config(String),
    Unknown,
}

/// Names may stand for names this many times.
const MAX_STEPS: usize = 16;

/// What an expression in a piece of a module's code is.
pub(super) fn of(checked: &Checked, view: &View, piece: &Piece, expr: &Expr) -> Kind {
    kind(checked, view, Some(piece), expr, MAX_STEPS)
}

/// The layers of a member of a module.
pub(super) fn member(checked: &Checked, module: &str, name: &str) -> Kind {
    checked.views.get(module).map_or(Kind::Unknown, |view| layer(checked, view, name))
}

/// A module, and those that stand for it somewhere.
pub(super) fn standing_for(checked: &Checked, module: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([module.to_owned()]);
    for other in checked.registry.modules.values() {
        let replaced = other.replace.iter().filter(|(from, _)| from.text == module);
        found.extend(replaced.map(|(_, to)| to.text.clone()));
    }
    found
}

fn layer(checked: &Checked, view: &View, name: &str) -> Kind {
    let entry = view.pieces.iter().find(|piece| piece.role == Role::Layer && piece.entry.text == name);
    let Some(piece) = entry else { return Kind::Unknown };
    let (mut modules, mut is_open) = (BTreeSet::new(), matches!(piece.syntax, Syntax::Broken(_)));
    piece.each(&mut |expr| {
        if let ExprKind::Call(callee, ..) = &expr.kind
            && let ExprKind::Name(name) = &callee.kind
        {
            if checked.registry.modules.contains_key(name) {
                modules.extend(standing_for(checked, name));
            }
            is_open |= &**name == "auto";
        }
    });
    if is_open || modules.is_empty() { Kind::Unknown } else { Kind::Layers(modules) }
}

fn kind(checked: &Checked, view: &View, piece: Option<&Piece>, expr: &Expr, steps: usize) -> Kind {
    let Some(steps) = steps.checked_sub(1) else { return Kind::Unknown };
    let again = |expr: &Expr| kind(checked, view, piece, expr, steps);
    match &expr.kind {
        ExprKind::Name(name) => {
            if let Some(piece) = piece
                && piece.bound().iter().any(|(bound, _)| bound == name)
            {
                return local(piece, name).map_or(Kind::Unknown, |value| again(&value));
            }
            match layer(checked, view, name) {
                Kind::Unknown => config(checked, view, name),
                found => found,
            }
        }
        ExprKind::Subscript(value, _) => again(value),
        ExprKind::Attribute(value, name) => match again(value) {
            Kind::Layers(modules) => union(modules.iter().map(|module| member(checked, module, name))),
            Kind::Config(table) => part(checked, &table, name),
            Kind::Unknown => Kind::Unknown,
        },
        ExprKind::IfElse(_, then, other) => union([again(then), again(other)].into_iter()),
        ExprKind::Call(callee, arguments, _) => match (&callee.kind, arguments.first()) {
            (ExprKind::Name(name), Some(first)) if ["list", "reversed"].contains(&&**name) => again(first),
            _ => Kind::Unknown,
        },
        _ => Kind::Unknown,
    }
}

/// All of them together; unknown if one of them is.
fn union(kinds: impl Iterator<Item = Kind>) -> Kind {
    let mut all = BTreeSet::new();
    for kind in kinds {
        match kind {
            Kind::Layers(modules) => all.extend(modules),
            _ => return Kind::Unknown,
        }
    }
    if all.is_empty() { Kind::Unknown } else { Kind::Layers(all) }
}

/// The config of a module, or a part of it that all its architectures complete by the same table.
fn config(checked: &Checked, view: &View, name: &str) -> Kind {
    let mut tables = BTreeSet::new();
    for architecture in checked.reach.architectures(&view.module.name.text) {
        for table in checked.reach.tables(architecture) {
            if let Kind::Config(part) = part(checked, table, name) {
                tables.insert(part);
            }
        }
    }
    match tables.pop_first() {
        Some(table) if tables.is_empty() => Kind::Config(table),
        _ => Kind::Unknown,
    }
}

fn part(checked: &Checked, table: &str, field: &str) -> Kind {
    let found = checked.registry.configs.get(table).and_then(|table| table.fields.get(field));
    match found.map(|field| &field.fallback) {
        Some(Fallback::Part(table)) => Kind::Config(table.text.clone()),
        _ => Kind::Unknown,
    }
}

/// What a local variable walks over, or is assigned, if that is the only thing it can be.
fn local(piece: &Piece, name: &str) -> Option<Expr> {
    let mut values = Vec::new();
    piece.each(&mut |expr| {
        if let ExprKind::Comprehension(_, clauses) = &expr.kind {
            for Clause { target, iter, .. } in clauses {
                values.extend(bound(target, iter, name, true));
            }
        }
    });
    assigned(piece.statements(), name, &mut values);
    let first = values.pop()?;
    values.is_empty().then_some(first).flatten()
}

fn assigned(body: &[Stmt], name: &str, values: &mut Vec<Option<Expr>>) {
    for statement in body {
        match &statement.kind {
            StmtKind::Assign(targets, value) => {
                values.extend(targets.iter().flat_map(|target| bound(target, value, name, false)));
            }
            StmtKind::Augment(found, ..) if &**found == name => values.push(None),
            StmtKind::For(target, iter, body) => {
                values.extend(bound(target, iter, name, true));
                assigned(body, name, values);
            }
            StmtKind::If(branches) => branches.iter().for_each(|(_, body)| assigned(body, name, values)),
            _ => {}
        }
    }
}

/// What a target binds to a name, if it does: `None` for something that cannot be told.
fn bound(target: &Target, value: &Expr, name: &str, walks: bool) -> Vec<Option<Expr>> {
    match target {
        Target::Name(found, _) => (&**found == name).then(|| Some(value.clone())).into_iter().collect(),
        Target::Unpack(targets, _) => {
            let at = targets.iter().position(|target| !bound(target, value, name, walks).is_empty());
            let Some(at) = at else { return Vec::new() };
            let ExprKind::Call(callee, arguments, _) = &value.kind else { return vec![None] };
            let ExprKind::Name(function) = &callee.kind else { return vec![None] };
            vec![match &**function {
                "enumerate" if walks && at == 1 => arguments.first().cloned(),
                "zip" if walks => arguments.get(at).cloned(),
                _ => None,
            }]
        }
    }
}
