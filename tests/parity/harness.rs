//! Runs the cases of one recording and compares them, value by value.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use omni::model::device::{DeviceChoice, open};
use omni::model::{Dtype, Given, Inputs, Loader, Model};
use omni::ops::Value;
use safetensors::SafeTensors;
use serde_json::Value as Json;

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// The folder of recordings.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity")
}

/// A recorded tensor in host memory.
pub(crate) struct Recorded {
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Vec<f64>,
}

pub(crate) type Tensors = BTreeMap<String, Recorded>;

/// Compares all cases of a recording.
pub(crate) fn check(folder: &str) -> Outcome {
    let dir = root().join(folder);
    let golden: Json = serde_json::from_str(&fs::read_to_string(dir.join("golden.json"))?)?;
    let tensors = read(&dir.join("golden.safetensors"))?;
    let mut faults = Vec::new();
    if golden.get("components").is_some() || folder == "StableDiffusionPipeline" {
        for (part, cases) in [
            ("text_encoder", vec!["text_encoder"]),
            ("unet", vec!["unet", "unet_wide"]),
            ("vae", vec!["vae_encode", "vae_decode"]),
        ] {
            let model = load(&dir.join(part))?;
            for case in cases {
                Case { name: case, model: &model, golden: &golden, tensors: &tensors, label: folder }
                    .run(&mut faults)?;
            }
        }
    } else {
        let model = load(&dir)?;
        let cases = golden["cases"].as_object().ok_or("golden.json has no cases")?;
        for case in cases.keys() {
            Case { name: case, model: &model, golden: &golden, tensors: &tensors, label: folder }
                .run(&mut faults)?;
        }
        if dir.join("config_legacy.json").exists() {
            let legacy = with_legacy_config(&dir)?;
            let model = load(legacy.path())?;
            Case { name: "plain", model: &model, golden: &golden, tensors: &tensors, label: "legacy config" }
                .run(&mut faults)?;
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// Compares the cases that one mode of a model can run.
pub(crate) fn check_mode(folder: &str, mode: &str, cases: &[&str]) -> Outcome {
    let dir = root().join(folder);
    let golden: Json = serde_json::from_str(&fs::read_to_string(dir.join("golden.json"))?)?;
    let tensors = read(&dir.join("golden.safetensors"))?;
    let (device, _) = open(choice()?)?;
    let model = Loader::new(&dir).device(device).dtype(Dtype::F32).mode(mode).load_model()?;
    let mut faults = Vec::new();
    for name in cases {
        Case { name, model: &model, golden: &golden, tensors: &tensors, label: mode }.run(&mut faults)?;
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// Compares a checkpoint stored in another way with the recording that it names.
pub(crate) fn check_variant(folder: &str) -> Outcome {
    let dir = root().join("variants").join(folder);
    let variant: Json = serde_json::from_str(&fs::read_to_string(dir.join("golden.json"))?)?;
    let text = |key: &str| variant[key].as_str().ok_or_else(|| format!("golden.json has no `{key}`"));
    let recording = dir.join(text("golden")?);
    let tensors = read(&recording)?;
    let base =
        if recording.starts_with(dir.join("golden")) { dir.join(text("base")?) } else { recording.clone() };
    let described = if base.is_dir() { base } else { base.parent().map(Path::to_owned).unwrap_or_default() };
    let described = if described == dir { dir.join(text("base")?) } else { described };
    let golden: Json = serde_json::from_str(&fs::read_to_string(described.join("golden.json"))?)?;
    let mut faults = Vec::new();
    let name = variant["case"].as_str().unwrap_or("plain");
    let model = load(&dir)?;
    Case { name, model: &model, golden: &golden, tensors: &tensors, label: folder }.run(&mut faults)?;
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// Fails if a recorded folder has no test.
pub(crate) fn all_are_listed(listed: &[&str], variants: &[&str]) -> Outcome {
    for entry in fs::read_dir(root())?.chain(fs::read_dir(root().join("variants"))?) {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.join("golden.json").exists()
            && !listed.contains(&name.as_str())
            && !variants.contains(&name.as_str())
        {
            return Err(format!("{name} has recordings and no test").into());
        }
    }
    Ok(())
}

pub(crate) fn load(dir: &Path) -> Result<Model, Box<dyn Error>> {
    let (device, _) = open(choice()?)?;
    Ok(Loader::new(dir).device(device).dtype(Dtype::F32).load_model()?)
}

/// The device to compare on: `OMNI_PARITY_DEVICE`, or the CPU.
fn choice() -> Result<DeviceChoice, Box<dyn Error>> {
    Ok(std::env::var("OMNI_PARITY_DEVICE").unwrap_or_else(|_| "cpu".to_owned()).parse()?)
}

/// A copy of the folder whose `config.json` is the one that older repositories have.
fn with_legacy_config(dir: &Path) -> Result<tempfile::TempDir, Box<dyn Error>> {
    let copy = tempfile::tempdir()?;
    fs::copy(dir.join("config_legacy.json"), copy.path().join("config.json"))?;
    fs::copy(dir.join("model.safetensors"), copy.path().join("model.safetensors"))?;
    Ok(copy)
}

pub(crate) struct Case<'a> {
    pub(crate) name: &'a str,
    pub(crate) model: &'a Model,
    pub(crate) golden: &'a Json,
    pub(crate) tensors: &'a Tensors,
    pub(crate) label: &'a str,
}

impl Case<'_> {
    fn run(&self, faults: &mut Vec<String>) -> Outcome {
        let before = faults.len();
        let inputs = self.inputs();
        let (method, outputs) = self.method();
        // What is recorded and where it is found here: `hidden_states.3` is the value of some module.
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        for (key, found) in self.golden.as_object().into_iter().flatten() {
            if !key.ends_with("hidden_states") {
                continue;
            }
            for (index, path) in found.as_object().into_iter().flatten() {
                if let Some(path) = path.as_str() {
                    places.insert(format!("out.{key}.{index}"), path.to_owned());
                }
            }
        }
        let known: Vec<String> = self
            .model
            .plan(&method, &inputs.names().collect::<Vec<_>>())?
            .taps
            .iter()
            .map(|(path, _)| path.to_string())
            .collect();
        let inner = self.recorded("inner.");
        for (key, _) in &inner {
            let path = &key["inner.".len()..];
            if known.iter().any(|tap| tap == path) {
                places.insert(key.clone(), path.to_owned());
            }
        }
        let mut globs: Vec<&str> =
            places.values().map(String::as_str).filter(|path| known.iter().any(|tap| tap == path)).collect();
        globs.sort_unstable();
        globs.dedup();
        let given = self.model.call(&method, &inputs, &globs)?;
        let mut compared = 0;
        // In the order of the program, so that the first fault is the first cause.
        for path in &known {
            for (key, place) in &places {
                if place == path
                    && let (Some(recorded), Some(value)) = (self.tensor(key), given.captured.get(path))
                {
                    compared += 1;
                    self.compare(key, recorded, value, faults);
                }
            }
        }
        for (key, place) in &places {
            if key.starts_with("out.") && !known.contains(place) && self.tensor(key).is_some() {
                faults.push(format!(
                    "{}: {} is `{place}`, which the definition does not call",
                    self.name(),
                    key
                ));
            }
        }
        for (key, recorded) in self.recorded("out.") {
            let name = &key["out.".len()..];
            if places.contains_key(&key) || name.contains("hidden_states.") {
                continue;
            }
            let name = outputs.get(name).map_or(name, String::as_str);
            match given.get(name) {
                Some(value) => {
                    compared += 1;
                    self.compare(&key, recorded, value, faults);
                }
                None if self.optional(name) => {}
                None => faults.push(format!("{}: the definition gives no `{name}`", self.name())),
            }
        }
        if compared == 0 {
            faults.push(format!("{}: nothing was compared", self.name()));
        }
        if faults.len() == before {
            self.generate(&inputs, faults)?;
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("{} {}", self.label, self.name)
    }

    /// Outputs of the reference that are other views of one that is compared.
    fn optional(&self, name: &str) -> bool {
        name.starts_with("reshaped_")
            || name.starts_with("text_model_output")
            || name.starts_with("vision_model_output")
            || name == "extract_features"
    }

    /// The method that the case calls, and what its outputs are called here.
    fn method(&self) -> (String, BTreeMap<String, String>) {
        let (method, names): (&str, &[(&str, &str)]) = match self.name {
            "vae_encode" => ("encode", &[]),
            "vae_decode" => ("decode", &[]),
            "talk" | "talk_prompt" | "talk_step" => ("talk", &[]),
            "denoise" => ("denoise", &[]),
            "vocode" => ("vocode", &[]),
            _ => ("forward", &[]),
        };
        (method.to_owned(), names.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
    }

    fn tensor(&self, key: &str) -> Option<&Recorded> {
        self.tensors.get(&format!("{}.{key}", self.name))
    }

    fn recorded(&self, kind: &str) -> Vec<(String, &Recorded)> {
        let prefix = format!("{}.{kind}", self.name);
        let start = self.name.len() + 1;
        self.tensors
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(key, tensor)| (key[start..].to_owned(), tensor))
            .collect()
    }

    fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::new();
        for (key, recorded) in self.recorded("in.") {
            let name = match (self.name, &key["in.".len()..]) {
                // The reference calls the image that it encodes `x`.
                ("vae_encode", "x") => "sample",
                (_, name) => name,
            };
            inputs =
                if recorded.numbers.iter().all(|number| number.fract() == 0.0) && !name.contains("values") {
                    #[expect(clippy::cast_possible_truncation, reason = "whole numbers")]
                    inputs.ints(
                        name,
                        recorded.numbers.iter().map(|number| *number as i64).collect(),
                        recorded.shape.clone(),
                    )
                } else {
                    #[expect(clippy::cast_possible_truncation, reason = "recorded as 32 bits")]
                    inputs.floats(
                        name,
                        recorded.numbers.iter().map(|number| *number as f32).collect(),
                        recorded.shape.clone(),
                    )
                };
        }
        // Some of the definitions take images of any size without being asked to.
        let flag = "interpolate_pos_encoding";
        let takes = |plan: omni::plan::Plan| plan.inputs.iter().any(|input| input.name == flag);
        if self.name == "interp" && self.model.plan("forward", &[flag]).is_ok_and(takes) {
            inputs = inputs.ints(flag, vec![1], [1]);
        }
        inputs
    }

    /// The tolerance of an output: never below what the reference itself is off.
    fn tolerance(&self, key: &str) -> (f64, f64) {
        let found = &self.golden["tolerance"];
        let (atol, rtol) = (found["atol"].as_f64().unwrap_or(2e-4), found["rtol"].as_f64().unwrap_or(1e-3));
        let name = key.trim_start_matches("out.");
        // GPUs add in another order.
        let atol =
            if choice().is_ok_and(|choice| choice == DeviceChoice::Cpu) { atol } else { atol.max(1e-3) };
        let own = self.golden["cases"][self.name]["outputs"][name]["fp64_diff"].as_f64().unwrap_or(0.0);
        (atol.max(10.0 * own), rtol)
    }

    pub(crate) fn compare(&self, key: &str, recorded: &Recorded, value: &Value, faults: &mut Vec<String>) {
        // Inside a module the order of axes is free: heads may come before time.
        if key.starts_with("inner.") && value.shape() != recorded.shape {
            return;
        }
        let found = numbers(value);
        if found.len() != recorded.numbers.len() {
            faults.push(format!(
                "{} {key}: shape {:?}, recorded {:?}",
                self.name(),
                value.shape(),
                recorded.shape
            ));
            return;
        }
        let (atol, rtol) = self.tolerance(key);
        let mask = self.golden["cases"][self.name]["compare_mask"]
            .as_str()
            .and_then(|name| self.tensor(&format!("in.{name}")));
        let mut worst = (0.0f64, 0usize);
        for (index, (found, wanted)) in found.iter().zip(&recorded.numbers).enumerate() {
            if let Some(mask) = mask {
                // Padding belongs to the first two axes: batch and time.
                let row: usize = recorded.shape.iter().skip(2).product();
                if recorded.shape.len() >= 2
                    && recorded.shape[..2] == mask.shape[..]
                    && mask.numbers[index / row] == 0.0
                {
                    continue;
                }
            }
            let off = (found - wanted).abs() - (atol + rtol * wanted.abs());
            if off > worst.0 || found.is_nan() {
                worst = (if found.is_nan() { f64::INFINITY } else { off }, index);
            }
        }
        if worst.0 > 0.0 {
            let at = worst.1;
            faults.push(format!(
                "{} {key}: at {at} of {:?} found {}, recorded {}",
                self.name(),
                recorded.shape,
                found[at],
                recorded.numbers[at]
            ));
        }
    }

    /// Greedy generation with the cache, token by token, against the recorded logits and tokens.
    fn generate(&self, inputs: &Inputs, faults: &mut Vec<String>) -> Outcome {
        let (Some(sequences), Some(logits)) = (self.tensor("gen.sequences"), self.tensor("gen.logits"))
        else {
            return Ok(());
        };
        let [rows, steps, vocabulary] = logits.shape[..] else {
            return Err("gen.logits has another rank".into());
        };
        let width = sequences.shape[1];
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "token ids")]
        let token = |row: usize, at: usize| sequences.numbers[row * width + at] as u32;
        let prompt = width - steps;
        let seq2seq = inputs.get("decoder_input_ids").is_some();
        // What every step is given: the encoder's inputs, or what a decoder takes beside tokens.
        let tokens = |name: &str| {
            if seq2seq {
                name.starts_with("decoder_")
            } else {
                name == "input_ids" || name == "attention_mask"
            }
        };
        let mut fixed = Inputs::new();
        for name in inputs.names().filter(|name| !tokens(name)) {
            fixed = match inputs.get(name) {
                Some(Given::Ints { data, shape }) => fixed.ints(name, data.to_vec(), shape.clone()),
                Some(Given::Floats { data, shape }) => fixed.floats(name, data.to_vec(), shape.clone()),
                _ => fixed,
            };
        }
        let mask = self.tensor("in.attention_mask").filter(|_| !seq2seq).map(|mask| {
            mask.numbers
                .chunks(prompt)
                .map(|row| row.iter().map(|keep| *keep != 0.0).collect::<Vec<bool>>())
                .collect::<Vec<_>>()
        });
        let mut session = self.model.session(&fixed, width)?;
        let mut next: Vec<Vec<u32>> =
            (0..rows).map(|row| (0..prompt).map(|at| token(row, at)).collect()).collect();
        let (atol, rtol) = (self.tolerance("out.logits").0, self.tolerance("out.logits").1);
        for step in 0..steps {
            let found = session.feed(&next, if step == 0 { mask.as_deref() } else { None })?;
            for (row, found) in found.iter().enumerate() {
                let wanted = &logits.numbers[(row * steps + step) * vocabulary..][..vocabulary];
                let differs = found.iter().zip(wanted).position(|(found, wanted)| {
                    found.is_nan() || (f64::from(*found) - wanted).abs() > atol + rtol * wanted.abs()
                });
                if let Some(at) = differs {
                    faults.push(format!(
                        "{} gen.logits: step {step} row {row} token {at}: found {}, recorded {}",
                        self.name(),
                        found[at],
                        wanted[at]
                    ));
                    return Ok(());
                }
                let best = (0..found.len()).max_by(|a, b| found[*a].total_cmp(&found[*b])).unwrap_or(0);
                let margin =
                    self.golden["cases"][self.name]["generate"]["min_margin"].as_f64().unwrap_or(0.0);
                if margin >= 2e-3 && best != token(row, prompt + step) as usize {
                    faults.push(format!("{} gen.sequences: step {step} row {row}: {best}", self.name()));
                }
            }
            next = (0..rows).map(|row| vec![token(row, prompt + step)]).collect();
        }
        Ok(())
    }
}

/// The numbers of a tensor in host memory.
fn numbers(value: &Value) -> Vec<f64> {
    value.to_host().iter::<f64>().collect()
}

pub(crate) fn read(path: &Path) -> Result<Tensors, Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        let data = view.data();
        let numbers = match view.dtype() {
            safetensors::Dtype::F32 => {
                data.chunks(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
            }
            #[expect(clippy::cast_precision_loss, reason = "token ids and masks")]
            safetensors::Dtype::I64 => data
                .chunks(8)
                .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f64)
                .collect(),
            other => return Err(format!("{name} is recorded as {other:?}").into()),
        };
        tensors.insert(name, Recorded { shape: view.shape().to_vec(), numbers });
    }
    Ok(tensors)
}
