//! A lint that does not exist.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-lint",
    level: Level::Warning,
    what: "An `# omni: allow(…)` comment with a name that is no lint.",
    why: "It allows nothing.",
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
    check: found_elsewhere,
};
