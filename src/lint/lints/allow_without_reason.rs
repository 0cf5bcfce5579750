//! An allowed finding without a reason.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "allow-without-reason",
    level: Level::Warning,
    what: "An `# omni: allow(…)` comment that does not say why.",
    why: "Nobody can tell later whether it is still right.",
    bad: r#"# omni: allow(unused-input)
[modules.ToyBlock]
inputs      = ["x", "scale=1.0"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    good: r#"# omni: allow(unused-input) callers of this family pass it
[modules.ToyBlock]
inputs      = ["x", "scale=1.0"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = 'return down(up(x))'
"#,
    check: found_elsewhere,
};
