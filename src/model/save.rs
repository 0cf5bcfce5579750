//! Saving a model in the layout that was read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::model::Model;
use crate::weights::{Binding, SaveOptions, WeightsError};

/// Where a model was read from, or is going to be stored: what saving needs to write it so.
#[derive(Debug)]
pub struct Origin {
    pub(crate) binding: Binding,
    /// The config's file name and text; none where there is no config, as beside some sparse autoencoders.
    pub(crate) config: Option<(String, Vec<u8>)>,
    /// None if it was never stored.
    pub(crate) dir: Option<PathBuf>,
}

impl Model {
    /// The directory that the model was read from, if it was.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.origin.as_ref().and_then(|origin| origin.dir.as_deref())
    }

    /// Writes the config and the weights into a directory, in the layout and the dtype that were read.
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
        let config = origin.config.as_ref().map(|(name, text)| (name.as_str(), text.as_slice()));
        crate::weights::save(dir, tensors, &origin.binding, config, options)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fs;

    use serde_json::json;

    use crate::diag::Source;
    use crate::model::{Loader, Model};
    use crate::ops::backend::Device;
    use crate::registry::Registry;
    use crate::weights::Checkpoint;

    const RESHAPED: &str = r#"
        [architectures.Reshaped]
        category = "transformers"
        task     = "embed"
        config   = "reshaped"
        [config.reshaped]
        defaults = { inner = 3 }
        [modules.Reshaped]
        inputs        = ["x"]
        types.x       = "float[batch, inner]"
        params.scale  = "[2, inner]"
        params.first  = "[1, 2]"
        params.second = "[1, 2]"
        stored.scale  = 'reshape(tensor("flat"), [6])'
        stored.first  = 'part(reshape(tensor("both"), [4], [2, 2]), 0, 0, 1, 2)'
        stored.second = 'part(reshape(tensor("both"), [4], [2, 2]), 0, 1, 1, 2)'
        forward       = '''return {"last_hidden_state": linear(x, scale) + first - second}'''
    "#;

    #[test]
    fn a_reshaped_parameter_binds_and_is_saved_as_it_was_read() -> Result<(), Box<dyn Error>> {
        let mut registry = Registry::embedded()?;
        let problems = registry.merge(&Source::new("test.toml", RESHAPED));
        assert!(problems.is_empty(), "{problems}");
        let (made, again) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let device = Device::Flex(burn_flex::FlexDevice);
        Model::init(registry.clone(), "Reshaped", json!({}), device, 7)?.save(made.path())?;
        let stored = Checkpoint::open(made.path())?;
        let shapes: Vec<_> = stored.tensors().map(|(name, entry)| (name, entry.shape.as_slice())).collect();
        assert_eq!(shapes, [("both", &[4][..]), ("flat", &[6][..])]);
        let model = Loader::new(made.path()).registry(registry).load_model()?;
        model.save(again.path())?;
        let bytes = |dir: &tempfile::TempDir| fs::read(dir.path().join("model.safetensors"));
        assert_eq!(bytes(&made)?, bytes(&again)?);
        Ok(())
    }
}
