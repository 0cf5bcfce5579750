//! A root input of unknown type.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "untyped-input",
    level: Level::Error,
    what: "An input of an architecture whose type neither its module nor the registry gives.",
    why: "Nothing can be said about the shapes behind it.",
    bad: r#"[modules.Toy]
inputs        = ["toy_ids"]
layers.tokens = "Embedding(vocab_size, size)"
layers.block  = "ToyBlock()"
forward       = 'return {"last_hidden_state": block(tokens(toy_ids))}'
"#,
    good: r#"[modules.Toy]
inputs        = ["input_ids"]
layers.tokens = "Embedding(vocab_size, size)"
layers.block  = "ToyBlock()"
forward       = 'return {"last_hidden_state": block(tokens(input_ids))}'
"#,
    check: found_elsewhere,
};
