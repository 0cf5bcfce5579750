//! An architecture that cannot be traced for want of a config.

use crate::diag::{Level, Problems};
use crate::registry::sample;
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "missing-sample",
    level: Level::Warning,
    what: "A config table with required fields and no `sample`.",
    why: "Nothing about the architectures that use it is proved.",
    bad: "[config.toy]\nrequired = [\"vocab_size\", \"size\", \"wide\"]\ndefaults = { use_bias = true }\n",
    good: "[config.toy]\nrequired = [\"vocab_size\", \"size\", \"wide\"]\ndefaults = { use_bias = true }\nsample   = { vocab_size = 8, size = 4, wide = 10 }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for architecture in context.registry.architectures.values() {
        let table = architecture.config.as_ref().and_then(|name| context.tables.get(name.text.as_str()));
        let Some(table) = table else { continue };
        if sample(architecture, Some(table)).is_none() {
            let message = format!("`{}` cannot be traced: its config has no sample", architecture.name.text);
            let problem = LINT.at(&table.name.span, message).related(architecture.name.span.clone(), "used here");
            problems.push(problem.help("add `sample = { … }` with small sizes that all differ"));
        }
    }
}
