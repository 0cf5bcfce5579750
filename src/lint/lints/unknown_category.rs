//! A category that is not declared.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};
use crate::lint::conditions;
use crate::registry::rules::{NameTest, Test};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-category",
    level: Level::Error,
    what: "A definition, a rule, a condition or a list of names that uses a category which is not declared.",
    why: "Callers tell models apart by category; one that nobody declared is never asked for.",
    bad: "[architectures.Toy]\ncategory = \"transformer\"\ntask = \"embed\"\nconfig = \"toy\"\n",
    good: "[architectures.Toy]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\naliases = [\"ToyModel\"]\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let rules = &context.registry.rules;
    let known = || rules.categories.keys().map(String::as_str);
    let of_definitions = context.registry.architectures.values().map(|architecture| &architecture.category);
    let of_rules = rules.rules.values().map(|rule| &rule.category);
    for name in of_definitions.chain(of_rules).filter(|name| !rules.categories.contains_key(&name.text)) {
        problems.push(context.unknown(LINT.name, name, "a declared category", known()));
    }
    // A list of names has one place for all: that of its first name.
    let mut reported = std::collections::BTreeSet::new();
    for found in rules.all_known().into_values().filter(|found| !rules.categories.contains_key(&found.category)) {
        if reported.insert(&found.category) {
            let message = format!("`{}`, under which `{}` is listed, is not a declared category", found.category, found.name.text);
            problems.push(LINT.at(&found.name.span, message).maybe_help(crate::diag::did_you_mean(&found.category, known())));
        }
    }
    conditions::each(rules, &mut |condition| {
        if let Test::Architecture(NameTest::Listed(category)) = &condition.test
            && !rules.categories.contains_key(category) {
                let message = format!("`{category}` is not a declared category");
                let help = crate::diag::did_you_mean(category, known());
                problems.push(LINT.at(&condition.span, message).maybe_help(help));
            }
    });
}
