//! Holds definitions to what their files expect of them: `[[expect]]`.
//!
//! Takes an [`Expectation`] and the registry; gives an [`Outcome`]: what was checked, and each thing that came out
//! otherwise, at the place of the expectation. Nothing runs: a config is matched, built and traced. Who has traced it
//! already gives what came out ([`check_sizes`]), and who has no time for it asks for names alone ([`check_names`]).
//!
//! Absent on purpose: weights. What a definition computes is held against recordings, in the tests.

mod suspects;
mod untested;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::HumanCount;
use serde_json::{Map, Value};

use crate::diag::{Problem, Source, Span, did_you_mean};
use crate::facts::{self, Facts};
use crate::graph::parameters;
use crate::lang::Program;
use crate::matcher::{Match, Matcher};
use crate::ops::{Dim, TensorType};
use crate::plan::{Param, Plan};
use crate::registry::{Architecture, Expectation, ExpectedOf, Name, Registry, named};

pub use untested::{OneWay, untested};

/// How an expectation came out.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The architecture.
    pub architecture: String,
    /// What is expected, in a few words.
    pub what: Option<String>,
    /// Where it stands.
    pub span: Span,
    /// How many things were looked at.
    pub checks: usize,
    /// What came out otherwise; empty if nothing did.
    pub faults: Vec<Problem>,
}

/// Holds the registry to one expectation.
#[must_use]
pub fn check(registry: &Registry, expected: &Expectation) -> Outcome {
    outcome(expected, |outcome| {
        let architecture = architecture(registry, expected)?;
        let facts = facts_of(registry, architecture, expected)?;
        let found = names(&Matcher::new(registry), expected, &facts, outcome)?;
        let source = facts.config().map(|config| Arc::clone(&config.source));
        let mut program = Program::build(registry, architecture, found.config(&facts), source)?;
        let params = program.params().to_vec();
        let plan = || program.trace(expected.method_name(), &|input| expected.gives(input)).map(Cow::Owned);
        sizes(expected, &params, plan, outcome)
    })
}

/// Holds what is traced already to the sizes of an expectation: its tensors, and its method with the inputs that it
/// gives.
#[must_use]
pub fn check_sizes<'p>(
    expected: &Expectation,
    params: &[Param],
    plan: impl FnOnce() -> Result<Cow<'p, Plan>, Problem>,
) -> Outcome {
    outcome(expected, |outcome| sizes(expected, params, plan, outcome))
}

/// Holds tensors to the number that is expected, of a definition that cannot be traced.
#[must_use]
pub fn check_count(expected: &Expectation, params: &[Param]) -> Outcome {
    outcome(expected, |outcome| {
        count(expected, params, outcome);
        Ok(())
    })
}

/// Holds the registry to the names of an expectation, without building anything; `sample` is that of its architecture, if
/// it is known already.
#[must_use]
pub fn check_names(matcher: &Matcher<'_>, expected: &Expectation, sample: Option<&Value>) -> Outcome {
    outcome(expected, |outcome| {
        let registry = matcher.registry();
        let architecture = architecture(registry, expected)?;
        let facts = match sample.filter(|_| expected.config.is_none()) {
            Some(sample) => Facts::of_config(&architecture.name.text, sample.clone()),
            None => facts_of(registry, architecture, expected)?,
        };
        names(matcher, expected, &facts, outcome).map(|_| ())
    })
}

fn outcome(expected: &Expectation, judge: impl FnOnce(&mut Outcome) -> Result<(), Problem>) -> Outcome {
    let mut outcome = Outcome {
        architecture: expected.architecture.text.clone(),
        what: expected.what.clone().or_else(|| expected.config.is_none().then(|| "the sample".to_owned())),
        span: expected.architecture.span.clone(),
        checks: 0,
        faults: Vec::new(),
    };
    if let Err(problem) = judge(&mut outcome) {
        let problem = match problem.span {
            Some(_) => problem,
            None => Problem { span: Some(outcome.span.clone()), ..problem },
        };
        outcome.faults.push(problem);
    }
    outcome
}

