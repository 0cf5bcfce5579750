//! A definition to start from, for an architecture that has none.
//!
//! Takes the facts of a directory; gives an overlay that extends the nearest definition: by the checkpoint's tensors,
//! else by name. What can be told from the headers is filled in (a rename where a missing tensor and an unused one
//! can only be the same, a spelling of a config field that another table knows), what cannot is said in comments.
//!
//! Absent on purpose: guesses about what the model computes. Names and shapes say what is stored, not what it means.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::complete::checkpoint;
use super::fingerprint::{self, candidate};
use super::fit::unread_config_keys;
use super::load::{LoadError, bind, made_of_models};
use super::renames::{Rename, renames};
use crate::diag::Problem;
use crate::facts::Facts;
use crate::lang::Program;
use crate::matcher::{Candidate, Match, Matcher, NoMatch, Step};
use crate::registry::{Architecture, Registry};
use crate::weights::{BindReport, Checkpoint, group};

/// An overlay to start from.
#[derive(Debug, Clone)]
pub struct Scaffold {
    /// The architecture that it defines.
    pub architecture: String,
    /// The architecture whose definition it extends.
    pub extends: String,
    /// How the checkpoint's tensors compare with those of that definition; `None` if there is none to compare.
    pub candidate: Option<Candidate>,
    /// The registry file.
    pub text: String,
}

/// How many tensors or keys a comment lists.
const LISTED: usize = 40;

/// How many definitions are built and compared, with those that are as near as the last of them.
const COMPARED: usize = 5;

/// From which part of all tensors on a definition is near enough to look no further.
const NEAR: f64 = 0.5;

/// Writes an overlay for what is in a directory.
///
/// # Errors
/// If there is a definition already, or none that is near.
pub fn scaffold(registry: &Registry, facts: &Facts) -> Result<Scaffold, LoadError> {
    let outcome = Matcher::new(registry).find(facts);
    if let Some(problem) = outcome.as_ref().ok().and_then(|found| made_of_models(facts, found)) {
        return Err(problem.into());
    }
    let name = own_name(facts, &outcome);
    if registry.architectures.contains_key(&name) {
        let message = format!("`{name}` has a definition already");
        let help = "`omni check --model DIR` says how the checkpoint compares with it; if its config names nothing, add \
                    `architectures` to it";
        return Err(Problem::unplaced("already-defined", message).help(help).into());
    }
    let config = outcome.as_ref().map_or_else(|_| facts.value(), |found| found.config(facts));
    let checkpoint = checkpoint(facts, &[]).ok();
    let Some((base, candidate)) = nearest(registry, checkpoint.as_ref(), config, &name, &outcome) else {
        let message = format!("no definition is near `{name}`");
        return Err(Problem::unplaced("nothing-near", message)
            .help("write one from its layers: registry/README.md shows how")
            .into());
    };
    let names_something = !facts.architectures().is_empty()
        || facts.model_type().is_some()
        || outcome.as_ref().is_ok_and(|found| found.architecture.is_some());
    if candidate.is_none() && !names_something {
        let message =
            "nothing tells what this is near: its config names nothing, and there are no weights to compare";
        return Err(Problem::unplaced("nothing-near", message)
            .help("add `architectures` or `model_type` to its config.json, or put its weights beside it")
            .into());
    }
    let draft = Draft { registry, facts, config, checkpoint: checkpoint.as_ref(), name: &name, base };
    Ok(Scaffold {
        text: draft.write(outcome.as_ref().ok()),
        extends: base.name.text.clone(),
        candidate,
        architecture: name,
    })
}

/// What the architecture is to be called: as the config does, else after its model type or its directory.
fn own_name(facts: &Facts, outcome: &Result<Match, Box<NoMatch>>) -> String {
    if let Some(claimed) = facts.architectures().first() {
        return (*claimed).to_owned();
    }
    let known = outcome.as_ref().ok().and_then(|found| found.architecture.as_ref());
    if let Some(found) = known.filter(|found| found.step != Step::Layout) {
        return found.name.clone();
    }
    let words = facts.model_type().unwrap_or_else(|| facts.name().rsplit('/').next().unwrap_or("model"));
    let words = words.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut name: String = words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
    if !name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        name.insert_str(0, "Model");
    }
    name
}

