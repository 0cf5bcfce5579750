//! A tokenizer rule without a source.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "tokenizer-source",
    level: Level::Error,
    what: "A tokenizer rule that gives none, or several, of `repository`, `from-config` and `from-path`.",
    why: "It does not say where to look.",
    bad: r#"[[tokenizer]]
id = "toy"
why = "a toy"
when = { model-type = { exact = ["toy"] } }
"#,
    good: r#"[[tokenizer]]
id = "toy"
why = "a toy"
when = { model-type = { exact = ["toy"] } }
repository = "toys/toy"
"#,
    check: found_elsewhere,
};
