//! Compiles the registry files into the crate: their texts, and where the sections of each table lie in them.
//!
//! The sections are found by their headers alone, without parsing; a test holds what they give against the files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    println!("cargo::rerun-if-changed=registry");
    let mut files = Vec::new();
    collect(&root.join("registry"), &mut files)?;
    files.sort();
    let mut code = String::from(
        "/// Every shipped registry file: its name, its text, and the table and bytes of each of its parts.\n\
         const FILES: &[(&str, &str, &[(&str, usize, usize)])] = &[\n",
    );
    for file in &files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?;
        let name = name.to_string_lossy().replace('\\', "/");
        let parts = parts(&fs::read_to_string(file)?);
        writeln!(code, "    ({name:?}, include_str!({:?}), &{parts:?}),", file.display().to_string())
            .map_err(io::Error::other)?;
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("registry_files.rs"), code)
}

/// The runs of sections of one table. Those of `known` can be read one by one, so each is a part of its own.
fn parts(text: &str) -> Vec<(String, usize, usize)> {
    let mut parts: Vec<(String, usize, usize)> = Vec::new();
    let (mut at, mut inside_text) = (0, false);
    for line in text.split_inclusive('\n') {
        if let Some(header) = line.strip_prefix('[').filter(|_| !inside_text) {
            let header = header.trim_start_matches('[');
            let table = header.split(['.', ']']).next().unwrap_or_default().trim();
            let is_same = parts.last().is_some_and(|(last, ..)| last == table);
            if !is_same || table == "known" {
                parts.push((table.to_owned(), at, at));
            }
        }
        let quotes = line.matches("'''").count() + line.matches("\"\"\"").count();
        inside_text ^= quotes % 2 == 1;
        at += line.len();
        if let Some((.., end)) = parts.last_mut() {
            *end = at;
        }
    }
    parts
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}
