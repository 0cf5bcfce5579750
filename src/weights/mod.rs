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
mod binding;
mod checkpoint;
mod codec;
mod convert;
mod dtype;
mod error;
mod fault;
mod file;
mod fresh;
mod index;
mod inside;
mod join;
mod layout;
mod load;
mod locate;
mod lookup;
mod names;
mod npz;
mod pick;
mod report;
mod resolve;
mod save;
mod source;
mod stream;
mod strided;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unfinished;
mod unstore;
mod view;
mod wanted;

pub use crate::facts::HeaderFault;
pub use crate::plan::Stored;
pub use bind::bind;
pub use binding::{Binding, Bound, Source, TieDisagreement};
pub use checkpoint::{Checkpoint, OpenOptions};
pub use dtype::StoredDtype;
pub use error::WeightsError;
pub use fault::IndexProblem;
pub use file::{Entry, WeightFile};
pub(crate) use index::Index;
pub use load::{LoadDtype, LoadOptions, Loaded, Loading};
pub(crate) use locate::among;
pub(crate) use names::{Group, Renames, group, idle_renames, lost_placeholders, without_numbers};
pub use report::{BindReport, Duplicate, MisShaped, Missing};
pub use resolve::Headers;
pub use save::{SaveOptions, save};
pub use source::Access;
pub use stream::HostTensor;
pub use wanted::{BindRules, Prefix, Wanted};
