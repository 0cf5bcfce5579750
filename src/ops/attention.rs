//! Scaled dot-product attention: `attention`.
//!
//! Takes queries `[batch, heads, t, d]`, keys `[batch, kv_heads, s, d]` and values `[batch, kv_heads, s, dv]`; gives
//! `[batch, heads, t, dv]`. Queries of the heads that share a key head are multiplied with it together, so keys and
//! values are never repeated. Softmax is in f32. More scores than [`block_size`] are computed for a block of queries
//! at a time, against the keys that they can see.
//!
//! Soft-capping as in Gemma 2 (arXiv 2408.00118, §2), sinks as in `eager_attention_forward` of transformers' `gpt_oss`,
//! `ALiBi` as in `build_alibi_tensor` of its `bloom`.
//!
//! Absent on purpose: projections, rotary embeddings, dropout.

mod alibi;
mod cache;
mod mask;
#[cfg(test)]
mod tests;

use burn::tensor::{Bool, FloatDType, Tensor, activation};

use super::backend::{B, Device};
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::types::{Kind, TensorType, show_shape};
use super::{Dim, Op, StateId, Value};
use alibi::Alibi;
use cache::Held;
use mask::{Columns, FORBIDDEN, Rule};

pub(super) const OPS: &[Op] = &[Op {
    name: "attention",
    signature: "q, k, v, *, causal=False, window=None, chunk=None, scale=None, softcap=None, sinks=None, bias=None, \
                mask=None, alibi=None",
    summary: "q [b, heads, t, d] attends to k, v [b, kv_heads, s, d]: [b, heads, t, dv]; `scale` defaults to \
              d ** -0.5; `bias` and a float `mask` are added to the scores, a bool `mask` is True where a query may \
              attend; `alibi` is True, or one slope per head; `causal` keeps keys and values while generating",
    trace: attention,
}];

/// How many scores are held at once: on the CPU what its caches hold, elsewhere what is worth a launch.
fn block_size(device: &Device) -> usize {
    if let Device::Flex(_) = device { 1 << 21 } else { 1 << 26 }
}

fn attention(call: &mut Call) -> Result<Traced, Fault> {
    let q = call.ranked("q", 4)?;
    let k = call.ranked("k", 4)?;
    let v = call.ranked("v", 4)?;
    for (name, other, axis, what) in [
        ("k", &q, 0, "batch"),
        ("k", &q, 3, "head_dim"),
        ("v", &k, 0, "batch"),
        ("v", &k, 1, "heads"),
        ("v", &k, 2, "length"),
    ] {
        let this = if name == "k" { &k } else { &v };
        let other_name = if name == "k" { "q" } else { "k" };
        let shapes = (show_shape(&this.shape), show_shape(&other.shape));
        let what = format_args!("{what} of {name} {} and {other_name} {}", shapes.0, shapes.1);
        call.same(&this.shape[axis], &other.shape[axis], what).map_err(|fault| fault.of(name))?;
    }
    let (heads, kv_heads) = (known(&q, 1, "q")?, known(&k, 1, "k")?);
    if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
        return Err(
            Fault::shape(format!("{heads} heads share {kv_heads} key heads, expected a multiple")).of("k")
        );
    }
    let causal = call.bool("causal")?;
    let window = positive(call, "window")?;
    let chunk = positive(call, "chunk")?;
    let scale = call.optional_float("scale")?;
    #[expect(clippy::cast_precision_loss, reason = "head sizes are small")]
    let scale = scale.unwrap_or((known(&q, 3, "q")? as f64).powf(-0.5));
    let softcap = call.optional_float("softcap")?;
    if softcap.is_some_and(|cap| cap <= 0.0) {
        return Err(Fault::value("the cap is not positive").of("softcap"));
    }
    if let Some(sinks) = call.optional_tensor("sinks")? {
        let expected = TensorType::float(vec![q.shape[1].clone()]);
        if sinks != expected {
            return Err(Fault::shape(format!("`sinks` is `{sinks}`, expected `{expected}`")).of("sinks"));
        }
    }
    let scores = [q.shape[0].clone(), q.shape[1].clone(), q.shape[2].clone(), k.shape[2].clone()];
    let bias = added(call, "bias", &scores)?;
    let mask = added(call, "mask", &scores)?;
    let alibi = Alibi::trace(call, heads)?;
    let state = causal.then(|| call.new_state());
    let keys = k.shape[2].clone();
    // A bias or a mask speaks of all keys, so all are kept.
    let look_back = window.into_iter().chain(chunk).min();
    let ring = look_back.filter(|_| !bias && !mask);
    let name = format!("attention mask {causal} {window:?} {chunk:?} {ring:?} [{}, {keys}]", q.shape[2]);
    let output = vec![q.shape[0].clone(), q.shape[1].clone(), q.shape[2].clone(), v.shape[3].clone()];
    let rule = Rule { causal, window, chunk, keys, name };
    let kernel = Attention { rule, state, ring, scale, softcap, alibi };
    Ok(Traced::one(kernel, TensorType::float(output)))
}

