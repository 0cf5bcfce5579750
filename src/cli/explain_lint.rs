//! `omni explain-lint`: the page of a lint.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::output;
use crate::diag::did_you_mean;
use crate::lint;

/// Print what a lint finds, why it matters, and an example of each kind; without a name, list all lints.
#[derive(Debug, Args)]
pub(crate) struct ExplainLint {
    /// The name of a lint.
    #[arg(conflicts_with_all = ["all", "base"])]
    name: Option<String>,
    /// Print the pages of all lints, as one text in Markdown.
    #[arg(long)]
    all: bool,
    /// Print the small architecture that the examples change a part of.
    #[arg(long, conflicts_with = "all")]
    base: bool,
}

impl ExplainLint {
    pub(crate) fn run(&self) -> ExitCode {
        if self.all {
            output::print(&lint::pages());
        } else if self.base {
            output::print(lint::EXAMPLE_BASE);
        } else if let Some(name) = &self.name {
            let Some(found) = lint::find(name) else {
                let near = did_you_mean(name, lint::all().iter().map(|lint| lint.name));
                let near = near.unwrap_or_else(|| "`omni explain-lint` lists them".to_owned());
                output::note(&format!("error: `{name}` is not a lint; {near}"));
                return ExitCode::from(2);
            };
            output::print(&lint::page(found));
        } else {
            let mut out = String::new();
            for lint in lint::all() {
                let _ = writeln!(out, "{:<27} {:<8} {}", lint.name, lint.level.word(), lint.what);
            }
            output::print(&out);
        }
        ExitCode::SUCCESS
    }
}
