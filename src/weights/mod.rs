//! Weights: from the files of a checkpoint to host tensors, and back.
//!
//! ```text
//! directory ─ Checkpoint::open ─► headers, checked ─ bind(wanted, rules) ─► Binding, or a BindReport
//!   ─ Binding::load ─► (name, TensorData) one by one ─ … train … ─ save ─► the layout that was read
//! ```
//!
//! Reads safetensors (single, sharded), `PyTorch` pickles (as data; nothing is executed) and numpy
//! archives. Every expected tensor is found, or everything that is wrong is reported at once, before
//! a byte of weight is read.
//!
//! Absent on purpose: devices (the caller moves tensors there), model names, downloads.

mod bind;
mod checkpoint;
mod convert;
mod dtype;
mod error;
mod header;
mod index;
mod layout;
mod load;
mod locate;
mod names;
mod npz;
mod report;
mod resolve;
mod save;
mod source;
mod stored;
mod stream;
mod strided;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unstore;

pub use bind::{BindRules, Binding, Bound, Prefix, Source, TieDisagreement, Wanted, bind};
pub use checkpoint::{Checkpoint, Entry, OpenOptions, WeightFile};
pub use dtype::StoredDtype;
pub use error::{HeaderFault, IndexProblem, WeightsError};
pub use load::{LoadDtype, LoadOptions, Loaded, Loading};
pub use report::{BindReport, Duplicate, MisShaped, Missing};
pub use resolve::Headers;
pub use save::{SaveOptions, save};
pub use source::Access;
pub use stored::Stored;
pub use stream::HostTensor;
