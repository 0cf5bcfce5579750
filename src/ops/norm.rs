//! Norms over the last axis or a named one, without statistics that are kept.
//!
//! In: floats, with weights as long as the normalised axis. Out: the same shape. Half-width floats are normalised
//! in 32 bits, as transformers does; without an offset they are narrowed before the weight is multiplied.
//!
//! Absent on purpose: norms over groups and batches; see `norm_channels.rs`.

use burn::tensor::FloatDType;
use burn::tensor::ops::{FloatTensorOps, ModuleOps};

use super::Op;
use super::backend::{B, Primitive};
use super::call::{Call, Fault, Traced};
use super::function::{elementwise, kernel};
use super::layout::{float_dtype, in_f32};
use super::reduce::{mean_over, sum_over};
use super::types::{TensorType, show_shape};
use super::value::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "rms_norm",
        signature: "x, weight=None, *, eps=1e-6, offset=0.0",
        summary: "x [..., n] / sqrt(mean(x^2) + eps) times (weight [n] + offset): the same shape",
        trace: rms_norm,
    },
    Op {
        name: "layer_norm",
        signature: "x, weight=None, bias=None, *, eps=1e-5",
        summary: "x [..., n] less its mean, over its deviation, times weight [n] plus bias [n]: the same shape",
        trace: layer_norm,
    },
    Op {
        name: "l2_norm",
        signature: "x, *, eps=1e-6",
        summary: "x [..., n] / sqrt(sum(x^2) + eps): the same shape",
        trace: l2_norm,
    },
    Op {
        name: "normalize",
        signature: "x, axis=-1, *, eps=1e-12",
        summary: "x divided by its length along an axis, which counts as at least eps: the same shape",
        trace: normalize,
    },
];

