//! Sparse autoencoders: `encode`, `decode` and both in a row, read from every layout, and saved again.

use std::fs;
use std::path::{Path, PathBuf};

use omni::model::{Inputs, Model};
use serde_json::Value as Json;

use crate::harness::{Case, Outcome, Recorded, Tensors, load, read, root};

/// Compares the autoencoder in a folder below `parity/sae`, named by the folder and by each of its files.
pub(crate) fn check(folder: &str) -> Outcome {
    let dir = root().join("sae").join(folder);
    let golden: Json = serde_json::from_str(&fs::read_to_string(dir.join("golden.json"))?)?;
    let tensors = read(&dir.join("golden.safetensors"))?;
    let mut faults = Vec::new();
    let model = load(&dir)?;
    compare("", &model, &golden, &tensors, &mut faults)?;
    for file in files(&dir)? {
        let label = file.strip_prefix(&dir)?.display().to_string();
        compare(&label, &load(&file)?, &golden, &tensors, &mut faults)?;
    }
    let saved = tempfile::tempdir()?;
    model.save(saved.path())?;
    compare("saved", &load(saved.path())?, &golden, &tensors, &mut faults)?;
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

fn compare(
    label: &str,
    model: &Model,
    golden: &Json,
    tensors: &Tensors,
    faults: &mut Vec<String>,
) -> Outcome {
    let recorded = |name: &str| tensors.get(name).ok_or_else(|| format!("no `{name}` is recorded"));
    let case = Case { name: "sae", model, golden, tensors, label };
    let x = |inputs| -> Result<Inputs, String> { Ok(give(inputs, "x", recorded("x")?)) };
    let features =
        |inputs| -> Result<Inputs, String> { Ok(give(inputs, "features", recorded("feature_acts")?)) };
    let mut expect = |method: &str, inputs: Inputs, output: &str, wanted: &Recorded| -> Outcome {
        let outputs = model.call(method, &inputs, &[])?;
        let value = outputs.get(output).ok_or_else(|| format!("`{method}` gives no `{output}`"))?;
        case.compare(&format!("{method}.{output}"), wanted, value, faults);
        Ok(())
    };
    expect("encode", x(Inputs::new())?, "features", recorded("feature_acts")?)?;
    // What the reference remembers of the last `x` is an input here; sparsify's `decode` adds its skip connection.
    let remembers = matches!(
        model.config()["normalize_activations"].as_str(),
        Some("layer_norm" | "constant_norm_rescale")
    );
    let skips = recorded("forward").is_err();
    let inputs = features(Inputs::new())?;
    let inputs = if remembers || skips { x(inputs)? } else { inputs };
    expect("decode", inputs, "reconstruction", recorded("recon")?)?;
    let whole = recorded("forward").or_else(|_| recorded("recon"))?;
    expect("forward", x(Inputs::new())?, "reconstruction", whole)?;
    expect("forward", x(Inputs::new())?, "features", recorded("feature_acts")?)
}

/// Adds a recorded tensor as [batch, time, size]: heads lie side by side.
fn give(inputs: Inputs, name: &str, recorded: &Recorded) -> Inputs {
    let (batch, time) = (recorded.shape[0], recorded.shape[1]);
    #[expect(clippy::cast_possible_truncation, reason = "recorded as 32 bits")]
    let numbers: Vec<f32> = recorded.numbers.iter().map(|number| *number as f32).collect();
    let size = numbers.len() / (batch * time);
    inputs.floats(name, numbers, vec![batch, time, size])
}

/// The files of the autoencoder itself.
fn files(dir: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if !name.starts_with("golden.") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Fails if a recorded folder has no test.
pub(crate) fn all_are_listed(listed: &[&str]) -> Outcome {
    let top = root().join("sae");
    let mut open = vec![top.clone()];
    while let Some(dir) = open.pop() {
        let name = dir.strip_prefix(&top)?.to_string_lossy().replace('\\', "/");
        if dir.join("golden.json").exists() && !listed.contains(&name.as_str()) {
            return Err(format!("sae/{name} has recordings and no test").into());
        }
        for entry in fs::read_dir(&dir)? {
            open.extend(Some(entry?.path()).filter(|path| path.is_dir()));
        }
    }
    Ok(())
}
