//! Convolutions over one, two and three axes, and transposed ones.
//!
//! In: x [batch, channels, …], weight [out, channels / groups, kernel…] (transposed: [channels, out / groups, …]) and
//! bias [out]. Out: [batch, out, …] with the sizes of `torch.nn.functional`. Options are one int for all axes or a list.
//!
//! Absent on purpose: causal convolutions with a state; see `short_conv`.

use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, ModuleOps};

use super::Op;
use super::backend::{B, Primitive};
use super::call::{Arg, Call, Fault, Traced};
use super::dim::{Dim, DimError};
use super::function::kernel;
use super::types::{Const, TensorType, show_shape};
use super::value::Value;

const CONV: &str = "x, weight, bias=None, *, stride=1, padding=0, dilation=1, groups=1";
const TRANSPOSED: &str =
    "x, weight, bias=None, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1";

pub(super) const OPS: &[Op] = &[
    Op {
        name: "conv1d",
        signature: CONV,
        summary: "x [b, c, t] convolved with weight [out, c / groups, k]: [b, out, …]; padding may be \"same\"",
        trace: |call| conv(call, B::conv1d),
    },
    Op {
        name: "conv2d",
        signature: CONV,
        summary: "x [b, c, h, w] convolved with weight [out, c / groups, k, k]: [b, out, …]; padding may be \"same\"",
        trace: |call| conv(call, B::conv2d),
    },
    Op {
        name: "conv3d",
        signature: CONV,
        summary: "x [b, c, d, h, w] convolved with weight [out, c / groups, k, k, k]: [b, out, …]",
        trace: |call| conv(call, B::conv3d),
    },
    Op {
        name: "conv_transpose1d",
        signature: TRANSPOSED,
        summary: "the transpose of conv1d: x [b, c, t], weight [c, out / groups, k]: [b, out, …]",
        trace: |call| conv_transpose(call, B::conv_transpose1d),
    },
    Op {
        name: "conv_transpose2d",
        signature: TRANSPOSED,
        summary: "the transpose of conv2d: x [b, c, h, w], weight [c, out / groups, k, k]: [b, out, …]",
        trace: |call| conv_transpose(call, B::conv_transpose2d),
    },
];

/// `N` options of which each is at least `least`.
pub(super) fn options<const N: usize>(
    call: &mut Call,
    name: &'static str,
    least: i64,
) -> Result<[usize; N], Fault> {
    let mut found = [0; N];
    for (option, place) in call.each(name, N)?.into_iter().zip(&mut found) {
        let size = usize::try_from(option).ok().filter(|_| option >= least);
        let fault = || Fault::value(format!("`{name}` is {option}, expected {least} or more")).of(name);
        *place = size.ok_or_else(fault)?;
    }
    Ok(found)
}

/// A size as the tracer counts.
pub(super) fn known(size: usize) -> Dim {
    Dim::Known(i64::try_from(size).unwrap_or(i64::MAX))
}

/// The tensors of a convolution and the number of its groups.
struct Operands {
    x: TensorType,
    weight: TensorType,
    groups: usize,
}

/// Takes x, weight and bias; checks that channels fit.
fn operands(call: &mut Call, spatial: usize, transposed: bool) -> Result<Operands, Fault> {
    let x = call.ranked("x", spatial + 2)?;
    let weight = call.ranked("weight", spatial + 2)?;
    let bias = call.optional_tensor("bias")?;
    let [groups] = options::<1>(call, "groups", 1)?;
    let out = if transposed {
        let what = format_args!(
            "the channels of x {} and of weight {}",
            show_shape(&x.shape),
            show_shape(&weight.shape)
        );
        call.same(&x.shape[1], &weight.shape[0], what).map_err(|fault| fault.of("weight"))?;
        weight.shape[1].mul(&known(groups))?
    } else {
        let channels = weight.shape[1].mul(&known(groups))?;
        let what = format_args!(
            "the channels of x {} and of weight {} in {groups} groups",
            show_shape(&x.shape),
            show_shape(&weight.shape)
        );
        call.same(&x.shape[1], &channels, what).map_err(|fault| fault.of("weight"))?;
        weight.shape[0].clone()
    };
    if weight.shape[0].remainder(&known(groups))?.known().is_some_and(|rest| rest != 0) {
        let message = format!("{} channels in {groups} groups, expected groups of one size", weight.shape[0]);
        return Err(Fault::shape(message).of("groups"));
    }
    if let Some(bias) = bias {
        if bias.rank() != 1 {
            return Err(Fault::shape(format!("`bias` is `{bias}`, expected [{out}]")).of("bias"));
        }
        call.same(&bias.shape[0], &out, "the sizes of bias and of the channels made")
            .map_err(|f| f.of("bias"))?;
    }
    Ok(Operands { x, weight, groups })
}

/// How many positions a window of `kernel` has on an axis: `(size + pads - reach) // stride + 1`.
pub(super) fn windows(
    size: &Dim,
    kernel: &Dim,
    [stride, padding, dilation]: [usize; 3],
) -> Result<Dim, DimError> {
    let reach = kernel.sub(&Dim::Known(1))?.mul(&known(dilation))?.add(&Dim::Known(1))?;
    let room = size.add(&known(2 * padding))?.sub(&reach)?;
    room.floor_div(&known(stride))?.add(&Dim::Known(1))
}

