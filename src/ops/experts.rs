//! The experts of a mixture: `experts`.
//!
//! Takes tokens `[..., hidden]`, the weights and indices `[..., k]` that [`super::route`] gives, and the weights of
//! all experts as two tensors; gives like the tokens. The indices are read on the host, the tokens of one expert are
//! multiplied with its weights at once, and no weight is copied.
//!
//! The clamped variant with `alpha` as in `GptOssExperts` of transformers.
//!
//! Absent on purpose: shared experts, which are plain layers.

use burn::tensor::{Int, Slice, Tensor, TensorData, TensorPrimitive};

use super::activation::{Elementwise, by_name};
use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::layout::with_unit_axis;
use super::positions::to_i32;
use super::types::{Kind, show_shape};
use super::{Dim, Op, Value};

pub(super) const OPS: &[Op] = &[Op {
    name: "experts",
    signature: "x, weights, indices, gate_up, down, *, gate_up_bias=None, down_bias=None, activation=\"silu\", \
                transposed=False, interleaved=False, limit=None, alpha=None",
    summary: "x [..., hidden] through the experts that indices [..., k] name, summed by weights [..., k]; gate_up \
              [experts, 2 inner, hidden] (or inner: no gate), down [experts, hidden, inner]; `transposed`: [experts, in, out]",
    trace: experts,
}];

fn experts(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let weights = call.float_tensor("weights")?;
    let indices = call.tensor_of("indices", Kind::Int)?;
    let gate_up = call.ranked("gate_up", 3)?;
    let down = call.ranked("down", 3)?;
    let gate_up_bias = call.optional_tensor("gate_up_bias")?;
    let down_bias = call.optional_tensor("down_bias")?;
    let activation = by_name(&call.str("activation")?).map_err(|fault| fault.of("activation"))?;
    let transposed = call.bool("transposed")?;
    let interleaved = call.bool("interleaved")?;
    let (limit, alpha) = (call.optional_float("limit")?, call.optional_float("alpha")?);
    let (Some((hidden, outer)), Some((k, chosen))) = (x.shape.split_last(), weights.shape.split_last())
    else {
        return Err(Fault::shape("tokens or weights have no dimensions, expected [..., size]").of("x"));
    };
    if outer.len() != chosen.len() || indices.rank() != weights.rank() {
        let shapes = [&x, &weights, &indices].map(|ty| show_shape(&ty.shape).to_string()).join(", ");
        return Err(Fault::shape(format!(
            "x, weights and indices are {shapes}, expected the same outer sizes"
        )));
    }
    for (axis, size) in outer.iter().chain([k]).enumerate() {
        let what = format_args!("axis {axis} of weights {} and of the rest", show_shape(&weights.shape));
        call.same(&weights.shape[axis], size, what).map_err(|fault| fault.of("weights"))?;
        call.same(&indices.shape[axis], size, what).map_err(|fault| fault.of("indices"))?;
    }
    let (output, input) = if transposed { (2, 1) } else { (1, 2) };
    let inner = down.shape[input].clone();
    for (found, expected, name, what) in [
        (&gate_up.shape[input], hidden, "gate_up", "what gate_up takes and the tokens' size"),
        (&down.shape[output], hidden, "down", "what down gives and the tokens' size"),
        (&down.shape[0], &gate_up.shape[0], "down", "the experts of down and of gate_up"),
    ] {
        call.same(found, expected, what).map_err(|fault| fault.of(name))?;
    }
    let gated = gate_up.shape[output] != inner;
    if gated {
        let double = inner.mul(&Dim::Known(2))?;
        call.same(&gate_up.shape[output], &double, "what gate_up gives and twice what down takes")
            .map_err(|fault| fault.of("gate_up"))?;
    }
    for (bias, size, name) in [
        (gate_up_bias, &gate_up.shape[output], "gate_up_bias"),
        (down_bias, &down.shape[output], "down_bias"),
    ] {
        let expected = [gate_up.shape[0].clone(), size.clone()];
        if let Some(bias) = bias.filter(|bias| bias.kind != Kind::Float || *bias.shape != expected) {
            let expected = show_shape(&expected);
            return Err(Fault::shape(format!("`{name}` is `{bias}`, expected `float{expected}`")).of(name));
        }
    }
    let kernel = Experts { activation, transposed, interleaved, gated, limit, alpha };
    Ok(Traced::one(kernel, x))
}

#[derive(Debug)]
struct Experts {
    activation: Elementwise,
    transposed: bool,
    interleaved: bool,
    gated: bool,
    limit: Option<f64>,
    alpha: Option<f64>,
}

