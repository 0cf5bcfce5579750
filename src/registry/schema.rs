//! The JSON Schema of a registry file, for editors that complete and validate TOML.
//!
//! Generated from the types that serde reads, so that it cannot say anything else; `schema/registry.json` is it,
//! written out. Absent on purpose: what only the whole registry shows, which is for `omni check`.

use schemars::generate::SchemaSettings;

use super::raw::RawFile;

/// The JSON Schema (draft 2020-12) of a registry file.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<RawFile>();
    schema.insert("title".to_owned(), "A registry file of omni".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::load::{LISTS, TABLES};

    #[test]
    fn the_schema_has_the_tables_that_are_read_and_no_others() {
        let schema = super::schema();
        let properties = schema["properties"].as_object().expect("a file is a table");
        let described: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        let read: BTreeSet<&str> = TABLES.iter().chain(LISTS).copied().collect();
        assert_eq!(described, read);
    }
}
