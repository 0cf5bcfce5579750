//! Models with fresh weights, to train from nothing.
//!
//! Takes the name of an architecture and a config; gives a [`Model`] that runs, trains and saves like one that
//! was loaded. The start is generic, by rank and name alone, as `_init_weights` of most transformers models is:
//! the same seed gives the same numbers on every device.
//!
//! Absent on purpose: starts that one architecture alone asks for.

use std::f64::consts::TAU;
use std::sync::Arc;

use burn::tensor::FloatDType;
use serde_json::{Value as Json, json};

use super::load::{LoadError, wanted};
use super::model::{Definition, Model};
use super::params::Params;
use super::save::Origin;
use crate::diag::{Problem, did_you_mean};
use crate::lang::Program;
use crate::ops::Value;
use crate::ops::backend::Device;
use crate::plan::Param;
use crate::registry::{Architecture, Registry};
use crate::weights::{Binding, StoredDtype};

/// The standard deviation where the config says none, as in most configs of transformers.
const DEVIATION: f64 = 0.02;

impl Model {
    /// Makes a model of a config, with fresh weights in 32 bits.
    ///
    /// Tensors of two and more dimensions are drawn from a normal distribution around 0 with the config's
    /// `initializer_range` (or 0.02) as its deviation. Of the others, those named `weight`, `running_var` or
    /// `scale` are ones, all others zeros.
    ///
    /// On an autodiff device (`Device::autodiff(…)`) everything but buffers is trained. [`Model::save`] writes
    /// one `model.safetensors` and the config, to which `architectures` is added if it names none.
    ///
    /// # Errors
    /// If the registry does not know the architecture, or if the config does not fit its definition.
    pub fn init(
        registry: impl Into<Arc<Registry>>,
        architecture: &str,
        mut config: Json,
        device: Device,
        seed: u64,
    ) -> Result<Self, LoadError> {
        let registry = registry.into();
        let architecture = find_named(&registry, architecture)?.clone();
        if let Json::Object(keys) = &mut config
            && !keys.contains_key("architectures")
        {
            keys.insert("architectures".to_owned(), json!([architecture.name.text]));
        }
        let mut program = Program::build(&registry, &architecture, &config, None)?;
        let has_forward = program.has_method("forward");
        let forward = has_forward.then(|| program.trace("forward", &|_| false)).transpose()?;
        let params = program.params().to_vec();
        let binding = Binding::fresh(&wanted(&params), StoredDtype::F32)?;
        let deviation = config.get("initializer_range").and_then(Json::as_f64).unwrap_or(DEVIATION);
        let mut noise = Noise(seed);
        let mut entries = Params::default();
        for param in params.iter().filter(|param| param.tied_to.is_none()) {
            let data = start(param, deviation, &mut noise);
            let value = Value::from_floats(data, param.shape.clone(), FloatDType::F32, &device);
            let trained = !param.buffer && matches!(device, Device::Autodiff(_));
            entries.add(&param.name, value, trained)?;
        }
        let text = format!("{config:#}\n").into_bytes();
        let definition = Definition::new(&registry, &program, config.clone(), forward);
        let mut model = Self::assemble(definition, entries, device, FloatDType::F32);
        model.origin =
            Some(Arc::new(Origin { binding, config: Some(("config.json".to_owned(), text)), dir: None }));
        Ok(model)
    }
}

/// The architecture of that name.
fn find_named<'r>(registry: &'r Registry, name: &str) -> Result<&'r Architecture, Problem> {
    registry.architectures.get(name).ok_or_else(|| {
        let message = format!("`{name}` is not an architecture of the registry");
        Problem::unplaced("unknown-architecture", message)
            .maybe_help(did_you_mean(name, registry.architectures.keys().map(String::as_str)))
    })
}

/// The first values of a parameter.
fn start(param: &Param, deviation: f64, noise: &mut Noise) -> Vec<f32> {
    let count = param.shape.iter().product();
    let last = param.name.rsplit('.').next().unwrap_or_default();
    if param.shape.len() > 1 {
        return (0..count).map(|_| noise.normal(deviation)).collect();
    }
    vec![if matches!(last, "weight" | "running_var" | "scale") { 1.0 } else { 0.0 }; count]
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): small, and the same everywhere.
struct Noise(u64);