/// A fault if a window does not fit an axis.
pub(super) fn fits(out: &Dim, size: &Dim, kernel: &Dim) -> Result<(), Fault> {
    if out.known().is_some_and(|out| out < 1) {
        return Err(
            Fault::shape(format!("a kernel of {kernel} on an axis of size {size} with its padding")).of("x")
        );
    }
    Ok(())
}

fn conv<const N: usize>(
    call: &mut Call,
    function: fn(Primitive, Primitive, Option<Primitive>, ConvOptions<N>) -> Primitive,
) -> Result<Traced, Fault> {
    let Operands { x, weight, groups } = operands(call, N, false)?;
    let (stride, dilation) = (options::<N>(call, "stride", 1)?, options::<N>(call, "dilation", 1)?);
    // Where "same" needs one more on the right than on the left, both get it and the first result is dropped.
    let (padding, dropped) = match call.peek("padding") {
        Arg::Const(Const::Str(_)) => same_padding(call, &weight, stride, dilation)?,
        _ => (options::<N>(call, "padding", 0)?, [0; N]),
    };
    let mut shape = vec![x.shape[0].clone(), weight.shape[0].clone()];
    for axis in 0..N {
        let (size, kernel) = (&x.shape[axis + 2], &weight.shape[axis + 2]);
        let out = windows(size, kernel, [stride[axis], padding[axis], dilation[axis]])?;
        let out = out.sub(&known(dropped[axis]))?;
        fits(&out, size, kernel)?;
        shape.push(out);
    }
    let settings = ConvOptions::new(stride, padding, dilation, groups);
    let ty = TensorType::float(shape.clone());
    let run = kernel(move |mut inputs, context| {
        let (x, weight, bias) = (inputs.take(), inputs.take(), inputs.optional());
        let sizes = context.sizes(&shape)?;
        if x.shape().contains(&0) || sizes.contains(&0) {
            return Ok(x.filled_like(sizes, 0.0).into());
        }
        let bias = bias.map(Value::into_primitive);
        let y = function(x.into_primitive(), weight.into_primitive(), bias, settings.clone());
        let y = (0..N).filter(|axis| dropped[*axis] > 0).fold(Value::Float(y), |y, axis| {
            let size = y.shape()[axis + 2];
            y.narrow(axis + 2, dropped[axis], size - dropped[axis])
        });
        Ok(y.into())
    });
    Ok(Traced::one(run, ty))
}

/// The padding that keeps sizes at stride 1, and how many first results it makes too many.
fn same_padding<const N: usize>(
    call: &mut Call,
    weight: &TensorType,
    stride: [usize; N],
    dilation: [usize; N],
) -> Result<([usize; N], [usize; N]), Fault> {
    let name = call.str("padding")?;
    if &*name == "valid" {
        return Ok(([0; N], [0; N]));
    }
    if &*name != "same" || stride != [1; N] {
        let message = format!(
            "a padding of `{name}` at a stride of {stride:?}, expected \"same\" at stride 1, or ints"
        );
        return Err(Fault::value(message).of("padding"));
    }
    let (mut padding, mut dropped) = ([0; N], [0; N]);
    for axis in 0..N {
        let kernel = weight.shape[axis + 2].known().and_then(|size| usize::try_from(size).ok());
        let Some(kernel) = kernel else {
            return Err(Fault::value("the size of the kernel is not known").of("padding"));
        };
        let total = dilation[axis] * kernel.saturating_sub(1);
        (padding[axis], dropped[axis]) = (total.div_ceil(2), total % 2);
    }
    Ok((padding, dropped))
}

fn conv_transpose<const N: usize>(
    call: &mut Call,
    function: fn(Primitive, Primitive, Option<Primitive>, ConvTransposeOptions<N>) -> Primitive,
) -> Result<Traced, Fault> {
    let Operands { x, weight, groups } = operands(call, N, true)?;
    let (stride, padding) = (options::<N>(call, "stride", 1)?, options::<N>(call, "padding", 0)?);
    let (extra, dilation) = (options::<N>(call, "output_padding", 0)?, options::<N>(call, "dilation", 1)?);
    let mut shape = vec![x.shape[0].clone(), weight.shape[1].mul(&known(groups))?];
    for axis in 0..N {
        let (size, kernel) = (&x.shape[axis + 2], &weight.shape[axis + 2]);
        if extra[axis] >= stride[axis].max(dilation[axis]) {
            let message =
                format!("`output_padding` is {}, expected less than the stride or dilation", extra[axis]);
            return Err(Fault::value(message).of("output_padding"));
        }
        // (size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1
        let spread = size.sub(&Dim::Known(1))?.mul(&known(stride[axis]))?;
        let reach = kernel.sub(&Dim::Known(1))?.mul(&known(dilation[axis]))?;
        let out = spread.sub(&known(2 * padding[axis]))?.add(&reach)?.add(&known(extra[axis] + 1))?;
        fits(&out, size, kernel)?;
        shape.push(out);
    }
    let settings = ConvTransposeOptions::new(stride, padding, extra, dilation, groups);
    let ty = TensorType::float(shape.clone());
    let run = kernel(move |mut inputs, context| {
        let (x, weight, bias) = (inputs.take(), inputs.take(), inputs.optional());
        if x.shape().contains(&0) {
            return Ok(x.filled_like(context.sizes(&shape)?, 0.0).into());
        }
        let bias = bias.map(Value::into_primitive);
        Ok(Value::Float(function(x.into_primitive(), weight.into_primitive(), bias, settings.clone())).into())
    });
    Ok(Traced::one(run, ty))
}

#[cfg(test)]
#[path = "conv_tests.rs"]
mod tests;
