//! Comparisons of tensors, and logic on what they give.
//!
//! In: as for the arithmetic operators; logic takes truth values only. Out: truth values of the broadcast shape.
//!
//! Absent on purpose: comparisons of sizes, which a definition may not branch on.

use burn::tensor::BoolDType;
use burn::tensor::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};

use super::Op;
use super::backend::{B, Primitive};
use super::call::{Call, Fault, Traced};
use super::function::kernel;
use super::layout::bool_dtype;
use super::operand::{Sides, pair};
use super::types::{Kind, TensorType};
use super::value::Value;

type Tensors = fn(Primitive, Primitive, BoolDType) -> Primitive;
type Number = fn(Primitive, burn::tensor::Scalar, BoolDType) -> Primitive;

macro_rules! comparisons {
    ($($name:literal, $summary:literal, $float:ident, $float_number:ident, $int:ident;)*) => {
        &[
            $(Op {
                name: $name,
                signature: "a, b",
                summary: $summary,
                trace: |call| comparison(call, B::$float, B::$float_number, B::$int),
            },)*
            Op {
                name: "logical_and",
                signature: "a, b",
                summary: "whether both hold, elementwise with broadcasting",
                trace: |call| logic(call, B::bool_and),
            },
            Op {
                name: "logical_or",
                signature: "a, b",
                summary: "whether one or both hold, elementwise with broadcasting",
                trace: |call| logic(call, B::bool_or),
            },
            Op { name: "logical_not", signature: "x", summary: "whether it does not hold, elementwise", trace: not },
        ]
    };
}

pub(super) const OPS: &[Op] = comparisons! {
    "eq", "whether a equals b, elementwise with broadcasting", float_equal, float_equal_elem, int_equal;
    "ne", "whether a differs from b, elementwise with broadcasting", float_not_equal, float_not_equal_elem, int_not_equal;
    "lt", "whether a is below b, elementwise with broadcasting", float_lower, float_lower_elem, int_lower;
    "le", "whether a is at most b, elementwise with broadcasting", float_lower_equal, float_lower_equal_elem, int_lower_equal;
    "gt", "whether a is above b, elementwise with broadcasting", float_greater, float_greater_elem, int_greater;
    "ge", "whether a is at least b, elementwise with broadcasting", float_greater_equal, float_greater_equal_elem, int_greater_equal;
};

fn comparison(call: &mut Call, float: Tensors, float_number: Number, int: Tensors) -> Result<Traced, Fault> {
    // Truth values compare as 0 and 1.
    let pair = pair(call, "a", "b", Kind::Int)?;
    let ty = TensorType { kind: Kind::Bool, shape: pair.shape.clone() };
    let run = kernel(move |mut inputs, context| {
        let dtype = bool_dtype(context.device);
        Ok(Value::Bool(match pair.sides(&mut inputs, context)? {
            Sides::Number(Value::Float(a), number) => float_number(a, number.into(), dtype),
            Sides::Number(a, number) => {
                let b = a.filled_like(vec![1; a.rank()], number);
                int(a.into_primitive(), b.into_primitive(), dtype)
            }
            Sides::Tensors(Value::Float(a), b) => float(a, b.into_primitive(), dtype),
            Sides::Tensors(a, b) => int(a.into_primitive(), b.into_primitive(), dtype),
        })
        .into())
    });
    Ok(Traced::one(run, ty))
}

fn logic(call: &mut Call, function: fn(Primitive, Primitive) -> Primitive) -> Result<Traced, Fault> {
    let pair = pair(call, "a", "b", Kind::Bool)?;
    if pair.kind != Kind::Bool {
        let message = format!("one side holds numbers of kind {}, expected truth values", pair.kind);
        return Err(Fault::new("wrong-kind", message)
            .help("compare it, as in `x != 0`, or write `cast(x, \"bool\")`"));
    }
    let ty = TensorType { kind: Kind::Bool, shape: pair.shape.clone() };
    let run = kernel(move |mut inputs, context| {
        let (a, b) = match pair.sides(&mut inputs, context)? {
            Sides::Tensors(a, b) => (a, b),
            Sides::Number(a, number) => {
                let b = a.filled_like(vec![1; a.rank()], number);
                (a, b)
            }
        };
        // Not every backend broadcasts truth values.
        let shapes = a.shape().into_iter().zip(b.shape());
        let shape: Vec<usize> = shapes.map(|(a, b)| if a == 1 { b } else { a }).collect();
        let (a, b) = (a.expand(shape.clone()), b.expand(shape));
        Ok(Value::Bool(function(a.into_primitive(), b.into_primitive())).into())
    });
    Ok(Traced::one(run, ty))
}

fn not(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor_of("x", Kind::Bool)?;
    let run = kernel(|mut inputs, _| Ok(Value::Bool(B::bool_not(inputs.take().into_primitive())).into()));
    Ok(Traced::one(run, x))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{TestArg, bools, fault, floats, ints, run_one};

    fn call(op: &str, a: impl Into<TestArg>, b: impl Into<TestArg>) -> Vec<f32> {
        run_one(op, &[("a", a.into()), ("b", b.into())]).1
    }

    #[test]
    fn every_comparison_of_below_equal_above() {
        let (x, n) = (floats(&[3], &[1.0, 2.0, 3.0]), ints(&[3], &[1, 2, 3]));
        for (op, expected, mirrored) in [
            ("eq", [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]),
            ("ne", [1.0, 0.0, 1.0], [1.0, 0.0, 1.0]),
            ("lt", [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
            ("le", [1.0, 1.0, 0.0], [0.0, 1.0, 1.0]),
            ("gt", [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]),
            ("ge", [0.0, 1.0, 1.0], [1.0, 1.0, 0.0]),
        ] {
            assert_eq!(call(op, x.clone(), 2i64), expected, "{op}");
            assert_eq!(call(op, n.clone(), 2i64), expected, "{op}");
            assert_eq!(call(op, n.clone(), 2.0), expected, "{op}");
            assert_eq!(call(op, n.clone(), TestArg::Size(2)), expected, "{op}");
            assert_eq!(call(op, x.clone(), ints(&[1], &[2])), expected, "{op}");
            assert_eq!(call(op, 2i64, x.clone()), mirrored, "{op}");
        }
        assert_eq!(call("gt", n, 1.5), [0.0, 1.0, 1.0]);
    }

    #[test]
    fn a_causal_mask_comes_from_two_ranges() {
        let (shape, found) = run_one("ge", &[("a", ints(&[2, 1], &[0, 1])), ("b", ints(&[1, 2], &[0, 1]))]);
        assert_eq!((shape, found), (vec![2, 2], vec![1.0, 0.0, 1.0, 1.0]));
    }

    #[test]
    fn logic_broadcasts_and_refuses_numbers() {
        let (a, b) = (bools(&[2, 1], &[true, false]), bools(&[2], &[true, false]));
        assert_eq!(call("logical_and", a.clone(), b.clone()), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(call("logical_or", a.clone(), b), [1.0, 1.0, 1.0, 0.0]);
        assert_eq!(call("logical_and", a.clone(), true), [1.0, 0.0]);
        assert_eq!(run_one("logical_not", &[("x", a.clone())]).1, [0.0, 1.0]);
        assert!(fault("logical_and", &[("a", a), ("b", ints(&[1], &[1]))]).help.is_some());
    }
}
