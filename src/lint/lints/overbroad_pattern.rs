//! A pattern that matches everything.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint, conditions};
use crate::registry::rules::{Ask, NameTest, Test};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "overbroad-pattern",
    level: Level::Warning,
    what: "A glob or regular expression that matches every name.",
    why: "It says nothing, and hides that the rest of the condition decides alone.",
    bad: "[[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { architecture = { matches = \"Toy|\" } }\n",
    good: "[[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { architecture = { matches = \"^Toy\" } }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    conditions::each(&context.registry.rules, &mut |condition| {
        let mut broad: Vec<&str> = Vec::new();
        match &condition.test {
            Test::File(globs) | Test::Dir(globs) | Test::Tensor(globs) => {
                broad.extend(globs.iter().map(String::as_str).filter(|glob| is_any(glob)));
            }
            Test::Architecture(NameTest::Matches(text)) | Test::ModelType(NameTest::Matches(text)) => {
                broad.extend(Some(text.as_str()).filter(|text| matches_all(text)));
            }
            Test::Config(test) => broad.extend(test.asks.iter().filter_map(|ask| match ask {
                Ask::Matches(text) if matches_all(text) => Some(text.as_str()),
                _ => None,
            })),
            _ => {}
        }
        for pattern in broad {
            let problem = LINT.at(&condition.span, format!("`{pattern}` matches everything"));
            problems.push(problem.help("say what is meant, or use `exists` to ask only whether it is there"));
        }
    });
}

fn is_any(glob: &str) -> bool {
    glob.contains('*') && glob.chars().all(|c| matches!(c, '*' | '/' | '.' | '?'))
}

/// Whether an expression matches names that have nothing in common.
fn matches_all(expression: &str) -> bool {
    regex::Regex::new(expression).is_ok_and(|re| ["a name of nothing", "Zq-7", "x.Y_z/0"].iter().all(|name| re.is_match(name)))
}
