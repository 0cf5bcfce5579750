//! Finds, for every parameter of a model, the tensors that hold it.
//!
//! In: the parameters that a model wants, the checkpoint's headers, and rules for its names. Out: a
//! [`Binding`], or everything that is wrong at once. No weight byte is read, except to compare tied
//! tensors when [`Binding::resolve_ties`] is called.
//!
//! Expected names are made and looked up; the checkpoint is never searched for something that fits.

use std::collections::{BTreeMap, BTreeSet};

use super::binding::{Binding, Bound, Source};
use super::checkpoint::Checkpoint;
use super::layout::Layout;
use super::lookup::Names;
use super::report::{BindReport, MisShaped, Missing};
use super::wanted::{BindRules, Wanted};
use crate::plan::Stored;

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
    let found: Vec<Option<Stored>> = wanted.iter().map(|one| names.look_up(one, &prefixes)).collect();
    let mut binder = Binder { wanted, checkpoint, found, report, open_ties: Vec::new() };
    let params = binder.params();
    let Binder { mut report, open_ties, .. } = binder;

    let used: BTreeSet<&str> = params.iter().flat_map(|bound| bound.source.names()).collect();
    let unused: Vec<String> =
        names.required.iter().filter(|name| !used.contains(*name)).map(|&name| name.into()).collect();
    let failed = !report.is_empty() || (!rules.allow_unused && !unused.is_empty());
    if failed {
        report.unused = unused;
        return Err(Box::new(report));
    }
    let layout = Layout::of(checkpoint, &used);
    Ok(Binding { params, unused, open_ties, layout })
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
        let positions: BTreeMap<&str, usize> =
            self.wanted.iter().enumerate().map(|(at, one)| (one.name.as_str(), at)).collect();
        let targets: Vec<Option<usize>> =
            (0..self.wanted.len()).map(|at| self.target(at, &positions)).collect();
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
                (None, Some(target)) if lent[at] || self.found[target].is_some() => {
                    Source::Tied { to: self.wanted[target].name.clone(), copy: None }
                }
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
            params.push(Bound { name: wanted.name.clone(), shape: wanted.shape.clone(), source });
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
                self.report.faults.push(format!("`{name}` is tied to `{to}`, which is no parameter"));
                return None;
            };
            end = next;
        }
        self.report.faults.push(format!("`{}` is tied in a circle", self.wanted[at].name));
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
                self.report.mis_shaped.push(mis_shaped(Err(error.to_string())));
                Source::Absent
            }
            Ok(node) if node.shape != wanted.shape => {
                self.report.mis_shaped.push(mis_shaped(Ok(node.shape)));
                Source::Stored { stored, dtype: node.dtype }
            }
            Ok(node) => {
                if node.dtype.runtime().is_none() && !node.dtype.is_float() {
                    self.report.unloadable.push((wanted.name.clone(), node.dtype));
                }
                Source::Stored { stored, dtype: node.dtype }
            }
        }
    }
}
