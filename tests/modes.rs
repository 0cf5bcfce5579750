//! The modes of a real checkpoint that thinks and speaks: what each builds, reads, lacks and freezes.
//!
//! Its numbers are compared in `parity.rs`, the modes of a made-up one in `guide.rs`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use omni::model::{Dtype, Inputs, Loader, Model};
use omni::ops::backend::B;
use safetensors::SafeTensors;

type Outcome = Result<(), Box<dyn Error>>;

/// Stored in every checkpoint of this kind, and used nowhere in the reference.
const UNUSED: &str = "thinker.audio_tower.audio_bos_eos_token.weight";

fn checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/Qwen2_5OmniForConditionalGeneration")
}

/// The names of the stored tensors that begin with one of the parts.
fn stored(parts: &[&str]) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let bytes = fs::read(checkpoint().join("model.safetensors"))?;
    let names = SafeTensors::deserialize(&bytes)?.names().into_iter().map(str::to_owned).collect::<Vec<_>>();
    Ok(names.into_iter().filter(|name| name != UNUSED && part(name, parts)).collect())
}

fn part(name: &str, parts: &[&str]) -> bool {
    name.split('.').next().is_some_and(|first| parts.contains(&first))
}

fn load(dir: &Path, mode: &str) -> Result<Model, Box<dyn Error>> {
    Ok(Loader::new(dir).mode(mode).load_model()?)
}

fn names(model: &Model) -> BTreeSet<String> {
    model.params().iter().map(|(name, _)| name.to_owned()).collect()
}

/// A copy of the checkpoint with the tensors of some parts alone.
fn copy_of(parts: &[&str]) -> Result<tempfile::TempDir, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    fs::copy(checkpoint().join("config.json"), dir.path().join("config.json"))?;
    let bytes = fs::read(checkpoint().join("model.safetensors"))?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let kept = tensors.tensors().into_iter().filter(|(name, _)| part(name, parts));
    safetensors::serialize_to_file(kept, None, &dir.path().join("model.safetensors"))?;
    Ok(dir)
}

#[test]
fn each_mode_holds_the_tensors_of_its_parts_and_no_others() -> Outcome {
    for (mode, parts) in [
        ("full", &["thinker", "talker", "token2wav"][..]),
        ("thinker_only", &["thinker"]),
        ("talker_only", &["talker", "token2wav"]),
    ] {
        let model = load(&checkpoint(), mode)?;
        assert_eq!((model.mode(), names(&model)), (mode, stored(parts)?));
    }
    Ok(())
}

#[test]
fn a_part_alone_is_enough_for_its_mode_and_too_little_for_the_whole() -> Outcome {
    for (mode, parts, missing) in [
        ("thinker_only", &["thinker"][..], "talker.codec_head.weight"),
        ("talker_only", &["talker", "token2wav"], "thinker.audio_tower.conv1.bias"),
    ] {
        let dir = copy_of(parts)?;
        assert_eq!(names(&load(dir.path(), mode)?), stored(parts)?);
        let error = load(dir.path(), "full").expect_err("not all of it").to_string();
        assert!(error.contains(missing), "{error}");
    }
    Ok(())
}

#[test]
fn what_a_mode_leaves_out_says_so() -> Outcome {
    let thinker = load(&checkpoint(), "thinker_only")?;
    let embeds = Inputs::new().floats("inputs_embeds", vec![0.5; 64], [1, 2, 32]);
    let error = format!("{:?}", thinker.call("talk", &embeds, &[]).expect_err("no talker"));
    assert!(error.contains("mode `thinker_only` leaves out `talker`"), "{error}");
    assert!(thinker.can_generate());
    let talker = load(&checkpoint(), "talker_only")?;
    let (talk, forward) = (talker.call("talk", &embeds, &[])?, talker.forward(&embeds)?);
    let logits = |outputs: &omni::model::Outputs| -> Result<Vec<f32>, Box<dyn Error>> {
        let logits = outputs.get("logits").ok_or("no logits")?.to_host();
        Ok(logits.to_vec::<f32>().map_err(|error| format!("{error:?}"))?)
    };
    assert_eq!(logits(&talk)?, logits(&forward)?);
    let error = talker.forward(&Inputs::tokens(&[vec![1, 2]])).expect_err("no thinker").to_string();
    assert!(error.contains("inputs_embeds"), "{error}");
    Ok(())
}

