//! `omni man`: the manual pages.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use super::{Cli, Outcome, output};

const EXAMPLES: &str = "\
Examples:
  omni man | man -l -               reads the page of `omni`
  omni man ~/.local/share/man/man1  writes the pages of `omni` and of every command";

/// Print the manual page, or write the pages of all commands into a folder.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Manual {
    /// The folder that the pages are written into; it is made if it is not there.
    dir: Option<PathBuf>,
}

impl Manual {
    pub(crate) fn run(&self) -> Outcome {
        let mut command = Cli::command();
        command.build();
        let Some(dir) = &self.dir else {
            output::print(&page(&command)?);
            return Ok(ExitCode::SUCCESS);
        };
        let write = |file: String, text: String| {
            let file = dir.join(file);
            std::fs::write(&file, text).map_err(|error| format!("cannot write `{}`: {error}", file.display()))
        };
        std::fs::create_dir_all(dir).map_err(|error| format!("cannot make `{}`: {error}", dir.display()))?;
        write("omni.1".to_owned(), page(&command)?)?;
        let mut count = 1;
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            // Building has given every command the name that its page has: `omni-check`.
            write(format!("omni-{}.1", inner.get_name()), page(inner)?)?;
            count += 1;
        }
        output::note(&format!("wrote {count} pages into {}", dir.display()));
        Ok(ExitCode::SUCCESS)
    }
}

fn page(command: &Command) -> Result<String, Box<dyn std::error::Error>> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    Ok(String::from_utf8(text)?)
}
