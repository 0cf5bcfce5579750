//! A wrong number of values for some names.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "wrong-count",
    level: Level::Error,
    what: "An assignment that unpacks more or fewer values than it has names.",
    why: "Tracing stops there.",
    bad: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = '''
a, b, c = chunk(up(x), 2)
return down(cat([a, b, c]))
'''
"#,
    good: r#"[modules.ToyBlock]
inputs      = ["x"]
layers.up   = "Linear(size, wide)"
layers.down = "Linear(wide, size)"
forward     = '''
a, b = chunk(up(x), 2)
return down(cat([a, b]))
'''
"#,
    check: found_elsewhere,
};
