//! A name that means nothing.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::diag::{Level, Problem, Problems};
use crate::lint::code::View;
use crate::lint::scope::{Fields, unknown_names};
use crate::lint::{Context, Lint, Place, calls, place};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-name",
    level: Level::Error,
    what: "A name in a piece of code that is no local, layer, parameter, argument, config field, module or op there.",
    why: "Tracing stops at it, if it gets there; a branch that no sample takes would fail on a real config.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wied)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let fields = Fields::new(context);
    let mut unknown: BTreeMap<Place, (usize, Place, Problem)> = BTreeMap::new();
    for view in checked(context) {
        let fields = fields.of_module(context, &view.module.name.text);
        for piece in view.all().filter(|piece| context.is_checked(&piece.code.span)) {
            for problem in unknown_names(context, view, fields.as_deref(), piece) {
                let Some(span) = &problem.span else { continue };
                let at = place(&piece.code.span);
                unknown.entry(place(span)).or_insert((0, at, problem)).0 += 1;
            }
            calls::of_modules(context, view, piece, problems);
        }
        problems.extend(view.calls.iter().cloned());
    }
    // Code that several modules share is right if what it reads means something in one of them; tracing sees to the
    // others, since they may never read it.
    let mut shared_by: FxHashMap<Place, usize> = unknown.values().map(|(_, piece, _)| (*piece, 0)).collect();
    for piece in checked(context).flat_map(View::all) {
        shared_by.entry(place(&piece.code.span)).and_modify(|count| *count += 1);
    }
    let everywhere = unknown.into_values().filter(|(count, piece, _)| shared_by.get(piece) == Some(count));
    problems.extend(everywhere.map(|(_, _, problem)| problem));
}

/// The modules whose names are checked: what is only inherited from is checked where it is inherited.
fn checked<'a>(context: &'a Context<'_>) -> impl Iterator<Item = &'a View> {
    let built = |(name, _): &(&&str, _)| context.reach.is_built(name) || !context.reach.is_extended(name);
    context.views.iter().filter(built).map(|(_, view)| &**view)
}
