//! Norms whose statistics belong to channels: groups of them, running ones, and those of a weight.
//!
//! In: x [batch, channels, …] with parameters [channels]. Out: the same shape. Half-width floats are normalised in
//! 32 bits.
//!
//! Absent on purpose: batch statistics and their update: a running model normalises by what training left, and so does
//! fine-tuning here.

use burn::tensor::ops::FloatTensorOps;

use super::Op;
use super::backend::{B, Primitive};
use super::call::{Call, Fault, Traced};
use super::dim::Dim;
use super::function::kernel;
use super::layout::{float_dtype, in_f32};
use super::reduce::{mean_over, sum};
use super::shape::product;
use super::types::{TensorType, show_shape};
use super::value::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "group_norm",
        signature: "x, num_groups, weight=None, bias=None, *, eps=1e-5",
        summary: "x [b, c, …] less the mean of its group of channels, over its deviation, times weight plus bias",
        trace: group_norm,
    },
    Op {
        name: "batch_norm",
        signature: "x, running_mean, running_var, weight=None, bias=None, *, eps=1e-5",
        summary: "x [b, c, …] less a kept mean per channel, over its kept deviation, times weight plus bias",
        trace: batch_norm,
    },
    Op {
        name: "weight_norm",
        signature: "v, g, axis=0",
        summary: "v over its length across all axes but one, times g: as torch.nn.utils.parametrizations.weight_norm",
        trace: weight_norm,
    },
];

/// Takes `x` and the parameters, each as long as axis 1.
fn with_channels(
    call: &mut Call,
    needed: &[&'static str],
    others: &[&'static str],
) -> Result<TensorType, Fault> {
    let x = call.float_tensor("x")?;
    if x.rank() < 2 {
        return Err(Fault::shape(format!("`x` is `{x}`, expected [batch, channels, …]")).of("x"));
    }
    for name in needed.iter().chain(others) {
        let ty =
            if needed.contains(name) { Some(call.ranked(name, 1)?) } else { call.optional_tensor(name)? };
        let Some(ty) = ty else { continue };
        let [size] = &*ty.shape else {
            let message =
                format!("`{name}` has the shape {}, expected [{}]", show_shape(&ty.shape), x.shape[1]);
            return Err(Fault::shape(message).of(name));
        };
        let what = format_args!("the sizes of `{name}` and of the channels of x {}", show_shape(&x.shape));
        call.same(size, &x.shape[1], what).map_err(|fault| fault.of(name))?;
    }
    Ok(x)
}

/// One number per channel as [1, channels, 1, …], in the width of `like`.
fn per_channel(value: Value, rank: usize, like: &Primitive) -> Primitive {
    let mut shape = vec![1; rank];
    shape[1] = value.shape()[0];
    value.reshape(shape).to_float(float_dtype(like)).into_primitive()
}

fn group_norm(call: &mut Call) -> Result<Traced, Fault> {
    let x = with_channels(call, &[], &["weight", "bias"])?;
    let groups = call.int("num_groups")?;
    let eps = call.from_zero("eps")?;
    let known = usize::try_from(groups).ok().filter(|groups| *groups > 0);
    let Some(count) = known else {
        return Err(Fault::value(format!("{groups} groups, expected 1 or more")).of("num_groups"));
    };
    if x.shape[1].remainder(&Dim::Known(groups))?.known().is_some_and(|rest| rest != 0) {
        let message = format!("{} channels in {groups} groups, expected groups of one size", x.shape[1]);
        return Err(Fault::shape(message).of("num_groups"));
    }
    let run = kernel(move |mut inputs, _| {
        let (x, weight, bias) = (inputs.take(), inputs.optional(), inputs.optional());
        let shape = x.shape();
        if shape.contains(&0) {
            return Ok(x.into());
        }
        let y = in_f32(x.into_primitive(), |x| {
            let size = shape[1..].iter().product::<usize>() / count;
            let x = Value::Float(x).reshape(vec![shape[0] * count, size]).into_primitive();
            let mean = mean_over(x.clone(), 1);
            let off = B::float_sub(x, mean);
            let variance = mean_over(B::float_mul(off.clone(), off.clone()), 1);
            let scale = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, eps.into())));
            let y = Value::Float(B::float_mul(off, scale)).reshape(shape.clone()).into_primitive();
            let y = match weight {
                Some(weight) => B::float_mul(y.clone(), per_channel(weight, shape.len(), &y)),
                None => y,
            };
            match bias {
                Some(bias) => B::float_add(y.clone(), per_channel(bias, shape.len(), &y)),
                None => y,
            }
        });
        Ok(Value::Float(y).into())
    });
    Ok(Traced::one(run, x))
}

fn batch_norm(call: &mut Call) -> Result<Traced, Fault> {
    let x = with_channels(call, &["running_mean", "running_var"], &["weight", "bias"])?;
    let eps = call.from_zero("eps")?;
    let rank = x.rank();
    let run = kernel(move |mut inputs, _| {
        let (x, mean, variance) = (inputs.take(), inputs.take(), inputs.take());
        let (weight, bias) = (inputs.optional(), inputs.optional());
        let y = in_f32(x.into_primitive(), |x| {
            let mean = per_channel(mean, rank, &x);
            let variance = per_channel(variance, rank, &x);
            let scale = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, eps.into())));
            let scale = match weight {
                Some(weight) => B::float_mul(scale, per_channel(weight, rank, &x)),
                None => scale,
            };
            // One product and one sum over x: what is left is computed per channel.
            let shift = B::float_neg(B::float_mul(mean, scale.clone()));
            let shift = match bias {
                Some(bias) => B::float_add(shift, per_channel(bias, rank, &x)),
                None => shift,
            };
            B::float_add(B::float_mul(x, scale), shift)
        });
        Ok(Value::Float(y).into())
    });
    Ok(Traced::one(run, x))
}

