//! Sines and cosines of positions or times: `sinusoids`.
//!
//! Takes numbers of any shape; gives for each the sines of its angles, then their cosines, as in "Attention Is All You
//! Need" (arXiv 1706.03762, §3.5) with the halves side by side. They are made on the host in f64 and rounded last, since
//! angles are large where widths are narrow and the sines of some devices lose precision.
//!
//! Absent on purpose: gradients (positions are not trained), and what is rotated by them, see [`super::rope`].

use super::call::{Call, Fault, Traced};
use super::function::kernel;
use super::types::{Kind, TensorType};
use super::{Dim, Op, Value};

pub(super) const OPS: &[Op] = &[Op {
    name: "sinusoids",
    signature: "x, size, *, theta=10000.0, shift=0.0",
    summary: "x [...] as [..., size]: the sines, then the cosines, of x · theta ** (-i / (size / 2 - shift))",
    trace: sinusoids,
}];

/// More numbers than this stand for a position nowhere, and all of their rates are worked out while tracing.
const WIDEST: u32 = 1 << 16;

fn sinusoids(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    if x.kind == Kind::Bool {
        return Err(Fault::new("wrong-kind", format!("`x` is `{x}`, expected numbers")).of("x"));
    }
    let given = call.int("size")?;
    let (theta, shift) = (call.float("theta")?, call.float("shift")?);
    let half = u32::try_from(given / 2).ok().filter(|half| (1..=WIDEST / 2).contains(half) && given % 2 == 0);
    let half = half.ok_or_else(|| {
        Fault::value(format!("`size` is {given}, expected an even number from 2 to {WIDEST}")).of("size")
    })?;
    let steps = f64::from(half) - shift;
    if steps <= 0.0 && half > 1 {
        return Err(Fault::value(format!("a shift of {shift} leaves no steps to {half} rates")).of("shift"));
    }
    if theta <= 0.0 {
        return Err(Fault::value(format!("`theta` is {theta}, expected a positive number")).of("theta"));
    }
    let rates: Vec<f64> =
        (0..half).map(|i| if i == 0 { 1.0 } else { theta.powf(-f64::from(i) / steps) }).collect();
    let output = [&*x.shape, &[Dim::Known(given)]].concat();
    let run = kernel(move |mut inputs, context| {
        let x = inputs.take();
        let shape = [x.shape(), vec![2 * rates.len()]].concat();
        let mut data = Vec::with_capacity(shape.iter().product());
        for number in x.to_host().iter::<f64>() {
            #[expect(clippy::cast_possible_truncation, reason = "rounded to what a run holds at most")]
            let mut add = |of: fn(f64) -> f64| data.extend(rates.iter().map(|rate| of(number * rate) as f32));
            add(f64::sin);
            add(f64::cos);
        }
        Ok(Value::from_floats(data, shape, context.float, context.device).into())
    });
    Ok(Traced::one(run, TensorType::float(output)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, fault, floats, ints, numbers, run};

    #[test]
    fn halves_are_sines_and_cosines_of_falling_rates() {
        let x = ints(&[2, 1], &[3, 700]).symbolic(&[0]);
        let found = run("sinusoids", &[("x", x), ("size", 6.into()), ("theta", 100.0.into())]);
        let expected = |x: f64| {
            let rates = [1.0, 100f64.powf(-1.0 / 3.0), 100f64.powf(-2.0 / 3.0)];
            #[expect(clippy::cast_possible_truncation, reason = "compared as 32 bits")]
            let part = |of: fn(f64) -> f64| rates.map(|rate| of(x * rate) as f32).to_vec();
            [part(f64::sin), part(f64::cos)].concat()
        };
        assert_eq!(found[0].shape(), [2, 1, 6]);
        assert_close(&numbers(&found[0]), &[expected(3.0), expected(700.0)].concat());
    }

    #[test]
    fn a_shift_of_one_ends_at_theta() {
        let args =
            [("x", floats(&[1], &[0.5])), ("size", 4.into()), ("theta", 50.0.into()), ("shift", 1.0.into())];
        let (first, last) = (0.5f32, 0.01f32);
        let expected = [first.sin(), last.sin(), first.cos(), last.cos()];
        assert_close(&numbers(&run("sinusoids", &args)[0]), &expected);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let of = |name: &'static str, size: i64, shift: f64, theta: f64| {
            let x = floats(&[1], &[1.0]);
            let args = [("x", x), ("size", size.into()), ("shift", shift.into()), ("theta", theta.into())];
            assert_eq!(fault("sinusoids", &args).parameter, Some(name));
        };
        of("size", 5, 0.0, 10.0);
        of("size", 0, 0.0, 10.0);
        of("size", 1_000_000_000, 0.0, 10.0);
        of("shift", 8, 4.0, 10.0);
        of("theta", 8, 0.0, -1.0);
    }
}
