//! Names of tensors: renaming by template, ignoring by glob, and telling many as a few.
//!
//! In: names as a checkpoint has them. Out: the names that the definitions use, and groups such as
//! `layers.{0..31}.weight` for reports.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::Regex;

use super::checkpoint::Checkpoint;
use super::error::WeightsError;

/// Renames by template, compiled.
#[derive(Debug)]
pub(crate) struct Renames(Vec<Rename>);

#[derive(Debug)]
struct Rename {
    from: Regex,
    to: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Hole(String),
}

impl Renames {
    /// Compiles pairs of templates. `{i}`, `{j}` and `{k}` stand for a number, any other `{word}` for any
    /// text.
    pub(crate) fn compile(pairs: &[(String, String)]) -> Result<Self, WeightsError> {
        pairs.iter().map(|(from, to)| Rename::compile(from, to)).collect::<Result<_, _>>().map(Self)
    }

    /// The positions of the templates that change none of these names, each applied to what those before it made.
    fn idle<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<usize> {
        let mut idle: BTreeSet<usize> = (0..self.0.len()).collect();
        for name in names {
            let mut name = name.to_owned();
            for (at, rename) in self.0.iter().enumerate() {
                if let Some(renamed) = rename.apply(&name) {
                    name = renamed;
                    idle.remove(&at);
                }
            }
        }
        idle.into_iter().collect()
    }

    /// The name after every template, each applied to what the one before it made.
    pub(crate) fn apply(&self, name: &str) -> String {
        let mut name = name.to_owned();
        for rename in &self.0 {
            if let Some(renamed) = rename.apply(&name) {
                name = renamed;
            }
        }
        name
    }
}

impl Rename {
    fn compile(from: &str, to: &str) -> Result<Self, WeightsError> {
        let [parts, to] = read(from, to)?;
        let mut pattern = String::from("^");
        for part in parts {
            match part {
                Part::Text(text) => pattern.push_str(&regex::escape(&text)),
                Part::Hole(hole) => {
                    let class = if matches!(hole.as_str(), "i" | "j" | "k") { "[0-9]+" } else { ".*?" };
                    pattern.extend(["(?P<", &hole, ">", class, ")"]);
                }
            }
        }
        pattern.push('$');
        let from = Regex::new(&pattern).map_err(|error| WeightsError::conversion(from, error))?;
        Ok(Self { from, to })
    }

    fn apply(&self, name: &str) -> Option<String> {
        let found = self.from.captures(name)?;
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Hole(hole) => found.name(hole).map_or_else(String::new, |hole| hole.as_str().to_owned()),
        };
        Some(self.to.iter().map(text).collect())
    }
}

/// The left sides of the rename templates that match no tensor of a checkpoint.
pub(crate) fn idle_renames<'p>(
    pairs: &'p [(String, String)],
    checkpoint: &Checkpoint,
) -> Result<Vec<&'p str>, WeightsError> {
    let idle = Renames::compile(pairs)?.idle(checkpoint.tensors().map(|(name, _)| name));
    Ok(idle.into_iter().map(|at| pairs[at].0.as_str()).collect())
}

/// The placeholders of a rename's left template that its right one lacks: names that differ there alone get one name.
///
/// # Errors
/// If one of the templates cannot be read.
pub(crate) fn lost_placeholders(from: &str, to: &str) -> Result<Vec<String>, WeightsError> {
    let [from, to] = read(from, to)?;
    let kept: BTreeSet<String> = holes(to).collect();
    Ok(holes(from).filter(|hole| !kept.contains(hole)).collect())
}

fn holes(parts: Vec<Part>) -> impl Iterator<Item = String> {
    parts.into_iter().filter_map(|part| match part {
        Part::Hole(hole) => Some(hole),
        Part::Text(_) => None,
    })
}

/// Both templates of a rename. A placeholder stands on the left once, and on the right only if it stands on the left.
fn read(from: &str, to: &str) -> Result<[Vec<Part>; 2], WeightsError> {
    let fault = |reason: String| WeightsError::conversion(from, reason);
    let left = parts(from).map_err(fault)?;
    let mut known = BTreeSet::new();
    for part in &left {
        if let Part::Hole(hole) = part
            && !known.insert(hole)
        {
            return Err(fault(format!("`{{{hole}}}` stands in it twice")));
        }
    }
    let right = parts(to).map_err(fault)?;
    for part in &right {
        if let Part::Hole(hole) = part
            && !known.contains(hole)
        {
            return Err(fault(format!("`{{{hole}}}` of its replacement is not in it")));
        }
    }
    Ok([left, right])
}

fn parts(template: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((text, behind)) = rest.split_once('{') {
        parts.push(Part::Text(text.to_owned()));
        let (hole, behind) = behind.split_once('}').ok_or_else(|| "a `{` is not closed".to_owned())?;
        let starts = hole.starts_with(|letter: char| letter.is_ascii_alphabetic());
        let plain = hole.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !starts || !plain {
            return Err(format!("`{{{hole}}}` is not a placeholder"));
        }
        parts.push(Part::Hole(hole.to_owned()));
        rest = behind;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

/// Compiles globs over names: `*` within and across the dots of a name.
pub(crate) fn globs(patterns: &[String]) -> Result<GlobSet, WeightsError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(false).build();
        set.add(glob.map_err(|error| WeightsError::conversion(pattern, error))?);
    }
    set.build().map_err(|error| WeightsError::conversion("ignored names", error))
}

