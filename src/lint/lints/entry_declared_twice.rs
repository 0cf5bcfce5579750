//! One entry in two places.

use rustc_hash::FxHashMap;

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};
use crate::registry::Name;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "entry-declared-twice",
    level: Level::Error,
    what: "An entry of the same table and name in two of the files that are checked together, or twice in one list.",
    why: "The later one wins without a word, and which is later depends on the names of the files.",
    bad: "[[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { file = [\"toy.json\"] }\n\n\
          [[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 96\nwhy = \"a toy\"\nwhen = { file = [\"play.json\"] }\n",
    good: "[[rule]]\nid = \"toy\"\ncategory = \"sae\"\npriority = 97\nwhy = \"a toy\"\nwhen = { file = [\"toy.json\"] }\n\n\
           [[rule]]\nid = \"toy-play\"\ncategory = \"sae\"\npriority = 96\nwhy = \"a toy\"\nwhen = { file = [\"play.json\"] }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let mut seen: FxHashMap<(&str, &str), &Name> = FxHashMap::default();
    for file in context.checked() {
        let registry = &file.registry;
        let rules = &registry.rules;
        let entries = (registry.architectures.values().map(|e| ("architecture", &e.name)))
            .chain(registry.configs.values().map(|e| ("config table", &e.name)))
            .chain(registry.modules.values().map(|e| ("module", &e.name)))
            .chain(registry.tasks.values().map(|e| ("task", &e.name)))
            .chain(rules.all_known().into_values().map(|e| ("listed name", &e.name)))
            .chain(rules.all_model_types().into_values().map(|e| ("model type", &e.name)))
            .chain(rules.all_aliases().into_values().map(|e| ("alias", &e.name)))
            .chain(rules.categories.values().map(|e| ("category", &e.name)))
            .chain(rules.rules.values().map(|e| ("rule", &e.id)))
            .chain(rules.traits.values().map(|e| ("trait", &e.id)))
            .chain(rules.repairs.values().map(|e| ("repair", &e.id)))
            .chain(rules.tokenizers.values().map(|e| ("tokenizer rule", &e.id)));
        for (table, name) in entries {
            if let Some(first) = seen.insert((table, &name.text), name) {
                let message = format!("the {table} `{}` is declared twice", name.text);
                let problem = LINT.at(&name.span, message).related(first.span.clone(), "first here");
                let place = first.span.source.name.clone();
                problems.push(problem.help(format!("keep one of the two: the other is in {place}")));
            }
        }
    }
}
