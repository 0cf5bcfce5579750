//! A rule that is never reached.

use crate::diag::{Level, Problems};
use crate::lint::conditions::{alternatives, implies, is_impossible};
use crate::lint::{Context, Lint};
use crate::registry::rules::Rule;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "shadowed-rule",
    level: Level::Warning,
    what: "A rule whose condition implies that of a rule with higher priority.",
    why: "Rules are tried from the highest priority down, so this one never decides anything.",
    bad: "[[rule]]\nid = \"toy-any\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { file = [\"toy.json\", \"play.json\"] }\n\n\
          [[rule]]\nid = \"toy-play\"\ncategory = \"asr\"\npriority = 96\nwhy = \"a toy to play with\"\nwhen = { file = [\"play.json\"] }\n",
    good: "[[rule]]\nid = \"toy-any\"\ncategory = \"sae\"\npriority = 96\nwhy = \"a toy\"\nwhen = { file = [\"toy.json\", \"play.json\"] }\n\n\
           [[rule]]\nid = \"toy-play\"\ncategory = \"asr\"\npriority = 97\nwhy = \"a toy to play with\"\nwhen = { file = [\"play.json\"] }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let rules = &context.registry.rules;
    for rule in rules.rules.values() {
        let mut higher = rules.rules.values().filter(|other| other.priority > rule.priority);
        if let Some(other) = higher.find(|other| covers(context, other, rule)) {
            let message = format!("`{}` is never reached: `{}` holds wherever it would", rule.id.text, other.id.text);
            problems.push(
                LINT.at(&rule.id.span, message)
                    .label(format!("priority {}", rule.priority))
                    .related(other.id.span.clone(), format!("priority {}", other.priority))
                    .help("raise its priority, or remove it"),
            );
        }
    }
}

/// Whether `wide` holds wherever `narrow` does.
fn covers(context: &Context<'_>, wide: &Rule, narrow: &Rule) -> bool {
    let (Some(wide), Some(narrow)) = (alternatives(&wide.when), alternatives(&narrow.when)) else { return false };
    let possible = narrow.iter().filter(|literals| !is_impossible(&context.registry.rules, literals));
    let mut any = false;
    let all = possible.into_iter().all(|given| {
        any = true;
        wide.iter().any(|wanted| wanted.iter().all(|b| given.iter().any(|a| implies(a, b))))
    });
    any && all
}
