//! State space scans: `selective_scan` (Mamba, arXiv 2312.00752) and `ssd_scan` (Mamba 2, arXiv 2405.21060).
//!
//! Both compute `h = exp(dt A) h + dt x B` and `y = C h + D x` over time, in f32, and keep h from step to step of a
//! generation. The first steps token by token; the second turns chunks of tokens into matrix products, as
//! `mamba2_chunk_scan` of transformers does (arXiv 2405.21060, §6).
//!
//! `dt` comes with its bias, softplus and limits applied, `A` negative. Padding must be zero in x, B and dt's product,
//! which `mask_padding` sees to.
//!
//! Absent on purpose: projections, gates, norms.

#![expect(clippy::many_single_char_names, reason = "x, A, B, C and D are the papers' names")]

#[cfg(test)]
mod tests;

use burn::tensor::{FloatDType, Tensor};

use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::layout::with_unit_axis;
use super::types::{Kind, TensorType, show_shape};
use super::{Dim, Op, StateId, Value, kept};

pub(super) const OPS: &[Op] = &[
    Op {
        name: "selective_scan",
        signature: "x, dt, A, B, C, D=None",
        summary: "Mamba's scan of x, dt [batch, time, channels] with A [channels, state], B, C [batch, time, state], \
                  D [channels]: like x; keeps its state while generating",
        trace: selective_scan,
    },
    Op {
        name: "ssd_scan",
        signature: "x, dt, A, B, C, D=None, *, chunk_size=256",
        summary: "Mamba 2's scan of x [batch, time, heads, head_dim] with dt [batch, time, heads], A [heads], \
                  B, C [batch, time, groups, state], D [heads]: like x; keeps its state while generating",
        trace: ssd_scan,
    },
];

/// How many tokens are discretised at once by the scan that steps token by token.
const STEPS: usize = 64;

/// How many tokens become one matrix product: more costs more than it saves. The result does not depend on it.
const CHUNK: usize = 64;

/// Requires sizes of one argument, axis by axis; `None` leaves an axis free.
pub(super) fn sized(
    call: &mut Call,
    name: &'static str,
    found: &TensorType,
    expected: &[&Dim],
) -> Result<(), Fault> {
    let wanted = expected.iter().map(|size| (*size).clone()).collect::<Vec<_>>();
    let shapes = (show_shape(&found.shape), show_shape(&wanted));
    let what = format_args!("`{name}` {} and the expected {}", shapes.0, shapes.1);
    if found.kind != Kind::Float || found.rank() != expected.len() {
        let wanted = show_shape(&wanted);
        return Err(Fault::shape(format!("`{name}` is `{found}`, expected `float{wanted}`")).of(name));
    }
    for (size, expected) in found.shape.iter().zip(expected) {
        call.same(size, expected, what).map_err(|fault| fault.of(name))?;
    }
    Ok(())
}

fn selective_scan(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.ranked("x", 3)?;
    let dt = call.float_tensor("dt")?;
    let a = call.ranked("A", 2)?;
    let b = call.float_tensor("B")?;
    let c = call.float_tensor("C")?;
    let d = call.optional_tensor("D")?;
    let [batch, time, channels] = [0, 1, 2].map(|axis| x.shape[axis].clone());
    let state = a.shape[1].clone();
    sized(call, "dt", &dt, &[&batch, &time, &channels])?;
    sized(call, "A", &a, &[&channels, &state])?;
    sized(call, "B", &b, &[&batch, &time, &state])?;
    sized(call, "C", &c, &[&batch, &time, &state])?;
    if let Some(d) = d {
        sized(call, "D", &d, &[&channels])?;
    }
    let state = call.new_state();
    Ok(Traced::one(SelectiveScan { time, state }, x))
}

#[derive(Debug)]
struct SelectiveScan {
    time: Dim,
    state: StateId,
}

