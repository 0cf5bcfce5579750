//! Other shapes and orders of axes for the same elements.
//!
//! In: a tensor of any kind. Out: its elements under another shape. Sizes may be symbolic; that element counts
//! agree is checked while tracing where it can be decided, and by the run elsewhere.
//!
//! Absent on purpose: patterns with named axes (`rearrange.rs`).

use std::fmt;
use std::sync::Arc;

use super::Op;
use super::call::{Call, Fault, Traced, resolve_axis};
use super::dim::{Dim, DimError};
use super::function::kernel;
use super::types::{TensorType, show_shape};

pub(super) const OPS: &[Op] = &[
    Op {
        name: "reshape",
        signature: "x, shape",
        summary: "the elements in the same order under another shape; one size may be -1 and is computed",
        trace: reshape,
    },
    Op { name: "transpose", signature: "x, a, b", summary: "x with two axes exchanged", trace: transpose },
    Op { name: "permute", signature: "x, axes", summary: "x with its axes in another order", trace: permute },
    Op {
        name: "expand",
        signature: "x, shape",
        summary: "axes of size 1 repeated up to a shape; -1 keeps a size, and new axes come in front",
        trace: expand,
    },
    Op {
        name: "flatten",
        signature: "x, start=0, end=-1",
        summary: "the axes from `start` to `end`, both included, as one axis",
        trace: flatten,
    },
    Op {
        name: "unsqueeze",
        signature: "x, axis",
        summary: "x with an axis of size 1 inserted",
        trace: unsqueeze,
    },
    Op {
        name: "squeeze",
        signature: "x, axis",
        summary: "x without an axis, which has size 1",
        trace: squeeze,
    },
];

/// The product of sizes.
///
/// # Errors
/// [`DimError::Overflow`].
pub(super) fn product<'d>(sizes: impl IntoIterator<Item = &'d Dim>) -> Result<Dim, DimError> {
    sizes.into_iter().try_fold(Dim::Known(1), |total, size| total.mul(size))
}

/// The size that makes `whole` of `parts`, required to be a whole number.
///
/// # Errors
/// A fault if the division is known to leave something.
pub(super) fn quotient(
    call: &mut Call,
    whole: &Dim,
    parts: &Dim,
    what: impl fmt::Display,
) -> Result<Dim, Fault> {
    let size = whole.floor_div(parts)?;
    let covered = size.mul(parts)?;
    if let (Some(whole), Some(covered)) = (whole.known(), covered.known())
        && whole != covered
    {
        return Err(Fault::shape(format!("{what}: {whole} is no multiple of {parts}")));
    }
    call.same(whole, &covered, what)?;
    Ok(size)
}

/// The call that gives `x` another shape.
fn reshaped(x: &TensorType, shape: Vec<Dim>) -> Traced {
    let ty = x.with_shape(shape);
    let sizes = Arc::clone(&ty.shape);
    Traced::one(
        kernel(move |mut inputs, context| Ok(inputs.take().reshape(context.sizes(&sizes)?).into())),
        ty,
    )
}

fn reshape(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let mut shape = call.dims("shape")?;
    let total = product(&*x.shape)?;
    let open: Vec<usize> = (0..shape.len()).filter(|index| shape[*index] == Dim::Known(-1)).collect();
    let asked = shape.clone();
    let shapes = (show_shape(&x.shape), show_shape(&asked));
    let what = format_args!("the elements of {} under the shape {}", shapes.0, shapes.1);
    match open.as_slice() {
        [] => {
            call.same(&total, &product(&shape)?, what).map_err(|fault| fault.of("shape"))?;
        }
        [open] => {
            let others = product(asked.iter().filter(|size| **size != Dim::Known(-1)))?;
            if others == Dim::Known(0) {
                return Err(Fault::shape("a size of -1 beside one of 0 could be anything").of("shape"));
            }
            shape[*open] = quotient(call, &total, &others, what).map_err(|fault| fault.of("shape"))?;
        }
        _ => return Err(Fault::shape("more than one size is -1, expected at most one").of("shape")),
    }
    if let Some(size) = shape.iter().find(|size| size.known().is_some_and(|size| size < 0)) {
        return Err(Fault::shape(format!("a size is {size}, expected 0 or more, or -1")).of("shape"));
    }
    Ok(reshaped(&x, shape))
}

