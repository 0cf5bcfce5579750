//! Reads a shard index and compares it with the shards, both ways.
//!
//! In: `*.index.json`, and what each shard holds. Out: the shards in order, or every disagreement.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use super::error::WeightsError;
use super::fault::IndexProblem;
use super::source::open_file;
use crate::facts::{MAX_HEADER, ShardIndex};

/// A parsed index.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The tensor's name and its shard, by name.
    pub(crate) weight_map: BTreeMap<String, String>,
    /// Names that the index holds twice.
    twice: Vec<String>,
}

impl Index {
    /// Reads an index. Shards that lead out of the directory are problems, found by [`Index::paths`].
    pub(crate) fn read(path: &Path) -> Result<Self, WeightsError> {
        let unreadable = |reason: String| WeightsError::Index {
            file: path.to_owned(),
            problems: vec![IndexProblem::Unreadable(reason)],
        };
        let (file, len) = open_file(path)?;
        if len > MAX_HEADER {
            return Err(unreadable(format!("it has {len} bytes, at most {MAX_HEADER} are read")));
        }
        let mut json = Vec::new();
        file.take(MAX_HEADER).read_to_end(&mut json).map_err(WeightsError::io(path))?;
        let ShardIndex(pairs) = ShardIndex::parse(&json).map_err(|fault| unreadable(fault.to_string()))?;
        let mut index = Self::default();
        for (tensor, shard) in pairs {
            match index.weight_map.entry(tensor.into_owned()) {
                Entry::Occupied(entry) => index.twice.push(entry.key().clone()),
                Entry::Vacant(entry) => {
                    entry.insert(shard.into_owned());
                }
            }
        }
        Ok(index)
    }

    /// The shards, sorted, each with the number of its tensors.
    pub(crate) fn shards(&self) -> BTreeMap<&str, usize> {
        let mut shards = BTreeMap::new();
        for shard in self.weight_map.values() {
            *shards.entry(shard.as_str()).or_insert(0) += 1;
        }
        shards
    }

    /// Compares the index with what the readable shards hold.
    pub(crate) fn compare(&self, held: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<IndexProblem> {
        let mut problems: Vec<IndexProblem> =
            self.twice.iter().map(|tensor| IndexProblem::NamedTwice { tensor: tensor.clone() }).collect();
        for (tensor, shard) in &self.weight_map {
            if held.get(shard.as_str()).is_some_and(|names| !names.contains(tensor.as_str())) {
                let instead = held
                    .iter()
                    .find(|(_, names)| names.contains(tensor.as_str()))
                    .map(|(other, _)| (*other).to_owned());
                problems.push(IndexProblem::NotInShard {
                    tensor: tensor.clone(),
                    shard: shard.clone(),
                    instead,
                });
            }
        }
        for (shard, names) in held {
            for tensor in names {
                problems.extend(self.placed_elsewhere(tensor, shard, held));
            }
        }
        problems
    }

    fn placed_elsewhere(
        &self,
        tensor: &str,
        shard: &str,
        held: &BTreeMap<&str, BTreeSet<&str>>,
    ) -> Option<IndexProblem> {
        let Some(named) = self.weight_map.get(tensor) else {
            let (tensor, shard) = (tensor.to_owned(), shard.to_owned());
            return Some(IndexProblem::NotInIndex { tensor, shard });
        };
        let there_too =
            named != shard && held.get(named.as_str()).is_some_and(|names| names.contains(tensor));
        there_too.then(|| IndexProblem::Duplicate {
            tensor: tensor.to_owned(),
            shard: named.clone(),
            other: shard.to_owned(),
        })
    }
}
