//! The arithmetic operators `+ - * / // % **` where a tensor takes part.
//!
//! In: two sides, each a tensor, a number or a size; shapes broadcast as in `PyTorch`. Out: a tensor of the kind that
//! both sides promote to; `/` always gives floats. `//` and `%` round towards minus infinity, as in Python.
//!
//! Absent on purpose: operators on numbers alone, which the tracer computes.

use burn::tensor::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};

use super::Op;
use super::backend::{B, Primitive};
use super::call::{Call, Fault, Traced};
use super::function::kernel;
use super::operand::{Sides, pair};
use super::types::{Kind, TensorType};
use super::value::Value;

macro_rules! operators {
    ($($name:literal, $summary:literal, $operator:expr;)*) => {
        &[$(Op {
            name: $name,
            signature: "a, b",
            summary: $summary,
            trace: |call| operator(call, $name, &$operator),
        },)*]
    };
}

pub(super) const OPS: &[Op] = operators! {
    "add", "a + b, elementwise with broadcasting", Operator {
        tensors: |a, b| Some(match (a, b) {
            (Value::Float(a), Value::Float(b)) => Value::Float(B::float_add(a, b)),
            (Value::Int(a), Value::Int(b)) => Value::Int(B::int_add(a, b)),
            (a, b) => Value::Bool(B::bool_or(a.into_primitive(), b.into_primitive())),
        }),
        float: |a, b| B::float_add_scalar(a, b.into()),
        least: Kind::Bool,
    };
    "sub", "a - b, elementwise with broadcasting", Operator {
        tensors: |a, b| Some(match (a, b) {
            (Value::Float(a), Value::Float(b)) => Value::Float(B::float_sub(a, b)),
            (Value::Int(a), Value::Int(b)) => Value::Int(B::int_sub(a, b)),
            _ => return None,
        }),
        float: |a, b| B::float_sub_scalar(a, b.into()),
        least: Kind::Bool,
    };
    "mul", "a * b, elementwise with broadcasting", Operator {
        tensors: |a, b| Some(match (a, b) {
            (Value::Float(a), Value::Float(b)) => Value::Float(B::float_mul(a, b)),
            (Value::Int(a), Value::Int(b)) => Value::Int(B::int_mul(a, b)),
            (a, b) => Value::Bool(B::bool_and(a.into_primitive(), b.into_primitive())),
        }),
        float: |a, b| B::float_mul_scalar(a, b.into()),
        least: Kind::Bool,
    };
    "div", "a / b as floats, elementwise with broadcasting", Operator {
        tensors: |a, b| Some(Value::Float(B::float_div(a.into_primitive(), b.into_primitive()))),
        float: |a, b| B::float_div_scalar(a, b.into()),
        least: Kind::Float,
    };
    "floordiv", "a / b rounded down, elementwise with broadcasting", Operator {
        tensors: |a, b| Some(match (a, b) {
            (Value::Float(a), Value::Float(b)) => Value::Float(B::float_floor(B::float_div(a, b))),
            // burn's division of ints rounds towards zero; without the remainder it is exact.
            (Value::Int(a), Value::Int(b)) => {
                let whole = B::int_sub(a.clone(), B::int_remainder(a, b.clone()));
                Value::Int(B::int_div(whole, b))
            }
            _ => return None,
        }),
        float: |a, b| B::float_floor(B::float_div_scalar(a, b.into())),
        least: Kind::Bool,
    };
    "mod", "the remainder of a / b with the sign of b, elementwise with broadcasting", Operator {
        tensors: |a, b| Some(match (a, b) {
            (Value::Float(a), Value::Float(b)) => Value::Float(B::float_remainder(a, b)),
            (Value::Int(a), Value::Int(b)) => Value::Int(B::int_remainder(a, b)),
            _ => return None,
        }),
        float: |a, b| B::float_remainder_scalar(a, b.into()),
        least: Kind::Bool,
    };
    "pow", "a to the power of b, elementwise with broadcasting", Operator {
        tensors: |a, b| Some(match (a, b) {
            (Value::Float(a), Value::Float(b)) => Value::Float(B::float_powf(a, b)),
            (Value::Int(a), Value::Int(b)) => Value::Int(B::int_powi(a, b)),
            _ => return None,
        }),
        float: power,
        least: Kind::Bool,
    };
    "maximum", "the larger of a and b, elementwise with broadcasting", Operator {
        tensors: |a, b| Some(extreme(a, b, B::float_lower, B::int_lower)),
        float: |a, b| B::float_clamp_min(a, b.into()),
        least: Kind::Int,
    };
    "minimum", "the smaller of a and b, elementwise with broadcasting", Operator {
        tensors: |a, b| Some(extreme(a, b, B::float_greater, B::int_greater)),
        float: |a, b| B::float_clamp_max(a, b.into()),
        least: Kind::Int,
    };
};

