//! Which experts of a mixture each token goes to, and with what weight: `route`.
//!
//! Takes router logits `[..., experts]`; gives weights and indices `[..., k]`. Everything is computed in f32.
//! Softmax scores as in transformers' `qwen3_moe`, sigmoid scores with groups and a bias that only takes part in the
//! choice as in its `deepseek_v3` (arXiv 2412.19437, §2.1.2), softmax over the chosen as in its `gpt_oss`.
//!
//! Absent on purpose: the experts themselves, balancing losses, jitter.

use burn::tensor::ops::ActivationOps;
use burn::tensor::{FloatDType, Int, Tensor, TensorPrimitive, activation};

use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::types::{Kind, TensorType, show_shape};
use super::{Dim, Op, Value};

pub(super) const OPS: &[Op] = &[Op {
    name: "route",
    signature: "logits, k, *, scoring=\"softmax\", normalize=False, bias=None, groups=1, top_groups=1, \
                group_score=None, scale=1.0, softmax_after=False",
    summary: "the weights [..., k] and indices [..., k] of the k experts that logits [..., experts] choose; `scoring` is \
              softmax, sigmoid, sqrtsoftplus or none; `group_score` is top2 (where there is a bias) or max",
    trace: route,
}];

/// How a logit becomes a score.
#[derive(Debug, Clone, Copy)]
enum Scoring {
    Softmax,
    Sigmoid,
    SqrtSoftplus,
    None,
}

fn route(call: &mut Call) -> Result<Traced, Fault> {
    let logits = call.float_tensor("logits")?;
    let k = positive(call, "k")?;
    let scoring = match &*call.str("scoring")? {
        "softmax" => Scoring::Softmax,
        "sigmoid" => Scoring::Sigmoid,
        "sqrtsoftplus" => Scoring::SqrtSoftplus,
        "none" => Scoring::None,
        other => {
            return Err(Fault::value(format!("`{other}` is not a scoring"))
                .of("scoring")
                .help("use softmax, sigmoid, sqrtsoftplus or none"));
        }
    };
    let normalize = call.bool("normalize")?;
    let bias = call.optional_tensor("bias")?;
    let (groups, top_groups) = (positive(call, "groups")?, positive(call, "top_groups")?);
    let best_two = match call.constant("group_score")? {
        super::Const::None => bias.is_some(),
        value => match value.as_str() {
            Some("top2") => true,
            Some("max") => false,
            _ => return Err(Fault::value(format!("`{value}` is not top2 or max")).of("group_score")),
        },
    };
    let scale = call.float("scale")?;
    let softmax_after = call.bool("softmax_after")?;
    let experts = logits.last().and_then(Dim::known).and_then(|size| usize::try_from(size).ok());
    let Some(experts) = experts.filter(|experts| *experts > 0) else {
        let found = show_shape(&logits.shape);
        return Err(Fault::shape(format!("`logits` is {found}, expected [..., experts]")).of("logits"));
    };
    if let Some(bias) = bias
        && (bias.kind != Kind::Float || *bias.shape != logits.shape[logits.rank() - 1..])
    {
        return Err(Fault::shape(format!("`bias` is `{bias}`, expected `float[{experts}]`")).of("bias"));
    }
    if !experts.is_multiple_of(groups) || top_groups > groups {
        let found = format!("{top_groups} of {groups} groups of {experts} experts");
        return Err(Fault::value(found).of("groups"));
    }
    if k > experts / groups * top_groups {
        return Err(Fault::value(format!("{k} of {} experts", experts / groups * top_groups)).of("k"));
    }
    let mut shape = logits.shape.to_vec();
    if let Some(last) = shape.last_mut() {
        *last = Dim::Known(i64::try_from(k).unwrap_or(i64::MAX));
    }
    let groups = Groups { all: groups, chosen: top_groups, best_two };
    let kernel = Route { k, scoring, normalize, groups, scale, softmax_after };
    Ok(Traced::many(kernel, vec![TensorType::float(shape.clone()), TensorType::int(shape)]))
}

fn positive(call: &mut Call, name: &'static str) -> Result<usize, Fault> {
    let value = call.int(name)?;
    usize::try_from(value)
        .ok()
        .filter(|value| *value > 0)
        .ok_or_else(|| Fault::value(format!("`{name}` is {value}, expected a positive number")).of(name))
}

/// How the choice is narrowed to the experts of a few groups.
#[derive(Debug)]
struct Groups {
    all: usize,
    chosen: usize,
    /// Whether a group counts by the sum of its two best experts, or by its best one.
    best_two: bool,
}

