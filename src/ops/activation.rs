//! Activations, by function name and by the name a config gives (`hidden_act`).

use burn::tensor::ops::{ActivationOps, FloatTensorOps};

use super::backend::{B, Primitive};
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::{Op, Value};

pub(super) const OPS: &[Op] = &[Op {
    name: "act",
    signature: "x, name",
    summary: "the activation that a config names, such as `silu` or `gelu_pytorch_tanh`, elementwise",
    trace: act,
}];

type Elementwise = fn(Primitive) -> Primitive;

/// The activation of that name, as `transformers.activations.ACT2FN` defines it.
fn by_name(name: &str) -> Option<Elementwise> {
    Some(match name {
        "silu" | "swish" => |x| B::float_mul(x.clone(), B::sigmoid(x)),
        "relu" => B::relu,
        "linear" => |x| x,
        _ => return None,
    })
}

fn act(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let name = call.str("name")?;
    let Some(function) = by_name(&name) else {
        return Err(Fault::value(format!("`{name}` is not an activation")).of("name"));
    };
    Ok(Traced::one(Activation(function), x))
}

#[derive(Debug)]
struct Activation(Elementwise);

impl Kernel for Activation {
    fn run(&self, mut inputs: Inputs, _: &mut Context<'_>) -> Result<Outputs, RunError> {
        Ok(Value::Float((self.0)(inputs.take().into_primitive())).into())
    }
}
