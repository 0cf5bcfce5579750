//! One other name for two architectures.

use std::collections::BTreeMap;

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};
use crate::registry::Name;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "alias-claimed-twice",
    level: Level::Error,
    what: "An alias that stands for two architectures, or is the name of another one.",
    why: "Which of the two a config means would be settled by the order of the entries.",
    bad: "[architectures.ToyTwo]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\nmodule = \"Toy\"\naliases = [\"Toy\"]\n",
    good: "[architectures.ToyTwo]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\nmodule = \"Toy\"\naliases = [\"ToyTwoModel\"]\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let registry = context.registry;
    let mut claims: BTreeMap<&str, (&Name, &str)> = BTreeMap::new();
    let declared = registry.architectures.iter().flat_map(|(target, architecture)| {
        architecture.aliases.iter().map(move |alias| (alias, target.as_str()))
    });
    let listed = registry.rules.all_aliases().into_values().map(|alias| (&alias.name, alias.target.text.as_str()));
    for (alias, target) in listed.chain(declared) {
        let name = alias.text.as_str();
        if let Some(other) = registry.architectures.get(name).filter(|_| name != target) {
            let message = format!("`{name}` is given as another name of `{target}`, and is an architecture itself");
            problems.push(
                LINT.at(&alias.span, message)
                    .related(other.name.span.clone(), "the architecture of that name")
                    .help("remove this entry"),
            );
            continue;
        }
        match claims.get(name) {
            Some((first, other)) if *other != target => {
                let message = format!("`{name}` stands for `{target}` here and for `{other}` elsewhere");
                let problem = LINT.at(&alias.span, message).related(first.span.clone(), format!("for `{other}`"));
                problems.push(problem.help("keep one of the two"));
            }
            _ => {
                claims.insert(name, (alias, target));
            }
        }
    }
}
