//! A config field in two lists.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "field-declared-twice",
    level: Level::Error,
    what: "A config field that is declared twice in one table, such as required and with a default.",
    why: "One of the two is without effect.",
    bad: r#"[config.toy]
required = ["vocab_size", "size", "wide"]
defaults = { use_bias = true, wide = 6 }
sample   = { vocab_size = 8, size = 4, wide = 6 }
"#,
    good: r#"[config.toy]
required = ["vocab_size", "size", "wide"]
defaults = { use_bias = true }
sample   = { vocab_size = 8, size = 4, wide = 10 }
"#,
    check: found_elsewhere,
};
