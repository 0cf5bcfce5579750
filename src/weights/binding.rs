//! Where every parameter of a model is stored.
//!
//! In: what `bind` found. Out: a [`Binding`], which loading reads from and saving writes back to. Tied
//! parameters that the checkpoint stores all the same are decided on here, by comparing bytes.

use super::checkpoint::Checkpoint;
use super::dtype::StoredDtype;
use super::error::WeightsError;
use super::layout::Layout;
use super::stream;
use crate::plan::Stored;

/// Where every parameter of a model is stored; also what saving needs to write it back so.
#[derive(Debug, Clone)]
pub struct Binding {
    pub(crate) params: Vec<Bound>,
    /// Tensors that no parameter takes.
    pub(crate) unused: Vec<String>,
    /// Positions of parameters that are stored although they are tied, and of what they are tied to.
    pub(crate) open_ties: Vec<(usize, usize)>,
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

impl Source {
    /// The stored tensors that belong to the parameter, a copy of a tied one included.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Stored { stored, .. } => stored.names(),
            Self::Tied { copy, .. } => copy.as_ref().map_or_else(Vec::new, Stored::names),
            Self::Absent => Vec::new(),
        }
    }
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
    pub fn resolve_ties(&mut self, checkpoint: &Checkpoint) -> Result<Vec<TieDisagreement>, WeightsError> {
        let mut disagreements = Vec::new();
        for (tied, target) in std::mem::take(&mut self.open_ties) {
            let to = self.params[target].name.clone();
            let (Source::Stored { stored: copy, .. }, Source::Stored { stored: original, .. }) =
                (&self.params[tied].source, &self.params[target].source)
            else {
                continue;
            };
            let (left, right) = (copy.resolve(checkpoint)?, original.resolve(checkpoint)?);
            if stream::equal(&left, &right, checkpoint)? {
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
