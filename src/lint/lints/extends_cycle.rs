//! A module or config table that extends itself.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "extends-cycle",
    level: Level::Error,
    what: "An `extends` that, followed upwards, comes back.",
    why: "Neither of the entries can be built.",
    bad: r#"[modules.ToyA]
extends = "ToyB"

[modules.ToyB]
extends = "ToyA"
"#,
    good: r#"[modules.ToyA]
extends = "ToyB"

[modules.ToyB]
extends = "ToyBlock"
"#,
    check: found_elsewhere,
};
