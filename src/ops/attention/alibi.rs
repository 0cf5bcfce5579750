//! Attention with linear biases (arXiv 2108.12409): what `alibi` adds to the scores.
//!
//! Takes one slope per head; gives slope times the key's position, as `build_alibi_tensor` of transformers' `bloom` does: softmax
//! does not see the shift against the distance that the paper subtracts.
//!
//! Absent on purpose: the slopes of other schemes, which a definition passes in.

use burn::tensor::{FloatDType, Tensor};

use super::super::Dim;
use super::super::Value;
use super::super::backend::B;
use super::super::call::{Arg, Call, Fault};
use super::super::kernel::{Context, Padding, RunError};
use super::super::types::{Const, TensorType};
use super::mask::{Columns, Rule};

/// Where the slopes come from.
#[derive(Debug)]
pub(super) enum Alibi {
    /// There are none.
    None,
    /// Known while tracing; the name under which a run shares what is added.
    Fixed(Vec<f32>, String),
    /// A tensor of the model.
    Tensor,
}

impl Alibi {
    /// Reads the argument, which may be a truth value, a list of numbers or a tensor of one slope per head.
    pub(super) fn trace(call: &mut Call, heads: usize) -> Result<Self, Fault> {
        if let Arg::Tensor(_, found) = call.peek("alibi") {
            let expected = TensorType::float(vec![Dim::Known(i64::try_from(heads).unwrap_or(i64::MAX))]);
            if *found != expected {
                return Err(Fault::shape(format!("`alibi` is `{found}`, expected `{expected}`")).of("alibi"));
            }
            call.optional_tensor("alibi")?;
            return Ok(Self::Tensor);
        }
        let slopes: Vec<f32> = match call.constant("alibi")? {
            Const::None | Const::Bool(false) => return Ok(Self::None),
            Const::Bool(true) => slopes(heads),
            Const::List(items) if items.len() == heads => items.iter().filter_map(as_f32).collect(),
            other => {
                let found = other.kind_name();
                return Err(Fault::value(format!("`alibi` is {found}, expected True or one slope per head"))
                    .of("alibi"));
            }
        };
        if slopes.len() != heads {
            return Err(Fault::value("`alibi` holds something that is no number").of("alibi"));
        }
        let name = format!("alibi {slopes:?}");
        Ok(Self::Fixed(slopes, name))
    }

    /// What is added to the scores: `[1 or batch, heads, 1, keys]`.
    pub(super) fn term(
        &self,
        context: &mut Context<'_>,
        slopes: Option<Value>,
        rule: &Rule,
        columns: &Columns,
    ) -> Result<Option<Tensor<B, 4>>, RunError> {
        match (self, slopes) {
            (Self::Fixed(slopes, name), _) => {
                let name = format!("{name} {}", rule.name);
                let term = context.share(&name, |context| {
                    let slopes = Value::from_floats(
                        slopes.clone(),
                        vec![slopes.len()],
                        FloatDType::F32,
                        context.device,
                    );
                    Ok((per_head(slopes) * positions(context, rule, columns)?).into())
                })?;
                Ok(Some(term.float()))
            }
            (Self::Tensor, Some(slopes)) => Ok(Some(per_head(slopes) * positions(context, rule, columns)?)),
            _ => Ok(None),
        }
    }
}

fn per_head(slopes: Value) -> Tensor<B, 4> {
    let heads = slopes.shape()[0];
    slopes.to_float(FloatDType::F32).reshape(vec![1, heads, 1, 1]).float()
}

/// The position of each key among the held tokens of its row: `[1 or batch, 1, 1, keys]`; 0 for padding.
fn positions(context: &Context<'_>, rule: &Rule, columns: &Columns) -> Result<Tensor<B, 4>, RunError> {
    #[expect(clippy::cast_precision_loss, reason = "positions are floats in the reference, too")]
    let as_float = |number: usize| number as f32;
    let (rows, numbers): (usize, Vec<f32>) = match context.padding(&rule.keys)? {
        None => (1, columns.iter().map(as_float).collect()),
        Some(padding) => {
            let counted = counted(&padding);
            let rows = counted.chunks(padding.columns.max(1));
            let numbers = rows
                .flat_map(|row| columns.iter().map(|column| row.get(column).map_or(0.0, |n| as_float(*n))));
            (padding.rows, numbers.collect())
        }
    };
    Ok(Value::from_floats(numbers, vec![rows, 1, 1, columns.len()], FloatDType::F32, context.device).float())
}

fn counted(padding: &Padding) -> Vec<usize> {
    let mut numbers = Vec::with_capacity(padding.keep.len());
    for row in padding.keep.chunks(padding.columns.max(1)) {
        let mut count = 0usize;
        numbers.extend(row.iter().map(|keep| {
            count += usize::from(*keep);
            if *keep { count - 1 } else { 0 }
        }));
    }
    numbers
}

fn as_f32(value: &Const) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "slopes are f32 in the reference, too")]
    value.as_f64().map(|slope| slope as f32)
}

/// The slopes of the paper: powers of two for a power of two of heads, and every second one of the next such set.
fn slopes(heads: usize) -> Vec<f32> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "few heads; f32 as in the reference"
    )]
    let power = |sets: usize, exponent: usize| -> f32 {
        let base = (-(-((sets as f64).log2() - 3.0)).exp2()).exp2() as f32;
        f64::from(base).powf(exponent as f64) as f32
    };
    let whole = if heads.is_power_of_two() { heads } else { heads.next_power_of_two() / 2 };
    let first = (1..=whole).map(|exponent| power(whole, exponent));
    let second = (0..heads - whole).map(|index| power(2 * whole, 2 * index + 1));
    first.chain(second).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `_get_alibi_slopes` of transformers 5.23's `bloom`, with 4 and with 6 heads.
    #[test]
    fn the_slopes_are_those_of_the_reference() {
        assert_eq!(slopes(4), [0.25, 0.0625, 0.015_625, 0.003_906_25]);
        assert_eq!(slopes(6), [0.25, 0.0625, 0.015_625, 0.003_906_25, 0.5, 0.125]);
    }
}
