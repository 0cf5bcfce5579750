//! The `omni` command: one file per subcommand.
//!
//! Absent on purpose: anything the library could do. A command reads its arguments, calls the library, prints.

mod check;
mod check_fix;
mod devices;
mod explain;
mod explain_lint;
mod explain_text;
mod findings;
mod info;
mod list;
mod lsp;
mod output;
mod plan;
mod run;
mod scan;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::registry::{LoadError, Registry};

/// Says what a model directory is, builds it from data, and runs it.
#[derive(Debug, Parser)]
#[command(name = "omni", version, about, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Registry files or folders merged over the shipped registry, later ones winning.
    #[arg(long, global = true, value_name = "PATH")]
    registry: Vec<PathBuf>,
}

impl Global {
    /// The shipped registry with the overlays of `OMNI_REGISTRY` and `--registry` over it.
    pub(crate) fn registry(&self) -> Result<Registry, LoadError> {
        let from_env = std::env::var_os("OMNI_REGISTRY");
        let mut overlays: Vec<PathBuf> =
            from_env.map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default();
        overlays.retain(|path| !path.as_os_str().is_empty());
        overlays.extend(self.registry.iter().cloned());
        Registry::with_overlays(&overlays)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    Devices(devices::Devices),
    Explain(explain::Explain),
    ExplainLint(explain_lint::ExplainLint),
    Info(info::Info),
    List(list::List),
    Lsp(lsp::Lsp),
    Plan(plan::Plan),
    Run(run::Run),
    Scan(scan::Scan),
}

/// Runs the command line; the exit code is 0 on success, 1 on a finding or failure, 2 on wrong usage.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Check(command) => command.run(),
        Command::ExplainLint(command) => command.run(),
        Command::Devices(command) => command.run(),
        Command::Explain(command) => command.run(&cli.global),
        Command::Info(command) => command.run(&cli.global),
        Command::List(command) => command.run(&cli.global),
        Command::Lsp(command) => command.run(),
        Command::Plan(command) => command.run(&cli.global),
        Command::Run(command) => command.run(&cli.global),
        Command::Scan(command) => command.run(&cli.global),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::report(&*error);
            ExitCode::FAILURE
        }
    }
}

/// The result of a command.
pub(crate) type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;
