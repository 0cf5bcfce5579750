//! A sample that the definition refuses.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "not-supported",
    level: Level::Error,
    what: "A `fail(…)` that the sample of the config reaches.",
    why: "The definition does not support its own sample.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x)) if wide < 6 else fail("too wide")'
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x)) if wide < 60 else fail("too wide")'
"#,
    check: found_elsewhere,
};
