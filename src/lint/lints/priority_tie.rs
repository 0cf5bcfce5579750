//! Two rules that can hold at once, with one priority and different answers.

use crate::diag::{Level, Problems};
use crate::lint::conditions::{alternatives, is_impossible};
use crate::lint::{Context, Lint};
use crate::registry::rules::Rule;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "priority-tie",
    level: Level::Error,
    what: "Two rules of one priority that can hold for the same directory and give different categories.",
    why: "A tie is never settled by the order of the file: such a directory has no category at all.",
    bad: "[[rule]]\nid = \"toy-one\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { file = [\"toy.json\"] }\n\n\
          [[rule]]\nid = \"toy-two\"\ncategory = \"asr\"\npriority = 97\nwhy = \"a toy that listens\"\nwhen = { file = [\"ear.json\"] }\n",
    good: "[[rule]]\nid = \"toy-one\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { file = [\"toy.json\"] }\n\n\
           [[rule]]\nid = \"toy-two\"\ncategory = \"asr\"\npriority = 96\nwhy = \"a toy that listens\"\nwhen = { file = [\"ear.json\"] }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let rules = &context.registry.rules;
    let mut sorted: Vec<&Rule> = rules.rules.values().collect();
    sorted.sort_by_key(|rule| (rule.priority, rule.id.span.range.start));
    for (index, first) in sorted.iter().enumerate() {
        let others = sorted[index + 1..].iter().take_while(|other| other.priority == first.priority);
        for other in others.filter(|other| other.category.text != first.category.text) {
            if exclusive(context, first, other) {
                continue;
            }
            // The one that is checked, and of two such the later one, is at fault.
            let (here, there) = if context.is_checked(&other.id.span) { (other, first) } else { (first, other) };
            let message = format!(
                "the rules `{}` and `{}` have priority {} and can hold at once",
                here.id.text, there.id.text, here.priority
            );
            problems.push(
                LINT.at(&here.id.span, message)
                    .label(format!("gives `{}`", here.category.text))
                    .related(there.id.span.clone(), format!("gives `{}`", there.category.text))
                    .help("give the more certain one a higher priority"),
            );
        }
    }
}

fn exclusive(context: &Context<'_>, a: &Rule, b: &Rule) -> bool {
    let (Some(left), Some(right)) = (alternatives(&a.when), alternatives(&b.when)) else { return true };
    left.iter().all(|one| {
        right.iter().all(|two| is_impossible(&context.registry.rules, &[one.as_slice(), two].concat()))
    })
}
