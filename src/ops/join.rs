//! Tensors joined along an axis, and cut into pieces along one.
//!
//! In: a list of tensors of one kind and of equal sizes off the axis; or one tensor and the sizes of its pieces.

use burn::tensor::FloatDType;
use burn::tensor::ops::IntTensorOps;

use super::Op;
use super::backend::B;
use super::call::{Arg, Call, Fault, Traced, resolve_axis};
use super::dim::Dim;
use super::function::kernel;
use super::shape::quotient;
use super::types::{Const, TensorType, show_shape};
use super::value::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "cat",
        signature: "xs, axis=-1",
        summary: "tensors one after the other along an axis",
        trace: cat,
    },
    Op {
        name: "stack",
        signature: "xs, axis=0",
        summary: "tensors of one shape along a new axis",
        trace: stack,
    },
    Op {
        name: "split",
        signature: "x, sizes, axis=-1",
        summary: "pieces along an axis: of the sizes listed, or of one size each, the last as long as what is left",
        trace: split,
    },
    Op {
        name: "chunk",
        signature: "x, n, axis=-1",
        summary: "n pieces along an axis, of equal size but for the last",
        trace: chunk,
    },
];

/// Takes the tensors of `xs`, which must have one kind, and the axis counted from the front.
fn alike(call: &mut Call, new_axis: bool) -> Result<(Vec<TensorType>, usize), Fault> {
    let types = call.tensors("xs")?;
    let Some(first) = types.first().cloned() else {
        return Err(Fault::value("the list is empty, expected tensors").of("xs"));
    };
    let axis = call.int("axis")?;
    let rank = first.rank() + usize::from(new_axis);
    let Some(axis) = resolve_axis(axis, rank) else {
        return Err(Fault::shape(format!("axis {axis} of a result with {rank} dimensions")).of("axis"));
    };
    for ty in &types[1..] {
        if ty.kind != first.kind {
            let message = format!("a list with `{first}` and `{ty}`, expected one kind");
            return Err(Fault::new("wrong-kind", message).of("xs").help("write `cast(x, …)` first"));
        }
        if ty.rank() != first.rank() {
            return Err(
                Fault::shape(format!("a list with `{first}` and `{ty}`, expected equal ranks")).of("xs")
            );
        }
        for index in (0..first.rank()).filter(|index| new_axis || *index != axis) {
            let what = format_args!("sizes along axis {index} of {first} and {ty}");
            call.same(&first.shape[index], &ty.shape[index], what).map_err(|fault| fault.of("xs"))?;
        }
    }
    Ok((types, axis))
}

/// The values in one element type: the first one's, or 32 bits where they differ.
fn one_width(values: Vec<Value>) -> Vec<Value> {
    if values.windows(2).all(|pair| pair[0].dtype() == pair[1].dtype()) {
        return values;
    }
    let widen = |value: Value| match value {
        Value::Float(_) => value.to_float(FloatDType::F32),
        Value::Int(x) => Value::Int(B::int_cast(x, burn::tensor::IntDType::I32)),
        Value::Bool(_) => {
            let device = value.device();
            Value::Int(value.to_int().into_primitive()).to_bool(&device)
        }
    };
    values.into_iter().map(widen).collect()
}

fn cat(call: &mut Call) -> Result<Traced, Fault> {
    let (types, axis) = alike(call, false)?;
    let mut shape = types[0].shape.to_vec();
    shape[axis] = types.iter().try_fold(Dim::Known(0), |total, ty| total.add(&ty.shape[axis]))?;
    let ty = types[0].with_shape(shape);
    let run = kernel(move |inputs, _| {
        let joined = Value::joined(one_width(inputs.rest()), axis);
        Ok(joined.expect("the tracer refuses an empty list").into())
    });
    Ok(Traced::one(run, ty))
}

fn stack(call: &mut Call) -> Result<Traced, Fault> {
    let (types, axis) = alike(call, true)?;
    let mut shape = types[0].shape.to_vec();
    let count = i64::try_from(types.len()).map_err(|_| Fault::value("too many tensors").of("xs"))?;
    shape.insert(axis, Dim::Known(count));
    let ty = types[0].with_shape(shape);
    let run = kernel(move |inputs, _| {
        let rows = one_width(inputs.rest()).into_iter().map(|value| value.with_unit_axis(axis)).collect();
        // Here every piece has size 1, so that none is dropped for being empty along the axis.
        Ok(Value::joined(rows, axis).expect("the tracer refuses an empty list").into())
    });
    Ok(Traced::one(run, ty))
}

/// The call that cuts `x` into pieces of these sizes.
fn pieces(x: &TensorType, axis: usize, sizes: Vec<Dim>) -> Traced {
    let types = sizes.iter().map(|size| {
        let mut shape = x.shape.to_vec();
        shape[axis] = size.clone();
        x.with_shape(shape)
    });
    let types = types.collect();
    let run = kernel(move |mut inputs, context| {
        let x = inputs.take();
        let mut start = 0;
        let mut found = Vec::with_capacity(sizes.len());
        for size in context.sizes(&sizes)? {
            found.push(x.clone().narrow(axis, start, size));
            start += size;
        }
        Ok(found.into())
    });
    Traced::many(run, types)
}

/// The sizes of pieces of `each` elements that make up `size`.
fn equal_pieces(size: i64, each: i64) -> Vec<Dim> {
    let (whole, rest) = (size / each, size % each);
    let pieces = (0..whole).map(|_| Dim::Known(each));
    pieces.chain((rest > 0).then_some(Dim::Known(rest))).collect()
}