impl Outcome {
    /// Compares one thing; what differs is a fault at the place where it is expected, and those of `why` may explain
    /// it.
    fn compare(
        &mut self,
        what: &str,
        span: &Span,
        (found, expected): (&str, &str),
        why: impl FnOnce() -> Vec<(Span, String)>,
    ) {
        self.checks += 1;
        if found == expected {
            return;
        }
        let message = format!("{what}: found {found}, expected {expected}");
        let problem = Problem::error("unmet-expectation", span.clone(), message).label("expected here");
        self.faults.push(Problem { related: why(), ..problem });
    }
}

fn architecture<'r>(registry: &'r Registry, expected: &Expectation) -> Result<&'r Architecture, Problem> {
    let name = &expected.architecture;
    registry.architectures.get(&name.text).ok_or_else(|| {
        let message = format!("`{}` is not an architecture with a definition", name.text);
        let known = registry.architectures.keys().map(String::as_str);
        Problem::error("unknown-architecture", name.span.clone(), message)
            .maybe_help(did_you_mean(&name.text, known))
    })
}

fn names(
    matcher: &Matcher<'_>,
    expected: &Expectation,
    facts: &Facts,
    outcome: &mut Outcome,
) -> Result<Match, Problem> {
    let found = matcher.find(facts).map_err(|reasons| reasons.problem(facts))?;
    let name = found.architecture_name().unwrap_or("none");
    let here = || {
        let defined = matcher.registry().architectures.get(&expected.architecture.text);
        let span = defined.map(|architecture| architecture.name.span.clone());
        span.into_iter().map(|span| (span, "the definition".to_owned())).collect()
    };
    let wanted = &expected.architecture;
    outcome.compare("architecture", &wanted.span, (name, &wanted.text), here);
    if let Some(wanted) = &expected.category {
        outcome.compare("category", &wanted.span, (&found.category, &wanted.text), here);
    }
    if let Some(wanted) = &expected.model_type {
        let found = facts.model_type().unwrap_or("none");
        outcome.compare("model_type", &wanted.span, (found, &wanted.text), here);
    }
    Ok(found)
}

fn count(expected: &Expectation, params: &[Param], outcome: &mut Outcome) {
    if let Some((count, span)) = &expected.parameters {
        let found = parameters(params);
        let why = || suspects::of_count(params, found, *count);
        outcome.compare(
            "parameters",
            span,
            (&HumanCount(found).to_string(), &HumanCount(*count).to_string()),
            why,
        );
    }
}

fn sizes<'p>(
    expected: &Expectation,
    params: &[Param],
    plan: impl FnOnce() -> Result<Cow<'p, Plan>, Problem>,
    outcome: &mut Outcome,
) -> Result<(), Problem> {
    count(expected, params, outcome);
    if expected.inputs.is_empty() && expected.outputs.is_empty() {
        return Ok(());
    }
    let plan = plan()?;
    let symbols = symbols(&plan, &expected.inputs)?;
    for (name, shape) in &expected.outputs {
        let Some((_, slot, ty)) = plan.outputs.iter().find(|(found, ..)| *found == name.text) else {
            let message = format!("`{}` gives no `{}`", plan.method, name.text);
            let known = plan.outputs.iter().map(|(name, ..)| name.as_str());
            return Err(Problem::error("unmet-expectation", name.span.clone(), message)
                .maybe_help(did_you_mean(&name.text, known)));
        };
        let wanted = format!("[{}]", written(shape).join(", "));
        let found = shown(ty, &symbols);
        let why = || suspects::of_shape(&plan, params, *slot);
        outcome.compare(&format!("output `{}`", name.text), &shape.span, (&found, &wanted), why);
    }
    Ok(())
}

