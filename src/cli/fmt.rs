//! `omni fmt`: registry files, laid out.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{Outcome, output};
use crate::diag::Source;
use crate::format::format;
use crate::registry::LoadError;

const EXAMPLES: &str = "\
Examples:
  omni fmt                      lays out the files of the `registry` folder here
  omni fmt family.toml          one file
  omni fmt --check registry     says which files are laid out otherwise, and fails if there are any
  omni fmt --diff registry      shows what would change
  omni fmt - < family.toml      from standard input to standard output";

/// Lay out registry files: spaces, blank lines and columns, never words.
///
/// Order, comments, and the bodies of the module language stay as they are. Entries below each other are aligned
/// where their author began to align them. A file that would mean something else afterwards is left alone.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Fmt {
    /// Files or folders; `-` for standard input; the `registry` folder here if none are given.
    paths: Vec<PathBuf>,
    /// Write nothing; name the files that are laid out otherwise, and exit with 1 if there are any.
    #[arg(long)]
    check: bool,
    /// Write nothing; show what would change, and exit with 1 if something would.
    #[arg(long)]
    diff: bool,
}

impl Fmt {
    pub(crate) fn run(&self) -> Outcome {
        if let Some(misuse) = self.misuse() {
            output::note(&format!("error: {misuse}"));
            return Ok(ExitCode::from(2));
        }
        let reads_stdin = self.paths.iter().any(|path| path == Path::new("-"));
        let (files, faults) = self.files()?;
        // One broken file does not keep the others from being laid out.
        faults.iter().for_each(|fault| output::report(fault));
        let (mut changed, mut failed) = (0usize, !faults.is_empty());
        for file in &files {
            let text = match format(file) {
                Ok(text) => text,
                Err(problem) => {
                    output::report(&problem);
                    failed = true;
                    continue;
                }
            };
            let differs = text != file.text;
            changed += usize::from(differs);
            if self.diff {
                if differs {
                    output::print(&output::diff(&file.name, &file.text, &text));
                }
            } else if self.check {
                if differs {
                    output::print(&format!("{}\n", file.name));
                }
            } else if reads_stdin {
                output::print(&text);
            } else if differs {
                std::fs::write(&file.name, &text)
                    .map_err(|error| format!("cannot write `{}`: {error}", file.name))?;
            }
        }
        let only_looks = self.check || self.diff;
        let plural = if files.len() == 1 { "file" } else { "files" };
        match (only_looks, changed) {
            _ if reads_stdin => {}
            (true, 0) => output::note(&format!("{} {plural} laid out as they should be", files.len())),
            (true, _) => {
                output::note(&format!("{changed} of {} {plural} would change: run `omni fmt`", files.len()));
            }
            (false, _) => output::note(&format!("{changed} of {} {plural} changed", files.len())),
        }
        Ok(ExitCode::from(u8::from(failed || (only_looks && changed > 0))))
    }

    /// What is wrong with the paths that were given.
    fn misuse(&self) -> Option<&'static str> {
        match self.paths.as_slice() {
            [] if !Path::new("registry").is_dir() => {
                Some("there is no `registry` folder here; name the files to lay out")
            }
            [_, _, ..] if self.paths.iter().any(|path| path == Path::new("-")) => {
                Some("`-` stands for standard input: name it alone, or files alone")
            }
            _ => None,
        }
    }

    fn files(&self) -> Result<(Vec<Arc<Source>>, Vec<LoadError>), Box<dyn std::error::Error>> {
        let here = [PathBuf::from("registry")];
        let paths = match self.paths.as_slice() {
            [only] if only == Path::new("-") => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                return Ok((vec![Source::new("standard input", text)], Vec::new()));
            }
            [] => &here,
            paths => paths,
        };
        Ok(super::readable_sources(paths))
    }
}
