//! A method that is not there. A call of one is found where it is traced.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unknown-method",
    level: Level::Error,
    what: "A call of a layer whose module has no such method: no `forward`, if none is named. Or a task that generates by a method without tokens or logits.",
    why: "Tracing stops there, and nothing could be generated.",
    bad: "[modules.Toy]\ninputs        = [\"input_ids\"]\nlayers.tokens = \"Embedding(vocab_size, size)\"\nlayers.block  = \"ToyBlock()\"\nforward       = 'return {\"last_hidden_state\": block(tokens(input_ids))}'\n\n[modules.ToyBlock]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nmethods.mix = { inputs = [\"x\"], body = 'return down(up(x))' }\n",
    good: "[modules.Toy]\ninputs        = [\"input_ids\"]\nlayers.tokens = \"Embedding(vocab_size, size)\"\nlayers.block  = \"ToyBlock()\"\nforward       = 'return {\"last_hidden_state\": block.mix(tokens(input_ids))}'\n\n[modules.ToyBlock]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nmethods.mix = { inputs = [\"x\"], body = 'return down(up(x))' }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for task in context.registry.tasks.values() {
        let Some(method) = &task.generates else { continue };
        let Some((_, contract)) = task.methods.iter().find(|(name, _)| name.text == method.text) else {
            let known = task.methods.iter().map(|(name, _)| name.text.as_str());
            problems.push(context.unknown(LINT.name, method, "a method of this task", known));
            continue;
        };
        let logits = contract.outputs.iter().any(|output| output.text == "logits");
        let missing = match contract.inputs.is_empty() {
            true => "takes nothing, so it has no tokens to start from",
            false if !logits => "gives no `logits` to choose tokens by",
            false => continue,
        };
        problems.push(LINT.at(&method.span, format!("`{}` {missing}", method.text)));
    }
}
