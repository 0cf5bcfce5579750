//! Entries by name, those of the shipped registry read only when they are looked at.
//!
//! A [`Table`] reads like the [`BTreeMap`] that it stands for. Shipped entries lie below those of overlays; they are
//! parsed on the first look, so that a command that asks for names alone never parses a definition.

use std::collections::{BTreeMap, btree_map};
use std::ops::Deref;
use std::sync::OnceLock;

/// Gives the shipped entries.
pub(super) type Shipped<T> = fn() -> &'static BTreeMap<String, T>;

/// Entries by name; those of overlays win over the shipped ones.
#[derive(Debug, Clone)]
pub struct Table<T: 'static> {
    shipped: Option<Shipped<T>>,
    own: BTreeMap<String, T>,
    merged: OnceLock<BTreeMap<String, T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { shipped: None, own: BTreeMap::new(), merged: OnceLock::new() }
    }
}

impl<T: Clone> Table<T> {
    /// The shipped entries, with nothing over them.
    pub(super) fn shipped(shipped: Shipped<T>) -> Self {
        Self { shipped: Some(shipped), ..Self::default() }
    }

    /// Sets an entry, over one of that name if there is any.
    pub fn insert(&mut self, name: String, entry: T) {
        self.merged.take();
        self.own.insert(name, entry);
    }

    /// Sets every entry of another table.
    pub(super) fn absorb(&mut self, other: Self) {
        self.merged.take();
        self.own.extend(other.own);
        self.shipped = self.shipped.or(other.shipped);
    }

    fn entries(&self) -> &BTreeMap<String, T> {
        let Some(shipped) = self.shipped else { return &self.own };
        if self.own.is_empty() {
            return shipped();
        }
        self.merged.get_or_init(|| {
            let mut merged = shipped().clone();
            merged.extend(self.own.clone());
            merged
        })
    }
}

impl<T: Clone> Deref for Table<T> {
    type Target = BTreeMap<String, T>;

    fn deref(&self) -> &BTreeMap<String, T> {
        self.entries()
    }
}

impl<'a, T: Clone> IntoIterator for &'a Table<T> {
    type Item = (&'a String, &'a T);
    type IntoIter = btree_map::Iter<'a, String, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries().iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    fn shipped() -> &'static BTreeMap<String, u8> {
        static ENTRIES: LazyLock<BTreeMap<String, u8>> =
            LazyLock::new(|| BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
        &ENTRIES
    }

    #[test]
    fn own_entries_lie_over_the_shipped_ones() {
        let mut table = Table::shipped(shipped);
        assert_eq!((table.len(), table["a"]), (2, 1));
        table.insert("a".to_owned(), 7);
        assert_eq!((table.len(), table["a"], table["b"]), (2, 7, 2));
        table.insert("c".to_owned(), 9);
        let names: Vec<&str> = (&table).into_iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"], "an entry that comes after a look is seen");
        let mut empty = Table::default();
        empty.absorb(table);
        assert_eq!((empty.len(), empty["a"], shipped()["a"]), (3, 7, 1));
    }
}
