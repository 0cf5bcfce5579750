//! A call with more arguments than can be taken.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "too-many-arguments",
    level: Level::Error,
    what: "A call of an op, a constructor or a layer with too many arguments.",
    why: "It cannot be called.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x), x)'
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    check: found_elsewhere,
};
