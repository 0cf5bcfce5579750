//! An architecture listed as one thing and defined as another.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "architecture-claimed-twice",
    level: Level::Error,
    what: "An architecture that is listed under one category and defined under another.",
    why: "The category of a directory would depend on which of the two is asked first.",
    bad: "[known.sae.part]\nToy = \"toy\"\n",
    good: "[known.transformers.embed]\nToy = \"toy\"\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for (name, architecture) in &context.registry.architectures {
        let Some(known) = context.registry.rules.known(name) else { continue };
        if known.category == architecture.category.text {
            continue;
        }
        let message = format!(
            "`{name}` is listed under `{}` and defined under `{}`",
            known.category, architecture.category.text
        );
        let (here, there) = if context.is_checked(&known.name.span) {
            (&known.name.span, &architecture.category.span)
        } else {
            (&architecture.category.span, &known.name.span)
        };
        problems.push(LINT.at(here, message).related(there.clone(), "the other claim").help("say the same in both"));
    }
}
