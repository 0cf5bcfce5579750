//! An entry over another that is the same.

use crate::diag::{Level, Problems, Span};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "overlay-changes-nothing",
    level: Level::Warning,
    what: "An entry of an overlay that is word for word the one it is laid over.",
    why: "It has no effect now, and will undo what later releases correct below it.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide, bias=use_bias)\"\nlayers.down = \"Linear(wide, size, bias=use_bias)\"\nforward     = 'return down(up(x))'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for (index, file) in context.files.iter().enumerate().filter(|(_, file)| file.checked) {
        let below = || context.files[..index].iter().rev();
        let mut judge = |table: &str, name: &str, here: &Span, there: Option<&Span>| {
            let Some(there) = there else { return };
            if table_text(here) == table_text(there) {
                let message = format!("the {table} `{name}` is the same as the one below it");
                problems.push(LINT.at(here, message).related(there.clone(), "the same here").help("remove the table"));
            }
        };
        for (name, entry) in &file.registry.architectures {
            let there = below().find_map(|file| file.registry.architectures.get(name));
            judge("architecture", name, &entry.name.span, there.map(|entry| &entry.name.span));
        }
        for (name, entry) in &file.registry.configs {
            let there = below().find_map(|file| file.registry.configs.get(name));
            judge("config table", name, &entry.name.span, there.map(|entry| &entry.name.span));
        }
        for (name, entry) in &file.registry.modules {
            let there = below().find_map(|file| file.registry.modules.get(name));
            judge("module", name, &entry.name.span, there.map(|entry| &entry.name.span));
        }
    }
}

/// The lines of the table whose name stands at `span`, without spaces, comments and order of appearance.
fn table_text(span: &Span) -> Vec<String> {
    let text = &span.source.text;
    let start = text[..span.range.start].rfind('\n').map_or(0, |at| at + 1);
    let squeeze = |line: &str| line.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let lines = text[start..].lines().enumerate();
    lines
        .take_while(|(index, line)| *index == 0 || !line.starts_with('['))
        .map(|(_, line)| squeeze(line))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}