/// The tensor code of one operator.
struct Operator {
    /// Two tensors of one kind; nothing where the kind has no such operator.
    tensors: fn(Value, Value) -> Option<Value>,
    /// A float tensor and a number.
    float: fn(Primitive, f64) -> Primitive,
    /// The kind that the sides are promoted to at least.
    least: Kind,
}

type Compare = fn(Primitive, Primitive, burn::tensor::BoolDType) -> Primitive;

/// `b` where the comparison holds, `a` elsewhere.
fn extreme(a: Value, b: Value, float: Compare, int: Compare) -> Value {
    let shape: Vec<usize> =
        a.shape().into_iter().zip(b.shape()).map(|(a, b)| if a == 1 { b } else { a }).collect();
    let (a, b) = (a.expand(shape.clone()), b.expand(shape));
    let dtype = super::layout::bool_dtype(&a.device());
    let (left, right) = (a.primitive().clone(), b.primitive().clone());
    let mask = if a.kind() == Kind::Float { float(left, right, dtype) } else { int(left, right, dtype) };
    a.replaced(mask, b)
}

/// Exponents that `PyTorch` computes by other means than the power function.
fn power(a: Primitive, exponent: f64) -> Primitive {
    match exponent {
        1.0 => a,
        2.0 => B::float_mul(a.clone(), a),
        3.0 => B::float_mul(B::float_mul(a.clone(), a.clone()), a),
        0.5 => B::float_sqrt(a),
        -0.5 => B::float_recip(B::float_sqrt(a)),
        -1.0 => B::float_recip(a),
        _ => B::float_powf_scalar(a, exponent.into()),
    }
}

fn operator(call: &mut Call, name: &'static str, operator: &Operator) -> Result<Traced, Fault> {
    let pair = pair(call, "a", "b", operator.least)?;
    let no_bools = matches!(name, "sub" | "floordiv" | "mod" | "pow");
    if pair.kind == Kind::Bool && no_bools {
        let fault = Fault::new("wrong-kind", format!("`{name}` of truth values, expected numbers"));
        return Err(fault.help("write `cast(x, \"int\")`, or one of `&`, `|`, `~`"));
    }
    let (tensors, float) = (operator.tensors, operator.float);
    let ty = TensorType { kind: pair.kind, shape: pair.shape.clone() };
    let run = kernel(move |mut inputs, context| {
        let result = match pair.sides(&mut inputs, context)? {
            Sides::Number(Value::Float(a), number) => Some(Value::Float(float(a, number))),
            Sides::Number(a, number) => {
                let b = a.filled_like(vec![1; a.rank()], number);
                tensors(a, b)
            }
            Sides::Tensors(a, b) => tensors(a, b),
        };
        Ok(result.expect("the tracer refuses kinds without this operator").into())
    });
    Ok(Traced::one(run, ty))
}

#[cfg(test)]
mod tests {
    use crate::ops::Kind;
    use crate::ops::testing::{
        TestArg, assert_close, bools, check_gradient, check_half, fault, floats, ints, run, run_one, sample,
    };

    fn call(op: &str, a: impl Into<TestArg>, b: impl Into<TestArg>) -> (Vec<usize>, Vec<f32>) {
        run_one(op, &[("a", a.into()), ("b", b.into())])
    }

