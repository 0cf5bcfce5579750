//! A branch on the values of a tensor.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "branch-on-tensor",
    level: Level::Error,
    what: "A condition that is a tensor.",
    why: "Plans have no branches: what is decided is decided while tracing.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x)) if x else x'
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return where(x > 0.0, down(up(x)), x)'
"#,
    check: found_elsewhere,
};
