//! Borders added, cut off, wrapped and masked.
//!
//! In: a tensor of any kind. Out: the same kind; only `pad` changes the shape.

use burn::tensor::Slice;
use burn::tensor::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};

use super::Op;
use super::backend::{B, Device};
use super::call::{Call, Fault, Traced};
use super::dim::Dim;
use super::function::kernel;
use super::kernel::{Context, RunError};
use super::layout::bool_dtype;
use super::reduce::axes;
use super::types::{Kind, show_shape};
use super::value::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "pad",
        signature: "x, pads, value=0.0, mode=\"constant\"",
        summary: "x with borders; pads are before, after, from the last axis on; modes constant, reflect, replicate, circular",
        trace: pad,
    },
    Op {
        name: "roll",
        signature: "x, shifts, axes",
        summary: "x moved along axes, with what leaves at one end entering at the other",
        trace: roll,
    },
    Op { name: "flip", signature: "x, axes", summary: "x with axes in reverse order", trace: flip },
    Op {
        name: "tril",
        signature: "x, diagonal=0",
        summary: "x with zeros above a diagonal of its last two axes",
        trace: |call| triangle(call, B::int_greater),
    },
    Op {
        name: "triu",
        signature: "x, diagonal=0",
        summary: "x with zeros below a diagonal of its last two axes",
        trace: |call| triangle(call, B::int_lower),
    },
];

/// Where the elements of a border come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Constant,
    Reflect,
    Replicate,
    Circular,
}

impl Mode {
    fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "constant" => Self::Constant,
            "reflect" => Self::Reflect,
            "replicate" => Self::Replicate,
            "circular" => Self::Circular,
            _ => return None,
        })
    }

    /// The position inside an axis of `size` elements that a position outside repeats.
    fn source(self, position: i64, size: i64) -> i64 {
        match self {
            Self::Constant | Self::Replicate => position.clamp(0, size - 1),
            Self::Circular => position.rem_euclid(size),
            Self::Reflect => {
                let period = (2 * (size - 1)).max(1);
                let inside = position.rem_euclid(period);
                inside.min(period - inside).min(size - 1)
            }
        }
    }
}

/// The borders of one axis.
#[derive(Debug, Clone)]
struct Border {
    axis: usize,
    before: Dim,
    after: Dim,
}

