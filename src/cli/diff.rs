//! `omni diff`: what differs in meaning between two definitions or two registries.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{Global, Outcome, graph, output};
use crate::compare::{self, Change};
use crate::diag::Problem;
use crate::facts;
use crate::lang::Program;
use crate::registry::{Architecture, Registry};

const EXAMPLES: &str = "\
Examples:
  omni diff NAME OTHER                          two definitions, each on its sample config
  omni diff NAME OTHER --config config.json     both on one config
  omni diff NAME NAME@../other/registry         a definition here and its namesake there
  omni diff registry ../other/registry          two registries, or two files";

/// Compare two definitions, or two registries, by what they mean; order, spaces and comments do not count.
///
/// Of definitions: tensors, inputs, outputs, and ops, module by module. Of registries: architectures, config fields,
/// modules, names, rules. Exits with 0 if nothing differs, with 1 if something does, with 2 if it cannot be told.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Diff {
    /// An architecture, an architecture as another registry has it, or a registry's folder or file.
    #[arg(value_name = "NAME|NAME@REGISTRY|PATH")]
    a: String,
    /// What it is compared with.
    #[arg(value_name = "NAME|NAME@REGISTRY|PATH")]
    b: String,
    /// Build both definitions for this config.json.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One side.
enum Side {
    Definition { registry: Registry, name: String },
    Registry(Registry),
}

impl Diff {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let changes = match self.changes(global) {
            Ok(changes) => changes,
            Err(error) => {
                output::report(&*error);
                return Ok(ExitCode::from(2));
            }
        };
        let text = if self.json { serde_json::to_string_pretty(&changes)? + "\n" } else { text(&changes) };
        output::print(&text);
        Ok(ExitCode::from(u8::from(!changes.is_empty())))
    }

    fn changes(&self, global: &Global) -> Result<Vec<Change>, Box<dyn std::error::Error>> {
        match (side(&self.a, global)?, side(&self.b, global)?) {
            (Side::Registry(a), Side::Registry(b)) => Ok(compare::registries(&a, &b)),
            (Side::Definition { registry: a, name: left }, Side::Definition { registry: b, name: right }) => {
                let (left, right) = (found(&a, &left)?, found(&b, &right)?);
                let mut first = Program::build(&a, left, &self.config_of(&a, left)?, None)?;
                let mut second = Program::build(&b, right, &self.config_of(&b, right)?, None)?;
                Ok(compare::programs(&mut first, &mut second)?)
            }
            _ => Err("one of the two is a definition and the other a registry: give two of a kind".into()),
        }
    }

    fn config_of(
        &self,
        registry: &Registry,
        architecture: &Architecture,
    ) -> Result<Value, Box<dyn std::error::Error>> {
        if let Some(file) = &self.config {
            return Ok(facts::read(file)?.value().clone());
        }
        let sample = registry.sample(architecture)?;
        Ok(sample.ok_or_else(|| {
            let message =
                format!("the config of `{}` has no sample to build it with", architecture.name.text);
            Problem::error("missing-sample", architecture.name.span.clone(), message)
                .help("say which config: --config FILE")
        })?)
    }
}

fn found<'r>(registry: &'r Registry, name: &str) -> Result<&'r Architecture, Problem> {
    graph::architecture(registry, name).ok_or_else(|| graph::unknown(registry, name))
}

fn side(text: &str, global: &Global) -> Result<Side, Box<dyn std::error::Error>> {
    if let Some((name, path)) = text.split_once('@') {
        return Ok(Side::Definition { registry: read(Path::new(path))?, name: name.to_owned() });
    }
    let registry = global.registry()?;
    if graph::architecture(&registry, text).is_none() && Path::new(text).exists() {
        return Ok(Side::Registry(read(Path::new(text))?));
    }
    Ok(Side::Definition { registry, name: text.to_owned() })
}

/// A registry of just these files; a file alone lies over the shipped registry when it is built from.
fn read(path: &Path) -> Result<Registry, Box<dyn std::error::Error>> {
    if path.join("tasks.toml").is_file() {
        let (registry, problems) = Registry::from_files(Registry::sources(path)?);
        return Ok(problems.or_ok(registry)?);
    }
    Ok(Registry::with_overlays(&[path])?)
}

fn text(changes: &[Change]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut out = String::new();
    for change in changes {
        *kinds.entry(change.kind).or_default() += 1;
        let (mark, what) = match (&change.before, &change.after) {
            (None, _) => ("+", change.after.clone().unwrap_or_default()),
            (_, None) => ("-", change.before.clone().unwrap_or_default()),
            (Some(before), Some(after)) => {
                let _ = writeln!(
                    out,
                    "~ {} {}\n    - {}\n    + {}",
                    change.kind,
                    change.name,
                    line(before),
                    line(after)
                );
                continue;
            }
        };
        let _ = writeln!(out, "{mark} {} {}  {}", change.kind, change.name, line(&what));
    }
    if changes.is_empty() {
        return "nothing differs\n".to_owned();
    }
    let counts: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    let _ = writeln!(out, "{} differ: {}", changes.len(), counts.join(", "));
    out
}

/// A meaning on one line.
fn line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ⏎ ")
}
