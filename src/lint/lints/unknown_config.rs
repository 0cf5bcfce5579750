//! A config table that does not exist.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};
use crate::registry::Fallback;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-config",
    level: Level::Error,
    what: "A config table that an architecture, a part or an `extends` names and nobody declares.",
    why: "Without it, no field of the config is known.",
    bad: "[architectures.Toy]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toi\"\n",
    good: "[architectures.Toy]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\naliases = [\"ToyModel\"]\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let configs = &context.registry.configs;
    let of_architectures = context.registry.architectures.values().filter_map(|found| found.config.as_ref());
    let of_parts = configs.values().flat_map(|table| table.fields.values()).filter_map(|field| match &field.fallback {
        Fallback::Part(table) => Some(table),
        _ => None,
    });
    for name in of_architectures.chain(of_parts).filter(|name| !configs.contains_key(&name.text)) {
        problems.push(context.unknown(LINT.name, name, "a config table", configs.keys().map(String::as_str)));
    }
}
