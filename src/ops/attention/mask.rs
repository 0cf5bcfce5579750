//! Which keys a query may attend to: causal, windowed, chunked, padded.
//!
//! Takes a [`Rule`], the columns of the queries and of the keys, and the padding that the run knows; gives an
//! additive mask, or nothing where every query sees every key. Rules speak of columns, not of positions, so that
//! padding on either side works: `masking_utils.py` of transformers.
//!
//! Absent on purpose: masks that a definition passes in.

use std::sync::Arc;

use burn::tensor::{Bool, FloatDType, Int, Tensor, TensorData};

use super::super::backend::B;
use super::super::kernel::{Context, Padding, RunError};
use super::super::positions::to_i32;
use super::super::{Dim, Value};

/// What is added to a forbidden score: large enough that its weight is exactly zero beside any allowed one, and
/// finite, so that a row without allowed keys (a padded query) gives numbers and not NaN.
pub(super) const FORBIDDEN: f32 = -1e30;

/// Where the keys of a call stand in the sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Columns {
    /// At `0..n`.
    First(usize),
    /// As listed, in no particular order: what a ring buffer holds.
    Listed(Vec<usize>),
}

impl Columns {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::First(count) => *count,
            Self::Listed(columns) => columns.len(),
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Self::First(count) => Box::new(0..*count),
            Self::Listed(columns) => Box::new(columns.iter().copied()),
        }
    }

    fn bounds(&self) -> (usize, usize) {
        match self {
            Self::First(count) => (0, count.saturating_sub(1)),
            Self::Listed(columns) => {
                (columns.iter().copied().min().unwrap_or(0), columns.iter().copied().max().unwrap_or(0))
            }
        }
    }
}

/// Which keys the queries of an attention may attend to, padding aside.
#[derive(Debug)]
pub(super) struct Rule {
    /// None after the query itself.
    pub(super) causal: bool,
    /// Only the last `window` up to the query; without `causal`, those at most `window` away.
    pub(super) window: Option<usize>,
    /// Only those of the query's own chunk of so many positions, padding on the left not counted.
    pub(super) chunk: Option<usize>,
    /// The size of the key axis, which says how it is padded.
    pub(super) keys: Dim,
    /// What the mask is called among the tensors shared by a run.
    pub(super) name: String,
}

impl Rule {
    /// The mask for the queries at columns `first..first + count`: `[1 or batch, 1, count, keys]` in f32.
    pub(super) fn mask(
        &self,
        context: &mut Context<'_>,
        first: usize,
        count: usize,
        columns: &Columns,
    ) -> Result<Option<Tensor<B, 4>>, RunError> {
        if count == 0 || columns.len() == 0 {
            return Ok(None);
        }
        let padding = self.padding(context, columns)?;
        let mut needs = self.needs(first, first + count - 1, columns.bounds());
        needs.padding = padding.as_ref().is_some_and(|padding| padded(padding, columns).any(|empty| empty));
        if needs == Needs::default() {
            return Ok(None);
        }
        let mask = context.share(&self.name, |context| {
            if needs == (Needs { padding: true, ..Needs::default() })
                && let Some(padding) = &padding
            {
                let empty = padded(padding, columns).map(|empty| if empty { FORBIDDEN } else { 0.0 });
                let shape = vec![padding.rows, 1, 1, columns.len()];
                return Ok(Value::from_floats(empty.collect(), shape, FloatDType::F32, context.device));
            }
            self.forbidden(context, &needs, first, count, columns, padding.as_deref())
        })?;
        Ok(Some(mask.float()))
    }

    /// The padding of the keys.
    fn padding(&self, context: &Context<'_>, columns: &Columns) -> Result<Option<Arc<Padding>>, RunError> {
        let Some(padding) = context.padding(&self.keys)? else { return Ok(None) };
        let last = columns.bounds().1;
        if last >= padding.columns {
            let (found, expected) = (padding.columns, last + 1);
            return Err(RunError::new(format!("the padding has {found} columns, expected {expected}")));
        }
        Ok(Some(padding))
    }

