//! A config field that no code reads.

use rustc_hash::FxHashSet;

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};
use crate::registry::Fallback;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unused-field",
    level: Level::Warning,
    what: "A field of a config table that no code of the registry reads.",
    why: "A value that a config sets and nobody reads is where silent numeric errors hide.",
    bad: "[config.toy]\nrequired = [\"vocab_size\", \"size\", \"wide\"]\ndefaults = { use_bias = true, toy_dropout_scale = 2.0 }\nsample   = { vocab_size = 8, size = 4, wide = 6 }\n",
    good: "[config.toy]\nrequired = [\"vocab_size\", \"size\", \"wide\"]\ndefaults = { use_bias = true }\nsample   = { vocab_size = 8, size = 4, wide = 10 }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let mut read: FxHashSet<&str> = FxHashSet::default();
    for view in context.views.values() {
        read.extend(view.mentions.iter().map(|name| &**name));
    }
    for code in context.registry.inputs.values() {
        names_in(&code.text, &mut read);
    }
    if context.broken_derivation {
        return;
    }
    for field in context.registry.configs.values().flat_map(|table| table.fields.values()) {
        if let Fallback::Derived(code) = &field.fallback {
            names_in(&code.text, &mut read);
        }
    }
    for (name, table) in &context.registry.configs {
        for (field, entry) in &table.fields {
            if !read.contains(field.as_str()) {
                let message = format!("no code reads `{field}` of config `{name}`");
                problems.push(LINT.at(&entry.span, message).help("read it where it matters, or remove it"));
            }
        }
    }
}

/// Every word of an expression that could be a name.
fn names_in<'a>(code: &'a str, found: &mut FxHashSet<&'a str>) {
    let words = code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    found.extend(words);
}
