//! A module that no architecture is built from.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unused-module",
    level: Level::Warning,
    what: "A module that nothing builds and nothing extends, in a file that defines architectures.",
    why: "It is never traced, so nothing about it is proved; a file of layers alone is taken as a library.",
    bad: "[architectures.ToyTwo]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\nmodule = \"Toy\"\n\n[modules.ToyNorm]\ninputs = [\"x\"]\nforward = 'return rms_norm(x)'\n",
    good: "[architectures.ToyTwo]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\nmodule = \"ToyTwo\"\n\n[modules.ToyTwo]\nextends = \"Toy\"\nlayers.block = \"ToyNorm()\"\n\n[modules.ToyNorm]\ninputs = [\"x\"]\nforward = 'return rms_norm(x)'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for file in context.checked().filter(|file| !file.registry.architectures.is_empty()) {
        for (name, module) in &file.registry.modules {
            if !context.reach.is_built(name) && !context.reach.is_extended(name) {
                let problem = LINT.at(&module.name.span, format!("nothing is built from `{name}`"));
                problems.push(problem.help("build it somewhere, or remove it"));
            }
        }
    }
}
