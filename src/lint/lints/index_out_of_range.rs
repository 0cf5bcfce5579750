//! An index behind the end of a list.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "index-out-of-range",
    level: Level::Error,
    what: "A list asked for an item that it has not.",
    why: "Tracing stops there.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
lets.sizes  = "[size, wide]"
layers.up   = "Linear(size, sizes[2])"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
lets.sizes  = "[size, wide]"
layers.up   = "Linear(size, sizes[1])"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    check: found_elsewhere,
};
