//! The gated delta rule (arXiv 2412.06464): `gated_delta_rule`.
//!
//! Per head, a state S `[dk, dv]` follows `S = exp(g) S; S += k ⊗ beta (v - kᵀ S)`, and a token reads `qᵀ S`. Computed in
//! f32; a single token steps the state, several are taken a chunk at a time as `torch_chunk_gated_delta_rule` of transformers'
//! `qwen3_next` does. A generation keeps S.
//!
//! The triangular system of a chunk is inverted by halves (the inverse of `[[P, 0], [R, Q]]` has `-Q⁻¹ R P⁻¹` in its
//! corner): a few matrix products for all chunks of a batch, and as stable as forward substitution, which powers of the
//! matrix are not.
//!
//! Absent on purpose: the normalisation and scaling of q and k, the convolution before, the gate after.

use burn::tensor::{FloatDType, Tensor};

use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::layout::with_unit_axis;
use super::scan::{later, sized};
use super::{Dim, Op, StateId, Value, kept};

pub(super) const OPS: &[Op] = &[Op {
    name: "gated_delta_rule",
    signature: "q, k, v, g, beta",
    summary: "q, k [batch, time, heads, dk] and v [batch, time, v_heads, dv], with the decay's logarithm g and beta \
              [batch, time, v_heads], through the gated delta rule: like v; keeps its state while generating",
    trace: gated_delta_rule,
}];

/// How many tokens become one triangular system.
const CHUNK: usize = 64;

fn gated_delta_rule(call: &mut Call) -> Result<Traced, Fault> {
    let q = call.ranked("q", 4)?;
    let k = call.float_tensor("k")?;
    let v = call.ranked("v", 4)?;
    let g = call.float_tensor("g")?;
    let beta = call.float_tensor("beta")?;
    let [batch, time, heads, size] = [0, 1, 2, 3].map(|axis| q.shape[axis].clone());
    let v_heads = v.shape[2].clone();
    sized(call, "k", &k, &[&batch, &time, &heads, &size])?;
    sized(call, "v", &v, &[&batch, &time, &v_heads, &v.shape[3]])?;
    sized(call, "g", &g, &[&batch, &time, &v_heads])?;
    sized(call, "beta", &beta, &[&batch, &time, &v_heads])?;
    match (heads.known(), v_heads.known()) {
        (Some(heads), Some(v_heads)) if heads > 0 && v_heads % heads == 0 => {}
        _ => {
            let found = format!("{v_heads} value heads share {heads} heads, expected a multiple");
            return Err(Fault::shape(found).of("v"));
        }
    }
    let state = call.new_state();
    Ok(Traced::one(GatedDeltaRule { time, state }, v))
}

#[derive(Debug)]
struct GatedDeltaRule {
    time: Dim,
    state: StateId,
}

/// Tokens with the heads before them: q, k `[batch, heads, tokens, dk]`, v `[…, dv]`, g and beta `[…, 1]`.
struct Tokens {
    q: Tensor<B, 4>,
    k: Tensor<B, 4>,
    v: Tensor<B, 4>,
    g: Tensor<B, 4>,
    beta: Tensor<B, 4>,
}

impl Kernel for GatedDeltaRule {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let (q, k, v) = (inputs.take(), inputs.take(), inputs.take());
        let width = FloatDType::from(v.dtype());
        let [batch, time, heads, v_size] = *v.shape().as_slice() else {
            return Err(RunError::new("values without four dimensions"));
        };
        let size = q.shape()[3];
        if time == 0 {
            return Ok(Outputs::One(v));
        }
        let by_head = |x: Value| x.to_float(FloatDType::F32).float::<4>().swap_dims(1, 2);
        let gate = |x: Value| by_head(x.with_unit_axis(3));
        let tokens = Tokens {
            q: repeated(by_head(q), heads),
            k: repeated(by_head(k), heads),
            g: gate(inputs.take()),
            beta: gate(inputs.take()),
            v: by_head(v),
        };
        let mut state = kept::begin(context, self.state, &self.time, [batch, heads, size, v_size])?;
        let mut outputs = Vec::new();
        for start in (0..time).step_by(CHUNK) {
            let count = CHUNK.min(time - start);
            let (output, next) = match tokens.part(start, count) {
                token if count == 1 => token.step(state),
                chunk => chunk.run(state, context)?,
            };
            outputs.push(output);
            state = Some(next);
        }
        if let Some(state) = state {
            kept::finish(context, self.state, &self.time, state);
        }
        Ok(Outputs::One(Value::from(Tensor::cat(outputs, 2).swap_dims(1, 2)).to_float(width)))
    }

    fn reads_context(&self) -> bool {
        true
    }
}

