//! What is wrong between a model and a checkpoint, all of it, in a bounded number of lines.
//!
//! In: the findings of `bind`. Out: an error that a person can read: names that differ in their numbers
//! only are one line, each kind shows its first twenty lines and a count.

use std::fmt;
use std::path::PathBuf;

use super::dtype::StoredDtype;
use super::error::SHOWN;
use super::names::{Group, group, without_numbers};

/// Everything that keeps a checkpoint from being loaded into a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BindReport {
    /// Where the checkpoint is, if the caller says so.
    pub checkpoint: Option<PathBuf>,
    /// Parameters that the checkpoint does not hold.
    pub missing: Vec<Missing>,
    /// Stored tensors that no parameter takes.
    pub unused: Vec<String>,
    /// Parameters whose stored tensors have another shape, or do not fit their conversion.
    pub mis_shaped: Vec<MisShaped>,
    /// Stored tensors that are one after renaming.
    pub duplicates: Vec<Duplicate>,
    /// Parameters stored in a dtype that cannot be loaded.
    pub unloadable: Vec<(String, StoredDtype)>,
    /// Rules that cannot be applied, such as a template that is not closed.
    pub faults: Vec<String>,
}

/// A parameter that the checkpoint does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The parameter.
    pub name: String,
    /// The shape that it should have.
    pub shape: Vec<usize>,
    /// How it could have been stored, first choice first.
    pub tried: Vec<String>,
}

/// A parameter that is stored in another shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MisShaped {
    /// The parameter.
    pub name: String,
    /// The shape that the model gives it.
    pub expected: Vec<usize>,
    /// How it is stored.
    pub stored: String,
    /// The shape that this yields, or why it yields none.
    pub found: Result<Vec<usize>, String>,
}

/// Stored tensors that are one after renaming.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The name that they share.
    pub name: String,
    /// Their names in the checkpoint.
    pub stored: Vec<String>,
}

impl BindReport {
    /// Whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self == &Self { checkpoint: self.checkpoint.clone(), ..Self::default() }
    }

    /// For a missing parameter, the unused tensors whose names come nearest, as groups.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Vec<String> {
        let unused = group(self.unused.iter().map(String::as_str));
        nearest(name, &unused)
    }
}

/// How alike two names must be to be suggested, from 0 to 1.
const LIKENESS: f64 = 0.6;

/// How many groups are compared at most, so that a hostile checkpoint cannot make this slow.
const COMPARED: usize = 2000;

fn nearest(name: &str, unused: &[Group]) -> Vec<String> {
    let plain = without_numbers(name);
    let mut scored: Vec<(f64, &Group)> = unused
        .iter()
        .take(COMPARED)
        .filter(|group| group.example.len() < 4 * plain.len() + 16)
        .map(|group| {
            let other = without_numbers(&group.example);
            (strsim::normalized_damerau_levenshtein(&plain, &other), group)
        })
        .filter(|(score, _)| *score >= LIKENESS)
        .collect();
    scored.sort_by(|left, right| right.0.total_cmp(&left.0));
    scored.into_iter().take(2).map(|(_, group)| group.title.clone()).collect()
}

impl std::error::Error for BindReport {}

impl fmt::Display for BindReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.checkpoint.as_ref().map(|at| format!(" in `{}`", at.display())).unwrap_or_default();
        write!(f, "the checkpoint{at} does not fit the model")?;
        self.write_missing(f)?;
        self.write_mis_shaped(f)?;
        section(f, "unused: stored, but no parameter takes them", self.unused.len(), || {
            group(self.unused.iter().map(String::as_str)).into_iter().map(|group| group.title)
        })?;
        section(f, "duplicate: several tensors for one name", self.duplicates.len(), || {
            self.duplicates.iter().map(|duplicate| {
                format!("{} is stored as {}", duplicate.name, duplicate.stored.join(" and "))
            })
        })?;
        section(f, "unloadable: not numbers that can be used", self.unloadable.len(), || {
            group(self.unloadable.iter().map(|(name, _)| name.as_str())).into_iter().map(|group| {
                let of = self.unloadable.iter().find(|(name, _)| *name == group.example);
                let dtype = of.map_or_else(String::new, |(_, dtype)| format!(" ({dtype})"));
                format!("{}{dtype}", group.title)
            })
        })?;
        section(f, "rules that cannot be applied", self.faults.len(), || self.faults.iter().cloned())?;
        match self.advice() {
            Some(advice) => write!(f, "\nto go on: {advice}"),
            None => Ok(()),
        }
    }
}