fn known(ty: &TensorType, axis: usize, name: &'static str) -> Result<usize, Fault> {
    let size = ty.shape[axis].known().and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| Fault::shape(format!("axis {axis} of `{name}` depends on the call: `{ty}`")).of(name))
}

fn positive(call: &mut Call, name: &'static str) -> Result<Option<usize>, Fault> {
    let Some(value) = call.optional_int(name)? else { return Ok(None) };
    match usize::try_from(value) {
        Ok(value) if value > 0 => Ok(Some(value)),
        _ => Err(Fault::value(format!("`{name}` is {value}, expected a positive number or None")).of(name)),
    }
}

/// Takes what is added to the scores; says whether there is any.
fn added(call: &mut Call, name: &'static str, scores: &[Dim; 4]) -> Result<bool, Fault> {
    let Some(ty) = call.optional_tensor(name)? else { return Ok(false) };
    if ty.kind == Kind::Int || (ty.kind == Kind::Bool && name == "bias") {
        return Err(Fault::new("wrong-kind", format!("`{name}` is `{ty}`, expected floats")).of(name));
    }
    let Some(outer) = scores.len().checked_sub(ty.rank()) else {
        return Err(Fault::shape(format!("`{name}` is `{ty}`, expected at most 4 dimensions")).of(name));
    };
    for (size, expected) in ty.shape.iter().zip(&scores[outer..]) {
        if *size != Dim::Known(1) {
            let what =
                format_args!("`{name}` {} and the scores {}", show_shape(&ty.shape), show_shape(scores));
            call.same(size, expected, what).map_err(|fault| fault.of(name))?;
        }
    }
    Ok(true)
}

#[derive(Debug)]
struct Attention {
    rule: Rule,
    /// Where a generation keeps the keys and values of causal attention.
    state: Option<StateId>,
    /// How many of them, where that is not all.
    ring: Option<usize>,
    scale: f64,
    softcap: Option<f64>,
    alibi: Alibi,
}

/// What is added to the scores before softmax, and the sinks beside them.
struct Extras {
    terms: Vec<Tensor<B, 4>>,
    sinks: Option<Tensor<B, 1>>,
}

impl Kernel for Attention {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let (q, k, v) = (inputs.take().float::<4>(), inputs.take().float::<4>(), inputs.take().float::<4>());
        let sinks = inputs.optional().map(|sinks| sinks.to_float(FloatDType::F32).float::<1>());
        let (bias, mask) = (inputs.optional(), inputs.optional());
        let slopes = inputs.optional();
        let count = q.dims()[2];
        let past = context.past_along(&self.rule.keys);
        let (held, first) = if let (Some(id), Some(past)) = (self.state, past) {
            (cache::extend(context, id, self.ring, past, k, v)?, past)
        } else {
            let columns = Columns::First(k.dims()[2]);
            let first = columns.len().saturating_sub(count);
            (Held { keys: k, values: v, columns }, first)
        };
        let mut terms = Vec::new();
        for term in [bias, mask].into_iter().flatten() {
            terms.push(term_of(term, held.columns.len(), first, context.device)?);
        }
        terms.extend(self.alibi.term(context, slopes, &self.rule, &held.columns)?);
        terms.extend(self.rule.mask(context, first, count, &held.columns)?);
        Ok(self.attend(q, &held, first, &Extras { terms, sinks }).into())
    }

    fn reads_context(&self) -> bool {
        true
    }
}

