//! What is kept is checked against the logits processors of transformers 5.23 on the same numbers.

use serde_json::json;

use super::*;

fn config(value: &serde_json::Value) -> Result<GenerationConfig, SamplingError> {
    GenerationConfig::from_json(value.as_object().expect("an object"))
}

fn sampler(value: &serde_json::Value) -> Sampler {
    Sampler::new(config(value).expect("a valid config"), 7)
}

/// Which ids a sampler ever draws.
fn drawn(value: &serde_json::Value, logits: &[f32], history: &[u32]) -> Vec<u32> {
    let mut sampler = sampler(value);
    let mut ids: Vec<u32> =
        (0..4000).map(|_| sampler.pick(&mut logits.to_vec(), history).expect("a token")).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

const LOGITS: [f32; 6] = [0.5, 2.0, -1.0, 2.0, 1.5, f32::NEG_INFINITY];

#[test]
fn greedy_takes_the_first_of_the_highest() {
    assert_eq!(sampler(&json!({})).pick(&mut LOGITS.to_vec(), &[]), Ok(1));
    let cold = json!({"do_sample": true, "temperature": 0});
    assert_eq!(sampler(&cold).pick(&mut LOGITS.to_vec(), &[]), Ok(1));
}

#[test]
fn repetition_penalty_divides_positive_and_multiplies_negative_logits_once() {
    let mut logits = [2.0, -1.0, 1.9, 0.0];
    penalise_repetition(&mut logits, &[0, 1, 0, 1, 3, 99], 2.0);
    assert_eq!(logits.map(f32::to_bits), [1.0_f32, -2.0, 1.9, 0.0].map(f32::to_bits));
    let greedy = json!({"repetition_penalty": 2.0});
    assert_eq!(sampler(&greedy).pick(&mut [2.0, -1.0, 1.9, 0.0], &[0]), Ok(2));
}

#[test]
fn top_k_keeps_ties_with_the_last_one() {
    let k = |k: usize| drawn(&json!({"do_sample": true, "top_k": k}), &LOGITS, &[]);
    assert_eq!(k(1), [1, 3]);
    assert_eq!(k(3), [1, 3, 4]);
    assert_eq!(k(0), [0, 1, 2, 3, 4]);
    assert_eq!(k(1000), [0, 1, 2, 3, 4]);
}

#[test]
fn top_p_keeps_the_fewest_tokens_that_reach_the_sum() {
    // The probabilities are 0.5, 0.3, 0.15, 0.05.
    let logits = [0.5_f32, 0.3, 0.15, 0.05].map(f32::ln);
    let p = |p: f64| drawn(&json!({"do_sample": true, "top_p": p}), &logits, &[]);
    assert_eq!(p(0.0), [0]);
    assert_eq!(p(0.49), [0]);
    assert_eq!(p(0.6), [0, 1]);
    assert_eq!(p(0.9), [0, 1, 2]);
    assert_eq!(p(1.0), [0, 1, 2, 3]);
}

#[test]
fn min_p_is_relative_to_the_likeliest() {
    let logits = [0.5_f32, 0.3, 0.15, 0.05].map(f32::ln);
    let p = |p: f64| drawn(&json!({"do_sample": true, "min_p": p}), &logits, &[]);
    assert_eq!(p(0.5), [0, 1]);
    assert_eq!(p(0.2), [0, 1, 2]);
    assert_eq!(p(1.0), [0]);
}

#[test]
fn draws_follow_the_probabilities() {
    let logits = [0.5_f32, 0.3, 0.15, 0.05].map(f32::ln);
    let mut sampler = sampler(&json!({"do_sample": true}));
    let mut counts = [0_u32; 4];
    for _ in 0..20_000 {
        counts[sampler.pick(&mut logits.to_vec(), &[]).expect("a token") as usize] += 1;
    }
    for (count, expected) in counts.iter().zip([10_000.0, 6_000.0, 3_000.0, 1_000.0]) {
        assert!((f64::from(*count) - expected).abs() < 400.0, "{counts:?}");
    }
}

#[test]
fn the_same_seed_draws_the_same() {
    let once = || {
        let mut sampler = Sampler::new(config(&json!({"do_sample": true})).expect("valid"), 42);
        (0..50).map(|_| sampler.pick(&mut [0.0; 100], &[])).collect::<Vec<_>>()
    };
    assert_eq!(once(), once());
}

#[test]
fn logits_without_a_choice_are_errors() {
    let mut sampler = sampler(&json!({"do_sample": true}));
    let pick = |sampler: &mut Sampler, logits: &[f32]| sampler.pick(&mut logits.to_vec(), &[]);
    assert!(matches!(pick(&mut sampler, &[0.0, f32::NAN]), Err(SamplingError::BadLogit { id: 1, .. })));
    assert!(matches!(pick(&mut sampler, &[f32::INFINITY]), Err(SamplingError::BadLogit { id: 0, .. })));
    assert_eq!(pick(&mut sampler, &[]), Err(SamplingError::NothingPossible(0)));
    assert_eq!(pick(&mut sampler, &[f32::NEG_INFINITY; 3]), Err(SamplingError::NothingPossible(3)));
    // Values that overflow when divided still leave a choice.
    let mut tiny = Sampler::new(config(&json!({"do_sample": true, "temperature": 1e-38})).expect("valid"), 1);
    assert_eq!(pick(&mut tiny, &[1.0, 3e38, 2.0]), Ok(1));
}

#[test]
fn the_config_is_read_with_the_defaults_of_transformers() {
    let read = config(&json!({
        "do_sample": true, "temperature": 0.6, "top_p": 0.95, "eos_token_id": [1, 106], "pad_token_id": 0,
        "max_new_tokens": 12, "transformers_version": "4.50.0", "top_k": null, "cache_implementation": "hybrid"
    }))
    .expect("valid");
    assert_eq!((read.temperature, read.top_p, read.top_k), (0.6, 0.95, 50));
    assert_eq!((read.eos_token_ids.as_slice(), read.pad_token_id), ([1, 106].as_slice(), Some(0)));
    assert!(read.is_eos(106) && !read.is_eos(0));
    assert_eq!(read.max_new_tokens, Some(12));
    assert_eq!(config(&json!({"eos_token_id": 2})).expect("valid").eos_token_ids, [2]);
}

#[test]
fn a_wrong_type_names_the_field() {
    for (value, field) in [
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"temperature": -1}), "temperature"),
        (json!({"top_p": 1.5}), "top_p"),
        (json!({"top_k": 1.5}), "top_k"),
        (json!({"repetition_penalty": 0}), "repetition_penalty"),
        (json!({"do_sample": "yes"}), "do_sample"),
        (json!({"eos_token_id": [1, "x"]}), "eos_token_id"),
        (json!({"eos_token_id": -1}), "eos_token_id"),
        (json!({"max_new_tokens": []}), "max_new_tokens"),
    ] {
        let error = config(&value).expect_err(field).to_string();
        assert!(error.starts_with(&format!("`{field}` in `generation_config.json` is ")), "{error}");
    }
}