#[derive(Debug)]
struct Route {
    k: usize,
    scoring: Scoring,
    normalize: bool,
    groups: Groups,
    scale: f64,
    softmax_after: bool,
}

impl Kernel for Route {
    fn run(&self, mut inputs: Inputs, _: &mut Context<'_>) -> Result<Outputs, RunError> {
        let logits = inputs.take();
        let bias = inputs.optional();
        let (mut shape, width) = (logits.shape(), FloatDType::from(logits.dtype()));
        let experts = shape.pop().unwrap_or(1);
        let tokens = shape.iter().product();
        shape.push(self.k);
        let logits = logits.to_float(FloatDType::F32).reshape(vec![tokens, experts]).float::<2>();
        let scores = if self.softmax_after { logits } else { self.scores(logits) };
        // Gradients flow through the weights of the chosen, not through the choice.
        let mut choice = scores.clone().detach();
        if let Some(bias) = bias {
            choice = choice + bias.to_float(FloatDType::F32).reshape(vec![1, experts]).float::<2>().detach();
        }
        if self.groups.chosen < self.groups.all {
            choice = self.groups.narrow(choice);
        }
        let indices = choice.argsort_descending(1).narrow(1, 0, self.k);
        let mut weights = scores.gather(1, indices.clone());
        if self.softmax_after {
            weights = activation::softmax(weights, 1);
        }
        if self.normalize {
            weights = weights.clone() / (weights.sum_dim(1) + 1e-20);
        }
        #[expect(clippy::float_cmp, reason = "only an exact 1 can be left out")]
        if self.scale != 1.0 {
            weights = weights * self.scale;
        }
        let weights = Value::from(weights).to_float(width).reshape(shape.clone());
        Ok(vec![weights, Value::from(indices).reshape(shape)].into())
    }
}

impl Route {
    fn scores(&self, logits: Tensor<B, 2>) -> Tensor<B, 2> {
        match self.scoring {
            Scoring::Softmax => activation::softmax(logits, 1),
            Scoring::Sigmoid => activation::sigmoid(logits),
            Scoring::SqrtSoftplus => {
                let softplus = B::log_sigmoid((-logits).into_primitive().tensor());
                (-Tensor::<B, 2>::from_primitive(TensorPrimitive::Float(softplus))).sqrt()
            }
            Scoring::None => logits,
        }
    }
}

