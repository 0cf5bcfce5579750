//! Rotary position embeddings: `rope`.
//!
//! Takes queries and keys `[batch, heads, time, head_dim]`; gives them with their first `dim` numbers rotated by
//! their positions. Halves are rotated against each other as in transformers' `apply_rotary_pos_emb`, or
//! neighbours with `interleaved` (a reference that also reorders the numbers gives the same attention). The tables
//! are made on the host in f32, once per run, since the sines of some devices lose precision for large angles.
//!
//! Absent on purpose: how positions come about; see [`super::positions`].

mod frequencies;
#[cfg(test)]
mod tests;

use burn::tensor::{FloatDType, Tensor};

use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::positions::{Positions, of_new_tokens};
use super::types::{Const, show_shape};
use super::{Dim, Op, Value};
use frequencies::{Given, Rotation};

pub(super) const OPS: &[Op] = &[Op {
    name: "rope",
    signature: "q, k, *, theta=10000.0, scaling=None, dim=None, interleaved=False, max_positions=None, sections=None",
    summary: "q, k [batch, heads, time, head_dim] rotated by position: q, k; `scaling` is a config's \
              `rope_scaling` or `rope_parameters`, whose `rope_theta` and `partial_rotary_factor` count first",
    trace: rope,
}];

fn rope(call: &mut Call) -> Result<Traced, Fault> {
    let q = call.ranked("q", 4)?;
    let k = call.ranked("k", 4)?;
    for axis in [0, 2, 3] {
        let shapes = (show_shape(&q.shape), show_shape(&k.shape));
        let what = format_args!("batch, time or head_dim of q {} and k {}", shapes.0, shapes.1);
        call.same(&q.shape[axis], &k.shape[axis], what).map_err(|fault| fault.of("k"))?;
    }
    let head_dim = q.shape[3].known().and_then(|size| usize::try_from(size).ok());
    let head_dim =
        head_dim.ok_or_else(|| Fault::shape("the last size of `q` depends on the call").of("q"))?;
    let positive = |name: &'static str, value: Option<i64>| match value {
        Some(value) if value <= 0 => Err(Fault::value(format!("`{name}` is {value}")).of(name)),
        value => Ok(value),
    };
    let theta = call.float("theta")?;
    let scaling = call.constant("scaling")?;
    let dim = call.optional_int("dim")?;
    let dim = positive("dim", dim)?.and_then(|dim| usize::try_from(dim).ok());
    let interleaved = call.bool("interleaved")?;
    let max_positions = call.optional_float("max_positions")?;
    let rotation = Rotation::new(&scaling, Given { theta, head_dim, dim, max_positions })?;
    if rotation.dim > head_dim || !rotation.dim.is_multiple_of(2) {
        let found = rotation.dim;
        return Err(Fault::shape(format!(
            "{found} of {head_dim} numbers are rotated, expected an even number up to {head_dim}"
        ))
        .of("dim"));
    }
    if interleaved && !head_dim.is_multiple_of(2) {
        return Err(Fault::shape(format!("heads of {head_dim} numbers have no pairs of neighbours")).of("q"));
    }
    let axes = axes_of_pairs(call, &scaling, rotation.dim / 2)?;
    let (batch, time) = (q.shape[0].clone(), q.shape[2].clone());
    let key = format!("rope {rotation:?} {axes:?} {head_dim} {interleaved} [{batch}, {time}]");
    let keys = [format!("cos {key}"), format!("sin {key}")];
    let kernel = Rope { rotation, axes, head_dim, interleaved, batch, time, keys };
    Ok(Traced::many(kernel, vec![q, k]))
}

