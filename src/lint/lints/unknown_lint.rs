//! A lint that does not exist.

use crate::diag::{Level, Problem, Problems, Span, did_you_mean};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-lint",
    level: Level::Warning,
    what: "An `# omni: allow(…)` comment, or an entry of `[lints]`, with a name that is no lint.",
    why: "It changes nothing.",
    bad: r#"# omni: allow(unused-inputs) callers of this family pass it
[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    good: r#"# omni: allow(unused-input) callers of this family pass it
[modules.ToyBlock]
inputs      = ["x", "scale=1.0"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    check,
};

/// The finding that a name is no lint.
pub(in crate::lint) fn finding(name: &str, span: &Span) -> Problem {
    let help = did_you_mean(name, crate::lint::all().iter().map(|lint| lint.name));
    LINT.at(span, format!("`{name}` is not a lint"))
        .help(help.unwrap_or_else(|| "`omni explain-lint` lists them".to_owned()))
}

fn check(context: &Context<'_>, problems: &mut Problems) {
    for (name, _) in context.registry.lints.values() {
        if crate::lint::find(&name.text).is_none() {
            problems.push(finding(&name.text, &name.span));
        }
    }
}
