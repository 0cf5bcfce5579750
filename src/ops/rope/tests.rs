//! Rotations against sines computed directly, and a generation against one call.

#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "tests use small numbers")]

use std::sync::Arc;

use super::super::Const;
use super::super::stepping::Steps;
use super::super::testing::{TestArg, assert_close, fault, noise, numbers, run, sample};

fn dict(entries: &[(&str, f64)], kind: &str) -> TestArg {
    let mut items = vec![(Arc::from("rope_type"), Const::str(kind))];
    items.extend(entries.iter().map(|(name, value)| (Arc::from(*name), Const::Float(*value))));
    TestArg::Const(Const::Dict(Arc::new(items)))
}

/// Turns the pairs of one vector.
fn turned(
    x: &[f32],
    position: f64,
    dim: usize,
    interleaved: bool,
    frequency: impl Fn(usize) -> f64,
) -> Vec<f32> {
    let mut y = x.to_vec();
    for pair in 0..dim / 2 {
        let (i, j) = if interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + dim / 2) };
        let (sin, cos) = (position * frequency(pair)).sin_cos();
        y[i] = (f64::from(x[i]) * cos - f64::from(x[j]) * sin) as f32;
        y[j] = (f64::from(x[j]) * cos + f64::from(x[i]) * sin) as f32;
    }
    y
}

/// `[batch, heads, time, size]` turned vector by vector; `position` of row and token.
fn all_turned(
    shape: [usize; 4],
    dim: usize,
    interleaved: bool,
    position: impl Fn(usize, usize) -> f64,
    frequency: impl Fn(usize) -> f64 + Copy,
) -> Vec<f32> {
    let [_, heads, time, size] = shape;
    let x = noise(shape.iter().product());
    let vectors = x.chunks(size).enumerate().flat_map(|(index, vector)| {
        let (row, token) = (index / time / heads, index % time);
        turned(vector, position(row, token), dim, interleaved, frequency)
    });
    vectors.collect()
}

fn plain(_: usize, token: usize) -> f64 {
    token as f64
}

fn base(theta: f64, dim: usize) -> impl Fn(usize) -> f64 + Copy {
    move |pair| theta.powf(-2.0 * pair as f64 / dim as f64)
}

#[test]
fn halves_and_neighbours_turn_in_whole_and_in_part() {
    let (q, k) = ([2, 3, 5, 8], [2, 1, 5, 8]);
    for interleaved in [false, true] {
        for dim in [8, 4] {
            let found = run(
                "rope",
                &[
                    ("q", sample(&q).symbolic(&[0, 2])),
                    ("k", sample(&k).symbolic(&[0, 2])),
                    ("theta", 500.0.into()),
                    ("dim", i64::try_from(dim).expect("small").into()),
                    ("interleaved", interleaved.into()),
                ],
            );
            for (value, shape) in found.iter().zip([q, k]) {
                assert_close(&numbers(value), &all_turned(shape, dim, interleaved, plain, base(500.0, dim)));
            }
        }
    }
}

#[test]
fn what_the_dict_says_counts_first() {
    let shape = [1, 2, 4, 8];
    let scaling = dict(&[("rope_theta", 100.0), ("partial_rotary_factor", 0.5), ("factor", 2.0)], "linear");
    let args = [("q", sample(&shape)), ("k", sample(&shape)), ("scaling", scaling)];
    let expected = all_turned(shape, 4, false, |_, token| token as f64 / 2.0, base(100.0, 4));
    assert_close(&numbers(&run("rope", &args)[0]), &expected);
}

#[test]
fn sections_turn_by_their_own_axis() {
    // Three axes; the first two pairs turn by time, the third by height, the fourth by width.
    let shape = [1, 1, 2, 8];
    for (scaling, axes) in [
        (TestArg::Const(Const::None), [0, 0, 1, 2]),
        (
            TestArg::Const(Const::Dict(Arc::new(vec![(Arc::from("mrope_interleaved"), Const::Bool(true))]))),
            [0, 1, 2, 0],
        ),
    ] {
        let args = vec![
            ("q", sample(&shape), Some(2)),
            ("k", sample(&shape), Some(2)),
            ("sections", [2i64, 1, 1].into(), None),
            ("scaling", scaling, None),
        ];
        let mut steps = Steps::new("rope", 2, 2, args);
        let positions = [[3, 4], [10, 20], [7, 9]];
        steps.positions = Some(positions.concat());
        let x = noise(16);
        let expected = (0..2).flat_map(|token| {
            let mut y = x[token * 8..token * 8 + 8].to_vec();
            for pair in 0..4 {
                let angle = f64::from(positions[axes[pair]][token]);
                let turned = turned(&x[token * 8..token * 8 + 8], angle, 8, false, base(10000.0, 8));
                (y[pair], y[pair + 4]) = (turned[pair], turned[pair + 4]);
            }
            y
        });
        assert_close(&steps.whole(), &expected.collect::<Vec<_>>());
    }
}

