//! `omni graph`: a definition as a tree, on the terminal or as a page.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use super::{Global, Outcome, graph_html, graph_text, output};
use crate::diag::{Problem, Source, did_you_mean};
use crate::facts;
use crate::graph::Graph;
use crate::lang::Program;
use crate::registry::{Architecture, Registry, named};

const EXAMPLES: &str = "\
Examples:
  omni graph NAME                           the definition, on its small sample config
  omni graph NAME --defaults                the same in full size, as its config class has it
  omni graph path/to/model                  a model on the disk, by its config.json
  omni graph path/to/model --html tree.html a page to look at and to search, which needs no network";

/// Show a definition as a tree: its layers, tensors, shapes and parameters.
///
/// Blocks of a list that are alike are shown once, with how often they are there; what is below such a block counts
/// for one of them. Nothing is loaded.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowGraph {
    /// An architecture of the registry, or a model directory, or its config.json.
    #[arg(value_name = "NAME|DIR")]
    what: String,
    /// Build the architecture NAME for this config.json.
    #[arg(long, value_name = "FILE", conflicts_with = "defaults")]
    config: Option<PathBuf>,
    /// Build the architecture NAME for the defaults of its config class, not for its small sample.
    #[arg(long)]
    defaults: bool,
    /// How many levels are shown; all, if not given.
    #[arg(long, value_name = "LEVELS")]
    depth: Option<usize>,
    /// How many columns the tree may take; those of the terminal, if not given.
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..))]
    width: Option<u16>,
    /// Print JSON.
    #[arg(long, conflicts_with = "html")]
    json: bool,
    /// Write one self-contained page instead.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl ShowGraph {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let registry = global.registry()?;
        let built = self.built(&registry)?;
        let mut program = Program::build(&registry, built.architecture, &built.config, built.source)?;
        let graph = Graph::new(&mut program, &built.config)?;
        if let Some(file) = &self.html {
            let page = graph_html::page(&graph)?;
            std::fs::write(file, page)
                .map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
            output::note(&format!("wrote {}", file.display()));
        } else if self.json {
            output::print(&(serde_json::to_string_pretty(&graph)? + "\n"));
        } else {
            let look = graph_text::Look {
                // What is cut is lost to whoever reads it from a file.
                width: self
                    .width
                    .map(usize::from)
                    .or_else(|| std::io::stdout().is_terminal().then(output::width).flatten()),
                depth: self.depth.unwrap_or(usize::MAX),
                colour: output::has_colour(),
            };
            output::print(&graph_text::draw(&graph, &look));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn built<'r>(&self, registry: &'r Registry) -> Result<Built<'r>, Box<dyn std::error::Error>> {
        let Some(architecture) = architecture(registry, &self.what) else {
            if !Path::new(&self.what).exists() {
                return Err(unknown(registry, &self.what).into());
            }
            let facts = facts::read(&self.what)?;
            let source = facts.config().map(|config| Arc::clone(&config.source));
            let (architecture, config) = crate::model::find(registry, &facts)?;
            return Ok(Built { architecture, config, source });
        };
        if let Some(file) = &self.config {
            let facts = facts::read(file)?;
            let source = facts.config().map(|config| Arc::clone(&config.source));
            return Ok(Built { architecture, config: facts.value().clone(), source });
        }
        let config = if self.defaults {
            named(architecture, serde_json::Map::new())
        } else {
            registry.sample(architecture)?.ok_or_else(|| {
                let message = format!("the config of `{}` has no sample to build it with", self.what);
                Problem::error("missing-sample", architecture.name.span.clone(), message)
                    .help("give it one: sample = { … }, or say which config: --config FILE")
            })?
        };
        Ok(Built { architecture, config, source: None })
    }
}

/// What is to be built.
struct Built<'r> {
    architecture: &'r Architecture,
    config: Value,
    source: Option<Arc<Source>>,
}

/// The architecture of that name or alias.
pub(crate) fn architecture<'r>(registry: &'r Registry, name: &str) -> Option<&'r Architecture> {
    let named = |name: &str| registry.architectures.get(name);
    named(name).or_else(|| named(&registry.rules.alias(name)?.target.text))
}

/// Nothing has that name.
pub(crate) fn unknown(registry: &Registry, name: &str) -> Problem {
    let message = format!("`{name}` is neither an architecture with a definition nor a path");
    let help = did_you_mean(name, registry.architectures.keys().map(String::as_str));
    Problem::unplaced("unknown-architecture", message)
        .help(help.unwrap_or_else(|| "`omni list --status defined` lists what has a definition".to_owned()))
}
