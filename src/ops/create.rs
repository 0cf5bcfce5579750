//! Tensors made on the device from numbers and sizes.
//!
//! In: shapes whose sizes may be symbolic; numbers known from the config. Out: floats of the run's width, ints or
//! truth values by what the numbers are.

use burn::tensor::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::tensor::{IntDType, Shape, TensorData};

use super::Op;
use super::backend::B;
use super::call::{Arg, Call, Fault, Traced};
use super::dim::Dim;
use super::function::kernel;
use super::kernel::{Context, RunError};
use super::layout::bool_dtype;
use super::types::{Const, Kind, TensorType};
use super::value::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "arange",
        signature: "start, end=None, step=1",
        summary: "the whole numbers from `start` (0 if one number is given) up to `end`: int [count]",
        trace: arange,
    },
    Op { name: "zeros", signature: "shape", summary: "floats that are 0", trace: |call| constant(call, 0.0) },
    Op { name: "ones", signature: "shape", summary: "floats that are 1", trace: |call| constant(call, 1.0) },
    Op {
        name: "full",
        signature: "shape, value",
        summary: "a shape filled with one number, of that number's kind",
        trace: full,
    },
    Op {
        name: "tensor",
        signature: "values",
        summary: "the numbers of a nested list: float unless all are ints or all are truth values",
        trace: tensor,
    },
];

fn arange(call: &mut Call) -> Result<Traced, Fault> {
    let first = call.dim("start")?;
    let (start, end) = match call.peek("end") {
        Arg::Const(Const::None) => (Dim::Known(0), first),
        _ => (first, call.dim("end")?),
    };
    let step = call.int("step")?;
    if step == 0 {
        return Err(Fault::value("a step of 0").of("step"));
    }
    // Rounded up, whichever way the step goes.
    let span = if step > 0 { end.sub(&start)? } else { start.sub(&end)? };
    let size = Dim::Known(step.saturating_abs());
    let count = span.add(&size)?.sub(&Dim::Known(1))?.floor_div(&size)?;
    if count.known().is_some_and(|count| count < 0) {
        return Err(Fault::value(format!("from {start} to {end} in steps of {step}")).of("end"));
    }
    let ty = TensorType::int(vec![count.clone()]);
    let run = kernel(move |_, context| {
        let count = context.size(&count)?;
        let start = start.eval(&context.symbols)?;
        let end = i64::try_from(count).unwrap_or(i64::MAX);
        let numbers = B::int_arange(0..end, context.device, IntDType::I32);
        let numbers = if step == 1 { numbers } else { B::int_mul_scalar(numbers, step.into()) };
        Ok(Value::Int(if start == 0 { numbers } else { B::int_add_scalar(numbers, start.into()) }).into())
    });
    Ok(Traced::one(run, ty))
}

/// The sizes of `shape`, none of which is known to be negative.
fn sizes(call: &mut Call) -> Result<Vec<Dim>, Fault> {
    let shape = call.dims("shape")?;
    match shape.iter().find(|size| size.known().is_some_and(|size| size < 0)) {
        Some(size) => Err(Fault::shape(format!("a size is {size}, expected 0 or more")).of("shape")),
        None => Ok(shape),
    }
}

fn filled(kind: Kind, shape: &[Dim], number: f64, context: &Context<'_>) -> Result<Value, RunError> {
    let shape = Shape::from(context.sizes(shape)?);
    let device = context.device;
    Ok(match kind {
        Kind::Float => Value::Float(B::float_full(shape, number.into(), device, context.float)),
        #[expect(clippy::cast_possible_truncation, reason = "the tracer gives whole numbers for ints")]
        Kind::Int => Value::Int(B::int_full(shape, (number as i64).into(), device, IntDType::I32)),
        Kind::Bool if number == 0.0 => Value::Bool(B::bool_zeros(shape, device, bool_dtype(device))),
        Kind::Bool => Value::Bool(B::bool_ones(shape, device, bool_dtype(device))),
    })
}

fn constant(call: &mut Call, number: f64) -> Result<Traced, Fault> {
    let shape = sizes(call)?;
    let ty = TensorType::float(shape.clone());
    Ok(Traced::one(kernel(move |_, context| Ok(filled(Kind::Float, &shape, number, context)?.into())), ty))
}

/// The kind and the number of a constant.
fn number(value: &Const) -> Option<(Kind, f64)> {
    match value {
        Const::Bool(value) => Some((Kind::Bool, f64::from(u8::from(*value)))),
        Const::Int(_) => value.as_f64().map(|number| (Kind::Int, number)),
        Const::Float(number) => Some((Kind::Float, *number)),
        _ => None,
    }
}

fn full(call: &mut Call) -> Result<Traced, Fault> {
    let shape = sizes(call)?;
    let value = call.constant("value")?;
    let Some((kind, number)) = number(&value) else {
        let message = format!("`value` is {}, expected a number", value.kind_name());
        return Err(Fault::new("wrong-kind", message).of("value"));
    };
    let ty = TensorType { kind, shape: shape.clone().into() };
    Ok(Traced::one(kernel(move |_, context| Ok(filled(kind, &shape, number, context)?.into())), ty))
}