/// Each head as many times in a row as there are value heads for it.
fn repeated(x: Tensor<B, 4>, heads: usize) -> Tensor<B, 4> {
    let [batch, own, time, size] = x.dims();
    if own == heads {
        return x;
    }
    let x: Tensor<B, 5> = with_unit_axis(x, 2);
    x.expand([batch, own, heads / own, time, size]).reshape([batch, heads, time, size])
}

impl Tokens {
    fn part(&self, start: usize, count: usize) -> Self {
        let part = |x: &Tensor<B, 4>| x.clone().narrow(2, start, count);
        Self {
            q: part(&self.q),
            k: part(&self.k),
            v: part(&self.v),
            g: part(&self.g),
            beta: part(&self.beta),
        }
    }

    /// One token: what it reads, and the state after it.
    fn step(self, before: Option<Tensor<B, 4>>) -> (Tensor<B, 4>, Tensor<B, 4>) {
        let Self { q, k, v, g, beta } = self;
        // A product of a column and a row is one multiplication by broadcasting.
        let [batch, heads, _, size] = k.dims();
        let keys = k.clone().reshape([batch, heads, size, 1]);
        let state = match before {
            None => keys * (v * beta),
            Some(state) => {
                let state = state * g.exp();
                let new = (v - k.matmul(state.clone())) * beta;
                state + keys * new
            }
        };
        (q.matmul(state.clone()), state)
    }

    /// A chunk of tokens: what they read, and the state after them.
    fn run(
        self,
        before: Option<Tensor<B, 4>>,
        context: &mut Context<'_>,
    ) -> Result<(Tensor<B, 4>, Tensor<B, 4>), RunError> {
        let Self { q, k, v, g, beta } = self;
        let count = q.dims()[2];
        let decay = g.cumsum(2);
        let last = decay.clone().narrow(2, count - 1, 1);
        let between = (decay.clone() - decay.clone().swap_dims(2, 3) + later(count, context)?).exp();
        let keys = k.clone().swap_dims(2, 3);
        let k_beta = k.clone() * beta.clone();
        let inverse = inverse(&(k_beta.clone().matmul(keys.clone()) * between.clone()), context)?;
        let mut new = inverse.clone().matmul(v * beta);
        let mut read = None;
        let since_start = decay.clone().exp();
        if let Some(before) = &before {
            new = new - inverse.matmul(k_beta * since_start.clone()).matmul(before.clone());
            read = Some((q.clone() * since_start).matmul(before.clone()));
        }
        let within = (q.matmul(keys) * between).matmul(new.clone());
        let output = match read {
            Some(read) => read + within,
            None => within,
        };
        let added = (k * (last.clone() - decay).exp()).swap_dims(2, 3).matmul(new);
        let state = match before {
            Some(before) => before * last.exp() + added,
            None => added,
        };
        Ok((output, state))
    }
}

/// The inverse of the unit lower triangular matrices whose part below the diagonal is that of `system`.
fn inverse(system: &Tensor<B, 4>, context: &mut Context<'_>) -> Result<Tensor<B, 4>, RunError> {
    let size = system.dims()[2];
    let unit = square(size, "unit", context, |row, column| row == column)?;
    let corner = |block: usize, context: &mut Context<'_>| {
        let name = format!("corners below {block}");
        square(size, &name, context, |row, column| {
            row / (2 * block) == column / (2 * block)
                && !(row / block).is_multiple_of(2)
                && (column / block).is_multiple_of(2)
        })
    };
    // Blocks of one number are their own inverse; each round joins two neighbours.
    let mut inverse = unit - system.clone() * corner(1, context)?;
    let mut block = 2;
    while block < size {
        let below = system.clone() * corner(block, context)?;
        inverse = inverse.clone() - inverse.clone().matmul(below).matmul(inverse);
        block *= 2;
    }
    Ok(inverse)
}

