//! The module language: parsing, names, expressions, tracing, shapes.
//!
//! Takes a definition from the registry and the numbers of a config; gives the tree of tensors that a checkpoint
//! must hold and, for each way in, a flat [`crate::plan::Plan`]. The language is total: lists are finite, nesting
//! and steps have limits, nothing is executed but arithmetic on the config.
//!
//! Absent on purpose: tensor data, files.

pub mod ast;
pub mod parse;
