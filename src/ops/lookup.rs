//! Elements chosen by tensors: by positions and by truth values.
//!
//! In: positions are ints from 0. Out: the kind of what is chosen from.
//!
//! None may lie outside, and the backends do not look. What is on the CPU is checked here; looking at what is on a GPU
//! would wait for it, so there only inputs are checked, before they are moved to it (`Plan::limits`).

use burn::tensor::IntDType;
use burn::tensor::ops::IntTensorOps;

use super::Op;
use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::function::kernel;
use super::kernel::RunError;
use super::layout::{bool_dtype, on_cpu};
use super::operand::{Sides, pair};
use super::types::{Kind, TensorType, show_shape};
use super::value::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "gather",
        signature: "x, index, axis",
        summary: "for each place of index, the element of x at that position of the axis: the shape of index",
        trace: gather,
    },
    Op {
        name: "index_select",
        signature: "x, index, axis",
        summary: "the positions of an axis that index names; its axes stand where that axis stood",
        trace: index_select,
    },
    Op {
        name: "where",
        signature: "condition, a, b",
        summary: "a where the condition holds, b elsewhere, with broadcasting",
        trace: choose,
    },
    Op {
        name: "one_hot",
        signature: "index, n",
        summary: "1 at the position that index [...] names, 0 elsewhere: int [..., n]",
        trace: one_hot,
    },
    Op {
        name: "cast",
        signature: "x, kind",
        summary: "x as \"float\" (of the run's width), \"int\" (towards zero) or \"bool\" (whether not 0)",
        trace: cast,
    },
];

/// Checks that positions on the CPU lie within an axis of this size.
///
/// # Errors
/// If one does not: which, and what is allowed.
pub(super) fn within(name: &str, index: &Value, size: usize) -> Result<(), RunError> {
    if !on_cpu(&index.device()) {
        return Ok(());
    }
    let inside = |position: &i64| usize::try_from(*position).is_ok_and(|position| position < size);
    match index.to_host().iter::<i64>().find(|position| !inside(position)) {
        None => Ok(()),
        Some(found) if size == 0 => {
            Err(RunError::new(format!("`{name}` holds {found}, and there is nothing to choose from")))
        }
        Some(found) => {
            Err(RunError::new(format!("`{name}` holds {found}, expected 0 to {} (axis of {size})", size - 1)))
        }
    }
}

fn gather(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let index = call.tensor_of("index", Kind::Int)?;
    let axis = call.axis("axis", x.rank())?;
    if index.rank() != x.rank() {
        let message = format!("`index` is `{index}`, expected {} dimensions as x `{x}` has", x.rank());
        return Err(Fault::shape(message).of("index"));
    }
    for other in (0..x.rank()).filter(|other| *other != axis) {
        let what = format_args!("sizes along axis {other} of x {} and index", show_shape(&x.shape));
        call.same(&x.shape[other], &index.shape[other], what).map_err(|fault| fault.of("index"))?;
    }
    let ty = x.with_shape(index.shape);
    let run = kernel(move |mut inputs, _| {
        let (x, index) = (inputs.take(), inputs.take());
        within("index", &index, x.shape()[axis])?;
        Ok(x.gather(axis, index.into_primitive()).into())
    });
    Ok(Traced::one(run, ty))
}

fn index_select(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let index = call.tensor_of("index", Kind::Int)?;
    let axis = call.axis("axis", x.rank())?;
    let ty = x.with_shape([&x.shape[..axis], &index.shape, &x.shape[axis + 1..]].concat());
    let run = kernel(move |mut inputs, _| {
        let (x, index) = (inputs.take(), inputs.take());
        let (mut shape, places) = (x.shape(), index.shape());
        within("index", &index, shape[axis])?;
        let count = places.iter().product();
        let rows = x.select(axis, index.reshape(vec![count]).into_primitive());
        shape.splice(axis..=axis, places);
        Ok(rows.reshape(shape).into())
    });
    Ok(Traced::one(run, ty))
}

