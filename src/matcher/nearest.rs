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
    let mut near: Vec<Near> = Vec::new();
    let names = every_name(registry);
    let folded: Vec<String> = claimed.iter().map(|claim| claim.to_lowercase()).collect();
    for &(name, category, status) in &names {
        let name_folded = name.to_lowercase();
        let likeness = |claim: &String| strsim::jaro_winkler(claim, &name_folded);
        let score = folded.iter().map(likeness).fold(0.0, f64::max);
        if score >= ENOUGH {
            near.push(Near { name: name.to_owned(), category: category.to_owned(), status, score });
        }
    }
    if let Some(wanted) = model_type.filter(|_| claimed.is_empty()) {
        for (name, entry) in registry.rules.all_model_types() {
            let score = likeness(wanted, name);
            let target = entry.architecture.text.as_str();
            let known = names.iter().find(|(name, ..)| *name == target);
            if let Some(&(name, category, status)) = known.filter(|_| score >= ENOUGH) {
                near.push(Near { name: name.to_owned(), category: category.to_owned(), status, score });
            }
        }
    }
    near.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.name.cmp(&b.name)));
    near.dedup_by(|a, b| a.name == b.name);
    near.truncate(OFFERED);
    near
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

fn every_name(registry: &Registry) -> Vec<(&str, &str, Status)> {
    let defined = registry.architectures.iter();
    let defined = defined.map(|(name, entry)| (name.as_str(), entry.category.text.as_str(), Status::Defined));
    let known = registry.rules.all_known().into_iter();
    let known = known.filter(|(name, _)| !registry.architectures.contains_key(*name));
    defined.chain(known.map(|(name, entry)| (name, entry.category.as_str(), Status::Known))).collect()
}

fn likeness(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(&a.to_lowercase(), &b.to_lowercase())
}
