//! A category that no rule gives.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "empty-category",
    level: Level::Warning,
    what: "A declared category that no rule gives.",
    why: "No directory can ever be of it.",
    bad: "[categories.toys]\nwhat = \"models to play with\"\n",
    good: "[categories.toys]\nwhat = \"models to play with\"\n\n[[rule]]\nid = \"toys\"\ncategory = \"toys\"\npriority = 97\nwhy = \"a toy says so\"\nwhen = { file = [\"toy.json\"] }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let rules = &context.registry.rules;
    for (name, category) in &rules.categories {
        if !rules.rules.values().any(|rule| rule.category.text == *name) {
            let problem = LINT.at(&category.name.span, format!("no rule gives the category `{name}`"));
            problems.push(problem.help("add a `[[rule]]` with this category, or remove it"));
        }
    }
}
