//! Traces every architecture on the sample of its config, for every way in.
//!
//! What tracing reports is a finding; what it gives (tensors, programs) is there for the lints. Problems that tracing
//! cannot place are placed at the config table or the architecture.

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::Context;
use crate::diag::{Problem, Problems};
use crate::lang::Program;
use crate::plan::{Param, Plan};
use crate::registry::{Architecture, ConfigTable, Fallback, Registry};

/// An architecture, traced.
#[derive(Debug)]
pub struct Trace<'a> {
    /// Which one.
    pub architecture: &'a Architecture,
    /// The config it was traced with.
    pub config: Value,
    /// Its tensors.
    pub params: Vec<Param>,
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

/// Traces all architectures that what is checked takes part in.
pub(super) fn run<'a>(context: &Context<'a>, problems: &mut Problems) -> Vec<Trace<'a>> {
    let registry = context.registry;
    let wanted: Vec<&Architecture> =
        registry.architectures.values().filter(|architecture| context.concerns(architecture)).collect();
    let traced: Vec<(Option<Trace<'a>>, Vec<Problem>)> =
        wanted.par_iter().map(|architecture| one(registry, architecture)).collect();
    let mut traces = Vec::new();
    for (trace, found) in traced {
        traces.extend(trace);
        problems.extend(found);
    }
    traces
}

fn one<'a>(registry: &'a Registry, architecture: &'a Architecture) -> (Option<Trace<'a>>, Vec<Problem>) {
    let table = match architecture.config.as_ref().map(|name| registry.config(name)) {
        Some(Ok(table)) => Some(table),
        // Whoever checks the names reports it.
        Some(Err(_)) => return (None, Vec::new()),
        None => None,
    };
    let Some(config) = sample(architecture, table.as_ref()) else { return (None, Vec::new()) };
    let mut problems = Vec::new();
    let trace = trace(registry, architecture, config, &mut problems);
    let at = table.as_ref().map_or(&architecture.name.span, |table| &table.name.span);
    for problem in &mut problems {
        if problem.span.is_none() {
            problem.span = Some(at.clone());
            problem.label =
                format!("traced with the sample of this config, for `{}`", architecture.name.text);
        }
    }
    (trace, problems)
}

/// The config that an architecture is traced with; `None` if there is none and it needs one.
pub(super) fn sample(architecture: &Architecture, table: Option<&ConfigTable>) -> Option<Value> {
    let written = table.and_then(|table| table.sample.clone());
    let needs =
        |table: &ConfigTable| table.fields.values().any(|field| matches!(field.fallback, Fallback::Required));
    if written.is_none() && table.is_some_and(needs) {
        return None;
    }
    let mut config: Map<String, Value> = written.unwrap_or_default();
    let name = Value::from(architecture.name.text.as_str());
    config.entry("architectures").or_insert_with(|| vec![name].into());
    if let Some(model_type) = architecture.model_types.first() {
        config.entry("model_type").or_insert_with(|| Value::from(model_type.text.as_str()));
    }
    Some(Value::Object(config))
}

fn trace<'a>(
    registry: &'a Registry,
    architecture: &'a Architecture,
    config: Value,
    problems: &mut Vec<Problem>,
) -> Option<Trace<'a>> {
    let mut program = match Program::build(registry, architecture, &config, None) {
        Ok(program) => program,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let names: Vec<String> = program.methods().into_iter().map(str::to_owned).collect();
    let mut methods = Vec::new();
    let mut whole = true;
    for name in names {
        let inputs: Vec<(String, bool)> =
            program.inputs(&name).into_iter().map(|(input, optional)| (input.to_owned(), optional)).collect();
        // With none and with all of the optional inputs: the two ends of what a caller may do.
        if inputs.iter().any(|(_, optional)| *optional)
            && let Err(problem) = program.trace(&name, &|_| true)
        {
            whole = false;
            problems.push(problem);
        }
        match program.trace(&name, &|_| false) {
            Ok(plan) => methods.push(TracedMethod { name, inputs, plan }),
            Err(problem) => {
                whole = false;
                problems.push(problem);
            }
        }
    }
    let params = program.params().to_vec();
    Some(Trace { architecture, config, params, methods, whole })
}
