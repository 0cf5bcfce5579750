//! A body that may end without a value.

use rustc_hash::FxHashSet;

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint, place};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "no-return",
    level: Level::Error,
    what: "A body that can come to its end without `return`, or returns nothing.",
    why: "Whoever calls it gets no tensor.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = '''\nh = relu(up(x))\ndown(h)\n'''\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = '''\nh = relu(up(x))\nreturn down(h)\n'''\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let mut seen = FxHashSet::default();
    for view in context.views.values() {
        for method in &view.methods {
            let at = &method.body.code.span;
            if !context.is_checked(at) || !seen.insert(place(at)) {
                continue;
            }
            let body = method.body.statements();
            let Some(last) = body.last() else { continue };
            // Tracing says the same of a body that it runs, at the same place.
            if !body.iter().any(super::unreachable_code::ends) {
                let text = method.body.code.text.trim_end();
                let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
                let start = u32::try_from(text.rfind('\n').map_or(0, |at| at + 1)).unwrap_or(last.range.start);
                let problem = LINT.at(&method.body.span(&(start..end)), "the body ends without `return`");
                problems.push(problem.help("return a tensor, a tuple of tensors, or a dict of named tensors"));
            }
        }
    }
}
