//! Attention against naive loops, and a generation against one call over all tokens.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "tests use small numbers"
)]

use std::sync::Arc;

use proptest::prelude::*;

use super::super::Const;
use super::super::stepping::Steps;
use super::super::testing::{
    TestArg, assert_close, assert_within, bools, check_gradient, fault, floats, noise, run_one, sample,
};

/// What the naive attention is told.
#[derive(Debug, Clone, Default)]
struct Naive {
    batch: usize,
    heads: usize,
    kv_heads: usize,
    queries: usize,
    keys: usize,
    size: usize,
    value_size: usize,
    causal: bool,
    window: Option<usize>,
    chunk: Option<usize>,
    keep: Option<Vec<bool>>,
    softcap: Option<f32>,
    sinks: Option<Vec<f32>>,
    bias: Option<Vec<f32>>,
    slopes: Option<Vec<f32>>,
}

impl Naive {
    fn new(batch: usize, heads: usize, kv_heads: usize, time: usize) -> Self {
        let (queries, keys) = (time, time);
        Self { batch, heads, kv_heads, queries, keys, size: 4, value_size: 6, ..Self::default() }
    }

    fn q(&self) -> TestArg {
        sample(&[self.batch, self.heads, self.queries, self.size])
    }

    fn k(&self) -> TestArg {
        sample(&[self.batch, self.kv_heads, self.keys, self.size])
    }

    fn v(&self) -> TestArg {
        sample(&[self.batch, self.kv_heads, self.keys, self.value_size])
    }

    fn may(&self, row: usize, query: usize, key: usize) -> bool {
        let keep = |column: usize| self.keep.as_ref().is_none_or(|keep| keep[row * self.keys + column]);
        let left = (0..self.keys).take_while(|column| !keep(*column)).count();
        let near = |window: usize| {
            if self.causal { key + window > query } else { key.abs_diff(query) <= window }
        };
        let same = |chunk: usize| {
            let of = |column: usize| (column as isize - left as isize).div_euclid(chunk as isize);
            of(query) == of(key)
        };
        keep(key)
            && (!self.causal || key <= query)
            && self.window.is_none_or(near)
            && self.chunk.is_none_or(same)
    }

    /// Row by row, head by head, query by query; rows that may attend to nothing are NaN.
    fn run(&self) -> Vec<f32> {
        let (q, k, v) = (data(&self.q()), data(&self.k()), data(&self.v()));
        let mut output = Vec::new();
        for row in 0..self.batch {
            for head in 0..self.heads {
                let shared = row * self.kv_heads + head * self.kv_heads / self.heads;
                for query in 0..self.queries {
                    let at = ((row * self.heads + head) * self.queries + query) * self.size;
                    let mut scores: Vec<f64> = (0..self.keys)
                        .map(|key| {
                            let from = (shared * self.keys + key) * self.size;
                            let dot: f32 = (0..self.size).map(|i| q[at + i] * k[from + i]).sum();
                            let mut score = dot * (self.size as f32).powf(-0.5);
                            if let Some(cap) = self.softcap {
                                score = (score / cap).tanh() * cap;
                            }
                            if let Some(bias) = &self.bias {
                                score += bias[(head * self.queries + query) * self.keys + key];
                            }
                            if let Some(slopes) = &self.slopes {
                                let kept = self.keep.as_ref().map(|keep| &keep[row * self.keys..]);
                                let before = (0..key).filter(|c| kept.is_none_or(|keep| keep[*c])).count();
                                score += slopes[head] * before as f32;
                            }
                            if self.may(row, query, key) { f64::from(score) } else { f64::NEG_INFINITY }
                        })
                        .collect();
                    if let Some(sinks) = &self.sinks {
                        scores.push(f64::from(sinks[head]));
                    }
                    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for i in 0..self.value_size {
                        let sum: f64 = (0..self.keys)
                            .map(|key| {
                                weights[key] * f64::from(v[(shared * self.keys + key) * self.value_size + i])
                            })
                            .sum();
                        output.push((sum / total) as f32);
                    }
                }
            }
        }
        output
    }

    fn args(&self) -> Vec<(&'static str, TestArg)> {
        let number =
            |value: Option<usize>| TestArg::Const(value.map_or(Const::None, |v| Const::Int(v as i64)));
        let mut args = vec![
            ("q", self.q()),
            ("k", self.k()),
            ("v", self.v()),
            ("causal", self.causal.into()),
            ("window", number(self.window)),
            ("chunk", number(self.chunk)),
        ];
        if let Some(cap) = self.softcap {
            args.push(("softcap", f64::from(cap).into()));
        }
        if let Some(sinks) = &self.sinks {
            args.push(("sinks", floats(&[self.heads], sinks)));
        }
        if let Some(bias) = &self.bias {
            args.push(("bias", floats(&[1, self.heads, self.queries, self.keys], bias)));
        }
        if let Some(slopes) = &self.slopes {
            let slopes = slopes.iter().map(|slope| Const::Float(f64::from(*slope))).collect();
            args.push(("alibi", TestArg::Const(Const::List(Arc::new(slopes)))));
        }
        args
    }

