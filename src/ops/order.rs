//! Orders along one axis: the largest elements, where they are, running sums.
//!
//! In: numbers. Out: indices are ints that count from 0. Among equal elements, which comes first is not defined.

use burn::tensor::IntDType;
use burn::tensor::ops::{FloatTensorOps, IntTensorOps};

use super::Op;
use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::dim::Dim;
use super::function::kernel;
use super::layout::in_f32;
use super::types::{Kind, TensorType};
use super::value::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "argmax",
        signature: "x, axis, keepdim=False",
        summary: "the position of the largest element along an axis: int, without that axis",
        trace: argmax,
    },
    Op {
        name: "cumsum",
        signature: "x, axis",
        summary: "the sum of all elements up to each, along an axis: the same shape",
        trace: cumsum,
    },
    Op {
        name: "topk",
        signature: "x, k, axis=-1",
        summary: "the k largest elements along an axis, the largest first, and their positions: two tensors",
        trace: topk,
    },
    Op {
        name: "argsort",
        signature: "x, axis=-1, descending=False",
        summary: "the positions along an axis in the order of the elements: int, the same shape",
        trace: argsort,
    },
];

fn argmax(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let keep = call.bool("keepdim")?;
    let mut shape = x.shape.to_vec();
    if keep {
        shape[axis] = Dim::Known(1);
    } else {
        shape.remove(axis);
    }
    let run = kernel(move |mut inputs, _| {
        let found = match inputs.take().in_order() {
            Value::Float(x) => B::float_argmax(x, axis, IntDType::I32),
            x => B::int_argmax(x.to_int().into_primitive(), axis),
        };
        let found = Value::Int(found);
        Ok(if keep { found } else { found.without_axis(axis) }.into())
    });
    Ok(Traced::one(run, TensorType::int(shape)))
}

fn cumsum(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let kind = if x.kind == Kind::Bool { Kind::Int } else { x.kind };
    let run = kernel(move |mut inputs, _| {
        Ok(match inputs.take() {
            Value::Float(x) => Value::Float(in_f32(x, |x| B::float_cumsum(x, axis))),
            x => Value::Int(B::int_cumsum(x.to_int().into_primitive(), axis)),
        }
        .into())
    });
    Ok(Traced::one(run, TensorType { kind, shape: x.shape }))
}

fn topk(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let k = call.int("k")?;
    let count =
        usize::try_from(k).map_err(|_| Fault::value(format!("`k` is {k}, expected 0 or more")).of("k"))?;
    if x.shape[axis].known().is_some_and(|size| size < k) {
        let message = format!("the {k} largest of {} elements", x.shape[axis]);
        return Err(Fault::value(message).of("k"));
    }
    let mut shape = x.shape.to_vec();
    shape[axis] = Dim::Known(k);
    let run = kernel(move |mut inputs, _| {
        let x = inputs.take();
        // burn's own topk has no gradient.
        let sorted = B::float_argsort(x.primitive().clone(), axis, true, IntDType::I32);
        let indices = Value::Int(sorted).narrow(axis, 0, count);
        let values = x.gather(axis, indices.primitive().clone());
        Ok(vec![values, indices].into())
    });
    Ok(Traced::many(run, vec![TensorType::float(shape.clone()), TensorType::int(shape)]))
}

fn argsort(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let descending = call.bool("descending")?;
    let run = kernel(move |mut inputs, _| {
        Ok(Value::Int(match inputs.take() {
            Value::Float(x) => B::float_argsort(x, axis, descending, IntDType::I32),
            x => B::int_argsort(x.to_int().into_primitive(), axis, descending),
        })
        .into())
    });
    Ok(Traced::one(run, TensorType::int(x.shape)))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        TestArg, bools, check_gradient, check_half, fault, floats, ints, numbers, run, run_one, sample,
    };

    fn x() -> TestArg {
        floats(&[2, 4], &[0.5, 3.0, -1.0, 2.0, 9.0, 7.0, 8.0, 6.0]).symbolic(&[0])
    }

    #[test]
    fn positions_of_the_largest() {
        assert_eq!(run_one("argmax", &[("x", x()), ("axis", (-1i64).into())]), (vec![2], vec![1.0, 0.0]));
        let kept = [("x", x()), ("axis", 0i64.into()), ("keepdim", true.into())];
        assert_eq!(run_one("argmax", &kept), (vec![1, 4], vec![1.0; 4]));
        assert_eq!(run_one("argmax", &[("x", ints(&[3], &[1, 5, 2])), ("axis", 0i64.into())]).1, [1.0]);
        let order = run_one("argsort", &[("x", x())]).1;
        assert_eq!(order, [2.0, 0.0, 3.0, 1.0, 3.0, 1.0, 2.0, 0.0]);
    }

    #[test]
    fn the_largest_come_in_order_with_their_positions() {
        let found = run("topk", &[("x", x()), ("k", 2i64.into())]);
        assert_eq!(numbers(&found[0]), [3.0, 2.0, 9.0, 8.0]);
        assert_eq!(numbers(&found[1]), [1.0, 3.0, 0.0, 2.0]);
        let found = run("topk", &[("x", x()), ("k", 1i64.into()), ("axis", 0i64.into())]);
        assert_eq!((found[0].shape(), numbers(&found[0])), (vec![1, 4], vec![9.0, 7.0, 8.0, 6.0]));
        assert_eq!(fault("topk", &[("x", x()), ("k", 5i64.into())]).parameter, Some("k"));
        check_gradient("topk", &[("x", x()), ("k", 2i64.into())]);
        check_half("topk", &[("x", x()), ("k", 2i64.into())]);
    }

    #[test]
    fn running_sums() {
        assert_eq!(
            run_one("cumsum", &[("x", ints(&[3], &[1, 2, 3])), ("axis", 0i64.into())]).1,
            [1.0, 3.0, 6.0]
        );
        let mask = bools(&[1, 3], &[true, false, true]);
        assert_eq!(run_one("cumsum", &[("x", mask), ("axis", 1i64.into())]).1, [1.0, 1.0, 2.0]);
        check_gradient("cumsum", &[("x", sample(&[2, 3])), ("axis", 1i64.into())]);
    }
}
