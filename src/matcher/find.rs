//! The way from facts to a match: names, repairs, rules.

use serde_json::Value;

use super::conditions::{Evaluator, Subject};
use super::fingerprint::{self, Fingerprints, NoFingerprints, Scored};
use super::names::{Ambiguous, Found, Names, Step};
use super::{Applied, Looked, Match, Matcher, NoMatch, Reason, nearest, repair};
use crate::diag::{Level, Problem};
use crate::facts::Facts;
use crate::registry::rules::Rule;

/// What the names in a config led to.
#[derive(Debug, Default)]
pub(super) struct Cascade {
    pub(super) found: Option<Found>,
    pub(super) looked: Vec<Looked>,
    pub(super) tie: Option<Ambiguous>,
}

/// All that is known before fingerprints are taken.
struct Classified<'r> {
    cascade: Cascade,
    repairs: Vec<Applied>,
    repaired: Option<Value>,
    rule: Option<&'r Rule>,
    rivals: Vec<&'r Rule>,
    rules_tried: usize,
}

impl<'r> Matcher<'r> {
    /// Finds what `facts` are about, without a look at tensors.
    ///
    /// # Errors
    /// The reasons there is no match.
    pub fn find(&self, facts: &Facts) -> Result<Match, Box<NoMatch>> {
        self.find_with(facts, &NoFingerprints)
    }

    /// Finds what `facts` are about; where names lead nowhere, by the checkpoint's tensors.
    ///
    /// # Errors
    /// The reasons there is no match.
    pub fn find_with(&self, facts: &Facts, fingerprints: &dyn Fingerprints) -> Result<Match, Box<NoMatch>> {
        let (classified, scored) = self.settle(facts, fingerprints);
        let no_match = |reason| Box::new(self.no_match(facts, &classified, reason));
        if let Some(tie) = &classified.cascade.tie {
            let what = if tie.step == Step::ModelType { "the model_type" } else { "the name" };
            let (of, between) = (tie.name.clone(), tie.candidates.clone());
            return Err(no_match(Reason::Tie { what, of, between }));
        }
        if !classified.rivals.is_empty() {
            let between = classified.rivals.iter().map(|rule| rule.id.text.clone()).collect();
            let of = facts.name().to_owned();
            return Err(no_match(Reason::Tie { what: "the category of", of, between }));
        }
        if let Some(rule) = classified.rule {
            let architecture = self.architecture(&classified, rule);
            let looks_like_nothing = scored.exact.is_empty() && scored.nearest.is_empty();
            if architecture.is_some() || (!names_something(facts) && looks_like_nothing) {
                return Ok(into_match(facts, classified, rule, architecture));
            }
        }
        let between: Vec<String> =
            scored.exact.iter().map(|candidate| candidate.architecture.clone()).collect();
        let reason = match between.len() {
            0 | 1 => Self::nothing(facts),
            _ => {
                let file = facts.config().map_or("config.json", |config| config.file.as_str()).to_owned();
                Reason::SeveralFit { file, between }
            }
        };
        let mut error = no_match(reason);
        error.candidates = scored.exact;
        error.candidates.extend(scored.nearest);
        Err(error)
    }

    /// The category of a directory, whether or not its architecture is known.
    #[must_use]
    pub fn category(&self, facts: &Facts, fingerprints: &dyn Fingerprints) -> Option<String> {
        let classified = self.settle(facts, fingerprints).0;
        let rule = classified.rule.filter(|_| classified.rivals.is_empty())?;
        Some(rule.category.text.clone())
    }

    /// Whether a trait of that name holds.
    #[must_use]
    pub fn has_trait(&self, facts: &Facts, fingerprints: &dyn Fingerprints, id: &str) -> bool {
        self.trait_holds(facts, &self.settle(facts, fingerprints).0.cascade, id)
    }

    /// Whether a trait of that name holds, given what was found.
    #[must_use]
    pub fn has_trait_of(&self, facts: &Facts, outcome: &Result<Match, Box<NoMatch>>, id: &str) -> bool {
        let mut cascade = self.cascade(facts, facts.value());
        let found = outcome.as_ref().ok().and_then(|found| found.architecture.as_ref());
        if let Some(found) = found.filter(|found| found.step == Step::Fingerprint) {
            cascade.found = Some(found.clone());
        }
        self.trait_holds(facts, &cascade, id)
    }

    /// Whether a rule for that category holds, whatever other rules of higher priority say.
    #[must_use]
    pub fn could_be(&self, facts: &Facts, fingerprints: &dyn Fingerprints, category: &str) -> bool {
        let rules = self.by_priority().iter().filter(|rule| rule.category.text == category);
        let holds = |cascade: &Cascade| {
            let (names, listed) = subject_names(facts, cascade);
            let subject = subject(facts, facts.value(), &names, listed);
            rules.clone().any(|rule| self.evaluator().holds(&rule.when, subject))
        };
        holds(&self.cascade(facts, facts.value())) || holds(&self.settle(facts, fingerprints).0.cascade)
    }

