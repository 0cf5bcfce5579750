//! Which of the places that take part in a fault of shapes is the one to edit.
//!
//! A fault shows where two things meet, and one of them may be wrong far from there: a layer made with its sizes swapped,
//! a number off by one, a result under another name. In: the problems of tracing. Out: the same, led by the place where
//! one small edit makes everything fit, if there is one such place alone. The edit is tried on a copy of the file.
//! Absent on purpose: making the edit, and judging code without a fault.

use std::ops::Range;

use serde_json::Value;

use super::code::each_in;
use super::lints::contract_broken;
use super::{Context, traced};
use crate::diag::{Problem, Source, Span, nearest};
use crate::lang::ast::{Expr, ExprKind, TextRange};
use crate::lang::{Parses, Syntax};
use crate::ops::Const;
use crate::registry::{Architecture, Code, Expectation, Registry};

/// Edits that are tried for one problem.
const TRIES: usize = 40;

/// The faults that may come from elsewhere.
const CODES: [&str; 5] =
    ["shape-mismatch", "wrong-size", "tied-shapes-differ", "unmet-expectation", "unknown-key"];

/// An edit of one place.
struct Try {
    at: Span,
    put: String,
    help: String,
}

/// Leads each problem by the place to edit, where that can be told.
pub(super) fn settle(
    context: &Context<'_>,
    architecture: &Architecture,
    config: &Value,
    problems: Vec<Problem>,
) -> Vec<Problem> {
    let fits = |edit: &Try| holds(context, architecture, config, edit);
    problems.into_iter().map(|problem| one(context, &fits, problem)).collect()
}

fn one(context: &Context<'_>, fits: &dyn Fn(&Try) -> bool, problem: Problem) -> Problem {
    let Some(met) = problem.span.clone().filter(|_| CODES.contains(&problem.code)) else {
        return problem;
    };
    let near: Vec<&Span> =
        std::iter::once(&met).chain(problem.related.iter().map(|(span, _)| span)).collect();
    let edits: Vec<Try> = if problem.code == "unknown-key" {
        renames(&near)
    } else {
        let codes = codes(context.registry, &near);
        codes.into_iter().flat_map(|(code, only)| edits(context.parses, code, only)).collect()
    };
    let mut tries: Vec<Try> = Vec::new();
    for edit in edits {
        if tries.iter().all(|known| known.at != edit.at || known.put != edit.put) {
            tries.push(edit);
        }
    }
    let mut fitting = tries.into_iter().take(TRIES).filter(fits);
    let (Some(edit), None) = (fitting.next(), fitting.next()) else { return problem };
    let mut related = vec![(met, problem.label)];
    related.extend(problem.related.into_iter().filter(|(span, _)| !within(&edit.at, span)));
    Problem { span: Some(edit.at), label: edit.help, related, ..problem }
}

/// A key that is asked for and the one most like it of those that there are, each put in the place of the other.
fn renames(near: &[&Span]) -> Vec<Try> {
    let Some((asked, there)) = near.split_first() else { return Vec::new() };
    let Some(name) = nearest(asked.text(), there.iter().map(|span| span.text())) else { return Vec::new() };
    let rename = |at: &Span, put: &str| Try {
        at: at.clone(),
        put: put.to_owned(),
        help: format!("named {}, everything fits", put.replace(['"', '\''], "`")),
    };
    let named = there.iter().filter(|span| span.text() == name);
    named.map(|there| rename(there, asked.text())).chain([rename(asked, name)]).collect()
}

fn within(inner: &Span, outer: &Span) -> bool {
    inner.source == outer.source
        && outer.range.start <= inner.range.start
        && inner.range.end <= outer.range.end
}

