//! Functions of one number, applied to every element.
//!
//! In: a tensor of any shape; ints and truth values become floats first, as in `PyTorch`. Out: the same shape.
//!
//! Absent on purpose: what a config names (`activation.rs`), two operands (`arithmetic.rs`).

use burn::tensor::ops::{ActivationOps, FloatTensorOps, IntTensorOps};

use super::backend::{B, Primitive};
use super::call::{Call, Fault, Traced};
use super::function::{elementwise, kernel};
use super::layout::bool_dtype;
use super::types::{Kind, TensorType};
use super::value::Value;
use super::{Op, activation};

macro_rules! functions {
    ($($name:literal, $summary:literal, $function:expr;)*) => {
        &[
            $(Op { name: $name, signature: "x", summary: $summary, trace: |call| float_function(call, $function) },)*
            Op { name: "abs", signature: "x", summary: "the absolute value, elementwise", trace: abs },
            Op { name: "neg", signature: "x", summary: "the negative, elementwise", trace: neg },
            Op { name: "square", signature: "x", summary: "x times x, elementwise", trace: square },
            Op {
                name: "gelu",
                signature: "x, approximate=\"none\"",
                summary: "x times the normal distribution function of x; `tanh` approximates it, elementwise",
                trace: gelu,
            },
            Op {
                name: "leaky_relu",
                signature: "x, slope=0.01",
                summary: "x where positive, slope times x elsewhere",
                trace: leaky_relu,
            },
            Op {
                name: "clamp",
                signature: "x, min=None, max=None",
                summary: "x, at least `min` and at most `max`, elementwise",
                trace: clamp,
            },
            Op { name: "isnan", signature: "x", summary: "whether an element is no number: bool", trace: isnan },
        ]
    };
}

pub(super) const OPS: &[Op] = functions! {
    "relu", "x where positive, 0 elsewhere", B::relu;
    "silu", "x times the sigmoid of x, elementwise", activation::silu;
    "sigmoid", "1 / (1 + exp(-x)), elementwise", B::sigmoid;
    "log_sigmoid", "the logarithm of the sigmoid of x, elementwise", B::log_sigmoid;
    "tanh", "the hyperbolic tangent, elementwise", B::float_tanh;
    "softplus", "log(1 + exp(x)), elementwise", activation::softplus;
    "exp", "e to the power of x, elementwise", B::float_exp;
    "log", "the natural logarithm, elementwise", B::float_log;
    "log1p", "the natural logarithm of 1 + x, elementwise", B::float_log1p;
    "sqrt", "the square root, elementwise", B::float_sqrt;
    "rsqrt", "1 / sqrt(x), elementwise", |x| B::float_recip(B::float_sqrt(x));
    "sin", "the sine, elementwise", B::float_sin;
    "cos", "the cosine, elementwise", B::float_cos;
    "erf", "the error function, elementwise", B::float_erf;
    "floor", "the largest whole number that is not above x, elementwise", B::float_floor;
    "ceil", "the smallest whole number that is not below x, elementwise", B::float_ceil;
    "round", "the nearest whole number, halves to the even one, elementwise", B::float_round;
    "sign", "-1, 0 or 1 by the sign of x, elementwise", B::float_sign;
};

fn float_function(call: &mut Call, function: fn(Primitive) -> Primitive) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    Ok(Traced::one(elementwise(function), TensorType::float(x.shape)))
}

/// A function that keeps ints as ints.
fn number_function(
    call: &mut Call,
    float: fn(Primitive) -> Primitive,
    int: fn(Primitive) -> Primitive,
) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    if x.kind == Kind::Bool {
        return Err(Fault::new("wrong-kind", format!("`x` is `{x}`, expected numbers")).of("x"));
    }
    let run = kernel(move |mut inputs, _| {
        Ok(match inputs.take() {
            Value::Int(x) => Value::Int(int(x)).into(),
            x => Value::Float(float(x.into_primitive())).into(),
        })
    });
    Ok(Traced::one(run, x))
}

