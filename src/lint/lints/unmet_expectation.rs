//! Expectations that the definition does not meet.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Level, Problem, Problems};
use crate::expect;
use crate::lint::traced::Way;
use crate::lint::{Context, Lint};
use crate::matcher::Matcher;
use crate::plan::Param;
use crate::registry::{Expectation, ExpectedOf, Name};

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

/// Sizes are held where the sample is traced; here are the names.
fn check<'a>(context: &'a Context<'_>, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    let matcher = Matcher::new(context.registry);
    let samples: BTreeMap<&str, _> =
        context.traces.iter().map(|trace| (trace.architecture.name.text.as_str(), &trace.config)).collect();
    for expected in &context.registry.expectations {
        if !context.is_checked(&expected.architecture.span) {
            continue;
        }
        let sample = samples.get(expected.architecture.text.as_str()).copied();
        let defined = context.registry.architectures.contains_key(&expected.architecture.text);
        // A sample that is changed is recognised as the sample is.
        let is_changed = matches!(expected.config, Some(ExpectedOf::Changed(_)));
        let wanted = !defined || !is_changed && (sample.is_some() || expected.config.is_some());
        // What is said of one sample several times over is looked at once.
        let text = |name: &'a Option<Name>| name.as_ref().map(|name| name.text.as_str());
        let said = (&expected.architecture.text, text(&expected.category), text(&expected.model_type));
        if wanted && (expected.config.is_some() || seen.insert(said)) {
            problems.extend(expect::check_names(&matcher, expected, sample).faults);
        }
    }
}

/// What is traced, held to the sizes that are expected of the sample.
pub(in crate::lint) fn held(expected: &Expectation, params: &[Param], ways: &[Way]) -> Vec<Problem> {
    let way = ways.iter().find(|way| way.is_expected(expected));
    if way.is_none() && ways.iter().any(|way| way.method == expected.method_name()) {
        // It could not be traced with just these inputs, which is told already.
        return expect::check_count(expected, params).faults;
    }
    let plan = || {
        let way = way.ok_or_else(|| {
            let span = expected.method.as_ref().map_or(&expected.architecture.span, |method| &method.span);
            let message = format!("`{}` has no method `{}`", expected.architecture.text, expected.method_name());
            Problem::error(LINT.name, span.clone(), message)
        })?;
        Ok(Cow::Borrowed(&way.plan))
    };
    expect::check_sizes(expected, params, plan).faults
}
