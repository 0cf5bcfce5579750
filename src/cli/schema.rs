//! `omni schema`: the JSON Schema of registry files.

use std::process::ExitCode;

use clap::Args;

use super::output;

/// Print the JSON Schema of registry files, for editors.
///
/// Editors with TOML support (Even Better TOML, Tombi, taplo) follow a first line such as
/// `#:schema schema/registry.json` in a registry file: `omni schema > schema/registry.json` writes it.
#[derive(Debug, Args)]
pub(crate) struct Schema {}

impl Schema {
    pub(crate) fn run() -> ExitCode {
        output::print(&format!("{:#}\n", crate::registry::schema()));
        ExitCode::SUCCESS
    }
}
