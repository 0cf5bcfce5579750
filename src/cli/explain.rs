//! `omni explain`: why a directory is taken for what it is.
//!
//! The story is gathered once, in the stable form that `--json` prints; the text for people is written from it.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::source::Source;
use super::{Global, Outcome, explain_text, output};
use crate::diag::Problem;
use crate::facts::{Facts, Hub};
use crate::hub::Want;
use crate::info::{Inspector, ModelInfo};
use crate::lang::Program;
use crate::matcher::{Applied, Candidate, Match, RuleTrace, Verdict};
use crate::model::{fit, scaffold};
use crate::registry::Registry;

/// Say why a model directory is taken for what it is: names, rules, repairs, and what nobody reads; exits with 1
/// where it cannot be loaded.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    source: Source,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How many rules that nearly held are shown.
const NEAR: usize = 3;

/// The stable form for programs.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    pub(super) name: String,
    pub(super) architecture: Option<String>,
    pub(super) category: Option<String>,
    pub(super) task: Option<String>,
    pub(super) model_type: Option<String>,
    /// `exact`, `alias`, `case`, `model-type`, `layout` or `fingerprint`.
    pub(super) found_by: Option<&'static str>,
    /// `defined` or `known`.
    pub(super) status: Option<&'static str>,
    pub(super) verified: bool,
    pub(super) is_supported: bool,
    /// Why it cannot be loaded.
    pub(super) error: Option<String>,
    pub(super) names: Vec<LookedUp>,
    /// The rule that gave the category.
    pub(super) rule: Option<Tried>,
    /// The rules that came nearest without holding.
    pub(super) near_misses: Vec<Tried>,
    pub(super) notes: Vec<String>,
    pub(super) repairs: Vec<Repaired>,
    /// Keys of the config that nothing reads; null where there is no definition to read them.
    pub(super) unread_config_keys: Option<Vec<String>>,
    /// What in the definition does not fit this config.
    pub(super) definition_error: Option<String>,
    /// Python files that the repository brings along; never run.
    pub(super) custom_code: Vec<String>,
    /// Whether the directory brings a definition of its own: `allowed`, or `ignored` until it is.
    pub(super) local_definition: Option<&'static str>,
    /// The nearest architecture with a definition, where this one has none.
    pub(super) nearest_definition: Option<String>,
    /// Known names that are spelt alike, where this one is not known.
    pub(super) nearest_names: Vec<String>,
    /// Definitions whose tensors come nearest, where the name is not known.
    pub(super) candidates: Vec<Near>,
    /// What to write into an overlay to make it known.
    pub(super) what_to_write: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct LookedUp {
    pub(super) step: &'static str,
    pub(super) name: String,
    pub(super) found: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tried {
    pub(super) id: String,
    pub(super) category: String,
    pub(super) priority: i64,
    pub(super) why: String,
    pub(super) condition: Asked,
}

#[derive(Debug, Serialize)]
pub(super) struct Asked {
    pub(super) condition: String,
    pub(super) holds: bool,
    pub(super) fact: String,
    pub(super) parts: Vec<Asked>,
}

#[derive(Debug, Serialize)]
pub(super) struct Repaired {
    pub(super) id: String,
    pub(super) why: String,
    pub(super) changes: Vec<Changed>,
}

#[derive(Debug, Serialize)]
pub(super) struct Changed {
    pub(super) path: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

#[derive(Debug, Serialize)]
pub(super) struct Near {
    pub(super) architecture: String,
    pub(super) agree: usize,
    pub(super) missing: usize,
    pub(super) unexpected: usize,
    pub(super) reshaped: usize,
}

impl Explain {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let (registry, facts) = self.source.open(global, Want::Description)?;
        let inspector = Inspector::new(&registry, Hub::none());
        let (story, problem) = story(&registry, &inspector, &facts);
        let text = if self.json {
            serde_json::to_string_pretty(&story)? + "\n"
        } else {
            explain_text::write(&story)
        };
        output::print(&text);
        problem.map_or(Ok(ExitCode::SUCCESS), |problem| Err(problem.into()))
    }
}

/// The story, and what keeps the model from being loaded.
fn story(registry: &Registry, inspector: &Inspector<'_>, facts: &Facts) -> (Story, Option<Problem>) {
    let matcher = inspector.matcher();
    let outcome = inspector.find(facts);
    let (info, problem) = inspector.inspect(facts, &outcome);
    let trace = matcher.explain(facts, &outcome);
    let found = outcome.as_ref().ok();
    let failed = outcome.as_ref().err();
    let architecture = found.and_then(|found| found.architecture.as_ref());
    let defined = architecture.and_then(|found| registry.architectures.get(&found.name));
    let task = architecture.map(|found| found.task.as_str());
    let read = found.zip(defined).map(|(found, _)| unread(registry, facts, found));
    let (unread_config_keys, misfit) = match read {
        None => (None, None),
        Some((keys, misfit)) => (Some(keys), misfit),
    };
    let story = Story {
        name: facts.name().to_owned(),
        task: task.map(str::to_owned),
        found_by: architecture.map(|found| found.step.name()),
        status: architecture.map(|_| if defined.is_some() { "defined" } else { "known" }),
        verified: defined.is_some_and(|definition| definition.verified),
        names: trace.looked.iter().map(looked_up).collect(),
        rule: trace.fired().map(tried),
        near_misses: trace.near_misses(NEAR).into_iter().map(tried).collect(),
        notes: found.iter().flat_map(|found| &found.notes).map(ToString::to_string).collect(),
        repairs: found.iter().flat_map(|found| &found.repairs).map(repaired).collect(),
        unread_config_keys,
        definition_error: misfit.as_ref().map(ToString::to_string),
        custom_code: facts.custom_code().map(str::to_owned).collect(),
        local_definition: facts
            .has_local_definition()
            .then(|| if matcher.passes_over_local_definition(facts) { "ignored" } else { "allowed" }),
        nearest_names: failed
            .iter()
            .flat_map(|failed| &failed.nearest)
            .map(|near| near.name.clone())
            .collect(),
        candidates: failed.iter().flat_map(|failed| &failed.candidates).map(near).collect(),
        what_to_write: what_to_write(registry, facts, &info),
        nearest_definition: trace.nearest_definition,
        architecture: info.architecture,
        category: info.category,
        model_type: info.model_type,
        is_supported: info.is_supported,
        error: info.error,
    };
    (story, problem.or(misfit))
}

/// The keys of the config that nothing reads, and what in the definition does not fit.
fn unread(registry: &Registry, facts: &Facts, found: &Match) -> (Vec<String>, Option<Problem>) {
    let Some(definition) = found.architecture_name().and_then(|name| registry.architectures.get(name)) else {
        return (Vec::new(), None);
    };
    let source = facts.config().map(|document| Arc::clone(&document.source));
    let mut config = found.config(facts).clone();
    crate::model::complete(registry, definition, facts, &mut config);
    match Program::build(registry, definition, &config, source) {
        Ok(mut program) => {
            let (keys, problems) = fit::unread_config_keys(&mut program);
            (keys, problems.into_iter().next())
        }
        Err(problem) => (Vec::new(), Some(problem)),
    }
}

/// An overlay that would make an architecture known, or give a known one a definition.
fn what_to_write(registry: &Registry, facts: &Facts, info: &ModelInfo) -> Option<String> {
    let name = info.architecture.as_deref()?;
    if info.is_supported || registry.architectures.contains_key(name) {
        return None;
    }
    Some(scaffold(registry, facts).ok()?.text)
}

fn looked_up(looked: &crate::matcher::Looked) -> LookedUp {
    LookedUp { step: looked.step.name(), name: looked.name.clone(), found: looked.found.clone() }
}

fn tried(rule: &RuleTrace) -> Tried {
    Tried {
        id: rule.id.clone(),
        category: rule.category.clone(),
        priority: rule.priority,
        why: rule.why.clone(),
        condition: asked(&rule.verdict),
    }
}

fn asked(verdict: &Verdict) -> Asked {
    Asked {
        condition: verdict.condition.clone(),
        holds: verdict.holds,
        fact: verdict.fact.clone(),
        parts: verdict.parts.iter().map(asked).collect(),
    }
}

fn repaired(applied: &Applied) -> Repaired {
    let changed = |change: &crate::matcher::Change| Changed {
        path: change.path.clone(),
        before: change.before.clone(),
        after: change.after.clone(),
    };
    Repaired {
        id: applied.repair.clone(),
        why: applied.why.clone(),
        changes: applied.changes.iter().map(changed).collect(),
    }
}

fn near(candidate: &Candidate) -> Near {
    Near {
        architecture: candidate.architecture.clone(),
        agree: candidate.agree,
        missing: candidate.missing,
        unexpected: candidate.unexpected,
        reshaped: candidate.reshaped,
    }
}
