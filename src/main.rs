//! The `omni` command.

fn main() {}