fn abs(call: &mut Call) -> Result<Traced, Fault> {
    number_function(call, B::float_abs, B::int_abs)
}

fn neg(call: &mut Call) -> Result<Traced, Fault> {
    number_function(call, B::float_neg, B::int_neg)
}

fn square(call: &mut Call) -> Result<Traced, Fault> {
    number_function(call, |x| B::float_mul(x.clone(), x), |x| B::int_mul(x.clone(), x))
}

fn gelu(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let function = match &*call.str("approximate")? {
        "none" => B::gelu,
        "tanh" => activation::gelu_tanh,
        other => {
            let message = format!("`{other}` is no approximation of gelu, expected \"none\" or \"tanh\"");
            return Err(Fault::value(message).of("approximate"));
        }
    };
    Ok(Traced::one(elementwise(function), x))
}

fn leaky_relu(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let slope = call.float("slope")?;
    Ok(Traced::one(elementwise(move |x| B::leaky_relu(x, slope.into())), x))
}

fn clamp(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let (min, max) = (call.optional_float("min")?, call.optional_float("max")?);
    if min.is_none() && max.is_none() {
        return Err(Fault::value("neither `min` nor `max` is given, expected at least one"));
    }
    let whole = |bound: Option<f64>| bound.is_none_or(|bound| bound.fract() == 0.0);
    if x.kind != Kind::Float && !(x.kind == Kind::Int && whole(min) && whole(max)) {
        return Err(
            Fault::new("wrong-kind", format!("`x` is `{x}`, expected floats or whole bounds")).of("x")
        );
    }
    let run = kernel(move |mut inputs, _| {
        Ok(match inputs.take() {
            Value::Int(x) => {
                let x = min.into_iter().fold(x, |x, min| B::int_clamp_min(x, min.into()));
                Value::Int(max.into_iter().fold(x, |x, max| B::int_clamp_max(x, max.into()))).into()
            }
            x => {
                let x = min.into_iter().fold(x.into_primitive(), |x, min| B::float_clamp_min(x, min.into()));
                Value::Float(max.into_iter().fold(x, |x, max| B::float_clamp_max(x, max.into()))).into()
            }
        })
    });
    Ok(Traced::one(run, x))
}

