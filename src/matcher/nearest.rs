//! The known names that come nearest to an unknown one.

use std::cmp::Ordering;

use crate::registry::{Architecture, Registry};

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
    let claims: Vec<Claim> = claimed.iter().map(|claim| Claim::new(claim)).collect();
    let mut names = registry.rules.known_names();
    names.extend(registry.architectures.keys().map(String::as_str));
    let mut scores: Vec<(f64, &str)> = Vec::new();
    for name in names {
        let folded = name.to_lowercase();
        let enough = scores.get(OFFERED - 1).map_or(ENOUGH, |(score, _)| *score);
        let score = claims.iter().map(|claim| claim.likeness(&folded, enough)).fold(0.0, f64::max);
        if score >= enough && !scores.contains(&(score, name)) {
            scores.push((score, name));
            scores.sort_by(by_score);
        }
    }
    if let Some(wanted) = model_type.filter(|_| claimed.is_empty()) {
        let types = registry.rules.model_type_names().into_iter();
        let types = types.map(|name| (likeness(wanted, name), name)).filter(|(score, _)| *score >= ENOUGH);
        scores.extend(types.filter_map(|(score, name)| {
            Some((score, registry.rules.model_type(name)?.architecture.text.as_str()))
        }));
    }
    scores.sort_by(by_score);
    scores.dedup_by(|a, b| a.1 == b.1);
    // What is known of a name is looked up for those alone that are offered.
    scores.into_iter().filter_map(|(score, name)| near(registry, score, name)).take(OFFERED).collect()
}

fn by_score(a: &(f64, &str), b: &(f64, &str)) -> Ordering {
    b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1))
}

/// A name that a config claims, in lower case, and how often each letter is in it, some letters counted together.
struct Claim {
    name: String,
    letters: [u32; 32],
}

impl Claim {
    fn new(claim: &str) -> Self {
        let name = claim.to_lowercase();
        Self { letters: letters(&name), name }
    }

    /// How near it is to a name, or 0 where that is less than `enough`: most names differ so much in their letters
    /// alone that their order need not be looked at.
    #[expect(clippy::cast_precision_loss, reason = "the length of a name")]
    fn likeness(&self, other: &str, enough: f64) -> f64 {
        if self.name.is_ascii() && other.is_ascii() {
            let common = self.letters.iter().zip(letters(other)).map(|(a, b)| *a.min(&b)).sum::<u32>();
            let common = f64::from(common);
            let jaro =
                (common / self.name.len().max(1) as f64 + common / other.len().max(1) as f64 + 1.0) / 3.0;
            let start =
                self.name.bytes().zip(other.bytes()).take(4).take_while(|(a, b)| a == b).count() as f64;
            if jaro + start * 0.1 * (1.0 - jaro) + 1e-9 < enough {
                return 0.0;
            }
        }
        strsim::jaro_winkler(&self.name, other)
    }
}

fn letters(name: &str) -> [u32; 32] {
    let mut letters = [0; 32];
    for byte in name.bytes() {
        letters[usize::from(byte % 32)] += 1;
    }
    letters
}

fn near(registry: &Registry, score: f64, name: &str) -> Option<Near> {
    let (category, status) = match registry.architectures.get(name) {
        Some(defined) => (&defined.category.text, Status::Defined),
        None => (&registry.rules.known(name)?.category, Status::Known),
    };
    Some(Near { name: name.to_owned(), category: category.clone(), status, score })
}

/// The defined architecture that comes nearest to a name: of the same task if there is such, else of the same category.
pub(super) fn nearest_defined<'r>(
    registry: &'r Registry,
    name: &str,
    category: &str,
    task: &str,
) -> Option<&'r str> {
    let scored = |is_akin: &dyn Fn(&Architecture) -> bool| {
        registry
            .architectures
            .iter()
            .filter(|(_, entry)| is_akin(entry))
            .map(|(other, _)| (likeness(name, other), other.as_str()))
            .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
            .map(|(_, other)| other)
    };
    scored(&|entry| entry.task.text == task)
        .or_else(|| scored(&|entry| entry.category.text == category))
        .or_else(|| scored(&|_| true))
}

fn likeness(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(&a.to_lowercase(), &b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_like_none_is_near_what_is_of_its_task_or_else_of_its_category() {
        let registry = Registry::shipped().expect("no errors");
        let near = |category, task| {
            let name = nearest_defined(registry, "Quux", category, task).expect("there are definitions");
            &registry.architectures[name]
        };
        assert_eq!(near("transformers", "").category.text, "transformers");
        assert_eq!(near("asr", "").category.text, "asr");
        assert_eq!(near("transformers", "sparse-autoencode").category.text, "sae");
    }

    #[test]
    fn names_that_are_passed_over_are_not_near() {
        let registry = Registry::shipped().expect("no errors");
        let far = ["NobodyForCausalLM", "quux", ""].map(str::to_owned);
        let close = registry.architectures.keys().map(|name| format!("{}9{}", &name[..3], &name[4..]));
        for claim in far.into_iter().chain(close) {
            let mut all: Vec<(f64, &str)> = registry
                .rules
                .known_names()
                .into_iter()
                .chain(registry.architectures.keys().map(String::as_str))
                .map(|name| (likeness(&claim, name), name))
                .filter(|(score, _)| *score >= ENOUGH)
                .collect();
            all.sort_by(by_score);
            all.dedup();
            let found = nearest(registry, std::slice::from_ref(&claim), None);
            let found: Vec<(f64, &str)> = found.iter().map(|near| (near.score, near.name.as_str())).collect();
            assert_eq!(found, all[..all.len().min(OFFERED)], "{claim}");
        }
    }
}