impl Kernel for SelectiveScan {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let x = inputs.take();
        let width = FloatDType::from(x.dtype());
        let x = in_f32(x).float::<3>();
        let dt = in_f32(inputs.take()).float::<3>();
        let a = in_f32(inputs.take()).float::<2>();
        let (b, c) = (in_f32(inputs.take()).float::<3>(), in_f32(inputs.take()).float::<3>());
        let d = inputs.optional().map(|d| in_f32(d).float::<1>());
        let [batch, time, channels] = x.dims();
        let size = a.dims()[1];
        let a: Tensor<B, 4> = a.reshape([1, 1, channels, size]);
        let mut state = kept::begin(context, self.state, &self.time, [batch, 1, channels, size])?;
        let mut outputs = Vec::new();
        for start in (0..time).step_by(STEPS) {
            let count = STEPS.min(time - start);
            let part = |x: &Tensor<B, 3>| x.clone().narrow(1, start, count);
            let (x, dt) = (part(&x), part(&dt));
            let decay = (with_unit_axis::<3, 4>(dt.clone(), 3) * a.clone()).exp();
            let b: Tensor<B, 4> = with_unit_axis(part(&b), 2);
            let gain = with_unit_axis::<3, 4>(dt * x, 3) * b;
            let mut states = Vec::with_capacity(count);
            for step in 0..count {
                let gain = gain.clone().narrow(1, step, 1);
                let next = match state {
                    Some(state) => state * decay.clone().narrow(1, step, 1) + gain,
                    None => gain,
                };
                states.push(next.clone());
                state = Some(next);
            }
            let c: Tensor<B, 4> = with_unit_axis(part(&c), 3);
            outputs.push(Tensor::cat(states, 1).matmul(c).reshape([batch, count, channels]));
        }
        if let Some(state) = state {
            kept::finish(context, self.state, &self.time, state);
        }
        let y = if outputs.is_empty() { x.clone() } else { Tensor::cat(outputs, 1) };
        let y = match d {
            Some(d) => y + x * d.reshape([1, 1, channels]),
            None => y,
        };
        Ok(Outputs::One(Value::from(y).to_float(width)))
    }

    fn reads_context(&self) -> bool {
        true
    }
}

fn in_f32(value: Value) -> Value {
    value.to_float(FloatDType::F32)
}

fn ssd_scan(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.ranked("x", 4)?;
    let dt = call.float_tensor("dt")?;
    let a = call.float_tensor("A")?;
    let b = call.ranked("B", 4)?;
    let c = call.float_tensor("C")?;
    let d = call.optional_tensor("D")?;
    let chunk = call.int("chunk_size")?;
    let [batch, time, heads] = [0, 1, 2].map(|axis| x.shape[axis].clone());
    let (groups, state) = (b.shape[2].clone(), b.shape[3].clone());
    sized(call, "dt", &dt, &[&batch, &time, &heads])?;
    sized(call, "A", &a, &[&heads])?;
    sized(call, "B", &b, &[&batch, &time, &groups, &state])?;
    sized(call, "C", &c, &[&batch, &time, &groups, &state])?;
    if let Some(d) = d {
        sized(call, "D", &d, &[&heads])?;
    }
    match (heads.known(), groups.known()) {
        (Some(heads), Some(groups)) if groups > 0 && heads % groups == 0 => {}
        _ => {
            return Err(
                Fault::shape(format!("{heads} heads share {groups} groups, expected a multiple")).of("B")
            );
        }
    }
    let Some(chunk) = usize::try_from(chunk).ok().filter(|chunk| *chunk > 0) else {
        return Err(
            Fault::value(format!("`chunk_size` is {chunk}, expected a positive number")).of("chunk_size")
        );
    };
    let state = call.new_state();
    Ok(Traced::one(SsdScan { time, state, chunk: chunk.min(CHUNK) }, x))
}

#[derive(Debug)]
struct SsdScan {
    time: Dim,
    state: StateId,
    chunk: usize,
}

/// A chunk of tokens with the heads before the tokens: `[batch, heads or groups, tokens, …]`.
struct SsdChunk {
    /// x times dt.
    gain: Tensor<B, 4>,
    /// The logarithm of the decay from the start of the chunk up to each token.
    decay: Tensor<B, 3>,
    b: Tensor<B, 4>,
    c: Tensor<B, 4>,
}

