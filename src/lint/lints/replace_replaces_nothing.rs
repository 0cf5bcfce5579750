//! A replacement for a module that is not there.

use std::collections::BTreeSet;

use crate::diag::{Level, Problems, did_you_mean};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "replace-replaces-nothing",
    level: Level::Error,
    what: "A `replace` for a module that is not used anywhere below.",
    why: "The model is then built from the parts that it was meant to differ in.",
    bad: "[modules.OtherBlock]\nextends = \"ToyBlock\"\nforward = 'return down(relu(up(x)))'\n\n[modules.ToyTwo]\nextends = \"Toy\"\nreplace.ToyBlok = \"OtherBlock\"\n\n\
          [architectures.ToyTwo]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\n",
    good: "[modules.OtherBlock]\nextends = \"ToyBlock\"\nforward = 'return down(relu(up(x)))'\n\n[modules.ToyTwo]\nextends = \"Toy\"\nreplace.ToyBlock = \"OtherBlock\"\n\n\
           [architectures.ToyTwo]\ncategory = \"transformers\"\ntask = \"embed\"\nconfig = \"toy\"\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let modules = &context.registry.modules;
    if modules.values().all(|module| module.replace.is_empty()) {
        return;
    }
    for (name, module) in modules.into_iter().filter(|(_, module)| !module.replace.is_empty()) {
        let used = used_below(context, name);
        for (from, to) in &module.replace {
            if !modules.contains_key(&to.text) {
                problems.push(context.unknown("unknown-module", to, "a module", modules.keys().map(String::as_str)));
            }
            if !used.contains(from.text.as_str()) {
                let message = format!("`{}` is not used anywhere in `{name}`", from.text);
                let help = did_you_mean(&from.text, used.iter().copied());
                problems.push(LINT.at(&from.span, message).help(help.unwrap_or_else(|| "remove this entry".to_owned())));
            }
        }
    }
}

/// Every module that is named in the layers of a module, or below, replacements followed.
fn used_below<'a>(context: &'a Context<'_>, name: &'a str) -> BTreeSet<&'a str> {
    let (mut used, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        let Some(view) = context.views.get(name).filter(|_| seen.insert(name)) else { continue };
        used.extend(context.reach.named(name));
        open.extend(context.reach.named(name));
        open.extend(view.module.replace.iter().map(|(_, to)| to.text.as_str()));
    }
    used
}