impl Noise {
    /// Between 0 and 1, neither of them.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        #[expect(clippy::cast_precision_loss, reason = "52 bits fit")]
        let high = (mixed >> 12) as f64;
        (high + 0.5) * (-52.0_f64).exp2()
    }

    /// Around 0, by the method of Box and Muller.
    #[expect(clippy::cast_possible_truncation, reason = "noise loses nothing in 32 bits")]
    fn normal(&mut self, deviation: f64) -> f32 {
        let (radius, angle) = ((-2.0 * self.uniform().ln()).sqrt(), TAU * self.uniform());
        (deviation * radius * angle.cos()) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Inputs, Loader};

    const DEFINITIONS: &str = r#"
[architectures.ToyForCausalLM]
category    = "transformers"
task        = "causal-lm"
model-types = ["toy"]

[config.toy]
required = ["vocab_size", "hidden_size"]
defaults = { tie_word_embeddings = true }

[modules.ToyForCausalLM]
inputs              = ["input_ids"]
layers.embed_tokens = "Embedding(vocab_size, hidden_size)"
layers.norm         = "RMSNorm(hidden_size, eps=1e-6)"
layers.mix          = "Linear(hidden_size, hidden_size, bias=True)"
layers.lm_head      = "Linear(hidden_size, vocab_size, bias=False)"
tied.lm_head        = "embed_tokens if tie_word_embeddings else None"
forward = '''
h = mix(norm(embed_tokens(input_ids)))
return {"logits": lm_head(h), "last_hidden_state": h}
'''
"#;

    fn registry() -> Arc<Registry> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("toy.toml");
        std::fs::write(&path, DEFINITIONS).expect("it is writable");
        Arc::new(Registry::with_overlays(&[&path]).expect("the overlay is right"))
    }

    fn toy(seed: u64) -> Model {
        let config = json!({ "vocab_size": 50, "hidden_size": 40, "initializer_range": 0.5 });
        let device = Device::Flex(burn_flex::FlexDevice);
        Model::init(registry(), "ToyForCausalLM", config, device, seed).expect("the config fits")
    }

    fn floats(model: &Model, name: &str) -> Vec<f32> {
        let param = model.params().get(name).expect("the parameter is there");
        param.value().to_host().to_vec().expect("it is in 32 bits")
    }

    fn logits(model: &Model) -> Vec<f32> {
        let inputs = Inputs::tokens(&[vec![1, 2, 3]]);
        let outputs = model.forward(&inputs).expect("it runs");
        outputs.get("logits").expect("it has logits").to_host().to_vec().expect("they are in 32 bits")
    }

    #[test]
    fn names_and_ranks_decide_on_the_start() {
        let model = toy(1);
        assert!(floats(&model, "norm.weight").iter().all(|x| *x == 1.0));
        assert!(floats(&model, "mix.bias").iter().all(|x| *x == 0.0));
        let table = floats(&model, "embed_tokens.weight");
        let mean = table.iter().sum::<f32>() / 2000.0;
        let deviation = (table.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 2000.0).sqrt();
        assert!(mean.abs() < 0.05, "{mean}");
        assert!((deviation - 0.5).abs() < 0.05, "{deviation}");
        assert_ne!(table[..1600], floats(&model, "mix.weight"));
        assert!(model.params().get("lm_head.weight").is_none(), "it is tied");
    }

    #[test]
    fn a_seed_decides_on_the_numbers() {
        assert_eq!(logits(&toy(1)), logits(&toy(1)));
        assert_ne!(logits(&toy(1)), logits(&toy(2)));
    }

    #[test]
    fn what_is_saved_loads_back_the_same() {
        let model = toy(3);
        assert_eq!(model.dir(), None);
        let dir = tempfile::tempdir().expect("a temporary directory");
        model.save(dir.path()).expect("it is written");
        let loaded = Loader::new(dir.path()).registry(registry()).load_model().expect("it loads");
        assert_eq!(loaded.architecture(), "ToyForCausalLM");
        let traced = loaded.definition.traced();
        assert_eq!(traced, ["forward"], "what was traced to find faults is kept");
        assert_eq!(logits(&loaded), logits(&model));
        assert_eq!(loaded.definition.traced(), traced, "and is what a call runs");
    }

    #[test]
    fn an_unknown_architecture_is_an_error_with_the_nearest_name() {
        let device = Device::Flex(burn_flex::FlexDevice);
        let error = Model::init(registry(), "ToyForCausalML", json!({}), device, 0).expect_err("unknown");
        let LoadError::Definition(problem) = error else { panic!("{error:?}") };
        assert!(format!("{problem:?}").contains("ToyForCausalLM"));
    }
}
