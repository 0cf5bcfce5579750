//! An entry over another that is the same.

use rustc_hash::FxHashMap;

use crate::diag::{Level, Problems, Span};
use crate::lint::{Context, Lint};
use crate::registry::Registry;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "overlay-changes-nothing",
    level: Level::Warning,
    what: "An entry of an overlay that is word for word the one it is laid over.",
    why: "It has no effect now, and will undo what later releases correct below it.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide, bias=use_bias)\"\nlayers.down = \"Linear(wide, size, bias=use_bias)\"\nforward     = 'return down(up(x))'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    check,
};

/// An entry: its table, its name, and where that stands.
type Entry<'a> = (&'static str, &'a str, &'a Span);

fn check(context: &Context<'_>, problems: &mut Problems) {
    let mut below: FxHashMap<(&str, &str), &Span> = FxHashMap::default();
    for file in context.files {
        for (table, name, here) in entries(&file.registry) {
            let there = below.insert((table, name), here);
            let Some(there) = there.filter(|there| file.checked && there.source != here.source) else { continue };
            if written(table, here) == written(table, there) {
                let message = format!("the {table} `{name}` is the same as the one below it");
                problems.push(LINT.at(here, message).related(there.clone(), "the same here").help("remove it here"));
            }
        }
    }
}

/// Everything in a file that a later one could say otherwise.
fn entries(registry: &Registry) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    entries.extend(registry.architectures.iter().map(|(name, entry)| ("architecture", &**name, &entry.name.span)));
    entries.extend(registry.configs.iter().map(|(name, entry)| ("config table", &**name, &entry.name.span)));
    entries.extend(registry.modules.iter().map(|(name, entry)| ("module", &**name, &entry.name.span)));
    let rules = &registry.rules;
    entries.extend(rules.rules.iter().map(|(id, entry)| ("rule", &**id, &entry.id.span)));
    entries.extend(rules.traits.iter().map(|(id, entry)| ("trait", &**id, &entry.id.span)));
    entries.extend(rules.repairs.iter().map(|(id, entry)| ("repair", &**id, &entry.id.span)));
    entries.extend(rules.tokenizers.iter().map(|(id, entry)| ("tokenizer rule", &**id, &entry.id.span)));
    entries.extend(rules.all_aliases().into_iter().map(|(name, entry)| ("alias", name, &entry.name.span)));
    entries.extend(rules.all_model_types().into_iter().map(|(name, entry)| ("model type", name, &entry.name.span)));
    entries
}

/// The lines of an entry, without spaces and comments.
fn written(table: &str, span: &Span) -> Vec<String> {
    let text = &span.source.text;
    let line = text[..span.range.start].rfind('\n').map_or(0, |at| at + 1);
    let squeeze = |line: &str| line.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let mark = match table {
        "alias" | "model type" => return text[line..].lines().take(1).map(squeeze).collect(),
        "rule" | "trait" | "repair" | "tokenizer rule" => "[[",
        _ => "",
    };
    let start = text[..line].rfind(&format!("\n{mark}")).filter(|_| !mark.is_empty()).map_or(line, |at| at + 1);
    let lines = text[start..].lines().enumerate();
    lines
        .take_while(|(index, line)| *index == 0 || !line.starts_with('['))
        .map(|(_, line)| squeeze(line))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}
