//! Text that is not TOML.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "toml-syntax",
    level: Level::Error,
    what: "Text that is not TOML.",
    why: "The part of the file behind it may not be read at all.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"
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
