//! Paths that leave the model's directory.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint, conditions};
use crate::registry::rules::Test;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "path-outside",
    level: Level::Error,
    what: "A condition about files or folders, or a file of weights, whose path has `..` in it or starts at the root.",
    why: "Only what is in the model's directory is looked at: the condition never holds, and the file is never read.",
    bad: "[[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { file = [\"../toy.json\"] }\n",
    good: "[[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { file = [\"toy/toy.json\"] }\n",
    check,
};

const HELP: &str = "write the path from the directory on, with `/` between folders";

fn check(context: &Context<'_>, problems: &mut Problems) {
    conditions::each(&context.registry.rules, &mut |condition| {
        let (Test::File(globs) | Test::Dir(globs)) = &condition.test else { return };
        for glob in globs.iter().filter(|glob| leaves(glob)) {
            let problem = LINT.at(&condition.span, format!("`{glob}` is outside of the model's directory"));
            problems.push(problem.help(HELP));
        }
    });
    for architecture in context.registry.architectures.values() {
        for path in architecture.weights.iter().filter(|path| leaves(path)) {
            let at = super::below(&architecture.name.span, path);
            let problem = LINT.at(&at, format!("`{path}` is outside of the model's directory"));
            problems.push(problem.help(HELP));
        }
    }
}

fn leaves(glob: &str) -> bool {
    let drive = glob.as_bytes().get(1) == Some(&b':');
    drive || glob.starts_with(['/', '\\', '~']) || glob.split(['/', '\\']).any(|part| part == "..")
}
