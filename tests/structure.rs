//! What the crate promises about itself in `src/lib.rs`, read from its own source: the order of the layers, where
//! tensors live, who prints, and that models are data.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own repository fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use omni::registry::Registry;
use regex::Regex;
use serde_json::Value;

/// A layer names only those before it.
const LAYERS: [&str; 19] = [
    "diag",
    "format",
    "facts",
    "registry",
    "matcher",
    "ops",
    "plan",
    "lang",
    "graph",
    "compare",
    "expect",
    "weights",
    "tokenizer",
    "hub",
    "model",
    "info",
    "lint",
    "lsp",
    "cli",
];

/// What a file may name all the same, and why.
const EXEMPT: [(&str, &str, &str); 1] =
    [("ops/testing.rs", "model", "built for tests only: it opens the device that the tests are to run on")];

/// Where tensors may be named.
const TENSORS: [&str; 3] = ["ops", "weights", "model"];

/// Model types that are also ordinary words, or crates, and may occur as such.
const WORDS: [(&str, &str); 3] = [
    ("align", "corners are aligned"),
    ("clap", "the crate that reads the command line"),
    ("clip", "to cut off at a bound"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of `src/`, its comments blanked.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The layer that it belongs to; `None` for `lib.rs` and `main.rs`.
    fn layer(&self) -> Option<&str> {
        let first = self.path.components().next().unwrap().as_os_str().to_str().unwrap();
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(name, "lib" | "main")).then_some(name)
    }

    /// How many steps the module is below the crate.
    fn depth(&self) -> usize {
        let steps = self.path.components().count();
        if self.path.file_name().is_some_and(|name| name == "mod.rs") { steps - 1 } else { steps }
    }

    /// Every match of a pattern, with the line that it is on.
    fn matches(&self, pattern: &Regex) -> Vec<(usize, String)> {
        let lines = self.text.lines().enumerate();
        let found = lines.flat_map(|(at, line)| {
            pattern.captures_iter(line).map(move |found| {
                let wanted = found.get(1).or_else(|| found.get(0)).unwrap();
                (at + 1, wanted.as_str().to_owned())
            })
        });
        found.collect()
    }

    fn at(&self, line: usize) -> String {
        format!("src/{}:{line}", self.path.display())
    }
}

fn sources() -> Vec<Source> {
    let comment = Regex::new(r"(^|\s)//.*").unwrap();
    let top = root().join("src");
    let mut files = files_below(&top);
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<String> = text.lines().map(|line| comment.replace(line, "$1").into_owned()).collect();
        Source { path: file.strip_prefix(&top).unwrap().to_owned(), text: lines.join("\n") }
    };
    let sources: Vec<Source> = files.into_iter().map(read).collect();
    assert!(sources.len() > 100, "only {} files of source found", sources.len());
    sources
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            if name != "target" && name != ".git" {
                files.extend(files_below(&entry.path()));
            }
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

/// Fails with all findings at once.
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

fn place(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|known| *known == layer)
}

#[test]
fn every_file_belongs_to_a_layer_and_names_only_those_before_it() {
    let absolute = Regex::new(r"\bcrate::(\w+|\{)").unwrap();
    let relative = Regex::new(r"\b((?:super::)+\w+)").unwrap();
    let mut found = Vec::new();
    for source in sources() {
        let Some(layer) = source.layer() else { continue };
        let own = place(layer).unwrap_or_else(|| panic!("`{layer}` is no layer: give it a place in LAYERS"));
        for (line, name) in source.matches(&absolute) {
            match place(&name) {
                Some(other) if other <= own => {}
                Some(_)
                    if EXEMPT.iter().any(|(file, to, _)| source.path == Path::new(file) && name == *to) => {}
                Some(_) => found.push(format!("{}: `{layer}` names `{name}`", source.at(line))),
                None => found.push(format!("{}: `crate::{name}` names no layer", source.at(line))),
            }
        }
        // A path out of the layer by `super` would go unseen above.
        for (line, path) in source.matches(&relative) {
            let (steps, name) = path.rsplit_once("::").unwrap();
            let leaves = steps.split("::").count() >= source.depth();
            if leaves && name != layer && place(name).is_some() {
                found.push(format!("{}: `{path}` leaves the layer: write `crate::{name}`", source.at(line)));
            }
        }
    }
    none("a layer names one that comes after it", found);
}

