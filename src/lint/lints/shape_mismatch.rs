//! Sizes that do not fit.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "shape-mismatch",
    level: Level::Error,
    what: "An op or an operator whose operands have shapes that do not fit.",
    why: "The model cannot be run.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(wide, size)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    check: found_elsewhere,
};