fn pad(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let pads = call.dims("pads")?;
    let value = call.float("value")?;
    let mode = call.str("mode")?;
    let Some(mode) = Mode::by_name(&mode) else {
        let message = format!("`{mode}` is no way to pad, expected constant, reflect, replicate or circular");
        return Err(Fault::value(message).of("mode"));
    };
    if pads.len() % 2 != 0 || pads.len() > 2 * x.rank() {
        let message = format!(
            "{} pads for a tensor {}, expected two per padded axis",
            pads.len(),
            show_shape(&x.shape)
        );
        return Err(Fault::shape(message).of("pads"));
    }
    let mut shape = x.shape.to_vec();
    let mut borders = Vec::new();
    for (index, pair) in pads.chunks(2).enumerate() {
        let axis = x.rank() - 1 - index;
        let [before, after] = pair else { continue };
        shape[axis] = shape[axis].add(before)?.add(after)?;
        if shape[axis].known().is_some_and(|size| size < 0) {
            let message =
                format!("pads of {before} and {after} leave nothing of an axis of size {}", x.shape[axis]);
            return Err(Fault::shape(message).of("pads"));
        }
        if (before, after) != (&Dim::Known(0), &Dim::Known(0)) {
            borders.push(Border { axis, before: before.clone(), after: after.clone() });
        }
    }
    let ty = x.with_shape(shape);
    let run = kernel(move |mut inputs, context| {
        let x = inputs.take();
        Ok(if mode == Mode::Constant {
            pad_constant(x, &borders, value, context)?
        } else {
            borders.iter().try_fold(x, |x, border| pad_repeating(x, border, mode, context))?
        }
        .into())
    });
    Ok(Traced::one(run, ty))
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn unsigned(size: i64) -> usize {
    usize::try_from(size).unwrap_or(0)
}

fn pad_constant(x: Value, borders: &[Border], value: f64, context: &Context<'_>) -> Result<Value, RunError> {
    let mut x = x;
    let (mut shape, mut places) = (x.shape(), Vec::new());
    for size in &shape {
        places.push(Slice::from(0..*size));
    }
    for border in borders {
        let axis = border.axis;
        let (before, after) = (border.before.eval(&context.symbols)?, border.after.eval(&context.symbols)?);
        // A negative border cuts off.
        let (cut, size) = (unsigned(-before), signed(shape[axis]));
        let kept = unsigned(size + before.min(0) + after.min(0));
        x = x.narrow(axis, cut.min(shape[axis]), kept);
        let start = unsigned(before);
        shape[axis] = start + kept + unsigned(after);
        places[axis] = Slice::from(start..start + kept);
    }
    if x.shape() == shape {
        return Ok(x);
    }
    let full = x.filled_like(shape, value);
    if x.shape().contains(&0) {
        return Ok(full);
    }
    let x = x.into_primitive();
    Ok(match full {
        Value::Float(full) => Value::Float(B::float_slice_assign(full, &places, x)),
        Value::Int(full) => Value::Int(B::int_slice_assign(full, &places, x)),
        Value::Bool(full) => Value::Bool(B::bool_slice_assign(full, &places, x)),
    })
}

fn pad_repeating(x: Value, border: &Border, mode: Mode, context: &Context<'_>) -> Result<Value, RunError> {
    let size = signed(x.shape()[border.axis]);
    let (before, after) = (border.before.eval(&context.symbols)?, border.after.eval(&context.symbols)?);
    let limit = if mode == Mode::Reflect { size - 1 } else { i64::MAX };
    if size == 0 || before > limit || after > limit {
        let message = format!("pads of {before} and {after} that repeat an axis of {size} elements");
        return Err(RunError::new(message));
    }
    let sources = (-before..size + after).map(|position| mode.source(position, size));
    let indices = sources.map(|source| i32::try_from(source).unwrap_or(i32::MAX)).collect::<Vec<_>>();
    let count = indices.len();
    let indices = Value::from_ints(indices, vec![count], &x.device());
    Ok(x.select(border.axis, indices.into_primitive()))
}

fn roll(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let rolled = match call.peek("axes") {
        super::Arg::Const(super::Const::List(_)) => call.ints("axes")?,
        _ => vec![call.int("axes")?],
    };
    let shifts = call.dims("shifts")?;
    if rolled.len() != shifts.len() {
        let message = format!("{} shifts for {} axes, expected one each", shifts.len(), rolled.len());
        return Err(Fault::shape(message).of("shifts"));
    }
    let mut moves = Vec::new();
    for (axis, shift) in rolled.into_iter().zip(shifts) {
        let Some(axis) = super::call::resolve_axis(axis, x.rank()) else {
            return Err(
                Fault::shape(format!("axis {axis} of a tensor with {} dimensions", x.rank())).of("axes")
            );
        };
        moves.push((axis, shift));
    }
    let run = kernel(move |mut inputs, context| {
        let mut x = inputs.take();
        for (axis, shift) in &moves {
            let size = x.shape()[*axis];
            let shift = shift.eval(&context.symbols)?;
            if size == 0 || shift.rem_euclid(signed(size)) == 0 {
                continue;
            }
            let shift = unsigned(shift.rem_euclid(signed(size)));
            let tail = x.clone().narrow(*axis, size - shift, shift);
            let head = x.narrow(*axis, 0, size - shift);
            x = Value::joined(vec![tail, head], *axis).expect("two pieces are joined");
        }
        Ok(x.into())
    });
    Ok(Traced::one(run, x))
}

fn flip(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axes = axes(call, "axes", x.rank())?;
    let run = kernel(move |mut inputs, _| Ok(inputs.take().flip(&axes).into()));
    Ok(Traced::one(run, x))
}

type Compare = fn(
    super::backend::Primitive,
    super::backend::Primitive,
    burn::tensor::BoolDType,
) -> super::backend::Primitive;

/// Zeros where the column compares with the row plus the diagonal.
fn triangle(call: &mut Call, outside: Compare) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    if x.rank() < 2 {
        return Err(Fault::shape(format!("`x` is `{x}`, expected two dimensions or more")).of("x"));
    }
    let diagonal = call.int("diagonal")?;
    let run = kernel(move |mut inputs, _| {
        let x = inputs.take();
        let shape = x.shape();
        let (rows, columns) = (shape[shape.len() - 2], shape[shape.len() - 1]);
        let device = x.device();
        let row = B::int_add_scalar(counted(rows, vec![rows, 1], &device), diagonal.into());
        let mask = outside(counted(columns, vec![1, columns], &device), row, bool_dtype(&device));
        let mask = Value::Bool(mask).expand(shape.clone()).into_primitive();
        Ok(match x {
            Value::Float(x) => Value::Float(B::float_mask_fill(x, mask, 0.0.into())),
            Value::Int(x) => Value::Int(B::int_mask_fill(x, mask, 0.into())),
            Value::Bool(x) => {
                // `and not` keeps truth values however they are stored.
                let keep = B::bool_not(mask);
                Value::Int(B::int_mul(
                    Value::Bool(x).to_int().into_primitive(),
                    Value::Bool(keep).to_int().into_primitive(),
                ))
                .to_bool(&device)
            }
        }
        .into())
    });
    debug_assert!(matches!(x.kind, Kind::Float | Kind::Int | Kind::Bool));
    Ok(Traced::one(run, x))
}

