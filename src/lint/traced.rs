//! One architecture, traced with a config in every way in and every mode, and held to what is expected of its sample.
//!
//! In: a definition and a config. Out: its tensors and programs, and what is wrong with them. Absent on purpose: which
//! architectures are traced, and what is kept of them ([`super::tracing`]).

use std::collections::BTreeSet;

use serde_json::Value;

use super::lints::unmet_expectation;
use crate::diag::Problem;
use crate::expect;
use crate::lang::{Parses, Program};
use crate::plan::{Param, Plan};
use crate::registry::{Architecture, Expectation, Registry};

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

impl Traced {
    /// The way in of that name.
    pub(super) fn method(&self, name: &str) -> Option<&TracedMethod> {
        self.methods.iter().find(|method| method.name == name)
    }
}

impl TracedMethod {
    /// Whether it has an input of that name.
    pub(super) fn takes(&self, input: &str) -> bool {
        self.inputs.iter().any(|(name, _)| name == input)
    }

    /// Whether it has an output of that name.
    pub(super) fn gives(&self, output: &str) -> bool {
        self.plan.output(output).is_some()
    }
}

/// A way in, traced with some of its optional inputs.
pub(super) struct Way {
    pub(super) method: String,
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