#[test]
fn the_order_of_the_layers_is_the_documented_one() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let documented = Regex::new(r"`(\w+(?: < \w+)+)`").unwrap();
    let order = documented.captures(&text).expect("lib.rs says the order")[1].to_owned();
    assert_eq!(order, LAYERS.join(" < "));
}

#[test]
fn tensors_live_in_three_layers_only() {
    let burn = Regex::new(r"\bburn(?:_\w+)?::").unwrap();
    let mut found = Vec::new();
    for source in sources() {
        if source.layer().is_none_or(|layer| !TENSORS.contains(&layer)) {
            found.extend(source.matches(&burn).into_iter().map(|(line, _)| source.at(line)));
        }
    }
    none("burn is named outside of ops, weights and model", found);
}

#[test]
fn only_the_command_line_prints() {
    let macros = Regex::new(r"\b(?:e?print(?:ln)?|dbg|todo|unimplemented)!").unwrap();
    let streams = Regex::new(r"\bstd(?:out|err)\(\)|\bprocess::exit\b").unwrap();
    let mut found = Vec::new();
    for source in sources() {
        found.extend(
            source
                .matches(&macros)
                .into_iter()
                .map(|(line, name)| format!("{}: `{name}`: write through `cli::output`", source.at(line))),
        );
        if source.layer() != Some("cli") {
            found.extend(
                source
                    .matches(&streams)
                    .into_iter()
                    .map(|(line, name)| format!("{}: `{name}` outside of cli", source.at(line))),
            );
        }
    }
    none("something prints", found);
}

/// Every architecture that is known, and every model type that no ordinary word looks like.
fn names_of_models() -> BTreeSet<String> {
    let registry = Registry::shipped().unwrap();
    let rules = &registry.rules;
    let mut names: BTreeSet<String> = registry.architectures.keys().cloned().collect();
    names.extend(rules.all_known().into_keys().map(str::to_owned));
    names.extend(rules.all_aliases().into_keys().map(str::to_owned));
    let listed = fs::read_to_string(root().join("tests/fixtures/names.json")).unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    for list in ["architectures", "vision_encoders", "audio_encoders", "asr"] {
        names.extend(listed[list].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()));
    }
    names.extend(listed["aliases"].as_object().unwrap().keys().cloned());
    assert!(names.len() > 2000, "only {} names", names.len());
    let defined = registry.architectures.values().flat_map(|found| &found.model_types);
    let mut types: BTreeSet<String> = defined.map(|name| name.text.clone()).collect();
    types.extend(rules.all_model_types().into_keys().map(str::to_owned));
    types.retain(|name| name.len() >= 4 && WORDS.iter().all(|(word, _)| word != name));
    assert!(types.len() > 500, "only {} model types", types.len());
    names.extend(types);
    names
}

#[test]
fn no_model_is_named_in_the_source() {
    let names = names_of_models();
    let words = [Regex::new(r"\w+").unwrap(), Regex::new(r"\w+(?:-\w+)+").unwrap()];
    let mut found = Vec::new();
    for source in sources() {
        for pattern in &words {
            let here = source.matches(pattern).into_iter().filter(|(_, word)| names.contains(word));
            found.extend(here.map(|(line, word)| format!("{}: `{word}`", source.at(line))));
        }
    }
    none("models are data: the source names none of them", found);
}

#[test]
fn nothing_refers_to_what_lies_beside_the_repository() {
    let wanted = concat!("..", "/shared").as_bytes();
    let mut found = Vec::new();
    for file in files_below(root()) {
        let bytes = fs::read(&file).unwrap();
        if bytes.windows(wanted.len()).any(|part| part == wanted) {
            found.push(file.strip_prefix(root()).unwrap().display().to_string());
        }
    }
    none("a file names a folder outside of the repository", found);
}
