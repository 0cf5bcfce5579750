//! A task without a contract.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-task",
    level: Level::Error,
    what: "A definition whose task has no contract.",
    why: "Drivers know tasks, never models: nothing could run it.",
    bad: "[architectures.Toy]\ncategory = \"transformers\"\ntask = \"embet\"\nconfig = \"toy\"\n",
    good: "[architectures.Toy]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\naliases = [\"ToyModel\"]\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let tasks = &context.registry.tasks;
    for architecture in context.registry.architectures.values() {
        if !tasks.contains_key(&architecture.task.text) {
            let known = tasks.keys().map(String::as_str);
            problems.push(context.unknown(LINT.name, &architecture.task, "a task with a contract", known));
        }
    }
}
