//! The activations that a config names (`hidden_act`), as `transformers.activations.ACT2FN` defines them.
//!
//! In: floats of any shape. Out: the same shape. Each is written with as few passes over the numbers as the
//! backend's fused functions allow: `0.5 * (1 + tanh(z))` is `sigmoid(2 z)`, `log(1 + exp(x))` is
//! `-log_sigmoid(-x)`.
//!
//! Absent on purpose: activations with learned parameters.

use burn::tensor::ops::{ActivationOps, FloatTensorOps};

use super::Op;
use super::backend::{B, Primitive};
use super::call::{Call, Fault, Traced};
use super::function::elementwise;

pub(super) const OPS: &[Op] = &[Op {
    name: "act",
    signature: "x, name",
    summary: "the activation that a config names, such as `silu` or `gelu_pytorch_tanh`, elementwise",
    trace: act,
}];

/// A function of every element.
pub(super) type Elementwise = fn(Primitive) -> Primitive;

/// Every activation by its names.
const ACTIVATIONS: &[(&str, Elementwise)] = &[
    ("silu", silu),
    ("swish", silu),
    ("gelu", B::gelu),
    ("gelu_python", B::gelu),
    ("gelu_10", |x| B::float_clamp(B::gelu(x), (-10.0).into(), 10.0.into())),
    ("gelu_new", gelu_tanh),
    ("gelu_fast", gelu_tanh),
    ("gelu_accurate", gelu_tanh),
    ("gelu_pytorch_tanh", gelu_tanh),
    ("gelu_python_tanh", gelu_tanh),
    ("quick_gelu", quick_gelu),
    ("relu", B::relu),
    ("relu2", |x| squared(B::relu(x))),
    ("relu6", |x| B::float_clamp(x, 0.0.into(), 6.0.into())),
    ("leaky_relu", |x| B::leaky_relu(x, 0.01.into())),
    ("sigmoid", B::sigmoid),
    ("tanh", B::float_tanh),
    ("softplus", softplus),
    ("mish", |x| B::float_mul(x.clone(), B::float_tanh(softplus(x)))),
    ("laplace", laplace),
    ("linear", |x| x),
];

/// The activation of that name, as `transformers.activations.ACT2FN` defines it.
///
/// # Errors
/// A fault with the nearest name.
pub(super) fn by_name(name: &str) -> Result<Elementwise, Fault> {
    if let Some((_, function)) = ACTIVATIONS.iter().find(|(known, _)| *known == name) {
        return Ok(*function);
    }
    let likeness = |known: &str| strsim::jaro_winkler(known, name);
    let nearest =
        ACTIVATIONS.iter().map(|(known, _)| *known).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let fault = Fault::value(format!("`{name}` is not an activation"));
    if let Some(known) = nearest.filter(|known| likeness(known) > 0.7) {
        return Err(fault.help(format!("write `{known}`")));
    }
    let names: Vec<&str> = ACTIVATIONS.iter().map(|(known, _)| *known).collect();
    Err(fault.help(format!("write one of {}", names.join(", "))))
}

fn act(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let name = call.str("name")?;
    let function = by_name(&name).map_err(|fault| fault.of("name"))?;
    Ok(Traced::one(elementwise(function), x))
}

/// `x * sigmoid(x)`.
pub(super) fn silu(x: Primitive) -> Primitive {
    B::float_mul(B::sigmoid(x.clone()), x)
}

/// `log(1 + exp(x))`.
pub(super) fn softplus(x: Primitive) -> Primitive {
    B::float_neg(B::log_sigmoid(B::float_neg(x)))
}

/// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
pub(super) fn gelu_tanh(x: Primitive) -> Primitive {
    const TWICE_SLOPE: f64 = 1.595_769_121_605_730_7; // 2 sqrt(2 / pi)
    let cubic = B::float_mul_scalar(squared(x.clone()), (TWICE_SLOPE * 0.044_715).into());
    let inner = B::float_mul(B::float_add_scalar(cubic, TWICE_SLOPE.into()), x.clone());
    B::float_mul(B::sigmoid(inner), x)
}

/// `x * sigmoid(1.702 x)`.
fn quick_gelu(x: Primitive) -> Primitive {
    B::float_mul(B::sigmoid(B::float_mul_scalar(x.clone(), 1.702.into())), x)
}

