//! Sums, means and extremes over axes.
//!
//! In: a tensor and `axis`, an int or a list. Out: the tensor without these axes, or with size 1 there under
//! `keepdim`. Sums of truth values count them. Half-width floats are added up in 32 bits.
//!
//! Absent on purpose: reductions without an axis; name all axes.

use burn::tensor::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};

use super::Op;
use super::backend::{B, Primitive};
use super::call::{Arg, Call, Fault, Traced, resolve_axis};
use super::dim::Dim;
use super::function::kernel;
use super::layout::in_f32;
use super::types::{Const, Kind, TensorType};
use super::value::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "sum",
        signature: "x, axis, keepdim=False",
        summary: "the sum over an axis or several",
        trace: |call| reduction(call, sum, |kind| Some(if kind == Kind::Bool { Kind::Int } else { kind })),
    },
    Op {
        name: "mean",
        signature: "x, axis, keepdim=False",
        summary: "the mean over an axis or several",
        trace: |call| reduction(call, mean, floats_only),
    },
    Op {
        name: "amax",
        signature: "x, axis, keepdim=False",
        summary: "the largest element over an axis or several",
        trace: |call| reduction(call, amax, numbers_only),
    },
    Op {
        name: "amin",
        signature: "x, axis, keepdim=False",
        summary: "the smallest element over an axis or several",
        trace: |call| reduction(call, amin, numbers_only),
    },
    Op {
        name: "any",
        signature: "x, axis, keepdim=False",
        summary: "whether one holds, over an axis or several of truth values",
        trace: |call| reduction(call, any, bools_only),
    },
    Op {
        name: "all",
        signature: "x, axis, keepdim=False",
        summary: "whether all hold, over an axis or several of truth values",
        trace: |call| reduction(call, all, bools_only),
    },
    Op {
        name: "var",
        signature: "x, axis, keepdim=False, correction=0",
        summary: "the variance over an axis or several: squared deviations over (count - correction)",
        trace: var,
    },
];

fn floats_only(kind: Kind) -> Option<Kind> {
    (kind == Kind::Float).then_some(kind)
}

fn numbers_only(kind: Kind) -> Option<Kind> {
    (kind != Kind::Bool).then_some(kind)
}

fn bools_only(kind: Kind) -> Option<Kind> {
    (kind == Kind::Bool).then_some(kind)
}

/// One or several axes, from the front and in order.
///
/// # Errors
/// A fault if one does not exist or is named twice.
pub(super) fn axes(call: &mut Call, name: &'static str, rank: usize) -> Result<Vec<usize>, Fault> {
    let several = matches!(call.peek(name), Arg::Const(Const::List(_)));
    let given = if several { call.ints(name)? } else { vec![call.int(name)?] };
    let mut found = Vec::new();
    for axis in given {
        let Some(resolved) = resolve_axis(axis, rank) else {
            return Err(Fault::shape(format!("axis {axis} of a tensor with {rank} dimensions")).of(name));
        };
        if found.contains(&resolved) {
            return Err(Fault::value(format!("axis {axis} is named twice")).of(name));
        }
        found.push(resolved);
    }
    found.sort_unstable();
    Ok(found)
}

/// The shape without the axes, or with size 1 there.
fn reduced(shape: &[Dim], axes: &[usize], keep: bool) -> Vec<Dim> {
    let sizes = shape.iter().enumerate().filter(|(axis, _)| keep || !axes.contains(axis));
    sizes.map(|(axis, size)| if axes.contains(&axis) { Dim::Known(1) } else { size.clone() }).collect()
}

/// The value without the axes, which all have size 1.
pub(super) fn drop_axes(value: Value, axes: &[usize]) -> Value {
    let shape = value.shape().into_iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
    let shape = shape.map(|(_, size)| size).collect();
    value.reshape(shape)
}

