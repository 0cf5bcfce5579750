//! Two tensors of one name.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "tensor-named-twice",
    level: Level::Error,
    what: "A parameter and a layer, or two parameters, whose tensors have the same name.",
    why: "A checkpoint can hold only one of them.",
    bad: "[modules.ToyBlock]\ninputs          = [\"x\"]\nparams.up       = \"[wide]\"\nbuffers.up      = \"[wide]\"\nlayers.first    = \"Linear(size, wide)\"\nlayers.down     = \"Linear(wide, size)\"\nforward         = 'return down(first(x) * up)'\n",
    good: "[modules.ToyBlock]\ninputs          = [\"x\"]\nparams.up       = \"[wide]\"\nbuffers.kept    = \"[wide]\"\nlayers.first    = \"Linear(size, wide)\"\nlayers.down     = \"Linear(wide, size)\"\nforward         = 'return down(first(x) * up + kept)'\n",
    check: found_elsewhere,
};