/// A square of ones where the rule says so and zeros elsewhere, shared by the ops of a run.
fn square(
    size: usize,
    name: &str,
    context: &mut Context<'_>,
    rule: impl Fn(usize, usize) -> bool,
) -> Result<Tensor<B, 4>, RunError> {
    let value = context.share(&format!("{name} of {size}"), |context| {
        let cells = (0..size * size).map(|cell| if rule(cell / size, cell % size) { 1.0 } else { 0.0 });
        Ok(Value::from_floats(cells.collect(), vec![1, 1, size, size], FloatDType::F32, context.device))
    })?;
    Ok(value.float())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::stepping::Steps;
    use super::super::testing::{
        TestArg, assert_within, check_gradient, fault, floats, noise, run_one, sample,
    };

    /// Batch, time, heads, value heads, dk, dv.
    type Sizes = [usize; 6];

    /// Unit keys, as the definitions give them.
    fn keys(count: usize, size: usize) -> Vec<f32> {
        let mut keys = noise(count * size);
        for key in keys.chunks_mut(size) {
            let norm = key.iter().map(|x| x * x).sum::<f32>().sqrt();
            for x in key {
                *x /= norm;
            }
        }
        keys
    }

    fn gates(count: usize) -> (Vec<f32>, Vec<f32>) {
        let decay = noise(count).iter().map(|x| -x.abs() * 0.3).collect();
        (decay, noise(count + 1)[1..].iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect())
    }

    fn args([batch, time, heads, v_heads, dk, dv]: Sizes) -> Vec<(&'static str, TestArg)> {
        let (g, beta) = gates(batch * time * v_heads);
        vec![
            ("q", sample(&[batch, time, heads, dk])),
            ("k", floats(&[batch, time, heads, dk], &keys(batch * time * heads, dk))),
            ("v", sample(&[batch, time, v_heads, dv])),
            ("g", floats(&[batch, time, v_heads], &g)),
            ("beta", floats(&[batch, time, v_heads], &beta)),
        ]
    }

    #[expect(clippy::cast_possible_truncation, reason = "sums in f64 are compared as f32")]
    fn expected([batch, time, heads, v_heads, dk, dv]: Sizes) -> Vec<f32> {
        let (q, k) = (noise(batch * time * heads * dk), keys(batch * time * heads, dk));
        let (v, (g, beta)) = (noise(batch * time * v_heads * dv), gates(batch * time * v_heads));
        let mut output = vec![0.0; v.len()];
        for row in 0..batch {
            for head in 0..v_heads {
                let mut state = vec![0f64; dk * dv];
                for token in 0..time {
                    let at = (row * time + token) * v_heads + head;
                    let from = ((row * time + token) * heads + head * heads / v_heads) * dk;
                    for x in &mut state {
                        *x *= f64::from(g[at]).exp();
                    }
                    for j in 0..dv {
                        let held: f64 = (0..dk).map(|i| f64::from(k[from + i]) * state[i * dv + j]).sum();
                        let new = f64::from(beta[at]) * (f64::from(v[at * dv + j]) - held);
                        for i in 0..dk {
                            state[i * dv + j] += f64::from(k[from + i]) * new;
                        }
                        let read: f64 = (0..dk).map(|i| f64::from(q[from + i]) * state[i * dv + j]).sum();
                        output[at * dv + j] = read as f32;
                    }
                }
            }
        }
        output
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn a_generation_and_one_call_equal_the_loops(
            batch in 1usize..3, time in 1usize..150, heads in 1usize..3, shared in 1usize..3, first in 1usize..140,
            second in 0usize..9,
        ) {
            let sizes = [batch, time, heads, heads * shared, 4, 3];
            let expected = expected(sizes);
            assert_within(&run_one("gated_delta_rule", &args(sizes)).1, &expected, 1e-4);
            let steps = args(sizes).into_iter().map(|(name, arg)| (name, arg, Some(1))).collect();
            let first = first.min(time);
            let second = second.min(time - first);
            let mut chunks: Vec<usize> = [first, second].into_iter().filter(|size| *size > 0).collect();
            chunks.extend(vec![1; time - first - second]);
            let found = Steps::new("gated_delta_rule", time, 1, steps).stepped(&chunks, time);
            assert_within(&found, &expected, 1e-4);
        }
    }

    /// The same key again and again without decay: where powers of the triangular matrix would explode.
    #[test]
    fn equal_keys_are_no_harder() {
        let time = 64;
        let call = [
            ("q", floats(&[1, time, 1, 2], &[1.0, 0.0].repeat(time))),
            ("k", floats(&[1, time, 1, 2], &[1.0, 0.0].repeat(time))),
            ("v", sample(&[1, time, 1, 1])),
            ("g", floats(&[1, time, 1], &vec![0.0; time])),
            ("beta", floats(&[1, time, 1], &vec![1.0; time])),
        ];
        // Each token replaces what the key holds, and reads it.
        assert_within(&run_one("gated_delta_rule", &call).1, &noise(time), 1e-4);
    }

    #[test]
    fn nothing_in_gives_nothing_out() {
        assert_eq!(run_one("gated_delta_rule", &args([1, 0, 1, 2, 4, 3])).0, [1, 0, 2, 3]);
    }

    #[test]
    fn gradients_pass_through() {
        check_gradient("gated_delta_rule", &args([1, 5, 1, 2, 2, 2]));
    }

    #[test]
    fn wrong_shapes_name_the_argument() {
        let mut wrong = args([1, 3, 2, 2, 4, 3]);
        wrong[3] = ("g", sample(&[1, 3, 5]));
        assert_eq!(fault("gated_delta_rule", &wrong).parameter, Some("g"));
        assert_eq!(fault("gated_delta_rule", &args([1, 3, 2, 3, 4, 3])).parameter, Some("v"));
    }
}
