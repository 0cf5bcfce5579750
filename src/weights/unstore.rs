//! Turns parameters back into the tensors of a checkpoint: the inverse of `stream`.
//!
//! In: resolved expressions and the bytes that each of them yields, one parameter after another. Out:
//! stored tensors, each as soon as it is complete. Parts of one stored tensor may come from several
//! parameters.

use std::collections::BTreeMap;

use super::dtype::StoredDtype;
use super::error::WeightsError;
use super::resolve::{Node, Op, SliceOf};
use super::strided;
use super::view::View;
use crate::plan::Stored;

/// Takes a complete stored tensor: its name and its bytes.
pub(crate) type Take<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), WeightsError>;

/// Stored tensors of which some parts are still missing.
#[derive(Debug, Default)]
pub(crate) struct Unstore {
    pending: BTreeMap<(Stored, usize), Partial>,
}

/// One tensor that is put together from slices along an axis.
#[derive(Debug)]
struct Partial {
    bytes: Vec<u8>,
    /// Start and length of the parts that are there, sorted.
    parts: Vec<(usize, usize)>,
    total: usize,
}

impl Unstore {
    /// Takes what `node` yields and gives every stored tensor that is complete with it.
    pub(crate) fn put(&mut self, node: &Node, bytes: &[u8], take: Take<'_>) -> Result<(), WeightsError> {
        if bytes.len() != node.bytes() {
            let reason = format!("it has {} bytes, {} {:?} was read", bytes.len(), node.dtype, node.shape);
            return Err(WeightsError::conversion("a parameter", reason));
        }
        match &node.op {
            Op::Leaf(name) => take(name, bytes),
            Op::Reshape(of) => self.put(of, bytes, take),
            Op::Permute(of, view) => {
                let mut stored = vec![0; bytes.len()];
                strided::scatter(bytes, size(node.dtype)?, view, &mut stored);
                self.put(of, &stored, take)
            }
            Op::Concat(parts, axis) => {
                let mut start = 0;
                for part in parts {
                    let len = part.shape[*axis];
                    let view = View::whole(&node.shape).sliced(*axis, start, len);
                    let own = strided::gather(bytes, size(node.dtype)?, &view, 0..part.elements());
                    self.put(part, &own, take)?;
                    start += len;
                }
                Ok(())
            }
            Op::Slice(of, slice) => match self.place(of, slice, bytes)? {
                Some(complete) => self.put(of, &complete, take),
                None => Ok(()),
            },
        }
    }

    /// Puts a part where it belongs; gives the whole once every part is there.
    fn place(&mut self, of: &Node, slice: &SliceOf, bytes: &[u8]) -> Result<Option<Vec<u8>>, WeightsError> {
        let key = (slice.key.clone(), slice.axis);
        let partial = self.pending.entry(key.clone()).or_insert_with(|| Partial {
            bytes: vec![0; of.bytes()],
            parts: Vec::new(),
            total: of.shape[slice.axis],
        });
        let size = size(of.dtype)?;
        let part = (slice.start, slice.len);
        if partial.parts.contains(&part) {
            let elements = bytes.len() / size;
            let before = strided::gather(&partial.bytes, size, &slice.view, 0..elements);
            if before != bytes {
                let reason = format!("two parameters differ on positions {part:?}");
                return Err(WeightsError::conversion(&slice.key, reason));
            }
            return Ok(None);
        }
        strided::scatter(bytes, size, &slice.view, &mut partial.bytes);
        partial.parts.push(part);
        partial.parts.sort_unstable();
        let mut covered = 0;
        for &(start, len) in &partial.parts {
            if start < covered {
                let reason = format!("parameters overlap before position {covered}");
                return Err(WeightsError::conversion(&slice.key, reason));
            }
            if start > covered {
                return Ok(None);
            }
            covered = start + len;
        }
        let complete = covered == partial.total;
        Ok(complete.then(|| self.pending.remove(&key)).flatten().map(|partial| partial.bytes))
    }

    /// Ends the work: every tensor that was begun must be complete.
    pub(crate) fn finish(self) -> Result<(), WeightsError> {
        match self.pending.first_key_value() {
            None => Ok(()),
            Some(((stored, axis), partial)) => {
                let have: Vec<String> =
                    partial.parts.iter().map(|(start, len)| format!("{start}..{}", start + len)).collect();
                let reason = format!(
                    "of its {} positions on axis {axis}, parameters hold only {}",
                    partial.total,
                    have.join(", ")
                );
                Err(WeightsError::conversion(stored, reason))
            }
        }
    }
}

fn size(dtype: StoredDtype) -> Result<usize, WeightsError> {
    dtype
        .size()
        .ok_or_else(|| WeightsError::conversion(dtype, "elements smaller than a byte cannot be reordered"))
}
