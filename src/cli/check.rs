//! `omni check`: proves registry files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::check_fix::Then;
use super::findings::{self, Format};
use super::{Global, Outcome, check_fix, check_model, check_watch, output};
use crate::diag::{Level, Source};
use crate::lint::{self, Checker, Findings, Input, Options, Setting};
use crate::registry::{LoadError, Registry};

const EXAMPLES: &str = "\
Examples:
  omni check                            the registry in sight
  omni check acme.toml --fix            an overlay over the shipped registry, corrected where that is certain
  omni check --deny unused-field        one lint at another level; a table [lints] in a file does it for good
  omni check --output-format sarif      for a code host; github and junit are for build servers
  omni check --model DIR                whether a checkpoint fits its definition

Findings are drawn COLUMNS wide if that is set, without colours where NO_COLOR is or TERM is `dumb`, and told in words
where NO_GRAPHICS is, for screen readers. `omni explain-lint NAME` says more about one.";

/// Check registry files: every definition is parsed, named, and traced with symbolic shapes.
///
/// With `--model`, a checkpoint instead: its config, its definition and its headers are compared name by name, before
/// a byte of weight is read.
///
/// Exits with 0 if nothing was found, 1 if something was, 2 on wrong usage.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Check {
    /// Files or folders to check. If none are given: the `registry` folder here, or else what lies over the shipped
    /// registry, or else that itself.
    paths: Vec<PathBuf>,
    /// Check whether the checkpoint in this directory fits its definition.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["paths", "statistics", "select", "ignore", "warn", "deny", "stdin_filename", "fix", "unsafe_fixes", "diff"]
    )]
    model: Option<PathBuf>,
    /// How findings are written.
    #[arg(long, value_enum, default_value_t)]
    output_format: Format,
    /// Count the findings by name instead of showing them.
    #[arg(long)]
    statistics: bool,
    /// The least level that makes the command fail: `note`, or with `--model` `warning`, if none is given.
    #[arg(long, value_enum, value_name = "LEVEL")]
    fail_on: Option<FailOn>,
    /// Succeed whatever is found.
    #[arg(long)]
    exit_zero: bool,
    /// Report only these lints.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    select: Vec<String>,
    /// Leave these lints out.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Report these lints as warnings.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    warn: Vec<String>,
    /// Report these lints as errors.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    deny: Vec<String>,
    /// Read one file from standard input, taking it for the file of this name. With `--fix` it is written to standard
    /// output, corrected, and what is left is told on standard error.
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    stdin_filename: Option<PathBuf>,
    /// Correct what has one certain correction.
    #[arg(long)]
    fix: bool,
    /// Also correct what can change the meaning of a definition.
    #[arg(long)]
    unsafe_fixes: bool,
    /// Show the corrections as a diff instead of making them, and exit with 1 if there are any.
    #[arg(long)]
    diff: bool,
    /// Check again whenever a file changes, until it is interrupted.
    #[arg(long, conflicts_with_all = ["model", "stdin_filename", "fix", "unsafe_fixes", "diff"])]
    watch: bool,
}

/// The level from which on findings make the command fail.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailOn {
    Note,
    Warning,
    Error,
}

