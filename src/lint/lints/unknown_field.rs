//! A config field that is not there.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-field",
    level: Level::Error,
    what: "A field of a part of the config that its table does not know.",
    why: "Tracing stops there.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, config.wied)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, config.wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    check: found_elsewhere,
};