    #[test]
    fn tensors_broadcast_from_the_end() {
        let a = floats(&[2, 1, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).symbolic(&[0]);
        let (shape, found) = call("add", a, floats(&[2, 1], &[10.0, 20.0]));
        assert_eq!(shape, [2, 2, 3]);
        assert_eq!(found, [11.0, 12.0, 13.0, 21.0, 22.0, 23.0, 14.0, 15.0, 16.0, 24.0, 25.0, 26.0]);
        assert_eq!(call("mul", sample(&[0, 3]), sample(&[1, 3])).0, [0, 3]);
        let wrong = fault("add", &[("a", sample(&[2, 3])), ("b", sample(&[2, 2]))]);
        assert!(wrong.message.contains("[2, 3] and [2, 2]"), "{}", wrong.message);
    }

    #[test]
    fn kinds_are_promoted_as_in_pytorch() {
        let kind = |op: &str, a: TestArg, b: TestArg| run(op, &[("a", a), ("b", b)])[0].kind();
        let (x, n, t) = (floats(&[2], &[1.0, 2.0]), ints(&[2], &[7, -7]), bools(&[2], &[true, false]));
        assert_eq!(kind("add", n.clone(), 2i64.into()), Kind::Int);
        assert_eq!(kind("add", n.clone(), 2.5.into()), Kind::Float);
        assert_eq!(kind("mul", t.clone(), x.clone()), Kind::Float);
        assert_eq!(kind("mul", t.clone(), n.clone()), Kind::Int);
        assert_eq!(kind("add", t.clone(), t.clone()), Kind::Bool);
        assert_eq!(kind("div", n.clone(), 2i64.into()), Kind::Float);
        assert_eq!(kind("mul", x, TestArg::Size(3)), Kind::Float);
        assert!(fault("sub", &[("a", t.clone()), ("b", t)]).help.is_some());
        assert_eq!(call("sub", 3i64, TestArg::Size(2)), (vec![], vec![1.0]));
        assert_eq!(call("div", n, 2i64).1, [3.5, -3.5]);
    }

    #[test]
    fn division_and_remainder_round_as_python() {
        let n = ints(&[4], &[7, -7, 7, -7]);
        let by = ints(&[4], &[2, 2, -2, -2]);
        assert_eq!(call("floordiv", n.clone(), by.clone()).1, [3.0, -4.0, -4.0, 3.0]);
        assert_eq!(call("mod", n.clone(), by).1, [1.0, 1.0, -1.0, -1.0]);
        assert_eq!(call("floordiv", n.clone(), 2i64).1, [3.0, -4.0, 3.0, -4.0]);
        assert_eq!(call("mod", n, TestArg::Size(4)).1, [3.0, 1.0, 3.0, 1.0]);
        let x = floats(&[2], &[7.5, -7.5]);
        assert_eq!(call("floordiv", x.clone(), 2i64).1, [3.0, -4.0]);
        assert_eq!(call("mod", x, 2.0).1, [1.5, 0.5]);
    }

    #[test]
    fn numbers_stand_on_either_side() {
        let x = floats(&[3], &[1.0, 2.0, 4.0]);
        assert_eq!(call("sub", 1i64, x.clone()).1, [0.0, -1.0, -3.0]);
        assert_eq!(call("div", 1i64, x.clone()).1, [1.0, 0.5, 0.25]);
        assert_eq!(call("pow", 2i64, x.clone()).1, [2.0, 4.0, 16.0]);
        for (exponent, expected) in [
            (0.5, [1.0, 2.0f32.sqrt(), 2.0]),
            (-0.5, [1.0, 0.5f32.sqrt(), 0.5]),
            (-1.0, [1.0, 0.5, 0.25]),
            (3.0, [1.0, 8.0, 64.0]),
            (1.7, [1.0, 2.0f32.powf(1.7), 4.0f32.powf(1.7)]),
        ] {
            assert_close(&call("pow", x.clone(), exponent).1, &expected);
        }
        assert_eq!(call("pow", ints(&[2], &[3, -2]), 2i64).1, [9.0, 4.0]);
        assert_eq!(call("maximum", x.clone(), 2i64).1, [2.0, 2.0, 4.0]);
        assert_eq!(call("minimum", x, floats(&[1, 1], &[2.0])), (vec![1, 3], vec![1.0, 2.0, 2.0]));
    }

    #[test]
    fn gradients_flow() {
        let (a, b) = (floats(&[2, 2], &[1.0, -2.0, 3.0, 0.5]), floats(&[2], &[1.5, 2.5]));
        for op in ["add", "sub", "mul", "div", "maximum"] {
            check_gradient(op, &[("a", a.clone()), ("b", b.clone())]);
            check_gradient(op, &[("a", 2.0.into()), ("b", b.clone())]);
            check_half(op, &[("a", ints(&[2], &[3, 4])), ("b", b.clone())]);
            check_half(op, &[("a", 2.0.into()), ("b", b.clone())]);
        }
        // Whole numbers and truth values stand in no graph of gradients, and yet meet numbers that do.
        for other in [ints(&[2, 3], &[1, 2, 0, -1, 3, 4]), bools(&[3], &[true, false, true])] {
            check_gradient("mul", &[("a", sample(&[2, 3])), ("b", other.clone())]);
            check_gradient("add", &[("a", other), ("b", sample(&[2, 3]))]);
        }
        check_gradient("pow", &[("a", b.clone()), ("b", 2i64.into())]);
        check_gradient("pow", &[("a", b), ("b", 1.7.into())]);
    }
}
