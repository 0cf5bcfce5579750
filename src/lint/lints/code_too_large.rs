//! Code of a size no definition needs.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "code-too-large",
    level: Level::Error,
    what: "A piece of code longer than 32 KiB.",
    why: "The time to parse it grows with it.",
    bad: "",
    good: "",
    check: found_elsewhere,
};
