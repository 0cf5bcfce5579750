//! A glob or regular expression that does not compile.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};
use crate::matcher::Matcher;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "invalid-pattern",
    level: Level::Error,
    what: "A glob or regular expression of a condition that does not compile.",
    why: "It matches nothing, so the condition never holds.",
    bad: "[[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { architecture = { matches = \"^Toy(\" } }\n",
    good: "[[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { architecture = { matches = \"^Toy\" } }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    problems.extend(Matcher::new(context.registry).problems());
}
