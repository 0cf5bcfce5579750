//! A sample without a required field.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "missing-config-field",
    level: Level::Error,
    what: "A config without a field that the definition requires. While checking, the config is the sample.",
    why: "The architecture cannot be traced.",
    bad: r#"[config.toy]
required = ["vocab_size", "size", "wide"]
defaults = { use_bias = true }
sample   = { vocab_size = 8, size = 4 }
"#,
    good: r#"[config.toy]
required = ["vocab_size", "size", "wide"]
defaults = { use_bias = true }
sample   = { vocab_size = 8, size = 4, wide = 10 }
"#,
    check: found_elsewhere,
};
