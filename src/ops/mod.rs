//! The ops: for each its signature, its shape rule, its tensor code and its test, in one file per family.
//!
//! The language calls an op by name with arguments by signature; [`Op::trace`] checks them and says what the
//! call gives. Adding an op is one file and one line in `FAMILIES`.
//!
//! Absent on purpose: architectures. An op knows what a paper or a reference implementation defines, never who
//! uses it.

pub mod backend;
pub mod call;
pub mod dim;
pub mod kernel;
pub mod types;
pub mod value;

mod activation;
mod arithmetic;
mod attention;
mod compare;
mod conv;
mod create;
mod delta_rule;
mod einops;
mod einsum;
mod elementwise;
mod experts;
mod function;
mod index;
mod interpolate;
mod join;
mod kept;
mod layout;
mod linear;
mod lookup;
mod matmul;
mod norm;
mod norm_channels;
mod operand;
mod order;
mod pad;
mod pool;
mod positions;
mod rearrange;
mod reduce;
mod relative_bias;
mod rope;
mod route;
mod scan;
mod shape;
mod short_conv;
mod sinusoids;
mod softmax;

#[cfg(test)]
mod stepping;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;

pub use call::{Arg, Call, Fault, Parameter, Slot, StateId, Traced, resolve_axis};
pub use dim::{Dim, Symbol};
pub use kernel::{Cache, Context, Inputs, Kernel, Outputs, Padding, RunError};
pub use types::{Const, Kind, TensorType};
pub use value::Value;

/// An op of the module language.
#[derive(Debug)]
pub struct Op {
    /// The name it is called by.
    pub name: &'static str,
    /// Its parameters as Python writes them: `"x, weight, bias=None, *, eps=1e-6"`.
    pub signature: &'static str,
    /// What it computes, in one sentence, with shapes.
    pub summary: &'static str,
    /// Checks one call and says what it gives.
    pub trace: fn(&mut Call) -> Result<Traced, Fault>,
}

/// Every family of ops; each file adds its line.
const FAMILIES: &[&[Op]] = &[
    activation::OPS,
    arithmetic::OPS,
    attention::OPS,
    compare::OPS,
    conv::OPS,
    create::OPS,
    delta_rule::OPS,
    einsum::OPS,
    elementwise::OPS,
    experts::OPS,
    index::OPS,
    interpolate::OPS,
    join::OPS,
    linear::OPS,
    lookup::OPS,
    matmul::OPS,
    norm::OPS,
    norm_channels::OPS,
    order::OPS,
    pad::OPS,
    pool::OPS,
    positions::OPS,
    rearrange::OPS,
    reduce::OPS,
    relative_bias::OPS,
    rope::OPS,
    route::OPS,
    scan::OPS,
    shape::OPS,
    short_conv::OPS,
    sinusoids::OPS,
    softmax::OPS,
];

static CATALOG: LazyLock<BTreeMap<&'static str, (&'static Op, Vec<Parameter>)>> = LazyLock::new(|| {
    let ops = FAMILIES.iter().flat_map(|family| family.iter());
    ops.map(|op| (op.name, (op, parameters(op.signature)))).collect()
});

/// An op with its parameters.
pub type Found = (&'static Op, &'static [Parameter]);

/// Each name that is called in a body is looked up, so that this must not take long.
static BY_NAME: LazyLock<FxHashMap<&'static str, Found>> = LazyLock::new(|| {
    CATALOG.iter().map(|(name, (op, parameters))| (*name, (*op, parameters.as_slice()))).collect()
});

/// The op of that name, with its parameters.
#[must_use]
pub fn find(name: &str) -> Option<Found> {
    BY_NAME.get(name).copied()
}

/// All ops, by name.
pub fn all() -> impl Iterator<Item = &'static Op> {
    CATALOG.values().map(|(op, _)| *op)
}

fn parameters(signature: &'static str) -> Vec<Parameter> {
    let mut keyword_only = false;
    let mut found = Vec::new();
    for part in signature.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if part == "*" {
            keyword_only = true;
            continue;
        }
        let (name, default) = match part.split_once('=') {
            Some((name, default)) => (name.trim(), Some(default_value(default.trim()))),
            None => (part, None),
        };
        let (name, default, variadic) = match name.strip_prefix("**") {
            Some(name) => (name, Some(Const::None), true),
            None => (name, default, false),
        };
        found.push(Parameter { name, default, keyword_only: keyword_only || variadic, variadic });
    }
    found
}

fn default_value(text: &str) -> Const {
    match text {
        "None" => Const::None,
        "True" => Const::Bool(true),
        "False" => Const::Bool(false),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(value), _) => Const::Int(value),
            (_, Ok(value)) => Const::Float(value),
            _ => Const::str(text.trim_matches(['"', '\''])),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_has_its_own_name_a_signature_and_a_summary() {
        let count: usize = FAMILIES.iter().map(|family| family.len()).sum();
        assert_eq!(CATALOG.len(), count, "two ops share a name");
        for op in all() {
            let mut names: Vec<_> = parameters(op.signature).iter().map(|parameter| parameter.name).collect();
            assert!(!names.is_empty() && op.summary.len() > 10, "{}", op.name);
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), parameters(op.signature).len(), "{} repeats a parameter", op.name);
        }
    }

    #[test]
    fn a_signature_gives_defaults_and_keyword_only_parameters() {
        let found = parameters("x, weight, bias=None, *, eps=1e-6, mode=\"same\", **sizes");
        assert_eq!(found.len(), 6);
        assert!(found[5].variadic && found[5].name == "sizes");
        assert_eq!(found[2].default, Some(Const::None));
        assert_eq!(found[3].default, Some(Const::Float(1e-6)));
        assert!(found[3].keyword_only && !found[2].keyword_only);
        assert_eq!(found[4].default, Some(Const::str("same")));
    }
}
