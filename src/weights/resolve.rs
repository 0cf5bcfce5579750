//! Checks a [`Stored`] expression against the headers of the tensors that it names.
//!
//! In: the expression and the headers. Out: a tree in which every step knows its shape and dtype, and
//! in which every step that only moves elements is a view; or why it does not fit.

use std::collections::BTreeMap;

use super::dtype::{StoredDtype, byte_len};
use super::error::WeightsError;
use super::view::View;
use crate::plan::Stored;

/// The headers of stored tensors: dtype and shape by name.
pub trait Headers {
    /// Dtype and shape of one tensor, if it is there.
    fn header(&self, name: &str) -> Option<(StoredDtype, &[usize])>;
}

impl Headers for BTreeMap<String, (StoredDtype, Vec<usize>)> {
    fn header(&self, name: &str) -> Option<(StoredDtype, &[usize])> {
        self.get(name).map(|(dtype, shape)| (*dtype, shape.as_slice()))
    }
}

impl Stored {
    /// The shape that the expression yields.
    ///
    /// # Errors
    ///
    /// If a tensor is absent, or an operation does not fit the shape that it is applied to.
    pub fn shape(&self, headers: &dyn Headers) -> Result<Vec<usize>, WeightsError> {
        self.resolve(headers).map(|node| node.shape)
    }

    /// Checks the expression against the headers.
    pub(crate) fn resolve(&self, headers: &dyn Headers) -> Result<Node, WeightsError> {
        let node = match self {
            Self::Tensor(name) => leaf(name, headers)?,
            Self::Transpose(of, left, right) => self.transpose(of.resolve(headers)?, *left, *right)?,
            Self::Reshape { of, from, to } => self.reshape(of.resolve(headers)?, from, to)?,
            Self::Slice { of, .. } => self.slice(of.resolve(headers)?)?,
            Self::Deinterleave { of, axis, blocks, ways } => {
                let order = |run| [run, *ways];
                self.shuffle(of.resolve(headers)?, *axis, *blocks, *ways, order)?
            }
            Self::Interleave { of, axis, blocks, ways } => {
                let order = |run| [*ways, run];
                self.shuffle(of.resolve(headers)?, *axis, *blocks, *ways, order)?
            }
            Self::Concat(parts, axis) => {
                let parts = parts.iter().map(|part| part.resolve(headers));
                self.concat(parts.collect::<Result<_, _>>()?, *axis)?
            }
            Self::Stack(parts, axis) => {
                let parts = parts.iter().map(|part| self.layer(part.resolve(headers)?, *axis));
                self.concat(parts.collect::<Result<_, _>>()?, *axis)?
            }
        };
        self.require(byte_len(node.dtype, &node.shape).is_some(), || "its size overflows".into())?;
        Ok(node)
    }

    fn transpose(&self, of: Node, left: usize, right: usize) -> Result<Node, WeightsError> {
        self.require(left.max(right) < of.shape.len(), || no_axis(&of.shape))?;
        let view = View::whole(&of.shape).transposed(left, right);
        let mut shape = of.shape.clone();
        shape.swap(left, right);
        Ok(Node::new(of.dtype, shape, Op::Permute(Box::new(of), view)))
    }

    fn reshape(&self, of: Node, from: &[usize], to: &[usize]) -> Result<Node, WeightsError> {
        self.require(of.shape == from, || format!("it is stored as {:?}", of.shape))?;
        of.reshaped(self, to.to_vec())
    }

    fn slice(&self, of: Node) -> Result<Node, WeightsError> {
        let Self::Slice { of: key, axis, start, len, total } = self else {
            unreachable!("only slices are resolved as slices")
        };
        let (axis, start, len) = (*axis, *start, *len);
        self.require(of.shape.get(axis) == Some(total), || format!("it is stored as {:?}", of.shape))?;
        let end = start.checked_add(len);
        self.require(end.is_some_and(|end| end <= *total), || {
            format!("{len} from {start} on are more than {total}")
        })?;
        let mut shape = of.shape.clone();
        shape[axis] = len;
        let view = View::whole(&of.shape).sliced(axis, start, len);
        let slice = SliceOf { key: key.as_ref().clone(), axis, start, len, view };
        Ok(Node::new(of.dtype, shape, Op::Slice(Box::new(of), slice)))
    }

    /// A part of a stack: with a new axis of extent one.
    fn layer(&self, of: Node, axis: usize) -> Result<Node, WeightsError> {
        self.require(axis <= of.shape.len(), || no_axis(&of.shape))?;
        let mut shape = of.shape.clone();
        shape.insert(axis, 1);
        of.reshaped(self, shape)
    }

    fn concat(&self, parts: Vec<Node>, axis: usize) -> Result<Node, WeightsError> {
        let Some(first) = parts.first() else {
            return Err(WeightsError::conversion(self, "it has no parts"));
        };
        self.require(axis < first.shape.len(), || no_axis(&first.shape))?;
        let dtype = first.dtype;
        let mut shape = first.shape.clone();
        shape[axis] = 0;
        for part in &parts {
            let fits = part.shape.len() == shape.len()
                && (0..shape.len()).all(|at| at == axis || part.shape[at] == first.shape[at]);
            self.require(fits, || format!("its parts are {:?} and {:?}", first.shape, part.shape))?;
            self.require(part.dtype == dtype, || format!("its parts are {dtype} and {}", part.dtype))?;
            shape[axis] = shape[axis].saturating_add(part.shape[axis]);
        }
        Ok(Node::new(dtype, shape, Op::Concat(parts, axis)))
    }

