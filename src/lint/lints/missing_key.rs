//! A key that must be there.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "missing-key",
    level: Level::Error,
    what: "An entry without a key that it needs.",
    why: "The entry is not read at all.",
    bad: r#"[architectures.Toy]
category = "transformers"
config = "toy"
"#,
    good: r#"[architectures.Toy]
category = "transformers"
task = "embed"
config = "toy"
aliases = ["ToyModel"]
"#,
    check: found_elsewhere,
};
