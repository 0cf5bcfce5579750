//! Finds, for every parameter of a model, the tensors that hold it.
//!
//! In: the parameters that a model wants, the checkpoint's headers, and rules for its names. Out: a
//! [`Binding`], or everything that is wrong at once. No weight byte is read, except to compare tied
//! tensors when [`Binding::resolve_ties`] is called.
//!
//! Expected names are made and looked up; the checkpoint is never searched for something that fits.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint::Checkpoint;
use super::dtype::StoredDtype;
use super::error::WeightsError;
use super::layout::Layout;
use super::names::{Renames, globs};
use super::report::{BindReport, Duplicate, MisShaped, Missing};
use super::stored::Stored;
use super::stream;

/// A parameter that a model wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its path in the model.
    pub name: String,
    /// Its shape in the model.
    pub shape: Vec<usize>,
    /// How it may be stored, first choice first. The first of which every tensor is there is taken.
    pub stored: Vec<Stored>,
    /// The parameter whose values it shares, unless the checkpoint holds others for it.
    pub tied_to: Option<String>,
    /// Whether the model does without it.
    pub optional: bool,
}

impl Wanted {
    /// A parameter that is stored under its own name.
    #[must_use]
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        let name = name.into();
        let stored = vec![Stored::tensor(name.as_str())];
        Self {
            name,
            shape: shape.into(),
            stored,
            tied_to: None,
            optional: false,
        }
    }
}

/// What to do with the names of a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct BindRules {
    /// Roots that the checkpoint may put before its names. The one that finds most is tried first.
    /// None given means names as they are.
    pub prefixes: Vec<Prefix>,
    /// Pairs of templates, applied to the checkpoint's names one after another: `{x}.gamma` to
    /// `{x}.weight`. `{i}`, `{j}` and `{k}` stand for a number, any other `{word}` for any text.
    pub rename: Vec<(String, String)>,
    /// Globs of tensors that need not be used.
    pub ignore: Vec<String>,
    /// Whether unused tensors are listed in the binding rather than being an error.
    pub allow_unused: bool,
}

/// One way in which a checkpoint's names differ from the model's at their root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefix {
    /// What the model's name begins with and the checkpoint's does not.
    pub strip: String,
    /// What the checkpoint's name begins with and the model's does not.
    pub add: String,
}

impl From<&str> for Prefix {
    /// The checkpoint puts this before every name.
    fn from(add: &str) -> Self {
        Self {
            strip: String::new(),
            add: add.to_owned(),
        }
    }
}

impl Prefix {
    fn apply(&self, name: &str) -> String {
        format!(
            "{}{}",
            self.add,
            name.strip_prefix(&self.strip).unwrap_or(name)
        )
    }
}

/// Where every parameter of a model is stored; also what saving needs to write it back so.
#[derive(Debug, Clone)]
pub struct Binding {
    params: Vec<Bound>,
    /// Tensors that no parameter takes.
    unused: Vec<String>,
    /// Positions of parameters that are stored although they are tied, and of what they are tied to.
    open_ties: Vec<(usize, usize)>,
    pub(crate) layout: Layout,
}

/// One bound parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Its path in the model.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Where its values come from.
    pub source: Source,
}

/// Where a parameter's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From the checkpoint, in this dtype.
    Stored {
        /// How it is stored, with the checkpoint's own names.
        stored: Stored,
        /// The type of its elements.
        dtype: StoredDtype,
    },
    /// From another parameter.
    Tied {
        /// The other parameter.
        to: String,
        /// The copy that the checkpoint holds all the same; saving writes it again.
        copy: Option<Stored>,
    },
    /// From nowhere: it is optional and the checkpoint does not hold it.
    Absent,
}

/// A tied parameter for which the checkpoint holds other values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TieDisagreement {
    /// The parameter.
    pub name: String,
    /// What it should be tied to.
    pub to: String,
}

impl Binding {
    /// Every parameter, in the order in which they were wanted.
    #[must_use]
    pub fn params(&self) -> &[Bound] {
        &self.params
    }

    /// Tensors of the checkpoint that no parameter takes.
    #[must_use]
    pub fn unused(&self) -> &[String] {
        &self.unused
    }

