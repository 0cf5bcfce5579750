//! The `omni` command.

use std::process::ExitCode;

/// Tracing makes many small values on many threads, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    omni::cli::run()
}
