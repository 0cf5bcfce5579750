//! A repair that edits nothing.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "empty-repair",
    level: Level::Error,
    what: "A repair without `rename`, `fill`, `set` or `remove`.",
    why: "It is reported as applied and changes nothing.",
    bad: r#"[[repair]]
id = "toy"
why = "a toy"
when = { model-type = { exact = ["toy"] } }
"#,
    good: r#"[[repair]]
id = "toy"
why = "a toy"
when = { model-type = { exact = ["toy"] } }
set = { use_bias = false }
"#,
    check: found_elsewhere,
};
