//! A key that means nothing.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-key",
    level: Level::Error,
    what: "A key or table that a registry file cannot have.",
    why: "It is not read, so what it was meant to say is not so.",
    bad: r#"[modules.ToyBlock]
input      = ["x"]
layers.up   = "Linear(size, wide)"
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