impl Groups {
    /// The scores with those outside the best groups out of reach.
    fn narrow(&self, choice: Tensor<B, 2>) -> Tensor<B, 2> {
        let [tokens, experts] = choice.dims();
        let size = experts / self.all;
        let grouped: Tensor<B, 3> = choice.clone().reshape([tokens, self.all, size]);
        let best = if self.best_two && size > 1 {
            grouped.sort_descending(2).narrow(2, 0, 2).sum_dim(2)
        } else {
            grouped.max_dim(2)
        };
        let best = best.reshape([tokens, self.all]).argsort_descending(1).narrow(1, 0, self.chosen);
        // Which groups are among the best, as a comparison of every group's number with the chosen ones.
        let numbers = Tensor::<B, 1, Int>::arange(0..i64::try_from(self.all).unwrap_or(0), &best.device());
        let numbers = Value::from(numbers).reshape(vec![1, 1, self.all]).int::<3>();
        let best = best.reshape([tokens, self.chosen, 1]);
        let width = burn::tensor::IntDType::from(best.dtype());
        let numbers = numbers.cast(width);
        let among = numbers.expand([tokens, self.chosen, self.all]).equal(best.expand([
            tokens,
            self.chosen,
            self.all,
        ]));
        let outside = among.any_dim(1).bool_not().reshape([tokens, self.all, 1]);
        let outside = outside.expand([tokens, self.all, size]).reshape([tokens, experts]);
        choice.mask_fill(outside, f32::NEG_INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_close, check_gradient, fault, floats, noise, numbers, run, sample};

    fn top(scores: &[f32], k: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order.truncate(k);
        order
    }

    fn sigmoid(x: f32) -> f32 {
        1.0 / (1.0 + (-x).exp())
    }

    /// Weights by expert, so that the order of the chosen does not matter; 0 where not chosen.
    fn spread(weights: &[f32], indices: &[f32], k: usize, experts: usize) -> Vec<f32> {
        let mut all = vec![0.0; weights.len() / k * experts];
        for (slot, weight) in weights.iter().enumerate() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an index of the test"
            )]
            let expert = indices[slot] as usize;
            all[slot / k * experts + expert] += weight;
        }
        all
    }

    fn routed(args: &[(&str, super::super::testing::TestArg)], k: usize, experts: usize) -> Vec<f32> {
        let found = run("route", args);
        spread(&numbers(&found[0]), &numbers(&found[1]), k, experts)
    }

    #[test]
    fn softmax_over_all_or_over_the_chosen() {
        let logits = noise(2 * 3 * 6);
        let mut plain = Vec::new();
        let mut normalized = Vec::new();
        for row in logits.chunks(6) {
            let total: f32 = row.iter().map(|x| x.exp()).sum();
            let chosen = top(row, 2);
            let part: f32 = chosen.iter().map(|expert| row[*expert].exp()).sum();
            let weight = |total: f32| {
                let chosen = chosen.clone();
                (0..6)
                    .map(move |expert| if chosen.contains(&expert) { row[expert].exp() / total } else { 0.0 })
            };
            plain.extend(weight(total));
            normalized.extend(weight(part));
        }
        let args = [("logits", floats(&[2, 3, 6], &logits).symbolic(&[0, 1])), ("k", 2.into())];
        assert_eq!(run("route", &args)[0].shape(), [2, 3, 2]);
        assert_close(&routed(&args, 2, 6), &plain);
        let with = |name, value: bool| [args[0].clone(), args[1].clone(), (name, value.into())];
        assert_close(&routed(&with("normalize", true), 2, 6), &normalized);
        assert_close(&routed(&with("softmax_after", true), 2, 6), &normalized);
    }

    proptest! {
        #[test]
        fn groups_and_bias_take_part_in_the_choice_only(seed in 0usize..40, top_groups in 1usize..4, two: bool) {
            let (groups, size, k) = (4, 3, 2);
            let all = noise(200 + seed);
            let (logits, bias) = (&all[..24], &all[24..36]);
            let mut expected = Vec::new();
            for row in logits.chunks(12) {
                let scores: Vec<f32> = row.iter().map(|x| sigmoid(*x)).collect();
                let choice: Vec<f32> = scores.iter().zip(bias).map(|(score, bias)| score + bias).collect();
                let group: Vec<f32> = choice
                    .chunks(size)
                    .map(|group| top(group, if two { 2 } else { 1 }).iter().map(|i| group[*i]).sum())
                    .collect();
                let best = top(&group, top_groups);
                let seen: Vec<f32> = (0..12)
                    .map(|expert| if best.contains(&(expert / size)) { choice[expert] } else { f32::NEG_INFINITY })
                    .collect();
                let chosen = top(&seen, k);
                let total: f32 = chosen.iter().map(|expert| scores[*expert]).sum();
                expected.extend((0..12).map(|expert| {
                    if chosen.contains(&expert) { scores[expert] / total * 2.5 } else { 0.0 }
                }));
            }
            let number = |number: usize| i64::try_from(number).expect("small").into();
            let found = routed(
                &[
                    ("logits", floats(&[2, 12], logits)),
                    ("k", number(k)),
                    ("scoring", "sigmoid".into()),
                    ("normalize", true.into()),
                    ("bias", floats(&[12], bias)),
                    ("groups", number(groups)),
                    ("top_groups", number(top_groups)),
                    ("group_score", if two { "top2" } else { "max" }.into()),
                    ("scale", 2.5.into()),
                ],
                k,
                12,
            );
            assert_close(&found, &expected);
        }
    }

    #[test]
    fn gradients_pass_through_the_weights() {
        for scoring in ["softmax", "sigmoid", "sqrtsoftplus"] {
            let args = [
                ("logits", sample(&[3, 5])),
                ("k", 2.into()),
                ("scoring", scoring.into()),
                ("normalize", true.into()),
            ];
            check_gradient("route", &args);
        }
    }

    #[test]
    fn wrong_arguments_are_named() {
        let call = |name, value: i64| {
            fault("route", &[("logits", sample(&[1, 6])), ("k", 2.into()), (name, value.into())])
        };
        assert_eq!(call("groups", 4).parameter, Some("groups"));
        assert_eq!(call("top_groups", 2).parameter, Some("groups"));
        assert_eq!(call("k", 7).parameter, Some("k"));
        assert_eq!(
            fault("route", &[("logits", sample(&[1, 6])), ("k", 2.into()), ("scoring", "best".into())])
                .parameter,
            Some("scoring")
        );
    }
}