    fn needs(&self, first: usize, last: usize, keys: (usize, usize)) -> Needs {
        let after = self.causal && keys.1 > first;
        let window = self.window.is_some_and(|window| {
            let reach = if self.causal { window.saturating_sub(1) } else { window };
            keys.0 + reach < last || (!self.causal && keys.1 > first + reach)
        });
        let chunk = self.chunk.is_some_and(|chunk| {
            // Padding on the left moves the borders of the chunks, so only a short sequence is safe.
            keys.1.max(last) >= chunk
        });
        Needs { after, window, chunk, padding: false }
    }

    fn forbidden(
        &self,
        context: &Context<'_>,
        needs: &Needs,
        first: usize,
        count: usize,
        columns: &Columns,
        padding: Option<&Padding>,
    ) -> Result<Value, RunError> {
        let device = context.device;
        let ints = |numbers: Vec<i32>, shape: [usize; 4]| {
            Tensor::<B, 4, Int>::from_data(TensorData::new(numbers, shape), device)
        };
        let key_numbers: Vec<i32> = columns.iter().map(to_i32).collect::<Result<_, _>>()?;
        let query_numbers: Vec<i32> = (first..first + count).map(to_i32).collect::<Result<_, _>>()?;
        let keys = ints(key_numbers.clone(), [1, 1, 1, columns.len()]);
        let queries = ints(query_numbers.clone(), [1, 1, count, 1]);
        let mut forbidden = Vec::new();
        if needs.after {
            forbidden.push(keys.clone().greater(queries.clone()));
        }
        if let Some(window) = self.window.filter(|_| needs.window) {
            let window = to_i32(window)?;
            if self.causal {
                forbidden.push(keys.lower_equal(queries - window));
            } else {
                forbidden.push(keys.clone().lower(queries.clone() - window));
                forbidden.push(keys.greater(queries + window));
            }
        }
        if let Some(chunk) = self.chunk.filter(|_| needs.chunk) {
            let chunk = to_i32(chunk)?;
            let starts = padding.map_or_else(|| Ok(vec![0]), starts)?;
            let chunks = |numbers: &[i32]| {
                starts
                    .iter()
                    .flat_map(|start| numbers.iter().map(move |n| (n - start).div_euclid(chunk)))
                    .collect()
            };
            let keys = ints(chunks(&key_numbers), [starts.len(), 1, 1, columns.len()]);
            forbidden.push(keys.not_equal(ints(chunks(&query_numbers), [starts.len(), 1, count, 1])));
        }
        if let Some(padding) = padding.filter(|_| needs.padding) {
            let data =
                TensorData::new(padded(padding, columns).collect(), [padding.rows, 1, 1, columns.len()]);
            forbidden.push(Tensor::<B, 4, Bool>::from_data(data, device));
        }
        let forbidden = forbidden.into_iter().reduce(Tensor::bool_or);
        let forbidden = forbidden.ok_or_else(|| RunError::new("a mask that forbids nothing"))?;
        let ones: Tensor<B, 4> = Value::from(forbidden).to_float_on(FloatDType::F32, device).float();
        Ok((ones * FORBIDDEN).into())
    }
}

/// Which parts of a rule forbid anything in a call.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each part of a rule is needed or not")]
struct Needs {
    after: bool,
    window: bool,
    chunk: bool,
    padding: bool,
}

/// Row by row, whether each key is padding.
fn padded<'a>(padding: &'a Padding, columns: &'a Columns) -> impl Iterator<Item = bool> + 'a {
    padding.keep.chunks(padding.columns.max(1)).flat_map(|row| columns.iter().map(|column| !row[column]))
}

/// The column of each row's first held token.
fn starts(padding: &Padding) -> Result<Vec<i32>, RunError> {
    let rows = padding.keep.chunks(padding.columns.max(1));
    rows.map(|row| to_i32(row.iter().take_while(|keep| !**keep).count())).collect()
}
