//! `omni explain-lint`: the page of a lint.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::findings::word;
use super::{Outcome, output};
use crate::diag::did_you_mean;
use crate::lint::{self, Lint};

/// Print what a lint finds, why it matters, and an example of each kind; without a name, list all lints.
#[derive(Debug, Args)]
pub(crate) struct ExplainLint {
    /// The name of a lint.
    name: Option<String>,
}

impl ExplainLint {
    pub(crate) fn run(&self) -> Outcome {
        let Some(name) = &self.name else {
            let mut out = String::new();
            for lint in lint::all() {
                let _ = writeln!(out, "{:<27} {:<8} {}", lint.name, word(lint.level), lint.what);
            }
            output::print(&out);
            return Ok(ExitCode::SUCCESS);
        };
        let Some(found) = lint::find(name) else {
            let near = did_you_mean(name, lint::all().iter().map(|lint| lint.name));
            let near = near.unwrap_or_else(|| "`omni explain-lint` lists them".to_owned());
            return Err(format!("`{name}` is not a lint; {near}").into());
        };
        output::print(&page(found));
        Ok(ExitCode::SUCCESS)
    }
}

/// The page as Markdown.
fn page(lint: &Lint) -> String {
    let mut out = format!("# {}\n\n{} ({})\n\n{}\n", lint.name, lint.what, word(lint.level), lint.why);
    if !lint.bad.is_empty() {
        let _ = write!(out, "\nFound in:\n\n```toml\n{}```\n", lint.bad);
    }
    if !lint.good.is_empty() {
        let _ = write!(out, "\nNot in:\n\n```toml\n{}```\n", lint.good);
        let names = ["Toy", "toy"];
        if names.iter().any(|name| lint.good.contains(name)) {
            let _ = write!(out, "\nBoth are read over this:\n\n```toml\n{}```\n", lint::EXAMPLE_BASE);
        }
    }
    let _ = write!(out, "\nTo keep one: `# omni: allow({}) reason`\n", lint.name);
    out
}