    /// Sees the axis as blocks of `order(run)`, and exchanges these two.
    fn shuffle(
        &self,
        of: Node,
        axis: usize,
        blocks: usize,
        ways: usize,
        order: impl FnOnce(usize) -> [usize; 2],
    ) -> Result<Node, WeightsError> {
        self.require(axis < of.shape.len(), || no_axis(&of.shape))?;
        let unit = blocks.checked_mul(ways).filter(|&unit| unit > 0);
        let run = unit.filter(|unit| of.shape[axis].is_multiple_of(*unit));
        let Some(run) = run.map(|unit| of.shape[axis] / unit) else {
            let reason = format!("{} is no multiple of {blocks} times {ways}", of.shape[axis]);
            return Err(WeightsError::conversion(self, reason));
        };
        let [outer, inner] = order(run);
        let view = View::whole(&of.shape).split(axis, &[blocks, outer, inner]).transposed(axis + 1, axis + 2);
        Ok(Node::new(of.dtype, of.shape.clone(), Op::Permute(Box::new(of), view)))
    }

    fn require(&self, holds: bool, reason: impl FnOnce() -> String) -> Result<(), WeightsError> {
        if holds { Ok(()) } else { Err(WeightsError::conversion(self, reason())) }
    }
}

fn leaf(name: &str, headers: &dyn Headers) -> Result<Node, WeightsError> {
    let header = headers.header(name);
    let (dtype, shape) = header.ok_or_else(|| WeightsError::Absent { name: name.to_owned() })?;
    Ok(Node::new(dtype, shape.to_vec(), Op::Leaf(name.to_owned())))
}

fn no_axis(shape: &[usize]) -> String {
    format!("it is stored as {shape:?}, which has no such axis")
}

/// A checked expression.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) dtype: StoredDtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) op: Op,
}

/// What a [`Node`] does; stacking is concatenation of reshaped parts.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Leaf(String),
    Reshape(Box<Node>),
    /// All elements in another order.
    Permute(Box<Node>, View),
    Slice(Box<Node>, SliceOf),
    Concat(Vec<Node>, usize),
}

/// Which part of a larger tensor a slice is.
#[derive(Debug, Clone)]
pub(crate) struct SliceOf {
    /// The larger tensor's expression; parts with an equal one belong together.
    pub(crate) key: Stored,
    pub(crate) axis: usize,
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) view: View,
}

impl Node {
    fn new(dtype: StoredDtype, shape: Vec<usize>, op: Op) -> Self {
        Self { dtype, shape, op }
    }

    /// Elements of what the node yields; its size was checked when it was resolved.
    pub(crate) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of what the node yields.
    pub(crate) fn bytes(&self) -> usize {
        byte_len(self.dtype, &self.shape).unwrap_or(0)
    }

    fn reshaped(self, by: &Stored, shape: Vec<usize>) -> Result<Self, WeightsError> {
        let elements = crate::facts::elements(&shape);
        if elements != crate::facts::elements(&self.shape) {
            let reason = format!("{:?} and {shape:?} differ in size", self.shape);
            return Err(WeightsError::conversion(by, reason));
        }
        Ok(Self::new(self.dtype, shape, Op::Reshape(Box::new(self))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> BTreeMap<String, (StoredDtype, Vec<usize>)> {
        BTreeMap::from([
            ("a".into(), (StoredDtype::F32, vec![6, 4])),
            ("b".into(), (StoredDtype::F32, vec![2, 4])),
            ("c".into(), (StoredDtype::F16, vec![2, 4])),
        ])
    }

    fn shape(stored: &Stored) -> Result<Vec<usize>, String> {
        stored.shape(&headers()).map_err(|error| error.to_string())
    }

    fn a() -> Stored {
        Stored::tensor("a")
    }

    #[test]
    fn shapes_are_those_of_the_operations() {
        let concat = Stored::Concat(vec![a(), Stored::tensor("b")], 0);
        assert_eq!(shape(&concat), Ok(vec![8, 4]));
        assert_eq!(shape(&Stored::Transpose(Box::new(concat), 0, 1)), Ok(vec![4, 8]));
        assert_eq!(shape(&Stored::Stack(vec![a(), a()], 1)), Ok(vec![6, 2, 4]));
        assert_eq!(shape(&Stored::Stack(vec![a(), a()], 2)), Ok(vec![6, 4, 2]));
        let slice = |start, len| Stored::Slice { of: Box::new(a()), axis: 0, start, len, total: 6 };
        assert_eq!(shape(&slice(2, 3)), Ok(vec![3, 4]));
        assert_eq!(shape(&Stored::rope_to_halves(a(), 3)), Ok(vec![6, 4]));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for (stored, part) in [
            (Stored::tensor("z"), "no tensor `z`"),
            (Stored::Transpose(Box::new(a()), 0, 2), "no such axis"),
            (Stored::Concat(vec![a(), Stored::tensor("b")], 1), "[6, 4] and [2, 4]"),
            (Stored::Concat(vec![Stored::tensor("b"), Stored::tensor("c")], 0), "F32 and F16"),
            (Stored::Concat(vec![], 0), "no parts"),
            (Stored::Slice { of: Box::new(a()), axis: 0, start: 4, len: 3, total: 6 }, "more than 6"),
            (Stored::Slice { of: Box::new(a()), axis: 0, start: 0, len: 3, total: 9 }, "[6, 4]"),
            (
                Stored::Slice { of: Box::new(a()), axis: 0, start: usize::MAX, len: 3, total: 6 },
                "more than 6",
            ),
            (Stored::Reshape { of: Box::new(a()), from: vec![6, 4], to: vec![5, 5] }, "differ in size"),
            (Stored::rope_to_halves(a(), 4), "no multiple"),
            (Stored::rope_to_halves(a(), 0), "no multiple"),
        ] {
            let message = shape(&stored).expect_err("must not fit");
            assert!(message.contains(part), "{stored}: {message}");
        }
    }
}