impl Check {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        if let Some(dir) = &self.model {
            let findings = check_model::run(&global.registry()?, dir, self.output_format)?;
            return Ok(self.exit(&findings, FailOn::Warning));
        }
        let options = match self.options() {
            Ok(options) => options,
            Err(message) => {
                output::report(&*message);
                return Ok(ExitCode::from(2));
            }
        };
        if self.watch {
            let show = |findings: &Findings| self.show(findings);
            let input = || {
                let Read { input, faults } = self.input(global)?;
                faults.iter().for_each(|fault| output::report(fault));
                Ok(input)
            };
            return check_watch::run(&self.paths(global), &input, &options, &show);
        }
        let Read { mut input, faults } = self.input(global)?;
        faults.iter().for_each(|fault| output::report(fault));
        if input.files.is_empty() && !faults.is_empty() {
            return Ok(ExitCode::FAILURE);
        }
        let mut is_text_out = false;
        if self.fix || self.unsafe_fixes || self.diff {
            let then = match (self.diff, &self.stdin_filename) {
                (true, _) => Then::Show,
                (_, Some(_)) => Then::Give,
                _ => Then::Write,
            };
            let mode = check_fix::Mode { with_unsafe: self.unsafe_fixes, then };
            let (corrected, changed) = check_fix::run(input, &options, mode)?;
            if self.diff {
                return Ok(ExitCode::from(u8::from(changed > 0 && !self.exit_zero || !faults.is_empty())));
            }
            input = corrected;
            if let (Then::Give, [typed]) = (then, input.files.as_slice()) {
                output::print(&typed.text);
                is_text_out = true;
            }
        }
        // The process is about to end: to take apart what was worked out would only take time.
        let mut checker = ManuallyDrop::new(Checker::default());
        let checked = ManuallyDrop::new(checker.check(&input, &options));
        let shown = self.show(&checked.findings);
        if is_text_out {
            output::note(shown.trim_end());
        } else {
            output::print(&shown);
        }
        // What cannot be read is nothing found, and nothing checked.
        Ok(if faults.is_empty() { self.exit(&checked.findings, FailOn::Note) } else { ExitCode::FAILURE })
    }

    fn show(&self, findings: &Findings) -> String {
        if self.statistics {
            findings::statistics(findings, self.output_format)
        } else {
            findings::render(findings, self.output_format)
        }
    }

    /// The paths that are checked: the registry in sight, if none are given. None of them is the shipped one.
    fn paths(&self, global: &Global) -> Vec<PathBuf> {
        let in_sight = Path::new("registry");
        match self.paths.as_slice() {
            [] if in_sight.is_dir() => vec![in_sight.to_owned()],
            [] => global.overlays(),
            paths => paths.to_owned(),
        }
    }

    fn exit(&self, findings: &Findings, default: FailOn) -> ExitCode {
        let limit = match self.fail_on.unwrap_or(default) {
            FailOn::Note => Level::Note,
            FailOn::Warning => Level::Warning,
            FailOn::Error => Level::Error,
        };
        let fails = findings.worst().is_some_and(|worst| worst >= limit);
        ExitCode::from(u8::from(fails && !self.exit_zero))
    }

    fn options(&self) -> Result<Options, Box<dyn std::error::Error>> {
        let mut settings = BTreeMap::new();
        let groups = [
            (&self.ignore, Setting::Off),
            (&self.warn, Setting::At(Level::Warning)),
            (&self.deny, Setting::At(Level::Error)),
        ];
        for name in self.select.iter().chain(&self.ignore).chain(&self.warn).chain(&self.deny) {
            if lint::find(name).is_none() {
                let near = crate::diag::did_you_mean(name, lint::all().iter().map(|lint| lint.name));
                let near = near.unwrap_or_else(|| "`omni explain-lint` lists them".to_owned());
                return Err(format!("`{name}` is not a lint; {near}").into());
            }
        }
        for (names, setting) in groups {
            settings.extend(names.iter().map(|name| (name.clone(), setting)));
        }
        Ok(Options { settings, select: self.select.iter().cloned().collect::<BTreeSet<_>>() })
    }

    /// What is checked, and what it stands upon.
    fn input(&self, global: &Global) -> Result<Read, Box<dyn std::error::Error>> {
        let (files, faults) = if let Some(name) = &self.stdin_filename {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| format!("cannot read standard input: {error}"))?;
            (vec![Source::new(name.display().to_string(), text)], Vec::new())
        } else {
            let paths = self.paths(global);
            if paths.is_empty() {
                let files = Registry::shipped()?.sources.clone();
                return Ok(Read { input: Input { base: Vec::new(), files }, faults: Vec::new() });
            }
            super::readable_sources(&paths)
        };
        let base = base(&files, global)?;
        Ok(Read { input: Input { base, files }, faults })
    }
}

/// What was read, and why the rest was not.
struct Read {
    input: Input,
    faults: Vec<LoadError>,
}

/// What the files stand upon: the rest of the registry that they are part of, else the shipped one and its overlays.
pub(super) fn base(
    files: &[Arc<Source>],
    global: &Global,
) -> Result<Vec<Arc<Source>>, Box<dyn std::error::Error>> {
    let names: BTreeSet<PathBuf> = files.iter().map(|file| absolute(Path::new(&file.name))).collect();
    let is_root =
        |folder: &Path| folder.join("categories.toml").is_file() && folder.join("tasks.toml").is_file();
    let root = names.iter().find_map(|name| name.ancestors().find(|folder| is_root(folder)));
    let is_new = |path: &Path| !names.contains(&absolute(path));
    if let Some(root) = root {
        // Of what is only stood upon, whatever can be read will do.
        return Ok(Registry::readable_sources(root, &is_new).0);
    }
    let overlays = super::sources(&global.overlays())?;
    let all = Registry::shipped()?.sources.iter().cloned().chain(overlays);
    Ok(all.filter(|source| is_new(Path::new(&source.name))).collect())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