    /// Every tied parameter and what it is tied to.
    pub fn ties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().filter_map(|bound| match &bound.source {
            Source::Tied { to, .. } => Some((bound.name.as_str(), to.as_str())),
            _ => None,
        })
    }

    /// Decides on tied parameters that the checkpoint stores all the same, by comparing the bytes: equal
    /// ones are tied; others stay as they are stored, and are reported.
    ///
    /// # Errors
    ///
    /// If the bytes cannot be read.
    pub fn resolve_ties(
        &mut self,
        checkpoint: &Checkpoint,
    ) -> Result<Vec<TieDisagreement>, WeightsError> {
        let mut disagreements = Vec::new();
        for (tied, target) in std::mem::take(&mut self.open_ties) {
            let to = self.params[target].name.clone();
            let (
                Source::Stored { stored: copy, .. },
                Source::Stored {
                    stored: original, ..
                },
            ) = (&self.params[tied].source, &self.params[target].source)
            else {
                continue;
            };
            let (left, right) = (copy.resolve(checkpoint)?, original.resolve(checkpoint)?);
            let equal = left.dtype == right.dtype
                && *stream::whole(&left, checkpoint)? == *stream::whole(&right, checkpoint)?;
            if equal {
                let copy = Some(copy.clone());
                self.params[tied].source = Source::Tied { to, copy };
            } else {
                let name = self.params[tied].name.clone();
                disagreements.push(TieDisagreement { name, to });
            }
        }
        Ok(disagreements)
    }
}

/// Binds what a model wants to what a checkpoint holds.
///
/// # Errors
///
/// A [`BindReport`] with everything that does not fit.
pub fn bind(
    wanted: &[Wanted],
    checkpoint: &Checkpoint,
    rules: &BindRules,
) -> Result<Binding, Box<BindReport>> {
    let mut report = BindReport::default();
    let names = match Names::read(checkpoint, rules) {
        Ok(names) => names,
        Err(error) => {
            report.faults.push(error.to_string());
            return Err(Box::new(report));
        }
    };
    report.duplicates.clone_from(&names.duplicates);
    let prefixes = names.order(wanted, &rules.prefixes);
    let found: Vec<Option<Stored>> = wanted
        .iter()
        .map(|one| names.look_up(one, &prefixes))
        .collect();
    let mut binder = Binder {
        wanted,
        checkpoint,
        found,
        report,
        open_ties: Vec::new(),
    };
    let params = binder.params();
    let Binder {
        mut report,
        open_ties,
        ..
    } = binder;

    let used: BTreeSet<&str> = params
        .iter()
        .flat_map(|bound| stored_names(&bound.source))
        .collect();
    let unused: Vec<String> = names
        .required
        .iter()
        .filter(|name| !used.contains(*name))
        .map(|&name| name.into())
        .collect();
    let failed = !report.is_empty() || (!rules.allow_unused && !unused.is_empty());
    if failed {
        report.unused = unused;
        return Err(Box::new(report));
    }
    let layout = Layout::of(checkpoint, &used);
    Ok(Binding {
        params,
        unused,
        open_ties,
        layout,
    })
}

fn stored_names(source: &Source) -> Vec<&str> {
    match source {
        Source::Stored { stored, .. }
        | Source::Tied {
            copy: Some(stored), ..
        } => stored.names(),
        Source::Tied { copy: None, .. } | Source::Absent => Vec::new(),
    }
}

/// The checkpoint's names as the model would say them.
struct Names<'a> {
    /// The checkpoint's own name, by the name after renaming.
    own: BTreeMap<String, &'a str>,
    /// Own names that must be used.
    required: Vec<&'a str>,
    duplicates: Vec<Duplicate>,
}

impl<'a> Names<'a> {
    fn read(checkpoint: &'a Checkpoint, rules: &BindRules) -> Result<Self, WeightsError> {
        let renames = Renames::compile(&rules.rename)?;
        let ignored = globs(&rules.ignore)?;
        let mut all: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut required = Vec::new();
        for (name, _) in checkpoint.tensors() {
            let said = renames.apply(name);
            if !ignored.is_match(name) && !ignored.is_match(&said) {
                required.push(name);
            }
            all.entry(said).or_default().push(name);
        }
        let duplicates = all
            .iter()
            .filter(|(_, stored)| stored.len() > 1)
            .map(|(name, stored)| Duplicate {
                name: name.clone(),
                stored: stored.iter().map(|&name| name.to_owned()).collect(),
            })
            .collect();
        let own = all
            .into_iter()
            .map(|(name, stored)| (name, stored[0]))
            .collect();
        Ok(Self {
            own,
            required,
            duplicates,
        })
    }

