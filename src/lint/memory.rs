//! What was worked out of the entries of files, kept for as long as those files stay as they are.
//!
//! A file that is read again with the same text stays the same [`Source`], so that what is kept here is kept by content.
//! Absent on purpose: what is worked out.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::diag::Source;

/// Results by name, each with the files that took part.
#[derive(Debug)]
pub(super) struct Memory<T>(FxHashMap<String, (Vec<Arc<Source>>, Arc<T>)>);

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<T> Memory<T> {
    /// The result of that name, if just these files took part in it.
    pub(super) fn find(&self, name: &str, files: &[Arc<Source>]) -> Option<Arc<T>> {
        let (known, found) = self.0.get(name)?;
        let same = known.len() == files.len() && known.iter().zip(files).all(|(a, b)| Arc::ptr_eq(a, b));
        same.then(|| Arc::clone(found))
    }

    pub(super) fn insert(&mut self, name: &str, files: Vec<Arc<Source>>, result: &Arc<T>) {
        self.0.insert(name.to_owned(), (files, Arc::clone(result)));
    }

    /// Keeps the results in which only files took part that `current` holds for.
    pub(super) fn retain(&mut self, current: &dyn Fn(&Arc<Source>) -> bool) {
        self.0.retain(|_, (files, _)| files.iter().all(current));
    }
}
