//! Looks up the names that a model expects among those that a checkpoint has.
//!
//! In: the checkpoint's names and the rules. Out: for a wanted parameter, the expression with the
//! checkpoint's own names, or nothing.

use std::collections::BTreeMap;

use super::checkpoint::Checkpoint;
use super::error::WeightsError;
use super::names::{Renames, globs};
use super::report::Duplicate;
use super::wanted::{BindRules, Prefix, Wanted};
use crate::plan::Stored;

/// The checkpoint's names as the model would say them.
pub(crate) struct Names<'a> {
    /// The checkpoint's own name, by the name after renaming.
    own: BTreeMap<String, &'a str>,
    /// Own names that must be used.
    pub(crate) required: Vec<&'a str>,
    /// Names that several tensors have after renaming.
    pub(crate) duplicates: Vec<Duplicate>,
}

impl<'a> Names<'a> {
    pub(crate) fn read(checkpoint: &'a Checkpoint, rules: &BindRules) -> Result<Self, WeightsError> {
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
        let own = all.into_iter().map(|(name, stored)| (name, stored[0])).collect();
        Ok(Self { own, required, duplicates })
    }

    /// The prefixes, the one under which most is found first.
    pub(crate) fn order(&self, wanted: &[Wanted], prefixes: &[Prefix]) -> Vec<Prefix> {
        if prefixes.is_empty() {
            return vec![Prefix::default()];
        }
        let score = |prefix: &Prefix| wanted.iter().filter(|one| self.under(one, prefix).is_some()).count();
        let mut scored: Vec<(usize, Prefix)> =
            prefixes.iter().map(|prefix| (score(prefix), prefix.clone())).collect();
        scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        scored.into_iter().map(|(_, prefix)| prefix).collect()
    }

    /// How the parameter is stored, under the first prefix and as the first alternative that is there.
    pub(crate) fn look_up(&self, wanted: &Wanted, prefixes: &[Prefix]) -> Option<Stored> {
        prefixes.iter().find_map(|prefix| self.under(wanted, prefix))
    }

    fn under(&self, wanted: &Wanted, prefix: &Prefix) -> Option<Stored> {
        let mut own = |name: &str| self.own.get(&prefix.apply(name)).map(|&own| own.to_owned());
        wanted.stored.iter().find_map(|stored| stored.rename(&mut own))
    }
}
