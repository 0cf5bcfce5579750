//! Where a problem comes from: what `config.json` gives for the names in the code that failed.
//!
//! In: a problem met while building or tracing, the module that it was met in, and the config. Out: the problem,
//! with the values of the config that the code reads, and their places in the file.
//!
//! Absent on purpose: which of the values is wrong. Only a person knows.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::config::Config;
use super::instance::ParsedModule;
use crate::diag::{Problem, Span};

/// The most values that are shown.
const SHOWN: usize = 8;

/// The most numbers that are shown where all that is known is that one of them is too large.
const SHOWN_LARGEST: usize = 4;

/// Objects and longer values are named only.
const LONGEST_VALUE: usize = 60;

/// The kinds of problem that a wrong value in a config brings about; others are faults of the definition.
const OF_VALUES: [&str; 7] = [
    "wrong-size",
    "wrong-value",
    "wrong-kind",
    "wrong-arguments",
    "shape-mismatch",
    "step-budget",
    "tied-shapes-differ",
];

/// Adds what the config gives for the names in the code at fault: in its own words, else in its module's.
pub(super) fn trace_back(problem: Problem, module: &ParsedModule, config: &Config) -> Problem {
    let Some(source) = config.source() else { return problem };
    // All that a kind of layer knows comes from its user, whose names these are.
    if module.is_kind() {
        return problem;
    }
    let of_config = |span: &Span| &span.source == source;
    let is_known = problem.related.iter().map(|(span, _)| span).chain(&problem.span).any(of_config);
    if is_known || !OF_VALUES.contains(&problem.code) {
        return problem;
    }
    // Where the steps ran out says little: what asked for so many is a large number.
    let given = if problem.code == "step-budget" { largest(config) } else { read(&problem, module, config) };
    if given.is_empty() {
        return problem;
    }
    let named = |(key, value): &(&str, &Json)| {
        let text = value.to_string();
        let shown = !value.is_object() && text.len() <= LONGEST_VALUE;
        if shown { format!("`{key}` = {text}") } else { format!("`{key}`") }
    };
    let list: Vec<String> = given.iter().map(named).collect();
    let mut hint = format!("{} has {}", config.name(), list.join(", "));
    if let Some(help) = &problem.help {
        // Where the file is one long line no place in it tells that this was said further inside.
        if help.contains(&format!("{} has `", config.name())) {
            return problem;
        }
        hint = format!("{help}; {hint}");
    }
    let places = given.iter().filter_map(|(key, _)| config.place(key));
    places.fold(problem.help(hint), |problem, place| problem.related(place, "read here"))
}

/// The values that the code at fault reads.
fn read<'a>(problem: &Problem, module: &'a ParsedModule, config: &'a Config) -> Vec<(&'a str, &'a Json)> {
    let mut found = Found { module, config, seen: BTreeSet::new(), given: Vec::new() };
    for span in problem.span.iter().chain(problem.related.iter().map(|(span, _)| span)) {
        found.read(span.text());
    }
    // What does not fit was mostly computed elsewhere in the module.
    if found.given.is_empty() || problem.code == "shape-mismatch" {
        let entries = [&module.lets, &module.params, &module.layers];
        for (_, parsed) in entries.into_iter().flatten() {
            found.read(&parsed.code.text);
        }
        for method in module.methods.values() {
            found.read(&method.code.text);
        }
    }
    found.given
}

/// The entries of a config with the largest numbers, the largest first.
fn largest(config: &Config) -> Vec<(&str, &Json)> {
    let entries = config.json().as_object().into_iter().flatten();
    let mut numbers: Vec<_> =
        entries.filter_map(|(key, value)| Some((number(value)?, (key.as_str(), value)))).collect();
    numbers.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    numbers.into_iter().map(|(_, given)| given).take(SHOWN_LARGEST).collect()
}

/// A whole number, or the largest in a list of them.
fn number(value: &Json) -> Option<u64> {
    match value {
        Json::Array(items) => items.iter().filter_map(number).max(),
        other => other.as_u64(),
    }
}

/// What is found of the config while reading code.
struct Found<'a> {
    module: &'a ParsedModule,
    config: &'a Config,
    seen: BTreeSet<String>,
    given: Vec<(&'a str, &'a Json)>,
}

impl Found<'_> {
    /// Follows the names in a piece of code to the config, through constants, defaults and derived fields.
    fn read(&mut self, code: &str) {
        let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        for word in words.filter(|word| !word.is_empty()) {
            if self.given.len() >= SHOWN || !self.seen.insert(word.to_owned()) {
                continue;
            }
            let local = self.module.lets.iter().find(|(name, _)| name.text == word);
            let argument = self.module.args.iter().find(|argument| &*argument.name == word);
            if let Some((_, parsed)) = local {
                self.read(&parsed.code.text);
            } else if let Some(argument) = argument {
                self.read(argument.code.text.split_once('=').map_or("", |(_, default)| default));
            } else if let Some(given) = self.config.given(word) {
                self.given.push(given);
            } else if let Some(code) = self.config.derivation(word) {
                self.read(&code.text);
            }
        }
    }
}
