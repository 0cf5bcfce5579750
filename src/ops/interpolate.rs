//! Images and sequences resampled to other sizes.
//!
//! In: x [batch, channels, …] and new sizes, or a factor, for the axes after these two. Out: as
//! `torch.nn.functional.interpolate` without `antialias`. Nearest picks positions; linear and cubic are one product per
//! axis with a matrix of weights, so that every backend computes the same and gradients come by themselves.

use burn::tensor::FloatDType;
use burn::tensor::ops::FloatTensorOps;

use super::Op;
use super::backend::B;
use super::call::{Arg, Call, Fault, Traced};
use super::dim::Dim;
use super::function::kernel;
use super::layout::{float_dtype, in_f32};
use super::types::{Const, TensorType};
use super::value::Value;

pub(super) const OPS: &[Op] = &[Op {
    name: "interpolate",
    signature: "x, size=None, scale=None, mode=\"nearest\", align_corners=False",
    summary: "x [b, c, …] resampled to a size or by a factor; modes nearest, linear or bilinear, bicubic",
    trace: interpolate,
}];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

/// The new size of an axis, and the factor to compute positions with where one was given.
fn scaled(size: &Dim, factor: f64) -> Result<Dim, Fault> {
    let bad = || Fault::value(format!("`scale` is {factor} for an axis of size {size}")).of("scale");
    if !(factor.is_finite() && factor > 0.0) {
        return Err(bad());
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    let whole = |value: f64| (value.fract() == 0.0 && value < 1e6).then_some(value as i64);
    if let Some(size) = size.known() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "sizes fit 53 bits"
        )]
        return Ok(Dim::Known((size as f64 * factor).floor() as i64));
    }
    match (whole(factor), whole(1.0 / factor)) {
        (Some(times), _) => Ok(size.mul(&Dim::Known(times))?),
        (_, Some(parts)) => Ok(size.floor_div(&Dim::Known(parts))?),
        _ => Err(bad().help("use a whole number or 1 over one, or give `size`")),
    }
}

fn interpolate(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let Some(spatial) = x.rank().checked_sub(2).filter(|spatial| *spatial > 0) else {
        return Err(Fault::shape(format!("`x` is `{x}`, expected [batch, channels, …]")).of("x"));
    };
    let mode = call.str("mode")?;
    let mode = match (&*mode, spatial) {
        ("nearest", _) => Mode::Nearest,
        ("linear", 1) | ("bilinear", 2) | ("trilinear", 3) => Mode::Linear,
        ("bicubic", 2) => Mode::Cubic,
        (other, _) => {
            let message = format!(
                "`{other}` of {spatial} axes, expected nearest, or linear, bilinear or bicubic by rank"
            );
            return Err(Fault::value(message).of("mode"));
        }
    };
    let align = call.bool("align_corners")?;
    let absent = |call: &Call, name: &str| matches!(call.peek(name), Arg::Const(Const::None));
    let (sizes, factors) = match (absent(call, "size"), absent(call, "scale")) {
        (false, true) => (given_sizes(call, spatial)?, vec![None; spatial]),
        (true, false) => {
            let factors = factors(call, spatial)?;
            let sizes = x.shape[2..].iter().zip(&factors).map(|(size, factor)| scaled(size, *factor));
            (sizes.collect::<Result<Vec<_>, _>>()?, factors.into_iter().map(Some).collect())
        }
        _ => return Err(Fault::value("expected either `size` or `scale`")),
    };
    let shape = [&x.shape[..2], &sizes].concat();
    let ty = TensorType::float(shape);
    let run = kernel(move |mut inputs, context| {
        let mut x = inputs.take();
        for (index, new) in context.sizes(&sizes)?.into_iter().enumerate() {
            let axis = index + 2;
            let old = x.shape()[axis];
            if old == new && factors[index].is_none_or(|factor| (factor - 1.0).abs() < f64::EPSILON) {
                continue;
            }
            if old == 0 || new == 0 {
                let mut shape = x.shape();
                shape[axis] = new;
                x = x.filled_like(shape, 0.0);
                continue;
            }
            x = match mode {
                Mode::Nearest => {
                    let picked = nearest(old, new, factors[index]);
                    let count = picked.len();
                    let device = x.device();
                    x.select(axis, Value::from_ints(picked, vec![count], &device).into_primitive())
                }
                Mode::Linear | Mode::Cubic => {
                    let step = step(old, new, factors[index], align);
                    resampled(x, axis, weights(old, new, step, align, mode))
                }
            };
        }
        Ok(x.into())
    });
    Ok(Traced::one(run, ty))
}

