//! How a checkpoint stores a parameter: a small reversible expression over stored tensors.
//!
//! Absent on purpose: reading and writing; `weights` does both.

use std::fmt;

/// A parameter in terms of stored tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// A stored tensor as it is.
    Tensor(String),
    /// With two axes swapped.
    Transpose(Box<Stored>, usize, usize),
    /// Several, joined along an axis.
    Concat(Vec<Stored>, usize),
    /// Several of one shape, stacked along a new axis.
    Stack(Vec<Stored>, usize),
    /// A part of a fused tensor.
    Part {
        /// The fused tensor.
        of: Box<Stored>,
        /// The axis along which it is cut.
        axis: usize,
        /// Where the part starts.
        start: usize,
        /// How long it is.
        length: usize,
        /// How long the fused tensor is.
        total: usize,
    },
    /// With another shape.
    Reshape(Box<Stored>, Vec<usize>),
    /// With the halves of each rotary head interleaved along axis 0.
    PermuteRope(Box<Stored>, usize),
}

impl Stored {
    /// The stored tensors that it needs, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.collect(&mut names);
        names
    }

    fn collect<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Tensor(name) => names.push(name),
            Self::Transpose(of, ..)
            | Self::Part { of, .. }
            | Self::Reshape(of, _)
            | Self::PermuteRope(of, _) => {
                of.collect(names);
            }
            Self::Concat(parts, _) | Self::Stack(parts, _) => {
                for part in parts {
                    part.collect(names);
                }
            }
        }
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Stored]| match parts {
            [first, _, .., last] => write!(f, "{first}, …, {last}"),
            _ => parts
                .iter()
                .enumerate()
                .try_for_each(|(index, part)| write!(f, "{}{part}", if index > 0 { ", " } else { "" })),
        };
        match self {
            Self::Tensor(name) => f.write_str(name),
            Self::Transpose(of, a, b) => write!(f, "transpose({of}, {a}, {b})"),
            Self::Concat(parts, axis) => {
                write!(f, "concat([")?;
                list(f, parts)?;
                write!(f, "], {axis})")
            }
            Self::Stack(parts, axis) => {
                write!(f, "stack([")?;
                list(f, parts)?;
                write!(f, "], {axis})")
            }
            Self::Part { of, axis, start, length, total } => {
                write!(f, "part({of}, {axis}, {start}, {length}, {total})")
            }
            Self::Reshape(of, shape) => write!(f, "reshape({of}, {shape:?})"),
            Self::PermuteRope(of, heads) => write!(f, "permute_rope({of}, {heads})"),
        }
    }
}
