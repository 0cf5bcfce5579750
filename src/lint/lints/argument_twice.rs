//! An argument given by place and by name, or twice by name.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "argument-twice",
    level: Level::Error,
    what: "A call that gives one argument twice.",
    why: "Only one of the values could count.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(softmax(up(x), -1, axis=-1))'
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(softmax(up(x), axis=-1))'
"#,
    check: found_elsewhere,
};
