//! `softmax` and `log_softmax`.
//!
//! In: floats of any rank above 0. Out: the same shape. Half-width floats are computed in 32 bits, as transformers
//! does, and narrowed again. On the CPU burn's fused row kernel runs.

use burn::tensor::ops::ActivationOps;

use super::Op;
use super::backend::{B, Primitive};
use super::call::{Call, Fault, Traced};
use super::function::elementwise;
use super::layout::in_f32;
use super::value::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "softmax",
        signature: "x, axis=-1",
        summary: "exp(x) divided by its sum over an axis: the same shape",
        trace: |call| over_axis(call, B::softmax),
    },
    Op {
        name: "log_softmax",
        signature: "x, axis=-1",
        summary: "the logarithm of the softmax over an axis: the same shape",
        trace: |call| over_axis(call, B::log_softmax),
    },
];

fn over_axis(call: &mut Call, function: fn(Primitive, usize) -> Primitive) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let run = move |x| in_f32(Value::Float(x).in_order().into_primitive(), |x| function(x, axis));
    Ok(Traced::one(elementwise(run), x))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        assert_close, check_gradient, check_half, fault, floats, noise, run_one, sample,
    };

    /// The softmax over the middle axis of a [2, 3, 2] tensor.
    fn naive(x: &[f32]) -> Vec<f32> {
        let at = |i: usize, j: usize, k: usize| x[(i * 3 + j) * 2 + k].exp();
        let places = (0..2).flat_map(|i| (0..3).flat_map(move |j| (0..2).map(move |k| (i, j, k))));
        places.map(|(i, j, k)| at(i, j, k) / (0..3).map(|j| at(i, j, k)).sum::<f32>()).collect()
    }

    #[test]
    fn rows_sum_to_one_over_any_axis() {
        let expected = naive(&noise(12));
        let x = sample(&[2, 3, 2]).symbolic(&[0, 1]);
        assert_close(&run_one("softmax", &[("x", x.clone()), ("axis", (-2i64).into())]).1, &expected);
        let logs: Vec<f32> = expected.iter().map(|p| p.ln()).collect();
        assert_close(&run_one("log_softmax", &[("x", x.clone()), ("axis", 1i64.into())]).1, &logs);
        check_gradient("softmax", &[("x", x.clone()), ("axis", 1i64.into())]);
        check_half("log_softmax", &[("x", x.clone())]);
        check_gradient("log_softmax", &[("x", x)]);
    }

    #[test]
    fn masked_and_large_numbers_stay_finite() {
        let x = floats(&[1, 3], &[f32::NEG_INFINITY, 1000.0, 1000.0]);
        assert_close(&run_one("softmax", &[("x", x)]).1, &[0.0, 0.5, 0.5]);
        assert_eq!(run_one("softmax", &[("x", sample(&[0, 3]))]).0, [0, 3]);
        assert_eq!(fault("softmax", &[("x", sample(&[2])), ("axis", 1i64.into())]).parameter, Some("axis"));
    }
}
