//! A condition that asks nothing.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "empty-condition",
    level: Level::Error,
    what: "A condition without a question.",
    why: "It never holds.",
    bad: r#"[[rule]]
id = "toy"
category = "sae"
priority = 97
why = "a toy"
when = {}
"#,
    good: r#"[[rule]]
id = "toy"
category = "sae"
priority = 97
why = "a toy"
when = { file = ["toy.json"] }
"#,
    check: found_elsewhere,
};
