//! How a checkpoint stores a parameter: a small, closed, reversible expression.
//!
//! In: nothing; a definition makes these. Out: a [`Stored`] that can be named, renamed and printed;
//! `weights` checks it against headers, reads it and writes it back.
//!
//! Absent on purpose: arithmetic. A conversion here moves elements; it never computes one from others, so
//! that saving can undo it.

use std::fmt;

/// How a checkpoint stores one parameter.
///
/// Axes count from the outermost. Each variant yields the parameter; what it holds inside is nearer to
/// the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stored {
    /// As it is, under this name.
    Tensor(String),
    /// With two axes exchanged.
    Transpose(Box<Stored>, usize, usize),
    /// In parts that follow one another along an axis.
    Concat(Vec<Stored>, usize),
    /// In parts of one shape, one for each position of a new axis.
    Stack(Vec<Stored>, usize),
    /// As a part of a larger tensor: `len` of the `total` positions of an axis, from `start` on.
    Slice {
        /// The larger tensor.
        of: Box<Stored>,
        /// The axis that is cut.
        axis: usize,
        /// The first position.
        start: usize,
        /// The positions that are taken.
        len: usize,
        /// The positions that the larger tensor has.
        total: usize,
    },
    /// In the same order under another shape.
    Reshape {
        /// What is stored.
        of: Box<Stored>,
        /// Its shape as stored.
        from: Vec<usize>,
        /// The shape that it yields.
        to: Vec<usize>,
    },
    /// With the elements of `ways` runs dealt out in turn: within each of `blocks` blocks of the axis,
    /// stored `a0 b0 a1 b1`, yields `a0 a1 b0 b1`.
    Deinterleave {
        /// What is stored.
        of: Box<Stored>,
        /// The axis that is reordered.
        axis: usize,
        /// Into how many independent blocks the axis falls.
        blocks: usize,
        /// How many runs are dealt out.
        ways: usize,
    },
    /// The reverse of [`Stored::Deinterleave`]: stored `a0 a1 b0 b1`, yields `a0 b0 a1 b1`.
    Interleave {
        /// What is stored.
        of: Box<Stored>,
        /// The axis that is reordered.
        axis: usize,
        /// Into how many independent blocks the axis falls.
        blocks: usize,
        /// How many runs are dealt out.
        ways: usize,
    },
}

impl Stored {
    /// A tensor under its own name.
    #[must_use]
    pub fn tensor(name: impl Into<String>) -> Self {
        Self::Tensor(name.into())
    }

    /// A projection whose rows lie in the interleaved rotary order, for code that rotates halves: the
    /// `permute` of the reference's weight conversion, on axis 0.
    #[must_use]
    pub fn rope_to_halves(of: Stored, heads: usize) -> Self {
        Self::Deinterleave { of: Box::new(of), axis: 0, blocks: heads, ways: 2 }
    }

    /// The reverse of [`Stored::rope_to_halves`], for code that rotates neighbours.
    #[must_use]
    pub fn rope_to_interleaved(of: Stored, heads: usize) -> Self {
        Self::Interleave { of: Box::new(of), axis: 0, blocks: heads, ways: 2 }
    }

    /// The names of the stored tensors, in the order of the expression.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.visit(&mut |name| names.push(name));
        names
    }

    fn visit<'a>(&'a self, each: &mut impl FnMut(&'a str)) {
        match self {
            Self::Tensor(name) => each(name),
            Self::Concat(parts, _) | Self::Stack(parts, _) => {
                for part in parts {
                    part.visit(each);
                }
            }
            Self::Transpose(of, ..)
            | Self::Slice { of, .. }
            | Self::Reshape { of, .. }
            | Self::Deinterleave { of, .. }
            | Self::Interleave { of, .. } => of.visit(each),
        }
    }

    /// The same expression with every name replaced; `None` if one has no replacement.
    #[must_use]
    pub fn rename(&self, replace: &mut dyn FnMut(&str) -> Option<String>) -> Option<Self> {
        let mut one = |of: &Stored| of.rename(replace).map(Box::new);
        Some(match self {
            Self::Transpose(of, left, right) => Self::Transpose(one(of)?, *left, *right),
            Self::Slice { of, axis, start, len, total } => {
                Self::Slice { of: one(of)?, axis: *axis, start: *start, len: *len, total: *total }
            }
            Self::Reshape { of, from, to } => {
                Self::Reshape { of: one(of)?, from: from.clone(), to: to.clone() }
            }
            Self::Deinterleave { of, axis, blocks, ways } => {
                Self::Deinterleave { of: one(of)?, axis: *axis, blocks: *blocks, ways: *ways }
            }
            Self::Interleave { of, axis, blocks, ways } => {
                Self::Interleave { of: one(of)?, axis: *axis, blocks: *blocks, ways: *ways }
            }
            Self::Tensor(name) => Self::Tensor(replace(name)?),
            Self::Concat(parts, axis) => Self::Concat(all(parts, replace)?, *axis),
            Self::Stack(parts, axis) => Self::Stack(all(parts, replace)?, *axis),
        })
    }
}

fn all(parts: &[Stored], replace: &mut dyn FnMut(&str) -> Option<String>) -> Option<Vec<Stored>> {
    parts.iter().map(|part| part.rename(replace)).collect()
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor(name) => f.write_str(name),
            Self::Transpose(of, left, right) => write!(f, "transpose({of}, {left}, {right})"),
            Self::Concat(parts, axis) => list(f, "concat", parts, *axis),
            Self::Stack(parts, axis) => list(f, "stack", parts, *axis),
            Self::Slice { of, axis, start, len, total } => {
                write!(f, "slice({of}, axis={axis}, {start}..{} of {total})", start.saturating_add(*len))
            }
            Self::Reshape { of, to, .. } => write!(f, "reshape({of}, {to:?})"),
            Self::Deinterleave { of, axis, blocks, ways } => {
                write!(f, "deinterleave({of}, axis={axis}, blocks={blocks}, ways={ways})")
            }
            Self::Interleave { of, axis, blocks, ways } => {
                write!(f, "interleave({of}, axis={axis}, blocks={blocks}, ways={ways})")
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, what: &str, parts: &[Stored], axis: usize) -> fmt::Result {
    write!(f, "{what}(")?;
    for (at, part) in parts.iter().enumerate() {
        match at {
            0..3 => write!(f, "{part}, ")?,
            3 => write!(f, "… {} in all, ", parts.len())?,
            _ => break,
        }
    }
    write!(f, "axis={axis})")
}
