//! A layer, parameter or buffer that no body uses.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::diag::{Level, Problems};
use crate::lint::code::Role;
use crate::lint::scope::mentions;
use crate::lint::{Context, Lint};
use crate::registry::{Code, Entries};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unused-layer",
    level: Level::Warning,
    what: "A layer, parameter or buffer that no code mentions.",
    why: "The checkpoint must hold its tensors, yet they change nothing: either the body forgets it or the name is wrong.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.norm = \"RMSNorm(wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.norm = \"RMSNorm(wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(norm(up(x)))'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let elsewhere = attributes(context);
    for (name, module) in &context.registry.modules {
        let own: [(&str, &Entries<Code>); 3] =
            [("layer", &module.layers), ("parameter", &module.params), ("buffer", &module.buffers)];
        if own.iter().all(|(_, entries)| entries.is_empty()) || !context.is_checked(&module.name.span) {
            continue;
        }
        for (what, entries) in own {
            for (entry, _) in entries {
                if !context.is_mentioned(name, &entry.text) && !elsewhere.contains(entry.text.as_str()) {
                    let message = format!("no body uses the {what} `{}` of `{name}`", entry.text);
                    problems.push(LINT.at(&entry.span, message).help("use it in a body, or remove the entry"));
                }
            }
        }
    }
}

/// Names that are reached through a layer from outside, as in `block.attention.weight`, or tied from above.
fn attributes(context: &Context<'_>) -> FxHashSet<Arc<str>> {
    let mut found = FxHashSet::default();
    for view in context.views.values() {
        found.extend(view.attributes.iter().cloned());
        let tied = view.pieces.iter().filter(|piece| piece.role == Role::Tied);
        tied.for_each(|piece| mentions(piece, &mut found));
    }
    found
}
