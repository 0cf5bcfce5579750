//! The `omni` command: one file per subcommand.
//!
//! Absent on purpose: anything the library could do. A command reads its arguments, calls the library, prints.

mod check;
mod check_fix;
mod check_model;
mod check_watch;
mod completions;
mod devices;
mod diff;
mod explain;
mod explain_lint;
mod explain_text;
mod findings;
mod fmt;
mod graph;
mod graph_html;
mod graph_text;
mod info;
mod list;
mod lsp;
mod man;
mod new;
mod output;
mod plan;
mod run;
mod scan;
mod schema;
mod source;
mod table;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::diag::Source;
use crate::registry::{self, LoadError, Registry};

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
    /// Registry files or folders merged over the shipped registry, those of `omni/registry` in the user's
    /// configuration directory, and those of `OMNI_REGISTRY`; later ones win.
    #[arg(long, global = true, value_name = "PATH")]
    registry: Vec<PathBuf>,
}

impl Global {
    /// The shipped registry with the overlays of the user, of `OMNI_REGISTRY` and of `--registry` over it.
    pub(crate) fn registry(&self) -> Result<Registry, LoadError> {
        Registry::with_overlays(&self.overlays())
    }

    /// The files and folders that lie over the shipped registry, those that win last.
    pub(crate) fn overlays(&self) -> Vec<PathBuf> {
        let mut overlays = registry::overlays_of_the_user();
        overlays.extend(self.registry.iter().cloned());
        overlays
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    Completions(completions::Completions),
    Devices(devices::Devices),
    Diff(diff::Diff),
    Explain(explain::Explain),
    ExplainLint(explain_lint::ExplainLint),
    Fmt(fmt::Fmt),
    Graph(graph::ShowGraph),
    Info(info::Info),
    List(list::List),
    Lsp(lsp::Lsp),
    New(new::New),
    Man(man::Manual),
    Plan(plan::Plan),
    Run(run::Run),
    Scan(scan::Scan),
    Schema(schema::Schema),
    Test(test::Test),
}

/// Runs the command line; the exit code is 0 on success, 1 on a finding or failure, 2 on wrong usage, 3 on a fault
/// of omni's own.
#[must_use]
pub fn run() -> ExitCode {
    guard(|| dispatch(Cli::parse()))
}

/// Does the work; a panic in it, whose message the standard hook has written, becomes exit code 3.
fn guard(work: impl FnOnce() -> ExitCode + std::panic::UnwindSafe) -> ExitCode {
    std::panic::catch_unwind(work).unwrap_or_else(|_| {
        output::note("omni itself is at fault here, not what it was given: please report the lines above");
        ExitCode::from(3)
    })
}

fn dispatch(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Check(command) => command.run(&cli.global),
        Command::ExplainLint(command) => Ok(command.run()),
        Command::Devices(command) => command.run(),
        Command::Explain(command) => command.run(&cli.global),
        Command::Completions(command) => command.run(),
        Command::Diff(command) => command.run(&cli.global),
        Command::Fmt(command) => command.run(),
        Command::Test(command) => command.run(&cli.global),
        Command::Man(command) => command.run(),
        Command::Graph(command) => command.run(&cli.global),
        Command::Info(command) => command.run(&cli.global),
        Command::List(command) => command.run(&cli.global),
        Command::Lsp(command) => command.run(&cli.global),
        Command::New(command) => command.run(&cli.global),
        Command::Plan(command) => command.run(&cli.global),
        Command::Run(command) => command.run(&cli.global),
        Command::Scan(command) => command.run(&cli.global),
        Command::Schema(schema::Schema {}) => Ok(schema::Schema::run()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::report(&*error);
            ExitCode::FAILURE
        }
    }
}

/// The registry files at the paths that a command was given, in that order.
pub(crate) fn sources(paths: &[PathBuf]) -> Result<Vec<Arc<Source>>, LoadError> {
    let read: Result<Vec<_>, _> = paths.iter().map(|path| Registry::sources(path)).collect();
    Ok(read?.concat())
}

/// The registry files at the paths that a command was given, in that order, and why others there cannot be read.
pub(crate) fn readable_sources(paths: &[PathBuf]) -> (Vec<Arc<Source>>, Vec<LoadError>) {
    let (sources, faults): (Vec<_>, Vec<_>) =
        paths.iter().map(|path| Registry::readable_sources(path, &|_| true)).unzip();
    let (sources, faults) = (sources.concat(), faults.into_iter().flatten().collect::<Vec<_>>());
    if faults.is_empty() {
        remark_on_nothing(&sources, paths);
    }
    (sources, faults)
}

/// Says so where a command was given nothing to look at.
pub(crate) fn remark_on_nothing(sources: &[Arc<Source>], paths: &[PathBuf]) {
    if sources.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
        output::note(&format!("there is no .toml file in {}", paths.join(", ")));
    }
}

/// The result of a command.
pub(crate) type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    #[test]
    fn a_fault_of_our_own_exits_with_3() {
        let code = super::guard(|| panic!("on purpose"));
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(3)));
        let code = super::guard(|| ExitCode::from(1));
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(1)));
    }
}