/// `0.5 (1 + erf((x - 0.707107) / (0.282095 sqrt(2))))`, as MEGA (arXiv 2209.10655) has it.
#[expect(clippy::approx_constant, reason = "the reference writes the rounded number")]
fn laplace(x: Primitive) -> Primitive {
    let centred = B::float_sub_scalar(x, 0.707_107.into());
    let scaled = B::float_mul_scalar(centred, (std::f64::consts::FRAC_1_SQRT_2 / 0.282_095).into());
    B::float_add_scalar(B::float_mul_scalar(B::float_erf(scaled), 0.5.into()), 0.5.into())
}

fn squared(x: Primitive) -> Primitive {
    B::float_mul(x.clone(), x)
}

#[cfg(test)]
mod tests {
    use super::ACTIVATIONS;
    use crate::ops::testing::{assert_close, check_gradient, fault, floats, run_one};

    const INPUT: [f32; 5] = [-12.0, -1.5, -0.3, 0.4, 7.0];

    // ACT2FN[name](torch.tensor(INPUT)), PyTorch 2.15.
    #[expect(
        clippy::unreadable_literal,
        clippy::excessive_precision,
        reason = "recorded as PyTorch prints them"
    )]
    const EXPECTED: &[(&str, [f32; 5])] = &[
        ("silu", [-7.37300943e-05, -0.273638278, -0.127667248, 0.239475071, 6.99362278]),
        ("swish", [-7.37300943e-05, -0.273638278, -0.127667248, 0.239475071, 6.99362278]),
        ("gelu", [-0.0, -0.10021086, -0.114626579, 0.262168705, 7.0]),
        ("gelu_python", [-0.0, -0.100210771, -0.114626579, 0.262168705, 7.0]),
        ("gelu_10", [-0.0, -0.10021086, -0.114626579, 0.262168705, 7.0]),
        ("gelu_new", [-0.0, -0.100428432, -0.114629082, 0.262161195, 7.0]),
        ("gelu_fast", [-0.0, -0.100428432, -0.114629082, 0.262161165, 7.0]),
        ("gelu_accurate", [-0.0, -0.100428432, -0.114629082, 0.262161195, 7.0]),
        ("gelu_pytorch_tanh", [-0.0, -0.100428432, -0.114629082, 0.262161165, 7.0]),
        ("gelu_python_tanh", [-0.0, -0.100428432, -0.114629082, 0.262161195, 7.0]),
        ("quick_gelu", [-1.61864211e-08, -0.108337805, -0.112515867, 0.265566915, 6.99995327]),
        ("relu", [0.0, 0.0, 0.0, 0.400000006, 7.0]),
        ("relu2", [0.0, 0.0, 0.0, 0.160000011, 49.0]),
        ("relu6", [0.0, 0.0, 0.0, 0.400000006, 6.0]),
        ("leaky_relu", [-0.119999997, -0.0149999997, -0.00300000003, 0.400000006, 7.0]),
        ("sigmoid", [6.14417422e-06, 0.182425529, 0.425557494, 0.598687649, 0.999089003]),
        ("tanh", [-1.0, -0.905148268, -0.291312635, 0.379948974, 0.999998331]),
        ("softplus", [6.14419332e-06, 0.201413289, 0.554355264, 0.913015246, 7.00091171]),
        ("mish", [-7.37303199e-05, -0.298099756, -0.15113318, 0.289030522, 6.99998856]),
        ("laplace", [0.0, 0.0, 0.000178426504, 0.138150781, 1.0]),
        ("linear", [-12.0, -1.5, -0.300000012, 0.400000006, 7.0]),
    ];

    #[test]
    fn every_name_equals_the_reference() {
        assert_eq!(EXPECTED.len(), ACTIVATIONS.len(), "every activation is recorded");
        for (name, expected) in EXPECTED {
            let (shape, found) = run_one("act", &[("x", floats(&[5, 1], &INPUT)), ("name", (*name).into())]);
            assert_eq!(shape, [5, 1]);
            assert_close(&found, expected);
        }
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest() {
        let call = |name: &str| fault("act", &[("x", floats(&[1], &[0.0])), ("name", name.into())]);
        assert_eq!(call("gelu_pytorch").help.as_deref(), Some("write `gelu_pytorch_tanh`"));
        assert!(call("xyz").help.is_some_and(|help| help.contains("silu, swish")));
    }

    #[test]
    fn gradients_flow() {
        for (name, _) in ACTIVATIONS {
            let x = floats(&[4], &[-1.5, -0.3, 0.4, 1.2]);
            check_gradient("act", &[("x", x), ("name", (*name).into())]);
        }
    }
}