fn split(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let listed = matches!(call.peek("sizes"), Arg::List(_) | Arg::Const(Const::List(_)));
    let sizes = call.dims("sizes")?;
    let size = x.shape[axis].clone();
    if listed {
        let total = sizes.iter().try_fold(Dim::Known(0), |total, size| total.add(size))?;
        let what = format_args!("axis {axis} of x {} and the sum of the sizes", show_shape(&x.shape));
        call.same(&size, &total, what).map_err(|fault| fault.of("sizes"))?;
        return Ok(pieces(&x, axis, sizes));
    }
    let [Dim::Known(each @ 1..)] = sizes.as_slice() else {
        return Err(Fault::value("the size of a piece is not a number above 0").of("sizes"));
    };
    let Some(size) = size.known() else {
        let message = format!("pieces of {each} of the size `{size}`: how many is unknown while tracing");
        return Err(Fault::value(message).of("sizes").help("list the sizes of the pieces"));
    };
    Ok(pieces(&x, axis, equal_pieces(size, *each)))
}

fn chunk(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let count = call.int("n")?;
    if !(1..=1 << 16).contains(&count) {
        return Err(Fault::value(format!("{count} pieces, expected 1 or more")).of("n"));
    }
    let Some(size) = x.shape[axis].known() else {
        let each =
            quotient(call, &x.shape[axis], &Dim::Known(count), "the size that is cut into equal pieces")?;
        return Ok(pieces(&x, axis, (0..count).map(|_| each.clone()).collect()));
    };
    // As torch.chunk: pieces of the rounded-up size, so that there may be fewer than asked for.
    let each = (size + count - 1) / count;
    let sizes = if each == 0 { vec![Dim::Known(0); 1] } else { equal_pieces(size, each) };
    Ok(pieces(&x, axis, sizes))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        TestArg, bools, check_gradient, check_half, fault, floats, ints, list, noise, numbers, run, run_one,
        sample,
    };

    #[test]
    fn tensors_are_joined_along_an_axis() {
        let (a, b) = (ints(&[2, 1], &[1, 2]), ints(&[2, 2], &[3, 4, 5, 6]));
        let xs = list(&[a.clone().symbolic(&[0]), b.symbolic(&[0, 1])]);
        assert_eq!(run_one("cat", &[("xs", xs)]), (vec![2, 3], vec![1.0, 3.0, 4.0, 2.0, 5.0, 6.0]));
        let empty = list(&[sample(&[2, 0]), sample(&[2, 3]), sample(&[2, 0])]);
        assert_eq!(run_one("cat", &[("xs", empty)]), (vec![2, 3], noise(6)));
        let rows = list(&[bools(&[2], &[true, false]), bools(&[2], &[false, false])]);
        let args = [("xs", rows), ("axis", (-1i64).into())];
        assert_eq!(run_one("stack", &args), (vec![2, 2], vec![1.0, 0.0, 0.0, 0.0]));
        assert!(fault("cat", &[("xs", list(&[a.clone(), sample(&[2, 1])]))]).help.is_some());
        assert!(fault("stack", &[("xs", list(&[a, ints(&[1, 1], &[0])]))]).message.contains("2 and 1"));
        assert_eq!(run_one("stack", &[("xs", list(&[sample(&[0]), sample(&[0])]))]).0, [2, 0]);
    }

    fn shapes(op: &str, args: &[(&str, TestArg)]) -> Vec<Vec<usize>> {
        run(op, args).iter().map(crate::ops::Value::shape).collect()
    }

    #[test]
    fn a_tensor_is_cut_into_pieces() {
        let x = floats(&[1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]);
        let found = run("split", &[("x", x.clone()), ("sizes", [2, 3].into())]);
        assert_eq!((numbers(&found[0]), numbers(&found[1])), (vec![1.0, 2.0], vec![3.0, 4.0, 5.0]));
        assert_eq!(shapes("split", &[("x", x.clone()), ("sizes", 2i64.into())]), [[1, 2], [1, 2], [1, 1]]);
        assert_eq!(shapes("chunk", &[("x", x.clone()), ("n", 2i64.into())]), [[1, 3], [1, 2]]);
        assert_eq!(shapes("chunk", &[("x", x.clone()), ("n", 4i64.into())]), [[1, 2], [1, 2], [1, 1]]);
        assert!(fault("split", &[("x", x), ("sizes", [2, 2].into())]).message.contains("5 and 4"));
        let x = sample(&[1, 6]).symbolic(&[1]);
        assert_eq!(shapes("chunk", &[("x", x.clone()), ("n", 3i64.into())]), [[1, 2]; 3]);
        let sizes = list(&[TestArg::Size(4), 2i64.into()]);
        assert_eq!(shapes("split", &[("x", x.clone()), ("sizes", sizes)]), [[1, 4], [1, 2]]);
        assert!(fault("split", &[("x", x), ("sizes", 2i64.into())]).help.is_some());
    }

    #[test]
    fn gradients_flow() {
        check_gradient("cat", &[("xs", list(&[sample(&[2, 1]), sample(&[2, 2])]))]);
        check_half("cat", &[("xs", list(&[sample(&[2, 1]), sample(&[2, 2])]))]);
        check_gradient("stack", &[("xs", list(&[sample(&[2]), sample(&[2])]))]);
        check_gradient("chunk", &[("x", sample(&[2, 4])), ("n", 2i64.into())]);
    }
}
