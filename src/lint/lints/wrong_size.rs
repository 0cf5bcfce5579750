//! A size that no tensor can have.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "wrong-size",
    level: Level::Error,
    what: "A tensor with a size that is not a whole number above zero, or larger than any memory.",
    why: "It cannot exist.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide - 6)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide // 2)"
layers.down = "Linear(wide // 2, size)"
forward     = 'return down(up(x))'
"#,
    check: found_elsewhere,
};