    fn trait_holds(&self, facts: &Facts, cascade: &Cascade, id: &str) -> bool {
        let Some(found) = self.registry.rules.traits.get(id) else { return false };
        let (names, listed) = subject_names(facts, cascade);
        self.evaluator().holds(&found.when, subject(facts, facts.value(), &names, listed))
    }

    pub(super) fn names(&self) -> Names<'r> {
        Names { registry: self.registry }
    }

    pub(super) fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { rules: &self.registry.rules, patterns: &self.patterns }
    }

    /// What the names in a config lead to, step by step; the first step that finds something decides.
    pub(super) fn cascade(&self, facts: &Facts, config: &Value) -> Cascade {
        let mut cascade = Cascade::default();
        let claimed = facts.architectures();
        let names = self.names();
        for name in &claimed {
            if cascade.note(Step::Exact, name, Ok(names.known(name, Some(name), Step::Exact))) {
                return cascade;
            }
        }
        for name in &claimed {
            if cascade.note(Step::Alias, name, Ok(names.alias(name))) {
                return cascade;
            }
        }
        for name in &claimed {
            if cascade.note(Step::Case, name, names.other_case(name)) {
                return cascade;
            }
        }
        if let Some(name) = config.get("model_type").and_then(Value::as_str).filter(|name| !name.is_empty()) {
            let found = match names.exact_model_type(name) {
                Ok(None) => names.folded_model_type(name),
                other => other,
            };
            cascade.note(Step::ModelType, name, found);
        }
        cascade
    }

    /// All that can be known: names and rules, and where they lead nowhere, fingerprints.
    fn settle(&self, facts: &Facts, fingerprints: &dyn Fingerprints) -> (Classified<'r>, Scored) {
        let mut classified = self.classify(facts, self.cascade(facts, facts.value()));
        let scored = self.fingerprint(facts, &mut classified, fingerprints);
        (classified, scored)
    }

    /// Takes fingerprints where neither names nor layout tell; an exact fit is classified as what it fits.
    fn fingerprint(
        &self,
        facts: &Facts,
        classified: &mut Classified<'r>,
        fingerprints: &dyn Fingerprints,
    ) -> Scored {
        let is_known = match classified.rule {
            Some(rule) if rule.architecture.is_some() => self.architecture(classified, rule).is_some(),
            _ => classified.cascade.found.is_some(),
        };
        if is_known
            || facts.config().is_none()
            || classified.cascade.tie.is_some()
            || !classified.rivals.is_empty()
        {
            return Scored::default();
        }
        let config = classified.repaired.as_ref().unwrap_or_else(|| facts.value());
        let scored = fingerprint::score(fingerprints.compare(facts, config));
        if let [only] = scored.exact.as_slice()
            && let Some(found) = self.names().known(&only.architecture, None, Step::Fingerprint)
        {
            let mut cascade = std::mem::take(&mut classified.cascade);
            cascade.note(Step::Fingerprint, facts.name(), Ok(Some(found)));
            *classified = self.classify(facts, cascade);
        }
        scored
    }

    fn classify(&self, facts: &Facts, mut cascade: Cascade) -> Classified<'r> {
        let (repairs, repaired) = self.repair(facts, &cascade);
        let by_tensors = cascade.found.as_ref().is_some_and(|found| found.step == Step::Fingerprint);
        if let Some(config) = repaired.as_ref().filter(|_| !by_tensors) {
            cascade = self.cascade(facts, config);
        }
        let (names, listed) = subject_names(facts, &cascade);
        let config = repaired.as_ref().unwrap_or_else(|| facts.value());
        let subject = subject(facts, config, &names, listed);
        let mut rules_tried = 0;
        let (mut decided, mut rivals): (Option<&Rule>, Vec<&Rule>) = (None, Vec::new());
        for rule in self.by_priority() {
            if decided.is_some_and(|first| first.priority != rule.priority) {
                break;
            }
            let holds = self.evaluator().holds(&rule.when, subject);
            rules_tried += 1;
            match decided {
                None if holds => decided = Some(rule),
                Some(first) if holds && differ(first, rule) => rivals.push(rule),
                _ => {}
            }
        }
        rivals.extend(decided.filter(|_| !rivals.is_empty()));
        rivals.sort_by(|a, b| a.id.text.cmp(&b.id.text));
        Classified { cascade, repairs, repaired, rule: decided, rivals, rules_tried }
    }

    /// The repairs whose condition holds, applied one after the other.
    fn repair(&self, facts: &Facts, cascade: &Cascade) -> (Vec<Applied>, Option<Value>) {
        let (names, listed) = subject_names(facts, cascade);
        let mut repaired: Option<Value> = None;
        let mut applied = Vec::new();
        for repair in self.registry.rules.repairs.values() {
            let config = repaired.as_ref().unwrap_or_else(|| facts.value());
            if !self.evaluator().holds(&repair.when, subject(facts, config, &names, listed)) {
                continue;
            }
            let mut config = config.clone();
            if let Some(change) = repair::apply(repair, &mut config) {
                applied.push(change);
                repaired = Some(config);
            }
        }
        (applied, repaired)
    }

    /// The architecture: what the names led to, unless the rule saw something else in the layout.
    fn architecture(&self, classified: &Classified<'_>, rule: &Rule) -> Option<Found> {
        let named = classified.cascade.found.clone();
        let Some(implied) = &rule.architecture else { return named };
        match named {
            Some(found) if found.category == rule.category.text => Some(found),
            _ => self.names().known(&implied.text, None, Step::Layout),
        }
    }

    fn nothing(facts: &Facts) -> Reason {
        match facts.config() {
            None => Reason::NoConfig,
            Some(_) if names_something(facts) => Reason::Unknown,
            Some(config) => Reason::NothingNamed { file: config.file.clone() },
        }
    }

    fn no_match(&self, facts: &Facts, classified: &Classified<'_>, reason: Reason) -> NoMatch {
        let claimed: Vec<String> = facts.architectures().into_iter().map(str::to_owned).collect();
        let nearest = match reason {
            Reason::Unknown => nearest::nearest(self.registry, &claimed, facts.model_type()),
            _ => Vec::new(),
        };
        NoMatch {
            reason,
            directory: facts.name().to_owned(),
            category: classified.rule.map(|rule| rule.category.text.clone()),
            model_type: facts.model_type().map(str::to_owned),
            nearest,
            candidates: Vec::new(),
            custom_code: facts.custom_code().map(str::to_owned).collect(),
            local_definition: self.passes_over_local_definition(facts),
            looked: classified.cascade.looked.clone(),
            rules_tried: classified.rules_tried,
            claimed,
        }
    }
}

