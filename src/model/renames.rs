//! Renames that bring together what a checkpoint lacks and what it holds unused.
//!
//! Takes the report of a binding that failed; gives templates for the groups of tensors that can only be the same.
//!
//! Absent on purpose: certainty. Shape and spelling are all that a header tells; a person has to agree.

use std::collections::{BTreeMap, BTreeSet};

use crate::weights::{BindReport, Checkpoint, Group, group};

/// How alike a missing tensor's name and an unused one's must be to be taken for the same, from 0 to 1.
const ALIKE: f64 = 0.4;
/// A template that makes unused tensors out to be missing ones.
pub(super) struct Rename {
    pub(super) from: String,
    pub(super) to: String,
    /// The names on either side.
    pub(super) covered: Vec<String>,
}

/// Pairs the groups of missing tensors with those of unused ones: as many, of one shape, each like no other so much.
pub(super) fn renames(report: &BindReport, checkpoint: &Checkpoint) -> Vec<Rename> {
    // A parameter that is only ever stored in parts has no name of its own in a checkpoint.
    let named = report.missing.iter().filter(|one| one.tried.contains(&one.name));
    let missing = group(named.map(|one| one.name.as_str()));
    let unused = group(report.unused.iter().map(String::as_str));
    let shapes: BTreeMap<&str, &Vec<usize>> =
        report.missing.iter().map(|one| (one.name.as_str(), &one.shape)).collect();
    let likeness = |left: &Group, right: &Group| {
        let fits = left.count == right.count
            && shapes.get(left.example.as_str()).copied()
                == checkpoint.get(&right.example).map(|entry| &entry.shape);
        let (left, right) = (template(&left.example), template(&right.example));
        let holes = |text: &str| text.matches('{').count();
        let alike = || strsim::normalized_damerau_levenshtein(&left, &right);
        (fits && holes(&left) == holes(&right)).then(alike).filter(|alike| *alike >= ALIKE)
    };
    let best = |of: &dyn Fn(usize) -> Option<f64>, count: usize| {
        let mut scored: Vec<(f64, usize)> = (0..count).filter_map(|at| Some((of(at)?, at))).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        match scored.as_slice() {
            [(first, _), (second, _), ..] if (first - second).abs() < 1e-9 => None,
            scored => scored.first().map(|&(_, at)| at),
        }
    };
    let mut renames = Vec::new();
    for (at, wanted) in missing.iter().enumerate() {
        let Some(other) = best(&|other| likeness(wanted, &unused[other]), unused.len()) else { continue };
        if best(&|at| likeness(&missing[at], &unused[other]), missing.len()) != Some(at) {
            continue;
        }
        let (from, to) = (template(&unused[other].example), template(&wanted.example));
        let of = |names: &mut dyn Iterator<Item = &str>, like: &str| -> Vec<String> {
            names.filter(|name| template(name) == like).map(str::to_owned).collect()
        };
        let mut covered = of(&mut report.missing.iter().map(|one| one.name.as_str()), &to);
        covered.extend(of(&mut report.unused.iter().map(String::as_str), &from));
        renames.push(Rename { from, to, covered });
    }
    shortened(renames)
}

/// The same renames with `{x}` for what both sides end with, where that stays without contradiction.
fn shortened(mut renames: Vec<Rename>) -> Vec<Rename> {
    let mut short: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rename in &renames {
        let (from, to) = short_form(&rename.from, &rename.to);
        short.entry(from).or_default().insert(to);
    }
    for rename in &mut renames {
        let (from, to) = short_form(&rename.from, &rename.to);
        if short.get(&from).is_some_and(|all| all.len() == 1) {
            (rename.from, rename.to) = (from, to);
        }
    }
    renames
}

fn short_form(from: &str, to: &str) -> (String, String) {
    let (from, to): (Vec<&str>, Vec<&str>) = (from.split('.').collect(), to.split('.').collect());
    let same = from.iter().rev().zip(to.iter().rev()).take_while(|(a, b)| a == b).count();
    let same = same.min(from.len() - 1).min(to.len() - 1);
    let cut = |parts: &[&str]| {
        let kept = parts[..parts.len() - same].join(".");
        if same == 0 { kept } else { kept + ".{x}" }
    };
    (cut(&from), cut(&to))
}

/// The name with `{i}`, `{j}`, … for the numbers between dots.
fn template(name: &str) -> String {
    let mut holes = ["{i}", "{j}", "{k}"].into_iter();
    let part = |part: &str| -> String {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| holes.next()).flatten().unwrap_or(part).to_owned()
    };
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename(from: &str, to: &str) -> Rename {
        Rename { from: from.to_owned(), to: to.to_owned(), covered: Vec::new() }
    }

    #[test]
    fn what_both_sides_end_with_is_any_text_unless_that_contradicts() {
        let short = shortened(vec![
            rename("h.{i}.ffn.up.weight", "h.{i}.mlp.up.weight"),
            rename("h.{i}.ffn.down.weight", "h.{i}.mlp.down.weight"),
            rename("a.weight", "x.weight"),
            rename("a.bias", "y.bias"),
            rename("weight", "model.weight"),
        ]);
        let pairs: Vec<(&str, &str)> = short.iter().map(|one| (one.from.as_str(), one.to.as_str())).collect();
        let mlp = ("h.{i}.ffn.{x}", "h.{i}.mlp.{x}");
        let expected = [mlp, mlp, ("a.weight", "x.weight"), ("a.bias", "y.bias"), ("weight", "model.weight")];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn numbers_between_dots_become_holes() {
        assert_eq!(template("h.0.experts.12.w1.weight"), "h.{i}.experts.{j}.w1.weight");
    }
}
