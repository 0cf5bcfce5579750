//! The editor's server: `omni lsp`, the language server protocol over a pair of streams.
//!
//! Takes what a client writes; gives the findings of `omni check` as its user types, and answers about what stands at
//! the cursor. Open documents are laid over the registry files on the disk; a worker checks them, and requests are
//! answered from what the last check looked at.
//!
//! ```text
//! input ─ transport ─► server ─ documents, project ─► worker ─ lint::Checker ─► Analysis ─► answers
//! ```
//!
//! Absent on purpose: findings of its own (all are the linter's), and threads for requests, which are quick.

mod analysis;
mod answers;
mod completion;
mod cursor;
mod diagnostics;
mod documents;
mod hover;
mod index;
mod index_code;
mod infer;
mod keys;
mod notifications;
mod outline;
mod owners;
mod position;
mod project;
mod rename;
mod requests;
mod server;
mod transport;
mod worker;

pub use server::serve;
