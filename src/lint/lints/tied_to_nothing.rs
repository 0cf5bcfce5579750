//! A tie without tensors.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "tied-to-nothing",
    level: Level::Error,
    what: "A `tied` entry for something that is not there, or between layers without a tensor in common.",
    why: "Nothing is shared.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
tied.done   = "up"
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