/// The weights of all experts.
struct Layers {
    gate_up: Tensor<B, 3>,
    down: Tensor<B, 3>,
    gate_up_bias: Option<Tensor<B, 2>>,
    down_bias: Option<Tensor<B, 2>>,
}

impl Kernel for Experts {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let (x, weights, indices) = (inputs.take(), inputs.take(), inputs.take());
        let layers = Layers {
            gate_up: inputs.take().float(),
            down: inputs.take().float(),
            gate_up_bias: inputs.optional().map(Value::float),
            down_bias: inputs.optional().map(Value::float),
        };
        let (shape, k) = (x.shape(), indices.shape().last().copied().unwrap_or(0));
        let hidden = shape.last().copied().unwrap_or(0);
        let tokens = shape[..shape.len() - 1].iter().product::<usize>();
        let chosen = Chosen::read(indices, layers.gate_up.dims()[0])?;
        if chosen.slots.is_empty() {
            return Ok(Outputs::One(x));
        }
        let weights = weights.to_float(x.dtype().into()).reshape(vec![tokens, 1, k]).float::<3>();
        let x: Tensor<B, 3> = x.reshape(vec![1, tokens, hidden]).float();
        let mut outputs = Vec::new();
        for (expert, slots) in chosen.by_expert() {
            // A single token needs no gathering.
            let own = if tokens == 1 {
                x.clone()
            } else {
                x.clone().select(1, ints(slots.iter().map(|slot| slot / k), context)?)
            };
            outputs.push(self.expert(own, &layers, expert));
        }
        let sorted: Tensor<B, 3> = Tensor::cat(outputs, 1);
        let in_order = sorted.select(1, ints(chosen.places().into_iter(), context)?);
        let summed = weights.matmul(in_order.reshape([tokens, k, hidden]));
        Ok(Value::from(summed).reshape(shape).into())
    }
}

impl Experts {
    /// One expert over its tokens `[1, tokens, hidden]`.
    fn expert(&self, x: Tensor<B, 3>, layers: &Layers, expert: usize) -> Tensor<B, 3> {
        let up = self.product(x, &layers.gate_up, layers.gate_up_bias.as_ref(), expert);
        self.product(self.activated(up), &layers.down, layers.down_bias.as_ref(), expert)
    }

    fn product(
        &self,
        x: Tensor<B, 3>,
        weight: &Tensor<B, 3>,
        bias: Option<&Tensor<B, 2>>,
        expert: usize,
    ) -> Tensor<B, 3> {
        let weight = weight.clone().narrow(0, expert, 1);
        let y = x.matmul(if self.transposed { weight } else { weight.swap_dims(1, 2) });
        match bias {
            Some(bias) => y + with_unit_axis::<2, 3>(bias.clone().narrow(0, expert, 1), 1),
            None => y,
        }
    }

    fn activated(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let activate = |x: Tensor<B, 3>| {
            let x = (self.activation)(x.into_primitive().tensor());
            Tensor::<B, 3>::from_primitive(TensorPrimitive::Float(x))
        };
        if !self.gated {
            return activate(x);
        }
        let inner = x.dims()[2] / 2;
        let (mut gate, mut up) = if self.interleaved {
            let every = |start: isize| [Slice::full(), Slice::full(), Slice::new(start, None, 2)];
            (x.clone().slice(every(0)), x.slice(every(1)))
        } else {
            (x.clone().narrow(2, 0, inner), x.narrow(2, inner, inner))
        };
        if let Some(limit) = self.limit {
            (gate, up) = (gate.clamp_max(limit), up.clamp(-limit, limit));
        }
        match self.alpha {
            Some(alpha) => gate.clone() * burn::tensor::activation::sigmoid(gate * alpha) * (up + 1.0),
            None => activate(gate) * up,
        }
    }
}

/// The slots (token times k plus rank) of a call, by expert.
struct Chosen {
    experts: usize,
    /// The expert of each slot.
    expert: Vec<usize>,
    /// The slots, those of the first expert first.
    slots: Vec<usize>,
}

impl Chosen {
    fn read(indices: Value, experts: usize) -> Result<Self, RunError> {
        let count = indices.shape().iter().product();
        let data = indices.reshape(vec![count]).int::<1>().into_data();
        let expert = data.iter::<i64>().map(|index| {
            let found = usize::try_from(index).ok().filter(|index| *index < experts);
            found.ok_or_else(|| RunError::new(format!("expert {index} of {experts}")))
        });
        let expert = expert.collect::<Result<Vec<_>, _>>()?;
        let mut slots: Vec<usize> = (0..count).collect();
        slots.sort_by_key(|slot| expert[*slot]);
        Ok(Self { experts, expert, slots })
    }

