//! Which model a command is about, and what it may do to get at it.

use std::path::PathBuf;

use clap::Args;

use super::{Global, output};
use crate::facts::{self, Facts, FactsError, Hub};
use crate::hub::{self, HubError, Want};
use crate::registry::Registry;

/// Which model a command is about.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The model: a directory, one file of it, or a repository in the local hub cache, of which a folder can be
    /// meant (org/name, org/name@revision, org/name/folder).
    dir: PathBuf,
    /// Let the `omni.toml` that the model's directory brings define its architecture; it is data, and runs nothing.
    #[arg(long)]
    allow_local_definition: bool,
    /// Download from the hub what the local cache lacks of a repository.
    #[arg(long)]
    download: bool,
}

impl Source {
    /// The registry that counts, and what the directory says.
    pub(crate) fn open(
        &self,
        global: &Global,
        want: Want,
    ) -> Result<(Registry, Facts), Box<dyn std::error::Error>> {
        let registry = global.registry()?;
        self.fetch(want)?;
        let facts = facts::read(&self.dir).map_err(|error| self.told(&registry, error))?;
        let own = if self.allow_local_definition { facts.local_definition()? } else { None };
        let registry = match own {
            Some(source) => registry.with_file(&source)?,
            None => registry,
        };
        Ok((registry, facts))
    }

    /// Why there is no such model, which may be because an architecture was named in place of one.
    fn told(&self, registry: &Registry, error: FactsError) -> Box<dyn std::error::Error> {
        match self.dir.to_str() {
            Some(name) if registry.architectures.contains_key(name) => {
                let help = "is an architecture, not a model of it: `omni graph` shows its definition";
                format!("{error}; `{name}` {help}").into()
            }
            _ => error.into(),
        }
    }

    /// Downloads what is wanted and not there, if that is allowed.
    pub(crate) fn fetch(&self, want: Want) -> Result<(), HubError> {
        if !self.download {
            return Ok(());
        }
        let bar = output::Progress::new("downloading");
        let fetched =
            hub::fetch(&self.dir, &Hub::from_env(), want, &mut |done, total| bar.update(done, total));
        bar.finish();
        fetched
    }

    /// A loader of it, with the registry that [`Source::open`] gave.
    pub(crate) fn loader<'a>(&self, registry: Registry) -> crate::model::Loader<'a> {
        crate::model::Loader::new(&self.dir).registry(registry).allow_download(self.download)
    }
}
