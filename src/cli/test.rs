//! `omni test`: definitions, held to what their files expect of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::findings::plural;
use super::{Global, Outcome, check, output};
use crate::diag::{Source, Span, line_column};
use crate::expect;
use crate::registry::{Expectation, Registry};

const EXAMPLES: &str = "\
Examples:
  omni test                 every expectation of the `registry` folder here
  omni test family.toml     those of one file
  omni test --untested      which conditions in definitions no sample and none of them tries both ways

An expectation stands in a registry file:
  [[expect]]
  what         = \"the small one, as published\"
  architecture = \"SomeForCausalLM\"
  config       = { hidden_size = 768, num_hidden_layers = 12 }    # or the path of a config.json
  parameters   = 124439808
  inputs       = { input_ids = \"[2, 5]\" }
  outputs      = { logits = \"[2, 5, 50257]\" }

`sample = { … }` in place of `config` is the architecture's sample, but for these fields.";

/// Hold definitions to what their files expect of them: architecture, category, parameters, shapes of outputs.
///
/// Exits with 1 if something came out otherwise.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Test {
    /// Files or folders; the `registry` folder here, or else the shipped registry, if none are given.
    paths: Vec<PathBuf>,
    /// Instead, list the conditions in definitions that no sample and no expectation sends both ways; exits with 1 if
    /// there are any.
    #[arg(long)]
    untested: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Test {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let files = self.files()?;
        let base = check::base(&files, global)?;
        let (registry, problems) = Registry::from_files(base.into_iter().chain(files.iter().cloned()));
        let registry = problems.or_ok(registry)?;
        if self.untested {
            return self.untested(&registry, &files);
        }
        let asked = |expected: &&Expectation| {
            files.iter().any(|file| Arc::ptr_eq(file, &expected.architecture.span.source))
        };
        let expectations: Vec<&Expectation> = registry.expectations.iter().filter(asked).collect();
        let outcomes: Vec<expect::Outcome> =
            expectations.par_iter().map(|expected| expect::check(&registry, expected)).collect();
        let text = if self.json {
            let rows: Vec<Value> = outcomes.iter().map(as_json).collect();
            serde_json::to_string_pretty(&rows)? + "\n"
        } else {
            report(&outcomes)
        };
        output::print(&text);
        Ok(ExitCode::from(u8::from(outcomes.iter().any(|outcome| !outcome.faults.is_empty()))))
    }

    /// Lists the conditions of these files that go one way only.
    fn untested(&self, registry: &Registry, files: &[Arc<Source>]) -> Outcome {
        let (mut found, both) = expect::untested(registry);
        found.retain(|one| files.iter().any(|file| Arc::ptr_eq(file, &one.span.source)));
        let place = |span: &Span| line_column(&span.source.text, span.range.start);
        let text = if self.json {
            let row = |one: &expect::OneWay| {
                let (line, column) = place(&one.span);
                let (file, condition) = (&one.span.source.name, one.span.text());
                json!({ "file": file, "line": line, "column": column, "condition": condition, "always": one.always })
            };
            serde_json::to_string_pretty(&found.iter().map(row).collect::<Vec<_>>())? + "\n"
        } else {
            let mut text = String::new();
            for one in &found {
                let (line, column) = place(&one.span);
                let way = if one.always { "always" } else { "never" };
                let _ = writeln!(
                    text,
                    "{}:{line}:{column}: {way} holds: {}",
                    one.span.source.name,
                    one.span.text()
                );
            }
            text + &format!(
                "{} in these files, {both} tried both ways in all\n",
                plural(found.len(), "untested condition")
            )
        };
        output::print(&text);
        Ok(ExitCode::from(u8::from(!found.is_empty())))
    }

    fn files(&self) -> Result<Vec<Arc<Source>>, Box<dyn std::error::Error>> {
        let here = [PathBuf::from("registry")];
        let paths = match self.paths.as_slice() {
            [] if Path::new("registry").is_dir() => &here,
            [] => return Ok(Registry::shipped()?.sources.clone()),
            paths => paths,
        };
        let files = super::sources(paths)?;
        super::remark_on_nothing(&files, paths);
        Ok(files)
    }
}

fn report(outcomes: &[expect::Outcome]) -> String {
    let paint = |style: Style, text: &str| {
        if output::has_colour() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    };
    let (mut text, mut faults) = (String::new(), String::new());
    for outcome in outcomes {
        let passed = outcome.faults.is_empty();
        let mark = if passed {
            paint(AnsiColor::Green.on_default(), "✓")
        } else {
            paint(AnsiColor::Red.on_default().bold(), "✗")
        };
        let what = outcome.what.as_ref().map(|what| format!(": {what}")).unwrap_or_default();
        let _ = writeln!(text, "{mark} {}{what}", outcome.architecture);
        outcome.faults.iter().for_each(|fault| faults.push_str(&output::for_stdout(fault)));
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.faults.is_empty()).count();
    let checks: usize = outcomes.iter().map(|outcome| outcome.checks).sum();
    text.push_str(&faults);
    let _ = writeln!(text, "{} passed, {failed} failed: {checks} checks", outcomes.len() - failed);
    text
}

fn as_json(outcome: &expect::Outcome) -> Value {
    let (line, _) = line_column(&outcome.span.source.text, outcome.span.range.start);
    let faults = outcome.faults.iter().map(|fault| {
        let place = fault.span.as_ref().map(|span| line_column(&span.source.text, span.range.start));
        json!({
            "message": fault.message,
            "help": fault.help,
            "file": fault.span.as_ref().map(|span| &span.source.name),
            "line": place.map(|(line, _)| line),
            "column": place.map(|(_, column)| column),
        })
    });
    json!({
        "architecture": outcome.architecture,
        "what": outcome.what,
        "file": outcome.span.source.name,
        "line": line,
        "passed": outcome.faults.is_empty(),
        "checks": outcome.checks,
        "faults": faults.collect::<Vec<_>>(),
    })
}
