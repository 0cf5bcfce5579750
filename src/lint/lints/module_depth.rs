//! Modules nested without end.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "module-depth",
    level: Level::Error,
    what: "Modules nested deeper than any model needs, usually because one contains itself.",
    why: "Building it would never end.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.self = "ToyBlock()"
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return self(down(up(x)))'
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    check: found_elsewhere,
};