#[test]
fn a_generation_turns_by_the_positions_so_far() {
    let shape = [2, 2, 6, 4];
    let args = vec![("q", sample(&shape), Some(2)), ("k", sample(&shape), Some(2))];
    let mut steps = Steps::new("rope", 6, 2, args);
    let expected = all_turned(shape, 4, false, plain, base(10000.0, 4));
    assert_close(&steps.whole(), &expected);
    assert_close(&steps.stepped(&[3, 1, 2], 8), &expected);
    // The second row is padded on the left by two tokens.
    let positions = [[0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 2, 3]];
    steps.positions = Some(positions.concat());
    let given = |row: usize, token: usize| f64::from(positions[row][token]);
    let expected = all_turned(shape, 4, false, given, base(10000.0, 4));
    assert_close(&steps.whole(), &expected);
    assert_close(&steps.stepped(&[3, 1, 2], 8), &expected);
}

/// The gradient of a rotation is the rotation back.
#[test]
fn gradients_pass_through() {
    use burn::tensor::backend::AutodiffBackend;

    use super::super::testing::device;
    use super::super::{Context, Dim, Inputs, Outputs, Value};
    use super::frequencies::{Given, Rotation};
    use super::*;

    let shape = [1, 2, 3, 6];
    let device = super::super::backend::Device::autodiff(device());
    for interleaved in [false, true] {
        let given = Given { theta: 10000.0, head_dim: 6, dim: Some(4), max_positions: None };
        let rotation = Rotation::new(&Const::None, given).expect("the plain rotation");
        let (batch, time, keys) = (Dim::Known(1), Dim::Known(3), ["cos", "sin"].map(str::to_owned));
        let kernel = Rope { rotation, axes: Vec::new(), head_dim: 6, interleaved, batch, time, keys };
        let leaf = |data: Vec<f32>| {
            let value = Value::from_floats(data, shape.to_vec(), FloatDType::F32, &device);
            value.float::<4>().require_grad()
        };
        let (q, k) = (leaf(noise(36)), leaf(noise(36)));
        let inputs = Inputs::new(vec![Some(q.clone().into()), Some(k.clone().into())]);
        let mut context = Context::new(&device, FloatDType::F32, Vec::new());
        let Ok(Outputs::Many(mut found)) = kernel.run(inputs, &mut context) else { panic!("it runs") };
        let (turned_k, turned_q) = (found.remove(1).float::<4>(), found.remove(0).float::<4>());
        let weights = leaf(noise(36));
        let sum = (turned_q * weights.clone() + turned_k * weights).sum();
        let gradients = B::backward(sum.into_primitive().tensor());
        let expected = all_turned(shape, 4, interleaved, |_, token| -plain(0, token), base(10000.0, 4));
        for leaf in [q, k] {
            let gradient = B::grad(&leaf.into_primitive().tensor(), &gradients).expect("it took part");
            assert_close(&numbers(&Value::Float(gradient)), &expected);
        }
    }
}

#[test]
fn wrong_arguments_are_named() {
    let call = |name: &'static str, arg: TestArg| {
        fault("rope", &[("q", sample(&[1, 2, 3, 6])), ("k", sample(&[1, 1, 3, 6])), (name, arg)])
    };
    assert_eq!(call("dim", 5.into()).parameter, Some("dim"));
    assert_eq!(call("dim", 8.into()).parameter, Some("dim"));
    assert_eq!(call("scaling", dict(&[], "spiral")).parameter, Some("scaling"));
    assert_eq!(call("scaling", dict(&[], "linear")).parameter, Some("scaling"));
    assert_eq!(call("sections", [1i64, 1].into()).parameter, Some("sections"));
}
