//! Tests of the whole layer: files in, tensors out, files again.

mod bind;
mod load;
mod memory;
mod open;
mod save;
mod unstore;
