//! Scans against loops over tokens in f64, and a generation against one call.

#![expect(clippy::cast_possible_truncation, reason = "sums in f64 are compared as f32")]

use proptest::prelude::*;

use super::super::stepping::Steps;
use super::super::testing::{TestArg, assert_within, check_gradient, fault, floats, noise, run_one, sample};

/// Positive step sizes.
fn steps_sizes(count: usize) -> Vec<f32> {
    noise(count).iter().map(|x| x.abs() * 0.5 + 0.01).collect()
}

/// Negative rates.
fn rates(count: usize) -> Vec<f32> {
    noise(count).iter().map(|x| -x.abs() - 0.1).collect()
}

fn selective_args(batch: usize, time: usize, channels: usize, size: usize) -> Vec<(&'static str, TestArg)> {
    vec![
        ("x", sample(&[batch, time, channels])),
        ("dt", floats(&[batch, time, channels], &steps_sizes(batch * time * channels))),
        ("A", floats(&[channels, size], &rates(channels * size))),
        ("B", sample(&[batch, time, size])),
        ("C", sample(&[batch, time, size])),
        ("D", sample(&[channels])),
    ]
}

fn selective(batch: usize, time: usize, channels: usize, size: usize) -> Vec<f32> {
    let (x, dt) = (noise(batch * time * channels), steps_sizes(batch * time * channels));
    let (a, b, d) = (rates(channels * size), noise(batch * time * size), noise(channels));
    let c = b.clone();
    let mut y = vec![0.0; x.len()];
    for row in 0..batch {
        for channel in 0..channels {
            let mut state = vec![0f64; size];
            for token in 0..time {
                let at = (row * time + token) * channels + channel;
                let mut sum = f64::from(x[at] * d[channel]);
                for (i, state) in state.iter_mut().enumerate() {
                    let other = (row * time + token) * size + i;
                    *state = *state * f64::from(dt[at] * a[channel * size + i]).exp()
                        + f64::from(dt[at] * x[at] * b[other]);
                    sum += *state * f64::from(c[other]);
                }
                y[at] = sum as f32;
            }
        }
    }
    y
}

/// Batch, time, heads, head size, groups, state size.
type Sizes = [usize; 6];

fn ssd_args([batch, time, heads, head_dim, groups, size]: Sizes) -> Vec<(&'static str, TestArg)> {
    vec![
        ("x", sample(&[batch, time, heads, head_dim])),
        ("dt", floats(&[batch, time, heads], &steps_sizes(batch * time * heads))),
        ("A", floats(&[heads], &rates(heads))),
        ("B", sample(&[batch, time, groups, size])),
        ("C", sample(&[batch, time, groups, size])),
        ("D", sample(&[heads])),
    ]
}

fn ssd([batch, time, heads, head_dim, groups, size]: Sizes) -> Vec<f32> {
    let (x, dt) = (noise(batch * time * heads * head_dim), steps_sizes(batch * time * heads));
    let (a, b, d) = (rates(heads), noise(batch * time * groups * size), noise(heads));
    let c = b.clone();
    let mut y = vec![0.0; x.len()];
    for row in 0..batch {
        for head in 0..heads {
            let mut state = vec![0f64; head_dim * size];
            for token in 0..time {
                let step = (row * time + token) * heads + head;
                let group = ((row * time + token) * groups + head * groups / heads) * size;
                for i in 0..head_dim {
                    let at = step * head_dim + i;
                    let mut sum = f64::from(x[at] * d[head]);
                    for j in 0..size {
                        let state = &mut state[i * size + j];
                        *state = *state * f64::from(dt[step] * a[head]).exp()
                            + f64::from(dt[step] * x[at] * b[group + j]);
                        sum += *state * f64::from(c[group + j]);
                    }
                    y[at] = sum as f32;
                }
            }
        }
    }
    y
}

fn stepped(op: &str, args: Vec<(&'static str, TestArg)>, time: usize, chunks: &[usize]) -> Vec<f32> {
    let grows = |name: &str| (!matches!(name, "A" | "D")).then_some(1);
    let args = args.into_iter().map(|(name, arg)| (name, arg, grows(name))).collect();
    Steps::new(op, time, 1, args).stepped(chunks, time)
}

/// Two chunks, then token by token.
fn chunks(time: usize, first: usize, second: usize) -> Vec<usize> {
    let first = first.min(time);
    let second = second.min(time - first);
    let mut chunks: Vec<usize> = [first, second].into_iter().filter(|size| *size > 0).collect();
    chunks.extend(vec![1; (time - first - second).min(5)]);
    let rest = time - chunks.iter().sum::<usize>();
    chunks.extend([rest].iter().filter(|size| **size > 0));
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn mamba_equals_the_loops(batch in 1usize..3, time in 1usize..90, first in 1usize..80, second in 0usize..10) {
        let expected = selective(batch, time, 3, 4);
        assert_within(&run_one("selective_scan", &selective_args(batch, time, 3, 4)).1, &expected, 1e-4);
        let found = stepped("selective_scan", selective_args(batch, time, 3, 4), time, &chunks(time, first, second));
        assert_within(&found, &expected, 1e-4);
    }

    #[test]
    fn mamba_2_equals_the_loops(
        batch in 1usize..3, time in 1usize..150, groups in 1usize..3, shared in 1usize..3, first in 1usize..140,
        second in 0usize..10, chunk in 1i64..100,
    ) {
        let sizes = [batch, time, groups * shared, 3, groups, 2];
        let expected = ssd(sizes);
        let args = || {
            let mut args = ssd_args(sizes);
            args.push(("chunk_size", chunk.into()));
            args
        };
        assert_within(&run_one("ssd_scan", &args()).1, &expected, 1e-4);
        assert_within(&stepped("ssd_scan", args(), time, &chunks(time, first, second)), &expected, 1e-4);
    }
}

#[test]
fn nothing_in_gives_nothing_out() {
    assert_eq!(run_one("selective_scan", &selective_args(1, 0, 3, 4)).0, [1, 0, 3]);
    assert_eq!(run_one("ssd_scan", &ssd_args([1, 0, 2, 3, 1, 2])).0, [1, 0, 2, 3]);
}

#[test]
fn gradients_pass_through() {
    check_gradient("selective_scan", &selective_args(1, 3, 2, 2));
    check_gradient("ssd_scan", &ssd_args([1, 4, 2, 2, 1, 2]));
    let mut chunked = ssd_args([1, 4, 2, 2, 2, 2]);
    chunked.push(("chunk_size", 2.into()));
    check_gradient("ssd_scan", &chunked);
}

#[test]
fn wrong_shapes_name_the_argument() {
    let mut args = ssd_args([1, 3, 2, 2, 1, 2]);
    args[2] = ("A", sample(&[3]));
    assert_eq!(fault("ssd_scan", &args).parameter, Some("A"));
    let mut args = selective_args(1, 3, 2, 2);
    args[1] = ("dt", sample(&[1, 3, 5]));
    assert_eq!(fault("selective_scan", &args).parameter, Some("dt"));
    assert_eq!(fault("ssd_scan", &ssd_args([1, 3, 3, 2, 2, 2])).parameter, Some("B"));
}
