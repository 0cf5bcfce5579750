//! Every shipped definition builds and traces on its sample config, and keeps the contract of its task.

use std::error::Error;

use omni::diag::Source;
use omni::lang::Program;
use omni::plan::Limit;
use omni::registry::{Architecture, Registry};

/// What is wrong with a definition, in words.
fn faults(registry: &Registry, architecture: &Architecture) -> Result<Vec<String>, Box<dyn Error>> {
    let name = &architecture.name.text;
    let Some(config) = &architecture.config else { return Ok(vec![format!("{name} names no config table")]) };
    let Some(sample) = registry.config(config)?.sample else {
        return Ok(vec![format!("[config.{}] has no sample", config.text)]);
    };
    let Some(task) = registry.tasks.get(&architecture.task.text) else {
        return Ok(vec![format!("{name} has the unknown task `{}`", architecture.task.text)]);
    };
    let mut program = Program::build(registry, architecture, &serde_json::Value::Object(sample), None)?;
    program.ignored()?;
    let mut faults = Vec::new();
    let methods: Vec<String> = program.methods().into_iter().map(str::to_owned).collect();
    for (method, contract) in &task.methods {
        let method = &method.text;
        if !methods.contains(method) {
            faults.push(format!("{name} has no method `{method}`"));
            continue;
        }
        let plan = program.trace(method, &|_| true)?;
        for input in &contract.inputs {
            if !plan.inputs.iter().any(|found| found.name == input.text) {
                faults.push(format!("{name}.{method} does not take `{}`", input.text));
            }
        }
        for output in &contract.outputs {
            if !plan.outputs.iter().any(|(found, ..)| *found == output.text) {
                faults.push(format!("{name}.{method} does not give `{}`", output.text));
            }
        }
    }
    for method in &methods {
        // Once as the least a caller may give, once with all that may be left out.
        program.trace(method, &|_| false)?;
        program.trace(method, &|_| true)?;
    }
    Ok(faults)
}

#[test]
fn every_condition_of_a_family_is_tried_both_ways() {
    let sources = Registry::embedded().expect("the shipped registry loads").sources;
    let (registry, problems) = Registry::from_files(sources);
    assert!(problems.is_empty(), "{problems}");
    let (untested, both) = omni::expect::untested(&registry);
    assert!(both > 100, "only {both} conditions were met");
    // Layers have arguments that only overlays use.
    let families = untested.iter().filter(|one| one.span.source.name.contains("/families/"));
    let found: Vec<String> = families.map(|one| format!("{:?} {}", one.span, one.span.text())).collect();
    assert!(
        found.is_empty(),
        "add an [[expect]] with `sample = {{ … }}` that sends these the other way: {found:#?}"
    );
}

#[test]
fn every_definition_traces_on_its_sample_and_keeps_its_contract() -> Result<(), Box<dyn Error>> {
    let registry = Registry::embedded()?;
    assert!(registry.architectures.len() > 20, "the shipped registry is missing");
    let mut found = Vec::new();
    for architecture in registry.architectures.values() {
        found.extend(
            faults(&registry, architecture)
                .map_err(|error| format!("{}: {error}", architecture.name.text))?,
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// Inputs that index a table are bounded by it, on whatever axis, also where that is counted from the end: on a GPU
/// nothing else looks at them.
#[test]
fn what_indexes_a_table_is_bounded_by_it() -> Result<(), Box<dyn Error>> {
    for (chosen, rows) in [
        ("index_select(table, input_ids, 0)", 5),
        ("index_select(table, input_ids, 1)", 3),
        ("index_select(table, input_ids, -1)", 3),
        ("index_select(table, input_ids, -2)", 5),
        ("gather(table, input_ids, 0)", 5),
        ("gather(table, input_ids, -1)", 3),
        ("gather(table, input_ids, -2)", 5),
        ("embedding(input_ids, table)", 5),
    ] {
        let definition = format!(
            "[architectures.Chooser]\ncategory = 'transformers'\ntask = 'embed'\n[modules.Chooser]\n\
             inputs = ['input_ids']\ntypes.input_ids = 'int[5, 3]'\nparams.table = '[5, 3]'\n\
             forward = 'return {{\"last_hidden_state\": {chosen}}}'\n"
        );
        let mut registry = Registry::embedded()?;
        let problems = registry.merge(&Source::new("chooser.toml", definition));
        assert!(problems.is_empty(), "{problems}");
        let architecture = &registry.architectures["Chooser"];
        let mut program = Program::build(&registry, architecture, &serde_json::json!({}), None)?;
        let plan = program.trace("forward", &|_| true)?;
        let expected = [Limit { input: Some("input_ids".to_owned()), rows, start: 0 }];
        assert_eq!(plan.limits(), expected, "{chosen}");
    }
    Ok(())
}
