//! Moves elements in the order of a [`View`], from a buffer and back into one.
//!
//! In: bytes, the size of an element, and a view. Out: the elements in the row order of the view, or
//! back where they came from.

use std::ops::Range;

use super::view::{View, coordinates};

/// The elements of `range`, counted in the view, as bytes.
pub(crate) fn gather(source: &[u8], size: usize, view: &View, range: Range<usize>) -> Vec<u8> {
    if range.is_empty() {
        return Vec::new();
    }
    let first = range.start;
    let mut out = vec![0; range.len() * size];
    if let Some(plane) = Plane::of(view).filter(|plane| plane.holds_whole(&range)) {
        plane.visit(&range, |at, from| {
            copy(&mut out, at - first, source, from, size);
        });
        return out;
    }
    view.runs(range, |at, from, stride, count| {
        let to = at - first;
        if stride == 1 {
            let bytes = count * size;
            out[to * size..][..bytes].copy_from_slice(&source[from * size..][..bytes]);
        } else {
            for step in 0..count {
                copy(&mut out, to + step, source, from + step * stride, size);
            }
        }
    });
    out
}

/// The inverse of [`gather`] for the whole view: puts `values` where they came from.
pub(crate) fn scatter(values: &[u8], size: usize, view: &View, target: &mut [u8]) {
    view.runs(0..view.elements(), |at, to, stride, count| {
        if stride == 1 {
            let bytes = count * size;
            target[to * size..][..bytes].copy_from_slice(&values[at * size..][..bytes]);
        } else {
            for step in 0..count {
                copy(target, to + step * stride, values, at + step, size);
            }
        }
    });
}

/// Copies one element; with the usual sizes spelt out, since a copy of unknown length is a call.
fn copy(target: &mut [u8], to: usize, source: &[u8], from: usize, size: usize) {
    fn sized<const N: usize>(target: &mut [u8], to: usize, source: &[u8], from: usize) {
        target[to * N..][..N].copy_from_slice(&source[from * N..][..N]);
    }
    match size {
        1 => sized::<1>(target, to, source, from),
        2 => sized::<2>(target, to, source, from),
        4 => sized::<4>(target, to, source, from),
        8 => sized::<8>(target, to, source, from),
        _ => target[to * size..][..size].copy_from_slice(&source[from * size..][..size]),
    }
}

/// Transposed matrices. Walked in tiles, since by rows every element would come from another cache line.
pub(crate) struct Plane {
    offset: usize,
    outer: Vec<(usize, usize)>,
    /// Rows of each matrix in the view, neighbours in the buffer.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// From one column to the next in the buffer.
    pub(crate) stride: usize,
}

impl Plane {
    const TILE: usize = 32;

    pub(crate) fn of(view: &View) -> Option<Self> {
        let axes = view.compact();
        let (outer, &[(rows, 1), (columns, stride)]) = axes.split_last_chunk()? else {
            return None;
        };
        Some(Self { offset: view.offset, outer: outer.to_vec(), rows, columns, stride })
    }

    /// Where in the buffer the matrix begins that holds this position of the view.
    pub(crate) fn begin(&self, position: usize) -> usize {
        let index = coordinates(position / (self.rows * self.columns), &self.outer);
        self.offset + index.iter().zip(&self.outer).map(|(at, axis)| at * axis.1).sum::<usize>()
    }

    /// Whether a range is whole matrices, or whole rows of a single one.
    fn holds_whole(&self, range: &Range<usize>) -> bool {
        let unit = if self.outer.is_empty() { self.columns } else { self.rows * self.columns };
        unit > 0 && range.start.is_multiple_of(unit) && range.end.is_multiple_of(unit)
    }

    fn visit(&self, range: &Range<usize>, mut visit: impl FnMut(usize, usize)) {
        let plane = self.rows * self.columns;
        let mut position = range.start;
        while position < range.end {
            let begin = self.begin(position);
            let plane_start = position - position % plane;
            let end = range.end.min(plane_start + plane);
            let rows = (position - plane_start) / self.columns..(end - plane_start) / self.columns;
            self.tiles(rows, |row, column| {
                visit(plane_start + row * self.columns + column, begin + row + column * self.stride);
            });
            position = end;
        }
    }

    fn tiles(&self, rows: Range<usize>, mut visit: impl FnMut(usize, usize)) {
        for row_tile in rows.clone().step_by(Self::TILE) {
            for column_tile in (0..self.columns).step_by(Self::TILE) {
                for row in row_tile..(row_tile + Self::TILE).min(rows.end) {
                    for column in column_tile..(column_tile + Self::TILE).min(self.columns) {
                        visit(row, column);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(len: usize) -> Vec<u8> {
        (0..len).map(|value| u8::try_from(value % 251).unwrap_or(0)).collect()
    }

    #[test]
    fn a_transpose_in_tiles_equals_one_by_rows() {
        let source = ramp(70 * 45);
        let view = View::whole(&[70, 45]).transposed(0, 1);
        let tiled = gather(&source, 1, &view, 0..70 * 45);
        let by_hand: Vec<u8> = (0..45)
            .flat_map(|column| (0..70).map(move |row| row * 45 + column))
            .map(|at| source[at])
            .collect();
        assert_eq!(tiled, by_hand);
        let rows = gather(&source, 1, &view, 70 * 3..70 * 40);
        assert_eq!(rows, by_hand[70 * 3..70 * 40]);
        let ragged = gather(&source, 1, &view, 33..1001);
        assert_eq!(ragged, by_hand[33..1001]);
    }

    #[test]
    fn several_transposed_matrices_equal_one_by_one() {
        let source = ramp(3 * 40 * 35);
        let view = View::whole(&[3, 40, 35]).transposed(1, 2);
        let all = gather(&source, 1, &view, 0..3 * 40 * 35);
        let one = View::whole(&[40, 35]).transposed(0, 1);
        let by_one: Vec<u8> =
            source.chunks(40 * 35).flat_map(|matrix| gather(matrix, 1, &one, 0..40 * 35)).collect();
        assert_eq!(all, by_one);
        assert_eq!(gather(&source, 1, &view, 1400..4200), by_one[1400..]);
        assert_eq!(gather(&source, 1, &view, 1435..1470), by_one[1435..1470]);
    }

    #[test]
    fn scatter_undoes_gather() {
        let source = ramp(2 * 3 * 4 * 5);
        let view = View::whole(&[6, 20]).split(0, &[2, 3]).transposed(0, 1).transposed(1, 2);
        let gathered = gather(&source, 1, &view, 0..120);
        assert_ne!(gathered, source);
        let mut back = vec![0; 120];
        scatter(&gathered, 1, &view, &mut back);
        assert_eq!(back, source);
    }
}
