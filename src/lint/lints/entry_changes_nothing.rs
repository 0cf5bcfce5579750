//! An entry that says again what is so already.

use crate::diag::{Level, Problems};
use crate::lint::{Context, Lint};
use crate::registry::{Code, Entries};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "entry-changes-nothing",
    level: Level::Warning,
    what: "An entry of a module that is equal to the one it inherits.",
    why: "A relative is a difference: what does not differ hides what does, and stays behind when the other changes.",
    bad: "[modules.ToySmall]\nextends = \"ToyBlock\"\nlayers.up = \"Linear(size, wide, bias=use_bias)\"\nlayers.down = \"Linear(wide, size)\"\n\n\
          [modules.Toy]\ninputs = [\"input_ids\"]\nlayers.tokens = \"Embedding(vocab_size, size)\"\nlayers.block = \"ToySmall()\"\nforward = 'return {\"last_hidden_state\": block(tokens(input_ids))}'\n",
    good: "[modules.ToySmall]\nextends = \"ToyBlock\"\nlayers.down = \"Linear(wide, size)\"\n\n\
           [modules.Toy]\ninputs = [\"input_ids\"]\nlayers.tokens = \"Embedding(vocab_size, size)\"\nlayers.block = \"ToySmall()\"\nforward = 'return {\"last_hidden_state\": block(tokens(input_ids))}'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let registry = context.registry;
    for module in registry.modules.values() {
        let Some(parent) = module.extends.as_ref().and_then(|name| context.views.get(name.text.as_str())) else {
            continue;
        };
        let pairs: [(&Entries<Code>, &Entries<Code>); 7] = [
            (&module.lets, &parent.module.lets),
            (&module.layers, &parent.module.layers),
            (&module.params, &parent.module.params),
            (&module.buffers, &parent.module.buffers),
            (&module.tied, &parent.module.tied),
            (&module.stored, &parent.module.stored),
            (&module.types, &parent.module.types),
        ];
        for (own, inherited) in pairs {
            for (name, code) in own {
                let same = inherited.iter().find(|(other, theirs)| other.text == name.text && theirs.text == code.text);
                if let Some((other, _)) = same {
                    let message = format!("`{}` is what `{}` has already", name.text, parent.module.name.text);
                    let problem = LINT.at(&name.span, message).related(other.span.clone(), "inherited from here");
                    problems.push(problem.help("remove this entry"));
                }
            }
        }
        for (name, method) in &module.methods {
            let same = parent.module.methods.iter().find(|(other, _)| other.text == name.text);
            if same.is_some_and(|(_, theirs)| theirs.body.text == method.body.text) {
                let message = format!("the body of `{}` is that of `{}`", name.text, parent.module.name.text);
                problems.push(LINT.at(&method.body.span, message).help("remove this entry"));
            }
        }
    }
}
