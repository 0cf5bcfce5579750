//! A condition that nothing can fulfil.

use crate::diag::{Level, Problems, Span};
use crate::lint::conditions::{alternatives, is_impossible};
use crate::lint::{Context, Lint};
use crate::registry::rules::Condition;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "contradictory-condition",
    level: Level::Error,
    what: "A condition whose parts exclude each other.",
    why: "What it belongs to never applies.",
    bad: "[[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen.all = [{ file = [\"toy.json\"] }, { not = { file = [\"toy.json\"] } }]\n",
    good: "[[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen.all = [{ file = [\"toy.json\"] }, { not = { file = [\"play.json\"] } }]\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let rules = &context.registry.rules;
    let entries: Vec<(&str, &Span, &Condition)> = (rules.rules.values().map(|r| (&*r.id.text, &r.id.span, &r.when)))
        .chain(rules.traits.values().map(|r| (&*r.id.text, &r.id.span, &r.when)))
        .chain(rules.repairs.values().map(|r| (&*r.id.text, &r.id.span, &r.when)))
        .chain(rules.tokenizers.values().map(|r| (&*r.id.text, &r.id.span, &r.when)))
        .collect();
    for (id, at, condition) in entries {
        let Some(ways) = alternatives(condition) else { continue };
        if !ways.is_empty() && ways.iter().all(|literals| is_impossible(rules, literals)) {
            let problem = LINT.at(&condition.span, format!("the condition of `{id}` can never hold"));
            problems.push(problem.related(at.clone(), "what it belongs to").help("mend or remove one of its parts"));
        }
    }
}
