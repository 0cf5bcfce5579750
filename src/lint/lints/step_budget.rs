//! A definition that takes too many steps.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "step-budget",
    level: Level::Error,
    what: "A definition whose loops take more steps than any model needs.",
    why: "A count in the config could make loading hang.",
    bad: "",
    good: "",
    check: found_elsewhere,
};
