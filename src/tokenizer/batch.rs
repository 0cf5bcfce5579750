//! Several texts as one rectangle of ids.
//!
//! In: rows of ids of different lengths. Out: ids and a mask, row after row, padded on one side.
//!
//! Absent on purpose: tensors; truncation.

/// Which end of a short row is filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaddingSide {
    /// Before the text, as generation wants it: all rows end together.
    Left,
    /// After the text.
    #[default]
    Right,
}

/// Token ids of several texts, all rows equally long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// `[rows, length]`, row after row.
    pub ids: Vec<u32>,
    /// `[rows, length]`: true where a token of the text stands, false where padding does.
    pub mask: Vec<bool>,
    /// The number of texts.
    pub rows: usize,
    /// The number of tokens in each row.
    pub length: usize,
}

impl Batch {
    /// Pads `rows` with `pad` to the longest of them.
    #[must_use]
    pub fn pad(rows: &[Vec<u32>], pad: u32, side: PaddingSide) -> Self {
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * length);
        let mut mask = Vec::with_capacity(rows.len() * length);
        for row in rows {
            let missing = length - row.len();
            let (before, after) = match side {
                PaddingSide::Left => (missing, 0),
                PaddingSide::Right => (0, missing),
            };
            ids.extend(std::iter::repeat_n(pad, before));
            ids.extend_from_slice(row);
            ids.extend(std::iter::repeat_n(pad, after));
            mask.extend(std::iter::repeat_n(false, before));
            mask.extend(std::iter::repeat_n(true, row.len()));
            mask.extend(std::iter::repeat_n(false, after));
        }
        Self { ids, mask, rows: rows.len(), length }
    }

    /// The ids of one row, padding included; empty for a row that is not there.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u32] {
        row.checked_mul(self.length).and_then(|start| self.ids.get(start..start + self.length)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_on_the_side_that_was_asked_for() {
        let rows = [vec![1, 2, 3], vec![], vec![4]];
        let left = Batch::pad(&rows, 9, PaddingSide::Left);
        assert_eq!(left.ids, [1, 2, 3, 9, 9, 9, 9, 9, 4]);
        assert_eq!(left.mask, [true, true, true, false, false, false, false, false, true]);
        let right = Batch::pad(&rows, 9, PaddingSide::Right);
        assert_eq!(right.row(2), [4, 9, 9]);
        assert_eq!((right.rows, right.length), (3, 3));
        assert_eq!(right.row(7), [0_u32; 0]);
    }
}
