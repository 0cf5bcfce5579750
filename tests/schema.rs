//! The JSON Schema of registry files: as written in `schema/`, and as strict as the loader.

use std::error::Error;
use std::fs;
use std::path::Path;

use omni::diag::Source;
use omni::lint;
use omni::registry::{Registry, schema};
use serde_json::Value;

type Outcome = Result<(), Box<dyn Error>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A TOML text as JSON, as editors see it.
fn as_json(text: &str) -> Result<Value, Box<dyn Error>> {
    Ok(serde_json::to_value(toml::from_str::<toml::Value>(text)?)?)
}

/// What the schema says against a file, if anything.
fn errors(file: &Value) -> Result<Option<String>, Box<dyn Error>> {
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("registry.json", schema())?;
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("registry.json", &mut schemas).map_err(|error| error.to_string())?;
    Ok(schemas.validate(file, index).err().map(|error| error.to_string()))
}

#[test]
fn the_written_schema_is_what_the_types_say() -> Outcome {
    let written: Value = serde_json::from_str(&fs::read_to_string(root().join("schema/registry.json"))?)?;
    assert!(
        written == schema(),
        "schema/registry.json is out of date: cargo run -- schema > schema/registry.json"
    );
    Ok(())
}

#[test]
fn every_shipped_file_is_valid_and_names_the_schema() -> Outcome {
    for source in Registry::sources(&root().join("registry"))? {
        let (file, text) = (Path::new(&source.name), &source.text);
        let first = text.lines().next().unwrap_or_default();
        let named = first.strip_prefix("#:schema ").ok_or_else(|| format!("{file:?} names no schema"))?;
        let named = file.parent().ok_or("a file lies in a folder")?.join(named);
        assert_eq!(named.canonicalize()?, root().join("schema/registry.json").canonicalize()?, "{file:?}");
        errors(&as_json(text)?)?.map_or(Ok(()), |wrong| Err(format!("{}: {wrong}", file.display())))?;
    }
    Ok(())
}

/// What these lints find is wrong with the form of one file, so a schema finds it too.
const FORM: &[&str] = &["missing-key", "unknown-key", "wrong-type"];

#[test]
fn the_examples_of_the_lints_about_form_are_invalid_where_they_are_bad() -> Outcome {
    let mut tried = 0;
    for lint in lint::all().iter().filter(|lint| FORM.contains(&lint.name) && !lint.bad.is_empty()) {
        assert!(errors(&as_json(lint.good)?)?.is_none(), "{}: the good example is valid", lint.name);
        assert!(errors(&as_json(lint.bad)?)?.is_some(), "{}: the bad example is invalid", lint.name);
        tried += 1;
    }
    assert_eq!(tried, FORM.len());
    Ok(())
}

#[test]
fn what_the_schema_refuses_the_loader_refuses_too() -> Outcome {
    let samples = [
        ("a table of another name", "[architecture.X]\ncategory = 'transformers'\n"),
        ("an architecture without a task", "[architectures.X]\ncategory = 'transformers'\n"),
        ("a number for a name", "[aliases]\nX = 3\n"),
        ("a list for a table", "modules = ['X']\n"),
        ("a rule without a condition", "[[rule]]\nid = 'x'\ncategory = 'y'\npriority = 1\nwhy = 'z'\n"),
        (
            "a priority that is text",
            "[[rule]]\nid = 'x'\ncategory = 'y'\npriority = 'high'\nwhy = 'z'\nwhen = { file = ['a'] }\n",
        ),
        ("a layer that is a list", "[modules.X]\nlayers.a = ['Linear(1, 2)']\n"),
        ("a method without a body", "[modules.X]\nmethods.encode = { inputs = ['x'] }\n"),
        ("a condition with an unknown key", "[[trait]]\nid = 'x'\nwhy = 'y'\nwhen = { files = ['a'] }\n"),
        ("a level that is none", "[lints]\nunused-let = 'loud'\n"),
    ];
    for (what, text) in samples {
        assert!(errors(&as_json(text)?)?.is_some(), "the schema takes {what}");
        let (_, problems) = Registry::from_files([Source::new("sample.toml", text)]);
        assert!(!problems.is_empty(), "the loader takes {what}");
    }
    Ok(())
}
