//! A value that cannot be used.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "wrong-value",
    level: Level::Error,
    what: "A value outside what an operator or a function can take: a division by zero, an overflow.",
    why: "It has no result.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide // 0)"
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