impl Kernel for SsdScan {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let x = inputs.take();
        let width = FloatDType::from(x.dtype());
        let x = in_f32(x).float::<4>();
        let dt = in_f32(inputs.take()).float::<3>();
        let a = in_f32(inputs.take()).float::<1>();
        let (b, c) = (in_f32(inputs.take()).float::<4>(), in_f32(inputs.take()).float::<4>());
        let d = inputs.optional().map(|d| in_f32(d).float::<1>());
        let [batch, time, heads, head_dim] = x.dims();
        let size = b.dims()[3];
        let rates = (dt.clone() * a.reshape([1, 1, heads])).swap_dims(1, 2);
        let gain = (x.clone() * with_unit_axis::<3, 4>(dt, 3)).swap_dims(1, 2);
        let (b, c) = (b.swap_dims(1, 2), c.swap_dims(1, 2));
        let mut state = kept::begin(context, self.state, &self.time, [batch, heads, head_dim, size])?;
        let mut outputs = Vec::new();
        for start in (0..time).step_by(self.chunk) {
            let count = self.chunk.min(time - start);
            let part = |x: &Tensor<B, 4>| x.clone().narrow(2, start, count);
            let decay = rates.clone().narrow(2, start, count).cumsum(2);
            let chunk = SsdChunk { gain: part(&gain), decay, b: part(&b), c: part(&c) };
            let (y, next) = chunk.run(state, &later(count, context)?);
            outputs.push(y);
            state = Some(next);
        }
        if let Some(state) = state {
            kept::finish(context, self.state, &self.time, state);
        }
        let y = if outputs.is_empty() { x.clone() } else { Tensor::cat(outputs, 2).swap_dims(1, 2) };
        let y = match d {
            Some(d) => y + x * d.reshape([1, 1, heads, 1]),
            None => y,
        };
        Ok(Outputs::One(Value::from(y).to_float(width)))
    }

    fn reads_context(&self) -> bool {
        true
    }
}

/// What keeps a token from the later ones of its chunk: a square of 0 and, above the diagonal, a number whose
/// exponential is 0. Added before the exponential, which would overflow otherwise.
pub(super) fn later(count: usize, context: &mut Context<'_>) -> Result<Tensor<B, 4>, RunError> {
    let square = context.share(&format!("later tokens of {count}"), |context| {
        let cells = (0..count * count).map(|cell| if cell % count > cell / count { -1e30 } else { 0.0 });
        Ok(Value::from_floats(cells.collect(), vec![1, 1, count, count], FloatDType::F32, context.device))
    })?;
    Ok(square.float())
}

impl SsdChunk {
    /// The outputs `[batch, heads, tokens, head_dim]` and the state `[batch, heads, head_dim, state]` after them.
    fn run(self, before: Option<Tensor<B, 4>>, later: &Tensor<B, 4>) -> (Tensor<B, 4>, Tensor<B, 4>) {
        let Self { gain, decay, b, c } = self;
        let [batch, heads, count, head_dim] = gain.dims();
        let [_, groups, _, size] = b.dims();
        let shared = heads / groups;
        let last: Tensor<B, 4> = with_unit_axis(decay.clone().narrow(2, count - 1, 1), 3);
        let from: Tensor<B, 4> = with_unit_axis(decay.clone(), 2);
        let to: Tensor<B, 4> = with_unit_axis(decay, 3);
        // Within the chunk: how much of each earlier token is left at each later one.
        let left = (to.clone() - from + later.clone()).exp();
        let seen = c.clone().matmul(b.clone().swap_dims(2, 3));
        let weights = if shared == 1 {
            left * seen
        } else {
            let left: Tensor<B, 5> = left.reshape([batch, groups, shared, count, count]);
            (left * with_unit_axis::<4, 5>(seen, 2)).reshape([batch, heads, count, count])
        };
        let mut y = weights.matmul(gain.clone());
        let kept = (gain * (last.clone() - to.clone()).exp()).swap_dims(2, 3);
        let mut state = kept.reshape([batch, groups, shared * head_dim, count]).matmul(b);
        if let Some(before) = before {
            // What the state before the chunk adds, the heads of a group at once.
            let grouped = before.clone().reshape([batch, groups, shared * head_dim, size]);
            let read = c.matmul(grouped.swap_dims(2, 3));
            let read: Tensor<B, 5> = read.reshape([batch, groups, count, shared, head_dim]);
            let read: Tensor<B, 4> = read.swap_dims(2, 3).reshape([batch, heads, count, head_dim]);
            y = y + read * to.exp();
            let carried = (before * last.exp()).reshape([batch, groups, shared * head_dim, size]);
            state = state + carried;
        }
        (y, state.reshape([batch, heads, head_dim, size]))
    }
}
