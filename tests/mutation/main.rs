//! Breaks the shipped registry on purpose, in many ways, and sees whether the linter says so at the right line.
//!
//! Every mutant is one small edit of one file. It counts if it changes what the registry means and weights are not
//! needed to tell: [`oracle`] decides that by tracing, never by what the linter says. Left out is only what has the
//! same shapes everywhere; a second count leaves out sound definitions of another model as well. Chance is drawn from
//! the edited line, so that the same mutants are taken while others change. `OMNI_MUTANTS` is the number of mutants of
//! each kind, `OMNI_MUTANT_KIND` takes those alone whose kind has that text in it, and `OMNI_MUTATION_SHOW` shows those
//! that got away, or whose first label is on another line.

mod edits;
mod oracle;
mod sites;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use omni::diag::{Problem, Source};
use omni::lint::{Checker, Input, Options};
use omni::registry::Registry;
use rayon::prelude::*;

use edits::Edit;
use oracle::{Clean, Verdict};

/// Mutants of each kind, unless the environment asks for more.
const EACH: usize = 8;

/// What became of one mutant.
struct Outcome {
    kind: &'static str,
    verdict: Verdict,
    found: bool,
    /// Whether a finding, or one of its related places, is on a line that was edited.
    on_line: bool,
    /// Whether the first place of a finding is.
    at_once: bool,
    story: String,
}

fn check(checker: &mut Checker, files: Vec<Arc<Source>>) -> Vec<Problem> {
    checker.check(&Input { base: Vec::new(), files }, &Options::default()).findings.problems
}

fn judge(checker: &mut Checker, clean: &Clean, edit: &Edit) -> Outcome {
    let (files, right) = edit.apply(&clean.files);
    let problems = check(checker, files.clone());
    let verdict = clean.verdict(files, edit.tables);
    let on = |problem: &Problem| {
        let related = problem.related.iter().map(|(span, _)| span);
        problem.span.iter().chain(related).any(|span| right.holds(span))
    };
    let story = edit.story(&clean.files)
        + &problems.iter().take(4).fold(String::new(), |mut text, problem| {
            let _ = writeln!(text, "    {}: {problem}", problem.code);
            text
        });
    Outcome {
        kind: edit.kind,
        verdict,
        found: !problems.is_empty(),
        on_line: problems.iter().any(on),
        at_once: problems.iter().any(|problem| problem.span.iter().any(|span| right.holds(span))),
        story,
    }
}

/// The counts of one kind.
#[derive(Default)]
struct Row {
    mutants: usize,
    same: usize,
    untold: usize,
    /// Of those that are found and missed, the ones that give a sound definition of another model.
    sound: [usize; 2],
    found: usize,
    missed: usize,
    on_line: usize,
    at_once: usize,
}

impl Row {
    fn add(&mut self, outcome: &Outcome) {
        self.mutants += 1;
        match outcome.verdict {
            Verdict::Same => self.same += 1,
            Verdict::Untold => self.untold += 1,
            verdict => {
                self.sound[usize::from(!outcome.found)] += usize::from(verdict == Verdict::Sound);
                self.found += usize::from(outcome.found);
                self.missed += usize::from(!outcome.found);
                self.on_line += usize::from(outcome.on_line);
                self.at_once += usize::from(outcome.at_once);
            }
        }
    }

    fn line(&self, kind: &str) -> String {
        let Self { mutants, same, untold, found, missed, on_line, at_once, .. } = self;
        format!("{kind:34} {mutants:7} {same:5} {untold:8} {found:6} {missed:7} {on_line:8} {at_once:12}\n")
    }
}

#[test]
fn mutants_of_the_shipped_registry_are_found_on_the_line_that_was_edited() {
    let files = Registry::shipped().expect("the shipped registry loads").sources.clone();
    let findings = check(&mut Checker::default(), files.clone());
    assert!(findings.is_empty(), "the clean registry has findings: {}", findings[0]);

    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let mut picked: Vec<Edit> = Vec::new();
    let kinds = std::env::var("OMNI_MUTANT_KIND").unwrap_or_default();
    for (kind, mut sites) in sites::collect(&files) {
        sites.sort_by_cached_key(|edit| sites::draw(kind, &files[edit.file].text, edit.cut.start, &edit.put));
        sites.truncate(number("OMNI_MUTANTS").unwrap_or(EACH));
        if kind.contains(&kinds) {
            picked.extend(sites);
        }
    }
    let clean = Clean::new(files);
    // Neighbours break the same file, so that a checker finds most of what it looked at before unchanged.
    picked.sort_by_key(|edit| edit.file);
    let outcomes: Vec<Outcome> =
        picked.par_iter().map_init(Checker::default, |checker, edit| judge(checker, &clean, edit)).collect();

    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    let mut all = Row::default();
    for outcome in &outcomes {
        rows.entry(outcome.kind).or_default().add(outcome);
        all.add(outcome);
    }
    let mut table = format!(
        "{:34} {:>7} {:>5} {:>8} {:>6} {:>7} {:>8} {:>12}\n",
        "kind", "mutants", "same", "untold", "found", "missed", "on line", "first label"
    );
    for (kind, row) in &rows {
        table += &row.line(kind);
    }
    table += &all.line("all");
    let [sound_found, sound_missed] = all.sound;
    let _ = writeln!(
        table,
        "found {} of {}; {} of {} if sound definitions of another model are left out as well",
        all.found,
        all.found + all.missed,
        all.found - sound_found,
        all.found + all.missed - sound_found - sound_missed
    );
    eprintln!("{table}");
    if std::env::var_os("OMNI_MUTATION_SHOW").is_some() {
        for outcome in outcomes.iter().filter(|outcome| outcome.verdict >= Verdict::Sound && !outcome.at_once)
        {
            let became = match (outcome.found, outcome.on_line) {
                (false, _) => "MISSED",
                (true, false) => "elsewhere",
                (true, true) => "second label",
            };
            eprintln!("{became} {:?} {}", outcome.verdict, outcome.story);
        }
    }
    let counted = all.found + all.missed;
    assert!(rows.len() >= 12, "{} kinds of mutants", rows.len());
    assert!(counted >= 200, "only {counted} mutants change what the registry means\n{table}");
    assert!(all.found * 100 >= counted * 98, "{} of {counted} found\n{table}", all.found);
    assert!(all.on_line * 100 >= counted * 95, "{} of {counted} on the line\n{table}", all.on_line);
}
