//! Traces every architecture on the sample of its config, for every way in.
//!
//! What tracing reports is a finding; what it gives (tensors, programs) is there for the lints. Problems that tracing
//! cannot place are placed at the config table or the architecture.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;

use super::context::Kept;
use super::reach::{parts, reached};
use super::{Context, blame};
use crate::diag::{Problem, Problems, Source};
use crate::lang::{Parses, Program};
use crate::plan::{Param, Plan};
use crate::registry::{Architecture, Registry, sample};

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
    /// Its program with all of the optional inputs, if it has some and that could be traced.
    pub full: Option<Plan>,
}

/// Traces all architectures that what is checked takes part in, those aside that were traced without a problem before.
pub(super) fn run<'a>(context: &Context<'a>, kept: &mut Kept, problems: &mut Problems) -> Vec<Trace<'a>> {
    let registry = context.registry;
    let wanted: Vec<&Architecture> =
        registry.architectures.values().filter(|architecture| context.concerns(architecture)).collect();
    let traced: Vec<_> = (wanted.par_iter().with_max_len(1))
        .map(|architecture| {
            let files = files(context, architecture);
            let found = files.as_ref().and_then(|files| kept.traces.find(&architecture.name.text, files));
            let (traced, problems) = match found {
                Some(found) => (Some(found), Vec::new()),
                None => one(context, architecture),
            };
            (*architecture, files, traced, problems)
        })
        .collect();
    let mut traces = Vec::new();
    for (architecture, files, traced, found) in traced {
        if let (Some(files), Some(traced), true) = (files, &traced, found.is_empty()) {
            kept.traces.insert(&architecture.name.text, files, traced);
        }
        traces.extend(traced.map(|traced| Trace { architecture, traced }));
        problems.extend(found);
    }
    traces
}

/// The files that take part in tracing an architecture; `None` if only tracing can tell.
fn files(context: &Context<'_>, architecture: &Architecture) -> Option<Vec<Arc<Source>>> {
    let registry = context.registry;
    let mut places = vec![&architecture.name.span];
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

fn one(context: &Context<'_>, architecture: &Architecture) -> (Option<Arc<Traced>>, Vec<Problem>) {
    let table = match architecture.config.as_ref().map(|name| context.tables.get(name.text.as_str())) {
        Some(Some(table)) => Some(&**table),
        // Whoever checks the names reports it.
        Some(None) => return (None, Vec::new()),
        None => None,
    };
    let Some(config) = sample(architecture, table) else { return (None, Vec::new()) };
    let mut problems = Vec::new();
    let trace = trace(context.registry, context.parses, architecture, config.clone(), &mut problems);
    let mut problems = blame::settle(context, architecture, &config, problems);
    let at = table.map_or(&architecture.name.span, |table| &table.name.span);
    for problem in &mut problems {
        if problem.span.is_none() {
            problem.span = Some(at.clone());
            problem.label =
                format!("traced with the sample of this config, for `{}`", architecture.name.text);
        }
    }
    (trace.map(Arc::new), problems)
}

/// Traces the way into each part that can be built alone.
fn trace_modes(
    registry: &Registry,
    parses: &Parses,
    architecture: &Architecture,
    config: &Value,
) -> Result<(), Problem> {
    for (name, mode) in registry.modes(architecture)? {
        let part = architecture.in_mode(registry, &name)?;
        let mut program = Program::build_parsed(registry, Some(parses), &part, config, None)?;
        if mode.forward.is_some() || program.has_method("forward") {
            program.trace("forward", &|_| false)?;
        }
    }
    Ok(())
}

pub(super) fn trace(
    registry: &Registry,
    parses: &Parses,
    architecture: &Architecture,
    config: Value,
    problems: &mut Vec<Problem>,
) -> Option<Traced> {
    let mut program = match Program::build_parsed(registry, Some(parses), architecture, &config, None) {
        Ok(program) => program,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let names: Vec<String> = program.methods().into_iter().map(str::to_owned).collect();
    let mut methods = Vec::new();
    let mut whole = true;
    let mut read = BTreeSet::new();
    for name in names {
        let inputs: Vec<(String, bool)> =
            program.inputs(&name).into_iter().map(|(input, optional)| (input.to_owned(), optional)).collect();
        // With none and with all of the optional inputs: the two ends of what a caller may do.
        let mut full = None;
        if inputs.iter().any(|(_, optional)| *optional) {
            match program.trace(&name, &|_| true) {
                Ok(plan) => {
                    read.extend(plan.read_params().map(|id| id.0));
                    full = Some(plan);
                }
                Err(problem) => {
                    whole = false;
                    problems.push(problem);
                }
            }
        }
        match program.trace(&name, &|_| false) {
            Ok(plan) => methods.push(TracedMethod { name, inputs, plan, full }),
            Err(problem) => {
                whole = false;
                problems.push(problem);
            }
        }
    }
    read.extend(methods.iter().flat_map(|method: &TracedMethod| method.plan.read_params()).map(|id| id.0));
    let params = program.into_params();
    // A part of what is broken is broken in the same place: reported once.
    if whole && let Err(problem) = trace_modes(registry, parses, architecture, &config) {
        whole = false;
        problems.push(problem);
    }
    Some(Traced { config, params, read, methods, whole })
}
