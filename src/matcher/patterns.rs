//! Every glob and regular expression of the rules, compiled together and only when one is needed.
//!
//! All globs share one `GlobSet`, all expressions one `RegexSet`; a name without wildcards is compared as it is. A
//! pattern that does not compile matches nothing and is a problem.

use std::collections::HashMap;
use std::sync::OnceLock;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::RegexSet;

use crate::diag::{Problem, Problems, Span};
use crate::facts::{Entry, Facts, Kind};
use crate::registry::rules::{Ask, Condition, NameTest, Rules, Test};

/// The patterns of a registry's rules.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    globs: OnceLock<Compiled<GlobSet>>,
    expressions: OnceLock<Compiled<RegexSet>>,
}

#[derive(Debug)]
struct Compiled<S> {
    set: S,
    ids: HashMap<String, usize>,
    problems: Problems,
}

impl Patterns {
    /// Whether one of the globs matches an entry of that kind. Subfolders are listed only if a glob has a `/`.
    pub(super) fn find_entry<'f>(
        &self,
        rules: &Rules,
        facts: &'f Facts,
        kind: Kind,
        globs: &[String],
    ) -> Option<&'f Entry> {
        if kind == Kind::Dir && !facts.has_folders() {
            return None;
        }
        let is_kind = |entry: &&Entry| entry.kind == kind;
        let mut wild: Vec<&str> = Vec::new();
        for glob in globs {
            if !is_literal(glob) {
                wild.push(glob);
            } else if let Some(entry) = facts.entries_named(glob).find(is_kind) {
                return Some(entry);
            }
        }
        if wild.is_empty() {
            return None;
        }
        let compiled = self.globs(rules);
        let wanted: Vec<usize> = wild.iter().filter_map(|glob| compiled.ids.get(*glob).copied()).collect();
        let mut hits = Vec::new();
        let mut matches = |entry: &&Entry| {
            compiled.set.matches_into(&entry.name, &mut hits);
            hits.iter().any(|id| wanted.contains(id))
        };
        let top = facts.entries().iter().filter(is_kind).find(&mut matches);
        if top.is_some() || !wild.iter().any(|glob| glob.contains('/')) {
            return top;
        }
        facts.deep_entries().iter().filter(is_kind).find(matches)
    }

    /// The first of `names` that one of the globs matches.
    pub(super) fn find_name<'n>(
        &self,
        rules: &Rules,
        mut names: impl Iterator<Item = &'n str>,
        globs: &[String],
    ) -> Option<&'n str> {
        let compiled = self.globs(rules);
        let wanted: Vec<usize> = globs.iter().filter_map(|glob| compiled.ids.get(glob).copied()).collect();
        names.find(|name| compiled.set.matches(name).iter().any(|id| wanted.contains(id)))
    }

    /// Whether the expression matches anywhere in the text.
    pub(super) fn matches(&self, rules: &Rules, expression: &str, text: &str) -> bool {
        let compiled = self.expressions.get_or_init(|| compile_expressions(rules));
        compiled.ids.get(expression).is_some_and(|id| compiled.set.matches(text).matched(*id))
    }

    /// What is wrong with the patterns; compiles all of them.
    pub(super) fn problems(&self, rules: &Rules) -> Vec<Problem> {
        let expressions = self.expressions.get_or_init(|| compile_expressions(rules));
        self.globs(rules).problems.iter().chain(&expressions.problems).cloned().collect()
    }

    fn globs(&self, rules: &Rules) -> &Compiled<GlobSet> {
        self.globs.get_or_init(|| compile_globs(rules))
    }
}

/// Whether a glob is the name of one entry of the top level.
fn is_literal(glob: &str) -> bool {
    !glob.bytes().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b']' | b'{' | b'}' | b'\\' | b'/'))
}

/// Every condition in the registry, the inner ones too.
fn conditions(rules: &Rules) -> Vec<&Condition> {
    let tops = (rules.rules.values().map(|rule| &rule.when))
        .chain(rules.traits.values().map(|found| &found.when))
        .chain(rules.repairs.values().map(|repair| &repair.when))
        .chain(rules.tokenizers.values().map(|rule| &rule.when));
    let mut open: Vec<&Condition> = tops.collect();
    let mut all = Vec::new();
    while let Some(condition) = open.pop() {
        all.push(condition);
        match &condition.test {
            Test::All(parts) | Test::Any(parts) => open.extend(parts),
            Test::Not(part) => open.push(part),
            _ => {}
        }
    }
    all
}

fn compile_globs(rules: &Rules) -> Compiled<GlobSet> {
    let mut builder = GlobSetBuilder::new();
    let (mut ids, mut problems) = (HashMap::new(), Problems::new());
    for condition in conditions(rules) {
        let (Test::File(globs) | Test::Dir(globs) | Test::Tensor(globs)) = &condition.test else { continue };
        for glob in globs {
            if ids.contains_key(glob) {
                continue;
            }
            match GlobBuilder::new(glob).literal_separator(true).build() {
                Ok(compiled) => {
                    ids.insert(glob.clone(), ids.len());
                    builder.add(compiled);
                }
                Err(error) => {
                    problems.push(invalid(&condition.span, "glob", glob, &error.kind().to_string()));
                }
            }
        }
    }
    let set = builder.build().unwrap_or_else(|error| {
        problems
            .push(Problem::unplaced("invalid-pattern", format!("the globs together are too much: {error}")));
        GlobSet::empty()
    });
    Compiled { set, ids, problems }
}

fn compile_expressions(rules: &Rules) -> Compiled<RegexSet> {
    let mut texts: Vec<(&str, &Span)> = Vec::new();
    for condition in conditions(rules) {
        match &condition.test {
            Test::Config(question) => texts.extend(question.asks.iter().filter_map(|ask| match ask {
                Ask::Matches(text) => Some((text.as_str(), &condition.span)),
                _ => None,
            })),
            Test::Architecture(NameTest::Matches(text)) | Test::ModelType(NameTest::Matches(text)) => {
                texts.push((text, &condition.span));
            }
            _ => {}
        }
    }
    texts.sort_unstable_by_key(|(text, span)| (*text, span.range.start));
    texts.dedup_by_key(|(text, _)| *text);
    let mut problems = Problems::new();
    let set = RegexSet::new(texts.iter().map(|(text, _)| text)).unwrap_or_else(|_| {
        texts.retain(|(text, span)| match regex::Regex::new(text) {
            Ok(_) => true,
            Err(error) => {
                problems.push(invalid(span, "regular expression", text, &error.to_string()));
                false
            }
        });
        RegexSet::new(texts.iter().map(|(text, _)| text)).unwrap_or_else(|error| {
            problems.push(Problem::unplaced("invalid-pattern", format!("the expressions together: {error}")));
            texts.clear();
            RegexSet::empty()
        })
    });
    let ids = texts.iter().enumerate().map(|(id, (text, _))| ((*text).to_owned(), id)).collect();
    Compiled { set, ids, problems }
}

fn invalid(span: &Span, what: &str, text: &str, error: &str) -> Problem {
    Problem::error("invalid-pattern", span.clone(), format!("`{text}` is not a {what}"))
        .label(error.lines().last().unwrap_or_default().trim().to_owned())
        .help("mend the pattern; until then it matches nothing")
}
