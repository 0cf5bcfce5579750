//! `rearrange`, `repeat` and `reduce` by patterns of named axes, as in einops.
//!
//! In: a tensor, a pattern (`einops.rs`) and sizes by name, which may be symbolic. Out: the tensor that the right side
//! describes. A call is one reshape, one permutation and one reshape, with repeats and reductions between.

use std::sync::Arc;

use super::Op;
use super::call::{Call, Fault, Traced};
use super::dim::Dim;
use super::einops::{Plan, plan};
use super::function::kernel;
use super::kernel::{Context, RunError};
use super::reduce::{amax, amin, drop_axes, mean, sum};
use super::types::{Kind, TensorType};
use super::value::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "rearrange",
        signature: "x, pattern, **sizes",
        summary: "x with axes split, merged and reordered: `b (h w) c -> b c h w`",
        trace: rearrange,
    },
    Op {
        name: "repeat",
        signature: "x, pattern, **sizes",
        summary: "as rearrange; axes that stand on the right only repeat x: `b h t -> b (h r) t`",
        trace: repeat,
    },
    Op {
        name: "reduce",
        signature: "x, pattern, how, **sizes",
        summary: "as rearrange; axes that stand on the left only are reduced by sum, mean, max or min",
        trace: reduce,
    },
];

/// The whole work on one tensor.
#[derive(Debug)]
struct Steps {
    /// The sizes of the elementary axes on the left.
    split: Vec<Dim>,
    /// Those of them that are reduced.
    reduced: Vec<usize>,
    /// The axes that are left, in the order of the right side.
    order: Vec<usize>,
    /// The sizes with those of new axes as 1, and in full, where something is repeated.
    repeated: Option<[Vec<Dim>; 2]>,
    shape: Arc<[Dim]>,
}

type Reduction = fn(Value, &[usize]) -> Value;

impl Steps {
    fn new(plan: Plan<'_>) -> Self {
        let (kept, reduced): (Vec<usize>, _) =
            (0..plan.left.len()).partition(|index| on_right(&plan, *index));
        let order = places(&plan).filter_map(|place| kept.iter().position(|kept| *kept == place)).collect();
        let is_new = |(_, size, place): &(_, Dim, Option<_>)| place.is_none() && *size != Dim::Known(1);
        let repeated = plan.right.iter().any(is_new).then(|| {
            let narrow = plan.right.iter().map(|(_, size, place)| match place {
                Some(_) => size.clone(),
                None => Dim::Known(1),
            });
            [narrow.collect(), plan.right.iter().map(|(_, size, _)| size.clone()).collect()]
        });
        let split = plan.left.into_iter().map(|(_, size)| size).collect();
        Self { split, reduced, order, repeated, shape: plan.shape }
    }

    fn run(&self, x: Value, how: Reduction, context: &Context<'_>) -> Result<Value, RunError> {
        let mut x = x.reshape(context.sizes(&self.split)?);
        if !self.reduced.is_empty() {
            x = drop_axes(how(x, &self.reduced), &self.reduced);
        }
        x = x.permute(&self.order);
        if let Some([narrow, wide]) = &self.repeated {
            x = x.reshape(context.sizes(narrow)?).expand(context.sizes(wide)?);
        }
        Ok(x.reshape(context.sizes(&self.shape)?))
    }
}

/// The places on the left of what stands on the right.
fn places<'p>(plan: &'p Plan<'_>) -> impl Iterator<Item = usize> + 'p {
    plan.right.iter().filter_map(|(.., place)| *place)
}

/// Whether an axis of the left stands on the right, too.
fn on_right(plan: &Plan<'_>, index: usize) -> bool {
    places(plan).any(|place| place == index)
}

/// The arguments that all three have.
struct Given {
    x: TensorType,
    pattern: Arc<str>,
    sizes: Vec<(Arc<str>, Dim)>,
}

