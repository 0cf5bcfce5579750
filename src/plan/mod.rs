//! The traced program of one way into a model: a flat list of instructions over slots.
//!
//! Everything that depends on the config alone is gone; what is left runs in order, without names, maps or
//! branches. A plan holds no tensors and can be printed and compared.

mod passes;
mod print;
mod stored;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diag::Span;
use crate::ops::{Arg, Dim, Kernel, Kind, Slot, Symbol, TensorType};

pub use passes::{Limit, Phase};
pub use stored::Stored;

/// The place of a parameter in a definition's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(pub usize);

/// A tensor that a checkpoint must hold.
#[derive(Debug, Clone)]
pub struct Param {
    /// Its name in the tree of modules.
    pub name: String,
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Whether it is stored but never trained.
    pub buffer: bool,
    /// The parameter whose tensor it shares.
    pub tied_to: Option<ParamId>,
    /// How a checkpoint may store it, in order of preference; never empty.
    pub stored: Vec<Stored>,
    /// Where its shape is written.
    pub span: Span,
    /// Where the layer that it is of is made, for a kind of layer; else where its shape is written.
    pub layer: Span,
}

/// An input of a program.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its place.
    pub slot: Slot,
    /// Its type.
    pub ty: TensorType,
    /// The number that fills it where the caller gives none; `None` if it must be given.
    pub default: Option<f64>,
}

/// One instruction.
#[derive(Debug, Clone)]
pub struct Instr {
    /// The name of its op.
    pub op: &'static str,
    /// Its constants, as printed.
    pub attributes: Vec<(&'static str, Arg)>,
    /// What runs.
    pub kernel: Arc<dyn Kernel>,
    /// What it reads; `None` for an optional input that is absent.
    pub inputs: Vec<Option<Slot>>,
    /// What it writes, with its types.
    pub outputs: Vec<(Slot, TensorType)>,
    /// The sizes that it was given as arguments.
    pub sizes: Vec<Dim>,
    /// The module it was traced in.
    pub path: Arc<str>,
    /// Where it is written.
    pub span: Span,
}

/// Two sizes that must agree when the program is called.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// One size.
    pub left: Dim,
    /// The other.
    pub right: Dim,
    /// What they are the sizes of.
    pub what: String,
    /// The module that asks for it.
    pub path: Arc<str>,
    /// Where it is asked for.
    pub span: Span,
}

/// A traced program.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The method it was traced from.
    pub method: String,
    /// The sizes that a call fixes, by index.
    pub symbols: Vec<Symbol>,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// The parameters it reads, each with its place and type.
    pub params: Vec<(ParamId, Slot, TensorType)>,
    /// Its instructions, in order.
    pub instrs: Vec<Instr>,
    /// Its named results.
    pub outputs: Vec<(String, Slot, TensorType)>,
    /// Values that can be captured, by the path of the module that gives them.
    pub taps: Vec<(Arc<str>, Slot)>,
    /// What must hold when it is called.
    pub constraints: Vec<Constraint>,
    /// How many states a generation keeps.
    pub states: usize,
    /// How many slots it needs.
    pub slots: usize,
}

impl Plan {
    /// The type of an output, by name.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&TensorType> {
        self.outputs.iter().find(|(found, _, _)| found == name).map(|(_, _, ty)| ty)
    }

    /// The parameters that some output depends on.
    pub fn read_params(&self) -> impl Iterator<Item = ParamId> {
        let given: BTreeSet<Slot> = self.outputs.iter().map(|(_, slot, _)| *slot).collect();
        let needed = self.instrs.iter().zip(self.needed(&given)).filter(|(_, needed)| *needed);
        let read = needed.flat_map(|(instr, _)| instr.inputs.iter().flatten().copied());
        let mut is_read = vec![false; self.slots];
        read.chain(given.iter().copied()).for_each(|slot| is_read[slot.0] = true);
        self.params.iter().filter(move |(_, slot, _)| is_read[slot.0]).map(|(id, ..)| *id)
    }

    /// The index of a symbol, by name.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<usize> {
        self.symbols.iter().find(|symbol| &*symbol.name == name).map(|symbol| symbol.index)
    }
}

impl Param {
    /// The number of elements.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|size| *size as u64).product()
    }

    /// Its type as an input of instructions.
    #[must_use]
    pub fn ty(&self) -> TensorType {
        let size = |size: &usize| Dim::Known(i64::try_from(*size).unwrap_or(i64::MAX));
        TensorType { kind: Kind::Float, shape: self.shape.iter().map(size).collect() }
    }
}
