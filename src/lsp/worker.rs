//! The thread that checks, so that the server never waits for it.
//!
//! Takes the open documents; gives what a check found and looked at. Of several jobs for one project only the last is
//! done. Each project keeps its checker, which remembers what did not change.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::project::Project;
use super::server::Event;
use crate::lint::{Checked, Checker, Options};

/// A project to check.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) project: Project,
    /// How often the project had changed.
    pub(super) revision: u64,
    pub(super) open: BTreeMap<PathBuf, String>,
}

/// A job that is done.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) project: Project,
    /// The revision that was checked.
    pub(super) revision: u64,
    /// What the check gave; `None` if it failed by a fault of ours.
    pub(super) checked: Option<Checked>,
}

/// Starts the thread, whose projects lie over `overlays`; it ends when the sender of jobs, or the receiver of events, is gone.
pub(super) fn start(events: Sender<Event>, overlays: Vec<PathBuf>) -> Sender<Job> {
    let (sender, jobs) = channel();
    thread::spawn(move || work(&jobs, &events, &overlays));
    sender
}

fn work(jobs: &Receiver<Job>, events: &Sender<Event>, overlays: &[PathBuf]) {
    let mut checkers: BTreeMap<Project, Checker> = BTreeMap::new();
    while let Ok(first) = jobs.recv() {
        let mut latest = BTreeMap::from([(first.project.clone(), first)]);
        latest.extend(jobs.try_iter().map(|job| (job.project.clone(), job)));
        for (project, job) in latest {
            let mut checker = checkers.remove(&project).unwrap_or_default();
            let input = project.input(&job.open, overlays);
            let checked = catch_unwind(AssertUnwindSafe(|| checker.check(&input, &Options::default())));
            // A fault of ours costs this check, and what was remembered.
            if checked.is_ok() {
                checkers.insert(project.clone(), checker);
            }
            let done = Done { project, revision: job.revision, checked: checked.ok() };
            if events.send(Event::Done(Box::new(done))).is_err() {
                return;
            }
        }
    }
}
