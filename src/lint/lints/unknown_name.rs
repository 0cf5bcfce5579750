//! A name that means nothing.

use crate::diag::{Level, Problems};
use crate::lint::scope::{Names, unknown_names};
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

fn check(context: &Context<'_>, problems: &mut Problems) {
    for (name, view) in &context.views {
        // What is only inherited from is checked where it is inherited.
        let abstract_module = !context.reach.is_built(name)
            && context.views.values().any(|other| other.extends.as_ref().is_some_and(|parent| parent.text == **name));
        if abstract_module {
            continue;
        }
        let names = Names::of(context, view);
        for piece in view.all().filter(|piece| context.is_checked(&piece.code.span)) {
            unknown_names(context, view, &names, piece, problems);
            calls::check(context, view, &names, piece, problems);
        }
    }
}
