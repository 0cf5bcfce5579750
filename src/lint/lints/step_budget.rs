//! A definition that takes too many steps.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "step-budget",
    level: Level::Error,
    what: "A definition whose loops take more steps than any model needs.",
    why: "A count in the config could make loading hang.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlets.all    = \"len([i for i in range(9999) for j in range(9999)])\"\nlayers.up   = \"Linear(size, wide if all else size)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlets.all    = \"9999 * 9999\"\nlayers.up   = \"Linear(size, wide if all else size)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x))'\n",
    check: found_elsewhere,
};
