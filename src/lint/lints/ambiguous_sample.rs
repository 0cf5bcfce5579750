//! Sizes of a sample that are equal by accident.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::diag::{Level, Problems};
use crate::lang::ast::{Expr, ExprKind};
use crate::lint::code::Role;
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "ambiguous-sample",
    level: Level::Warning,
    what: "A sample that gives two sizes of tensors one value.",
    why: "Whatever takes the one for the other fits the sample all the same, and fails on real configs.",
    bad: "[config.toy]\nrequired = [\"vocab_size\", \"size\", \"wide\"]\ndefaults = { use_bias = true }\nsample   = { vocab_size = 8, size = 6, wide = 6 }\n",
    good: "[config.toy]\nrequired = [\"vocab_size\", \"size\", \"wide\"]\ndefaults = { use_bias = true }\nsample   = { vocab_size = 8, size = 4, wide = 10 }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let sizes = sizes(context);
    for written in context.registry.configs.values() {
        let Some(table) = context.tables.get(written.name.text.as_str()) else { continue };
        let mut known: BTreeMap<i64, &str> = BTreeMap::new();
        let sample = table.sample.iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_i64()?)));
        for (key, value) in sample.filter(|(key, value)| *value > 1 && sizes.contains(*key)) {
            let Some(other) = known.insert(value, key) else { continue };
            // Said once, where one of the two is written.
            let own = |key: &str| written.sample.as_ref().is_some_and(|sample| sample.contains_key(key));
            if own(key) || own(other) {
                let message = format!("`{other}` and `{key}` are both {value} in the sample of `{}`", table.name.text);
                let at = super::below(&written.name.span, "sample");
                problems.push(LINT.at(&at, message).help("give each size a value of its own"));
            }
        }
    }
}

/// The names that code of layers and of shapes mentions as sizes, not only as counts of layers.
fn sizes(context: &Context<'_>) -> FxHashSet<Arc<str>> {
    let is_range = |callee: &Expr| matches!(&callee.kind, ExprKind::Name(name) if &**name == "range");
    let mut found = FxHashSet::default();
    for piece in context.views.values().flat_map(|view| &view.pieces) {
        if matches!(piece.role, Role::Layer | Role::Param | Role::Buffer) {
            piece.each(&mut |expr| {
                let of: &[Expr] = match &expr.kind {
                    ExprKind::Call(callee, _, _) if is_range(callee) => &[],
                    ExprKind::Call(_, items, _) | ExprKind::List(items) => items,
                    _ => &[],
                };
                found.extend(of.iter().filter_map(|item| match &item.kind {
                    ExprKind::Name(name) => Some(Arc::clone(name)),
                    _ => None,
                }));
            });
        }
    }
    found
}
