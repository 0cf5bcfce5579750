//! `omni check --watch`: checks again whenever a file changes, until it is interrupted.
//!
//! The checker remembers what did not change. Absent on purpose: an exit code; whoever watches reads.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecursiveMode, Watcher as _};

use super::{Outcome, output};
use crate::lint::{Checker, Findings, Input, Options};

/// Programs that save write several times at once; a check waits until nothing more happens for so long. What comes later
/// is checked again.
const PAUSE: Duration = Duration::from_millis(5);

/// Where something happens all the time, a check waits no longer than this.
const PATIENCE: Duration = Duration::from_millis(200);

/// Checks what `input` gives, again after each change below `paths`.
pub(crate) fn run(
    paths: &[PathBuf],
    input: &dyn Fn() -> Result<Input, Box<dyn std::error::Error>>,
    options: &Options,
    show: &dyn Fn(&Findings) -> String,
) -> Outcome {
    if paths.is_empty() {
        return Err("the shipped registry never changes; give a file or a folder to watch".into());
    }
    let (sender, events) = channel();
    let mut watcher = notify::recommended_watcher(sender)?;
    let mut watched = BTreeSet::new();
    for path in paths {
        // A file is watched through its folder: editors put a new file in the place of the old one.
        let (folder, mode) = if path.is_dir() {
            (path.clone(), RecursiveMode::Recursive)
        } else {
            (folder_of(path), RecursiveMode::NonRecursive)
        };
        watcher.watch(&folder, mode)?;
        watched.insert(folder);
    }
    let mut checker = Checker::default();
    loop {
        let started = Instant::now();
        match input() {
            Ok(input) => {
                for folder in input.base.iter().map(|file| folder_of(Path::new(&file.name))) {
                    // What is stood upon may be compiled in.
                    if folder.is_dir() && watched.insert(folder.clone()) {
                        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
                    }
                }
                let checked = checker.check(&input, options);
                clear();
                output::print(&show(&checked.findings));
            }
            Err(error) => output::report(&*error),
        }
        output::note(&format!(
            "checked in {} ms; waiting for changes, Ctrl-C ends",
            started.elapsed().as_millis()
        ));
        while !matters(&events.recv()?) {}
        settle(&events);
    }
}

/// Waits until nothing more happens that matters.
fn settle(events: &Receiver<notify::Result<Event>>) {
    let started = Instant::now();
    let (mut until, latest) = (started + PAUSE, started + PATIENCE);
    while let Ok(event) = events.recv_timeout(until.min(latest).saturating_duration_since(Instant::now())) {
        if matters(&event) {
            until = Instant::now() + PAUSE;
        }
        if Instant::now() >= latest {
            return;
        }
    }
}

/// The folder that a file lies in.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether something happened that can change what is found. Reading does not.
fn matters(event: &notify::Result<Event>) -> bool {
    let Ok(event) = event else { return true };
    let is_read = matches!(event.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)));
    let is_toml = |path: &PathBuf| path.extension().is_none_or(|extension| extension == "toml");
    !is_read && (event.paths.is_empty() || event.paths.iter().any(is_toml))
}

/// Clears the screen, if there is one.
fn clear() {
    if std::io::stdout().is_terminal() {
        output::print("\x1b[2J\x1b[3J\x1b[H");
    }
}