    /// Each expert that has tokens, with its slots.
    fn by_expert(&self) -> impl Iterator<Item = (usize, &[usize])> {
        debug_assert!(self.expert.iter().all(|expert| *expert < self.experts), "read checks the indices");
        self.slots
            .chunk_by(|a, b| self.expert[*a] == self.expert[*b])
            .map(|slots| (self.expert[slots[0]], slots))
    }

    /// Where each slot stands among the sorted ones.
    fn places(&self) -> Vec<usize> {
        let mut places = vec![0; self.slots.len()];
        for (place, slot) in self.slots.iter().enumerate() {
            places[*slot] = place;
        }
        places
    }
}

fn ints(numbers: impl Iterator<Item = usize>, context: &Context<'_>) -> Result<Tensor<B, 1, Int>, RunError> {
    let numbers = numbers.map(to_i32).collect::<Result<Vec<_>, _>>()?;
    let shape = [numbers.len()];
    Ok(Tensor::from_data(TensorData::new(numbers, shape), context.device))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        Failure, TestArg, assert_close, check_gradient, fault, floats, ints, noise, run_one, sample, try_run,
    };

    const HIDDEN: usize = 3;
    const INNER: usize = 2;
    const EXPERTS: usize = 4;

    /// One expert on one token, from `[experts, out, in]` weights with the gate in the first half.
    fn expert(x: &[f32], index: usize, bias: bool, act: impl Fn(f32, f32) -> f32) -> Vec<f32> {
        let (gate_up, down) = (noise(EXPERTS * 2 * INNER * HIDDEN), noise(EXPERTS * HIDDEN * INNER));
        let (gate_up_bias, down_bias) = (noise(EXPERTS * 2 * INNER), noise(EXPERTS * HIDDEN));
        let row = |out: usize| -> f32 {
            let at = (index * 2 * INNER + out) * HIDDEN;
            let sum: f32 = (0..HIDDEN).map(|i| gate_up[at + i] * x[i]).sum();
            if bias { sum + gate_up_bias[index * 2 * INNER + out] } else { sum }
        };
        let inner: Vec<f32> = (0..INNER).map(|i| act(row(i), row(INNER + i))).collect();
        let out = |out: usize| -> f32 {
            let at = (index * HIDDEN + out) * INNER;
            let sum: f32 = (0..INNER).map(|i| down[at + i] * inner[i]).sum();
            if bias { sum + down_bias[index * HIDDEN + out] } else { sum }
        };
        (0..HIDDEN).map(out).collect()
    }

    fn mixture(indices: &[i32], k: usize, bias: bool, act: impl Fn(f32, f32) -> f32 + Copy) -> Vec<f32> {
        let tokens = indices.len() / k;
        let (x, weights) = (noise(tokens * HIDDEN), noise(indices.len()));
        let mut output = vec![0.0; tokens * HIDDEN];
        for (slot, index) in indices.iter().enumerate() {
            let token = slot / k;
            let index = usize::try_from(*index).expect("an expert");
            let found = expert(&x[token * HIDDEN..(token + 1) * HIDDEN], index, bias, act);
            for (i, value) in found.iter().enumerate() {
                output[token * HIDDEN + i] += value * weights[slot];
            }
        }
        output
    }

    /// The arguments for `rows` × `time` tokens.
    fn args(rows: usize, time: usize, indices: &[i32]) -> Vec<(&'static str, TestArg)> {
        let k = indices.len() / rows / time;
        vec![
            ("x", sample(&[rows, time, HIDDEN]).symbolic(&[0, 1])),
            ("weights", sample(&[rows, time, k]).symbolic(&[0, 1])),
            ("indices", ints(&[rows, time, k], indices).symbolic(&[0, 1])),
            ("gate_up", sample(&[EXPERTS, 2 * INNER, HIDDEN])),
            ("down", sample(&[EXPERTS, HIDDEN, INNER])),
        ]
    }

    fn silu(gate: f32, up: f32) -> f32 {
        gate / (1.0 + (-gate).exp()) * up
    }

    fn clamped(gate: f32, up: f32) -> f32 {
        let (gate, up) = (gate.min(1.5), up.clamp(-1.5, 1.5));
        gate / (1.0 + (-1.7 * gate).exp()) * (up + 1.0)
    }

    #[test]
    fn every_token_goes_through_its_experts() {
        let indices = [2, 0, 1, 2, 3, 2, 0, 3, 2, 1, 1, 0];
        let (shape, found) = run_one("experts", &args(2, 3, &indices));
        assert_eq!(shape, [2, 3, HIDDEN]);
        assert_close(&found, &mixture(&indices, 2, false, silu));
        let one = [3, 1];
        assert_close(&run_one("experts", &args(1, 1, &one)).1, &mixture(&one, 2, false, silu));
    }

    /// `[experts, out, in]` as `[experts, in, out]`; `interleaved` also moves gate and up of one number side by side.
    fn turned(data: &[f32], out: usize, input: usize, interleaved: bool) -> Vec<f32> {
        let source = |column: usize| {
            if interleaved { column % 2 * out / 2 + column / 2 } else { column }
        };
        let mut result = Vec::new();
        for matrix in data.chunks(out * input) {
            for i in 0..input {
                result.extend((0..out).map(|column| matrix[source(column) * input + i]));
            }
        }
        result
    }

    #[test]
    fn transposed_interleaved_clamped_experts_with_biases() {
        let indices = [2, 0, 1, 2, 3, 2];
        let gate_up = turned(&noise(EXPERTS * 2 * INNER * HIDDEN), 2 * INNER, HIDDEN, true);
        let gate_up_bias = turned(&noise(EXPERTS * 2 * INNER), 2 * INNER, 1, true);
        let down = turned(&noise(EXPERTS * HIDDEN * INNER), HIDDEN, INNER, false);
        let mut args = args(1, 3, &indices);
        args[3] = ("gate_up", floats(&[EXPERTS, HIDDEN, 2 * INNER], &gate_up));
        args[4] = ("down", floats(&[EXPERTS, INNER, HIDDEN], &down));
        args.extend([
            ("gate_up_bias", floats(&[EXPERTS, 2 * INNER], &gate_up_bias)),
            ("down_bias", sample(&[EXPERTS, HIDDEN])),
            ("transposed", true.into()),
            ("interleaved", true.into()),
            ("limit", 1.5.into()),
            ("alpha", 1.7.into()),
        ]);
        assert_close(&run_one("experts", &args).1, &mixture(&indices, 2, true, clamped));
    }

    #[test]
    fn experts_without_a_gate() {
        let mut args = args(1, 1, &[1]);
        args[3] = ("gate_up", sample(&[EXPERTS, INNER, HIDDEN]));
        args.push(("activation", "relu".into()));
        let (x, up, down) = (noise(HIDDEN), noise(EXPERTS * INNER * HIDDEN), noise(EXPERTS * HIDDEN * INNER));
        let inner: Vec<f32> = (0..INNER)
            .map(|i| (0..HIDDEN).map(|j| up[(INNER + i) * HIDDEN + j] * x[j]).sum::<f32>().max(0.0))
            .collect();
        let weight = noise(1)[0];
        let expected: Vec<f32> = (0..HIDDEN)
            .map(|i| weight * (0..INNER).map(|j| down[(HIDDEN + i) * INNER + j] * inner[j]).sum::<f32>())
            .collect();
        assert_close(&run_one("experts", &args).1, &expected);
    }

    #[test]
    fn no_token_is_fine_and_a_missing_expert_is_an_error() {
        let mut none = args(1, 1, &[1]);
        none[0] = ("x", sample(&[1, 0, HIDDEN]));
        none[1] = ("weights", sample(&[1, 0, 1]));
        none[2] = ("indices", ints(&[1, 0, 1], &[]));
        assert_eq!(run_one("experts", &none).0, [1, 0, HIDDEN]);
        let Err(Failure::Run(message)) = try_run("experts", &args(1, 1, &[4])) else {
            panic!("expert 4 of 4")
        };
        assert_eq!(message, "expert 4 of 4");
    }

    #[test]
    fn gradients_pass_through() {
        // Every expert has a token, so that every weight has a gradient.
        check_gradient("experts", &args(1, 3, &[2, 0, 1, 2, 3, 2]));
        let mut interleaved = args(1, 2, &[2, 0, 1, 3]);
        interleaved.push(("interleaved", true.into()));
        check_gradient("experts", &interleaved);
    }

    #[test]
    fn wrong_shapes_name_the_argument() {
        let mut args = args(1, 1, &[1]);
        args[4] = ("down", sample(&[EXPERTS, HIDDEN, 5]));
        assert_eq!(fault("experts", &args).parameter, Some("gate_up"));
        args[4] = ("down", sample(&[3, HIDDEN, INNER]));
        assert_eq!(fault("experts", &args).parameter, Some("down"));
    }
}
