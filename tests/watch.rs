//! `omni check --watch`, as a process whose files change.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Far longer than any check takes; reached only where none comes.
const PATIENCE: Duration = Duration::from_mins(2);

const GOOD: &str = "\
[modules.ToyBlock]
args        = ['size']
inputs      = ['x']
layers.up   = 'Linear(size, size)'
forward     = 'return up(x)'

[architectures.Toy]
category = 'transformers'
task     = 'embed'
config   = 'toy'

[config.toy]
required = ['vocab_size', 'size']
sample   = { vocab_size = 8, size = 4 }

[modules.Toy]
inputs        = ['input_ids']
layers.tokens = 'Embedding(vocab_size, size)'
layers.block  = 'ToyBlock(size)'
forward = 'return {\"last_hidden_state\": block(tokens(input_ids))}'
";

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(lines: &Receiver<String>, wanted: &str) -> Result<(), Box<dyn Error>> {
    let mut seen = Vec::new();
    loop {
        let line = lines.recv_timeout(PATIENCE).map_err(|_| format!("no `{wanted}` in {seen:?}"))?;
        if line.contains(wanted) {
            return Ok(());
        }
        seen.push(line);
    }
}

#[test]
fn a_change_is_checked_and_shown() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("toy.toml");
    fs::write(&file, GOOD)?;
    let mut child = Command::new(env!("CARGO_BIN_EXE_omni"))
        .args(["check", "--watch", "--output-format", "concise", "toy.toml"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Process)?;
    let output = child.0.stdout.take().ok_or("the output is piped")?;
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    wait(&lines, "nothing found")?;
    fs::write(&file, GOOD.replace("up(x)", "upp(x)"))?;
    wait(&lines, "unknown-name")?;
    // As editors save: a new file in the place of the old one.
    let other = folder.path().join(".toy.toml.new");
    fs::write(&other, GOOD)?;
    fs::rename(&other, &file)?;
    wait(&lines, "nothing found")?;
    assert!(child.0.try_wait()?.is_none(), "it goes on until it is interrupted");
    Ok(())
}
