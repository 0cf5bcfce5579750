//! Trains a tiny checkpoint: what learns, what is frozen, what is saved, what can be looked into.

use std::error::Error;
use std::path::{Path, PathBuf};

use burn::module::AutodiffModule;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::{Int, Tensor, TensorData};
use omni::model::{Inputs, Loader, Model, Outputs};
use omni::ops::backend::B;

type Outcome = Result<(), Box<dyn Error>>;

/// A random checkpoint of two layers over 120 tokens.
fn checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/LlamaForCausalLM")
}

fn inputs() -> Inputs {
    Inputs::tokens(&[vec![5, 9, 3, 7, 1, 8], vec![2, 4, 6, 8, 10, 12]])
}

fn for_training() -> Result<Model, Box<dyn Error>> {
    Ok(Loader::new(checkpoint()).for_training().load_model()?)
}

/// How surprised the model is by each next token.
fn loss(model: &Model, outputs: &Outputs) -> Tensor<B, 1> {
    let logits = outputs.get("logits").expect("the task's contract has logits").clone().float::<3>();
    let [batch, time, vocabulary] = logits.dims();
    let targets = TensorData::from([9_i64, 3, 7, 1, 8, 5, 4, 6, 8, 10, 12, 2]);
    let targets = Tensor::<B, 1, Int>::from_data(targets, model.device());
    let loss = CrossEntropyLossConfig::new().init(model.device());
    loss.forward(logits.reshape([batch * time, vocabulary]), targets)
}

/// Some steps of the optimiser; gives the loss before each.
fn train(mut model: Model, steps: usize) -> Result<(Model, Vec<f32>), Box<dyn Error>> {
    let mut optimizer = AdamWConfig::new().init::<B, Model>();
    let mut losses = Vec::new();
    for _ in 0..steps {
        let loss = loss(&model, &model.forward(&inputs())?);
        losses.push(loss.clone().into_scalar());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
    Ok((model, losses))
}

fn bytes(model: &Model) -> Vec<(String, Vec<u8>)> {
    let params = model.params().iter();
    params.map(|(name, param)| (name.to_owned(), param.value().to_host().as_bytes().to_vec())).collect()
}

fn logits(model: &Model) -> Result<Vec<f32>, Box<dyn Error>> {
    let outputs = model.forward(&inputs())?;
    Ok(outputs.get("logits").ok_or("no logits")?.to_host().to_vec().map_err(|error| format!("{error:?}"))?)
}

#[test]
fn the_loss_falls_and_what_is_frozen_stays_bit_for_bit() -> Outcome {
    let model = for_training()?.freeze("model.layers.0.**")?.freeze("model.embed_tokens.*")?;
    let before = bytes(&model);
    let (model, losses) = train(model, 6)?;
    assert!(losses.last() < losses.first().map(|first| first * 0.8).as_ref(), "{losses:?}");
    let (mut frozen, mut changed) = (0, 0);
    for ((name, old), (_, new)) in before.iter().zip(&bytes(&model)) {
        if name.starts_with("model.layers.0.") || name.starts_with("model.embed_tokens.") {
            assert_eq!(old, new, "`{name}` is frozen");
            frozen += 1;
        } else {
            assert_ne!(old, new, "`{name}` is trained");
            changed += 1;
        }
    }
    assert!(frozen >= 10 && changed >= 10, "{frozen} frozen, {changed} changed");
    Ok(())
}

#[test]
fn what_was_trained_is_saved_and_loads_back_the_same() -> Outcome {
    let before = for_training()?;
    let untrained = logits(&before.valid())?;
    let (model, _) = train(before, 2)?;
    let dir = tempfile::tempdir()?;
    model.save(dir.path())?;
    let loaded = Loader::new(dir.path()).load_model()?;
    let trained = logits(&model.valid())?;
    assert_ne!(trained, untrained);
    assert_eq!(logits(&loaded)?, trained);
    Ok(())
}

#[test]
fn a_frozen_model_has_no_gradients_and_thaws() -> Outcome {
    let frozen = for_training()?.freeze("**")?;
    assert!(frozen.params().iter().all(|(_, param)| !param.is_trained()));
    let thawed = frozen.set_trained("model.norm.weight", true)?;
    let before = bytes(&thawed);
    let (thawed, _) = train(thawed, 1)?;
    let changed: Vec<String> = before
        .into_iter()
        .zip(bytes(&thawed))
        .filter(|(old, new)| old != new)
        .map(|((name, _), _)| name)
        .collect();
    assert_eq!(changed, ["model.norm.weight"]);
    Ok(())
}

/// As a student that is to think like its teacher: the loss is about a hidden state, not about the logits.
#[test]
fn gradients_flow_through_captured_states() -> Outcome {
    let model = for_training()?;
    let outputs = model.forward_captured(&inputs(), &["model.layers.0"])?;
    let hidden = outputs.captured["model.layers.0"].clone().float::<3>();
    let gradients = GradientsParams::from_grads(hidden.powi_scalar(2).mean().backward(), &model);
    let before = bytes(&model);
    let model = AdamWConfig::new().init::<B, Model>().step(1e-2, model, gradients);
    for ((name, old), (_, new)) in before.iter().zip(&bytes(&model)) {
        let reached = name.starts_with("model.embed_tokens.") || name.starts_with("model.layers.0.");
        assert_eq!(old != new, reached, "`{name}`");
    }
    Ok(())
}