fn given_sizes(call: &mut Call, spatial: usize) -> Result<Vec<Dim>, Fault> {
    let sizes = call.dims("size")?;
    if let Some(size) = sizes.iter().find(|size| size.known().is_some_and(|size| size < 0)) {
        return Err(Fault::value(format!("a size is {size}, expected 0 or more")).of("size"));
    }
    match sizes.as_slice() {
        [one] => Ok(vec![one.clone(); spatial]),
        all if all.len() == spatial => Ok(sizes),
        all => Err(Fault::value(format!("{} sizes for {spatial} axes", all.len())).of("size")),
    }
}

fn factors(call: &mut Call, spatial: usize) -> Result<Vec<f64>, Fault> {
    let value = call.constant("scale")?;
    let found = match &value {
        Const::List(items) => items.iter().map(Const::as_f64).collect::<Option<Vec<_>>>(),
        one => one.as_f64().map(|factor| vec![factor; spatial]),
    };
    let fits = |factors: &Vec<f64>| factors.len() == spatial;
    found
        .filter(fits)
        .ok_or_else(|| Fault::value(format!("`scale` is {value}, expected a number")).of("scale"))
}

/// How far apart two new positions are in old ones.
#[expect(clippy::cast_precision_loss, reason = "sizes fit 53 bits")]
fn step(old: usize, new: usize, factor: Option<f64>, align: bool) -> f64 {
    if align {
        return if new > 1 { (old - 1) as f64 / (new - 1) as f64 } else { 0.0 };
    }
    factor.map_or(old as f64 / new as f64, |factor| 1.0 / factor)
}

/// The old position of each new one; in 32 bits, since `PyTorch` rounds down what it computes so.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "positions are small and not negative"
)]
fn nearest(old: usize, new: usize, factor: Option<f64>) -> Vec<i32> {
    let step = factor.map_or(old as f32 / new as f32, |factor| (1.0 / factor) as f32);
    (0..new).map(|at| ((at as f32 * step).floor() as usize).min(old - 1) as i32).collect()
}

/// A row of weights over the old positions for each new one: [new, old].
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions are small, and clamped to the axis"
)]
fn weights(old: usize, new: usize, step: f64, align: bool, mode: Mode) -> (Vec<f32>, [usize; 2]) {
    let mut rows = vec![0.0; new * old];
    for at in 0..new {
        let source = if align { at as f64 * step } else { (at as f64 + 0.5) * step - 0.5 };
        let source = if mode == Mode::Linear { source.max(0.0) } else { source };
        let first = source.floor();
        let part = source - first;
        let taps: &[(f64, f64)] = if mode == Mode::Linear {
            &[(0.0, 1.0 - part), (1.0, part)]
        } else {
            &[(-1.0, far(part + 1.0)), (0.0, near(part)), (1.0, near(1.0 - part)), (2.0, far(2.0 - part))]
        };
        for (offset, weight) in taps {
            let place = (first + offset).clamp(0.0, (old - 1) as f64) as usize;
            rows[at * old + place] += *weight as f32;
        }
    }
    (rows, [new, old])
}

/// Keys' cubic at a distance of at most 1, with a = -0.75 as `PyTorch` has it.
fn near(distance: f64) -> f64 {
    const A: f64 = -0.75;
    ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
}

/// Keys' cubic at a distance between 1 and 2.
fn far(distance: f64) -> f64 {
    const A: f64 = -0.75;
    ((A * distance - 5.0 * A) * distance + 8.0 * A) * distance - 4.0 * A
}

/// One axis replaced by its products with the rows.
fn resampled(x: Value, axis: usize, (rows, [new, old]): (Vec<f32>, [usize; 2])) -> Value {
    let (rank, device) = (x.rank(), x.device());
    let x = x.into_primitive();
    let y = in_f32(x, |x| {
        let width = match float_dtype(&x) {
            FloatDType::F64 => FloatDType::F64,
            _ => FloatDType::F32,
        };
        let mut shape = vec![1; rank];
        shape[rank - 2..].copy_from_slice(&[new, old]);
        let rows = Value::from_floats(rows, shape, width, &device);
        // The axis stands among the last two: the rows are multiplied from the left or, turned, from the right.
        if axis == rank - 1 {
            B::float_matmul(x, rows.swap(rank - 2, rank - 1).into_primitive())
        } else {
            let turned = B::float_swap_dims(x, axis, rank - 2);
            B::float_swap_dims(B::float_matmul(rows.into_primitive(), turned), axis, rank - 2)
        }
    });
    Value::Float(y)
}

#[cfg(test)]
#[path = "interpolate_tests.rs"]
mod tests;