/// The numbers from 0 under a shape.
fn counted(count: usize, shape: Vec<usize>, device: &Device) -> super::backend::Primitive {
    let numbers = B::int_arange(0..signed(count), device, burn::tensor::IntDType::I32);
    Value::Int(numbers).reshape(shape).into_primitive()
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        TestArg, bools, check_gradient, check_half, fault, floats, ints, list, run_one, sample, try_run,
    };

    #[test]
    fn borders_hold_the_value() {
        let x = floats(&[1, 2], &[1.0, 2.0]).symbolic(&[1]);
        let args = [("x", x.clone()), ("pads", [1, 2].into()), ("value", 9i64.into())];
        assert_eq!(run_one("pad", &args), (vec![1, 5], vec![9.0, 1.0, 2.0, 9.0, 9.0]));
        let args = [("x", x.clone()), ("pads", [0, -1, 1, 0].into())];
        assert_eq!(run_one("pad", &args), (vec![2, 1], vec![0.0, 1.0]));
        let args = [("x", x.clone()), ("pads", list(&[TestArg::Size(2), 0i64.into()]))];
        assert_eq!(run_one("pad", &args), (vec![1, 4], vec![0.0, 0.0, 1.0, 2.0]));
        assert_eq!(
            run_one("pad", &[("x", sample(&[0, 2])), ("pads", [0, 0, 1, 0].into())]),
            (vec![1, 2], vec![0.0; 2])
        );
        let mask = [("x", bools(&[1], &[false])), ("pads", [0, 1].into()), ("value", 1i64.into())];
        assert_eq!(run_one("pad", &mask).1, [0.0, 1.0]);
        assert_eq!(fault("pad", &[("x", x.clone()), ("pads", [1].into())]).parameter, Some("pads"));
        check_gradient("pad", &[("x", x), ("pads", [1, 2].into())]);
    }

    // F.pad(torch.tensor([[1., 2, 3]]), (2, 1), mode=…)
    #[test]
    fn borders_repeat_the_axis() {
        for (mode, expected) in [
            ("reflect", [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]),
            ("replicate", [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]),
            ("circular", [2.0, 3.0, 1.0, 2.0, 3.0, 1.0]),
        ] {
            let x = floats(&[1, 3], &[1.0, 2.0, 3.0]);
            let args = [("x", x), ("pads", [2, 1].into()), ("mode", mode.into())];
            assert_eq!(run_one("pad", &args).1, expected, "{mode}");
            check_gradient("pad", &args);
        }
        let long = [("x", sample(&[1, 2])), ("pads", [2, 0].into()), ("mode", "reflect".into())];
        assert!(try_run("pad", &long).is_err());
    }

    #[test]
    fn rolled_and_flipped() {
        let x = ints(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let args = [("x", x.clone()), ("shifts", 1i64.into()), ("axes", (-1i64).into())];
        assert_eq!(run_one("roll", &args).1, [3.0, 1.0, 2.0, 6.0, 4.0, 5.0]);
        let args = [("x", x.clone()), ("shifts", [-1, 4].into()), ("axes", [0, 1].into())];
        assert_eq!(run_one("roll", &args).1, [6.0, 4.0, 5.0, 3.0, 1.0, 2.0]);
        assert_eq!(run_one("flip", &[("x", x), ("axes", [0, 1].into())]).1, [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
    }

    #[test]
    fn triangles() {
        let x = ints(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(run_one("tril", &[("x", x.clone())]).1, [1.0, 0.0, 0.0, 4.0, 5.0, 0.0]);
        assert_eq!(run_one("triu", &[("x", x), ("diagonal", 1i64.into())]).1, [0.0, 2.0, 3.0, 0.0, 0.0, 6.0]);
        let all = bools(&[1, 2, 2], &[true; 4]).symbolic(&[1, 2]);
        assert_eq!(run_one("tril", &[("x", all)]).1, [1.0, 0.0, 1.0, 1.0]);
        check_gradient("triu", &[("x", sample(&[2, 3, 3]))]);
        check_half("pad", &[("x", sample(&[2, 3])), ("pads", [1, 1].into())]);
    }
}
