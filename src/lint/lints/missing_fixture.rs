//! The config of an expectation that is not there.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "missing-fixture",
    level: Level::Error,
    what: "An `[[expect]]` whose `config` is the path of something that cannot be read.",
    why: "Nothing is expected of anything, and `omni test` fails.",
    bad: "[[expect]]\narchitecture = \"Toy\"\nconfig       = \"absent/config.json\"\nparameters   = 90\n",
    good: "[[expect]]\narchitecture = \"Toy\"\nconfig       = { vocab_size = 8, size = 4, wide = 6 }\nparameters   = 90\n",
    check: found_elsewhere,
};
