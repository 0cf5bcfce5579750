//! Reads what a [`Stored`] expression yields, piece by piece.
//!
//! In: a resolved expression and the checkpoint. Out: its bytes in row order, as pieces of a bounded
//! size; a mapped tensor that needs no reordering comes as one piece, without a copy.

use std::ops::Range;

use super::checkpoint::Checkpoint;
use super::dtype::StoredDtype;
use super::error::WeightsError;
use super::resolve::{Node, Op};
use super::source::Data;
use super::strided;
use super::view::View;
use crate::plan::Stored;

/// The largest piece that is made of memory of its own, in bytes. Two of them are alive at most.
pub(crate) const PIECE: usize = 16 << 20;

type Sink<'a> = &'a mut dyn FnMut(Data) -> Result<(), WeightsError>;

impl Stored {
    /// Reads the whole of what the expression yields: its bytes in row order, with dtype and shape.
    ///
    /// # Errors
    ///
    /// If the expression does not fit the checkpoint, or a file cannot be read.
    pub fn read(&self, checkpoint: &Checkpoint) -> Result<HostTensor, WeightsError> {
        let node = self.resolve(checkpoint)?;
        let bytes = whole(&node, checkpoint)?;
        Ok(HostTensor { dtype: node.dtype, shape: node.shape, bytes: bytes.to_vec() })
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
pub(crate) fn whole(node: &Node, checkpoint: &Checkpoint) -> Result<Data, WeightsError> {
    if let Some((name, range)) = plain(node) {
        return checkpoint.part(name, range);
    }
    let mut all: Vec<u8> = Vec::new();
    let total = node.bytes();
    let mut single = None;
    stream(node, checkpoint, &mut |piece| {
        if piece.len() == total {
            single = Some(piece);
        } else {
            all.reserve_exact(total - all.len());
            all.extend_from_slice(&piece);
        }
        Ok(())
    })?;
    Ok(single.unwrap_or(Data::Owned(all)))
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
fn emit(
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
        Op::Concat(parts, axis) => concat(node, parts, *axis, checkpoint, range, sink),
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
    if checkpoint.is_mapped(name) || !checkpoint.reads_in_parts(name) {
        return sink(checkpoint.part(name, start..end)?);
    }
    let mut at = start;
    while at < end {
        let next = (at + PIECE).min(end);
        sink(checkpoint.part(name, at..next)?)?;
        at = next;
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
    let size = element_size(node)?;
    if let Some(offset) = view.contiguous() {
        return emit(of, checkpoint, range.start + offset..range.end + offset, sink);
    }
    let source = whole(of, checkpoint)?;
    // Pieces of whole rows where a row is small enough, since these are gathered fastest.
    let room = (PIECE / size).max(1);
    let row = view.row().max(1);
    let piece = if row <= room { room / row * row } else { room };
    let mut at = range.start;
    while at < range.end {
        let next = (at + piece - at % piece).min(range.end);
        sink(Data::Owned(strided::gather(&source, size, view, at..next)))?;
        at = next;
    }
    Ok(())
}

fn concat(
    node: &Node,
    parts: &[Node],
    axis: usize,
    checkpoint: &Checkpoint,
    range: Range<usize>,
    sink: Sink<'_>,
) -> Result<(), WeightsError> {
    let outer: usize = node.shape[..axis].iter().product();
    if outer == 1 {
        let mut begin = 0;
        for part in parts {
            let end = begin + part.elements();
            let (from, to) = (range.start.max(begin), range.end.min(end));
            if from < to {
                emit(part, checkpoint, from - begin..to - begin, sink)?;
            }
            begin = end;
        }
        return Ok(());
    }
    let size = element_size(node)?;
    let sources: Vec<(Data, usize)> = parts
        .iter()
        .map(|part| Ok((whole(part, checkpoint)?, part.shape[axis..].iter().product())))
        .collect::<Result<_, WeightsError>>()?;
    let row: usize = sources.iter().map(|source| source.1).sum();
    let mut piece = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let (index, mut within) = (at / row, at % row);
        let mut stop = row.min(within + (range.end - at));
        let begin = within;
        let mut before = 0;
        for (source, width) in &sources {
            if within < before + width && within < stop {
                let (from, to) = (within - before, (stop - before).min(*width));
                let base = index * width;
                piece.extend_from_slice(&source[(base + from) * size..(base + to) * size]);
                within = before + to;
                if piece.len() >= PIECE {
                    stop = within;
                }
            }
            before += width;
        }
        at += within - begin;
        if piece.len() >= PIECE || at >= range.end {
            sink(Data::Owned(std::mem::take(&mut piece)))?;
        }
    }
    Ok(())
}

fn element_size(node: &Node) -> Result<usize, WeightsError> {
    node.dtype.size().ok_or_else(|| {
        WeightsError::conversion(node.dtype, "elements smaller than a byte cannot be reordered")
    })
}