fn reduction(
    call: &mut Call,
    function: fn(Value, &[usize]) -> Value,
    kind: fn(Kind) -> Option<Kind>,
) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let Some(kind) = kind(x.kind) else {
        let message = format!("`x` is `{x}`, which cannot be reduced so");
        return Err(Fault::new("wrong-kind", message).of("x").help("write `cast(x, …)` first"));
    };
    let axes = axes(call, "axis", x.rank())?;
    let keep = call.bool("keepdim")?;
    let shape = reduced(&x.shape, &axes, keep);
    let run = kernel(move |mut inputs, _| {
        let value = function(inputs.take(), &axes);
        Ok(if keep { value } else { drop_axes(value, &axes) }.into())
    });
    Ok(Traced::one(run, TensorType { kind, shape: shape.into() }))
}

/// The axes over which there is something to do, and the tensor as a GPU can reduce it.
fn longer(x: Value, axes: &[usize]) -> (Value, Vec<usize>) {
    let shape = x.shape();
    let axes: Vec<usize> = axes.iter().copied().filter(|axis| shape[*axis] != 1).collect();
    (if axes.is_empty() { x } else { x.in_order() }, axes)
}

/// The sum of floats of 32 bits or more over an axis, which stays with size 1.
pub(super) fn sum_over(x: Primitive, axis: usize) -> Primitive {
    B::float_sum_dim(Value::Float(x).in_order().into_primitive(), axis)
}

/// The mean of floats of 32 bits or more over an axis, which stays with size 1.
pub(super) fn mean_over(x: Primitive, axis: usize) -> Primitive {
    B::float_mean_dim(Value::Float(x).in_order().into_primitive(), axis)
}

/// The sum over the axes, which stay with size 1.
pub(super) fn sum(x: Value, axes: &[usize]) -> Value {
    let (x, axes) = longer(x, axes);
    match x {
        Value::Float(x) => Value::Float(float_sum(x, &axes)),
        x => Value::Int(axes.iter().fold(x.to_int().into_primitive(), |x, axis| B::int_sum_dim(x, *axis))),
    }
}

fn float_sum(x: Primitive, axes: &[usize]) -> Primitive {
    in_f32(x, |x| axes.iter().fold(x, |x, axis| B::float_sum_dim(x, *axis)))
}

/// The mean over the axes, which stay with size 1.
pub(super) fn mean(x: Value, axes: &[usize]) -> Value {
    let (x, axes) = longer(x, axes);
    let x = x.into_primitive();
    Value::Float(in_f32(x, |x| axes.iter().fold(x, |x, axis| B::float_mean_dim(x, *axis))))
}

/// The largest element over the axes, which stay with size 1.
pub(super) fn amax(x: Value, axes: &[usize]) -> Value {
    let (x, axes) = longer(x, axes);
    axes.iter().fold(x, |x, axis| match x {
        Value::Float(x) => Value::Float(B::float_max_dim(x, *axis)),
        x => Value::Int(B::int_max_dim(x.into_primitive(), *axis)),
    })
}

/// The smallest element over the axes, which stay with size 1.
pub(super) fn amin(x: Value, axes: &[usize]) -> Value {
    let (x, axes) = longer(x, axes);
    axes.iter().fold(x, |x, axis| match x {
        Value::Float(x) => Value::Float(B::float_min_dim(x, *axis)),
        x => Value::Int(B::int_min_dim(x.into_primitive(), *axis)),
    })
}

fn any(x: Value, axes: &[usize]) -> Value {
    Value::Bool(axes.iter().fold(x.in_order().into_primitive(), |x, axis| B::bool_any_dim(x, *axis)))
}

fn all(x: Value, axes: &[usize]) -> Value {
    Value::Bool(axes.iter().fold(x.in_order().into_primitive(), |x, axis| B::bool_all_dim(x, *axis)))
}

