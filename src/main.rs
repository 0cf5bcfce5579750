//! The `omni` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    omni::cli::run()
}
