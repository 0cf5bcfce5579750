//! Traces every architecture on the sample of its config, for every way in.
//!
//! What tracing reports is a finding, and so is what a file expects of the sample and does not come out; what tracing
//! gives (tensors, programs) is there for the lints. Problems that tracing cannot place are placed at the config table or
//! the architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;

use super::context::Kept;
use super::lints::unmet_expectation;
use super::reach::{parts, reached};
use super::{Context, blame};
use crate::diag::{Problem, Problems, Source};
use crate::expect;
use crate::lang::{Parses, Program};
use crate::plan::{Param, Plan};
use crate::registry::{Architecture, Expectation, Registry, sample};

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

/// What tracing an architecture gives.
#[derive(Debug)]
pub struct Traced {
    /// The config it was traced with.
    pub config: Value,
    /// Its tensors.
    pub params: Vec<Param>,
    /// The places in `params` of those that some way in reads.
    pub read: BTreeSet<usize>,
    /// Its ways in: those that could be traced.
    pub methods: Vec<TracedMethod>,
    /// Whether nothing was wrong.
    pub whole: bool,
}

/// A way in, traced.
#[derive(Debug)]
pub struct TracedMethod {
    /// Its name.
    pub name: String,
    /// Its inputs, and whether each may be left out.
    pub inputs: Vec<(String, bool)>,
    /// Its program, without the optional inputs.
    pub plan: Plan,
}

/// A way in, traced with some of its optional inputs.
pub(super) struct Way {
    method: String,
    /// Each of the optional inputs, and whether it is there.
    optional: Vec<(String, bool)>,
    pub(super) plan: Plan,
}

impl Way {
    /// Whether it is the method of an expectation, with just the inputs that this gives.
    pub(super) fn is_expected(&self, expected: &Expectation) -> bool {
        self.method == expected.method_name()
            && self.optional.iter().all(|(input, there)| expected.gives(input) == *there)
    }
}

/// What is expected of the sample of an architecture.
pub(super) fn of_sample<'r>(registry: &'r Registry, name: &str) -> impl Iterator<Item = &'r Expectation> {
    let about =
        move |expected: &&Expectation| expected.config.is_none() && expected.architecture.text == name;
    registry.expectations.iter().filter(about)
}

/// Traces all architectures that what is checked takes part in, those aside that were traced without a problem before.
pub(super) fn run<'a>(context: &Context<'a>, kept: &mut Kept, problems: &mut Problems) -> Vec<Trace<'a>> {
    let registry = context.registry;
    let wanted: Vec<&Architecture> =
        registry.architectures.values().filter(|architecture| context.concerns(architecture)).collect();
    let mut expected: BTreeMap<&str, Vec<&Expectation>> = BTreeMap::new();
    for about in registry.expectations.iter().filter(|expected| expected.config.is_none()) {
        expected.entry(&about.architecture.text).or_default().push(about);
    }
    let traced: Vec<_> = (wanted.par_iter().with_max_len(1))
        .map(|architecture| {
            let name = &architecture.name.text;
            let expected = expected.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
            let files = files(context, architecture, expected);
            let found = files.as_ref().and_then(|files| kept.traces.find(name, files));
            if let Some(found) = found {
                return (*architecture, None, Some(found), Vec::new());
            }
            let Judged { traced, problems, sound } = one(context, architecture, expected);
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

/// Traces the way into each part that can be built alone, unless it is what it is in the whole.
fn trace_modes(
    whole: &Program<'_>,
    registry: &Registry,
    parses: &Parses,
    architecture: &Architecture,
    config: &Value,
) -> Result<(), Problem> {
    for (name, mode) in registry.modes(architecture)? {
        if whole.covers(&mode) {
            continue;
        }
        let part = architecture.in_mode(registry, &name)?;
        let mut program = Program::build_parsed(registry, Some(parses), &part, config, None)?;
        if mode.forward.is_some() || program.has_method("forward") {
            program.trace("forward", &|_| false)?;
        }
    }
    Ok(())
}

/// Traces an architecture with a config, in every way in and every mode, and holds it to what is expected of it.
pub(super) fn trace(
    registry: &Registry,
    parses: &Parses,
    architecture: &Architecture,
    config: Value,
    expected: &[&Expectation],
    problems: &mut Vec<Problem>,
) -> Option<Traced> {
    let mut program = match Program::build_parsed(registry, Some(parses), architecture, &config, None) {
        Ok(program) => program,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let mut methods: Vec<(String, Vec<(String, bool)>)> = Vec::new();
    for name in program.methods() {
        let inputs = program.inputs(name).into_iter();
        methods
            .push((name.to_owned(), inputs.map(|(input, optional)| (input.to_owned(), optional)).collect()));
    }
    let (mut ways, mut found) = (Vec::new(), Vec::new());
    for (name, inputs) in &methods {
        // With none and with all of the optional inputs: the two ends of what a caller may do.
        let ends = if inputs.iter().any(|(_, optional)| *optional) { &[false, true][..] } else { &[false] };
        for end in ends {
            match way(&mut program, name, inputs, &|_| *end) {
                Ok(way) => ways.push(way),
                Err(problem) => found.push(problem),
            }
        }
    }
    // A part of what is broken is broken in the same place: reported once.
    if found.is_empty() {
        found.extend(trace_modes(&program, registry, parses, architecture, &config).err());
    }
    let whole = found.is_empty();
    let read = ways.iter().flat_map(|way| way.plan.read_params()).map(|id| id.0).collect();
    for expected in expected.iter().filter(|_| whole) {
        let method = methods.iter().find(|(name, _)| name == expected.method_name());
        // Some of the optional inputs: neither of the two ends.
        if let (Some((name, inputs)), false) = (method, ways.iter().any(|way| way.is_expected(expected))) {
            match way(&mut program, name, inputs, &|input| expected.gives(input)) {
                Ok(way) => ways.push(way),
                Err(problem) => found.push(problem),
            }
        }
    }
    let params = program.into_params();
    for expected in expected {
        // What cannot be traced is reported as such; its tensors may tell where to look.
        found.extend(if whole {
            unmet_expectation::held(expected, &params, &ways)
        } else {
            expect::check_count(expected, &params).faults
        });
    }
    problems.append(&mut found);
    let bare = ways.into_iter().filter(|way| way.optional.iter().all(|(_, there)| !there));
    let methods = bare.filter_map(|way| {
        let (name, inputs) = methods.iter().find(|(name, _)| *name == way.method)?.clone();
        Some(TracedMethod { name, inputs, plan: way.plan })
    });
    Some(Traced { config, params, read, methods: methods.collect(), whole })
}

/// Traces a method with those optional inputs that are `present`.
fn way(
    program: &mut Program<'_>,
    method: &str,
    inputs: &[(String, bool)],
    present: &dyn Fn(&str) -> bool,
) -> Result<Way, Problem> {
    let plan = program.trace(method, present)?;
    let optional = inputs.iter().filter(|(_, optional)| *optional);
    let optional = optional.map(|(input, _)| (input.clone(), present(input))).collect();
    Ok(Way { method: method.to_owned(), optional, plan })
}
