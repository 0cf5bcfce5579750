//! Elements of a flat buffer, seen in another order.
//!
//! In: a shape, and what is done to it (transpose, slice, split). Out: extents with their strides.
//!
//! Every conversion that only moves elements is one such view, so that there is one kernel, `strided`,
//! and its inverse.

use std::ops::Range;

/// Elements of a buffer, seen in another order. All numbers count elements.
///
/// Where one extent is zero, the strides of the others may be too large for any buffer; they saturate, and
/// are never followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// Where the first element is.
    pub(crate) offset: usize,
    /// Extent and stride of each axis, outermost first.
    axes: Vec<(usize, usize)>,
}

impl View {
    /// The whole of a buffer of this shape, in its own order.
    pub(crate) fn whole(shape: &[usize]) -> Self {
        let mut stride = 1_usize;
        let mut axes: Vec<(usize, usize)> = shape
            .iter()
            .rev()
            .map(|&extent| {
                let axis = (extent, stride);
                stride = stride.saturating_mul(extent);
                axis
            })
            .collect();
        axes.reverse();
        Self { offset: 0, axes }
    }

    /// A buffer in column order, seen in row order.
    pub(crate) fn columns(shape: &[usize]) -> Self {
        let reversed: Vec<usize> = shape.iter().rev().copied().collect();
        let mut view = Self::whole(&reversed);
        view.axes.reverse();
        view
    }

    /// The view with two axes exchanged.
    pub(crate) fn transposed(mut self, left: usize, right: usize) -> Self {
        self.axes.swap(left, right);
        self
    }

    /// The view of `len` positions of an axis, from `start` on.
    pub(crate) fn sliced(mut self, axis: usize, start: usize, len: usize) -> Self {
        self.offset = self.offset.saturating_add(start.saturating_mul(self.axes[axis].1));
        self.axes[axis].0 = len;
        self
    }

    /// The view with one axis seen as several, whose extents multiply to it.
    pub(crate) fn split(mut self, axis: usize, extents: &[usize]) -> Self {
        let (_, mut stride) = self.axes[axis];
        let mut parts: Vec<(usize, usize)> = extents
            .iter()
            .rev()
            .map(|&extent| {
                let part = (extent, stride);
                stride = stride.saturating_mul(extent);
                part
            })
            .collect();
        parts.reverse();
        self.axes.splice(axis..=axis, parts);
        self
    }

    /// How many elements the view has.
    pub(crate) fn elements(&self) -> usize {
        self.axes.iter().map(|axis| axis.0).product()
    }

    /// How many elements there are in one position of the outermost axis that has several.
    pub(crate) fn row(&self) -> usize {
        let outer = self.axes.iter().position(|axis| axis.0 != 1).unwrap_or(self.axes.len());
        self.axes.iter().skip(outer + 1).map(|axis| axis.0).product()
    }

    /// Where the view begins, if its elements follow one another in the buffer.
    pub(crate) fn contiguous(&self) -> Option<usize> {
        let compact = self.compact();
        match compact.as_slice() {
            [] | [(_, 1)] => Some(self.offset),
            _ => None,
        }
    }

    /// The axes without those of extent one, and with neighbours that run on merged.
    pub(crate) fn compact(&self) -> Vec<(usize, usize)> {
        let mut merged: Vec<(usize, usize)> = Vec::with_capacity(self.axes.len());
        for &(extent, stride) in self.axes.iter().filter(|axis| axis.0 != 1) {
            match merged.last_mut() {
                Some(outer) if outer.1 == extent.saturating_mul(stride) => {
                    *outer = (outer.0.saturating_mul(extent), stride);
                }
                _ => merged.push((extent, stride)),
            }
        }
        merged
    }

    /// Calls `visit(position in the view, position in the buffer, stride, count)` for every run of
    /// the innermost axis within `range`.
    pub(crate) fn runs(&self, range: Range<usize>, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let axes = self.compact();
        let Some((&(inner, stride), outer)) = axes.split_last() else {
            if !range.is_empty() {
                visit(range.start, self.offset, 1, 1);
            }
            return;
        };
        if range.is_empty() || inner == 0 {
            return;
        }
        let mut position = range.start;
        let mut within = position % inner;
        let mut index = coordinates(position / inner, outer);
        while position < range.end {
            let row: usize =
                self.offset + index.iter().zip(outer).map(|(at, axis)| at * axis.1).sum::<usize>();
            let count = (inner - within).min(range.end - position);
            visit(position, row + within * stride, stride, count);
            position += count;
            within = 0;
            advance(&mut index, outer);
        }
    }
}

/// Where the flat position is on each axis.
pub(crate) fn coordinates(mut flat: usize, axes: &[(usize, usize)]) -> Vec<usize> {
    let mut index = vec![0; axes.len()];
    for (at, axis) in index.iter_mut().zip(axes).rev() {
        if axis.0 > 0 {
            *at = flat % axis.0;
            flat /= axis.0;
        }
    }
    index
}

/// One position on, the last axis first.
fn advance(index: &mut [usize], axes: &[(usize, usize)]) {
    for (at, axis) in index.iter_mut().zip(axes).rev() {
        *at += 1;
        if *at < axis.0 {
            return;
        }
        *at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_first_axis_are_contiguous() {
        let whole = View::whole(&[4, 3, 2]);
        assert_eq!(whole.clone().sliced(0, 1, 2).contiguous(), Some(6));
        assert_eq!(whole.clone().sliced(1, 1, 2).contiguous(), None);
        assert_eq!(View::whole(&[1, 4, 1]).transposed(0, 2).contiguous(), Some(0));
        assert_eq!(View::whole(&[]).contiguous(), Some(0));
    }
}
