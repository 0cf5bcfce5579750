//! The name of an architecture that nobody knows.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-architecture",
    level: Level::Error,
    what: "An alias, a model type or a rule that names an architecture which is neither defined nor listed.",
    why: "A directory that is recognised by it cannot be given an architecture.",
    bad: "[model-types]\ntoy = { architecture = \"Toi\" }\n",
    good: "[model-types]\ntoy = { architecture = \"Toy\" }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let registry = context.registry;
    let rules = &registry.rules;
    let known = |name: &str| {
        registry.architectures.contains_key(name)
            || rules.known(name).is_some()
            || rules.alias(name).is_some()
            || registry.architectures.values().any(|found| found.aliases.iter().any(|alias| alias.text == name))
    };
    let from_aliases = rules.all_aliases().into_values().map(|alias| &alias.target);
    let from_types = rules.all_model_types().into_values().map(|entry| &entry.architecture);
    let from_rules = rules.rules.values().filter_map(|rule| rule.architecture.as_ref());
    for name in from_aliases.chain(from_types).chain(from_rules).filter(|name| !known(&name.text)) {
        problems.push(context.unknown(
            LINT.name,
            name,
            "an architecture that is defined or listed",
            context.architecture_names(),
        ));
    }
}
