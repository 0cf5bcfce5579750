//! What `x[…]` becomes: slices of one axis and single positions of one.
//!
//! In: a tensor and bounds as Python writes them: numbers, `None` or sizes of the call; negative ones count from
//! the end, and what lies outside is clipped. Out: the traced length is exact. Where a bound or the axis is
//! symbolic, a symbolic stop and a start are taken to lie inside the axis; a run where they do not is an error
//! rather than a shorter result.
//!
//! Absent on purpose: negative steps, which `PyTorch` has not either; see `flip`.

use burn::tensor::Slice;

use super::Op;
use super::call::{Arg, Call, Fault, Traced};
use super::dim::{Atom, Dim, DimError};
use super::function::kernel;
use super::kernel::{Context, RunError};
use super::types::{Const, show_shape};

pub(super) const OPS: &[Op] = &[
    Op {
        name: "slice",
        signature: "x, axis, start=None, stop=None, step=1",
        summary: "every `step`-th position of an axis from `start` up to `stop`, as `x[start:stop:step]`",
        trace: slice,
    },
    Op {
        name: "select",
        signature: "x, axis, index",
        summary: "one position of an axis, without that axis, as `x[index]`",
        trace: select,
    },
];

/// A bound, `None` where it is left out.
fn bound(call: &mut Call, name: &'static str) -> Result<Option<Dim>, Fault> {
    match call.peek(name) {
        Arg::Const(Const::None) => Ok(None),
        _ => call.dim(name).map(Some),
    }
}

/// The least value that a size is plain to have: that of its constant, where every other term only adds.
fn least(size: &Dim) -> i64 {
    let Dim::Sum(terms) = size else { return size.known().unwrap_or(0).max(0) };
    let adds = |(product, factor): (&Vec<Atom>, &i64)| {
        *factor >= 0 && product.iter().all(|atom| matches!(atom, Atom::Symbol(_)))
    };
    let constant = terms.get(&Vec::new()).copied().unwrap_or(0);
    if constant > 0 && terms.iter().all(adds) { constant } else { 0 }
}

/// A bound counted from the front, clipped where that can be decided.
fn from_front(bound: &Dim, size: &Dim, is_stop: bool) -> Result<Dim, DimError> {
    Ok(match (bound, size) {
        (Dim::Known(bound), Dim::Known(size)) => {
            let bound = if *bound < 0 { (*bound).saturating_add(*size) } else { *bound };
            Dim::Known(bound.clamp(0, *size))
        }
        (Dim::Known(back @ ..0), _) => {
            let place = size.add(bound)?;
            // The last position is taken to exist, so that `x[:, -1:]` has length 1.
            let inside = *back == -1 || least(size) >= back.saturating_neg();
            if inside { place } else { Dim::larger(&place, &Dim::Known(0)) }
        }
        (Dim::Known(bound), _) if is_stop && *bound > least(size) => Dim::smaller(&Dim::Known(*bound), size),
        _ => bound.clone(),
    })
}

fn length(start: &Dim, stop: &Dim, step: i64) -> Result<Dim, DimError> {
    let span = stop.sub(start)?;
    let count = span.add(&Dim::Known(step - 1))?.floor_div(&Dim::Known(step))?;
    Ok(if count.known().is_some() { Dim::larger(&count, &Dim::Known(0)) } else { count })
}

/// The bounds for one run as Python clips them: `0 <= start <= stop <= size`.
fn clipped(
    bounds: [&Option<Dim>; 2],
    size: usize,
    context: &Context<'_>,
) -> Result<(usize, usize), RunError> {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let inside = |bound: &Option<Dim>, default: i64| -> Result<i64, RunError> {
        let Some(bound) = bound else { return Ok(default) };
        let bound = bound.eval(&context.symbols)?;
        Ok(if bound < 0 { bound.saturating_add(size) } else { bound }.clamp(0, size))
    };
    let (start, stop) = (inside(bounds[0], 0)?, inside(bounds[1], size)?);
    let unsigned = |value: i64| usize::try_from(value).unwrap_or(0);
    Ok((unsigned(start), unsigned(stop.max(start))))
}

fn slice(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let (start, stop) = (bound(call, "start")?, bound(call, "stop")?);
    let step = call.int("step")?;
    if step < 1 {
        let fault = Fault::value(format!("a step of {step}, expected 1 or more")).of("step");
        return Err(fault.help("write `flip(x, axes)` to reverse an axis"));
    }
    let size = &x.shape[axis];
    let first = start.as_ref().map_or(Ok(Dim::Known(0)), |start| from_front(start, size, false))?;
    let last = stop.as_ref().map_or(Ok(size.clone()), |stop| from_front(stop, size, true))?;
    let traced = length(&first, &last, step)?;
    let mut shape = x.shape.to_vec();
    shape[axis] = traced.clone();
    let ty = x.with_shape(shape);
    let run = kernel(move |mut inputs, context| {
        let x = inputs.take();
        let shape = x.shape();
        let (start, stop) = clipped([&start, &stop], shape[axis], context)?;
        let step_size = usize::try_from(step).unwrap_or(1);
        let count = (stop - start).div_ceil(step_size);
        let expected = traced.eval(&context.symbols)?;
        if i64::try_from(count) != Ok(expected) {
            let message = format!(
                "positions {start} to {stop} of an axis of size {}, expected `{traced}` of them, which is {expected}",
                shape[axis]
            );
            return Err(RunError::new(message));
        }
        if step == 1 || count == 0 {
            return Ok(x.narrow(axis, start, count).into());
        }
        let slices: Vec<Slice> = shape
            .iter()
            .enumerate()
            .map(|(index, size)| {
                let range = if index == axis { Slice::from(start..stop) } else { Slice::from(0..*size) };
                if index == axis {
                    Slice { step: isize::try_from(step).unwrap_or(1), ..range }
                } else {
                    range
                }
            })
            .collect();
        Ok(x.slice(&slices).into())
    });
    Ok(Traced::one(run, ty))
}