fn transpose(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let (a, b) = (call.axis("a", x.rank())?, call.axis("b", x.rank())?);
    let mut shape = x.shape.to_vec();
    shape.swap(a, b);
    let run = kernel(move |mut inputs, _| Ok(inputs.take().swap(a, b).into()));
    Ok(Traced::one(run, x.with_shape(shape)))
}

fn permute(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let given = call.ints("axes")?;
    let axes: Option<Vec<usize>> = given.iter().map(|axis| resolve_axis(*axis, x.rank())).collect();
    let axes = axes.filter(|axes| {
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        sorted == (0..x.rank()).collect::<Vec<_>>()
    });
    let Some(axes) = axes else {
        let message =
            format!("{given:?} of a tensor {}, expected each of its axes once", show_shape(&x.shape));
        return Err(Fault::shape(message).of("axes"));
    };
    let shape: Vec<Dim> = axes.iter().map(|axis| x.shape[*axis].clone()).collect();
    let run = kernel(move |mut inputs, _| Ok(inputs.take().permute(&axes).into()));
    Ok(Traced::one(run, x.with_shape(shape)))
}

fn expand(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let mut shape = call.dims("shape")?;
    let Some(new) = shape.len().checked_sub(x.rank()) else {
        let message = format!("{} sizes for a tensor {}", shape.len(), show_shape(&x.shape));
        return Err(Fault::shape(message).of("shape"));
    };
    for (index, size) in shape.iter_mut().enumerate() {
        let old = index.checked_sub(new).map(|axis| &x.shape[axis]);
        match (&*size, old) {
            (Dim::Known(-1), Some(old)) => *size = old.clone(),
            (Dim::Known(..0), _) => {
                return Err(Fault::shape(format!("a size is {size}, expected 0 or more")).of("shape"));
            }
            (_, Some(old)) if *old != Dim::Known(1) => {
                let (axis, shown) = (index - new, show_shape(&x.shape));
                let what = format_args!("axis {axis} of x {shown} and of the shape");
                call.same(old, size, what).map_err(|fault| fault.of("shape"))?;
            }
            _ => {}
        }
    }
    let ty = x.with_shape(shape.clone());
    let run = kernel(move |mut inputs, context| Ok(inputs.take().expand(context.sizes(&shape)?).into()));
    Ok(Traced::one(run, ty))
}

fn flatten(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let (start, end) = (call.axis("start", x.rank())?, call.axis("end", x.rank())?);
    if start > end {
        return Err(
            Fault::shape(format!("from axis {start} to axis {end}, expected them in order")).of("end")
        );
    }
    let mut shape = x.shape[..start].to_vec();
    shape.push(product(&x.shape[start..=end])?);
    shape.extend_from_slice(&x.shape[end + 1..]);
    Ok(reshaped(&x, shape))
}

fn unsqueeze(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axis = call.axis("axis", x.rank() + 1)?;
    let mut shape = x.shape.to_vec();
    shape.insert(axis, Dim::Known(1));
    let run = kernel(move |mut inputs, _| Ok(inputs.take().with_unit_axis(axis).into()));
    Ok(Traced::one(run, x.with_shape(shape)))
}

