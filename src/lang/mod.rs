//! The module language: parsing, names, expressions, tracing, shapes.
//!
//! Takes a definition from the registry and the numbers of a config; gives the tensors that a checkpoint must
//! hold and, for each way in, a flat [`crate::plan::Plan`]. The language is total: lists are finite, nesting and
//! steps have limits, and nothing is executed but arithmetic on the config.
//!
//! ```text
//! registry::Module ─ parse ─► ast ─ build (layers, names, shapes) ─► tree ─ exec/eval/call ─► Plan
//! ```
//!
//! Absent on purpose: tensor data, files.

mod arith;
pub mod ast;
mod bind;
mod build;
mod builtins;
mod call;
mod config;
mod derivation;
mod emit;
mod eval;
mod exec;
mod given;
mod instance;
mod notes;
pub mod parse;
mod parses;
mod parts;
mod program;
mod stored;
mod tied;
mod tracer;
mod tree;
mod value;

pub use builtins::functions;
pub use notes::{Branch, Noted, Notes, Placed};
pub use parses::{Parses, Syntax, default_of};
pub use program::Program;
pub use tracer::SYMBOLS;
pub use tree::Layer;
