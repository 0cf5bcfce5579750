//! A definition that does not give what its task promises.

use crate::diag::{Level, Problem, Problems, did_you_mean};
use crate::lint::traced::Traced;
use crate::lint::{Context, Lint, Trace};
use crate::registry::{Architecture, Contract, Name, Registry};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "contract-broken",
    level: Level::Error,
    what: "A definition without a method, an input or an output that its task promises.",
    why: "Drivers know tasks, never models, and rely on these names.",
    bad: "[modules.Toy]\ninputs        = [\"input_ids\"]\nlayers.tokens = \"Embedding(vocab_size, size)\"\nlayers.block  = \"ToyBlock()\"\nforward       = 'return {\"hidden\": block(tokens(input_ids))}'\n",
    good: "[modules.Toy]\ninputs        = [\"input_ids\"]\nlayers.tokens = \"Embedding(vocab_size, size)\"\nlayers.block  = \"ToyBlock()\"\nforward       = 'return {\"last_hidden_state\": block(tokens(input_ids))}'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for trace in context.traces.iter().filter(|trace| trace.whole) {
        let Some(task) = context.registry.tasks.get(&trace.architecture.task.text) else { continue };
        for (method, contract) in &task.methods {
            judge(context, trace, method, contract, problems);
        }
    }
}

/// Whether an architecture gives, and takes, what its task promises.
pub(in crate::lint) fn is_kept(registry: &Registry, architecture: &Architecture, traced: &Traced) -> bool {
    let task = registry.tasks.get(&architecture.task.text);
    task.into_iter().flat_map(|task| &task.methods).all(|(name, contract)| {
        traced.method(&name.text).is_some_and(|method| {
            contract.outputs.iter().all(|output| method.gives(&output.text))
                && contract.inputs.iter().all(|input| method.takes(&input.text))
        })
    })
}

fn judge(context: &Context<'_>, trace: &Trace<'_>, method: &Name, contract: &Contract, problems: &mut Problems) {
    let architecture = trace.architecture;
    let asked = |problem: Problem| {
        problem
            .label(format!("for `{}`, whose task is `{}`", architecture.name.text, architecture.task.text))
            .related(method.span.clone(), "promised here")
    };
    let module = context.views.get(architecture.module.text.as_str());
    let Some(traced) = trace.method(&method.text) else {
        let message = format!("`{}` has no method `{}`", architecture.module.text, method.text);
        let help = format!("add `methods.{} = {{ inputs = […], body = '…' }}`", method.text);
        problems.push(asked(LINT.at(&architecture.task.span, message)).help(help));
        return;
    };
    let view = module.and_then(|view| view.methods.iter().find(|found| found.name.text == method.text));
    let body = view.map_or(&architecture.name.span, |view| &view.body.code.span);
    for output in &contract.outputs {
        if !traced.gives(&output.text) {
            let given: Vec<&str> = traced.plan.outputs.iter().map(|(name, _, _)| name.as_str()).collect();
            let message = format!("`{}` gives no `{}`, only {}", method.text, output.text, given.join(", "));
            let at = crate::diag::Span::new(&body.source, last_line(body));
            let problem = asked(LINT.at(&at, message));
            problems.push(problem.maybe_help(
                did_you_mean(&output.text, given).or_else(|| Some(format!("return it by the name `{}`", output.text))),
            ));
        }
    }
    for input in &contract.inputs {
        if !traced.takes(&input.text) {
            let names = || traced.inputs.iter().map(|(name, _)| name.as_str());
            let message = format!("`{}` takes no `{}`", method.text, input.text);
            let at = view.and_then(|view| view.inputs.first()).map_or(body, |input| &input.name.span);
            problems.push(asked(LINT.at(at, message)).help(match names().next() {
                Some(_) => format!("it takes {}", names().collect::<Vec<_>>().join(", ")),
                None => "add it to the inputs".to_owned(),
            }));
        }
    }
}

/// The last line of a body: where it returns.
fn last_line(body: &crate::diag::Span) -> std::ops::Range<usize> {
    let text = body.text();
    let end = text.trim_end().len();
    let start = text[..end].rfind('\n').map_or(0, |at| at + 1);
    body.range.start + start..body.range.start + end
}