/// The definition whose tensors come nearest, among equals the one spelt most alike; else the nearest by name.
fn nearest<'r>(
    registry: &'r Registry,
    checkpoint: Option<&Checkpoint>,
    config: &Value,
    name: &str,
    outcome: &Result<Match, Box<NoMatch>>,
) -> Option<(&'r Architecture, Option<Candidate>)> {
    let best = checkpoint.and_then(|open| {
        let near = fingerprint::nearest(registry, open, COMPARED).into_iter().map(|(_, base)| base);
        let near =
            best(registry, near, open, config, name).filter(|(_, candidate)| candidate.score() >= NEAR);
        // Where no names are near, a rename may still bring together what they do not.
        near.or_else(|| best(registry, registry.architectures.values(), open, config, name))
    });
    if let Some((base, candidate)) = best {
        return Some((base, Some(candidate)));
    }
    let task = outcome.as_ref().ok().and_then(|found| found.architecture.as_ref());
    let task = task.map(|found| found.task.as_str()).unwrap_or_default();
    let category = match outcome {
        Ok(found) => Some(&found.category),
        Err(reasons) => reasons.category.as_ref(),
    };
    let category = category.map(String::as_str).unwrap_or_default();
    let by_name = Matcher::new(registry).nearest_definition(name, category, task)?;
    Some((registry.architectures.get(&by_name)?, None))
}

/// The one of these definitions whose tensors come nearest, what a rename can bring together counting as there.
fn best<'r>(
    registry: &'r Registry,
    bases: impl Iterator<Item = &'r Architecture>,
    open: &Checkpoint,
    config: &Value,
    name: &str,
) -> Option<(&'r Architecture, Candidate)> {
    let compare = |base: &'r Architecture| {
        let spelt = spelt(config, &spellings(registry, base, config));
        let (mut candidate, report) = candidate(registry, base, &spelt, open).ok()?;
        let renamed = renames(&report, open).iter().map(|rename| rename.covered.len() / 2).sum::<usize>();
        candidate.agree += renamed;
        candidate.missing = candidate.missing.saturating_sub(renamed);
        candidate.unexpected = candidate.unexpected.saturating_sub(renamed);
        Some((base, candidate)).filter(|(_, candidate)| candidate.agree > 0)
    };
    let alike = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    bases.filter_map(compare).max_by(|(_, a), (_, b)| {
        let alike = || alike(&a.architecture).total_cmp(&alike(&b.architecture));
        let name = || b.architecture.cmp(&a.architecture);
        a.score().total_cmp(&b.score()).then_with(alike).then_with(name)
    })
}

/// Fields of a definition that this config spells otherwise, by what any table of the registry knows.
fn spellings(registry: &Registry, base: &Architecture, config: &Value) -> Vec<(String, String)> {
    let Some(table) = base.config.as_ref().and_then(|name| registry.config(name).ok()) else {
        return Vec::new();
    };
    let here = |name: &str| config.get(name).is_some_and(|value| !value.is_null());
    let aliased = |name: &str| table.aliases.iter().any(|(ours, theirs)| ours == name && here(theirs));
    let is_read = |name: &str| {
        table.fields.contains_key(name) || table.aliases.iter().any(|(_, theirs)| theirs == name)
    };
    let mut spellings = Vec::new();
    for name in table.fields.keys().filter(|name| !here(name) && !aliased(name)) {
        let pairs = registry.configs.values().flat_map(|table| &table.aliases);
        let mut others = pairs.filter_map(|(ours, theirs)| match (ours == name, theirs == name) {
            (true, _) => Some(theirs),
            (_, true) => Some(ours),
            _ => None,
        });
        let other = others.find(|other| here(other) && !is_read(other));
        spellings.extend(other.map(|other| (name.clone(), other.clone())));
    }
    spellings
}

/// The config with those fields under the names that the definition knows.
fn spelt(config: &Value, spellings: &[(String, String)]) -> Value {
    let mut config = config.clone();
    for (ours, theirs) in spellings {
        config[ours] = config[theirs].clone();
    }
    config
}

struct Draft<'a> {
    registry: &'a Registry,
    facts: &'a Facts,
    config: &'a Value,
    checkpoint: Option<&'a Checkpoint>,
    name: &'a str,
    base: &'a Architecture,
}