/// Takes `x` and, where given, tensors that are as long as its last axis; says which of them are there.
fn with_last_axis<const N: usize>(
    call: &mut Call,
    names: [&'static str; N],
) -> Result<(TensorType, [bool; N]), Fault> {
    let x = call.float_tensor("x")?;
    let Some(size) = x.last().cloned() else {
        return Err(Fault::shape("`x` has no dimensions, expected [..., n]").of("x"));
    };
    let mut given = [false; N];
    for (name, given) in names.into_iter().zip(&mut given) {
        let Some(ty) = call.optional_tensor(name)? else { continue };
        if ty.rank() != 1 {
            let shape = show_shape(&ty.shape);
            return Err(Fault::shape(format!("`{name}` has the shape {shape}, expected [{size}]")).of(name));
        }
        let shown = show_shape(&x.shape);
        let what = format_args!("the sizes of `{name}` and of the last axis of x {shown}");
        call.same(&ty.shape[0], &size, what).map_err(|fault| fault.of(name))?;
        *given = true;
    }
    Ok((x, given))
}

fn rms_norm(call: &mut Call) -> Result<Traced, Fault> {
    let (x, _) = with_last_axis(call, ["weight"])?;
    let (eps, offset) = (call.from_zero("eps")?, call.float("offset")?);
    let last = x.rank() - 1;
    let run = kernel(move |mut inputs, _| {
        let (x, weight) = (inputs.take().into_primitive(), inputs.optional());
        let weight = weight.map(|weight| weight.with_rank(last + 1).into_primitive());
        let dtype = float_dtype(&x);
        let narrow = offset == 0.0;
        let y = root_mean_square(to(x, FloatDType::F32), last, eps);
        let y = if narrow { to(y, dtype) } else { y };
        let y = match weight {
            None => y,
            Some(weight) if narrow => B::float_mul(y, to(weight, dtype)),
            Some(weight) => {
                let weight = B::float_add_scalar(to(weight, FloatDType::F32), offset.into());
                B::float_mul(y, weight)
            }
        };
        Ok(Value::Float(to(y, dtype)).into())
    });
    Ok(Traced::one(run, x))
}

fn root_mean_square(x: Primitive, axis: usize, eps: f64) -> Primitive {
    let mean = mean_over(B::float_mul(x.clone(), x.clone()), axis);
    let scale = B::float_recip(B::float_sqrt(B::float_add_scalar(mean, eps.into())));
    B::float_mul(x, scale)
}

/// The tensor in another width; 64 bits stay.
fn to(x: Primitive, dtype: FloatDType) -> Primitive {
    let found = float_dtype(&x);
    if found == dtype || found == FloatDType::F64 { x } else { B::float_cast(x, dtype) }
}

fn layer_norm(call: &mut Call) -> Result<Traced, Fault> {
    let (x, [weight_given, bias_given]) = with_last_axis(call, ["weight", "bias"])?;
    if bias_given && !weight_given {
        return Err(Fault::value("a bias without a weight, expected a weight too").of("bias"));
    }
    let eps = call.from_zero("eps")?;
    let run = kernel(move |mut inputs, _| {
        let (x, weight, bias) = (inputs.take(), inputs.optional(), inputs.optional());
        let size = x.shape().last().copied().unwrap_or(1);
        let y = in_f32(x.in_order().into_primitive(), |x| {
            let like = Value::Float(x.clone());
            let weight = weight.unwrap_or_else(|| like.filled_like(vec![size], 1.0));
            let dtype = float_dtype(&x);
            let bias = bias.map(|bias| to(bias.into_primitive(), dtype));
            B::layer_norm(x, to(weight.into_primitive(), dtype), bias, eps)
        });
        Ok(Value::Float(y).into())
    });
    Ok(Traced::one(run, x))
}

fn l2_norm(call: &mut Call) -> Result<Traced, Fault> {
    let (x, []) = with_last_axis(call, [])?;
    let eps = call.from_zero("eps")?;
    let last = x.rank() - 1;
    let run = elementwise(move |x| {
        in_f32(x, |x| {
            let sum = sum_over(B::float_mul(x.clone(), x.clone()), last);
            let scale = B::float_recip(B::float_sqrt(B::float_add_scalar(sum, eps.into())));
            B::float_mul(x, scale)
        })
    });
    Ok(Traced::one(run, x))
}

fn normalize(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.float_tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let eps = call.from_zero("eps")?;
    let run = elementwise(move |x| {
        in_f32(x, |x| {
            let length = B::float_sqrt(sum_over(B::float_mul(x.clone(), x.clone()), axis));
            B::float_div(x, B::float_clamp_min(length, eps.into()))
        })
    });
    Ok(Traced::one(run, x))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        assert_close, check_gradient, check_half, fault, floats, noise, run_one, sample,
    };

    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn by_row(data: &[f32], size: usize, row: impl Fn(&[f32], f32) -> Vec<f32>) -> Vec<f32> {
        data.chunks(size).flat_map(|x| row(x, size as f32)).collect()
    }

    #[test]
    fn rms_norm_equals_its_formula() {
        let data = noise(12);
        let naive = by_row(&data, 4, |x, n| {
            let scale = (x.iter().map(|x| x * x).sum::<f32>() / n + 1e-6).sqrt();
            x.iter().map(|x| x / scale).collect()
        });
        let x = floats(&[3, 1, 4], &data).symbolic(&[0]);
        assert_close(&run_one("rms_norm", &[("x", x.clone())]).1, &naive);
        let weight = [1.0, 2.0, 0.5, -1.0];
        let scaled = |offset: f32| -> Vec<f32> {
            naive.iter().enumerate().map(|(index, y)| y * (weight[index % 4] + offset)).collect()
        };
        let args = [("x", x.clone()), ("weight", floats(&[4], &weight))];
        assert_close(&run_one("rms_norm", &args).1, &scaled(0.0));
        let args = [("x", x.clone()), ("weight", floats(&[4], &weight)), ("offset", 1.0.into())];
        assert_close(&run_one("rms_norm", &args).1, &scaled(1.0));
        check_gradient("rms_norm", &args);
        check_half("rms_norm", &args);
        check_half("rms_norm", &args[..2]);
        assert_eq!(run_one("rms_norm", &[("x", sample(&[0, 4]))]).0, [0, 4]);
        let wrong = fault("rms_norm", &[("x", x), ("weight", sample(&[3]))]);
        assert_eq!(wrong.parameter, Some("weight"));
    }

    #[test]
    fn layer_norm_equals_its_formula() {
        let data = noise(10);
        let (weight, bias) = ([1.0, 2.0, 0.5, -1.0, 3.0], [0.1, 0.2, 0.3, 0.4, 0.5]);
        let naive = by_row(&data, 5, |x, n| {
            let mean = x.iter().sum::<f32>() / n;
            let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n + 1e-5).sqrt();
            x.iter().map(|x| (x - mean) / deviation).collect()
        });
        let x = floats(&[1, 2, 5], &data).symbolic(&[1]);
        assert_close(&run_one("layer_norm", &[("x", x.clone())]).1, &naive);
        let affine: Vec<f32> =
            naive.iter().enumerate().map(|(i, y)| y * weight[i % 5] + bias[i % 5]).collect();
        let args = [("x", x.clone()), ("weight", floats(&[5], &weight)), ("bias", floats(&[5], &bias))];
        assert_close(&run_one("layer_norm", &args).1, &affine);
        check_gradient("layer_norm", &args);
        check_half("layer_norm", &args);
        assert_eq!(run_one("layer_norm", &[("x", sample(&[0, 5]))]).0, [0, 5]);
        assert_eq!(fault("layer_norm", &[("x", x), ("bias", sample(&[5]))]).parameter, Some("bias"));
    }

    #[test]
    fn a_mean_far_from_zero_costs_little_precision() {
        // torch.nn.functional.layer_norm gives these; burn's row kernel subtracts two large sums.
        let x = floats(&[3], &[100.0, 101.0, 103.0]);
        let expected = [-1.069_04, -0.267_26, 1.336_31];
        let found = run_one("layer_norm", &[("x", x)]).1;
        crate::ops::testing::assert_within(&found, &expected, 2e-3);
    }

    #[test]
    fn lengths_become_one() {
        let x = floats(&[2, 2], &[3.0, 4.0, 0.0, 0.0]);
        assert_close(&run_one("normalize", &[("x", x.clone())]).1, &[0.6, 0.8, 0.0, 0.0]);
        assert_close(
            &run_one("normalize", &[("x", x.clone()), ("axis", 0i64.into())]).1,
            &[1.0, 1.0, 0.0, 0.0],
        );
        assert_close(&run_one("l2_norm", &[("x", x), ("eps", 11.0.into())]).1, &[0.5, 4.0 / 6.0, 0.0, 0.0]);
        check_gradient("normalize", &[("x", sample(&[2, 3]))]);
        check_gradient("l2_norm", &[("x", sample(&[2, 3]))]);
        check_half("normalize", &[("x", sample(&[2, 3]))]);
    }
}
