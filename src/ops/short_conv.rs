//! Causal depthwise convolution over time, as in Mamba and gated delta networks: `short_conv`.
//!
//! Takes x `[batch, time, channels]` and a weight `[channels, 1, kernel]`; gives like x. A generation keeps the last
//! `kernel - 1` tokens. Computed tap by tap, which needs no transpose and no padding of channels.
//!
//! Absent on purpose: convolutions that are not causal or not depthwise; see the convolution ops.

use burn::tensor::{FloatDType, Tensor, TensorPrimitive};

use super::activation::{Elementwise, by_name};
use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::reduce::sum_over;
use super::types::{Const, Kind, show_shape};
use super::{Dim, Op, StateId, Value, kept};

pub(super) const OPS: &[Op] = &[Op {
    name: "short_conv",
    signature: "x, weight, bias=None, *, activation=None",
    summary: "causal depthwise convolution of x [batch, time, channels] with weight [channels, 1, kernel]: like x; \
              keeps the last tokens while generating",
    trace: short_conv,
}];

fn short_conv(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.ranked("x", 3)?;
    let weight = call.ranked("weight", 3)?;
    let bias = call.optional_tensor("bias")?;
    let activation = match call.constant("activation")? {
        Const::None => None,
        name => {
            let name = name.as_str().ok_or_else(|| Fault::value("the name of an activation is a string"));
            Some(name.and_then(by_name).map_err(|fault| fault.of("activation"))?)
        }
    };
    call.same(
        &x.shape[2],
        &weight.shape[0],
        format_args!("channels of x {} and weight {}", show_shape(&x.shape), show_shape(&weight.shape)),
    )
    .map_err(|fault| fault.of("weight"))?;
    let kernel = weight.shape[2].known().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
    let (Some(kernel), Some(1)) = (kernel, weight.shape[1].known()) else {
        let found = show_shape(&weight.shape);
        return Err(Fault::shape(format!("`weight` is {found}, expected [channels, 1, kernel]")).of("weight"));
    };
    if let Some(bias) = bias.filter(|bias| bias.kind != Kind::Float || *bias.shape != weight.shape[..1]) {
        let expected = show_shape(&weight.shape[..1]);
        return Err(Fault::shape(format!("`bias` is `{bias}`, expected `float{expected}`")).of("bias"));
    }
    let (time, state) = (x.shape[1].clone(), call.new_state());
    Ok(Traced::one(ShortConv { kernel, activation, time, state }, x))
}

#[derive(Debug)]
struct ShortConv {
    kernel: usize,
    activation: Option<Elementwise>,
    time: Dim,
    state: StateId,
}

impl Kernel for ShortConv {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let (x, weight, bias) = (inputs.take(), inputs.take(), inputs.optional());
        let width = FloatDType::from(x.dtype());
        let in_f32 = |value: Value| value.to_float(FloatDType::F32);
        let x = in_f32(x).float::<3>();
        let [batch, time, channels] = x.dims();
        let taps = in_f32(weight).reshape(vec![channels, self.kernel]).float::<2>();
        let taps: Tensor<B, 3> = taps.swap_dims(0, 1).reshape([1, self.kernel, channels]);
        let before = self.kernel - 1;
        let seen = if before == 0 { x } else { self.with_tail(&x, context)? };
        let mut y = if time == 1 {
            Tensor::from_primitive(TensorPrimitive::Float(sum_over(
                (seen * taps).into_primitive().tensor(),
                1,
            )))
        } else {
            let tap = |index: usize| seen.clone().narrow(1, index, time) * taps.clone().narrow(1, index, 1);
            (1..self.kernel).fold(tap(0), |sum, index| sum + tap(index))
        };
        if let Some(bias) = bias {
            y = y + in_f32(bias).reshape(vec![1, 1, channels]).float::<3>();
        }
        if let Some(activation) = self.activation {
            let primitive = activation(y.into_primitive().tensor());
            y = Tensor::from_primitive(TensorPrimitive::Float(primitive));
        }
        debug_assert_eq!(y.dims(), [batch, time, channels], "a convolution over time keeps the shape");
        Ok(Outputs::One(Value::from(y).to_float(width)))
    }

    fn reads_context(&self) -> bool {
        true
    }
}