impl Draft<'_> {
    fn write(&self, found: Option<&Match>) -> String {
        let base = &self.base.name.text;
        let known = found.and_then(|found| found.architecture.as_ref());
        let (category, task) = match known {
            Some(known) if known.name == self.name => (known.category.as_str(), known.task.as_str()),
            _ => (self.base.category.text.as_str(), self.base.task.text.as_str()),
        };
        let spellings = spellings(self.registry, self.base, self.config);
        let (report, unread, fault) = self.compare(&spellings);
        let report = report.unwrap_or_default();
        let renames = self.checkpoint.map(|open| renames(&report, open)).unwrap_or_default();
        let mut text = format!(
            "# {}, as far as its config and the names in its checkpoint tell: it extends {base}.\n",
            printable(self.name)
        );
        comments(&mut text, "What does not fit yet:", fault);
        let left = |names: BTreeSet<&str>, renamed: &BTreeSet<&str>| {
            group(names.into_iter().filter(|name| !renamed.contains(name)))
        };
        let covered: BTreeSet<&str> =
            renames.iter().flat_map(|rename| &rename.covered).map(String::as_str).collect();
        let missing = left(report.missing.iter().map(|one| one.name.as_str()).collect(), &covered);
        let unused = left(report.unused.iter().map(String::as_str).collect(), &covered);
        let missing = missing.iter().map(|group| {
            let of = report.missing.iter().find(|one| one.name == group.example);
            format!("{} {:?}", group.title, of.map(|one| one.shape.as_slice()).unwrap_or_default())
        });
        comments(&mut text, "Tensors that it expects and the checkpoint lacks:", missing);
        let unused = unused.iter().map(|group| {
            let shape = self.checkpoint.and_then(|open| open.get(&group.example)).map(|entry| &entry.shape);
            format!("{} {:?}", group.title, shape.map(Vec::as_slice).unwrap_or_default())
        });
        comments(&mut text, "Tensors of the checkpoint that it does not take:", unused);
        let reshaped = report.mis_shaped.iter().map(|one| {
            let found = match &one.found {
                Ok(found) => format!("{found:?}"),
                Err(reason) => reason.clone(),
            };
            format!("{}: found {found}, expected {:?}", one.name, one.expected)
        });
        comments(&mut text, "Tensors of another shape:", reshaped);
        comments(&mut text, "Keys of the config that it does not read:", unread);
        let _ = write!(text, "\n[architectures.{}]\n", key(self.name));
        let _ = writeln!(text, "category    = {}", quoted(category));
        let _ = writeln!(text, "task        = {}", quoted(task));
        if let Some(model_type) = self.facts.model_type().filter(|_| self.claims_its_type()) {
            let _ = writeln!(text, "model-types = [{}]", quoted(model_type));
        }
        let table = self.own_table(&spellings);
        let config = table.or(self.base.config.as_ref().map(|name| name.text.as_str()));
        if let Some(table) = config {
            let _ = writeln!(text, "config      = {}", quoted(table));
        }
        self.inherited(&mut text, &renames);
        if let (Some(table), Some(base)) = (table, &self.base.config) {
            let _ = write!(text, "\n[config.{}]\nextends = {}\n", key(table), quoted(&base.text));
            let pairs: Vec<String> = spellings
                .iter()
                .map(|(ours, theirs)| format!("{} = {}", key(ours), quoted(theirs)))
                .collect();
            let _ = writeln!(text, "aliases = {{ {} }}", pairs.join(", "));
        }
        let _ =
            write!(text, "\n[modules.{}]\nextends = {}\n", key(self.name), quoted(&self.base.module.text));
        text
    }

    /// Whether the model type is this architecture's to claim: no definition has it.
    fn claims_its_type(&self) -> bool {
        let model_type = self.facts.model_type().unwrap_or_default();
        let claimed = |entry: &Architecture| entry.model_types.iter().any(|name| name.text == model_type);
        !self.registry.architectures.values().any(claimed)
    }

    /// What an architecture does not inherit by extending a module: prefixes, ignored tensors, renames.
    fn inherited(&self, text: &mut String, renames: &[Rename]) {
        let list = |items: &[String]| items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ");
        if !self.base.prefixes.is_empty() {
            let _ = writeln!(text, "prefixes    = [{}]", list(&self.base.prefixes));
        }
        if !self.base.ignore.is_empty() {
            let _ = writeln!(text, "ignore      = [{}]", list(&self.base.ignore));
        }
        let inherited = self.base.rename.iter().map(|(from, to)| (from.as_str(), to.as_str()));
        let own = renames.iter().map(|rename| (rename.from.as_str(), rename.to.as_str()));
        let pairs: BTreeMap<&str, &str> = inherited.chain(own).collect();
        if !renames.is_empty() {
            text.push_str("# Paired by shape and spelling: see that each is what it is taken for.\n");
        }
        for (from, to) in pairs {
            let _ = writeln!(text, "rename.{} = {}", quoted(from), quoted(to));
        }
    }

    /// The name of a config table of its own, if it needs one and the name is free.
    fn own_table(&self, spellings: &[(String, String)]) -> Option<&str> {
        let name = self.facts.model_type().unwrap_or(self.name);
        (!spellings.is_empty() && !self.registry.configs.contains_key(name)).then_some(name)
    }

    /// What does not fit between the checkpoint and the definition that is extended.
    fn compare(&self, spellings: &[(String, String)]) -> (Option<BindReport>, Vec<String>, Option<String>) {
        let config = spelt(self.config, spellings);
        let mut program = match Program::build(self.registry, self.base, &config, None) {
            Ok(program) => program,
            Err(problem) => return (None, Vec::new(), Some(problem.to_string())),
        };
        let (mut unread, problems) = unread_config_keys(&mut program);
        unread.retain(|key| !spellings.iter().any(|(_, theirs)| theirs == key));
        let fault = problems.into_iter().next().map(|problem| problem.to_string());
        let report = self.checkpoint.and_then(|open| {
            let ignored = program.ignored().unwrap_or_default();
            bind(self.base, ignored, program.params(), open).err()
        });
        (report.map(|report| *report), unread, fault)
    }
}

