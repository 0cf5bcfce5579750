//! Sparse autoencoders: `encode`, `decode` and both in a row, read from every layout, and saved again.

use std::fs;
use std::path::{Path, PathBuf};

use omni::model::{Inputs, Model};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
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

/// Tensors by name, to be stored.
type Stored = Vec<(String, Vec<f32>)>;

/// A copy of a recorded autoencoder of sae-lens with other tensors and other config fields.
fn changed(
    folder: &str,
    tensors: impl FnOnce(&mut Stored),
    fields: &[(&str, Json)],
) -> Result<tempfile::TempDir, Box<dyn std::error::Error>> {
    let (from, to) = (root().join("sae").join(folder), tempfile::tempdir()?);
    let mut config: Json = serde_json::from_str(&fs::read_to_string(from.join("cfg.json"))?)?;
    for (field, value) in fields {
        config[*field] = value.clone();
    }
    fs::write(to.path().join("cfg.json"), config.to_string())?;
    #[expect(clippy::cast_possible_truncation, reason = "stored as 32 bits")]
    let narrow = |numbers: &[f64]| numbers.iter().map(|number| *number as f32).collect::<Vec<_>>();
    let read = read(&from.join("sae_weights.safetensors"))?;
    let mut stored: Stored =
        read.iter().map(|(name, tensor)| (name.clone(), narrow(&tensor.numbers))).collect();
    tensors(&mut stored);
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = stored
        .into_iter()
        .map(|(name, numbers)| {
            let shape = read.get(&name).map_or_else(|| vec![numbers.len()], |tensor| tensor.shape.clone());
            (name, shape, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as long as its shape says");
        (name.as_str(), view)
    });
    safetensors::serialize_to_file(views, None, &to.path().join("sae_weights.safetensors"))?;
    Ok(to)
}

/// A training checkpoint has the logarithms of its thresholds.
pub(crate) fn thresholds_may_be_stored_as_logarithms() -> Outcome {
    let dir = changed(
        "sae_lens/jumprelu",
        |tensors| {
            let threshold = tensors.iter_mut().find(|(name, _)| name == "threshold").expect("it has one");
            "log_threshold".clone_into(&mut threshold.0);
            threshold.1.iter_mut().for_each(|number| *number = number.ln());
        },
        &[],
    )?;
    let recorded = root().join("sae/sae_lens/jumprelu");
    let golden: Json = serde_json::from_str(&fs::read_to_string(recorded.join("golden.json"))?)?;
    let mut faults = Vec::new();
    let tensors = read(&recorded.join("golden.safetensors"))?;
    compare("logarithms", &load(dir.path())?, &golden, &tensors, &mut faults)?;
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// Features that were scaled after training are scaled before they are decoded.
pub(crate) fn finetuned_features_are_scaled() -> Outcome {
    let folder = "sae_lens_legacy/v5-standard";
    let doubled = |tensors: &mut Stored| tensors.push(("scaling_factor".to_owned(), vec![2.0; 96]));
    let dir = changed(folder, doubled, &[("finetuning_scaling_factor", true.into())])?;
    let decoded = |model: &Model, features: f32| -> Result<Vec<f32>, Box<dyn std::error::Error>> {
        let inputs = Inputs::new().floats("features", vec![features; 96], vec![1, 1, 96]);
        let outputs = model.call("decode", &inputs, &[])?;
        Ok(outputs.values["reconstruction"].to_host().iter::<f32>().collect())
    };
    let plain = load(&root().join("sae").join(folder))?;
    assert_eq!(decoded(&load(dir.path())?, 0.5)?, decoded(&plain, 1.0)?);
    // Where the config does not ask for it, a factor is not left out without a word.
    let unasked = changed(folder, doubled, &[])?;
    let error = load(unasked.path()).expect_err("nobody takes the factor").to_string();
    assert!(error.contains("scaling_factor"), "{error}");
    Ok(())
}

/// What a config asks for and nobody knows is refused by name.
pub(crate) fn unknown_options_are_refused() -> Outcome {
    for (folder, field) in
        [("sae_lens/standard", "normalize_activations"), ("sae_lens/topk-k=7", "activation")]
    {
        let dir = changed(folder, |_| (), &[(field, "another".into())])?;
        let error = load(dir.path()).expect_err("it is not known").to_string();
        assert!(error.contains(field), "{error}");
    }
    let sizes = changed("sae_lens/topk-k=7", |_| (), &[("k", Json::Null)])?;
    let error = load(sizes.path()).expect_err("k is not given").to_string();
    assert!(error.contains("how many features"), "{error}");
    Ok(())
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
