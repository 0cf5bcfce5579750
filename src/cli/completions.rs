//! `omni completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Outcome, output};

const EXAMPLES: &str = "\
Examples:
  omni completions bash > ~/.local/share/bash-completion/completions/omni
  omni completions zsh > ~/.zfunc/_omni
  omni completions fish > ~/.config/fish/completions/omni.fish";

/// Print the completions of the command line for a shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Outcome {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "omni", &mut text);
        output::print(&String::from_utf8(text)?);
        Ok(ExitCode::SUCCESS)
    }
}
