//! A rename whose result is no tensor.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "rename-matches-nothing",
    level: Level::Warning,
    what: "A `rename` whose right side is not the name of any tensor of the definition.",
    why: "The tensor that it is meant for stays unknown, and is reported as missing when a checkpoint is loaded.",
    bad: "[architectures.Toy]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\nrename = { \"{x}.gamma\" = \"{x}.scale\" }\n",
    good: "[architectures.Toy]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\nrename = { \"{x}.gamma\" = \"{x}.weight\" }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for trace in &context.traces {
        let architecture = trace.architecture;
        for ((from, to), at) in architecture.rename.iter().zip(&architecture.rename_at) {
            let stored = trace.params.iter().flat_map(|param| {
                std::iter::once(param.name.as_str()).chain(param.stored.iter().flat_map(crate::plan::Stored::names))
            });
            if !stored.into_iter().any(|name| fits(to, name)) {
                let message = format!("no tensor of `{}` is named like `{to}`", architecture.name.text);
                let problem = LINT.at(at, message);
                problems.push(problem.help(format!("mend what `{from}` is renamed to, or remove it")));
            }
        }
    }
}

/// Whether a name fits a template such as `layers.{i}.{x}`.
fn fits(template: &str, name: &str) -> bool {
    let mut rest = name;
    let mut parts = template.split(['{', '}']).step_by(2).peekable();
    let Some(first) = parts.next() else { return false };
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() && part.is_empty() {
            return true;
        }
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}
