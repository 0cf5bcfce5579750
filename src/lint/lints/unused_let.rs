//! A constant or a constructor's argument that no code reads.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unused-let",
    level: Level::Warning,
    what: "A constant under `lets`, or an argument of a constructor, that no code of the module reads.",
    why: "Either it is left over, or something that should read it names another.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlets.half   = \"wide // 2\"\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlets.half   = \"wide // 2\"\nlayers.up   = \"Linear(size, half)\"\nlayers.down = \"Linear(half, size)\"\nforward     = 'return down(up(x))'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for (name, module) in &context.registry.modules {
        let args = context.views.get(name.as_str()).map(|view| view.args.as_slice()).unwrap_or_default();
        let args = args.iter().filter(|_| module.args.is_some());
        if !context.is_checked(&module.name.span) {
            continue;
        }
        let lets = module.lets.iter().map(|(entry, _)| ("constant", entry));
        for (what, entry) in lets.chain(args.map(|arg| ("argument", &arg.name))) {
            let asked = || what == "argument" && is_asked_of(context, name, &entry.text);
            if !context.is_mentioned(name, &entry.text) && !asked() {
                let message = format!("no code reads the {what} `{}` of `{name}`", entry.text);
                let help = if what == "constant" { "remove this entry" } else { "remove it, here and where it is given" };
                problems.push(LINT.at(&entry.span, message).help(help));
            }
        }
    }
}

/// Whether the module, or one that extends it, stands for another whose callers give it that argument.
fn is_asked_of(context: &Context<'_>, name: &str, argument: &str) -> bool {
    let replaced = context.registry.modules.values().flat_map(|module| &module.replace);
    let takes = |from: &str| {
        context.views.get(from).is_some_and(|view| view.args.iter().any(|arg| arg.name.text == argument))
    };
    replaced.filter(|(_, to)| is_relative(context, &to.text, name)).any(|(from, _)| takes(&from.text))
}

/// Whether a module is another one or extends it, directly or not.
fn is_relative(context: &Context<'_>, module: &str, of: &str) -> bool {
    let mut at = Some(module);
    // A cycle ends the walk after as many steps as there are modules.
    for _ in 0..=context.views.len() {
        match at {
            Some(at) if at == of => return true,
            Some(here) => {
                at = context.registry.modules.get(here).and_then(|module| Some(module.extends.as_ref()?.text.as_str()));
            }
            None => return false,
        }
    }
    false
}
