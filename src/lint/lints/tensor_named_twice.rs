//! Two tensors of one name.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "tensor-named-twice",
    level: Level::Error,
    what: "A parameter and a layer, or two parameters, whose tensors have the same name.",
    why: "A checkpoint can hold only one of them.",
    bad: "",
    good: "",
    check: found_elsewhere,
};
