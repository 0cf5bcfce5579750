//! Renames that cannot be read, or not be undone.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};
use crate::weights::Renames;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "invalid-template",
    level: Level::Error,
    what: "A `rename` whose templates cannot be read, or whose left side has a placeholder that the right side lacks.",
    why: "Loading would fail, or two tensors would get one name and could not be saved under their own.",
    bad: "[architectures.Toy]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\nrename = { \"{x}.{y}.gamma\" = \"{x}.weight\" }\n",
    good: "[architectures.Toy]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\nrename = { \"{x}.{y}.gamma\" = \"{x}.{y}.weight\" }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for architecture in context.registry.architectures.values() {
        for (pair, at) in architecture.rename.iter().zip(&architecture.rename_at) {
            let (from, to) = pair;
            if let Err(error) = Renames::compile(std::slice::from_ref(pair)) {
                problems.push(LINT.at(at, error.to_string()).help("write placeholders as `{x}`, the same on both sides"));
                continue;
            }
            for hole in holes(from).filter(|hole| holes(to).all(|kept| kept != *hole)) {
                let message = format!("`{{{hole}}}` of `{from}` is lost in `{to}`");
                problems.push(LINT.at(at, message).help(format!("write `{{{hole}}}` where it belongs, so that names stay apart")));
            }
        }
    }
}

/// The names of the placeholders of a template.
fn holes(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(hole, _)| hole))
}
