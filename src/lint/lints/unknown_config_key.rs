//! Keys of a config written in the registry that no field answers to.

use serde_json::Value;

use crate::diag::{Level, Problems, Span, did_you_mean};
use crate::lint::{Context, Lint};
use crate::registry::{ConfigTable, ExpectedOf, Fallback};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-config-key",
    level: Level::Warning,
    what: "A key of a `sample`, or of the `config` or `sample` of an `[[expect]]`, that is no field of the config table, but nearly \
           is; or one of `aliases` that stands for no field.",
    why: "A config may hold anything, so nobody else notices: the value is passed over, and the default is used.",
    bad: "[config.toy]\nrequired = [\"vocab_size\", \"size\", \"wide\"]\ndefaults = { use_bias = true }\nsample   = { vocab_size = 8, size = 4, wide = 6, use_bais = false }\n",
    good: "[config.toy]\nrequired = [\"vocab_size\", \"size\", \"wide\"]\ndefaults = { use_bias = true }\nsample   = { vocab_size = 8, size = 4, wide = 6, use_bias = false }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let registry = context.registry;
    for written in registry.configs.values().filter(|table| context.is_checked(&table.name.span)) {
        let Some(table) = context.tables.get(written.name.text.as_str()) else { continue };
        keys(context, table, written.sample.iter().flatten(), &written.name.span, problems);
        for (ours, theirs) in written.aliases.iter().filter(|(ours, _)| !table.fields.contains_key(ours)) {
            let message = format!("`{theirs}` is another spelling of `{ours}`, which is no field of `{}`", written.name.text);
            let problem = LINT.at(&super::below(&written.name.span, ours), message);
            let near = did_you_mean(ours, table.fields.keys().map(String::as_str));
            problems.push(problem.help(near.unwrap_or_else(|| "declare the field, or remove the alias".to_owned())));
        }
    }
    for expected in registry.expectations.iter().filter(|expected| context.is_checked(&expected.architecture.span)) {
        let Some(ExpectedOf::Written(config) | ExpectedOf::Changed(config)) = &expected.config else { continue };
        let architecture = registry.architectures.get(&expected.architecture.text);
        let table = architecture.and_then(|found| context.tables.get(found.config.as_ref()?.text.as_str()));
        if let Some(table) = table {
            keys(context, table, config, &expected.architecture.span, problems);
        }
    }
}

/// Reports the keys that are nearly fields, in the parts of the config as well.
fn keys<'c>(
    context: &Context<'_>,
    table: &ConfigTable,
    config: impl IntoIterator<Item = (&'c String, &'c Value)>,
    at: &Span,
    problems: &mut Problems,
) {
    let spellings = || table.aliases.iter().map(|(_, theirs)| theirs.as_str());
    for (key, value) in config {
        let known = || table.fields.keys().map(String::as_str).chain(spellings());
        let part = match table.fields.get(key).map(|field| &field.fallback) {
            Some(Fallback::Part(part)) => context.tables.get(part.text.as_str()),
            Some(_) => continue,
            None => None,
        };
        if let (Some(part), Some(inner)) = (part, value.as_object()) {
            keys(context, part, inner, at, problems);
        } else if known().all(|name| name != key) && !["architectures", "model_type", "_class_name"].contains(&key.as_str()) {
            let Some(near) = did_you_mean(key, known()) else { continue };
            let message = format!("`{key}` is no field of config `{}`", table.name.text);
            problems.push(LINT.at(&super::below(at, key), message).help(near));
        }
    }
}
