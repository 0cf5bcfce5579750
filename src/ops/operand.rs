//! The two sides of an operator: tensors, numbers and sizes, brought to one kind.
//!
//! In: two arguments of a call. Out, at run time: two values of one kind, element
//! type and rank, that broadcast together; or a value and a number. Kinds are promoted as in `PyTorch`: bool, int,
//! float, whichever side is further to the right.
//!
//! Absent on purpose: what is then computed.

use std::sync::Arc;

use burn::tensor::FloatDType;
use burn::tensor::ops::{FloatTensorOps, IntTensorOps};

use super::backend::B;
use super::call::{Arg, Call, Fault};
use super::dim::Dim;
use super::kernel::{Context, Inputs, RunError};
use super::layout::{float_dtype, int_dtype};
use super::types::{Const, Kind, TensorType};
use super::value::Value;

/// One side of an operator.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// A tensor, the kernel's next input.
    Tensor,
    /// A number known from the config.
    Number(f64),
    /// A size of the call.
    Size(Dim),
}

/// Two sides of an operator, checked.
#[derive(Debug)]
pub(super) struct Pair {
    left: Operand,
    right: Operand,
    /// The kind that both have in common.
    pub(super) kind: Kind,
    /// The shape after broadcasting.
    pub(super) shape: Arc<[Dim]>,
}

/// What the operator computes on.
#[expect(clippy::large_enum_variant, reason = "it lives for one call; a box would only add an allocation")]
pub(super) enum Sides {
    /// Two tensors of one kind, element type and rank.
    Tensors(Value, Value),
    /// A tensor on the left and a number on the right.
    Number(Value, f64),
}

fn rank_of(kind: Kind) -> u8 {
    match kind {
        Kind::Bool => 0,
        Kind::Int => 1,
        Kind::Float => 2,
    }
}

/// One side, with its kind and, for a tensor, its shape.
fn side(call: &mut Call, name: &'static str) -> Result<(Operand, Kind, Option<TensorType>), Fault> {
    Ok(match call.peek(name) {
        Arg::Tensor(..) => {
            let ty = call.tensor(name)?;
            (Operand::Tensor, ty.kind, Some(ty))
        }
        Arg::Dim(_) => (Operand::Size(call.dim(name)?), Kind::Int, None),
        Arg::Const(Const::Bool(value)) => {
            let number = f64::from(u8::from(*value));
            call.constant(name)?;
            (Operand::Number(number), Kind::Bool, None)
        }
        Arg::Const(Const::Int(_)) => (Operand::Number(call.float(name)?), Kind::Int, None),
        Arg::Const(Const::Float(_)) => (Operand::Number(call.float(name)?), Kind::Float, None),
        other => {
            let message = format!("`{name}` is {}, expected a tensor or a number", other.describe());
            return Err(Fault::new("wrong-kind", message).of(name));
        }
    })
}

/// Reads `a` and `b` and brings them to the common kind, or to `least` if that is further to the right.
///
/// # Errors
/// A fault if a side is neither tensor nor number, or the shapes do not broadcast.
pub(super) fn pair(call: &mut Call, a: &'static str, b: &'static str, least: Kind) -> Result<Pair, Fault> {
    let (left, left_kind, left_type) = side(call, a)?;
    let (right, right_kind, right_type) = side(call, b)?;
    let shape = match (&left_type, &right_type) {
        (Some(left), Some(right)) if left.shape == right.shape => Arc::clone(&left.shape),
        (Some(left), Some(right)) => call.broadcast(&left.shape, &right.shape)?.into(),
        (Some(one), None) | (None, Some(one)) => Arc::clone(&one.shape),
        (None, None) => Arc::default(),
    };
    let kinds = [left_kind, right_kind, least];
    let kind = kinds.into_iter().max_by_key(|kind| rank_of(*kind)).unwrap_or(least);
    Ok(Pair { left, right, kind, shape })
}

impl Pair {
    /// The values of both sides for this run.
    ///
    /// # Errors
    /// If a size cannot be computed.
    pub(super) fn sides(&self, inputs: &mut Inputs, context: &Context<'_>) -> Result<Sides, RunError> {
        let read = |operand: &Operand, inputs: &mut Inputs| -> Result<Result<Value, f64>, RunError> {
            Ok(match operand {
                Operand::Tensor => Ok(inputs.take()),
                Operand::Number(number) => Err(*number),
                #[expect(clippy::cast_precision_loss, reason = "sizes of tensors in memory fit 53 bits")]
                Operand::Size(dim) => Err(dim.eval(&context.symbols)? as f64),
            })
        };
        let (left, right) = (read(&self.left, inputs)?, read(&self.right, inputs)?);
        Ok(match (left, right) {
            (Ok(left), Ok(right)) => {
                let (left, right) = unified(left, right, self.kind, context);
                let rank = left.rank().max(right.rank());
                Sides::Tensors(left.with_rank(rank), right.with_rank(rank))
            }
            (Ok(left), Err(number)) => Sides::Number(converted(left, self.kind, context), number),
            (Err(number), Ok(right)) => {
                let right = converted(right, self.kind, context);
                Sides::Tensors(right.filled_like(vec![1; right.rank()], number), right)
            }
            (Err(left), Err(right)) => Sides::Number(scalar(left, self.kind, context), right),
        })
    }
}

