//! A config field that is computed from itself.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "field-cycle",
    level: Level::Error,
    what: "Derived config fields that need each other.",
    why: "None of them ever has a value.",
    bad: r#"[config.toy]
required = ["vocab_size", "size"]
defaults = { use_bias = true }
derived  = { wide = "wider + 1", wider = "wide - 1" }
sample   = { vocab_size = 8, size = 4 }
"#,
    good: r#"[config.toy]
required = ["vocab_size", "size"]
defaults = { use_bias = true }
derived  = { wide = "wider + 1", wider = "size + 1" }
sample   = { vocab_size = 8, size = 4 }
"#,
    check: found_elsewhere,
};
