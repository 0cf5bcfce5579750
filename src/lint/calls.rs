//! Whether the calls of ops and constructors fit their signatures, told without tracing.
//!
//! The same faults that tracing finds, in the same words, but also in branches that no sample takes. Calls of layers
//! are left to tracing: only there it is known which module a layer is.

use super::Context;
use super::code::{Piece, Role, View};
use crate::diag::{Problem, Problems, Span, did_you_mean};
use crate::lang::ast::{Expr, ExprKind};
use crate::lang::functions;
use crate::ops;

/// A parameter as a call sees it.
struct Slot<'a> {
    name: &'a str,
    optional: bool,
    keyword_only: bool,
}

/// What a report says of the callee.
struct About<'a> {
    op: Option<&'a ops::Op>,
    declared: Option<&'a Span>,
}

/// Adds a problem for every call of an op in a body that cannot fit.
pub(super) fn in_body(view: &View, piece: &Piece, problems: &mut Problems) {
    each(view, piece, &mut |name, expr, arguments, named| {
        let overloaded = functions().any(|function| function == name);
        let Some((op, parameters)) = ops::find(name).filter(|_| !overloaded) else { return };
        if view.methods.iter().any(|method| method.name.text == name) {
            return;
        }
        let slots: Vec<Slot<'_>> = (parameters.iter().filter(|parameter| !parameter.variadic))
            .map(|parameter| Slot {
                name: parameter.name,
                optional: parameter.default.is_some(),
                keyword_only: parameter.keyword_only,
            })
            .collect();
        let most = slots.iter().filter(|slot| !slot.keyword_only).count();
        let too_many =
            || format!("`{name}` takes at most {most} arguments by place, found {}", arguments.len());
        let any_keyword = parameters.iter().any(|parameter| parameter.variadic);
        let about = About { op: Some(op), declared: None };
        fit(piece, (name, expr, arguments), named, &slots, any_keyword, &too_many, &about, problems);
    });
}

/// Adds a problem for every call of a module in a layer that cannot fit.
pub(super) fn of_modules(context: &Context<'_>, view: &View, piece: &Piece, problems: &mut Problems) {
    if piece.role != Role::Layer {
        return;
    }
    each(view, piece, &mut |name, expr, arguments, named| {
        let Some(built) = context.views.get(name) else { return };
        let slots: Vec<Slot<'_>> = (built.args.iter())
            .map(|arg| Slot { name: &arg.name.text, optional: arg.optional, keyword_only: false })
            .collect();
        let too_many = || format!("`{name}` takes {} arguments, found {}", slots.len(), arguments.len());
        let declared = built.args.first().map_or(&built.module.name.span, |arg| &arg.name.span);
        let about = About { op: None, declared: Some(declared) };
        fit(piece, (name, expr, arguments), named, &slots, false, &too_many, &about, problems);
    });
}

/// Visits the calls of what has a name that neither the piece of code nor its module binds.
fn each(
    view: &View,
    piece: &Piece,
    visit: &mut dyn FnMut(&str, &Expr, &[Expr], &[(std::sync::Arc<str>, Expr)]),
) {
    let bound = piece.bound();
    let method = view.methods.iter().find(|method| method.name.span == piece.entry.span);
    let is_input =
        |name: &str| method.is_some_and(|method| method.inputs.iter().any(|input| input.name.text == name));
    piece.each(&mut |expr| {
        let ExprKind::Call(callee, arguments, named) = &expr.kind else { return };
        let ExprKind::Name(name) = &callee.kind else { return };
        let is_bound = bound.iter().any(|(bound, _)| bound == name);
        if !is_bound && !is_input(name) && !view.own.contains(name) {
            visit(name, expr, arguments, named);
        }
    });
}

#[expect(clippy::too_many_arguments, reason = "everything a call and its signature consist of")]
fn fit(
    piece: &Piece,
    (name, expr, arguments): (&str, &Expr, &[Expr]),
    named: &[(std::sync::Arc<str>, Expr)],
    slots: &[Slot<'_>],
    any_keyword: bool,
    too_many: &dyn Fn() -> String,
    about: &About<'_>,
    problems: &mut Problems,
) {
    let help = |problem: Problem| {
        let problem = problem
            .maybe_help(about.op.map(|op| format!("the signature is `{}({})`", op.name, op.signature)));
        match about.declared {
            Some(declared) => problem.related(declared.clone(), "its arguments are declared here"),
            None => problem,
        }
    };
    let by_place: Vec<&Slot<'_>> = slots.iter().filter(|slot| !slot.keyword_only).collect();
    if let Some(extra) = arguments.get(by_place.len()) {
        let problem = Problem::error("too-many-arguments", piece.span(&extra.range), too_many());
        problems.push(help(problem));
        return;
    }
    // Every constructor takes a config.
    let is_config = |keyword: &str| about.op.is_none() && keyword == "config";
    for (keyword, value) in named.iter().filter(|(keyword, _)| !is_config(keyword)) {
        let at = slots.iter().position(|slot| slot.name == &**keyword);
        let placed = by_place.iter().take(arguments.len()).any(|slot| slot.name == &**keyword);
        if placed {
            let message = format!("`{keyword}` is given twice");
            problems.push(help(Problem::error("argument-twice", piece.span(&value.range), message)));
        } else if at.is_none() && !any_keyword {
            let message = format!("`{name}` has no argument `{keyword}`");
            let problem = Problem::error("unknown-argument", piece.span(&value.range), message);
            problems
                .push(help(problem).maybe_help(did_you_mean(keyword, slots.iter().map(|slot| slot.name))));
        }
    }
    for (index, slot) in slots.iter().enumerate() {
        let placed = !slot.keyword_only && index < arguments.len();
        let given = placed || named.iter().any(|(keyword, _)| &**keyword == slot.name);
        if !given && !slot.optional {
            let message = format!("`{name}` misses its argument `{}`", slot.name);
            problems.push(help(Problem::error("missing-argument", piece.span(&expr.range), message)));
        }
    }
}
