//! `omni scan`: every model below some directories, as a table.
//!
//! Folders are searched and models looked at in parallel; the table comes out in the order of the paths. What lies
//! inside a model belongs to it and is not listed again. Links to folders are not followed.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use rayon::prelude::*;
use serde::Serialize;

use super::{Global, Outcome, output, table};
use crate::facts::Hub;
use crate::info::{Inspector, ModelInfo};

/// List every model below some directories.
///
/// The table is fitted to COLUMNS if that is set, else to the terminal.
#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// Where to look.
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How many folders deep models are looked for.
const DEPTH: usize = 32;

/// Files that make a folder a model, or a part of one that can be named by itself.
const CONFIGS: [&str; 7] = [
    "config.json",
    "model_index.json",
    "cfg.json",
    "hyperparams.json",
    "params.json",
    "params.npz",
    "params.safetensors",
];

/// The stable form for programs: one a model, sorted by path.
#[derive(Debug, Serialize)]
struct Row {
    path: String,
    #[serde(flatten)]
    info: ModelInfo,
}

/// What a search found: models, and the folders that could not be read.
#[derive(Debug, Default)]
struct Below {
    models: Vec<PathBuf>,
    unreadable: Vec<(PathBuf, std::io::Error)>,
}

impl Scan {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let registry = global.registry()?;
        let inspector = Inspector::new(&registry, Hub::none());
        for dir in &self.dirs {
            // A root that is not there is a mistake; a folder below that cannot be read is only remarked on.
            fs::read_dir(dir).map_err(|error| match error.kind() {
                ErrorKind::NotADirectory => {
                    format!(
                        "`{}` is a file: give a directory, or ask `omni info` about the file",
                        dir.display()
                    )
                }
                ErrorKind::NotFound => format!("`{}` does not exist: check how it is spelled", dir.display()),
                _ => format!("`{}` cannot be read: {error}", dir.display()),
            })?;
        }
        let searching = output::Progress::searching("looking for models, folders so far:");
        let search = |dir: &PathBuf| search(dir, DEPTH, &searching);
        let mut below = self.dirs.par_iter().map(search).reduce(Below::default, Below::and);
        searching.finish();
        below.models.sort();
        below.models.dedup();
        below.unreadable.sort_by(|a, b| a.0.cmp(&b.0));
        for (dir, error) in &below.unreadable {
            output::note(&format!("`{}` cannot be read: {error}", dir.display()));
        }
        let progress = output::Progress::counting("models", below.models.len());
        let look = |path: &PathBuf| {
            let info = inspector.model_info(path);
            progress.step();
            Row { path: path.display().to_string(), info }
        };
        let rows: Vec<Row> = below.models.par_iter().map(look).collect();
        progress.finish();
        let text = if self.json {
            serde_json::to_string_pretty(&rows)? + "\n"
        } else {
            text(&rows, output::width())
        };
        output::print(&text);
        Ok(ExitCode::SUCCESS)
    }
}

impl Below {
    fn and(mut self, other: Self) -> Self {
        self.models.extend(other.models);
        self.unreadable.extend(other.unreadable);
        self
    }
}

fn search(dir: &Path, depth: usize, progress: &output::Progress) -> Below {
    progress.step();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return Below { unreadable: vec![(dir.to_owned(), error)], ..Below::default() },
    };
    let mut folders = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        if CONFIGS.iter().any(|config| name == *config) {
            return Below { models: vec![dir.to_owned()], ..Below::default() };
        }
        if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(entry.path());
        }
    }
    let search = |folder: &PathBuf| search(folder, depth - 1, progress);
    folders.par_iter().map(search).reduce(Below::default, Below::and)
}

fn text(rows: &[Row], width: Option<usize>) -> String {
    let or = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let head = ["path", "architecture", "category", "parameters", "size", "supported"].map(str::to_owned);
    let cells = rows.iter().map(|row| {
        let info = &row.info;
        [
            row.path.escape_debug().to_string(),
            or(&info.architecture),
            or(&info.category),
            info.parameters.map_or_else(|| "unknown".to_owned(), |count| HumanCount(count).to_string()),
            HumanBytes(info.size_on_disk).to_string(),
            if info.is_supported { "yes" } else { "no" }.to_owned(),
        ]
    });
    let all: Vec<[String; 6]> = std::iter::once(head).chain(cells).collect();
    let mut text = table::draw(&all, width);
    let supported = rows.iter().filter(|row| row.info.is_supported).count();
    let models = if rows.len() == 1 { "model" } else { "models" };
    let _ = writeln!(text, "{} {models}, {supported} of them supported", rows.len());
    text
}
