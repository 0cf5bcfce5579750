//! A method that is not there.

use crate::diag::Level;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-method",
    level: Level::Error,
    what: "A call of a layer whose module has no such method: no `forward`, if none is named.",
    why: "Tracing stops there.",
    bad: "[modules.Toy]\ninputs        = [\"input_ids\"]\nlayers.tokens = \"Embedding(vocab_size, size)\"\nlayers.block  = \"ToyBlock()\"\nforward       = 'return {\"last_hidden_state\": block(tokens(input_ids))}'\n\n[modules.ToyBlock]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nmethods.mix = { inputs = [\"x\"], body = 'return down(up(x))' }\n",
    good: "[modules.Toy]\ninputs        = [\"input_ids\"]\nlayers.tokens = \"Embedding(vocab_size, size)\"\nlayers.block  = \"ToyBlock()\"\nforward       = 'return {\"last_hidden_state\": block.mix(tokens(input_ids))}'\n\n[modules.ToyBlock]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nmethods.mix = { inputs = [\"x\"], body = 'return down(up(x))' }\n",
    check: found_elsewhere,
};
