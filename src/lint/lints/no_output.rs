//! A way in that returns no tensor.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "no-output",
    level: Level::Error,
    what: "A method of the root module whose result holds no tensor.",
    why: "There is nothing to run it for.",
    bad: r#"[modules.Toy]
inputs        = ["input_ids"]
layers.tokens = "Embedding(vocab_size, size)"
layers.block  = "ToyBlock()"
forward       = 'return {"last_hidden_state": len([block(tokens(input_ids))])}'
"#,
    good: r#"[modules.Toy]
inputs        = ["input_ids"]
layers.tokens = "Embedding(vocab_size, size)"
layers.block  = "ToyBlock()"
forward       = 'return {"last_hidden_state": block(tokens(input_ids))}'
"#,
    check: found_elsewhere,
};
