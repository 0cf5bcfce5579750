//! How long `omni check` takes for a registry of 200 definitions: cold, as a process, beside `taplo check` on the same
//! files and `ruff check` on Python of about the same size; and for one changed file, as `--watch` and editors check it.
//!
//! The goals are 100 ms and 30 ms. The programs are looked for on PATH. Processes run in turn, so that whatever else
//! the machine does falls on all of them.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod registry;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use omni::lint::{Checker, Input, Options};
use omni::registry::Registry;

/// As the command has it: what is timed in process stands for a command that watches.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many definitions are checked.
const DEFINITIONS: usize = 200;
/// So often each is measured.
const ROUNDS: usize = 21;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path().join("registry");
    let files = registry::files(DEFINITIONS);
    registry::write(&at, &files);
    let (merged, problems) = Registry::from_files(Registry::sources(&at).expect("it was written"));
    assert!(problems.is_empty(), "{problems}");
    let python = folder.path().join("python");
    registry::write(&python, &registry::python(&merged));
    println!(
        "{} definitions in {} files: {} kB of TOML; {} kB as Python",
        merged.architectures.len(),
        files.len(),
        size(&at) / 1000,
        size(&python) / 1000
    );
    processes(&at, &python);
    println!("one changed file, as a process that watches checks it:");
    changed(&at, "families/gpt2_2.toml", "a family that none other uses");
    changed(&at, "families/llama.toml", "a family that many use");
    changed(&at, "layers.toml", "the layers that all use");
}

/// The commands in turn, and the median of each.
fn processes(registry: &Path, python: &Path) {
    let omni = env!("CARGO_BIN_EXE_omni");
    let mut commands = vec![
        ("omni check", command(omni, &["check", "--output-format", "concise"], registry)),
        ("omni --version", command(omni, &["--version"], Path::new(""))),
    ];
    let toml: Vec<_> =
        Registry::sources(registry).expect("there").iter().map(|file| file.name.clone()).collect();
    let toml: Vec<&str> = toml.iter().map(String::as_str).collect();
    for (name, program, first, path) in [
        ("taplo check", "taplo", ["check", "--no-schema"], Path::new("")),
        ("taplo check with the schema", "taplo", ["check", "--no-auto-config"], Path::new("")),
        ("ruff check", "ruff", ["check", "--no-cache"], python),
    ] {
        let rest: &[&str] = if program == "taplo" { &toml } else { &["--exit-zero", "--isolated"] };
        let command = command(program, &[&first[..], rest].concat(), path);
        if found(program) {
            commands.push((name, command));
        } else {
            println!("{name}: {program} is not on PATH");
        }
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); commands.len()];
    for _ in 0..ROUNDS {
        for ((name, command), times) in commands.iter_mut().zip(&mut times) {
            let start = Instant::now();
            let output = command.output().expect("it was found");
            times.push(start.elapsed());
            let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {text}");
        }
    }
    let first = median(&mut times[0].clone());
    for ((name, _), times) in commands.iter().zip(&mut times) {
        let time = median(times);
        println!("{name:28} {:8.1} ms   omni takes {:6.2} times as long", ms(time), ms(first) / ms(time));
    }
}

fn command(program: &str, arguments: &[&str], path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    if !path.as_os_str().is_empty() {
        command.arg(path);
    }
    command
}

fn found(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Changes one file back and forth, and checks the registry after each change: reading it included.
fn changed(registry: &Path, file: &str, what: &str) {
    let at = registry.join(file);
    let text = fs::read_to_string(&at).expect("there");
    // A new line moves what follows it, and a statement more is other code.
    let edited = text.replace("\nforward = '''\n", "\nforward = '''\nedited = 1\n");
    assert_ne!(text, edited, "{file} has a body");
    let mut checker = Checker::default();
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        fs::write(&at, if round % 2 == 0 { &text } else { &edited }).expect("written");
        let start = Instant::now();
        let input = Input { base: Vec::new(), files: Registry::sources(registry).expect("there") };
        let checked = checker.check(&input, &Options::default());
        if round > 0 {
            times.push(start.elapsed());
        }
        assert_eq!(checked.findings.problems.is_empty(), round % 2 == 0, "the statement is not used");
    }
    fs::write(&at, &text).expect("written");
    println!("{what:32} {:8.1} ms", ms(median(&mut times)));
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| {
            if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().expect("a file").len() }
        })
        .sum()
}
