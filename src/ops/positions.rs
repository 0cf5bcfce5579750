//! What the run knows of a sequence: `positions`, `mask_padding` and `logits_to_keep`.
//!
//! Takes any tensor with a time axis; asks the [`Context`] for positions, padding and the wish to narrow.
//! [`of_new_tokens`] is what other ops (rotary embeddings) build on.
//!
//! Absent on purpose: attention masks, which live with attention.

use burn::tensor::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};

use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, Padding, RunError};
use super::types::{TensorType, show_shape};
use super::{Dim, Op, Value};

pub(super) const OPS: &[Op] = &[
    Op {
        name: "positions",
        signature: "x, start=0, *, masked=False",
        summary: "int [batch, time]: the position of each token of x [batch, time, …], counted from `start`; \
                  `masked`: padded tokens do not count",
        trace: positions,
    },
    Op {
        name: "mask_padding",
        signature: "x, axis=1",
        summary: "x [batch, …] with the padded positions of that axis set to zero",
        trace: mask_padding,
    },
    Op {
        name: "logits_to_keep",
        signature: "x",
        summary: "x [batch, time, …]; while generating, only its last position",
        trace: logits_to_keep,
    },
];

/// The positions of the tokens of one call: `axes` × `rows` × `time` numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Positions {
    /// 1, or the number of position axes that the driver gave (time, height, width).
    pub(super) axes: usize,
    /// The batch, or 1 where all rows agree.
    pub(super) rows: usize,
    /// The number of tokens of a row.
    pub(super) time: usize,
    /// The positions, axis by axis and row by row.
    pub(super) numbers: Vec<i32>,
}

impl Positions {
    /// The highest position plus one: what length-dependent rotary embeddings call the sequence length.
    pub(super) fn length(&self) -> usize {
        self.numbers.iter().max().map_or(0, |last| usize::try_from(*last).unwrap_or(0) + 1)
    }
}

/// The positions of the new tokens along a time axis of size `time`.
///
/// They are those that the driver gave, where the axis is the one that it speaks of, and otherwise count on
/// from the positions run before.
pub(super) fn of_new_tokens(context: &Context<'_>, batch: &Dim, time: &Dim) -> Result<Positions, RunError> {
    let past = context.past_along(time);
    let speaks_of = past.is_some() || (context.cache.is_none() && context.counts_along(time));
    let (batch, time) = (context.size(batch)?, context.size(time)?);
    if let Some(given) = context.positions.as_ref().filter(|_| speaks_of) {
        let row = batch * time;
        if row > 0 && given.len().is_multiple_of(row) {
            return Ok(with_rows_merged(given, batch, time));
        }
        if past.is_some() {
            let found = given.len();
            return Err(RunError::new(format!("{found} positions for {batch} rows of {time} tokens")));
        }
    }
    let past = past.unwrap_or(0);
    let numbers = (past..past + time).map(to_i32).collect::<Result<_, _>>()?;
    Ok(Positions { axes: 1, rows: 1, time, numbers })
}

fn with_rows_merged(given: &[i32], batch: usize, time: usize) -> Positions {
    let axes = given.len() / (batch * time);
    let same =
        given.chunks(batch * time).all(|axis| axis.chunks(time).skip(1).all(|row| row == &axis[..time]));
    if !same {
        return Positions { axes, rows: batch, time, numbers: given.to_vec() };
    }
    let numbers = given.chunks(batch * time).flat_map(|axis| axis[..time].iter().copied()).collect();
    Positions { axes, rows: 1, time, numbers }
}

pub(super) fn to_i32(position: usize) -> Result<i32, RunError> {
    i32::try_from(position).map_err(|_| RunError::new(format!("position {position} is out of range")))
}

fn time_of(ty: &TensorType) -> Result<(Dim, Dim), Fault> {
    match &*ty.shape {
        [batch, time, ..] => Ok((batch.clone(), time.clone())),
        shape => {
            Err(Fault::shape(format!("`x` is {}, expected [batch, time, …]", show_shape(shape))).of("x"))
        }
    }
}

fn positions(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let (batch, time) = time_of(&x)?;
    let start = call.int("start")?;
    let start = i32::try_from(start).map_err(|_| Fault::value("`start` is out of range").of("start"))?;
    let masked = call.bool("masked")?;
    let output = TensorType::int(vec![batch.clone(), time.clone()]);
    Ok(Traced::one(PositionsOf { batch, time, start, masked }, output))
}