    fn steps(&self) -> Steps<'static> {
        let grows = |name: &str| matches!(name, "q" | "k" | "v").then_some(2);
        let args = self.args().into_iter().map(|(name, arg)| (name, arg, grows(name))).collect();
        let mut steps = Steps::new("attention", self.keys, 2, args);
        steps.keep.clone_from(&self.keep);
        steps
    }

    /// Compares where a query is not padding.
    fn check(&self, found: &[f32]) {
        let expected = self.run();
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().all(|number| number.is_finite()), "padding spreads: {found:?}");
        let held = |index: usize| {
            let query = index / self.value_size % self.queries;
            let row = index / self.value_size / self.queries / self.heads;
            self.keep.as_ref().is_none_or(|keep| keep[row * self.keys + query])
        };
        let pick = |numbers: &[f32]| -> Vec<f32> {
            numbers.iter().enumerate().filter(|(index, _)| held(*index)).map(|(_, number)| *number).collect()
        };
        assert_close(&pick(found), &pick(&expected));
    }
}

fn data(arg: &TestArg) -> Vec<f32> {
    match arg {
        TestArg::Tensor { data, .. } => data.clone(),
        other => panic!("{other:?} holds no numbers"),
    }
}

#[test]
fn plain_grouped_and_cross_attention_equal_the_loops() {
    for naive in [
        Naive::new(1, 1, 1, 1),
        Naive::new(2, 4, 2, 5),
        Naive { causal: true, ..Naive::new(2, 4, 1, 5) },
        Naive { keys: 7, ..Naive::new(2, 2, 2, 3) },
        Naive { softcap: Some(0.7), ..Naive::new(1, 2, 1, 4) },
        Naive { sinks: Some(vec![0.5, -1.0]), causal: true, ..Naive::new(2, 2, 1, 4) },
        Naive { bias: Some(noise(2 * 4 * 4)), ..Naive::new(2, 2, 1, 4) },
        Naive { slopes: Some(vec![0.25, 0.5]), causal: true, ..Naive::new(2, 2, 1, 4) },
    ] {
        let (shape, found) = run_one("attention", &naive.args());
        assert_eq!(shape, [naive.batch, naive.heads, naive.queries, naive.value_size]);
        naive.check(&found);
    }
}

#[test]
fn no_query_and_no_key_are_shapes_like_any_other() {
    let (shape, _) = run_one("attention", &Naive { causal: true, ..Naive::new(1, 2, 1, 0) }.args());
    assert_eq!(shape, [1, 2, 0, 6]);
}

#[test]
fn masks_of_the_definition_are_obeyed() {
    let naive = Naive { causal: true, ..Naive::new(2, 2, 1, 4) };
    let allowed: Vec<bool> = (0..16).map(|index| index % 4 <= index / 4).collect();
    let mut args = Naive { causal: false, ..naive.clone() }.args();
    args.push(("mask", bools(&[4, 4], &allowed)));
    naive.check(&run_one("attention", &args).1);
    let added: Vec<f32> =
        allowed.iter().map(|allowed| if *allowed { 0.0 } else { f32::NEG_INFINITY }).collect();
    *args.last_mut().expect("just pushed") = ("mask", floats(&[1, 1, 4, 4], &added));
    naive.check(&run_one("attention", &args).1);
}

/// Left, right and no padding of three rows.
fn keep(time: usize, left: usize, right: usize) -> Vec<bool> {
    let row = |from: usize, to: usize| (0..time).map(move |column| (from..to).contains(&column));
    row(left.min(time - 1), time)
        .chain(row(0, time.saturating_sub(right).max(1)))
        .chain(row(0, time))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_generation_equals_one_call_over_all_tokens(
        time in 1usize..14, first in 1usize..14, second in 0usize..6, spare in 0usize..4,
        window in prop::option::of(1usize..6), chunk in prop::option::of(1usize..6),
        left in 0usize..6, right in 0usize..3, padded: bool, causal_only: bool, sinks: bool, alibi: bool,
    ) {
        let (window, chunk) = if causal_only { (None, None) } else { (window, chunk) };
        let naive = Naive {
            causal: true,
            window,
            chunk,
            keep: padded.then(|| keep(time, left, right)),
            sinks: sinks.then(|| vec![0.3, -0.4]),
            slopes: alibi.then(|| vec![0.25, 0.5]),
            ..Naive::new(3, 2, 1, time)
        };
        let steps = naive.steps();
        naive.check(&steps.whole());
        let first = first.min(time);
        let second = second.min(time - first);
        let mut chunks: Vec<usize> = [first, second].into_iter().filter(|size| *size > 0).collect();
        chunks.extend(vec![1; time - first - second]);
        naive.check(&steps.stepped(&chunks, time + spare));
    }

    #[test]
    fn attention_without_causality_obeys_windows_and_padding(
        time in 1usize..9, window in prop::option::of(1usize..5), left in 0usize..4, right in 0usize..3, padded: bool,
    ) {
        let keep = padded.then(|| keep(time, left, right));
        let naive = Naive { window, keep, ..Naive::new(3, 2, 2, time) };
        naive.check(&naive.steps().whole());
    }
}