/// One number as a tensor without axes.
fn scalar(number: f64, kind: Kind, context: &Context<'_>) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "a config's numbers are as exact as f32 holds them")]
    let one = Value::from_floats(vec![number as f32], Vec::new(), FloatDType::F32, context.device);
    match kind {
        Kind::Float => one.to_float_on(context.float, context.device),
        kind => converted(one, kind, context),
    }
}

/// The value as another kind; a float gets the width of the run unless it has one.
pub(super) fn converted(value: Value, kind: Kind, context: &Context<'_>) -> Value {
    match (kind, &value) {
        (Kind::Float, Value::Float(_)) => value,
        (Kind::Float, _) => value.to_float_on(context.float, context.device),
        (Kind::Int, _) => value.to_int(),
        (Kind::Bool, _) => value.to_bool(context.device),
    }
}

/// Both values as one kind and element type: of two float widths the wider, of two int widths 32 bits.
pub(super) fn unified(left: Value, right: Value, kind: Kind, context: &Context<'_>) -> (Value, Value) {
    let float = match (&left, &right) {
        (Value::Float(x), Value::Int(_) | Value::Bool(_))
        | (Value::Int(_) | Value::Bool(_), Value::Float(x)) => Some(float_dtype(x)),
        _ => None,
    };
    if let (Kind::Float, Some(dtype)) = (kind, float) {
        return (left.to_float_on(dtype, context.device), right.to_float_on(dtype, context.device));
    }
    let (left, right) = (converted(left, kind, context), converted(right, kind, context));
    if left.dtype() == right.dtype() {
        return (left, right);
    }
    let narrow = |value: Value| match value {
        Value::Float(x) if float_dtype(&x) == FloatDType::F32 => Value::Float(x),
        Value::Float(x) => Value::Float(B::float_cast(x, FloatDType::F32)),
        Value::Int(x) if int_dtype(&x) == burn::tensor::IntDType::I32 => Value::Int(x),
        Value::Int(x) => Value::Int(B::int_cast(x, burn::tensor::IntDType::I32)),
        // Truth values from outside may be stored otherwise than those that comparisons give.
        value @ Value::Bool(_) => Value::Int(value.to_int().into_primitive()).to_bool(context.device),
    };
    (narrow(left), narrow(right))
}

#[cfg(test)]
mod tests {
    use burn::tensor::ops::{BoolTensorOps, IntTensorOps};
    use burn::tensor::{Shape, TensorData};

    use super::*;
    use crate::ops::testing::{device, numbers};

    #[test]
    fn truth_values_mix_whatever_stores_them() {
        let device = device();
        let context = Context::new(&device, FloatDType::F32, Vec::new());
        let given = Value::Bool(B::bool_from_data(TensorData::new(vec![true, false], [2]), &device));
        let computed = Value::from_ints(vec![1, 1], vec![2], &device).to_bool(&device);
        assert_ne!(given.dtype(), computed.dtype(), "the two are stored differently");
        let (left, right) = unified(given, computed, Kind::Bool, &context);
        assert_eq!(left.dtype(), right.dtype());
        assert_eq!((numbers(&left), numbers(&right)), (vec![1.0, 0.0], vec![1.0, 1.0]));
    }

    #[test]
    fn widths_become_one() {
        let device = device();
        let context = Context::new(&device, FloatDType::F32, Vec::new());
        let half = || Value::from_floats(vec![1.5], vec![1], FloatDType::F16, &device);
        let wide = Value::from_floats(vec![2.5], vec![1], FloatDType::F32, &device);
        let (left, right) = unified(half(), wide, Kind::Float, &context);
        assert_eq!((numbers(&left), numbers(&right)), (vec![1.5], vec![2.5]));
        assert_eq!(left.dtype(), right.dtype());
        let long = Value::Int(B::int_ones(Shape::from(vec![1]), &device, burn::tensor::IntDType::I64));
        let (left, right) = unified(half(), long.clone(), Kind::Float, &context);
        assert_eq!((left.dtype(), right.dtype()), (half().dtype(), half().dtype()));
        let (left, right) = unified(long, Value::from_ints(vec![3], vec![1], &device), Kind::Int, &context);
        assert_eq!(left.dtype(), right.dtype());
    }
}
