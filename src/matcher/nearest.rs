//! The known names that come nearest to an unknown one.

use crate::registry::Registry;

use super::names::Status;

/// A known name near an unknown one.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// The name.
    pub name: String,
    /// Its category.
    pub category: String,
    /// Whether there is a definition.
    pub status: Status,
    /// How near it is in spelling, from 0 to 1.
    pub score: f64,
}

/// How many are offered.
const OFFERED: usize = 3;
/// What is less near than this is no help.
const ENOUGH: f64 = 0.8;

/// The names nearest to any of `claimed`, or to the architecture of the nearest model type, best first.
pub(super) fn nearest(registry: &Registry, claimed: &[String], model_type: Option<&str>) -> Vec<Near> {
    let mut scores: Vec<(f64, &str)> = Vec::new();
    let folded: Vec<String> = claimed.iter().map(|claim| claim.to_lowercase()).collect();
    let mut names = registry.rules.known_names();
    names.extend(registry.architectures.keys().map(String::as_str));
    for name in names {
        let name_folded = name.to_lowercase();
        let likeness = |claim: &String| strsim::jaro_winkler(claim, &name_folded);
        scores.push((folded.iter().map(likeness).fold(0.0, f64::max), name));
    }
    if let Some(wanted) = model_type.filter(|_| claimed.is_empty()) {
        let types = registry.rules.model_type_names().into_iter();
        let types = types.map(|name| (likeness(wanted, name), name)).filter(|(score, _)| *score >= ENOUGH);
        scores.extend(types.filter_map(|(score, name)| {
            Some((score, registry.rules.model_type(name)?.architecture.text.as_str()))
        }));
    }
    scores.retain(|(score, _)| *score >= ENOUGH);
    scores.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scores.dedup_by(|a, b| a.1 == b.1);
    // What is known of a name is looked up for those alone that are offered.
    scores.into_iter().filter_map(|(score, name)| near(registry, score, name)).take(OFFERED).collect()
}

fn near(registry: &Registry, score: f64, name: &str) -> Option<Near> {
    let (category, status) = match registry.architectures.get(name) {
        Some(defined) => (&defined.category.text, Status::Defined),
        None => (&registry.rules.known(name)?.category, Status::Known),
    };
    Some(Near { name: name.to_owned(), category: category.clone(), status, score })
}

/// The defined architecture that comes nearest to a known one, of the same task if there is such.
pub(super) fn nearest_defined<'r>(registry: &'r Registry, name: &str, task: &str) -> Option<&'r str> {
    let scored = |same_task: bool| {
        registry
            .architectures
            .iter()
            .filter(move |(_, entry)| !same_task || entry.task.text == task)
            .map(|(other, _)| (likeness(name, other), other.as_str()))
            .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
            .map(|(_, other)| other)
    };
    scored(true).or_else(|| scored(false))
}

fn likeness(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(&a.to_lowercase(), &b.to_lowercase())
}