fn isnan(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let run = kernel(|mut inputs, _| {
        let x = inputs.take();
        let dtype = bool_dtype(&x.device());
        Ok(Value::Bool(B::float_is_nan(x.into_primitive(), dtype)).into())
    });
    Ok(Traced::one(run, TensorType { kind: Kind::Bool, shape: x.shape }))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        assert_close, check_gradient, check_half, fault, floats, ints, noise, run_one, sample,
    };

    fn check(op: &str, function: impl Fn(f64) -> f64) {
        let (shape, found) = run_one(op, &[("x", sample(&[3, 0]))]);
        assert_eq!((shape, found), (vec![3, 0], vec![]));
        let input: Vec<f32> = noise(20).iter().map(|x| x.abs() + 0.1).collect();
        let (_, found) = run_one(op, &[("x", floats(&[4, 5], &input).symbolic(&[0]))]);
        #[expect(clippy::cast_possible_truncation, reason = "compared as f32")]
        let expected: Vec<f32> = input.iter().map(|x| function(f64::from(*x)) as f32).collect();
        assert_close(&found, &expected);
    }

    #[test]
    fn functions_equal_those_of_the_standard_library() {
        check("relu", |x| x.max(0.0));
        check("sigmoid", |x| 1.0 / (1.0 + (-x).exp()));
        check("log_sigmoid", |x| -(-x).exp().ln_1p());
        check("silu", |x| x / (1.0 + (-x).exp()));
        check("softplus", |x| x.exp().ln_1p());
        check("tanh", f64::tanh);
        check("exp", f64::exp);
        check("log", f64::ln);
        check("log1p", f64::ln_1p);
        check("sqrt", f64::sqrt);
        check("rsqrt", |x| 1.0 / x.sqrt());
        check("sin", f64::sin);
        check("cos", f64::cos);
        check("floor", f64::floor);
        check("ceil", f64::ceil);
        check("round", f64::round_ties_even);
        check("square", |x| x * x);
        check("neg", |x| -x);
        check("abs", f64::abs);
    }

    #[test]
    fn ints_stay_ints_where_the_result_is_whole_and_become_floats_elsewhere() {
        assert_eq!(run_one("abs", &[("x", ints(&[3], &[-2, 0, 3]))]).1, [2.0, 0.0, 3.0]);
        assert_close(&run_one("sqrt", &[("x", ints(&[2], &[4, 9]))]).1, &[2.0, 3.0]);
        assert_eq!(run_one("round", &[("x", floats(&[4], &[0.5, 1.5, -0.5, 2.5]))]).1, [0.0, 2.0, 0.0, 2.0]);
        assert_eq!(run_one("sign", &[("x", floats(&[3], &[-3.0, 0.0, 0.2]))]).1, [-1.0, 0.0, 1.0]);
    }

    #[test]
    fn bounds_and_slopes() {
        let x = floats(&[4], &[-2.0, -0.5, 0.5, 2.0]);
        assert_eq!(run_one("clamp", &[("x", x.clone()), ("min", (-1i64).into())]).1, [-1.0, -0.5, 0.5, 2.0]);
        let both = [("x", x.clone()), ("min", (-1.0).into()), ("max", 1.0.into())];
        assert_eq!(run_one("clamp", &both).1, [-1.0, -0.5, 0.5, 1.0]);
        assert_eq!(run_one("clamp", &[("x", ints(&[2], &[-4, 9])), ("max", 3i64.into())]).1, [-4.0, 3.0]);
        assert_close(
            &run_one("leaky_relu", &[("x", x.clone()), ("slope", 0.1.into())]).1,
            &[-0.2, -0.05, 0.5, 2.0],
        );
        assert!(fault("clamp", &[("x", x.clone())]).message.contains("neither"));
        assert_eq!(
            fault("gelu", &[("x", x), ("approximate", "exact".into())]).parameter,
            Some("approximate")
        );
        let nan = floats(&[2], &[f32::NAN, 1.0]);
        assert_eq!(run_one("isnan", &[("x", nan)]).1, [1.0, 0.0]);
    }

    // torch.erf and F.gelu of [-1, -0.25, 0.5, 2], PyTorch 2.
    #[test]
    fn erf_and_gelu_equal_pytorch() {
        let x = floats(&[4], &[-1.0, -0.25, 0.5, 2.0]);
        let erf = [-0.842_700_8, -0.276_326_4, 0.520_499_9, 0.995_322_3];
        assert_close(&run_one("erf", &[("x", x.clone())]).1, &erf);
        let gelu = [-0.158_655_26, -0.100_323_42, 0.345_731_23, 1.954_499_8];
        assert_close(&run_one("gelu", &[("x", x.clone())]).1, &gelu);
        let tanh = [-0.158_808, -0.100_324_65, 0.345_714, 1.954_597_7];
        assert_close(&run_one("gelu", &[("x", x), ("approximate", "tanh".into())]).1, &tanh);
    }

    #[test]
    fn gradients_flow() {
        let positive: Vec<f32> = noise(6).iter().map(|x| x.abs() + 0.3).collect();
        for op in ["silu", "softplus", "log", "rsqrt", "gelu", "erf", "square", "abs", "tanh", "leaky_relu"] {
            check_gradient(op, &[("x", floats(&[2, 3], &positive))]);
            check_half(op, &[("x", floats(&[2, 3], &positive))]);
        }
        check_gradient("clamp", &[("x", floats(&[2, 3], &positive)), ("max", 1.03.into())]);
    }
}
