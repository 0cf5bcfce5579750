//! `omni lsp`: the language server on standard input and output.

use std::process::ExitCode;

use clap::Args;

use super::{Global, Outcome};

/// Serve an editor: findings as you type, completion, hover, definitions, renames, quick fixes and formatting.
///
/// Speaks the language server protocol on standard input and output; docs/editors.md says how editors start it.
#[derive(Debug, Args)]
pub(crate) struct Lsp {
    /// Accepted because editors like to pass it: there is no other way to talk.
    #[arg(long, hide = true)]
    stdio: bool,
}

impl Lsp {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let was_shut_down = crate::lsp::serve(std::io::stdin(), std::io::stdout(), global.overlays())?;
        Ok(if was_shut_down { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
