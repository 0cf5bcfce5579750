//! Models: loaded, run, looked into, trained, saved.
//!
//! Takes a definition's plans and a checkpoint's tensors; gives a burn module. Drivers know tasks, never models.
//!
//! # Training
//!
//! A [`Model`] is a burn `Module`, so that burn's optimisers train it. [`Loader::for_training`] (or
//! [`Model::init`], for fresh weights) records gradients; tensors are frozen by glob over their paths; inner
//! values are captured by glob, with their gradients; what is saved has the layout that was read.
//!
//! ```no_run
//! use burn::nn::loss::CrossEntropyLossConfig;
//! use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
//! use burn::tensor::{Int, Tensor, TensorData};
//! use omni::model::{Inputs, Loader, Model};
//! use omni::ops::backend::B;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut model = Loader::new("path/to/model").for_training().load_model()?.freeze("model.layers.0.**")?;
//! let mut optimizer = AdamWConfig::new().init::<B, Model>();
//! for _ in 0..100 {
//!     let inputs = Inputs::tokens(&[vec![464, 3290, 318]]);
//!     let targets = Tensor::<B, 1, Int>::from_data(TensorData::from([3290, 318, 257]), model.device());
//!     let outputs = model.forward_captured(&inputs, &["model.layers.1"])?;
//!     let logits = outputs.values["logits"].clone().float::<3>().squeeze_dim::<2>(0);
//!     let hidden = outputs.captured["model.layers.1"].clone().float::<3>();
//!     let loss = CrossEntropyLossConfig::new().init(model.device()).forward(logits, targets);
//!     let loss = loss + hidden.powi_scalar(2).mean() * 1e-3;
//!     let gradients = GradientsParams::from_grads(loss.backward(), &model);
//!     model = optimizer.step(1e-4, model, gradients);
//! }
//! model.save("path/to/trained")?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/train.rs` trains a small model from nothing, its tokenizer too.

mod complete;
pub mod device;
mod error;
mod fingerprint;
pub mod fit;
mod init;
mod inputs;
mod load;
mod loader;
#[expect(clippy::module_inception, reason = "the layer is named for its main type")]
mod model;
mod outline;
mod params;
mod renames;
mod run;
pub mod sampling;
mod save;
mod scaffold;
mod session;
mod text;

pub(crate) use complete::{checkpoint, complete};
pub use error::ModelError;
pub use fingerprint::Fingerprints;
pub use inputs::{Given, Inputs, POSITIONS};
pub(crate) use load::find;
pub use load::{Dtype, LoadError, check_generates};
pub use loader::{Loader, Progress};
pub use model::{Model, Outputs};
pub use params::{DynParam, Params};
pub use save::Origin;
pub use scaffold::{Scaffold, scaffold};
pub use session::Session;
pub use text::{GenerateError, Generated, Stopped};
