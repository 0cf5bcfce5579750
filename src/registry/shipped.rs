//! The registry files that are compiled in, each table of them parsed when it is first looked at.
//!
//! The build script cuts the files at their section headers, so that reading the architectures parses no module, and
//! looking for a name parses only the lists that mention it. What is read has the same entries at the same places
//! as the whole files have: a test sees to it.
//!
//! Absent on purpose: problems. The shipped files have none: a test sees to that too.

use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};

use super::rules::Naming;
use super::table::Entries;
use super::{Architecture, Code, ConfigTable, Module, Registry, Table, Task, load};
use crate::diag::Source;

include!(concat!(env!("OUT_DIR"), "/registry_files.rs"));

/// The tables that hold nothing but names.
const NAMES: [&str; 4] = ["known", "model-types", "aliases", "argued"];
/// What is read only from the files themselves, by `omni test`.
const TESTS: &str = "expect";
/// The tables of definitions. All others are rules: few, and needed for every match.
const DEFINITIONS: [&str; 6] = ["architectures", "config", "modules", "tasks", "inputs", "masks"];

/// The sections of one table that follow one another in a file.
#[derive(Debug)]
struct Part {
    source: Arc<Source>,
    table: &'static str,
    range: Range<usize>,
}

static PARTS: LazyLock<(Vec<Arc<Source>>, Vec<Part>)> = LazyLock::new(|| {
    let (mut sources, mut all) = (Vec::new(), Vec::new());
    for &(name, text, parts) in FILES {
        let source = Source::new(name, text);
        all.extend(parts.iter().map(|&(table, start, end)| Part {
            source: Arc::clone(&source),
            table,
            range: start..end,
        }));
        sources.push(source);
    }
    (sources, all)
});

/// The entries of one table, or of all that `wanted` says.
fn read(wanted: impl Fn(&str) -> bool) -> Registry {
    let mut registry = Registry::default();
    for part in PARTS.1.iter().filter(|part| wanted(part.table)) {
        let problems = load::merge_part(&mut registry, &part.source, part.range.clone());
        debug_assert!(problems.is_empty(), "{problems}");
    }
    registry
}

/// Defines the function that gives one table of the shipped registry.
macro_rules! table {
    ($function:ident, $field:ident, $table:literal, $entry:ty) => {
        fn $function() -> &'static Entries<$entry> {
            static READ: LazyLock<Registry> = LazyLock::new(|| read(|table| table == $table));
            READ.$field.entries()
        }
    };
}

table!(architectures, architectures, "architectures", Architecture);
table!(configs, configs, "config", ConfigTable);
table!(modules, modules, "modules", Module);
table!(tasks, tasks, "tasks", Task);
table!(inputs, inputs, "inputs", Code);
table!(masks, masks, "masks", String);

/// The shipped registry.
pub(super) static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let apart = |table: &str| NAMES.contains(&table) || DEFINITIONS.contains(&table) || table == TESTS;
    let mut registry = read(|table| !apart(table));
    Arc::make_mut(&mut registry.rules).shipped_names = Some(&NAME_LISTS);
    Registry {
        sources: PARTS.0.clone(),
        architectures: Table::shipped(architectures),
        configs: Table::shipped(configs),
        modules: Table::shipped(modules),
        tasks: Table::shipped(tasks),
        inputs: Table::shipped(inputs),
        masks: Table::shipped(masks),
        rules: registry.rules,
        lints: registry.lints,
        expectations: Vec::new(),
        unread: registry.unread,
    }
});

/// The shipped names.
static NAME_LISTS: LazyLock<NameLists> = LazyLock::new(|| {
    let parts = PARTS.1.iter().filter(|part| NAMES.contains(&part.table));
    NameLists(parts.map(|part| NameList { part, read: OnceLock::new(), folded: OnceLock::new() }).collect())
});

/// Lists of names, each parsed when a name that its text mentions is asked for.
#[derive(Debug)]
pub(super) struct NameLists(Vec<NameList>);

#[derive(Debug)]
struct NameList {
    part: &'static Part,
    read: OnceLock<Naming>,
    folded: OnceLock<String>,
}

impl NameLists {
    /// The lists of a table in which `name` may stand, the ones that win first.
    pub(super) fn mentioning(
        &'static self,
        table: &'static str,
        name: &str,
    ) -> impl Iterator<Item = &'static Naming> {
        let lists = self.of(table).rev().filter(move |list| list.text().contains(name));
        lists.map(NameList::naming)
    }

    /// The lists of a table in which `name` may stand in another spelling, the ones that win last: both are compared
    /// as `fold` makes them, which is always the same for a table.
    pub(super) fn mentioning_folded(
        &'static self,
        table: &'static str,
        name: &str,
        fold: fn(&str) -> String,
    ) -> impl Iterator<Item = &'static Naming> {
        let lists =
            self.of(table).filter(move |list| list.folded.get_or_init(|| fold(list.text())).contains(name));
        lists.map(NameList::naming)
    }

    /// Every list of a table, the ones that win last.
    pub(super) fn all(&'static self, table: &'static str) -> impl Iterator<Item = &'static Naming> {
        self.of(table).map(NameList::naming)
    }

    /// Every name of a table. The shipped lists have an entry a line, so that nothing has to be parsed.
    pub(super) fn names(&'static self, table: &'static str) -> impl Iterator<Item = &'static str> {
        self.of(table).flat_map(|list| list.text().lines()).filter_map(|line| {
            let (name, _) = line.split_once('=').filter(|_| !line.starts_with(['#', '[']))?;
            Some(name.trim().trim_matches('"'))
        })
    }

    fn of(&'static self, table: &'static str) -> impl DoubleEndedIterator<Item = &'static NameList> {
        self.0.iter().filter(move |list| list.part.table == table)
    }
}

