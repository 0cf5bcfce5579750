//! Pooling over windows of one or two axes.
//!
//! In: x [batch, channels, …]. Out: the same with fewer positions, sized as `torch.nn.functional` does. Padded positions
//! count as zeros in means, and never are the largest.

use burn::tensor::ops::ModuleOps;

use super::Op;
use super::backend::{B, Primitive};
use super::call::{Arg, Call, Fault, Traced};
use super::conv::{fits, known, options, windows};
use super::dim::Dim;
use super::function::kernel;
use super::types::{Const, TensorType};
use super::value::Value;

const POOL: &str = "x, kernel_size, stride=None, padding=0";

pub(super) const OPS: &[Op] = &[
    Op {
        name: "max_pool1d",
        signature: POOL,
        summary: "the largest of each window of x [b, c, t]; windows follow each other unless a stride is given",
        trace: |call| pool(call, |x, [k], [s], [p]| B::max_pool1d(x, k, s, p, 1, false)),
    },
    Op {
        name: "max_pool2d",
        signature: POOL,
        summary: "the largest of each window of x [b, c, h, w]; windows follow each other unless a stride is given",
        trace: |call| pool(call, |x, k, s, p| B::max_pool2d(x, k, s, p, [1, 1], false)),
    },
    Op {
        name: "avg_pool1d",
        signature: POOL,
        summary: "the mean of each window of x [b, c, t]; windows follow each other unless a stride is given",
        trace: |call| pool(call, |x, [k], [s], [p]| B::avg_pool1d(x, k, s, p, true, false)),
    },
    Op {
        name: "avg_pool2d",
        signature: POOL,
        summary: "the mean of each window of x [b, c, h, w]; windows follow each other unless a stride is given",
        trace: |call| pool(call, |x, k, s, p| B::avg_pool2d(x, k, s, p, true, false)),
    },
    Op {
        name: "adaptive_avg_pool1d",
        signature: "x, size",
        summary: "the means of as many even parts of x [b, c, t]: [b, c, size]",
        trace: |call| adaptive(call, |x, [size]| B::adaptive_avg_pool1d(x, size)),
    },
    Op {
        name: "adaptive_avg_pool2d",
        signature: "x, size",
        summary: "the means of as many even parts of x [b, c, h, w]: [b, c, size…]",
        trace: |call| adaptive(call, B::adaptive_avg_pool2d),
    },
];

type Pool<const N: usize> = fn(Primitive, [usize; N], [usize; N], [usize; N]) -> Primitive;

fn pool<const N: usize>(call: &mut Call, function: Pool<N>) -> Result<Traced, Fault> {
    let x = call.ranked("x", N + 2)?;
    let window = options::<N>(call, "kernel_size", 1)?;
    let stride = match call.peek("stride") {
        Arg::Const(Const::None) => window,
        _ => options::<N>(call, "stride", 1)?,
    };
    let padding = options::<N>(call, "padding", 0)?;
    let mut shape = x.shape[..2].to_vec();
    for axis in 0..N {
        if padding[axis] * 2 > window[axis] {
            let message =
                format!("`padding` is {}, expected at most half of {}", padding[axis], window[axis]);
            return Err(Fault::value(message).of("padding"));
        }
        let size = &x.shape[axis + 2];
        let out = windows(size, &known(window[axis]), [stride[axis], padding[axis], 1])?;
        fits(&out, size, &known(window[axis]))?;
        shape.push(out);
    }
    let ty = TensorType::float(shape.clone());
    let run = kernel(move |mut inputs, context| {
        let x = inputs.take();
        let sizes = context.sizes(&shape)?;
        if x.shape().contains(&0) || sizes.contains(&0) {
            return Ok(x.filled_like(sizes, 0.0).into());
        }
        Ok(Value::Float(function(x.into_primitive(), window, stride, padding)).into())
    });
    Ok(Traced::one(run, ty))
}