fn choose(call: &mut Call) -> Result<Traced, Fault> {
    let condition = call.tensor_of("condition", Kind::Bool)?;
    let pair = pair(call, "a", "b", Kind::Bool)?;
    let shape = call.broadcast(&condition.shape, &pair.shape)?;
    let ty = TensorType { kind: pair.kind, shape: shape.clone().into() };
    let run = kernel(move |mut inputs, context| {
        let condition = inputs.take();
        let shape = context.sizes(&shape)?;
        let (a, b) = match pair.sides(&mut inputs, context)? {
            Sides::Tensors(a, b) => (a, b),
            Sides::Number(a, number) => {
                let b = a.filled_like(vec![1; a.rank()], number);
                (a, b)
            }
        };
        let condition = condition.expand(shape.clone()).into_primitive();
        Ok(b.expand(shape.clone()).replaced(condition, a.expand(shape)).into())
    });
    Ok(Traced::one(run, ty))
}

fn one_hot(call: &mut Call) -> Result<Traced, Fault> {
    let index = call.tensor_of("index", Kind::Int)?;
    let count = call.dim("n")?;
    let mut shape = index.shape.to_vec();
    shape.push(count.clone());
    let rank = index.rank();
    let run = kernel(move |mut inputs, context| {
        let index = Value::Int(inputs.take().to_i32());
        let count = context.size(&count)?;
        let device = index.device();
        let mut row = vec![1; rank];
        row.push(count);
        let end = i64::try_from(count).unwrap_or(i64::MAX);
        let numbers = Value::Int(B::int_arange(0..end, &device, IntDType::I32)).reshape(row);
        let index = index.with_unit_axis(rank).into_primitive();
        let hot = B::int_equal(index, numbers.into_primitive(), bool_dtype(&device));
        Ok(Value::Bool(hot).to_int().into())
    });
    Ok(Traced::one(run, TensorType::int(shape)))
}

