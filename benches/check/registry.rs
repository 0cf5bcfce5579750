//! A registry of many definitions: the shipped one, and copies of its families under other names.
//!
//! A copy is what its original is, so that it checks as cleanly, and no name of it is the original's, so that nothing
//! can be told of it without checking it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use omni::registry::{Code, Module, Name, Registry};
use regex::Regex;

/// The files of a registry, by path below its folder.
pub(super) type Files = Vec<(String, String)>;

/// The shipped files, and as many copies of the families as it takes to have `wanted` architectures.
pub(super) fn files(wanted: usize) -> Files {
    let shipped = Registry::shipped().expect("no errors");
    let mut files: Files =
        shipped.sources.iter().map(|source| (path(&source.name), source.text.clone())).collect();
    let families: Files = files.iter().filter(|(path, _)| path.starts_with("families/")).cloned().collect();
    let names = names(shipped, &families);
    let copies = wanted.div_ceil(shipped.architectures.len());
    for copy in 2..=copies {
        for (path, text) in &families {
            let stem = path.strip_suffix(".toml").expect("a family is a TOML file");
            files.push((format!("{stem}_{copy}.toml"), renamed(text, &names, copy)));
        }
    }
    files
}

/// Writes the files below a folder, with the schema beside it that they name.
pub(super) fn write(folder: &Path, files: &Files) {
    let schema = folder.parent().expect("it lies in another").join("schema");
    fs::create_dir_all(&schema).expect("a folder");
    fs::write(schema.join("registry.json"), include_str!("../../schema/registry.json")).expect("written");
    for (path, text) in files {
        let at = folder.join(path);
        fs::create_dir_all(at.parent().expect("below the folder")).expect("a folder");
        fs::write(at, text).expect("written");
    }
}

/// Where a shipped file lies below the folder of the registry.
fn path(name: &str) -> String {
    name.rsplit_once("registry/").map_or(name, |(_, path)| path).to_owned()
}

/// The names that families declare.
fn names(shipped: &Registry, families: &Files) -> BTreeSet<String> {
    let architectures = shipped.architectures.values();
    let named = architectures
        .flat_map(|found| [&found.name].into_iter().chain(&found.aliases).chain(&found.model_types));
    let modules = shipped.modules.values().map(|module| &module.name);
    let tables = shipped.configs.values().map(|table| &table.name);
    let here = |name: &&Name| families.iter().any(|(path, _)| name.span.source.name.ends_with(path));
    named.chain(modules).chain(tables).filter(here).map(|name| name.text.clone()).collect()
}

/// The text with another name wherever one of `names` stands as a whole word. Categories stay as they are.
fn renamed(text: &str, names: &BTreeSet<String>, copy: usize) -> String {
    let word = Regex::new(r#"category *= *"[a-z_]+"|[A-Za-z][A-Za-z0-9_-]*"#).expect("a pattern");
    let rename = |found: &regex::Captures<'_>| {
        let word = &found[0];
        if names.contains(word) { format!("{word}_copy{copy}") } else { word.to_owned() }
    };
    word.replace_all(text, rename).into_owned()
}

/// The code of a registry as Python of about the same size: a class for each module, a file for each file.
pub(super) fn python(registry: &Registry) -> Files {
    let mut files = Files::new();
    for source in &registry.sources {
        let mut text = String::from("from layers import *\n");
        let own = registry.modules.values().filter(|module| module.name.span.source == *source);
        own.for_each(|module| class(module, &mut text));
        let stem = path(&source.name).replace(['/', '-', '.'], "_");
        files.push((format!("{stem}.py"), text));
    }
    files
}

fn class(module: &Module, text: &mut String) {
    let list = |codes: &[Code]| codes.iter().flat_map(|code| [", ", &code.text]).collect::<String>();
    let parent = module.extends.as_ref().map_or("Module", |name| &name.text);
    let args = list(module.args.as_deref().unwrap_or_default());
    let _ = write!(text, "\n\nclass {}({parent}):\n    def __init__(self{args}):\n", module.name.text);
    text.push_str("        super().__init__()\n");
    for (name, code) in [&module.lets, &module.layers, &module.params, &module.buffers].into_iter().flatten()
    {
        let _ = writeln!(text, "        self.{} = {}", name.text, code.text);
    }
    for (name, method) in &module.methods {
        let inputs = module.inputs.as_ref().filter(|_| name.text == "forward").unwrap_or(&method.inputs);
        let _ = writeln!(text, "\n    def {}(self{}):", name.text, list(inputs));
        for line in method.body.text.lines() {
            let _ = writeln!(text, "        {line}");
        }
    }
}