/// The code that takes part in a fault: what says how big something is at one of these places, the expression of a body
/// that stands there, and last what the layers beside it are.
fn codes<'r, 's>(registry: &'r Registry, near: &[&'s Span]) -> Vec<(&'r Code, Option<&'s Span>)> {
    let mut found: Vec<(&Code, Option<&Span>)> = Vec::new();
    let mut beside: Vec<(&Code, Option<&Span>)> = Vec::new();
    for module in registry.modules.values() {
        let entries = || {
            let own = [&module.layers, &module.lets, &module.params, &module.buffers];
            own.into_iter().flatten().map(|(_, code)| code)
        };
        let bodies = || module.methods.iter().map(|(_, method)| &method.body);
        let holds = |code: &Code, place: &Span| within(place, &code.span);
        for place in near {
            found.extend(entries().filter(|code| holds(code, place)).map(|code| (code, None)));
            found.extend(bodies().filter(|code| holds(code, place)).map(|code| (code, Some(*place))));
        }
        let at_fault = near.first();
        let own = module.tied.iter().map(|(_, code)| code).chain(bodies());
        if own.into_iter().any(|code| at_fault.is_some_and(|place| holds(code, place))) {
            beside.extend(entries().map(|code| (code, None)));
        }
    }
    found.extend(beside);
    found.retain(|(code, _)| code.span.text() == code.text);
    found
}

/// The small edits of an entry, or of the expression of a body that stands at `only`: neighbouring arguments or sizes
/// swapped, a number one more or less.
fn edits(parses: &Parses, code: &Code, only: Option<&Span>) -> Vec<Try> {
    let base = code.span.range.start;
    let place = |range: &TextRange| base + range.start as usize..base + range.end as usize;
    let text = |range: Range<usize>| code.span.source.text.get(range).unwrap_or_default();
    let (mut swaps, mut numbers) = (Vec::new(), Vec::new());
    let mut visit = |expr: &Expr| match &expr.kind {
        ExprKind::Call(_, items, _) | ExprKind::List(items) => {
            for pair in items.windows(2) {
                let (a, b) = (place(&pair[0].range), place(&pair[1].range));
                let put = [text(b.clone()), text(a.end..b.start), text(a.clone())].concat();
                let help =
                    format!("with `{}` and `{}` swapped, everything fits", text(a.clone()), text(b.clone()));
                swaps.push(Try { at: Span::new(&code.span.source, a.start..b.end), put, help });
            }
        }
        ExprKind::Const(Const::Int(number)) => {
            for other in [number - 1, number + 1] {
                let help = format!("with {other} instead of {number}, everything fits");
                let at = Span::new(&code.span.source, place(&expr.range));
                numbers.push(Try { at, put: other.to_string(), help });
            }
        }
        _ => {}
    };
    match only {
        None => {
            if let Syntax::Expr(expr) = parses.expression(code) {
                expr.each(&mut visit);
            }
        }
        Some(only) => {
            if let Syntax::Body(body) = parses.body(code) {
                each_in(&body, &mut |expr| {
                    if place(&expr.range) == only.range {
                        expr.each(&mut visit);
                    }
                });
            }
        }
    }
    swaps.extend(numbers);
    swaps
}

/// Whether the architecture traces, is as its sample is expected to be and gives what its task promises, once the edit is
/// made.
fn holds(context: &Context<'_>, architecture: &Architecture, config: &Value, edit: &Try) -> bool {
    let registry = context.registry;
    let old = &edit.at.source;
    let text = [&old.text[..edit.at.range.start], &edit.put, &old.text[edit.at.range.end..]].concat();
    if text == old.text {
        return false;
    }
    let (own, problems) = Registry::from_files([Source::new(old.name.clone(), text)]);
    if !problems.is_empty() {
        return false;
    }
    let mut edited = registry.clone();
    edited.absorb(own);
    let Some(architecture) = edited.architectures.get(&architecture.name.text) else { return false };
    let about: Vec<&Expectation> = traced::of_sample(&edited, &architecture.name.text).collect();
    let mut problems = Vec::new();
    let trace = traced::trace(&edited, context.parses, architecture, config.clone(), &about, &mut problems);
    problems.is_empty() && trace.is_some_and(|trace| contract_broken::is_kept(&edited, architecture, &trace))
}