fn weight_norm(call: &mut Call) -> Result<Traced, Fault> {
    let v = call.float_tensor("v")?;
    let g = call.float_tensor("g")?;
    let axis = call.axis("axis", v.rank())?;
    let what = format!("the size of axis {axis} of v {} and the numbers of g", show_shape(&v.shape));
    call.same(&v.shape[axis], &product(&*g.shape)?, what).map_err(|fault| fault.of("g"))?;
    let others: Vec<usize> = (0..v.rank()).filter(|other| *other != axis).collect();
    let run = kernel(move |mut inputs, _| {
        let (v, g) = (inputs.take(), inputs.take());
        let mut shape = vec![1; v.rank()];
        shape[axis] = v.shape()[axis];
        let y = in_f32(v.into_primitive(), |v| {
            let squares = Value::Float(B::float_mul(v.clone(), v.clone()));
            let length = B::float_sqrt(sum(squares, &others).into_primitive());
            let g = g.reshape(shape).to_float(float_dtype(&v)).into_primitive();
            B::float_mul(v, B::float_div(g, length))
        });
        Ok(Value::Float(y).into())
    });
    Ok(Traced::one(run, v))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        assert_close, check_gradient, check_half, fault, floats, noise, run_one, sample,
    };

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn groups_are_normalised_together() {
        let (data, weight, bias) = (noise(24), [1.0, 2.0, -1.0, 0.5], [0.1, 0.2, 0.3, 0.4]);
        let mut expected = Vec::new();
        for group in data.chunks(6) {
            let mean = group.iter().sum::<f32>() / group.len() as f32;
            let variance = group.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / group.len() as f32;
            expected.extend(group.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()));
        }
        let x = floats(&[2, 4, 3], &data).symbolic(&[0, 2]);
        let plain = [("x", x.clone()), ("num_groups", 2i64.into())];
        assert_close(&run_one("group_norm", &plain).1, &expected);
        for (index, y) in expected.iter_mut().enumerate() {
            *y = *y * weight[index / 3 % 4] + bias[index / 3 % 4];
        }
        let args = [
            ("x", x.clone()),
            ("num_groups", 2i64.into()),
            ("weight", floats(&[4], &weight)),
            ("bias", floats(&[4], &bias)),
        ];
        assert_close(&run_one("group_norm", &args).1, &expected);
        check_gradient("group_norm", &args);
        check_half("group_norm", &args);
        assert_eq!(
            run_one("group_norm", &[("x", sample(&[0, 4, 3])), ("num_groups", 2i64.into())]).0,
            [0, 4, 3]
        );
        assert_eq!(
            fault("group_norm", &[("x", x), ("num_groups", 3i64.into())]).parameter,
            Some("num_groups")
        );
    }

    #[test]
    fn kept_statistics_normalise_channels() {
        let args = [
            ("x", floats(&[1, 2, 2], &[1.0, 3.0, 2.0, 6.0]).symbolic(&[0, 2])),
            ("running_mean", floats(&[2], &[1.0, 2.0])),
            ("running_var", floats(&[2], &[4.0, 16.0])),
            ("weight", floats(&[2], &[1.0, 2.0])),
            ("bias", floats(&[2], &[0.5, 0.0])),
            ("eps", 0.0.into()),
        ];
        assert_close(&run_one("batch_norm", &args).1, &[0.5, 1.5, 0.0, 2.0]);
        check_gradient("batch_norm", &args);
        check_half("batch_norm", &args);
        assert_close(
            &run_one("batch_norm", &[args[0].clone(), args[1].clone(), args[2].clone()]).1,
            &[0.0, 1.0, 0.0, 1.0],
        );
        let wrong = [args[0].clone(), ("running_mean", sample(&[3])), args[2].clone()];
        assert_eq!(fault("batch_norm", &wrong).parameter, Some("running_mean"));
    }

    // torch._weight_norm(torch.tensor([[3., 4], [0, 2]]), g, dim)
    #[test]
    fn a_weight_has_the_lengths_of_g() {
        let v = floats(&[2, 2], &[3.0, 4.0, 0.0, 2.0]);
        let args = [("v", v.clone()), ("g", floats(&[2, 1], &[10.0, 3.0]))];
        assert_close(&run_one("weight_norm", &args).1, &[6.0, 8.0, 0.0, 3.0]);
        check_gradient("weight_norm", &args);
        check_half("weight_norm", &args);
        let args = [("v", v.clone()), ("g", floats(&[1, 2], &[6.0, 1.0])), ("axis", 1i64.into())];
        let root = 20.0f32.sqrt();
        assert_close(&run_one("weight_norm", &args).1, &[6.0, 4.0 / root, 0.0, 2.0 / root]);
        assert_eq!(fault("weight_norm", &[("v", v), ("g", sample(&[3]))]).parameter, Some("g"));
    }
}
