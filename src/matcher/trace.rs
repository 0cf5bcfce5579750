//! Why a match came out as it did: every look-up, every rule, and what was missing from those that nearly held.

use super::conditions::{Subject, Verdict};
use super::nearest::nearest_defined;
use super::{Looked, Match, Matcher, NoMatch, Status, Step};
use crate::facts::Facts;

/// The whole story of a match.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The names that were looked up, in order.
    pub looked: Vec<Looked>,
    /// The rules that were tried, in order; the last one is the one that decided, if one did.
    pub rules: Vec<RuleTrace>,
    /// The defined architecture that comes nearest, where the one found has no definition.
    pub nearest_definition: Option<String>,
}

/// A rule that was tried.
#[derive(Debug, Clone)]
pub struct RuleTrace {
    /// The rule.
    pub id: String,
    /// The category it gives.
    pub category: String,
    /// Its priority.
    pub priority: i64,
    /// Why its condition implies the category.
    pub why: String,
    /// Its condition with the facts.
    pub verdict: Verdict,
}

impl Verdict {
    /// How many of the innermost conditions hold, and how many there are.
    #[must_use]
    pub fn leaves(&self) -> (usize, usize) {
        if self.parts.is_empty() {
            return (usize::from(self.holds), 1);
        }
        let sum = |a: (usize, usize), b: (usize, usize)| (a.0 + b.0, a.1 + b.1);
        self.parts.iter().map(Self::leaves).fold((0, 0), sum)
    }
}

impl Trace {
    /// The rule that decided.
    #[must_use]
    pub fn fired(&self) -> Option<&RuleTrace> {
        self.rules.iter().find(|rule| rule.verdict.holds)
    }

    /// The rules that did not hold though a part of their condition did, nearest first, at most `count`.
    #[must_use]
    pub fn near_misses(&self, count: usize) -> Vec<&RuleTrace> {
        let share = |rule: &RuleTrace| {
            let (holding, all) = rule.verdict.leaves();
            holding * 1000 / all.max(1)
        };
        // A negation holds nearly everywhere: what counts is a positive fact.
        let mut near: Vec<&RuleTrace> =
            self.rules.iter().filter(|rule| !rule.verdict.holds && has_positive(&rule.verdict)).collect();
        near.sort_by_key(|rule| std::cmp::Reverse(share(rule)));
        near.truncate(count);
        near
    }
}

fn has_positive(verdict: &Verdict) -> bool {
    if verdict.parts.is_empty() {
        return verdict.holds;
    }
    !verdict.condition.starts_with("not (") && verdict.parts.iter().any(has_positive)
}

impl Matcher<'_> {
    /// The whole story of how these facts are matched, with every rule evaluated again for its reasons.
    #[must_use]
    pub fn explain(&self, facts: &Facts, outcome: &Result<Match, Box<NoMatch>>) -> Trace {
        let (looked, tried, config) = match outcome {
            Ok(found) => (&found.looked, found.rules_tried, found.config(facts)),
            Err(error) => (&error.looked, error.rules_tried, facts.value()),
        };
        let mut cascade = self.cascade(facts, config);
        let found = outcome.as_ref().ok().and_then(|found| found.architecture.as_ref());
        if let Some(found) = found.filter(|found| found.step == Step::Fingerprint) {
            cascade.found = Some(found.clone());
        }
        let mut names = facts.architectures();
        names.extend(cascade.found.as_ref().map(|found| found.name.as_str()));
        names.dedup();
        let subject = Subject {
            facts,
            config,
            names: &names,
            listed: cascade.found.as_ref().map(|found| found.category.as_str()),
            model_type: config.get("model_type").and_then(serde_json::Value::as_str),
        };
        let rules = self.by_priority().iter().take(tried).map(|rule| RuleTrace {
            id: rule.id.text.clone(),
            category: rule.category.text.clone(),
            priority: rule.priority,
            why: rule.why.clone(),
            verdict: self.evaluator().explain(&rule.when, subject),
        });
        let known = outcome.as_ref().ok().and_then(|found| found.architecture.as_ref());
        let undefined = known.filter(|found| found.status == Status::Known);
        Trace {
            looked: looked.clone(),
            rules: rules.collect(),
            nearest_definition: undefined
                .and_then(|found| self.nearest_definition(&found.name, &found.category, &found.task)),
        }
    }

    /// The defined architecture that comes nearest to a name: of the same task if there is such, else of the same
    /// category.
    #[must_use]
    pub fn nearest_definition(&self, name: &str, category: &str, task: &str) -> Option<String> {
        nearest_defined(self.registry, name, category, task).map(str::to_owned)
    }
}
