//! Reads the elements of a [`View`] from a file without the rest of the tensor.
//!
//! In: a view whose elements lie in the file in runs that are worth a read each, and a way to read. Out: the
//! elements of a range of it, with little more memory than they take.
//!
//! Absent on purpose: views that scatter their elements. For these the whole tensor is read and gathered.

use std::ops::Range;

use super::error::WeightsError;
use super::strided::{Plane, gather};
use super::view::View;

/// Fills the buffer with elements of the stored tensor, from one on.
pub(crate) type Read<'a> = &'a dyn Fn(usize, &mut [u8]) -> Result<(), WeightsError>;

/// Bytes from which on a run is worth a read of its own.
const SHORTEST: usize = 256;

/// A view that is read from a file.
pub(crate) struct Pick<'a> {
    view: &'a View,
    size: usize,
    /// The transposed matrices, where these are what the view is.
    plane: Option<Plane>,
}

impl<'a> Pick<'a> {
    /// The way to read a view of elements of `size` bytes in pieces of `room` elements, if its runs are long enough.
    pub(crate) fn of(view: &'a View, size: usize, room: usize) -> Option<Self> {
        let plane = Plane::of(view);
        let run = match (&plane, view.compact().last()) {
            (Some(plane), _) => plane.rows.min(room / plane.columns.max(1)),
            (None, Some(&(inner, 1))) => inner,
            _ => 0,
        };
        (run.saturating_mul(size) >= SHORTEST).then_some(Self { view, size, plane })
    }

    /// The elements of `range`, counted in the view.
    pub(crate) fn read(&self, range: Range<usize>, read: Read<'_>) -> Result<Vec<u8>, WeightsError> {
        if let Some(plane) = &self.plane {
            return self.columns(plane, range, read);
        }
        let first = range.start;
        let mut out = vec![0; range.len() * self.size];
        let mut result = Ok(());
        self.view.runs(range, |at, from, _, count| {
            if result.is_ok() {
                result = read(from, &mut out[(at - first) * self.size..][..count * self.size]);
            }
        });
        result.map(|()| out)
    }

    /// Rows of transposed matrices: of each, a stripe of every column is read, and turned in memory.
    fn columns(&self, plane: &Plane, range: Range<usize>, read: Read<'_>) -> Result<Vec<u8>, WeightsError> {
        let unit = plane.rows * plane.columns;
        let mut out = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let begin = at - at % unit;
            let end = range.end.min(begin + unit);
            let rows = (at - begin) / plane.columns..(end - begin).div_ceil(plane.columns);
            let mut stripes = vec![0; rows.len() * plane.columns * self.size];
            let from = plane.begin(at) + rows.start;
            if rows.len() == plane.stride {
                read(from, &mut stripes)?;
            } else {
                for (column, stripe) in stripes.chunks_exact_mut(rows.len() * self.size).enumerate() {
                    read(from + column * plane.stride, stripe)?;
                }
            }
            let turned = View::whole(&[plane.columns, rows.len()]).transposed(0, 1);
            let skip = (at - begin) % plane.columns;
            let values = gather(&stripes, self.size, &turned, skip..skip + (end - at));
            if out.is_empty() {
                out = values;
            } else {
                out.extend_from_slice(&values);
            }
            at = end;
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::testing::ramp;

    /// Picks ranges of a view in a tensor of `len` elements of two bytes, and compares with gathering them.
    fn check(view: &View, len: usize) {
        let stored = ramp(len * 2);
        let read = |at: usize, buffer: &mut [u8]| {
            buffer.copy_from_slice(&stored[at * 2..][..buffer.len()]);
            Ok(())
        };
        let pick = Pick::of(view, 2, 1 << 20).expect("runs of 256 bytes");
        let all = view.elements();
        for range in [0..all, 0..1, all - 1..all, all / 3..all / 2, 129..all - 131, 5..5] {
            let picked = pick.read(range.clone(), &read).expect("reads");
            assert!(picked == gather(&stored, 2, view, range.clone()), "{range:?} of {view:?}");
        }
    }

    #[test]
    fn what_is_picked_is_what_is_gathered() {
        let matrices = View::whole(&[3, 20, 130]);
        check(&matrices.clone().transposed(1, 2), 7800);
        check(&matrices.clone().transposed(1, 2).sliced(0, 1, 2), 7800);
        check(&matrices.clone().sliced(1, 3, 5), 7800);
        check(&matrices.transposed(0, 1), 7800);
        check(&View::whole(&[60, 130]).transposed(0, 1), 7800);
        check(&View::whole(&[60, 130]).sliced(0, 7, 11).transposed(0, 1), 7800);
        check(&View::whole(&[60, 130]).sliced(1, 2, 128), 7800);
    }

    #[test]
    fn scattered_elements_are_not_picked() {
        assert!(Pick::of(&View::whole(&[60, 8, 4]).transposed(1, 2), 2, 1 << 20).is_none());
        assert!(Pick::of(&View::whole(&[9, 9, 9, 9]).transposed(0, 3), 4, 1 << 20).is_none());
        let tall = View::whole(&[1 << 20, 4096]).transposed(0, 1);
        assert!(Pick::of(&tall, 2, 1 << 20).is_none(), "a stripe of one element");
    }

    #[test]
    fn a_read_that_fails_ends_it() {
        let read = |at: usize, _: &mut [u8]| -> Result<(), WeightsError> {
            Err(WeightsError::Absent { name: at.to_string() })
        };
        for view in [View::whole(&[60, 130]).transposed(0, 1), View::whole(&[60, 130]).sliced(1, 1, 129)] {
            let pick = Pick::of(&view, 2, 1 << 20).expect("long runs");
            assert!(matches!(pick.read(0..1000, &read), Err(WeightsError::Absent { .. })));
        }
    }
}