fn var(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let axes = axes(call, "axis", x.rank())?;
    let keep = call.bool("keepdim")?;
    let correction = call.float("correction")?;
    let shape = reduced(&x.shape, &axes, keep);
    let run = kernel(move |mut inputs, _| {
        let x = inputs.take();
        let sizes = x.shape();
        #[expect(clippy::cast_precision_loss, reason = "tensors in memory have fewer than 2^53 elements")]
        let count = axes.iter().map(|axis| sizes[*axis]).product::<usize>() as f64;
        let value = Value::Float(in_f32(x.into_primitive(), |x| {
            let mean = mean(Value::Float(x.clone()), &axes).into_primitive();
            let off = B::float_sub(x, mean);
            let squares = sum(Value::Float(B::float_mul(off.clone(), off)), &axes);
            B::float_div_scalar(squares.into_primitive(), (count - correction).max(0.0).into())
        }));
        Ok(if keep { value } else { drop_axes(value, &axes) }.into())
    });
    Ok(Traced::one(run, TensorType::float(shape)))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        TestArg, assert_close, bools, check_gradient, check_half, fault, floats, ints, noise, run_one, sample,
    };

    fn call(op: &str, x: TestArg, axis: impl Into<TestArg>) -> (Vec<usize>, Vec<f32>) {
        run_one(op, &[("x", x), ("axis", axis.into())])
    }

    #[test]
    fn one_axis_and_several() {
        let x = floats(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 9.0]).symbolic(&[0]);
        assert_eq!(call("sum", x.clone(), -1i64), (vec![2], vec![6.0, 18.0]));
        assert_eq!(call("sum", x.clone(), [0, 1]), (vec![], vec![24.0]));
        assert_eq!(call("mean", x.clone(), [1, 0]), (vec![], vec![4.0]));
        assert_eq!(call("amax", x.clone(), 0i64), (vec![3], vec![4.0, 5.0, 9.0]));
        assert_eq!(call("amin", x.clone(), 1i64), (vec![2], vec![1.0, 4.0]));
        let kept = run_one("mean", &[("x", x.clone()), ("axis", 1i64.into()), ("keepdim", true.into())]);
        assert_eq!(kept, (vec![2, 1], vec![2.0, 6.0]));
        assert!(fault("sum", &[("x", x.clone()), ("axis", [0, -2].into())]).message.contains("twice"));
        assert!(fault("sum", &[("x", x), ("axis", 2i64.into())]).message.contains("2 dimensions"));
    }

    #[test]
    fn ints_and_truth_values() {
        assert_eq!(call("sum", ints(&[3], &[1, 2, 3]), 0i64).1, [6.0]);
        assert_eq!(call("amax", ints(&[3], &[1, 7, 3]), 0i64).1, [7.0]);
        let x = bools(&[2, 2], &[true, false, false, false]);
        assert_eq!(call("sum", x.clone(), 1i64).1, [1.0, 0.0]);
        assert_eq!(call("any", x.clone(), 1i64).1, [1.0, 0.0]);
        assert_eq!(call("all", x.clone(), 0i64).1, [0.0, 0.0]);
        assert!(fault("mean", &[("x", x), ("axis", 0i64.into())]).help.is_some());
        assert_eq!(call("sum", sample(&[2, 0]), 1i64).1, [0.0, 0.0]);
        assert_eq!(call("any", bools(&[1, 0], &[]), 1i64).1, [0.0]);
    }

    #[test]
    fn the_variance_divides_by_the_count_less_the_correction() {
        let data = noise(12);
        let naive = |rows: &[Vec<f32>], correction: f32| -> Vec<f32> {
            let of = |row: &Vec<f32>| {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let count = row.len() as f32;
                let mean = row.iter().sum::<f32>() / count;
                row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / (count - correction)
            };
            rows.iter().map(of).collect()
        };
        let rows: Vec<Vec<f32>> = data.chunks(4).map(<[f32]>::to_vec).collect();
        assert_close(&call("var", floats(&[3, 4], &data), 1i64).1, &naive(&rows, 0.0));
        let args = [("x", floats(&[3, 4], &data)), ("axis", 1i64.into()), ("correction", 1i64.into())];
        assert_close(&run_one("var", &args).1, &naive(&rows, 1.0));
        assert_close(&call("var", floats(&[1, 3, 4], &data), [1, 2]).1, &naive(&[data], 0.0));
    }

    #[test]
    fn gradients_flow() {
        for op in ["sum", "mean", "amax", "var"] {
            check_gradient(op, &[("x", sample(&[2, 3])), ("axis", 1i64.into())]);
            check_half(op, &[("x", sample(&[2, 3])), ("axis", 1i64.into())]);
        }
    }
}