/// The facts of the config that is expected something of.
fn facts_of(
    registry: &Registry,
    architecture: &Architecture,
    expected: &Expectation,
) -> Result<Facts, Problem> {
    let at = &expected.architecture.span;
    let config = match &expected.config {
        Some(ExpectedOf::Path(path)) => {
            return facts::read(beside(&at.source, &path.text)).map_err(|error| {
                let message = format!("the config of this expectation cannot be read: {error}");
                let problem = Problem::error("missing-fixture", path.span.clone(), message);
                problem.help(format!("`{}` is taken from the folder of `{}`", path.text, at.source.name))
            });
        }
        Some(ExpectedOf::Written(config)) => {
            let names = ["architectures", "model_type", "_class_name"];
            if names.iter().any(|name| config.contains_key(*name)) {
                Value::Object(config.clone())
            } else {
                named(architecture, config.clone())
            }
        }
        Some(ExpectedOf::Changed(changes)) => {
            let mut config = sample(registry, architecture, at)?;
            change(&mut config, changes);
            config
        }
        None => sample(registry, architecture, at)?,
    };
    Ok(Facts::of_config(&architecture.name.text, config))
}

fn sample(registry: &Registry, architecture: &Architecture, at: &Span) -> Result<Value, Problem> {
    registry.sample(architecture)?.ok_or_else(|| {
        Problem::error("missing-sample", at.clone(), "neither a config here nor a sample")
            .help("say which config: config = { … }")
    })
}

/// Sets fields of a config; of a part only those that are given.
fn change(config: &mut Value, changes: &Map<String, Value>) {
    let Value::Object(config) = config else { return };
    for (key, new) in changes {
        match (config.get_mut(key), new) {
            (Some(part @ Value::Object(_)), Value::Object(changes)) => change(part, changes),
            _ => drop(config.insert(key.clone(), new.clone())),
        }
    }
}

/// A path as the registry file that names it has it; never the name of a repository.
fn beside(source: &Source, path: &str) -> PathBuf {
    let folder = Path::new(&source.name).parent().unwrap_or_else(|| Path::new(""));
    Path::new(".").join(folder).join(path)
}

/// The sizes of a shape, as written: `[2, 5, 128]`.
fn written(shape: &Name) -> Vec<String> {
    let inner = shape.text.trim().trim_start_matches('[').trim_end_matches(']');
    inner.split(',').map(|size| size.trim().to_owned()).filter(|size| !size.is_empty()).collect()
}

/// The value of each symbol that the inputs fix, by its index.
fn symbols(plan: &Plan, inputs: &[(Name, Name)]) -> Result<Vec<Option<i64>>, Problem> {
    let mut symbols: Vec<Option<i64>> = vec![None; plan.symbols.len()];
    for (name, shape) in inputs {
        let Some(input) = plan.inputs.iter().find(|input| input.name == name.text) else {
            let message = format!("`{}` takes no `{}`", plan.method, name.text);
            let known = plan.inputs.iter().map(|input| input.name.as_str());
            return Err(Problem::error("unmet-expectation", name.span.clone(), message)
                .maybe_help(did_you_mean(&name.text, known)));
        };
        let given = written(shape);
        let unfit = |message: String| {
            let problem = Problem::error("unmet-expectation", shape.span.clone(), message);
            problem.help(format!("`{}` is {}", name.text, input.ty))
        };
        if given.len() != input.ty.shape.len() {
            return Err(unfit(format!(
                "`{}` has {} sizes, expected {}",
                name.text,
                given.len(),
                input.ty.rank()
            )));
        }
        for (dim, size) in input.ty.shape.iter().zip(&given) {
            let number: i64 = size.parse().map_err(|_| unfit(format!("`{size}` is no size")))?;
            let known = match dim.as_symbol() {
                Some(symbol) => *symbols[symbol.index].get_or_insert(number),
                None => evaluated(dim, &symbols).unwrap_or(number),
            };
            if known != number {
                return Err(unfit(format!("a size of `{}` is {number}, expected {known}", name.text)));
            }
        }
    }
    Ok(symbols)
}

