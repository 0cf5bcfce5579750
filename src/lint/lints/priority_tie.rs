//! Two rules that can hold at once, with one priority and different answers.

use crate::diag::{Level, Problems};
use crate::lint::conditions::{Literal, alternatives, implies, is_impossible};
use crate::lint::{Context, Lint};
use crate::registry::rules::Rule;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "priority-tie",
    level: Level::Error,
    what: "Two rules of one priority that can hold for the same directory and give different categories; or of which one holds whenever the other does, and which give different architectures.",
    why: "A tie is never settled by the order of the file: such a directory is not recognised at all.",
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
        for other in others.filter(|other| gives(other) != gives(first)) {
            // Different categories must not meet at all; rules of one category are about different layouts, which a
            // directory has only by chance both of, unless one rule asks for what the other asks for.
            let meet = if other.category.text == first.category.text {
                covers(first, other) || covers(other, first)
            } else {
                !exclusive(context, first, other)
            };
            if !meet {
                continue;
            }
            // The one that is checked is at fault; of two such the one that stands out of order, or else the later one.
            let others_fault = match (context.is_checked(&first.id.span), context.is_checked(&other.id.span)) {
                (true, true) => out_of_order(&sorted, first) <= out_of_order(&sorted, other),
                (_, other_is_checked) => other_is_checked,
            };
            let (here, there) = if others_fault { (other, first) } else { (first, other) };
            let message = format!(
                "the rules `{}` and `{}` have priority {} and can hold at once",
                here.id.text, there.id.text, here.priority
            );
            problems.push(
                LINT.at(&here.priority_at, message)
                    .label(format!("`{}` gives {}", here.id.text, words(here)))
                    .related(there.priority_at.clone(), format!("`{}` gives {}", there.id.text, words(there)))
                    .help("give the more certain one a higher priority"),
            );
        }
    }
}

/// With how many rules of its file a rule disagrees about the order: files begin with what is tried first.
fn out_of_order(rules: &[&Rule], rule: &Rule) -> usize {
    let beside = rules.iter().filter(|other| other.id.span.source == rule.id.span.source);
    let against = beside.filter(|other| {
        let before = other.id.span.range.start < rule.id.span.range.start;
        if before { other.priority < rule.priority } else { other.priority > rule.priority }
    });
    against.count()
}

/// Whether every directory for which one rule holds fulfils the other as well.
fn covers(wide: &Rule, narrow: &Rule) -> bool {
    let (Some(wide), Some(narrow)) = (alternatives(&wide.when), alternatives(&narrow.when)) else { return false };
    let fulfils = |narrow: &[Literal<'_>], wide: &[Literal<'_>]| {
        wide.iter().all(|asked| narrow.iter().any(|given| implies(given, asked)))
    };
    narrow.iter().all(|one| wide.iter().any(|other| fulfils(one, other)))
}

/// What a directory is by a rule.
fn gives(rule: &Rule) -> (&str, Option<&str>) {
    (&rule.category.text, rule.architecture.as_ref().map(|name| name.text.as_str()))
}

fn words(rule: &Rule) -> String {
    match gives(rule) {
        (category, Some(architecture)) => format!("`{category}`, and `{architecture}` where no name says more"),
        (category, None) => format!("`{category}`"),
    }
}

fn exclusive(context: &Context<'_>, a: &Rule, b: &Rule) -> bool {
    let (Some(left), Some(right)) = (alternatives(&a.when), alternatives(&b.when)) else { return true };
    left.iter().all(|one| {
        right.iter().all(|two| is_impossible(&context.registry.rules, &[one.as_slice(), two].concat()))
    })
}