/// Names that differ in their numbers only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The group as one name: `layers.{0..31}.weight`.
    pub(crate) title: String,
    /// One of its names.
    pub(crate) example: String,
    /// How many names there are.
    pub(crate) count: usize,
}

/// Groups names by what is left when numbers between dots are taken out, in the order of the names.
pub(crate) fn group<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Group> {
    let mut groups: BTreeMap<String, Numbers> = BTreeMap::new();
    for name in names {
        let numbers = groups.entry(without_numbers(name)).or_insert_with(|| Numbers {
            example: name.to_owned(),
            count: 0,
            sets: Vec::new(),
        });
        numbers.count += 1;
        let found = name.split('.').filter_map(number);
        for (at, value) in found.enumerate() {
            if at == numbers.sets.len() {
                numbers.sets.push(BTreeSet::new());
            }
            numbers.sets[at].insert(value);
        }
    }
    groups.into_iter().map(|(template, numbers)| numbers.into_group(&template)).collect()
}

struct Numbers {
    example: String,
    count: usize,
    sets: Vec<BTreeSet<u64>>,
}

impl Numbers {
    fn into_group(self, template: &str) -> Group {
        let mut sets = self.sets.iter();
        let title = template.split('.').map(|part| match part {
            "{}" => sets.next().map_or_else(|| part.to_owned(), ranges),
            _ => part.to_owned(),
        });
        let title = title.collect::<Vec<_>>().join(".");
        let all: usize = self.sets.iter().map(BTreeSet::len).product();
        let title = if all == self.count || self.count < 2 {
            title
        } else {
            format!("{title} ({} of {all})", self.count)
        };
        Group { title, example: self.example, count: self.count }
    }
}

/// The name with `{}` for every number between dots.
pub(crate) fn without_numbers(name: &str) -> String {
    let parts: Vec<&str> =
        name.split('.').map(|part| if number(part).is_some() { "{}" } else { part }).collect();
    parts.join(".")
}

fn number(part: &str) -> Option<u64> {
    let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| part.parse().ok()).flatten()
}

/// `{0..31}`, `{0..3,8}`; a single number stays as it is.
fn ranges(numbers: &BTreeSet<u64>) -> String {
    if let (1, Some(only)) = (numbers.len(), numbers.first()) {
        return only.to_string();
    }
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for &value in numbers {
        match spans.last_mut() {
            Some(span) if value == span.1 + 1 => span.1 = value,
            _ => spans.push((value, value)),
        }
    }
    let more = spans.len() > 4;
    let mut shown: Vec<String> = spans
        .iter()
        .take(4)
        .map(|(from, to)| if from == to { from.to_string() } else { format!("{from}..{to}") })
        .collect();
    if more {
        shown.push("…".to_owned());
    }
    format!("{{{}}}", shown.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(pairs: &[(&str, &str)], name: &str) -> String {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        Renames::compile(&pairs).expect("templates").apply(name)
    }

    #[test]
    fn templates_rename_numbers_and_text() {
        assert_eq!(renamed(&[("{x}.gamma", "{x}.weight")], "a.b.gamma"), "a.b.weight");
        assert_eq!(renamed(&[("{x}.gamma", "{x}.weight")], "gamma"), "gamma");
        let blocks = [("blocks.{i}.{x}", "layers.{i}.{x}")];
        assert_eq!(renamed(&blocks, "blocks.12.a.b"), "layers.12.a.b");
        assert_eq!(renamed(&blocks, "blocks.x.a"), "blocks.x.a");
        let chain = [("a{x}", "b{x}"), ("b.{x}", "c.{x}")];
        assert_eq!(renamed(&chain, "a.1"), "c.1", "each applies to what the one before made");
    }

    #[test]
    fn templates_that_cannot_work_are_refused() {
        for (from, to) in [("{x}.{x}", "{x}"), ("a", "{x}"), ("{x", "a"), ("{1}", "a"), ("{}", "a")] {
            let pair = [(from.to_owned(), to.to_owned())];
            assert!(Renames::compile(&pair).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn a_placeholder_that_the_right_side_lacks_is_told() {
        assert_eq!(lost_placeholders("{x}.{i}.{y}", "{i}.w").expect("templates"), ["x", "y"]);
        assert!(lost_placeholders("{x}.a", "{x}.b").expect("templates").is_empty());
    }

    fn titles(names: &[&str]) -> Vec<String> {
        group(names.iter().copied()).into_iter().map(|group| group.title).collect()
    }

    #[test]
    fn numbers_collapse_to_ranges() {
        assert_eq!(titles(&["l.0.w", "l.1.w", "l.2.w", "head"]), ["head", "l.{0..2}.w"]);
        assert_eq!(titles(&["l.0.w", "l.1.w", "l.5.w"]), ["l.{0..1,5}.w"]);
        assert_eq!(titles(&["l.3.w"]), ["l.3.w"]);
        assert_eq!(titles(&["l.0.e.0", "l.0.e.1", "l.1.e.0"]), ["l.{0..1}.e.{0..1} (3 of 4)"]);
    }
}