fn evaluated(dim: &Dim, symbols: &[Option<i64>]) -> Option<i64> {
    let known = dim.symbols().iter().all(|symbol| symbols.get(symbol.index).copied().flatten().is_some());
    let values: Vec<i64> = symbols.iter().map(|value| value.unwrap_or_default()).collect();
    if known { dim.eval(&values).ok() } else { None }
}

fn shown(ty: &TensorType, symbols: &[Option<i64>]) -> String {
    let size = |dim: &Dim| evaluated(dim, symbols).map_or_else(|| dim.clone(), Dim::Known);
    let sizes: Vec<String> = ty.shape.iter().map(|dim| size(dim).to_string()).collect();
    format!("[{}]", sizes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOY: &str = "[architectures.Toy]\ncategory = 'toys'\ntask = 't'\nmodel-types = ['toy']\n\
        [config.toy]\ndefaults = { wide = 4 }\n\
        [modules.Toy]\ninputs = ['x']\ntypes.x = 'float[batch, wide]'\nparams.weight = '[3, wide]'\n\
        forward = 'return {\"y\": linear(x, weight)}'\n\
        [[rule]]\nid = 'r'\ncategory = 'toys'\npriority = 1\nwhy = 'w'\nwhen = { file = ['config.json'] }\n";

    fn faults(expectation: &str) -> Vec<String> {
        let text = format!("{TOY}[[expect]]\narchitecture = 'Toy'\n{expectation}");
        let (registry, problems) = Registry::from_files([Source::new("toy.toml", text)]);
        assert!(problems.is_empty(), "{problems}");
        let outcome = check(&registry, &registry.expectations[0]);
        outcome.faults.into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn what_holds_is_no_fault() {
        let all = "config = { wide = 5 }\ncategory = 'toys'\nmodel-type = 'toy'\nparameters = 15\n\
                   inputs = { x = '[2, 5]' }\noutputs = { y = '[2, 3]' }\n";
        assert!(faults(all).is_empty(), "{:?}", faults(all));
        assert!(faults("parameters = 12\noutputs = { y = '[batch, 3]' }\n").is_empty());
    }

    #[test]
    fn an_expectation_can_be_about_a_sample_that_is_changed() {
        assert!(faults("sample = { wide = 6 }\nparameters = 18\n").is_empty());
        let mut config = serde_json::json!({ "a": 1, "part": { "b": 2, "c": 3 } });
        let changes = serde_json::json!({ "part": { "c": 4 }, "d": 5 });
        change(&mut config, changes.as_object().expect("a table"));
        assert_eq!(config, serde_json::json!({ "a": 1, "part": { "b": 2, "c": 4 }, "d": 5 }));
        let text = format!("{TOY}[[expect]]\narchitecture = 'Toy'\nconfig = {{}}\nsample = {{}}\n");
        let (registry, problems) = Registry::from_files([Source::new("toy.toml", text)]);
        assert!(registry.expectations.is_empty() && problems.has_errors(), "one of the two");
    }

    #[test]
    fn what_does_not_says_what_was_found() {
        assert_eq!(faults("parameters = 1234\n"), ["parameters: found 12, expected 1,234"]);
        assert_eq!(faults("category = 'tools'\n"), ["category: found toys, expected tools"]);
        assert_eq!(
            faults("inputs = { x = '[2, 4]' }\noutputs = { y = '[2, 4]' }\n"),
            ["output `y`: found [2, 3], expected [2, 4]"]
        );
        assert_eq!(faults("inputs = { x = '[2, 5]' }\n"), ["a size of `x` is 5, expected 4"]);
        assert_eq!(faults("outputs = { z = '[2]' }\n"), ["`forward` gives no `z`"]);
        assert_eq!(faults("config = 'absent.json'\n").len(), 1);
    }
}