impl Given {
    fn read(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self { x: call.tensor("x")?, pattern: call.str("pattern")?, sizes: call.named_dims("sizes")? })
    }

    fn plan(&self, call: &mut Call) -> Result<Plan<'_>, Fault> {
        plan(call, &self.pattern, &self.x.shape, &self.sizes)
    }

    fn refuse_left(&self, plan: &Plan<'_>) -> Result<(), Fault> {
        let lonely = (0..plan.left.len()).find(|index| !on_right(plan, *index));
        let Some(axis) = lonely.map(|index| plan.left[index].0) else { return Ok(()) };
        let fault = Fault::value(format!("the axis `{axis}` stands on the left of `{}` only", self.pattern));
        Err(fault.of("pattern").help("use `reduce` to sum an axis away"))
    }

    fn refuse_right(&self, plan: &Plan<'_>) -> Result<(), Fault> {
        let lonely = plan.right.iter().find(|(.., place)| place.is_none());
        let Some((axis, ..)) = lonely else { return Ok(()) };
        let fault = Fault::value(format!("the axis `{axis}` stands on the right of `{}` only", self.pattern));
        Err(fault.of("pattern").help("use `repeat` to make an axis"))
    }
}

fn traced(x: &TensorType, plan: Plan<'_>, how: Reduction) -> Traced {
    let ty = x.with_shape(Arc::clone(&plan.shape));
    let steps = Steps::new(plan);
    Traced::one(kernel(move |mut inputs, context| Ok(steps.run(inputs.take(), how, context)?.into())), ty)
}

fn rearrange(call: &mut Call) -> Result<Traced, Fault> {
    let given = Given::read(call)?;
    let plan = given.plan(call)?;
    given.refuse_left(&plan)?;
    given.refuse_right(&plan)?;
    Ok(traced(&given.x, plan, sum))
}

fn repeat(call: &mut Call) -> Result<Traced, Fault> {
    let given = Given::read(call)?;
    let plan = given.plan(call)?;
    given.refuse_left(&plan)?;
    Ok(traced(&given.x, plan, sum))
}