/// Which position axis (time, height, width) turns each pair.
///
/// `sections` gives the number of pairs of each axis in turn, as `mrope_section` does; where the scaling dict says
/// `mrope_interleaved`, the axes alternate instead of lying one after another.
fn axes_of_pairs(call: &mut Call, scaling: &Const, pairs: usize) -> Result<Vec<usize>, Fault> {
    if let Const::None = call.constant("sections")? {
        return Ok(Vec::new());
    }
    let sections = call.ints("sections")?;
    let sizes: Option<Vec<usize>> = sections.iter().map(|size| usize::try_from(*size).ok()).collect();
    let sizes = sizes.filter(|sizes| !sizes.is_empty() && sizes.iter().sum::<usize>() == pairs);
    let sizes = sizes.ok_or_else(|| {
        Fault::value(format!("sections {sections:?} of {pairs} pairs, expected sizes that add up to {pairs}"))
            .of("sections")
    })?;
    if !scaling.get("mrope_interleaved").is_some_and(Const::is_true) {
        let axes = sizes.iter().enumerate().flat_map(|(index, size)| vec![index % 3; *size]);
        return Ok(axes.collect());
    }
    let axis = |pair: usize| (1..sizes.len()).find(|axis| pair % 3 == *axis && pair < 3 * sizes[*axis]);
    Ok((0..pairs).map(|pair| axis(pair).unwrap_or(0)).collect())
}

#[derive(Debug)]
struct Rope {
    rotation: Rotation,
    axes: Vec<usize>,
    head_dim: usize,
    interleaved: bool,
    batch: Dim,
    time: Dim,
    /// What the cosines and the sines of this rotation are called among the tensors shared by a run.
    keys: [String; 2],
}

impl Kernel for Rope {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let (q, k) = (inputs.take(), inputs.take());
        let width = FloatDType::from(q.dtype());
        let [cos, sin] = self.tables(context)?.map(|table| table.to_float(width).float::<4>());
        let turned = [q, k].map(|x| self.rotate(x.float(), cos.clone(), sin.clone()).into());
        Ok(Outputs::Many(turned.into()))
    }

    fn reads_context(&self) -> bool {
        true
    }
}

impl Rope {
    /// `x cos + partner sin`: the table of sines carries the signs, and is zero where nothing turns.
    fn rotate(&self, x: Tensor<B, 4>, cos: Tensor<B, 4>, sin: Tensor<B, 4>) -> Tensor<B, 4> {
        let [batch, heads, time, size] = x.dims();
        let partner = if self.interleaved {
            x.clone().reshape([batch, heads, time, size / 2, 2]).flip([4]).reshape([batch, heads, time, size])
        } else {
            let (half, dim) = (self.rotation.dim / 2, self.rotation.dim);
            let mut parts = vec![x.clone().narrow(3, half, dim - half), x.clone().narrow(3, 0, half)];
            if dim < size {
                parts.push(x.clone().narrow(3, dim, size - dim));
            }
            Tensor::cat(parts, 3)
        };
        x * cos + partner * sin
    }

    fn tables(&self, context: &mut Context<'_>) -> Result<[Value; 2], RunError> {
        let found = self.keys.each_ref().map(|key| context.shared.get(key).cloned());
        if let [Some(cos), Some(sin)] = found {
            return Ok([cos, sin]);
        }
        let positions = of_new_tokens(context, &self.batch, &self.time)?;
        let shape = vec![positions.rows, 1, positions.time, self.head_dim];
        let tables = self.angles(&positions);
        let tables =
            tables.map(|table| Value::from_floats(table, shape.clone(), FloatDType::F32, context.device));
        for (key, table) in self.keys.iter().zip(&tables) {
            context.shared.insert(key.clone(), table.clone());
        }
        Ok(tables)
    }

    /// Cosines and signed sines, row by row and token by token, `head_dim` numbers each.
    fn angles(&self, positions: &Positions) -> [Vec<f32>; 2] {
        let (rotated, factor) = (self.rotation.dim, self.rotation.attention_factor);
        let frequencies = self.rotation.at(positions.length());
        let tokens = positions.rows * positions.time;
        let mut cos = vec![1.0; tokens * self.head_dim];
        let mut sin = vec![0.0; tokens * self.head_dim];
        for token in 0..tokens {
            let start = token * self.head_dim;
            for (pair, frequency) in frequencies.iter().enumerate() {
                let axis = self.axes.get(pair).map_or(0, |axis| (*axis).min(positions.axes - 1));
                #[expect(clippy::cast_precision_loss, reason = "positions are f32 in the reference, too")]
                let angle = positions.numbers[axis * tokens + token] as f32 * frequency;
                let (first, second) =
                    if self.interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + rotated / 2) };
                let (sine, cosine) = angle.sin_cos();
                (cos[start + first], cos[start + second]) = (cosine * factor, cosine * factor);
                (sin[start + first], sin[start + second]) = (-sine * factor, sine * factor);
            }
        }
        [cos, sin]
    }
}