    /// The prefixes, the one under which most is found first.
    fn order(&self, wanted: &[Wanted], prefixes: &[Prefix]) -> Vec<Prefix> {
        if prefixes.is_empty() {
            return vec![Prefix::default()];
        }
        let score = |prefix: &Prefix| {
            wanted
                .iter()
                .filter(|one| self.under(one, prefix).is_some())
                .count()
        };
        let mut scored: Vec<(usize, Prefix)> = prefixes
            .iter()
            .map(|prefix| (score(prefix), prefix.clone()))
            .collect();
        scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        scored.into_iter().map(|(_, prefix)| prefix).collect()
    }

    fn look_up(&self, wanted: &Wanted, prefixes: &[Prefix]) -> Option<Stored> {
        prefixes
            .iter()
            .find_map(|prefix| self.under(wanted, prefix))
    }

    fn under(&self, wanted: &Wanted, prefix: &Prefix) -> Option<Stored> {
        let mut own = |name: &str| self.own.get(&prefix.apply(name)).map(|&own| own.to_owned());
        wanted
            .stored
            .iter()
            .find_map(|stored| stored.rename(&mut own))
    }
}

/// The parameters on their way to being bound.
struct Binder<'a> {
    wanted: &'a [Wanted],
    checkpoint: &'a Checkpoint,
    /// How each is stored, if it is.
    found: Vec<Option<Stored>>,
    report: BindReport,
    open_ties: Vec<(usize, usize)>,
}

impl Binder<'_> {
    fn params(&mut self) -> Vec<Bound> {
        let positions: BTreeMap<&str, usize> = self
            .wanted
            .iter()
            .enumerate()
            .map(|(at, one)| (one.name.as_str(), at))
            .collect();
        let targets: Vec<Option<usize>> = (0..self.wanted.len())
            .map(|at| self.target(at, &positions))
            .collect();
        let mut lent = vec![false; self.wanted.len()];
        for (at, target) in targets.iter().enumerate() {
            // The checkpoint may hold the values under the name of any of the tied parameters.
            if let Some(target) = *target
                && self.found[target].is_none()
                && self.found[at].is_some()
            {
                self.found[target] = self.found[at].take();
                lent[at] = true;
            }
        }
        let mut params = Vec::with_capacity(self.wanted.len());
        for (at, target) in targets.into_iter().enumerate() {
            let wanted = &self.wanted[at];
            let source = match (self.found[at].clone(), target) {
                (Some(stored), target) => {
                    self.open_ties.extend(target.map(|target| (at, target)));
                    self.check(wanted, stored)
                }
                (None, Some(target)) if lent[at] || self.found[target].is_some() => Source::Tied {
                    to: self.wanted[target].name.clone(),
                    copy: None,
                },
                (None, _) => {
                    if !wanted.optional {
                        self.report.missing.push(Missing {
                            name: wanted.name.clone(),
                            shape: wanted.shape.clone(),
                            tried: wanted.stored.iter().map(ToString::to_string).collect(),
                        });
                    }
                    Source::Absent
                }
            };
            params.push(Bound {
                name: wanted.name.clone(),
                shape: wanted.shape.clone(),
                source,
            });
        }
        params
    }

    /// What a parameter is tied to in the end; ties may follow one another, but not in a circle.
    fn target(&mut self, at: usize, positions: &BTreeMap<&str, usize>) -> Option<usize> {
        let mut end = at;
        for _ in 0..self.wanted.len() {
            let Some(to) = self.wanted[end].tied_to.as_deref() else {
                return (end != at).then_some(end);
            };
            let Some(&next) = positions.get(to) else {
                let name = &self.wanted[end].name;
                self.report
                    .faults
                    .push(format!("`{name}` is tied to `{to}`, which is no parameter"));
                return None;
            };
            end = next;
        }
        self.report
            .faults
            .push(format!("`{}` is tied in a circle", self.wanted[at].name));
        None
    }

    fn check(&mut self, wanted: &Wanted, stored: Stored) -> Source {
        let mis_shaped = |found| MisShaped {
            name: wanted.name.clone(),
            expected: wanted.shape.clone(),
            stored: stored.to_string(),
            found,
        };
        match stored.resolve(self.checkpoint) {
            Err(error) => {
                self.report
                    .mis_shaped
                    .push(mis_shaped(Err(error.to_string())));
                Source::Absent
            }
            Ok(node) if node.shape != wanted.shape => {
                self.report.mis_shaped.push(mis_shaped(Ok(node.shape)));
                Source::Stored {
                    stored,
                    dtype: node.dtype,
                }
            }
            Ok(node) => {
                if node.dtype.runtime().is_none() && !node.dtype.is_float() {
                    self.report
                        .unloadable
                        .push((wanted.name.clone(), node.dtype));
                }
                Source::Stored {
                    stored,
                    dtype: node.dtype,
                }
            }
        }
    }
}
