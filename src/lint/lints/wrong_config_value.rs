//! A config value that cannot be used.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "wrong-config-value",
    level: Level::Error,
    what: "A value of the config of a kind that its field cannot have.",
    why: "The architecture cannot be built.",
    bad: r#"[config.toy]
required = ["vocab_size", "size", "wide"]
defaults = { use_bias = true }
parts    = { inner = "toy" }
sample   = { vocab_size = 8, size = 4, wide = 6, inner = 3 }

[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, inner.wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    good: r#"[config.toy]
required = ["vocab_size", "size", "wide"]
defaults = { use_bias = true }
parts    = { inner = "toy" }
sample   = { vocab_size = 8, size = 4, wide = 6, inner = { wide = 6 } }

[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, inner.wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    check: found_elsewhere,
};