/// Some lines of comment under a title, or nothing.
fn comments(text: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let lines: Vec<String> = lines.into_iter().collect();
    if lines.is_empty() {
        return;
    }
    let _ = write!(text, "#\n# {title}\n");
    for line in lines.iter().take(LISTED) {
        let _ = writeln!(text, "#   {}", printable(line));
    }
    if lines.len() > LISTED {
        let _ = writeln!(text, "#   … {} in all", lines.len());
    }
}

/// What a comment can hold.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A key of TOML, quoted where it has to be.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { name.to_owned() } else { quoted(name) }
}

/// A string of TOML on one line: as in JSON, but for one letter.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rayon::prelude::*;

    use super::*;
    use crate::facts;

    /// A model whose definition is left out, and then those as near as that one, is as near to one of a few.
    #[test]
    fn the_nearest_of_a_few_is_the_nearest_of_all() {
        let registry = Registry::shipped().expect("no errors");
        let parity = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
        let entries = std::fs::read_dir(parity).expect("there").map(|entry| entry.expect("an entry").path());
        let folders: Vec<_> = entries.filter(|path| path.join("model.safetensors").is_file()).collect();
        let near = folders.par_iter().map(|folder| {
            let facts = facts::read(folder).expect("facts");
            let open = checkpoint(&facts, &[]).expect("a checkpoint");
            let score = |base| {
                best(registry, [base].into_iter(), &open, facts.value(), "").map(|(_, one)| one.score())
            };
            let all: Vec<_> =
                registry.architectures.values().filter_map(|base| Some((base, score(base)?))).collect();
            let ranked = fingerprint::nearest(registry, &open, registry.architectures.len());
            let (mut least, mut near) = (f64::INFINITY, 0);
            for _ in 0..3 {
                let left: Vec<_> = all.iter().filter(|(_, score)| *score < least).collect();
                let most = left.iter().map(|(_, score)| *score).fold(0.0, f64::max);
                let few = ranked
                    .iter()
                    .filter_map(|(_, base)| left.iter().find(|(other, _)| std::ptr::eq(*other, *base)));
                let few = few.take(COMPARED).map(|(_, score)| *score).fold(0.0, f64::max);
                if few >= NEAR {
                    near += 1;
                    assert!(few >= most, "{}: {few} of a few, {most} of all", folder.display());
                }
                least = most;
            }
            near
        });
        let near: usize = near.sum();
        assert!(near >= folders.len() && near > 15, "{near} of {}", folders.len());
    }
}
