//! Expectations that the definition does not meet.

use std::borrow::Cow;

use crate::diag::{Level, Problem, Problems};
use crate::expect;
use crate::lint::tracing::Traced;
use crate::lint::{Context, Lint, blame};
use crate::matcher::Matcher;
use crate::plan::Plan;
use crate::registry::{Expectation, ExpectedOf, Registry};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unmet-expectation",
    level: Level::Error,
    what: "An `[[expect]]` whose architecture, category, number of parameters or shapes come out otherwise. Checking \
           builds what is expected of the sample; a config of its own is only recognised, and `omni test` builds it.",
    why: "Either the definition was changed by mistake, or what is expected of it is no longer true.",
    bad: "[[expect]]\narchitecture = \"Toy\"\nparameters   = 91\noutputs      = { last_hidden_state = \"[batch, time, 4]\" }\n",
    good: "[[expect]]\narchitecture = \"Toy\"\nparameters   = 90\noutputs      = { last_hidden_state = \"[batch, time, 4]\" }\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let matcher = Matcher::new(context.registry);
    for expected in &context.registry.expectations {
        if !context.is_checked(&expected.architecture.span) {
            continue;
        }
        let trace = context.traces.iter().find(|trace| trace.architecture.name.text == expected.architecture.text);
        let defined = context.registry.architectures.contains_key(&expected.architecture.text);
        // A sample that is changed is recognised as the sample is.
        let is_changed = matches!(expected.config, Some(ExpectedOf::Changed(_)));
        if !defined || !is_changed && (trace.is_some() || expected.config.is_some()) {
            problems.extend(expect::check_names(&matcher, expected).faults);
        }
        let Some(trace) = trace.filter(|_| expected.config.is_none()) else { continue };
        if trace.whole {
            let faults = held(context.registry, expected, trace);
            problems.extend(blame::settle(context, trace.architecture, &trace.config, faults));
        } else {
            // What cannot be traced is reported as such; its tensors may tell where to look.
            problems.extend(expect::check_count(expected, &trace.params).faults);
        }
    }
}

/// What is traced, held to the sizes that are expected of the sample.
pub(in crate::lint) fn held(registry: &Registry, expected: &Expectation, traced: &Traced) -> Vec<Problem> {
    let mut odd = false;
    let outcome = expect::check_sizes(expected, &traced.params, |name, given| {
        let Some(method) = traced.methods.iter().find(|method| method.name == name) else {
            let span = expected.method.as_ref().map_or(&expected.architecture.span, |method| &method.span);
            let message = format!("`{}` has no method `{name}`", expected.architecture.text);
            return Err(Problem::error(LINT.name, span.clone(), message));
        };
        let mut optional = method.inputs.iter().filter(|(_, optional)| *optional).map(|(name, _)| given(name));
        let plan: &Plan = match &method.full {
            Some(full) if optional.clone().all(|given| given) => full,
            _ => &method.plan,
        };
        odd = method.full.is_some() && optional.clone().any(|given| given) && !optional.all(|given| given);
        Ok(Cow::Borrowed(plan))
    });
    // Some of the optional inputs: neither of the two ends that were traced.
    if odd { expect::check(registry, expected).faults } else { outcome.faults }
}
