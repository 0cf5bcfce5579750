//! Reads what a [`Stored`] expression yields, piece by piece.
//!
//! In: a resolved expression and the checkpoint. Out: its bytes in row order, as pieces of a bounded size that
//! are read, not mapped: a page that was touched in a mapping stays in memory. [`plain`] tells which tensors need
//! none of this.

use std::ops::Range;

use super::checkpoint::Checkpoint;
use super::dtype::StoredDtype;
use super::error::WeightsError;
use super::join;
use super::pick::Pick;
use super::resolve::{Node, Op};
use super::strided;
use super::view::View;
use crate::plan::Stored;

/// The largest piece in bytes. What is read for one, and what it is joined from, take as much again each.
pub(crate) const PIECE: usize = 8 << 20;

/// What of a tensor is read at once where its order stays as it is, in bytes: little enough for a core's cache.
const READ: usize = 1 << 20;

/// Takes one piece after another.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), WeightsError>;

impl Stored {
    /// Reads the whole of what the expression yields: its bytes in row order, with dtype and shape.
    ///
    /// # Errors
    ///
    /// If the expression does not fit the checkpoint, or a file cannot be read.
    pub fn read(&self, checkpoint: &Checkpoint) -> Result<HostTensor, WeightsError> {
        let node = self.resolve(checkpoint)?;
        let bytes = owned(&node, checkpoint)?;
        Ok(HostTensor { dtype: node.dtype, shape: node.shape, bytes })
    }
}

/// A tensor in host memory, in row order, as a checkpoint would store it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTensor {
    /// The type of its elements.
    pub dtype: StoredDtype,
    /// Its extents, outermost first.
    pub shape: Vec<usize>,
    /// Its elements, little-endian.
    pub bytes: Vec<u8>,
}

/// All bytes of a node at once.
pub(super) fn owned(node: &Node, checkpoint: &Checkpoint) -> Result<Vec<u8>, WeightsError> {
    match plain(node) {
        Some((name, range)) if checkpoint.get(name).is_some_and(|entry| range == (0..entry.bytes)) => {
            checkpoint.whole(name)
        }
        Some((name, range)) if checkpoint.reads_in_parts(name) => {
            let mut bytes = vec![0; range.len()];
            checkpoint.read_into(name, range.start, &mut bytes)?;
            Ok(bytes)
        }
        _ => collect(node, checkpoint, 0..node.elements()),
    }
}