#[test]
fn blocks_of_queries_give_what_one_block_gives() {
    use burn::tensor::{Distribution, Tensor, Tolerance};

    let device = super::super::testing::device();
    let random = |shape: [usize; 4]| Tensor::<super::B, 4>::random(shape, Distribution::Default, &device);
    let (q, k, v) = (random([1, 2, 3000, 4]), random([1, 1, 3000, 4]), random([1, 1, 3000, 4]));
    for window in [None, Some(700)] {
        let rule = |keys: i64| super::Rule {
            causal: true,
            window,
            chunk: None,
            keys: super::Dim::Known(keys),
            name: "mask".to_owned(),
        };
        let kernel = super::Attention {
            rule: rule(3000),
            state: None,
            ring: None,
            scale: 0.5,
            softcap: None,
            alibi: super::Alibi::None,
        };
        let mut context = super::Context::new(&device, super::FloatDType::F32, Vec::new());
        let columns = super::Columns::First(3000);
        let mask = kernel.rule.mask(&mut context, 0, 3000, &columns).expect("plain rules build");
        let extras = super::Extras { terms: mask.into_iter().collect(), sinks: None };
        let whole = kernel.block(q.clone(), k.clone(), v.clone(), &extras);
        let held = super::Held { keys: k.clone(), values: v.clone(), columns };
        let blocks = kernel.attend(q.clone(), &held, 0, &extras);
        whole.into_data().assert_approx_eq::<f32>(&blocks.into_data(), Tolerance::absolute(1e-5));
    }
}

#[test]
fn a_bias_and_a_mask_may_cover_new_keys_only() {
    // Two steps of two tokens; in the second, the mask hides the third token from the fourth.
    let naive = Naive { causal: true, ..Naive::new(1, 2, 1, 4) };
    let mut steps = naive.steps();
    let mask = bools(&[1, 1, 2, 2], &[true, true, false, true]);
    steps.args.push(("mask", mask, None));
    let found = steps.stepped(&[2, 2], 4);
    let mut bias = vec![0.0; 2 * 16];
    for head in 0..2 {
        bias[head * 16 + 4] = -1e30;
        bias[head * 16 + 14] = -1e30;
    }
    Naive { bias: Some(bias), ..naive }.check(&found);
}

#[test]
fn a_full_cache_is_an_error_and_not_a_panic() {
    let naive = Naive { causal: true, ..Naive::new(1, 1, 1, 3) };
    let caught = std::panic::catch_unwind(|| naive.steps().stepped(&[2, 1], 2));
    let message = caught.expect_err("the harness panics with the error");
    let message = message.downcast_ref::<String>().expect("a formatted message");
    assert!(message.contains("position 3 of a cache for 2 positions"), "{message}");
}

#[test]
fn gradients_pass_through() {
    let naive = Naive {
        causal: true,
        sinks: Some(vec![0.5, -1.0]),
        bias: Some(noise(2 * 3 * 3)),
        softcap: Some(3.0),
        ..Naive::new(1, 2, 1, 3)
    };
    check_gradient("attention", &naive.args());
}

#[test]
fn half_precision_keeps_its_width_and_stays_close() {
    use super::super::{Inputs, Outputs, Value};
    use burn::tensor::FloatDType;

    let naive = Naive { causal: true, ..Naive::new(2, 4, 2, 5) };
    let device = super::super::testing::device();
    for width in [FloatDType::F16, FloatDType::BF16] {
        let inputs = [naive.q(), naive.k(), naive.v()].map(|arg| {
            let TestArg::Tensor { data, shape, .. } = arg else { panic!("a tensor") };
            Some(Value::from_floats(data, shape, width, &device))
        });
        let kernel = super::Attention {
            rule: super::Rule {
                causal: true,
                window: None,
                chunk: None,
                keys: super::Dim::Known(5),
                name: "mask".to_owned(),
            },
            state: None,
            ring: None,
            scale: 0.5,
            softcap: None,
            alibi: super::Alibi::None,
        };
        let mut context = super::Context::new(&device, width, Vec::new());
        let inputs = Inputs::new(inputs.into_iter().chain([None, None, None, None]).collect());
        let Ok(Outputs::One(found)) = super::Kernel::run(&kernel, inputs, &mut context) else {
            panic!("it runs")
        };
        assert_eq!(FloatDType::from(found.dtype()), width);
        let found = found.to_float(FloatDType::F32);
        assert_within(&super::super::testing::numbers(&found), &naive.run(), 0.05);
    }
}

#[test]
fn wrong_shapes_name_the_argument() {
    let call =
        |k: TestArg, v: TestArg| fault("attention", &[("q", sample(&[1, 4, 2, 8])), ("k", k), ("v", v)]);
    assert_eq!(call(sample(&[1, 3, 2, 8]), sample(&[1, 3, 2, 8])).parameter, Some("k"));
    assert_eq!(call(sample(&[1, 2, 2, 4]), sample(&[1, 2, 2, 4])).parameter, Some("k"));
    assert_eq!(call(sample(&[1, 2, 3, 8]), sample(&[1, 2, 2, 8])).parameter, Some("v"));
}