#[derive(Debug)]
struct PositionsOf {
    batch: Dim,
    time: Dim,
    start: i32,
    masked: bool,
}

impl Kernel for PositionsOf {
    fn run(&self, _: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let (rows, time) = (context.size(&self.batch)?, context.size(&self.time)?);
        let padding = if self.masked { context.padding(&self.time)? } else { None };
        let mut numbers = if let Some(padding) = padding {
            counted(&padding, time)
        } else {
            let found = of_new_tokens(context, &self.batch, &self.time)?;
            let row = &found.numbers[..found.rows * time];
            if found.rows == rows { row.to_vec() } else { row.repeat(rows) }
        };
        if numbers.len() != rows * time {
            return Err(RunError::new(format!(
                "{} positions for {rows} rows of {time} tokens",
                numbers.len()
            )));
        }
        for number in &mut numbers {
            *number += self.start;
        }
        Ok(Outputs::One(Value::from_ints(numbers, vec![rows, time], context.device)))
    }

    fn reads_context(&self) -> bool {
        true
    }
}

/// The number of held tokens before and including each one, less one; padded ones get 0.
fn counted(padding: &Padding, time: usize) -> Vec<i32> {
    let mut numbers = Vec::with_capacity(padding.rows * time);
    for row in padding.keep.chunks(padding.columns.max(1)) {
        let mut count = 0;
        let counts = row.iter().map(|keep| {
            count += i32::from(*keep);
            if *keep { count - 1 } else { 0 }
        });
        numbers.extend(counts.skip(padding.columns.saturating_sub(time)));
    }
    numbers
}

fn mask_padding(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    if axis == 0 {
        return Err(Fault::shape("axis 0 is the batch, expected an axis that can be padded").of("axis"));
    }
    Ok(Traced::one(MaskPadding { axis, size: x.shape[axis].clone() }, x))
}

#[derive(Debug)]
struct MaskPadding {
    axis: usize,
    size: Dim,
}

impl Kernel for MaskPadding {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let x = inputs.take();
        let Some(padding) = context.padding(&self.size)? else { return Ok(Outputs::One(x)) };
        let shape = x.shape();
        let (rows, size) = (padding.rows, shape[self.axis]);
        if shape[0] != rows || padding.columns < size {
            let (found, columns) = (shape[0], padding.columns);
            return Err(RunError::new(format!("a padding of {rows} × {columns} for {found} rows of {size}")));
        }
        let empty: Vec<i32> = padding
            .keep
            .chunks(padding.columns)
            .flat_map(|row| row[padding.columns - size..].iter().map(|keep| i32::from(!keep)))
            .collect();
        if !empty.contains(&1) {
            return Ok(Outputs::One(x));
        }
        let mut small = vec![1; shape.len()];
        (small[0], small[self.axis]) = (rows, size);
        // Devices differ in how they hold truth values: only they know how to make them.
        let empty = Value::from_ints(empty, small, context.device).to_bool(context.device);
        let empty = B::bool_expand(empty.into_primitive(), shape.into());
        Ok(Outputs::One(match x {
            Value::Float(x) => Value::Float(B::float_mask_fill(x, empty, 0.0.into())),
            Value::Int(x) => Value::Int(B::int_mask_fill(x, empty, 0.into())),
            Value::Bool(x) => Value::Bool(B::bool_mask_fill(x, empty, false.into())),
        }))
    }

    fn reads_context(&self) -> bool {
        true
    }
}

fn logits_to_keep(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    time_of(&x)?;
    Ok(Traced::one(LogitsToKeep, x))
}

/// Narrows at run time only: the traced shape is that of a call which keeps every position.
#[derive(Debug)]
struct LogitsToKeep;

