//! A method that is not there.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-method",
    level: Level::Error,
    what: "A call of a method that the module does not have.",
    why: "Tracing stops there.",
    bad: "",
    good: "",
    check: found_elsewhere,
};
