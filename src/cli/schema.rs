//! `omni schema`: the JSON Schema of registry files.

use std::process::ExitCode;

use clap::Args;

use super::{Outcome, output};

/// Print the JSON Schema of registry files, for editors.
///
/// Editors with TOML support (Even Better TOML, Tombi, taplo) follow a first line such as
/// `#:schema schema/registry.json` in a registry file: `omni schema > schema/registry.json` writes it.
#[derive(Debug, Args)]
pub(crate) struct Schema {}

impl Schema {
    // The other commands take themselves too.
    pub(crate) fn run(&self) -> Outcome {
        output::print(&format!("{:#}\n", crate::registry::schema()));
        Ok(ExitCode::SUCCESS)
    }
}
