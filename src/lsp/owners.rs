//! Who declares a member or a field: the topmost module or config table above the one that mentions it.

use std::collections::BTreeSet;

use crate::diag::Span;
use crate::lint::Checked;
use crate::registry::{Code, Module};

/// The topmost module above `module`, itself included, that declares a member.
pub(super) fn owner(checked: &Checked, module: &str, member: &str) -> Option<String> {
    let mut found = None;
    for written in ancestors(checked, module) {
        if declares(written, member) {
            found = Some(written.name.text.clone());
        }
    }
    found
}

/// A module and those that it extends.
pub(super) fn ancestors<'c>(checked: &'c Checked, module: &str) -> Vec<&'c Module> {
    let mut chain: Vec<&Module> = Vec::new();
    let mut next = checked.registry.modules.get(module);
    while let Some(module) =
        next.filter(|module| !chain.iter().any(|seen| seen.name.text == module.name.text))
    {
        chain.push(module);
        next = module.extends.as_ref().and_then(|parent| checked.registry.modules.get(&parent.text));
    }
    chain
}

fn declares(module: &Module, member: &str) -> bool {
    let groups = [&module.layers, &module.params, &module.buffers, &module.lets];
    groups.into_iter().flatten().any(|(name, _)| name.text == member)
        || module.args.iter().flatten().any(|code| parameter(code).0 == member)
}

/// The name of a parameter, and its place.
pub(super) fn parameter(code: &Code) -> (&str, Span) {
    let name = code.text.split('=').next().unwrap_or_default();
    let lead = name.len() - name.trim_start().len();
    let start = code.span.range.start + lead;
    (name.trim(), Span::new(&code.span.source, start..start + name.trim().len()))
}

/// The topmost table above `table`, itself included, that declares a field.
pub(super) fn field_owner(checked: &Checked, table: &str, field: &str) -> Option<String> {
    let (mut found, mut seen) = (None, BTreeSet::new());
    let mut next = checked.registry.configs.get(table);
    while let Some(table) = next.filter(|table| seen.insert(table.name.text.clone())) {
        if table.fields.contains_key(field) {
            found = Some(table.name.text.clone());
        }
        next = table.extends.as_ref().and_then(|parent| checked.registry.configs.get(&parent.text));
    }
    found
}

/// The owners of a field that code of a module may mean.
pub(super) fn fields_of_module(checked: &Checked, module: &str, field: &str) -> BTreeSet<String> {
    let architectures = checked.reach.architectures(module);
    let tables = architectures.flat_map(|architecture| checked.reach.tables(architecture));
    tables.filter_map(|table| field_owner(checked, table, field)).collect()
}