fn reduce(call: &mut Call) -> Result<Traced, Fault> {
    let given = Given::read(call)?;
    let plan = given.plan(call)?;
    given.refuse_right(&plan)?;
    let how: Reduction = match &*call.str("how")? {
        "sum" => sum,
        "mean" => mean,
        "max" => amax,
        "min" => amin,
        other => {
            let message = format!("`{other}` is no way to reduce, expected sum, mean, max or min");
            return Err(Fault::value(message).of("how"));
        }
    };
    if given.x.kind != Kind::Float {
        return Err(Fault::new("wrong-kind", format!("`x` is `{}`, expected floats", given.x)).of("x"));
    }
    Ok(traced(&given.x, plan, how))
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        Failure, TestArg, assert_close, check_gradient, fault, floats, ints, noise, run_one, sample, try_run,
    };

    fn call(op: &str, x: TestArg, pattern: &str, sizes: &[(&str, i64)]) -> (Vec<usize>, Vec<f32>) {
        run_one(op, &arguments(x, pattern, sizes))
    }

    fn arguments<'a>(x: TestArg, pattern: &str, sizes: &[(&'a str, i64)]) -> Vec<(&'a str, TestArg)> {
        let mut args = vec![("x", x), ("pattern", pattern.into())];
        args.extend(sizes.iter().map(|(name, size)| (*name, TestArg::from(*size))));
        args
    }

    // einops.rearrange(torch.arange(12).reshape(2, 6), pattern, …)
    #[test]
    fn axes_are_split_merged_and_reordered() {
        let x = ints(&[2, 6], &(0..12).collect::<Vec<_>>()).symbolic(&[0]);
        let turned = [0.0, 6.0, 3.0, 9.0, 1.0, 7.0, 4.0, 10.0, 2.0, 8.0, 5.0, 11.0];
        assert_eq!(
            call("rearrange", x.clone(), "b (h w) -> w h b", &[("h", 2)]),
            (vec![3, 2, 2], turned.to_vec())
        );
        assert_eq!(
            call("rearrange", x.clone(), "b (h w) -> (w h b)", &[("w", 3)]),
            (vec![12], turned.to_vec())
        );
        assert_eq!(call("rearrange", x.clone(), "b t -> b 1 t ()", &[]).0, [2, 1, 6, 1]);
        assert_eq!(call("rearrange", x.clone(), "... (h w) -> ... h w", &[("w", 2)]).0, [2, 3, 2]);
        let both = arguments(x.clone().symbolic(&[0, 1]), "b (n k) -> (b n) k", &[("k", 2)]);
        assert_eq!(run_one("rearrange", &both).0, [6, 2]);
        let symbolic = [("x", x), ("pattern", "b (h w) -> b h w".into()), ("h", TestArg::Size(2))];
        assert_eq!(run_one("rearrange", &symbolic).0, [2, 2, 3]);
        assert_eq!(call("rearrange", sample(&[0, 4]), "b (h w) -> b h w", &[("h", 2)]).0, [0, 2, 2]);
    }

    #[test]
    fn patches_of_an_image() {
        let args = arguments(
            sample(&[1, 2, 4, 4]).symbolic(&[0, 2]),
            "b c (h p) (w q) -> b (h w) (p q c)",
            &[("p", 2), ("q", 2)],
        );
        let (shape, found) = run_one("rearrange", &args);
        assert_eq!(shape, [1, 4, 8]);
        let x = noise(32);
        let naive = |token: usize, number: usize| {
            let (h, w, p, q, c) = (token / 2, token % 2, number / 4, number / 2 % 2, number % 2);
            x[c * 16 + (h * 2 + p) * 4 + w * 2 + q]
        };
        let expected: Vec<f32> = (0..4)
            .flat_map(|token| (0..8).map(move |number| (token, number)))
            .map(|(t, n)| naive(t, n))
            .collect();
        assert_close(&found, &expected);
        check_gradient("rearrange", &args);
    }

    #[test]
    fn axes_are_repeated_and_reduced() {
        let x = floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0]).symbolic(&[0]);
        let found = call("repeat", x.clone(), "b t -> (b r) t", &[("r", 2)]);
        assert_eq!(found, (vec![4, 2], vec![1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]));
        assert_eq!(call("repeat", x.clone(), "b t -> b t 3", &[]).0, [2, 2, 3]);
        check_gradient("repeat", &arguments(x.clone(), "b t -> b (t r)", &[("r", 3)]));
        let reduce = |pattern: &str, how: &str| {
            run_one("reduce", &[("x", x.clone()), ("pattern", pattern.into()), ("how", how.into())])
        };
        assert_eq!(reduce("b t -> t", "mean"), (vec![2], vec![2.0, 3.0]));
        assert_eq!(reduce("b t -> b 1", "max"), (vec![2, 1], vec![2.0, 4.0]));
        assert_eq!(reduce("b t -> ", "sum"), (vec![], vec![10.0]));
        let pooled =
            [("x", x), ("pattern", "b (t p) -> b t".into()), ("how", "min".into()), ("p", 2i64.into())];
        assert_eq!(run_one("reduce", &pooled), (vec![2, 1], vec![1.0, 3.0]));
    }

    #[test]
    fn faults_name_the_axis() {
        let wrong = |op: &str, pattern: &str, sizes: &[(&str, i64)]| {
            let mut args = arguments(sample(&[2, 6]), pattern, sizes);
            args.extend((op == "reduce").then(|| ("how", "sum".into())));
            let fault = fault(op, &args);
            format!("{} {}", fault.message, fault.help.unwrap_or_default())
        };
        for (op, pattern, sizes, expected) in [
            ("rearrange", "b (h w) -> b h w", &[][..], "neither `h` nor `w` of `(h w)`"),
            ("rearrange", "b (h w) -> b h w", &[("h", 4)], "`(h w)`"),
            ("rearrange", "b t -> b", &[], "`t` stands on the left"),
            ("rearrange", "b t -> b t r", &[("r", 2)], "use `repeat`"),
            ("repeat", "b t -> b t r", &[], "give `r=…`"),
            ("rearrange", "b t -> b t", &[("z", 2)], "`z` is given a size"),
            ("rearrange", "b t c -> b t c", &[], "names 3 axes on the left, found 2"),
            ("rearrange", "b b -> b", &[], "`b` stands twice"),
            ("rearrange", "b (t -> b t", &[], "without its `)`"),
            ("rearrange", "b t-x -> b t", &[], "`t-x`"),
            ("rearrange", "b t", &[], "has no `->`"),
            ("reduce", "b t -> b r", &[("r", 1)], "`r` stands on the right"),
        ] {
            let found = wrong(op, pattern, sizes);
            assert!(found.contains(expected), "{pattern}: {found}");
        }
        let late = arguments(sample(&[2, 5]).symbolic(&[1]), "b (h w) -> b h w", &[("h", 2)]);
        assert!(
            matches!(try_run("rearrange", &late), Err(Failure::Run(message)) if message.contains("(h w)"))
        );
    }
}