/// A bias or a mask as floats to be added to the scores of all `keys`.
///
/// One that covers only the new keys lets all earlier ones through.
fn term_of(term: Value, keys: usize, past: usize, device: &Device) -> Result<Tensor<B, 4>, RunError> {
    let term = term.with_rank(4);
    let term: Tensor<B, 4> = match term {
        Value::Bool(allowed) => {
            let allowed = Tensor::<B, 4, Bool>::from_primitive(allowed);
            let forbidden = Value::from(allowed.bool_not()).to_float_on(FloatDType::F32, device).float::<4>();
            forbidden * FORBIDDEN
        }
        // Two infinite terms of one row would make it NaN.
        term => term.to_float(FloatDType::F32).float::<4>().clamp_min(FORBIDDEN),
    };
    let [batch, heads, count, found] = term.dims();
    match found {
        1 => Ok(term),
        _ if found == keys => Ok(term),
        _ if past > 0 && found + past == keys => {
            let open = Tensor::zeros([batch, heads, count, past], (device, term.dtype()));
            Ok(Tensor::cat(vec![open, term], 3))
        }
        _ => Err(RunError::new(format!("a bias or mask for {found} keys of {keys}"))),
    }
}

impl Attention {
    /// Attends block by block where all scores at once would take too much memory.
    fn attend(&self, q: Tensor<B, 4>, held: &Held, first: usize, extras: &Extras) -> Tensor<B, 4> {
        let [batch, heads, count, _] = q.dims();
        let keys = held.columns.len();
        let block = (block_size(&q.device()) / (batch * heads * keys).max(1)).max(64);
        if count <= block {
            return self.block(q, held.keys.clone(), held.values.clone(), extras);
        }
        let mut blocks = Vec::new();
        for start in (0..count).step_by(block) {
            let size = block.min(count - start);
            let (from, to) = self.visible(&held.columns, first + start, first + start + size);
            let part = |x: &Tensor<B, 4>| x.clone().narrow(2, from, to - from);
            let terms = extras.terms.iter().map(|term| {
                let [_, _, rows, columns] = term.dims();
                let term = if rows == 1 { term.clone() } else { term.clone().narrow(2, start, size) };
                if columns == 1 { term } else { term.narrow(3, from, to - from) }
            });
            let extras = Extras { terms: terms.collect(), sinks: extras.sinks.clone() };
            let q = q.clone().narrow(2, start, size);
            blocks.push(self.block(q, part(&held.keys), part(&held.values), &extras));
        }
        Tensor::cat(blocks, 2)
    }

    /// Which keys the queries at columns `start..end` can see at all.
    fn visible(&self, columns: &Columns, start: usize, end: usize) -> (usize, usize) {
        let Columns::First(count) = *columns else { return (0, columns.len()) };
        let to = if self.rule.causal { end.min(count) } else { count };
        // A row of padding sees nothing whichever keys it is given, so the window may cut them off.
        let from = self
            .rule
            .window
            .filter(|_| self.rule.causal)
            .map_or(0, |window| (start + 1).saturating_sub(window));
        (from.min(to), to)
    }

    fn block(&self, q: Tensor<B, 4>, k: Tensor<B, 4>, v: Tensor<B, 4>, extras: &Extras) -> Tensor<B, 4> {
        let [batch, heads, count, size] = q.dims();
        let [_, kv_heads, keys, _] = k.dims();
        let value_size = v.dims()[3];
        let width = q.dtype();
        let rows = heads / kv_heads * count;
        #[expect(clippy::float_cmp, reason = "only an exact 1 can be left out")]
        let q = if self.scale == 1.0 { q } else { q * self.scale };
        let scores = q.reshape([batch, kv_heads, rows, size]).matmul(k.swap_dims(2, 3));
        let mut scores: Tensor<B, 4> = Value::from(scores).to_float(FloatDType::F32).float();
        if let Some(cap) = self.softcap {
            scores = (scores / cap).tanh() * cap;
        }
        let mut scores = scores.reshape([batch, heads, count, keys]);
        for term in &extras.terms {
            scores = scores + term.clone();
        }
        let weights = match &extras.sinks {
            None => activation::softmax(scores, 3),
            Some(sinks) => {
                let sinks = sinks.clone().reshape([1, heads, 1, 1]).expand([batch, heads, count, 1]);
                activation::softmax(Tensor::cat(vec![scores, sinks], 3), 3).narrow(3, 0, keys)
            }
        };
        let weights = Value::from(weights.reshape([batch, kv_heads, rows, keys]));
        let weights: Tensor<B, 4> = weights.to_float(FloatDType::from(width)).float();
        weights.matmul(v).reshape([batch, heads, count, value_size])
    }
}