fn adaptive<const N: usize>(
    call: &mut Call,
    function: fn(Primitive, [usize; N]) -> Primitive,
) -> Result<Traced, Fault> {
    let x = call.ranked("x", N + 2)?;
    let mut sizes = call.dims("size")?;
    if sizes.len() == 1 {
        sizes = vec![sizes[0].clone(); N];
    }
    if sizes.len() != N || sizes.iter().any(|size| size.known().is_some_and(|size| size < 1)) {
        return Err(
            Fault::value(format!("`size` holds {} sizes, expected 1 or {N} above 0", sizes.len())).of("size")
        );
    }
    let shape: Vec<Dim> = [&x.shape[..2], &sizes].concat();
    let ty = TensorType::float(shape.clone());
    let run = kernel(move |mut inputs, context| {
        let x = inputs.take();
        let shape = context.sizes(&shape)?;
        if x.shape().contains(&0) {
            return Ok(x.filled_like(shape, 0.0).into());
        }
        let mut out = [0; N];
        out.copy_from_slice(&shape[2..]);
        Ok(Value::Float(function(x.into_primitive(), out)).into())
    });
    Ok(Traced::one(run, ty))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        TestArg, assert_close, check_gradient, check_half, fault, floats, noise, run_one, sample,
    };

    fn call(op: &str, x: TestArg, others: &[(&'static str, TestArg)]) -> (Vec<usize>, Vec<f32>) {
        let mut args = vec![("x", x)];
        args.extend(others.iter().cloned());
        run_one(op, &args)
    }

    #[test]
    fn windows_of_one_axis() {
        let x = floats(&[1, 1, 5], &[1.0, 5.0, 2.0, 4.0, 3.0]).symbolic(&[2]);
        let two = ("kernel_size", TestArg::from(2i64));
        assert_eq!(
            call("max_pool1d", x.clone(), std::slice::from_ref(&two)),
            (vec![1, 1, 2], vec![5.0, 4.0])
        );
        assert_eq!(
            call("avg_pool1d", x.clone(), &[two.clone(), ("stride", 1i64.into())]).1,
            [3.0, 3.5, 3.0, 3.5]
        );
        let padded = [two.clone(), ("padding", 1i64.into())];
        assert_eq!(call("avg_pool1d", x.clone(), &padded).1, [0.5, 3.5, 3.5]);
        let negative = floats(&[1, 1, 2], &[-1.0, -2.0]);
        assert_eq!(call("max_pool1d", negative, &padded).1, [-1.0, -2.0]);
        assert_eq!(call("max_pool1d", sample(&[0, 2, 4]), std::slice::from_ref(&two)).0, [0, 2, 2]);
        let wide = [("x", x.clone()), two, ("padding", 2i64.into())];
        assert_eq!(fault("max_pool1d", &wide).parameter, Some("padding"));
        check_gradient("avg_pool1d", &[("x", x), ("kernel_size", 2i64.into())]);
    }

    #[test]
    fn windows_of_two_axes() {
        let x = noise(16);
        let sizes = [("kernel_size", TestArg::from([2, 2])), ("stride", [2, 1].into())];
        let window = |row: usize, column: usize| [0, 1, 4, 5].map(|offset| x[row * 8 + column + offset]);
        let places: Vec<(usize, usize)> =
            (0..2).flat_map(|row| (0..3).map(move |column| (row, column))).collect();
        let largest: Vec<f32> =
            places.iter().map(|(r, c)| window(*r, *c).into_iter().fold(f32::MIN, f32::max)).collect();
        let means: Vec<f32> = places.iter().map(|(r, c)| window(*r, *c).iter().sum::<f32>() / 4.0).collect();
        let found = call("max_pool2d", sample(&[1, 1, 4, 4]), &sizes);
        assert_eq!(found, (vec![1, 1, 2, 3], largest));
        assert_close(&call("avg_pool2d", sample(&[1, 1, 4, 4]), &sizes).1, &means);
        check_gradient("max_pool2d", &[("x", sample(&[1, 1, 4, 4])), ("kernel_size", 2i64.into())]);
    }

    #[test]
    fn even_parts_overlap_where_sizes_do_not_divide() {
        let x = floats(&[1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]).symbolic(&[2]);
        let found = call("adaptive_avg_pool1d", x, &[("size", 2i64.into())]);
        assert_eq!(found, (vec![1, 1, 2], vec![2.0, 4.0]));
        let x = sample(&[1, 2, 3, 4]);
        let (shape, found) = call("adaptive_avg_pool2d", x.clone(), &[("size", 1i64.into())]);
        let means: Vec<f32> = noise(24).chunks(12).map(|plane| plane.iter().sum::<f32>() / 12.0).collect();
        assert_eq!(shape, [1, 2, 1, 1]);
        assert_close(&found, &means);
        assert_eq!(call("adaptive_avg_pool2d", x.clone(), &[("size", [3, 2].into())]).0, [1, 2, 3, 2]);
        check_half("adaptive_avg_pool2d", &[("x", x.clone()), ("size", [3, 2].into())]);
        check_gradient("adaptive_avg_pool2d", &[("x", x), ("size", [3, 2].into())]);
    }
}
