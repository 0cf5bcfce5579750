//! Saving a model in the layout that was read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::model::Model;
use crate::weights::{Binding, SaveOptions, WeightsError};

/// Where a model was read from, or is going to be stored: what saving needs to write it so.
#[derive(Debug)]
pub struct Origin {
    pub(crate) binding: Binding,
    pub(crate) config: Vec<u8>,
    /// None if it was never stored.
    pub(crate) dir: Option<PathBuf>,
}

impl Model {
    /// The directory that the model was read from, if it was.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.origin.as_ref().and_then(|origin| origin.dir.as_deref())
    }

    /// Writes `config.json` and the weights into a directory, in the layout and the dtype that were read.
    ///
    /// # Errors
    /// If the directory cannot be written, or if the model was not read from a checkpoint.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, WeightsError> {
        self.save_with(dir, SaveOptions::default())
    }

    /// As [`Model::save`], with a choice of dtype and of the size of files.
    ///
    /// # Errors
    /// As [`Model::save`].
    pub fn save_with(
        &self,
        dir: impl AsRef<Path>,
        options: SaveOptions,
    ) -> Result<Vec<PathBuf>, WeightsError> {
        let Some(origin) = &self.origin else {
            return Err(WeightsError::Absent {
                name: "the checkpoint that the model was read from".to_owned(),
            });
        };
        let scalars: BTreeSet<&str> = {
            let bound = origin.binding.params().iter();
            bound.filter(|bound| bound.shape.is_empty()).map(|bound| bound.name.as_str()).collect()
        };
        let tensors = self.params.iter().map(|(name, param)| {
            let mut data = param.value().to_host();
            if scalars.contains(name) {
                data.shape = Vec::<usize>::new().into();
            }
            (name.to_owned(), data)
        });
        crate::weights::save(dir, tensors, &origin.binding, &origin.config, options)
    }
}
