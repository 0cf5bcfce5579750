//! `omni check --fix`: corrections made until none is left, or shown as a diff.
//!
//! After each round the files are checked again; a round that leaves more findings than it found is not kept.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use super::output;
use crate::diag::Source;
use crate::lint::{self, Input, Options, fix};

/// How corrections are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode {
    /// Also those that can change a definition's meaning.
    pub(crate) with_unsafe: bool,
    /// What becomes of them.
    pub(crate) then: Then,
}

/// What becomes of corrections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The files are written.
    Write,
    /// They are shown.
    Show,
    /// The caller has a use for them.
    Give,
}

/// A correction can make another possible; more rounds than this never help.
const ROUNDS: usize = 8;

/// Corrects the files; gives what is to be checked then, and how many of them changed.
pub(crate) fn run(input: Input, options: &Options, mode: Mode) -> Result<(Input, usize), Box<dyn Error>> {
    let before = input.files.clone();
    let after = corrected(input, options, mode);
    let mut made = 0usize;
    for (old, new) in before.iter().zip(&after.files) {
        if old.text == new.text {
            continue;
        }
        made += 1;
        match mode.then {
            Then::Write => std::fs::write(Path::new(&new.name), &new.text)
                .map_err(|error| format!("cannot write `{}`: {error}", new.name))?,
            Then::Show => output::print(&output::diff(&old.name, &old.text, &new.text)),
            Then::Give => {}
        }
    }
    if mode.then == Then::Write && made > 0 {
        output::note(&format!("corrected {made} file{}", if made == 1 { "" } else { "s" }));
    }
    Ok((after, made))
}

/// The files with every correction that helps.
pub(crate) fn corrected(mut input: Input, options: &Options, mode: Mode) -> Input {
    let mut found = lint::check(&input, options).problems;
    for _ in 0..ROUNDS {
        let mut next = input.clone();
        let mut made = 0;
        for file in &mut next.files {
            let fixes: Vec<fix::Fix> = (found.iter())
                .filter(|problem| problem.span.as_ref().is_some_and(|span| Arc::ptr_eq(&span.source, file)))
                .filter_map(fix::of)
                .filter(|fix| mode.with_unsafe || !fix.is_unsafe)
                .collect();
            let (text, count) = fix::apply(&file.text, &fixes);
            if count > 0 {
                *file = Source::new(file.name.clone(), text);
                made += count;
            }
        }
        if made == 0 {
            break;
        }
        let left = lint::check(&next, options).problems;
        if left.len() >= found.len() {
            break;
        }
        (input, found) = (next, left);
    }
    input
}
