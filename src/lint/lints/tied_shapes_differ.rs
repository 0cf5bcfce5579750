//! Tied tensors of different shapes.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "tied-shapes-differ",
    level: Level::Error,
    what: "A `tied` entry between tensors whose shapes differ.",
    why: "They cannot be one tensor.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
tied.down   = "up"
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
tied.down   = "up"
layers.up   = "Linear(size, size)"
layers.down = "Linear(size, size)"
forward     = 'return down(up(x))'
"#,
    check: found_elsewhere,
};
