//! Products with learned weights: `linear` and `embedding`.

use burn::tensor::{Tensor, module};

use super::Op;
use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::lookup::within;
use super::types::{Kind, TensorType, show_shape};

pub(super) const OPS: &[Op] = &[
    Op {
        name: "linear",
        signature: "x, weight, bias=None",
        summary: "x [..., in] times the transpose of weight [out, in], plus bias [out]: [..., out]",
        trace: linear,
    },
    Op {
        name: "embedding",
        signature: "ids, weight",
        summary: "the rows of weight [rows, size] that ids [...] name: [..., size]",
        trace: embedding,
    },
];

fn linear(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let weight = call.ranked("weight", 2)?;
    let bias = call.optional_tensor("bias")?;
    let Some((size, outer)) = x.shape.split_last() else {
        return Err(Fault::shape("`x` has no dimensions, expected [..., in]").of("x"));
    };
    call.same(
        size,
        &weight.shape[1],
        format_args!(
            "the last size of x {} and of weight {}",
            show_shape(&x.shape),
            show_shape(&weight.shape)
        ),
    )
    .map_err(|fault| fault.of("x"))?;
    if let Some(bias) = bias {
        call.same(&bias.shape[0], &weight.shape[0], "the sizes of bias and of weight's rows")?;
    }
    let mut shape = outer.to_vec();
    shape.push(weight.shape[0].clone());
    Ok(Traced::one(Linear, TensorType::float(shape)))
}

#[derive(Debug)]
struct Linear;

impl Kernel for Linear {
    fn run(&self, mut inputs: Inputs, _: &mut Context<'_>) -> Result<Outputs, RunError> {
        let (x, weight, bias) = (inputs.take(), inputs.take(), inputs.optional());
        let mut shape = x.shape();
        let size = shape.pop().unwrap_or(1);
        let rows = shape.iter().product::<usize>();
        let x: Tensor<B, 2> = x.reshape(vec![rows, size]).float();
        let y = x.matmul(weight.float::<2>().transpose());
        let y = match bias {
            Some(bias) => y + bias.float::<1>().unsqueeze(),
            None => y,
        };
        shape.push(y.dims()[1]);
        Ok(super::Value::from(y).reshape(shape).into())
    }
}

fn embedding(call: &mut Call) -> Result<Traced, Fault> {
    let ids = call.tensor_of("ids", Kind::Int)?;
    let weight = call.ranked("weight", 2)?;
    let mut shape = ids.shape.to_vec();
    shape.push(weight.shape[1].clone());
    Ok(Traced::one(Embedding, TensorType::float(shape)))
}

#[derive(Debug)]
struct Embedding;

impl Kernel for Embedding {
    fn run(&self, mut inputs: Inputs, _: &mut Context<'_>) -> Result<Outputs, RunError> {
        let (ids, weight) = (inputs.take(), inputs.take());
        let mut shape = ids.shape();
        let count = shape.iter().product::<usize>();
        within("ids", &ids, weight.shape()[0])?;
        let rows = module::embedding(weight.float::<2>(), ids.reshape(vec![1, count]).int::<2>());
        shape.push(rows.dims()[2]);
        Ok(super::Value::from(rows).reshape(shape).into())
    }
}