/// Reads a nested list row by row; every list at one depth must have the same length.
fn read(value: &Const, depth: usize, shape: &mut Vec<usize>, found: &mut Vec<(Kind, f64)>) -> Option<()> {
    let Const::List(items) = value else {
        // A number, which must stand at the depth of the others.
        return (depth == shape.len()).then(|| number(value)).flatten().map(|number| found.push(number));
    };
    if depth == shape.len() && found.is_empty() {
        shape.push(items.len());
    }
    if shape.get(depth) != Some(&items.len()) {
        return None;
    }
    items.iter().try_for_each(|item| read(item, depth + 1, shape, found))
}

fn tensor(call: &mut Call) -> Result<Traced, Fault> {
    let value = call.constant("values")?;
    let (mut shape, mut found) = (Vec::new(), Vec::new());
    if read(&value, 0, &mut shape, &mut found).is_none() {
        return Err(Fault::value("the lists are not numbers in rows of equal length").of("values"));
    }
    let all = |kind: Kind| !found.is_empty() && found.iter().all(|(found, _)| *found == kind);
    let kind = if all(Kind::Bool) {
        Kind::Bool
    } else if all(Kind::Int) {
        Kind::Int
    } else {
        Kind::Float
    };
    let sizes = shape.iter().map(|size| Dim::Known(i64::try_from(*size).unwrap_or(i64::MAX))).collect();
    let numbers: Vec<f64> = found.into_iter().map(|(_, number)| number).collect();
    let run = kernel(move |_, context| Ok(stored(kind, &numbers, &shape, context).into()));
    Ok(Traced::one(run, TensorType { kind, shape: sizes }))
}

fn stored(kind: Kind, numbers: &[f64], shape: &[usize], context: &Context<'_>) -> Value {
    let shape = shape.to_vec();
    match kind {
        Kind::Float => {
            let data = TensorData::new(numbers.to_vec(), shape).convert_dtype(context.float.into());
            Value::Float(B::float_from_data(data, context.device))
        }
        #[expect(clippy::cast_possible_truncation, reason = "these are whole numbers that fit")]
        Kind::Int | Kind::Bool => {
            let whole = numbers.iter().map(|number| *number as i32).collect();
            let ints = Value::from_ints(whole, shape, context.device);
            if kind == Kind::Bool { ints.to_bool(context.device) } else { ints }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::ops::testing::{TestArg, fault, list, run, run_one};
    use crate::ops::{Const, Kind};

    #[test]
    fn ranges_count_as_python() {
        let call = |start: TestArg, end: TestArg, step: i64| {
            run_one("arange", &[("start", start), ("end", end), ("step", step.into())])
        };
        assert_eq!(run_one("arange", &[("start", 3i64.into())]), (vec![3], vec![0.0, 1.0, 2.0]));
        assert_eq!(run_one("arange", &[("start", 0i64.into())]).0, [0]);
        assert_eq!(call(1i64.into(), 8i64.into(), 3).1, [1.0, 4.0, 7.0]);
        assert_eq!(call(5i64.into(), 0i64.into(), -2).1, [5.0, 3.0, 1.0]);
        assert_eq!(call(2i64.into(), TestArg::Size(7), 2).1, [2.0, 4.0, 6.0]);
        assert_eq!(run_one("arange", &[("start", TestArg::Size(2))]).1, [0.0, 1.0]);
        assert_eq!(fault("arange", &[("start", 5i64.into()), ("end", 3i64.into())]).parameter, Some("end"));
    }

    #[test]
    fn shapes_are_filled() {
        let shape = list(&[TestArg::Size(2), 1i64.into()]);
        assert_eq!(run_one("zeros", &[("shape", shape.clone())]), (vec![2, 1], vec![0.0; 2]));
        assert_eq!(run_one("ones", &[("shape", [0, 3].into())]).0, [0, 3]);
        let kind = |value: TestArg| run("full", &[("shape", shape.clone()), ("value", value)])[0].kind();
        assert_eq!(kind(2i64.into()), Kind::Int);
        assert_eq!(kind(2.5.into()), Kind::Float);
        assert_eq!(kind(true.into()), Kind::Bool);
        assert_eq!(run_one("full", &[("shape", 2i64.into()), ("value", 2.5.into())]).1, [2.5; 2]);
        assert_eq!(fault("zeros", &[("shape", [-1].into())]).parameter, Some("shape"));
    }

    #[test]
    fn lists_become_tensors() {
        let rows = |rows: Vec<Vec<Const>>| {
            let rows = rows.into_iter().map(|row| Const::List(Arc::new(row))).collect();
            [("values", TestArg::Const(Const::List(Arc::new(rows))))]
        };
        let (one, half) = (Const::Int(1), Const::Float(0.5));
        let mixed = rows(vec![vec![one.clone(), half.clone()], vec![half.clone(), one.clone()]]);
        assert_eq!(run_one("tensor", &mixed), (vec![2, 2], vec![1.0, 0.5, 0.5, 1.0]));
        assert_eq!(run("tensor", &rows(vec![vec![one.clone()]]))[0].kind(), Kind::Int);
        assert_eq!(run("tensor", &rows(vec![vec![Const::Bool(true)]]))[0].kind(), Kind::Bool);
        assert_eq!(run_one("tensor", &[("values", 0.5.into())]), (vec![], vec![0.5]));
        assert!(fault("tensor", &rows(vec![vec![one], vec![]])).message.contains("equal length"));
    }
}