fn select(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let axis = call.axis("axis", x.rank())?;
    let index = call.dim("index")?;
    if let (Some(index), Some(size)) = (index.known(), x.shape[axis].known())
        && !(-size..size).contains(&index)
    {
        let message = format!("position {index} of axis {axis} of {}", show_shape(&x.shape));
        return Err(Fault::shape(message).of("index"));
    }
    let mut shape = x.shape.to_vec();
    shape.remove(axis);
    let ty = x.with_shape(shape);
    let run = kernel(move |mut inputs, context| {
        let x = inputs.take();
        let size = x.shape()[axis];
        let given = index.eval(&context.symbols)?;
        let back = i64::try_from(size).unwrap_or(i64::MAX);
        let found = usize::try_from(if given < 0 { given.saturating_add(back) } else { given });
        let Some(found) = found.ok().filter(|found| *found < size) else {
            return Err(RunError::new(format!("position {given} of an axis of size {size}")));
        };
        Ok(x.narrow(axis, found, 1).without_axis(axis).into())
    });
    Ok(Traced::one(run, ty))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::{
        Failure, TestArg, check_gradient, fault, floats, ints, numbers, run_one, sample, try_run,
    };

    /// `list(range(size))[start:stop:step]`, by the letter of Python's reference.
    fn python(size: i64, start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<i64> {
        let place = |bound: i64| if bound < 0 { (bound + size).max(0) } else { bound.min(size) };
        let (mut at, end) = (start.map_or(0, place), stop.map_or(size, place));
        let mut found = Vec::new();
        while at < end {
            found.push(at);
            at += step;
        }
        found
    }

    fn arg(bound: Option<i64>) -> TestArg {
        bound.map_or(TestArg::Const(crate::ops::Const::None), TestArg::from)
    }

    proptest! {
        #[test]
        fn slices_equal_those_of_python(
            size in 0i64..6, start in proptest::option::of(-8i64..8), stop in proptest::option::of(-8i64..8),
            step in 1i64..4, symbolic in any::<bool>(),
        ) {
            let data: Vec<i32> = (0..i32::try_from(size).expect("small")).collect();
            let x = ints(&[1, data.len()], &data).symbolic(if symbolic { &[1] } else { &[] });
            let args =
                [("x", x), ("axis", 1i64.into()), ("start", arg(start)), ("stop", arg(stop)), ("step", step.into())];
            let expected: Vec<f32> =
                python(size, start, stop, step).iter().map(|x| f32::from(i16::try_from(*x).expect("small"))).collect();
            match try_run("slice", &args) {
                Ok(found) => prop_assert_eq!(numbers(&found[0]), expected),
                // A symbolic axis that is too short for its bounds is an error of the run.
                Err(Failure::Run(_)) if symbolic => {
                    let outside = |bound: Option<i64>| bound.is_some_and(|bound| bound > size || bound < -size);
                    let crossed = expected.is_empty();
                    prop_assert!(outside(start) || outside(stop) || crossed, "{start:?} {stop:?} of {size}");
                }
                Err(failure) => prop_assert!(false, "{failure:?}"),
            }
        }
    }

    #[test]
    fn symbolic_bounds() {
        let x = floats(&[1, 4], &[1.0, 2.0, 3.0, 4.0]);
        let args = [("x", x.clone()), ("axis", (-1i64).into()), ("stop", TestArg::Size(3))];
        assert_eq!(run_one("slice", &args), (vec![1, 3], vec![1.0, 2.0, 3.0]));
        let args = [("x", x.clone()), ("axis", 1i64.into()), ("start", TestArg::Size(3))];
        assert_eq!(run_one("slice", &args).1, [4.0]);
        let args = [("x", x.clone()), ("axis", 1i64.into()), ("stop", TestArg::Size(5))];
        assert!(matches!(try_run("slice", &args), Err(Failure::Run(message)) if message.contains("size 4")));
        let args = [("x", x.clone().symbolic(&[1])), ("axis", 1i64.into()), ("start", (-1i64).into())];
        assert_eq!(run_one("slice", &args), (vec![1, 1], vec![4.0]));
        let args = [("x", x.clone()), ("axis", 1i64.into()), ("step", 2i64.into())];
        assert_eq!(run_one("slice", &args).1, [1.0, 3.0]);
        check_gradient("slice", &args);
        let args = [("x", x), ("axis", 1i64.into()), ("step", (-1i64).into())];
        assert!(fault("slice", &args).help.is_some());
    }

    #[test]
    fn single_positions() {
        let x = sample(&[2, 3, 2]).symbolic(&[1]);
        let call = |index: TestArg| [("x", x.clone()), ("axis", 1i64.into()), ("index", index)];
        assert_eq!(run_one("select", &call((-1i64).into())).0, [2, 2]);
        assert_eq!(run_one("select", &call((-1i64).into())), run_one("select", &call(2i64.into())));
        assert_eq!(run_one("select", &call(TestArg::Size(2))), run_one("select", &call(2i64.into())));
        assert!(try_run("select", &call(3i64.into())).is_err());
        let known = [("x", sample(&[2])), ("axis", 0i64.into()), ("index", (-3i64).into())];
        assert_eq!(fault("select", &known).parameter, Some("index"));
        check_gradient("select", &call(1i64.into()));
    }
}
