//! Aliases that lead back to themselves.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "alias-cycle",
    level: Level::Error,
    what: "An alias that, followed from name to name, comes back to itself.",
    why: "No architecture is ever reached, so every config with one of these names is unknown.",
    bad: "[aliases]\nToyA = \"ToyB\"\nToyB = \"ToyA\"\n",
    good: "[aliases]\nToyA = \"ToyB\"\nToyB = \"Toy\"\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let aliases = context.registry.rules.all_aliases();
    for (name, alias) in &aliases {
        // As many steps as there are aliases reach every one of them.
        let mut at = *alias;
        let comes_back = (0..=aliases.len()).any(|_| {
            if at.target.text == **name {
                return true;
            }
            match aliases.get(at.target.text.as_str()) {
                Some(next) => at = next,
                None => return false,
            }
            false
        });
        if comes_back {
            let message = format!("`{name}` leads back to itself through `{}`", alias.target.text);
            problems.push(LINT.at(&alias.target.span, message).help("name the architecture that is meant"));
        }
    }
}
