//! A module that does not exist.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-module",
    level: Level::Error,
    what: "A module that an architecture, an `extends` or a `replace` names and nobody defines.",
    why: "What depends on it cannot be built.",
    bad: "[modules.ToySmall]\nextends = \"ToyBlok\"\n",
    good: "[modules.ToySmall]\nextends = \"ToyBlock\"\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let modules = &context.registry.modules;
    let named = context.registry.architectures.values().map(|architecture| &architecture.module);
    for name in named.filter(|name| !modules.contains_key(&name.text)) {
        problems.push(context.unknown(LINT.name, name, "a module", modules.keys().map(String::as_str)));
    }
}
