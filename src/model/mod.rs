//! Models: loaded, run, looked into, trained, saved.
//!
//! Takes a definition's plans and a checkpoint's tensors; gives a burn module. Drivers know tasks, never models.

pub mod device;
mod error;
mod init;
mod inputs;
mod load;
#[expect(clippy::module_inception, reason = "the layer is named for its main type")]
mod model;
mod params;
mod run;
pub mod sampling;
mod save;
mod session;
mod text;

pub use error::ModelError;
pub use inputs::{Given, Inputs};
pub(crate) use load::find;
pub use load::{Dtype, LoadError, Loader, Progress};
pub use model::{Model, Outputs};
pub use params::{DynParam, Params};
pub use save::Origin;
pub use session::Session;
pub use text::{GenerateError, Generated, Stopped};