impl BindReport {
    /// What to do about it.
    fn advice(&self) -> Option<&'static str> {
        if !self.mis_shaped.is_empty() {
            return Some("take config.json and the weights from the same model: their sizes differ");
        }
        match (self.missing.is_empty(), self.unused.is_empty()) {
            (false, true) => Some(
                "get the rest of the weights; or, if they were made without these layers, write an overlay whose \
                 module leaves them out, and name it with --registry (see registry/README.md)",
            ),
            (true, false) => Some(
                "take the config.json that belongs to these weights; or, if these tensors are not needed, list them \
                 under `ignore` in an overlay and name it with --registry (see registry/README.md)",
            ),
            (false, false) => Some(
                "take the config.json that belongs to these weights; or, if only the names differ, say how under \
                 `rename` in an overlay and name it with --registry (see registry/README.md)",
            ),
            (true, true) => None,
        }
    }

    fn write_missing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unused = group(self.unused.iter().map(String::as_str));
        section(f, "missing: the model needs them", self.missing.len(), || {
            group(self.missing.iter().map(|missing| missing.name.as_str())).into_iter().map(|group| {
                let of = self.missing.iter().find(|missing| missing.name == group.example);
                let shape = of.map_or_else(String::new, |missing| format!(" {:?}", missing.shape));
                let near = nearest(&group.example, &unused);
                let near = if near.is_empty() {
                    String::new()
                } else {
                    format!("; the nearest unused: {}", near.join(", "))
                };
                format!("{}{shape}{near}", group.title)
            })
        })
    }

    fn write_mis_shaped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        section(f, "mis-shaped: stored in another shape", self.mis_shaped.len(), || {
            group(self.mis_shaped.iter().map(|one| one.name.as_str())).into_iter().map(|group| {
                let of = self.mis_shaped.iter().find(|one| one.name == group.example);
                let what = of.map_or_else(String::new, MisShaped::describe);
                format!("{}: {what}", group.title)
            })
        })
    }
}

impl MisShaped {
    fn describe(&self) -> String {
        let by = if self.stored == self.name { String::new() } else { format!(" as {}", self.stored) };
        match &self.found {
            Ok(found) => format!("found {found:?}{by}, expected {:?}", self.expected),
            Err(reason) => format!("{reason}, expected {:?}", self.expected),
        }
    }
}

/// Writes a heading with the count and the first lines.
fn section<I: Iterator<Item = String>>(
    f: &mut fmt::Formatter<'_>,
    heading: &str,
    count: usize,
    lines: impl FnOnce() -> I,
) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    write!(f, "\n{heading} ({count})")?;
    let mut lines = lines();
    for line in lines.by_ref().take(SHOWN) {
        write!(f, "\n  {line}")?;
    }
    match lines.count() {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more lines"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_short_however_much_is_wrong() {
        let missing = |name: String| Missing { name, shape: vec![2], tried: Vec::new() };
        let report = BindReport {
            missing: (0..4000).map(|at| missing(format!("layers.{at}.w{}", at % 100))).collect(),
            unused: (0..32).map(|at| format!("layers.{at}.wx")).collect(),
            ..BindReport::default()
        };
        let text = report.to_string();
        assert!(text.lines().count() < 30, "{text}");
        assert!(text.contains("missing: the model needs them (4000)"), "{text}");
        assert!(text.contains("and 80 more lines"), "{text}");
        assert!(text.contains("  layers.{0..31}.wx"), "{text}");
        assert!(text.contains("the nearest unused: layers.{0..31}.wx"), "{text}");
    }

    #[test]
    fn shapes_stand_found_then_expected() {
        let report = BindReport {
            mis_shaped: vec![MisShaped {
                name: "a".into(),
                expected: vec![2, 3],
                stored: "transpose(b, 0, 1)".into(),
                found: Ok(vec![3, 2]),
            }],
            ..BindReport::default()
        };
        assert_eq!(
            report.to_string(),
            "the checkpoint does not fit the model\n\
             mis-shaped: stored in another shape (1)\n  \
             a: found [3, 2] as transpose(b, 0, 1), expected [2, 3]\n\
             to go on: take config.json and the weights from the same model: their sizes differ"
        );
        assert!(!report.is_empty());
    }
}