fn collect(node: &Node, checkpoint: &Checkpoint, range: Range<usize>) -> Result<Vec<u8>, WeightsError> {
    let mut all = Vec::with_capacity(range.len() * node.dtype.bits() / 8);
    emit(node, checkpoint, range, &mut |piece| {
        all.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(all)
}

/// Whether two nodes yield the same bytes of the same type, read a piece at a time.
pub(crate) fn equal(left: &Node, right: &Node, checkpoint: &Checkpoint) -> Result<bool, WeightsError> {
    if left.dtype != right.dtype || left.elements() != right.elements() {
        return Ok(false);
    }
    if !in_parts(left, checkpoint) || !in_parts(right, checkpoint) {
        return Ok(owned(left, checkpoint)? == owned(right, checkpoint)?);
    }
    let piece = READ * 8 / left.dtype.bits();
    for at in (0..left.elements()).step_by(piece) {
        let range = at..left.elements().min(at + piece);
        if collect(left, checkpoint, range.clone())? != collect(right, checkpoint, range)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The bytes of a node in order.
pub(crate) fn stream(node: &Node, checkpoint: &Checkpoint, sink: Sink<'_>) -> Result<(), WeightsError> {
    emit(node, checkpoint, 0..node.elements(), sink)
}

/// The stored tensor and the bytes of it that a node yields, if it yields them as they are.
pub(crate) fn plain(node: &Node) -> Option<(&str, Range<usize>)> {
    match &node.op {
        Op::Leaf(name) => Some((name, 0..node.bytes())),
        _ if node.elements() == 0 => None,
        Op::Reshape(of) => plain(of),
        Op::Permute(of, view) => shifted(node, of, view),
        Op::Slice(of, slice) => shifted(node, of, &slice.view),
        Op::Concat(parts, _) if parts.len() == 1 => plain(&parts[0]),
        Op::Concat(..) => None,
    }
}

fn shifted<'a>(node: &Node, of: &'a Node, view: &View) -> Option<(&'a str, Range<usize>)> {
    let start = view.contiguous()? * node.dtype.size()?;
    let (name, range) = plain(of)?;
    Some((name, range.start + start..range.start + start + node.bytes()))
}

/// The elements of `range` of what a node yields.
pub(super) fn emit(
    node: &Node,
    checkpoint: &Checkpoint,
    range: Range<usize>,
    sink: Sink<'_>,
) -> Result<(), WeightsError> {
    if range.is_empty() {
        return Ok(());
    }
    match &node.op {
        Op::Leaf(name) => leaf(node, name, checkpoint, range, sink),
        Op::Reshape(of) => emit(of, checkpoint, range, sink),
        Op::Permute(of, view) => viewed(node, of, view, checkpoint, range, sink),
        Op::Slice(of, slice) => viewed(node, of, &slice.view, checkpoint, range, sink),
        Op::Concat(parts, axis) => join::concat(node, parts, *axis, checkpoint, range, sink),
    }
}

fn leaf(
    node: &Node,
    name: &str,
    checkpoint: &Checkpoint,
    range: Range<usize>,
    sink: Sink<'_>,
) -> Result<(), WeightsError> {
    let bytes = |at: usize| at * node.dtype.bits() / 8;
    let (start, end) = (bytes(range.start), bytes(range.end));
    if !checkpoint.reads_in_parts(name) {
        return sink(&checkpoint.whole(name)?[start..end]);
    }
    let mut buffer = vec![0; READ.min(end - start)];
    for at in (start..end).step_by(READ) {
        let piece = &mut buffer[..READ.min(end - at)];
        checkpoint.read_into(name, at, piece)?;
        sink(piece)?;
    }
    Ok(())
}

fn viewed(
    node: &Node,
    of: &Node,
    view: &View,
    checkpoint: &Checkpoint,
    range: Range<usize>,
    sink: Sink<'_>,
) -> Result<(), WeightsError> {
    if let Some(offset) = view.contiguous() {
        return emit(of, checkpoint, range.start + offset..range.end + offset, sink);
    }
    let size = element_size(node)?;
    let room = (PIECE / size).max(1);
    let gathered: &dyn Fn(Range<usize>) -> Result<Vec<u8>, WeightsError> = if let Some((name, bytes, pick)) =
        picked(of, view, size, checkpoint)
    {
        let read =
            move |at: usize, buffer: &mut [u8]| checkpoint.read_into(name, bytes.start + at * size, buffer);
        &move |range| pick.read(range, &read)
    } else {
        let source = owned(of, checkpoint)?;
        &move |range| Ok(strided::gather(&source, size, view, range))
    };
    // Pieces of whole rows where a row is small enough, since these are gathered fastest.
    let row = view.row().max(1);
    let piece = if row <= room { room / row * row } else { room };
    let mut at = range.start;
    while at < range.end {
        let next = (at + piece - at % piece).min(range.end);
        sink(&gathered(at..next)?)?;
        at = next;
    }
    Ok(())
}

/// The stored tensor that a view is of, its bytes there, and how to read the view from the file; `None` where the
/// whole tensor is read: a small one, and one that cannot be.
fn picked<'a>(
    of: &'a Node,
    view: &'a View,
    size: usize,
    checkpoint: &Checkpoint,
) -> Option<(&'a str, Range<usize>, Pick<'a>)> {
    let (name, bytes) = plain(of).filter(|(name, _)| checkpoint.reads_in_parts(name))?;
    let pick = Pick::of(view, size, PIECE / size).filter(|_| bytes.len() > PIECE)?;
    Some((name, bytes, pick))
}

/// Whether a part of a node is read at little more than its own cost.
pub(super) fn in_parts(node: &Node, checkpoint: &Checkpoint) -> bool {
    let of_view = |of: &Node, view: &View| match (view.contiguous(), node.dtype.size()) {
        (Some(_), _) => in_parts(of, checkpoint),
        (None, Some(size)) => picked(of, view, size, checkpoint).is_some(),
        (None, None) => false,
    };
    match &node.op {
        Op::Leaf(name) => checkpoint.reads_in_parts(name),
        Op::Reshape(of) => in_parts(of, checkpoint),
        Op::Permute(of, view) => of_view(of, view),
        Op::Slice(of, slice) => of_view(of, &slice.view),
        Op::Concat(parts, _) => parts.iter().all(|part| in_parts(part, checkpoint)),
    }
}

pub(super) fn element_size(node: &Node) -> Result<usize, WeightsError> {
    node.dtype.size().ok_or_else(|| {
        WeightsError::conversion(node.dtype, "elements smaller than a byte cannot be reordered")
    })
}
