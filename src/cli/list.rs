//! `omni list`: the architectures that omni knows, and how well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Global, Outcome, output, table};
use crate::diag::{Problem, did_you_mean};
use crate::registry::Registry;

/// List the architectures that are known, which of them have a definition, and which of those are verified.
///
/// The table is fitted to COLUMNS if that is set, else to the terminal.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only names with this in them, in any case.
    name: Option<String>,
    /// Only those of this category.
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
    /// Only those of this task.
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Only those of this status; what is verified is defined too.
    #[arg(long, value_enum)]
    status: Option<Asked>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Asked {
    /// There are recorded outputs of the reference for its definition.
    Verified,
    /// There is a definition.
    Defined,
    /// The name is known, and that is all.
    Known,
}

/// The stable form for programs: one a name, sorted by it.
#[derive(Debug, Serialize)]
struct Row<'r> {
    name: &'r str,
    category: &'r str,
    task: &'r str,
    /// `defined` or `known`.
    status: &'static str,
    /// Whether recorded outputs of the reference show that the definition is right.
    verified: bool,
    model_types: Vec<&'r str>,
}

impl List {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let registry = global.registry()?;
        let mut rows = rows(&registry);
        self.known_name(&rows)?;
        known("category", self.category.as_deref(), rows.iter().map(|row| row.category))?;
        known("task", self.task.as_deref(), rows.iter().map(|row| row.task))?;
        rows.retain(|row| self.wants(row));
        let text = if self.json {
            serde_json::to_string_pretty(&rows)? + "\n"
        } else {
            text(&rows, output::width())
        };
        output::print(&text);
        Ok(ExitCode::SUCCESS)
    }

    fn known_name(&self, rows: &[Row<'_>]) -> Result<(), Problem> {
        match &self.name {
            Some(part) if !rows.iter().any(|row| has(row, part)) => {
                let problem =
                    Problem::unplaced("unknown-filter", format!("no known name has `{part}` in it"));
                let near = did_you_mean(part, rows.iter().map(|row| row.name));
                Err(problem.help(near.unwrap_or_else(|| "`omni list` prints every known name".to_owned())))
            }
            _ => Ok(()),
        }
    }

    fn wants(&self, row: &Row<'_>) -> bool {
        let status = match self.status {
            None => true,
            Some(Asked::Verified) => row.verified,
            Some(Asked::Defined) => row.status == "defined",
            Some(Asked::Known) => row.status == "known",
        };
        status
            && self.name.as_deref().is_none_or(|part| has(row, part))
            && self.category.as_deref().is_none_or(|wanted| wanted == row.category)
            && self.task.as_deref().is_none_or(|wanted| wanted == row.task)
    }
}

/// Whether a name has this in it.
fn has(row: &Row<'_>, part: &str) -> bool {
    row.name.to_lowercase().contains(&part.to_lowercase())
}

/// Refuses a filter that no name passes, so that a slip of the pen does not look like an empty answer.
fn known<'r>(what: &str, asked: Option<&str>, all: impl Iterator<Item = &'r str>) -> Result<(), Problem> {
    let all: BTreeSet<&str> = all.collect();
    match asked {
        Some(name) if !all.contains(name) => {
            let problem =
                Problem::unplaced("unknown-filter", format!("nothing known has the {what} `{name}`"));
            let near = did_you_mean(name, all.iter().copied());
            let listed = || format!("one of: {}", all.into_iter().collect::<Vec<_>>().join(", "));
            Err(problem.help(near.unwrap_or_else(listed)))
        }
        _ => Ok(()),
    }
}

fn rows(registry: &Registry) -> Vec<Row<'_>> {
    let known = registry.rules.all_known().into_iter().map(|(name, entry)| Row {
        name,
        category: &entry.category,
        task: &entry.task,
        status: "known",
        verified: false,
        model_types: entry.model_types.iter().map(String::as_str).collect(),
    });
    let defined = registry.architectures.iter().map(|(name, entry)| Row {
        name,
        category: &entry.category.text,
        task: &entry.task.text,
        status: "defined",
        verified: entry.verified,
        model_types: entry.model_types.iter().map(|name| name.text.as_str()).collect(),
    });
    // A definition says more than a bare name does, so it comes later and wins.
    let by_name: BTreeMap<&str, Row<'_>> = known.chain(defined).map(|row| (row.name, row)).collect();
    by_name.into_values().collect()
}

fn text(rows: &[Row<'_>], width: Option<usize>) -> String {
    let cells = rows.iter().map(|row| {
        let status = if row.verified { "verified" } else { row.status };
        [row.name, row.category, row.task, status].map(str::to_owned)
    });
    let mut text = table::draw(&cells.collect::<Vec<_>>(), width);
    let verified = rows.iter().filter(|row| row.verified).count();
    let defined = rows.iter().filter(|row| row.status == "defined").count();
    let _ = writeln!(text, "{} known, {defined} of them defined, {verified} of those verified", rows.len());
    text
}