impl Kernel for LogitsToKeep {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let x = inputs.take();
        let time = x.shape()[1];
        if !context.last_only || time < 2 {
            return Ok(Outputs::One(x));
        }
        Ok(Outputs::One(x.narrow(1, time - 1, 1)))
    }

    fn reads_context(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::tensor::FloatDType;

    use super::super::stepping::Steps;
    use super::super::testing::{device, fault, numbers, run_one, sample};
    use super::super::{Cache, Symbol};
    use super::*;

    fn time() -> Dim {
        Dim::symbol(Symbol { index: 0, name: Arc::from("time") })
    }

    /// Runs a kernel over rows of three tokens, of which the second row holds the last two.
    fn padded(kernel: &dyn Kernel, x: Value) -> Vec<f32> {
        let device = device();
        let mut context = Context::new(&device, FloatDType::F32, vec![3]);
        let keep = vec![true, true, true, false, true, true];
        context.padding = vec![Some(Arc::new(Padding { rows: 2, columns: 3, keep }))];
        match kernel.run(Inputs::new(vec![Some(x)]), &mut context) {
            Ok(Outputs::One(value)) => numbers(&value),
            other => panic!("{other:?}"),
        }
    }

    fn values(shape: &[usize]) -> Value {
        let count = shape.iter().product();
        Value::from_floats(vec![1.5; count], shape.to_vec(), FloatDType::F32, &device())
    }

    #[test]
    fn positions_count_from_start_in_every_row() {
        let x = sample(&[2, 3, 4]).symbolic(&[0, 1]);
        let (shape, found) = run_one("positions", &[("x", x), ("start", 2.into())]);
        assert_eq!((shape, found), (vec![2, 3], vec![2.0, 3.0, 4.0, 2.0, 3.0, 4.0]));
        assert_eq!(fault("positions", &[("x", sample(&[3]))]).parameter, Some("x"));
    }

    #[test]
    fn padding_does_not_count_where_asked() {
        let kernel = |masked| PositionsOf { batch: Dim::Known(2), time: time(), start: 1, masked };
        assert_eq!(padded(&kernel(true), values(&[2, 3])), [1.0, 2.0, 3.0, 1.0, 1.0, 2.0]);
        assert_eq!(padded(&kernel(false), values(&[2, 3])), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn given_positions_and_the_past_are_followed() {
        let device = device();
        let mut cache = Cache::new(0, 9);
        cache.past = 4;
        let mut context = Context::new(&device, FloatDType::F32, vec![2]);
        context.step = Some(0);
        context.cache = Some(&mut cache);
        let found = of_new_tokens(&context, &Dim::Known(2), &time()).expect("nothing is given");
        assert_eq!((found.rows, found.numbers, 6), (1, vec![4, 5], 6));
        let other = of_new_tokens(&context, &Dim::Known(2), &Dim::Known(3)).expect("another axis");
        assert_eq!((other.numbers.as_slice(), other.length()), ([0, 1, 2].as_slice(), 3));
        context.positions = Some(Arc::new(vec![4, 5, 1, 2]));
        let found = of_new_tokens(&context, &Dim::Known(2), &time()).expect("one for each token");
        assert_eq!((found.rows, found.numbers.as_slice(), found.length()), (2, [4, 5, 1, 2].as_slice(), 6));
        context.positions = Some(Arc::new(vec![4, 5, 1]));
        assert!(of_new_tokens(&context, &Dim::Known(2), &time()).is_err());
    }

    #[test]
    fn padding_is_zeroed_along_its_axis() {
        let found = padded(&MaskPadding { axis: 1, size: time() }, values(&[2, 3, 2]));
        assert_eq!(found, [1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 0.0, 0.0, 1.5, 1.5, 1.5, 1.5]);
        let found = padded(&MaskPadding { axis: 2, size: time() }, values(&[2, 1, 3]));
        assert_eq!(found, [1.5, 1.5, 1.5, 0.0, 1.5, 1.5]);
    }

    #[test]
    fn a_step_zeroes_its_own_tokens_only() {
        let mut steps = Steps::new("mask_padding", 3, 1, vec![("x", sample(&[2, 3, 2]), Some(1))]);
        steps.keep = Some(vec![true, true, true, false, true, true]);
        assert_eq!(steps.stepped(&[1, 2], 3), steps.whole());
        assert_eq!(steps.whole().iter().filter(|number| **number == 0.0).count(), 2);
    }

    #[test]
    fn only_the_last_position_is_kept_while_generating() {
        let device = device();
        let mut context = Context::new(&device, FloatDType::F32, Vec::new());
        context.last_only = true;
        let x = Value::from_ints((0..12).collect(), vec![2, 3, 2], &device);
        let Ok(Outputs::One(found)) = LogitsToKeep.run(Inputs::new(vec![Some(x)]), &mut context) else {
            panic!("it runs")
        };
        assert_eq!((found.shape(), numbers(&found)), (vec![2, 1, 2], vec![4.0, 5.0, 10.0, 11.0]));
        let (shape, _) = run_one("logits_to_keep", &[("x", sample(&[2, 3, 2]))]);
        assert_eq!(shape, [2, 3, 2]);
    }
}