fn squeeze(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let shown = show_shape(&x.shape);
    let what = format_args!("the size of the squeezed axis of {shown} and 1");
    call.same(&x.shape[axis], &Dim::Known(1), what).map_err(|fault| fault.of("axis"))?;
    let mut shape = x.shape.to_vec();
    shape.remove(axis);
    let run = kernel(move |mut inputs, _| Ok(inputs.take().without_axis(axis).into()));
    Ok(Traced::one(run, x.with_shape(shape)))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        Failure, TestArg, check_gradient, fault, floats, ints, list, run_one, sample, try_run,
    };

    fn shape(op: &str, args: &[(&str, TestArg)]) -> Vec<usize> {
        run_one(op, args).0
    }

    #[test]
    fn a_reshape_computes_one_size() {
        let x = sample(&[2, 6, 5]).symbolic(&[0, 1]);
        assert_eq!(shape("reshape", &[("x", x.clone()), ("shape", [-1, 5].into())]), [12, 5]);
        let sizes = list(&[TestArg::Size(2), TestArg::Size(6), (-1i64).into()]);
        assert_eq!(shape("reshape", &[("x", x.clone()), ("shape", sizes)]), [2, 6, 5]);
        assert_eq!(shape("reshape", &[("x", x), ("shape", (-1i64).into())]), [60]);
        assert_eq!(shape("reshape", &[("x", sample(&[0, 4])), ("shape", [-1, 2].into())]), [0, 2]);
        let x = sample(&[2, 6]);
        let wrong = |sizes: &[i64]| fault("reshape", &[("x", x.clone()), ("shape", sizes.into())]).message;
        assert!(wrong(&[-1, 5]).contains("12 is no multiple of 5"), "{}", wrong(&[-1, 5]));
        assert!(wrong(&[3, 5]).contains("12 and 15"));
        assert!(wrong(&[-1, -1]).contains("more than one"));
        // What only the run can tell, the run tells.
        let x = sample(&[7]).symbolic(&[0]);
        let late = try_run("reshape", &[("x", x), ("shape", [-1, 2].into())]);
        assert!(matches!(late, Err(Failure::Run(message)) if message.contains("shape")));
    }

    #[test]
    fn axes_move() {
        let x = ints(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let turned = (vec![3, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let args = [("x", x.clone()), ("a", 0i64.into()), ("b", (-1i64).into())];
        assert_eq!(run_one("transpose", &args), turned);
        assert_eq!(run_one("permute", &[("x", x.clone()), ("axes", [1, 0].into())]), turned);
        assert_eq!(fault("permute", &[("x", x), ("axes", [0, 0].into())]).parameter, Some("axes"));
        assert_eq!(shape("permute", &[("x", sample(&[2, 3, 4])), ("axes", [-1, 0, 1].into())]), [4, 2, 3]);
        check_gradient("permute", &[("x", sample(&[2, 3, 2])), ("axes", [2, 0, 1].into())]);
    }

    #[test]
    fn axes_grow_and_vanish() {
        let x = floats(&[2, 1], &[1.0, 2.0]).symbolic(&[0]);
        let args = [("x", x.clone()), ("shape", [3, -1, 2].into())];
        assert_eq!(run_one("expand", &args), (vec![3, 2, 2], [1.0, 1.0, 2.0, 2.0].repeat(3)));
        check_gradient("expand", &args);
        assert_eq!(shape("unsqueeze", &[("x", x.clone()), ("axis", (-1i64).into())]), [2, 1, 1]);
        assert_eq!(shape("squeeze", &[("x", x.clone()), ("axis", 1i64.into())]), [2]);
        assert_eq!(shape("flatten", &[("x", x)]), [2]);
        let x = sample(&[2, 3, 4, 5]).symbolic(&[1, 2]);
        assert_eq!(shape("flatten", &[("x", x), ("start", 1i64.into()), ("end", 2i64.into())]), [2, 12, 5]);
        assert!(fault("squeeze", &[("x", sample(&[2])), ("axis", 0i64.into())]).message.contains("2 and 1"));
        assert!(fault("expand", &[("x", sample(&[2])), ("shape", [3].into())]).message.contains("2 and 3"));
    }
}