#[test]
fn training_leaves_the_talker_and_its_vocoder_alone() -> Outcome {
    let model = Loader::new(checkpoint()).for_training().load_model()?;
    for (name, param) in model.params().iter() {
        assert_eq!(param.is_trained(), part(name, &["thinker"]), "{name}");
    }
    Ok(())
}

#[test]
fn a_step_of_training_reaches_all_of_the_thinker() -> Outcome {
    let model = Loader::new(checkpoint()).for_training().load_model()?;
    let numbers = |model: &Model| -> Vec<(String, Vec<f32>)> {
        let host = |param: &omni::model::DynParam| param.value().to_host().iter::<f32>().collect();
        model.params().iter().map(|(name, param)| (name.to_owned(), host(param))).collect()
    };
    let before = numbers(&model);
    let inputs = given("forward").ints("audio_feature_lengths", vec![9], [1]);
    let logits = model.forward(&inputs)?.get("logits").ok_or("no logits")?.clone().float::<3>();
    let gradients = GradientsParams::from_grads(logits.powi_scalar(2).mean().backward(), &model);
    let model = AdamWConfig::new().init::<B, Model>().step(1e-2, model, gradients);
    for ((name, old), (_, new)) in before.iter().zip(&numbers(&model)) {
        assert_eq!(old != new, part(name, &["thinker"]), "`{name}`");
        assert!(new.iter().all(|number| number.is_finite()), "`{name}`");
    }
    Ok(())
}

#[test]
fn what_is_trained_is_saved_for_the_same_mode() -> Outcome {
    let dir = tempfile::tempdir()?;
    load(&checkpoint(), "thinker_only")?.save(dir.path())?;
    assert_eq!(names(&load(dir.path(), "thinker_only")?), stored(&["thinker"])?);
    assert!(load(dir.path(), "full").is_err());
    Ok(())
}

#[test]
fn a_thinker_stored_without_the_rest_gives_the_same() -> Outcome {
    let dir = tempfile::tempdir()?;
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(checkpoint().join("config.json"))?)?;
    let mut config = config["thinker_config"].take();
    config["architectures"] = serde_json::json!(["Qwen2_5OmniThinkerForConditionalGeneration"]);
    fs::write(dir.path().join("config.json"), config.to_string())?;
    let bytes = fs::read(checkpoint().join("model.safetensors"))?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let logits = |model: &Model| -> Result<Vec<f32>, Box<dyn Error>> {
        let outputs = model.forward(&given("forward"))?;
        let logits = outputs.get("logits").ok_or("no logits")?.to_host();
        Ok(logits.to_vec::<f32>().map_err(|error| format!("{error:?}"))?)
    };
    let wanted = logits(&load(&checkpoint(), "thinker_only")?)?;
    for prefix in ["", "thinker."] {
        let kept = tensors.tensors().into_iter().filter_map(|(name, tensor)| {
            Some((format!("{prefix}{}", name.strip_prefix("thinker.")?), tensor))
        });
        safetensors::serialize_to_file(kept, None, &dir.path().join("model.safetensors"))?;
        assert_eq!(logits(&load(dir.path(), "full")?)?, wanted, "{prefix}");
    }
    Ok(())
}

#[test]
fn the_command_line_knows_the_same_modes() -> Outcome {
    let omni = |args: &[&str]| -> Result<String, Box<dyn Error>> {
        let home = tempfile::tempdir()?;
        let out = Command::new(env!("CARGO_BIN_EXE_omni"))
            .args(args)
            .arg(checkpoint())
            .env("XDG_CONFIG_HOME", home.path())
            .env_remove("OMNI_REGISTRY")
            .output()?;
        let (out, err) = (String::from_utf8(out.stdout)?, String::from_utf8(out.stderr)?);
        if err.is_empty() { Ok(out) } else { Err(err.into()) }
    };
    for (mode, parts) in [("thinker_only", &["thinker"][..]), ("talker_only", &["talker", "token2wav"])] {
        let listed = omni(&["plan", "--params", "--mode", mode])?;
        let listed: BTreeSet<String> =
            listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        assert_eq!(listed, stored(parts)?);
    }
    assert!(omni(&["plan", "--mode", "talker_only"])?.contains("inputs_embeds"));
    let info: serde_json::Value = serde_json::from_str(&omni(&["info", "--json"])?)?;
    for fact in ["is_supported", "is_omni", "has_talker"] {
        assert_eq!(info[fact], true, "{fact}");
    }
    Ok(())
}

