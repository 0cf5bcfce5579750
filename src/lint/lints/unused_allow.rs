//! An allowed finding that is not there.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unused-allow",
    level: Level::Warning,
    what: "An `# omni: allow(…)` comment for a finding that does not occur there.",
    why: "It would hide the finding if it came up.",
    bad: r#"# omni: allow(unused-input) callers of this family pass it
[modules.ToyBlock]
inputs      = ["x"]
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
