//! A name that means nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diag::{Level, Problem, Problems, Span};
use crate::lint::scope::{Tables, unknown_names};
use crate::lint::{Context, Lint, calls};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-name",
    level: Level::Error,
    what: "A name in a piece of code that is no local, layer, parameter, argument, config field, module or op there.",
    why: "Tracing stops at it, if it gets there; a branch that no sample takes would fail on a real config.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wied)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    check,
};

/// Where something stands: its file, and the bytes in it.
type Place = (usize, usize, usize);

fn check(context: &Context<'_>, problems: &mut Problems) {
    // Code that several modules share is right if what it reads means something in one of them; tracing sees to the
    // others, since they may never read it.
    let tables = Tables::of(context);
    let mut shared_by: BTreeMap<Place, usize> = BTreeMap::new();
    let mut unknown: BTreeMap<Place, (usize, Place, Problem)> = BTreeMap::new();
    for (name, view) in &context.views {
        // What is only inherited from is checked where it is inherited.
        if !context.reach.is_built(name) && context.reach.is_extended(name) {
            continue;
        }
        let tables = tables.of_module(context, name);
        for piece in view.all().filter(|piece| context.is_checked(&piece.code.span)) {
            let at = place(&piece.code.span);
            *shared_by.entry(at).or_default() += 1;
            for problem in unknown_names(context, view, tables.as_deref(), piece) {
                let Some(span) = &problem.span else { continue };
                unknown.entry(place(span)).or_insert((0, at, problem)).0 += 1;
            }
            calls::of_modules(context, view, piece, problems);
        }
        problems.extend(view.calls.iter().cloned());
    }
    let everywhere = unknown.into_values().filter(|(count, piece, _)| shared_by.get(piece) == Some(count));
    problems.extend(everywhere.map(|(_, _, problem)| problem));
}

fn place(span: &Span) -> Place {
    (Arc::as_ptr(&span.source).addr(), span.range.start, span.range.end)
}