fn cast(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let kind = match &*call.str("kind")? {
        "float" => Kind::Float,
        "int" => Kind::Int,
        "bool" => Kind::Bool,
        other => {
            let message = format!("`{other}` is no kind of number, expected float, int or bool");
            return Err(Fault::value(message).of("kind"));
        }
    };
    let run =
        kernel(move |mut inputs, context| Ok(super::operand::converted(inputs.take(), kind, context).into()));
    Ok(Traced::one(run, TensorType { kind, shape: x.shape }))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        Failure, TestArg, assert_close, bools, check_gradient, check_half, fault, floats, ints, noise,
        run_one, sample, try_run,
    };

    #[test]
    fn elements_by_position() {
        let x = floats(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).symbolic(&[0]);
        let index = ints(&[2, 2], &[2, 0, 1, 1]).symbolic(&[0]);
        let args = [("x", x.clone()), ("index", index), ("axis", (-1i64).into())];
        assert_eq!(run_one("gather", &args), (vec![2, 2], vec![3.0, 1.0, 5.0, 5.0]));
        check_gradient("gather", &args);
        let args = [("x", x.clone()), ("index", ints(&[2, 1], &[2, 0])), ("axis", 1i64.into())];
        assert_eq!(run_one("index_select", &args), (vec![2, 2, 1], vec![3.0, 1.0, 6.0, 4.0]));
        check_gradient("index_select", &args);
        let args = [("x", x.clone()), ("index", ints(&[2], &[0, 1])), ("axis", 1i64.into())];
        assert_eq!(fault("gather", &args).parameter, Some("index"));
        let from_the_end = [("x", x.clone()), ("index", ints(&[2], &[1, 0])), ("axis", (-2i64).into())];
        let rows = vec![4.0, 5.0, 6.0, 1.0, 2.0, 3.0];
        assert_eq!(run_one("index_select", &from_the_end), (vec![2, 3], rows));
        for op in ["gather", "index_select"] {
            let args = [("x", x.clone()), ("index", ints(&[2, 3], &[0; 6])), ("axis", (-3i64).into())];
            assert_eq!(fault(op, &args).parameter, Some("axis"), "{op}");
        }
    }

    #[test]
    fn positions_outside_are_told_and_not_read() {
        for (op, index) in
            [("gather", [3, 0]), ("gather", [0, -1]), ("index_select", [3, 0]), ("index_select", [0, -1])]
        {
            let outside = index.into_iter().find(|position| !(0..3).contains(position)).expect("one");
            let index = ints(if op == "gather" { &[2, 1] } else { &[2] }, &index);
            for axis in [1_i64, -1] {
                let args = [("x", sample(&[2, 3])), ("index", index.clone()), ("axis", axis.into())];
                let Err(Failure::Run(message)) = try_run(op, &args) else {
                    panic!("`{op}` read what is not there")
                };
                assert!(message.contains(&format!("{outside}, expected 0 to 2")), "{message}");
            }
        }
        let failure = try_run("embedding", &[("ids", ints(&[1], &[5])), ("weight", sample(&[5, 2]))]);
        let Err(Failure::Run(message)) = failure else { panic!("read what is not there") };
        assert!(message.contains("`ids` holds 5, expected 0 to 4"), "{message}");
    }

    #[test]
    fn elements_by_truth() {
        let condition = bools(&[2, 1], &[true, false]);
        let call = |a: TestArg, b: TestArg| [("condition", condition.clone()), ("a", a), ("b", b)];
        let x = floats(&[2], &[1.0, 2.0]);
        assert_eq!(run_one("where", &call(x.clone(), 0i64.into())), (vec![2, 2], vec![1.0, 2.0, 0.0, 0.0]));
        let filled = run_one("where", &call(f64::NEG_INFINITY.into(), x.clone())).1;
        assert_eq!(filled, [f32::NEG_INFINITY, f32::NEG_INFINITY, 1.0, 2.0]);
        assert_eq!(run_one("where", &call(1i64.into(), 2i64.into())), (vec![2, 1], vec![1.0, 2.0]));
        assert_eq!(run_one("where", &call(0.5.into(), TestArg::Size(4))).1, [0.5, 4.0]);
        check_gradient("where", &call(x.clone(), sample(&[2, 2])));
        check_half("where", &call(x.clone(), 0.5.into()));
        check_half("where", &call(1.5.into(), 0.5.into()));
        assert_eq!(
            fault("where", &[("condition", x.clone()), ("a", x.clone()), ("b", x)]).parameter,
            Some("condition")
        );
    }

    #[test]
    fn positions_become_ones() {
        let index = ints(&[2, 1], &[2, 0]).symbolic(&[0]);
        let found = run_one("one_hot", &[("index", index), ("n", 3i64.into())]);
        assert_eq!(found, (vec![2, 1, 3], vec![0.0, 0.0, 1.0, 1.0, 0.0, 0.0]));
        assert_eq!(run_one("one_hot", &[("index", ints(&[0], &[])), ("n", TestArg::Size(2))]).0, [0, 2]);
    }

    #[test]
    fn kinds_change() {
        let call = |x: TestArg, kind: &str| run_one("cast", &[("x", x), ("kind", kind.into())]).1;
        assert_eq!(call(floats(&[3], &[-1.5, 0.0, 2.7]), "int"), [-1.0, 0.0, 2.0]);
        assert_eq!(call(floats(&[3], &[-1.5, 0.0, 2.7]), "bool"), [1.0, 0.0, 1.0]);
        assert_eq!(call(bools(&[2], &[true, false]), "float"), [1.0, 0.0]);
        assert_close(&call(sample(&[3]), "float"), &noise(3));
        assert_eq!(fault("cast", &[("x", sample(&[1])), ("kind", "half".into())]).parameter, Some("kind"));
    }
}
