//! Traces every architecture on the sample of its config, those aside that were traced before from the same files.
//!
//! What tracing reports is a finding, and so is what a file expects of the sample and does not come out; what tracing
//! gives (tensors, programs) is there for the lints. Problems that tracing cannot place are placed at the config table or
//! the architecture.

use std::ops::Deref;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;

use super::context::Kept;
use super::lints::unmet_expectation;
use super::reach::{parts, reached};
use super::traced::{Traced, of_sample, trace};
use super::{Context, blame};
use crate::diag::{Problem, Problems, Source};
use crate::registry::{Architecture, Expectation, sample};

/// An architecture with what tracing gives.
#[derive(Debug)]
pub struct Trace<'a> {
    /// Which one.
    pub architecture: &'a Architecture,
    traced: Arc<Traced>,
}

impl Deref for Trace<'_> {
    type Target = Traced;

    fn deref(&self) -> &Traced {
        &self.traced
    }
}

/// Traces all architectures that what is checked takes part in, those aside that were traced without a problem before.
pub(super) fn run<'a>(context: &Context<'a>, kept: &mut Kept, problems: &mut Problems) -> Vec<Trace<'a>> {
    let registry = context.registry;
    let wanted: Vec<&Architecture> =
        registry.architectures.values().filter(|architecture| context.concerns(architecture)).collect();
    let traced: Vec<_> = (wanted.par_iter().with_max_len(1))
        .map(|architecture| {
            let name = &architecture.name.text;
            let expected: Vec<&Expectation> = of_sample(registry, name).collect();
            let files = files(context, architecture, &expected);
            let found = files.as_ref().and_then(|files| kept.traces.find(name, files));
            if let Some(found) = found {
                return (*architecture, None, Some(found), Vec::new());
            }
            let Judged { traced, problems, sound } = one(context, architecture, &expected);
            (*architecture, files.filter(|_| sound), traced, problems)
        })
        .collect();
    let mut traces = Vec::new();
    for (architecture, files, traced, found) in traced {
        if let (Some(files), Some(traced)) = (files, &traced) {
            kept.traces.insert(&architecture.name.text, files, traced);
        }
        traces.extend(traced.map(|traced| Trace { architecture, traced }));
        problems.extend(found);
    }
    traces
}

/// The files that take part in tracing an architecture, and in what is expected of it; `None` if only tracing can tell.
fn files(
    context: &Context<'_>,
    architecture: &Architecture,
    expected: &[&Expectation],
) -> Option<Vec<Arc<Source>>> {
    let registry = context.registry;
    let mut places = vec![&architecture.name.span];
    places.extend(expected.iter().map(|expected| &expected.architecture.span));
    // Which parts can be built alone may stand there.
    places.extend(registry.rules.categories.get(&architecture.category.text).map(|found| &found.name.span));
    for name in context.reach.modules(&architecture.name.text) {
        let view = context.views.get(name)?;
        // What `auto` builds is written in a config.
        if view.mentions.contains("auto") {
            return None;
        }
        let mut next = registry.modules.get(name);
        while let Some(module) = next {
            places.push(&module.name.span);
            next = module.extends.as_ref().and_then(|parent| registry.modules.get(&parent.text));
        }
    }
    places.extend(registry.inputs.values().map(|code| &code.span));
    let own = || context.reach.tables(&architecture.name.text);
    // A part of the sample may name a table of its own, which then stands for the one that it is declared with.
    let samples = own().filter_map(|name| registry.configs.get(name)?.sample.as_ref());
    let named = samples.flat_map(|sample| sample.values()).flat_map(model_types);
    let tables = reached(own().chain(named), |table| parts(registry, table));
    places.extend(tables.iter().filter_map(|name| Some(&registry.configs.get(name)?.name.span)));
    let mut files: Vec<Arc<Source>> = Vec::new();
    for place in places {
        if !files.iter().any(|file| Arc::ptr_eq(file, &place.source)) {
            files.push(Arc::clone(&place.source));
        }
    }
    Some(files)
}

/// Every model type that a value of a config names.
fn model_types(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(entries) => {
            let own = entries.get("model_type").and_then(Value::as_str);
            own.into_iter().chain(entries.values().flat_map(model_types)).collect()
        }
        Value::Array(items) => items.iter().flat_map(model_types).collect(),
        _ => Vec::new(),
    }
}

/// What tracing one architecture gives, and what is wrong with it.
#[derive(Default)]
struct Judged {
    traced: Option<Arc<Traced>>,
    problems: Vec<Problem>,
    /// Whether nothing is, also not with what the base expects.
    sound: bool,
}

fn one(context: &Context<'_>, architecture: &Architecture, expected: &[&Expectation]) -> Judged {
    let table = match architecture.config.as_ref().map(|name| context.tables.get(name.text.as_str())) {
        Some(Some(table)) => Some(&**table),
        // Whoever checks the names reports it.
        Some(None) => return Judged::default(),
        None => None,
    };
    let Some(config) = sample(architecture, table) else { return Judged::default() };
    let mut problems = Vec::new();
    let trace =
        trace(context.registry, context.parses, architecture, config.clone(), expected, &mut problems);
    let sound = problems.is_empty();
    problems.retain(|problem| {
        let is_checked = || problem.span.as_ref().is_none_or(|span| context.is_checked(span));
        problem.code != unmet_expectation::LINT.name || is_checked()
    });
    let mut problems = blame::settle(context, architecture, &config, problems);
    let at = table.map_or(&architecture.name.span, |table| &table.name.span);
    for problem in &mut problems {
        if problem.span.is_none() {
            problem.span = Some(at.clone());
            problem.label =
                format!("traced with the sample of this config, for `{}`", architecture.name.text);
        }
    }
    Judged { traced: trace.map(Arc::new), problems, sound }
}
