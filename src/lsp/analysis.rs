//! What a check looked at, with what is worked out from it when somebody asks.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::index::Index;
use crate::lang::{Notes, Program};
use crate::lint::Checked;

/// What a check looked at.
#[derive(Debug)]
pub(super) struct Analysis {
    pub(super) checked: Checked,
    index: OnceCell<Index>,
    notes: RefCell<BTreeMap<String, Option<Rc<Notes>>>>,
}

impl Analysis {
    pub(super) fn new(checked: Checked) -> Self {
        Self { checked, index: OnceCell::new(), notes: RefCell::default() }
    }

    /// What every name means.
    pub(super) fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(&self.checked))
    }

    /// What tracing an architecture on its sample meets; `None` if there is no sample.
    pub(super) fn notes(&self, architecture: &str) -> Option<Rc<Notes>> {
        if let Some(known) = self.notes.borrow().get(architecture) {
            return known.clone();
        }
        let registry = &self.checked.registry;
        let found = registry.architectures.get(architecture).and_then(|architecture| {
            let table = architecture.config.as_ref().and_then(|name| registry.config(name).ok());
            let config = crate::registry::sample(architecture, table.as_ref())?;
            Some(Rc::new(Program::observe(registry, architecture, &config)))
        });
        self.notes.borrow_mut().insert(architecture.to_owned(), found.clone());
        found
    }
}