impl Cascade {
    /// Records a look-up; whether it ends the cascade.
    fn note(&mut self, step: Step, name: &str, found: Result<Option<Found>, Ambiguous>) -> bool {
        let (found, tie) = match found {
            Ok(found) => (found, None),
            Err(tie) => (None, Some(tie)),
        };
        let target = found.as_ref().map(|found| found.name.clone());
        self.looked.push(Looked { step, name: name.to_owned(), found: target });
        let ends = found.is_some() || tie.is_some();
        (self.found, self.tie) = (found, tie);
        ends
    }
}

fn names_something(facts: &Facts) -> bool {
    !facts.architectures().is_empty() || facts.model_type().is_some()
}

/// Whether two rules of one priority that both hold contradict each other.
fn differ(a: &Rule, b: &Rule) -> bool {
    let implied = |rule: &Rule| rule.architecture.as_ref().map(|name| name.text.clone());
    a.category.text != b.category.text || implied(a) != implied(b)
}

fn subject_names<'a>(facts: &'a Facts, cascade: &'a Cascade) -> (Vec<&'a str>, Option<&'a str>) {
    let mut names = facts.architectures();
    let found = cascade.found.as_ref();
    if let Some(found) = found
        && !names.contains(&found.name.as_str())
    {
        names.push(&found.name);
    }
    (names, found.map(|found| found.category.as_str()))
}

fn subject<'a>(
    facts: &'a Facts,
    config: &'a Value,
    names: &'a [&'a str],
    listed: Option<&'a str>,
) -> Subject<'a> {
    let model_type = config.get("model_type").and_then(Value::as_str).filter(|name| !name.is_empty());
    Subject { facts, config, names, listed, model_type }
}

fn into_match(facts: &Facts, classified: Classified<'_>, rule: &Rule, architecture: Option<Found>) -> Match {
    let notes = notes(facts, architecture.as_ref());
    Match {
        architecture,
        category: rule.category.text.clone(),
        rule: rule.id.text.clone(),
        why: rule.why.clone(),
        model_type: facts.model_type().map(str::to_owned),
        repairs: classified.repairs,
        repaired: classified.repaired,
        looked: classified.cascade.looked,
        rules_tried: classified.rules_tried,
        notes,
    }
}

/// What a reader should know about how the architecture was found.
fn notes(facts: &Facts, architecture: Option<&Found>) -> Vec<Problem> {
    let Some(found) = architecture else { return Vec::new() };
    let claimed = facts.architectures();
    let message = match found.step {
        Step::ModelType if !claimed.is_empty() => format!(
            "the config names `{}`, which is not known; its model_type stands for `{}`",
            claimed.join("`, `"),
            found.name
        ),
        Step::Fingerprint => format!(
            "the config names nothing that is known; the tensors are exactly those of `{}`, which says what is \
             stored and not what is computed",
            found.name
        ),
        _ => return Vec::new(),
    };
    let note = Problem::unplaced("name-not-known", message).at_level(Level::Warning);
    let same = if found.step == Step::Fingerprint { "computes the same" } else { "has the same layers" };
    vec![note.help(format!("check that it {same}, and give it an alias if so"))]
}
