//! Conditions in definitions that no sample and no expectation sends both ways: one of the ways is never proven.
//!
//! Builds and traces, for every architecture, its sample in every mode and the config of each expectation, and notes
//! which way each condition went. One that refuses a config by `fail(…)` is left out: no config that is taken goes
//! there. Absent on purpose: whether two conditions depend on each other. Each is looked at alone.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::diag::Span;
use crate::lang::{Branch, Notes, Program};
use crate::matcher::Matcher;
use crate::registry::{Architecture, Registry};

/// A condition that went one way only.
#[derive(Debug, Clone)]
pub struct OneWay {
    /// Where it stands.
    pub span: Span,
    /// Whether it always held, or never.
    pub always: bool,
}

/// The conditions that went one way only, by place, and how many went both.
#[must_use]
pub fn untested(registry: &Registry) -> (Vec<OneWay>, usize) {
    let architectures: Vec<&Architecture> = registry.architectures.values().collect();
    let branches: Vec<Branch> = (architectures.par_iter())
        .flat_map_iter(|architecture| observed(registry, architecture))
        .flat_map_iter(|notes| notes.branches().cloned().collect::<Vec<_>>())
        .collect();
    let mut merged: BTreeMap<(String, usize, usize), Branch> = BTreeMap::new();
    for branch in branches {
        let place = (branch.span.source.name.clone(), branch.span.range.start, branch.span.range.end);
        let (held, failed) = (branch.held, branch.failed);
        let known = merged.entry(place).or_insert(branch);
        known.held |= held;
        known.failed |= failed;
    }
    let met = merged.len();
    let one_way: Vec<OneWay> = (merged.into_values())
        .filter(|branch| branch.held != branch.failed)
        .map(|branch| OneWay { span: branch.span, always: branch.held })
        .collect();
    let both = met - one_way.len();
    (one_way, both)
}

/// What is met with each config that is at hand for an architecture.
fn observed(registry: &Registry, architecture: &Architecture) -> Vec<Notes> {
    let mut notes = Vec::new();
    if let Ok(Some(sample)) = registry.sample(architecture) {
        notes.push(Program::observe(registry, architecture, &sample));
        let modes = registry.modes(architecture).unwrap_or_default();
        let parts = modes.keys().filter_map(|mode| architecture.in_mode(registry, mode).ok());
        notes.extend(parts.map(|part| Program::observe(registry, &part, &sample)));
    }
    let expected = registry
        .expectations
        .iter()
        .filter(|expected| expected.config.is_some() && expected.architecture.text == architecture.name.text);
    notes.extend(expected.filter_map(|expected| {
        let facts = super::facts_of(registry, architecture, expected).ok()?;
        let found = Matcher::new(registry).find(&facts).ok()?;
        Some(Program::observe(registry, architecture, found.config(&facts)))
    }));
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;

    const TOY: &str = r#"
[architectures.Toy]
category    = "toys"
task        = "t"
model-types = ["toy"]

[config.toy]
defaults = { wide = 4, twice = false, once = true }

[modules.Toy]
inputs        = ["x"]
types.x       = "float[batch, wide]"
lets.checked  = "fail('too wide') if wide > 100 else wide"
params.weight = "[3, checked] if once else [1, checked]"
forward       = '''
if wide == 0:
    fail('no width')
if twice:
    x = x + x
return {"y": linear(x, weight)}
'''

[[rule]]
id       = "r"
category = "toys"
priority = 1
why      = "w"
when     = { file = ["config.json"] }
"#;

    fn one_way(expectations: &str) -> (Vec<String>, usize) {
        let (registry, problems) =
            Registry::from_files([Source::new("toy.toml", format!("{TOY}{expectations}"))]);
        assert!(problems.is_empty(), "{problems}");
        let (found, both) = untested(&registry);
        (found.iter().map(|found| format!("{} {}", found.span.text(), found.always)).collect(), both)
    }

    #[test]
    fn a_condition_is_tested_by_what_sends_it_both_ways() {
        assert_eq!(one_way(""), (vec!["once true".to_owned(), "twice false".to_owned()], 0));
        let twice = "[[expect]]\narchitecture = 'Toy'\nsample = { twice = true }\n";
        assert_eq!(one_way(twice), (vec!["once true".to_owned()], 1));
        let once = "[[expect]]\narchitecture = 'Toy'\nconfig = { once = false }\n";
        assert_eq!(one_way(&format!("{twice}{once}")), (Vec::new(), 2));
    }
}
