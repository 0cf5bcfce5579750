//! Renames that cannot be read, or not be undone.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};
use crate::weights::lost_placeholders;

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
        for ((from, to), at) in architecture.rename.iter().zip(&architecture.rename_at) {
            let lost = match lost_placeholders(from, to) {
                Ok(lost) => lost,
                Err(error) => {
                    let problem = LINT.at(at, error.to_string());
                    problems.push(problem.help("write placeholders as `{x}`, the same on both sides"));
                    continue;
                }
            };
            for hole in lost {
                let message = format!("`{{{hole}}}` of `{from}` is lost in `{to}`");
                problems.push(LINT.at(at, message).help(format!("write `{{{hole}}}` where it belongs, so that names stay apart")));
            }
        }
    }
}
