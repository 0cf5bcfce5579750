//! Branches that ask whether a layer is there, which always is, or never.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diag::{Level, Problems, Span};
use crate::lang::ast::{CompareOp, Expr, ExprKind, Stmt, StmtKind, TextRange, UnaryOp};
use crate::lint::code::{Parameter, Piece, Role, Syntax, View};
use crate::lint::{Context, Lint, Place, place};
use crate::ops::Const;
use crate::registry::Architecture;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "settled-branch",
    level: Level::Warning,
    what: "A branch on whether a layer, a parameter or a buffer is there, where no config can make a difference.",
    why: "One of the two ways is never taken, and nothing proves it.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x)) if up is not None else x'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide) if use_bias else None\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x)) if up is not None else x'\n",
    check,
};

/// A condition that asks whether something of the module is there.
#[derive(Debug)]
pub(in crate::lint) struct Question {
    range: TextRange,
    name: Arc<str>,
    /// Whether it holds if there is such a thing.
    there: bool,
}

/// What is known of one condition, over all modules that have it.
struct Asked<'a> {
    at: Span,
    name: &'a str,
    declared: Span,
    answers: BTreeSet<Option<bool>>,
}

fn check(context: &Context<'_>, problems: &mut Problems) {
    let in_parts = roots_with_modes(context);
    let mut asked: BTreeMap<Place, Asked<'_>> = BTreeMap::new();
    for view in context.views.values().filter(|view| !in_parts.contains(view.module.name.text.as_str())) {
        for method in &view.methods {
            for question in &method.questions {
                let Some(entry) = entry(view, &question.name) else { continue };
                let at = method.body.span(&question.range);
                let answer = is_there(entry).map(|is| is == question.there);
                let key = place(&at);
                let new = || Asked {
                    at,
                    name: &entry.entry.text,
                    declared: entry.entry.span.clone(),
                    answers: BTreeSet::new(),
                };
                asked.entry(key).or_insert_with(new).answers.insert(answer);
            }
        }
    }
    for Asked { at, name, declared, answers } in asked.into_values().filter(|asked| context.is_checked(&asked.at)) {
        let Some(Some(always)) = answers.first().filter(|_| answers.len() == 1) else { continue };
        let message = format!("this {} holds, whatever the config", if *always { "always" } else { "never" });
        let problem = LINT.at(&at, message).related(declared, format!("`{name}` is declared here"));
        problems.push(problem.help("keep the way that is taken, or declare the layer with `if … else None`"));
    }
}

/// The roots of what can be built in part: any of their layers may then be left out.
fn roots_with_modes<'a>(context: &'a Context<'_>) -> BTreeSet<&'a str> {
    let registry = context.registry;
    let in_parts = |architecture: &&Architecture| registry.modes(architecture).map_or(true, |modes| !modes.is_empty());
    registry.architectures.values().filter(in_parts).map(|architecture| architecture.module.text.as_str()).collect()
}

/// The questions of a body for what neither it nor its method binds.
pub(in crate::lint) fn questions(body: &Piece, inputs: &[Parameter]) -> Vec<Question> {
    let bound = body.bound();
    let is_local = |name: &str| {
        bound.iter().any(|(other, _)| &**other == name) || inputs.iter().any(|input| input.name.text == name)
    };
    let asks = |test: &Expr| {
        let (name, there) = question(test).filter(|(name, _)| !is_local(name))?;
        Some(Question { range: test.range.clone(), name: Arc::clone(name), there })
    };
    let mut found = Vec::new();
    body.each(&mut |expr| {
        if let ExprKind::IfElse(test, _, _) = &expr.kind {
            found.extend(asks(test));
        }
    });
    let mut open: Vec<&Stmt> = body.statements().iter().collect();
    while let Some(statement) = open.pop() {
        match &statement.kind {
            StmtKind::If(branches) => {
                for (test, inner) in branches {
                    found.extend(test.as_ref().and_then(asks));
                    open.extend(inner);
                }
            }
            StmtKind::For(_, _, inner) => open.extend(inner),
            _ => {}
        }
    }
    found
}

/// The name that a condition asks for, and whether it holds if there is such a thing.
fn question(test: &Expr) -> Option<(&Arc<str>, bool)> {
    match &test.kind {
        ExprKind::Name(name) => Some((name, true)),
        ExprKind::Unary(UnaryOp::Not, inner) => question(inner).map(|(name, there)| (name, !there)),
        ExprKind::Compare(left, rest) => match (&left.kind, rest.as_slice()) {
            (ExprKind::Name(name), [(op, right)]) if right.kind == ExprKind::Const(Const::None) => match op {
                CompareOp::Is => Some((name, false)),
                CompareOp::IsNot => Some((name, true)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn entry<'a>(view: &'a View, name: &str) -> Option<&'a Piece> {
    let mut own = view.pieces.iter().filter(|piece| matches!(piece.role, Role::Layer | Role::Param | Role::Buffer));
    own.find(|piece| piece.entry.text == name)
}

/// Whether an entry gives something, where that does not depend on anything.
fn is_there(piece: &Piece) -> Option<bool> {
    let Syntax::Expr(expr) = &piece.syntax else { return None };
    match &expr.kind {
        ExprKind::Const(Const::None) => Some(false),
        ExprKind::Call(..) => Some(true),
        ExprKind::List(items) if !items.is_empty() => Some(true),
        _ => None,
    }
}
