//! An input that a body does not read.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unused-input",
    level: Level::Warning,
    what: "An input of a method that its body does not read.",
    why: "What the caller gives is then without effect.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\", \"scale=1.0\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\", \"scale=1.0\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x)) * scale'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    // A module keeps the inputs of the one it stands for: an input that some relative reads is part of the interface.
    for view in context.views.values() {
        for method in &view.methods {
            for input in &method.inputs {
                let name = input.name.text.as_str();
                let own = context.is_checked(&input.name.span) && !name.starts_with('_');
                if own && !method.mentions.contains(name) && !read_by_relative(context, &input.name) {
                    let message = format!("`{}` does not read its input `{name}`", view.module.name.text);
                    let problem = LINT.at(&input.name.span, message);
                    problems.push(problem.help("read it in the body, or remove it from the inputs"));
                }
            }
        }
    }
}

/// Whether a module that shares this very declaration reads the input.
fn read_by_relative(context: &Context<'_>, input: &crate::registry::Name) -> bool {
    context.views.values().flat_map(|view| &view.methods).any(|method| {
        method.mentions.contains(input.text.as_str())
            && method.inputs.iter().any(|other| other.name.span == input.span)
    })
}
