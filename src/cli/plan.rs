//! `omni plan`: the traced program of a model, without its weights.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::source::Source;
use super::{Global, Outcome, output};
use crate::diag::{Problem, did_you_mean};
use crate::hub::Want;
use crate::lang::Program;
use crate::registry::{Architecture, FULL, Registry};

/// Print the program that a model's definition becomes for its config, one instruction a line.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    source: Source,
    /// Build only a part: full, or a mode of the architecture.
    #[arg(long, value_name = "NAME", default_value = FULL)]
    mode: String,
    /// The way into the model.
    #[arg(long, default_value = "forward")]
    method: String,
    /// Trace as this architecture, whatever the config says.
    #[arg(long, value_name = "NAME")]
    architecture: Option<String>,
    /// Optional inputs that the caller would give.
    #[arg(long, value_name = "INPUT")]
    with: Vec<String>,
    /// List the tensors that a checkpoint must hold instead.
    #[arg(long)]
    params: bool,
}

impl Plan {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let (registry, facts) = self.source.open(global, Want::Description)?;
        let source = facts.config().map(|config| Arc::clone(&config.source));
        let (found, config) = match &self.architecture {
            Some(name) => {
                let (found, mut config) = (Self::named(&registry, name)?, facts.value().clone());
                crate::model::complete(&registry, found, &facts, &mut config);
                (found, config)
            }
            None => crate::model::find(&registry, &facts)?,
        };
        let found = found.in_mode(&registry, &self.mode)?;
        let mut program = Program::build(&registry, &found, &config, source)?;
        if self.params {
            let mut text = String::new();
            for param in program.params() {
                let _ = writeln!(text, "{} {:?} {}", param.name, param.shape, param.stored[0]);
            }
            output::print(&text);
            return Ok(ExitCode::SUCCESS);
        }
        let plan = program.trace(&self.method, &|input| self.with.iter().any(|name| name == input))?;
        self.known_inputs(&program)?;
        output::print(&plan.to_string());
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses inputs that the method does not take, so that a slip of the pen does not look like a plan with them.
    fn known_inputs(&self, program: &Program<'_>) -> Result<(), Problem> {
        let method = &self.method;
        let takes: Vec<&str> = program.inputs(method).into_iter().map(|(name, _)| name).collect();
        let Some(unknown) = self.with.iter().find(|name| !takes.contains(&name.as_str())) else {
            return Ok(());
        };
        let help = did_you_mean(unknown, takes.iter().copied())
            .unwrap_or_else(|| format!("it takes `{}`", takes.join("`, `")));
        let message = format!("`{method}` takes no input `{unknown}`");
        Err(Problem::unplaced("unknown-input", message).help(help))
    }

    fn named<'r>(registry: &'r Registry, name: &str) -> Result<&'r Architecture, Problem> {
        registry.architectures.get(name).ok_or_else(|| {
            Problem::unplaced(
                "unknown-architecture",
                format!("`{name}` is not an architecture of the registry"),
            )
            .maybe_help(did_you_mean(name, registry.architectures.keys().map(String::as_str)))
        })
    }
}