/// What each method is given, small.
fn given(method: &str) -> Inputs {
    let floats = |shape: &[usize], scale: f32| -> Vec<f32> {
        let count = u16::try_from(shape.iter().product::<usize>()).expect("small");
        (0..count).map(|index| (f32::from(index) * 0.7).sin() * scale).collect()
    };
    let add = |inputs: Inputs, name: &str, shape: &[usize], scale: f32| {
        inputs.floats(name, floats(shape, scale), shape)
    };
    match method {
        "forward" => {
            let ids = vec![1, 100, 100, 102, 102, 7, 101, 101, 5];
            let inputs = Inputs::new().ints("input_ids", ids, [1, 9]);
            let inputs = inputs.ints("image_grid_thw", vec![1, 4, 2, 2, 2, 2], [2, 3]);
            add(add(inputs, "input_features", &[1, 8, 9], 1.0), "pixel_values", &[16, 24], 1.0)
        }
        "talk" => {
            add(Inputs::new().ints("input_ids", vec![93, 92, 90], [1, 3]), "inputs_embeds", &[1, 3, 32], 1.0)
        }
        "denoise" => {
            let inputs = Inputs::new().ints("quantized_code", vec![3, 19, 0], [1, 3]);
            let inputs = add(inputs.floats("time_step", vec![0.5], [1]), "hidden_states", &[1, 6, 8], 1.0);
            add(add(inputs, "condition_vector", &[1, 9, 8], 1.0), "speaker_embedding", &[1, 6, 12], 1.0)
        }
        _ => add(Inputs::new(), "mel_spectrogram", &[1, 8, 5], 4.0),
    }
}

#[test]
fn narrow_floats_give_nearly_the_same() -> Outcome {
    let model = |dtype| Loader::new(checkpoint()).dtype(dtype).load_model();
    let (wide, narrow) = (model(Dtype::F32)?, model(Dtype::BF16)?);
    assert_ne!(wide.float_dtype(), narrow.float_dtype());
    for method in ["forward", "talk", "denoise", "vocode"] {
        let (wide, narrow) =
            (wide.call(method, &given(method), &[])?, narrow.call(method, &given(method), &[])?);
        for (name, value) in wide.values {
            let narrow = narrow.get(&name).ok_or("the same outputs")?.to_host();
            let (mut off, mut size) = (0.0f64, 0.0f64);
            for (wide, narrow) in value.to_host().iter::<f64>().zip(narrow.iter::<f64>()) {
                (off, size) = (off + (wide - narrow).powi(2), size + wide.powi(2));
            }
            assert!(size > 0.0 && off.sqrt() < 0.1 * size.sqrt(), "{method} {name}: {off} of {size}");
        }
    }
    Ok(())
}

#[test]
fn images_need_their_sizes() -> Outcome {
    let model = load(&checkpoint(), "thinker_only")?;
    let ids = Inputs::new().ints("input_ids", vec![1, 100], [1, 2]);
    let error = model.forward(&ids.floats("pixel_values", vec![0.5; 96], [4, 24]));
    let error = error.expect_err("no sizes").to_string();
    assert!(error.contains("image_grid_thw"), "{error}");
    Ok(())
}

#[test]
fn more_places_than_rows_for_them_are_an_error() -> Outcome {
    let model = load(&checkpoint(), "thinker_only")?;
    let features = given("forward").get("input_features").cloned();
    let Some(omni::model::Given::Floats { data, shape }) = features else { panic!("there are some") };
    let inputs = Inputs::new().ints("input_ids", vec![1, 102, 102, 102], [1, 4]);
    let error = model.forward(&inputs.floats("input_features", data.to_vec(), shape));
    let error = error.expect_err("two rows for three places").to_string();
    assert!(error.contains("`thinker.placed`") && error.contains("holds 4, expected 0 to 3"), "{error}");
    Ok(())
}