impl NameList {
    fn text(&self) -> &'static str {
        &self.part.source.text[self.part.range.clone()]
    }

    fn naming(&'static self) -> &'static Naming {
        self.read.get_or_init(|| {
            let mut registry = Registry::default();
            let problems = load::merge_part(&mut registry, &self.part.source, self.part.range.clone());
            debug_assert!(problems.is_empty(), "{problems}");
            Arc::unwrap_or_clone(registry.rules).naming
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn assert_same<'t, T: Debug + 't>(
        what: &str,
        parts: impl IntoIterator<Item = (&'t String, &'t T)>,
        whole: impl IntoIterator<Item = (&'t String, &'t T)>,
    ) {
        // Debug output holds every place.
        let said = |(name, entry): (&String, &T)| format!("{what} `{name}`: {entry:?}");
        let (parts, whole) = (parts.into_iter().map(said), whole.into_iter().map(said));
        assert_eq!(parts.collect::<Vec<_>>(), whole.collect::<Vec<_>>());
    }

    #[test]
    fn the_files_have_no_problems_and_their_parts_are_the_whole() {
        let (whole, problems) = Registry::from_files(PARTS.0.iter().cloned());
        assert!(problems.is_empty(), "{problems}");
        assert_same("architectures", &REGISTRY.architectures, &whole.architectures);
        assert_same("configs", &REGISTRY.configs, &whole.configs);
        assert_same("modules", &REGISTRY.modules, &whole.modules);
        assert_same("tasks", &REGISTRY.tasks, &whole.tasks);
        assert_same("inputs", &REGISTRY.inputs, &whole.inputs);
        assert_same("masks", &REGISTRY.masks, &whole.masks);
        assert!(!whole.modules.is_empty() && !whole.tasks.is_empty());
        let (ours, theirs) = (&REGISTRY.rules, &whole.rules);
        assert_same("categories", &ours.categories, &theirs.categories);
        assert_same("rules", &ours.rules, &theirs.rules);
        assert_same("traits", &ours.traits, &theirs.traits);
        assert_same("repairs", &ours.repairs, &theirs.repairs);
        assert_same("tokenizers", &ours.tokenizers, &theirs.tokenizers);
        assert_same("base models", &ours.base_models, &theirs.base_models);
        assert!(!theirs.rules.is_empty() && !theirs.base_models.is_empty());
    }

    #[test]
    fn every_name_is_found_in_the_list_that_mentions_it() {
        let (whole, _) = Registry::from_files(PARTS.0.iter().cloned());
        let (ours, theirs) = (&REGISTRY.rules, &whole.rules);
        let shown = |entry: Option<&dyn Debug>| format!("{:?}", entry.expect("it is found"));
        assert!(theirs.all_known().len() > 1000);
        for (name, entry) in theirs.all_known() {
            assert_eq!(shown(ours.known(name).map(|e| e as _)), format!("{entry:?}"));
        }
        for (name, entry) in theirs.all_model_types() {
            assert_eq!(shown(ours.model_type(name).map(|e| e as _)), format!("{entry:?}"));
        }
        for (name, entry) in theirs.all_aliases() {
            assert_eq!(shown(ours.alias(name).map(|e| e as _)), format!("{entry:?}"));
        }
        for (name, argument) in theirs.all_arguments() {
            assert_eq!(ours.argument(name), Some(argument.as_str()));
        }
        let names = |names: Vec<&str>| {
            let names: std::collections::BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
            names
        };
        assert_eq!(names(ours.known_names()), names(theirs.known_names()), "a name stands on a line");
        assert_eq!(names(ours.model_type_names()), names(theirs.model_type_names()));
        for name in ours.known_names() {
            let upper = ours.known_in_other_case(&name.to_uppercase());
            assert!(upper.contains_key(name), "{name}: {upper:?}");
            assert_eq!(upper.len(), theirs.known_in_other_case(&name.to_uppercase()).len(), "{name}");
        }
        let counts = |rules: &super::super::rules::Rules| {
            [
                rules.all_known().len(),
                rules.all_model_types().len(),
                rules.all_aliases().len(),
                rules.all_arguments().len(),
            ]
        };
        assert_eq!(counts(ours), counts(theirs));
    }
}
