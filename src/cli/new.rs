//! `omni new`: a definition to start from.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::findings::{self, Format};
use super::{Global, Outcome, output};
use crate::diag::Source;
use crate::facts;
use crate::lint::{self, Input, Options};
use crate::model::{Scaffold, fit, scaffold};
use crate::registry::Registry;

/// Write an overlay that extends the nearest definition, for a model that has none.
///
/// The nearest is the one whose tensors come nearest to those of the checkpoint, else the one spelt most alike.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The model directory.
    dir: PathBuf,
    /// The file to write; the architecture's name in small letters, if none is given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
}

impl New {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let registry = global.registry()?;
        let facts = facts::read(&self.dir)?;
        let scaffold = scaffold(&registry, &facts)?;
        let out = self.out.clone().unwrap_or_else(|| file_of(&scaffold.architecture));
        if out.exists() && !self.force {
            return Err(
                format!("`{}` is there already: give another --out, or --force", out.display()).into()
            );
        }
        fs::write(&out, &scaffold.text)
            .map_err(|error| format!("`{}` cannot be written: {error}", out.display()))?;
        output::print(&self.told(registry, &facts, &scaffold, &out));
        Ok(ExitCode::SUCCESS)
    }

    /// What was written, how far it goes, and what to do next.
    fn told(&self, mut registry: Registry, facts: &facts::Facts, scaffold: &Scaffold, out: &Path) -> String {
        let Scaffold { architecture, extends, .. } = scaffold;
        let mut text = format!("wrote {}: {architecture} extends {extends}", out.display());
        match &scaffold.candidate {
            Some(near) => {
                let _ = writeln!(
                    text,
                    ", whose tensors come nearest ({} agree, {} missing, {} unexpected, {} of another shape)",
                    near.agree, near.missing, near.unexpected, near.reshaped
                );
            }
            None => text.push_str(", the nearest by name\n"),
        }
        let source = Source::new(out.display().to_string(), scaffold.text.as_str());
        let input = Input { base: registry.sources.clone(), files: vec![source.clone()] };
        let found = lint::check(&input, &Options::default());
        let _ = write!(text, "omni check: {}", findings::render(&found, Format::Concise));
        registry.merge(&source);
        let _ = match fit::check(&registry, facts) {
            Ok(fit) if fit.problems.is_empty() => writeln!(text, "omni check --model: every tensor fits"),
            Ok(fit) => writeln!(text, "omni check --model: {}", findings::counts(&fit.problems)),
            Err(error) => writeln!(text, "omni check --model: {error}"),
        };
        let (file, dir) = (quoted(out), quoted(&self.dir));
        text.push_str("\nnext\n");
        for (command, why) in [
            (format!("omni check {file}"), "after every change: names, shapes, dataflow"),
            (
                format!("omni check --model {dir} --registry {file}"),
                "what of the checkpoint does not fit yet",
            ),
            (format!("omni plan {dir} --registry {file}"), "the program that it becomes"),
            (format!("omni explain {dir} --registry {file}"), "config keys that nothing reads yet"),
        ] {
            let _ = writeln!(text, "  {command}\n      {why}");
        }
        text
    }
}

/// A file name for an architecture, whatever it is called.
fn file_of(architecture: &str) -> PathBuf {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    PathBuf::from(format!("./{}.toml", architecture.chars().map(letter).collect::<String>()))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+@:,".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
