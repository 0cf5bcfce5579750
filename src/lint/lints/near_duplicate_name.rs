//! Names that differ in case alone.

use std::collections::BTreeMap;

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};
use crate::registry::Name;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "near-duplicate-name",
    level: Level::Warning,
    what: "Two modules, config tables or architectures whose names differ in case, dashes or underscores alone.",
    why: "Names are looked up without regard to case where the exact one is missing; two that differ in nothing \
          else are then a tie.",
    bad: "[modules.toyBlock]\nextends = \"ToyBlock\"\nlayers.up = \"Linear(size, wide)\"\n\n[modules.Toy]\ninputs = [\"input_ids\"]\n\
          layers.tokens = \"Embedding(vocab_size, size)\"\nlayers.block = \"toyBlock()\"\nforward = 'return {\"last_hidden_state\": block(tokens(input_ids))}'\n",
    good: "[modules.PlainBlock]\nextends = \"ToyBlock\"\nlayers.up = \"Linear(size, wide)\"\n\n[modules.Toy]\ninputs = [\"input_ids\"]\n\
           layers.tokens = \"Embedding(vocab_size, size)\"\nlayers.block = \"PlainBlock()\"\nforward = 'return {\"last_hidden_state\": block(tokens(input_ids))}'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let registry = context.registry;
    let tables: [(&str, Vec<&Name>); 3] = [
        ("module", registry.modules.values().map(|module| &module.name).collect()),
        ("config table", registry.configs.values().map(|table| &table.name).collect()),
        ("architecture", registry.architectures.values().map(|architecture| &architecture.name).collect()),
    ];
    for (what, names) in tables {
        let mut folded: BTreeMap<String, &Name> = BTreeMap::new();
        for name in names {
            let key = name.text.to_lowercase().replace('-', "_");
            let Some(other) = folded.insert(key, name) else { continue };
            let (here, there) = if context.is_checked(&name.span) { (name, other) } else { (other, name) };
            let message = format!("the {what} `{}` differs from `{}` in spelling alone", here.text, there.text);
            let problem = LINT.at(&here.span, message).related(there.span.clone(), "the other one");
            problems.push(problem.help("use one name, or two that cannot be confused"));
        }
    }
}
