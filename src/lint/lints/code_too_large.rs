//! Code of a size no definition needs.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "code-too-large",
    level: Level::Error,
    what: "A piece of code longer than 32 KiB. (A line that ends with `# × 4000` below stands for as many.)",
    why: "The time to parse it grows with it.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = '''\nx = up(x)\nx = relu(x)  # × 4000\nreturn down(x)\n'''\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = '''\nx = up(x)\nx = relu(x)  # × 40\nreturn down(x)\n'''\n",
    check: found_elsewhere,
};