impl ShortConv {
    /// The tokens after those that the step before left; leaves the last of them for the next step.
    fn with_tail(&self, x: &Tensor<B, 3>, context: &mut Context<'_>) -> Result<Tensor<B, 3>, RunError> {
        let [batch, time, channels] = x.dims();
        let shape = [batch, self.kernel - 1, channels];
        let zeros = |device| Tensor::<B, 3>::zeros(shape, (device, x.dtype()));
        let tail = kept::begin(context, self.state, &self.time, shape)?;
        let tail = tail.unwrap_or_else(|| zeros(context.device));
        let seen = Tensor::cat(vec![tail, x.clone()], 1);
        if context.past_along(&self.time).is_some() {
            let [b, count, c] = shape;
            // A copy, so that the state does not hold on to the whole prompt.
            let tail = seen.clone().narrow(1, time, count);
            let tail = zeros(context.device).slice_assign([0..b, 0..count, 0..c], tail);
            kept::finish(context, self.state, &self.time, tail);
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::stepping::Steps;
    use super::super::testing::{TestArg, assert_close, check_gradient, fault, noise, run_one, sample};

    const CHANNELS: usize = 3;

    fn expected(batch: usize, time: usize, kernel: usize) -> Vec<f32> {
        let (x, weight, bias) = (noise(batch * time * CHANNELS), noise(CHANNELS * kernel), noise(CHANNELS));
        let mut y = Vec::new();
        for row in 0..batch {
            for token in 0..time {
                for channel in 0..CHANNELS {
                    let taps = (0..kernel).filter(|tap| token + tap + 1 >= kernel).map(|tap| {
                        let from = token + tap + 1 - kernel;
                        x[(row * time + from) * CHANNELS + channel] * weight[channel * kernel + tap]
                    });
                    let sum = taps.sum::<f32>() + bias[channel];
                    y.push(sum / (1.0 + (-sum).exp()));
                }
            }
        }
        y
    }

    fn args(batch: usize, time: usize, kernel: usize) -> Vec<(&'static str, TestArg)> {
        vec![
            ("x", sample(&[batch, time, CHANNELS]).symbolic(&[0, 1])),
            ("weight", sample(&[CHANNELS, 1, kernel])),
            ("bias", sample(&[CHANNELS])),
            ("activation", "silu".into()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_generation_and_one_call_equal_the_loops(
            batch in 1usize..3, time in 1usize..9, kernel in 1usize..5, first in 1usize..9, second in 1usize..4,
        ) {
            let expected = expected(batch, time, kernel);
            assert_close(&run_one("short_conv", &args(batch, time, kernel)).1, &expected);
            let args = args(batch, time, kernel).into_iter();
            let args = args.map(|(name, arg)| (name, arg, (name == "x").then_some(1))).collect();
            let first = first.min(time);
            let second = second.min(time - first);
            let mut chunks = vec![first];
            chunks.extend([second].iter().filter(|size| **size > 0));
            chunks.extend(vec![1; time - first - second]);
            assert_close(&Steps::new("short_conv", time, 1, args).stepped(&chunks, time), &expected);
        }
    }

    #[test]
    fn gradients_pass_through_and_wrong_shapes_are_named() {
        check_gradient("short_conv", &args(1, 3, 2)[..3]);
        let mut wrong = args(1, 3, 2);
        wrong[1] = ("weight", sample(&[CHANNELS, 2, 2]));
        assert_eq!(fault("short_conv", &wrong).parameter, Some("weight"));
        wrong[1] = ("weight", sample(&[4, 1, 2]));
        assert_eq!(fault("short_conv", &wrong).parameter, Some("weight"));
    }
}
