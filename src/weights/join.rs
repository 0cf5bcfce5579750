//! Puts the parts of a concatenation side by side.
//!
//! In: resolved parts, the axis along which they are joined, and a range of the whole. Out: its bytes in row order,
//! in pieces; along the outermost axis the parts follow one another, along others their rows take turns.

use std::ops::Range;

use super::checkpoint::Checkpoint;
use super::error::WeightsError;
use super::resolve::Node;
use super::stream::{PIECE, Sink, element_size, emit, in_parts, owned};

/// One of the parts of a concatenation.
enum Joined<'a> {
    /// Read as it is needed.
    Streamed(&'a Node),
    /// Read before, since a part of it costs as much as the whole.
    Held(Vec<u8>),
}

/// The elements of `range` of parts that are joined along an axis.
pub(super) fn concat(
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
    let mut joined = Vec::with_capacity(parts.len());
    for part in parts {
        let width: usize = part.shape[axis..].iter().product();
        let source = if in_parts(part, checkpoint) {
            Joined::Streamed(part)
        } else {
            Joined::Held(owned(part, checkpoint)?)
        };
        joined.push((source, width));
    }
    let take = |source: &Joined<'_>, range: Range<usize>, sink: Sink<'_>| match source {
        Joined::Streamed(part) => emit(part, checkpoint, range, sink),
        Joined::Held(bytes) => sink(&bytes[range.start * size..range.end * size]),
    };
    let row: usize = joined.iter().map(|(_, width)| width).sum();
    let mut at = range.start;
    while at < range.end {
        let (index, within) = (at / row, at % row);
        let rows = ((range.end - at) / row).min(PIECE / size / row);
        if within > 0 || rows == 0 {
            // The rest of a row, or one too long to be put together: its parts in turn.
            let stop = row.min(within + (range.end - at));
            let mut before = 0;
            for (source, width) in &joined {
                let (from, to) = (within.max(before), stop.min(before + width));
                if from < to {
                    let base = index * width;
                    take(source, base + from - before..base + to - before, sink)?;
                }
                before += width;
            }
            at += stop - within;
            continue;
        }
        let mut piece = vec![0; rows * row * size];
        let mut before = 0;
        for (source, width) in &joined {
            // Elements of this part that are in the piece.
            let mut done = 0;
            take(source, index * width..(index + rows) * width, &mut |bytes| {
                let mut bytes = bytes;
                while !bytes.is_empty() {
                    let (to, column) = (done / width, done % width);
                    let (run, rest) = bytes.split_at(bytes.len().min((width - column) * size));
                    piece[(to * row + before + column) * size..][..run.len()].copy_from_slice(run);
                    done += run.len() / size;
                    bytes = rest;
                }
                Ok(())
            })?;
            before += width;
        }
        sink(&piece)?;
        at += rows * row;
    }
    Ok(())
}
