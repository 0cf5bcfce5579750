//! Entries by name, those of the shipped registry read only when they are looked at.
//!
//! A [`Table`] reads like a map. Shipped entries lie below those of overlays; they are parsed on the first look, so that
//! a command that asks for names alone never parses a definition. Copies of a table share its entries.

use std::collections::{BTreeMap, btree_map};
use std::ops::Index;
use std::sync::{Arc, OnceLock};

/// The entries of a table.
pub(super) type Entries<T> = BTreeMap<String, Arc<T>>;

/// Gives the shipped entries.
pub(super) type Shipped<T> = fn() -> &'static Entries<T>;

/// Entries by name; those of overlays win over the shipped ones.
#[derive(Debug)]
pub struct Table<T: 'static> {
    shipped: Option<Shipped<T>>,
    own: Entries<T>,
    merged: OnceLock<Entries<T>>,
}

/// The entries of a table with their names, by name.
pub type Iter<'a, T> =
    std::iter::Map<btree_map::Iter<'a, String, Arc<T>>, fn((&'a String, &'a Arc<T>)) -> (&'a String, &'a T)>;

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { shipped: None, own: Entries::new(), merged: OnceLock::new() }
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { shipped: self.shipped, own: self.own.clone(), merged: self.merged.clone() }
    }
}

impl<T> Table<T> {
    /// The shipped entries, with nothing over them.
    pub(super) fn shipped(shipped: Shipped<T>) -> Self {
        Self { shipped: Some(shipped), ..Self::default() }
    }

    /// Sets an entry, over one of that name if there is any.
    pub fn insert(&mut self, name: String, entry: T) {
        self.merged.take();
        self.own.insert(name, Arc::new(entry));
    }

    /// Sets every entry of another table.
    pub(super) fn absorb(&mut self, other: Self) {
        self.merged.take();
        self.own.extend(other.own);
        self.shipped = self.shipped.or(other.shipped);
    }

    pub(super) fn entries(&self) -> &Entries<T> {
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

    /// The entry of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.entries().get(name).map(Arc::as_ref)
    }

    /// The entry of that name, with the name as it is kept here.
    #[must_use]
    pub fn get_key_value(&self, name: &str) -> Option<(&String, &T)> {
        self.entries().get_key_value(name).map(|(name, entry)| (name, entry.as_ref()))
    }

    /// Whether there is an entry of that name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.entries().contains_key(name)
    }

    /// The entries with their names, by name.
    pub fn iter(&self) -> Iter<'_, T> {
        self.entries().iter().map(|(name, entry)| (name, entry.as_ref()))
    }

    /// The names, in order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.entries().keys()
    }

    /// The entries, by name.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.entries().values().map(Arc::as_ref)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }
}

impl<T> Index<&str> for Table<T> {
    type Output = T;

    fn index(&self, name: &str) -> &T {
        &self.entries()[name]
    }
}

impl<'a, T> IntoIterator for &'a Table<T> {
    type Item = (&'a String, &'a T);
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    fn shipped() -> &'static BTreeMap<String, Arc<u8>> {
        static ENTRIES: LazyLock<BTreeMap<String, Arc<u8>>> =
            LazyLock::new(|| BTreeMap::from([("a".to_owned(), Arc::new(1)), ("b".to_owned(), Arc::new(2))]));
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
        assert_eq!((empty.len(), empty["a"], *shipped()["a"]), (3, 7, 1));
    }
}
