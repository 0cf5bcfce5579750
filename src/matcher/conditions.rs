//! Conditions, evaluated on facts: quickly for a yes or no, and once more with reasons for a person.

use serde_json::Value;

use super::patterns::Patterns;
use crate::diag::Span;
use crate::facts::{Facts, Kind, lookup, lookup_all};
use crate::registry::rules::{Ask, Condition, ConfigTest, NameTest, Rules, Test};

/// What conditions are asked about: the facts, and what is known of the architecture so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) facts: &'a Facts,
    /// The config, repaired if it was.
    pub(super) config: &'a Value,
    /// The names that the config gives, and the one they were resolved to.
    pub(super) names: &'a [&'a str],
    /// The category under which the architecture is known.
    pub(super) listed: Option<&'a str>,
    /// The `model_type`.
    pub(super) model_type: Option<&'a str>,
}

/// A condition with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The condition in words.
    pub condition: String,
    /// Whether it holds.
    pub holds: bool,
    /// The fact that decided.
    pub fact: String,
    /// The conditions it is made of.
    pub parts: Vec<Verdict>,
    /// Where it stands.
    pub span: Span,
}

/// The evaluator: rules and their compiled patterns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evaluator<'a> {
    pub(super) rules: &'a Rules,
    pub(super) patterns: &'a Patterns,
}

impl Evaluator<'_> {
    /// Whether the condition holds.
    pub(super) fn holds(self, condition: &Condition, subject: Subject<'_>) -> bool {
        match &condition.test {
            Test::All(parts) => parts.iter().all(|part| self.holds(part, subject)),
            Test::Any(parts) => parts.iter().any(|part| self.holds(part, subject)),
            Test::Not(part) => !self.holds(part, subject),
            Test::File(globs) => {
                self.patterns.find_entry(self.rules, subject.facts, Kind::File, globs).is_some()
            }
            Test::Dir(globs) => {
                self.patterns.find_entry(self.rules, subject.facts, Kind::Dir, globs).is_some()
            }
            Test::Tensor(globs) => self.tensor(globs, subject).is_some(),
            Test::Config(test) => self.config(test, subject.config),
            Test::Architecture(test) => match test {
                NameTest::Listed(category) => subject.listed == Some(category),
                _ => subject.names.iter().any(|name| self.name(test, name)),
            },
            Test::ModelType(test) => subject.model_type.is_some_and(|name| self.name(test, name)),
        }
    }

    /// The condition with its outcome and the facts that decided it, part by part.
    pub(super) fn explain(self, condition: &Condition, subject: Subject<'_>) -> Verdict {
        let parts = match &condition.test {
            Test::All(parts) | Test::Any(parts) => {
                parts.iter().map(|part| self.explain(part, subject)).collect()
            }
            Test::Not(part) => vec![self.explain(part, subject)],
            _ => Vec::new(),
        };
        Verdict {
            condition: condition.to_string(),
            holds: self.holds(condition, subject),
            fact: self.fact(&condition.test, subject),
            parts,
            span: condition.span.clone(),
        }
    }

    fn tensor<'s>(self, globs: &[String], subject: Subject<'s>) -> Option<&'s str> {
        let tensors = subject.facts.tensors().ok()?;
        self.patterns.find_name(self.rules, tensors.iter().map(|tensor| tensor.name.as_str()), globs)
    }

    fn name(self, test: &NameTest, name: &str) -> bool {
        match test {
            NameTest::Exact(names) => names.iter().any(|exact| exact == name),
            NameTest::Matches(expression) => self.patterns.matches(self.rules, expression, name),
            NameTest::Listed(_) => false,
        }
    }

    fn config(self, test: &ConfigTest, config: &Value) -> bool {
        if !test.path.contains('*') {
            let value = lookup(config, &test.path).filter(|value| !value.is_null());
            return test.asks.iter().all(|ask| self.answer(ask, value));
        }
        let values = lookup_all(config, &test.path);
        let values: Vec<&Value> =
            values.into_iter().map(|(_, value)| value).filter(|v| !v.is_null()).collect();
        if values.is_empty() {
            return test.asks.iter().all(|ask| self.answer(ask, None));
        }
        values.iter().any(|value| test.asks.iter().all(|ask| self.answer(ask, Some(value))))
    }

    fn answer(self, ask: &Ask, value: Option<&Value>) -> bool {
        let Some(value) = value else { return matches!(ask, Ask::Exists(false)) };
        match ask {
            Ask::Exists(wanted) => *wanted,
            Ask::OneOf(values) => values.iter().any(|wanted| equal(wanted, value)),
            Ask::Matches(expression) => {
                value.as_str().is_some_and(|text| self.patterns.matches(self.rules, expression, text))
            }
            Ask::AtLeast(bound) => value.as_f64().is_some_and(|number| number >= *bound),
            Ask::AtMost(bound) => value.as_f64().is_some_and(|number| number <= *bound),
        }
    }

    fn fact(self, test: &Test, subject: Subject<'_>) -> String {
        let entry = |kind, globs: &[String], what: &str| match self.patterns.find_entry(
            self.rules,
            subject.facts,
            kind,
            globs,
        ) {
            Some(entry) => format!("`{}` is there", entry.name),
            None => format!("there is no such {what}"),
        };
        match test {
            Test::All(_) | Test::Any(_) | Test::Not(_) => String::new(),
            Test::File(globs) => entry(Kind::File, globs, "file"),
            Test::Dir(globs) => entry(Kind::Dir, globs, "folder"),
            Test::Tensor(globs) => match (subject.facts.tensors(), self.tensor(globs, subject)) {
                (Err(error), _) => error.to_string(),
                (_, Some(name)) => format!("`{name}` is there"),
                (Ok(tensors), None) => format!("none of {} tensors is", tensors.len()),
            },
            Test::Config(test) => config_fact(test, subject.config),
            Test::Architecture(NameTest::Listed(_)) => match (subject.listed, subject.names.last()) {
                (Some(category), Some(name)) => format!("`{name}` is listed under `{category}`"),
                (_, Some(name)) => format!("`{name}` is not listed"),
                _ => "no architecture is named".to_owned(),
            },
            Test::Architecture(_) => match subject.names {
                [] => "no architecture is named".to_owned(),
                names => format!("it is `{}`", names.join("`, `")),
            },
            Test::ModelType(_) => match subject.model_type {
                Some(name) => format!("it is `{name}`"),
                None => "there is none".to_owned(),
            },
        }
    }
}

fn config_fact(test: &ConfigTest, config: &Value) -> String {
    let found = lookup_all(config, &test.path);
    match found.iter().find(|(_, value)| !value.is_null()) {
        None => "it is not set".to_owned(),
        Some((at, Value::Object(_))) => format!("`{at}` is a table"),
        Some((at, Value::Array(items))) if items.len() > 4 => format!("`{at}` is a list of {}", items.len()),
        Some((at, value)) => format!("`{at}` is {value}"),
    }
}

/// Whether two values are the same, numbers compared by value (`1` is `1.0`).
fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        #[expect(clippy::float_cmp, reason = "both were written as decimals; no arithmetic lies between")]
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
