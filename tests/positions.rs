//! `position_ids`: where tokens stand, as the caller says, in one call and in a generation.

use std::error::Error;
use std::path::Path;

use omni::model::{Inputs, Loader, Model};

type Outcome = Result<(), Box<dyn Error>>;

const IDS: [u32; 6] = [5, 17, 40, 8, 61, 23];

fn model(name: &str) -> Result<Model, Box<dyn Error>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name);
    Ok(Loader::new(dir).load_model()?)
}

fn llama() -> Result<Model, Box<dyn Error>> {
    model("LlamaForCausalLM")
}

/// The logits of one row of tokens that stand at these positions, axis by axis.
fn logits(model: &Model, positions: Option<&[i64]>) -> Result<Vec<f32>, Box<dyn Error>> {
    let mut inputs = Inputs::tokens(&[IDS.to_vec()]);
    if let Some(positions) = positions {
        let shape = if positions.len() == IDS.len() { vec![1, IDS.len()] } else { vec![3, 1, IDS.len()] };
        inputs = inputs.ints("position_ids", positions.to_vec(), shape);
    }
    let outputs = model.forward(&inputs)?;
    let logits = outputs.get("logits").ok_or("no logits")?.to_host();
    Ok(logits.to_vec::<f32>().map_err(|error| format!("{error:?}"))?)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_usual_ones_change_nothing_and_others_do() -> Outcome {
    let model = llama()?;
    let usual = logits(&model, None)?;
    assert_eq!(usual, logits(&model, Some(&[0, 1, 2, 3, 4, 5]))?);
    // Only distances count in rotary embeddings.
    assert!(largest_difference(&usual, &logits(&model, Some(&[7, 8, 9, 10, 11, 12]))?) < 1e-4);
    assert!(largest_difference(&usual, &logits(&model, Some(&[0, 1, 2, 2, 2, 9]))?) > 1e-2);
    Ok(())
}

#[test]
fn a_table_for_each_axis_turns_the_pairs_of_that_axis() -> Outcome {
    let model = model("Qwen2_5OmniForConditionalGeneration")?;
    let same = [0, 1, 2, 3, 4, 5].repeat(3);
    assert_eq!(logits(&model, None)?, logits(&model, Some(&same))?);
    let mut moved = same.clone();
    moved[12..].copy_from_slice(&[0, 1, 1, 1, 4, 5]);
    assert!(largest_difference(&logits(&model, Some(&same))?, &logits(&model, Some(&moved))?) > 1e-2);
    Ok(())
}

#[test]
fn a_generation_counts_on_from_the_highest_of_each_row() -> Outcome {
    let model = llama()?;
    let whole = logits(&model, Some(&[0, 3, 1, 1, 4, 5]))?;
    let given = Inputs::new().ints("position_ids", vec![0, 3, 1, 1], [1, 4]);
    let mut session = model.session(&given, IDS.len())?;
    let vocabulary = whole.len() / IDS.len();
    for fed in [0..4, 4..5, 5..6] {
        let found = session.feed(&[IDS[fed.clone()].to_vec()], None)?.remove(0);
        let wanted = &whole[(fed.end - 1) * vocabulary..fed.end * vocabulary];
        assert!(largest_difference(&found, wanted) < 1e-4, "{fed:?}");
    }
    Ok(())
}

#[test]
fn wrong_ones_are_named() -> Outcome {
    let model = llama()?;
    let error = |data: Vec<i64>, shape: &[usize]| {
        let inputs = Inputs::tokens(&[IDS.to_vec()]).ints("position_ids", data, shape);
        model.forward(&inputs).expect_err("they do not fit").to_string()
    };
    for (error, found) in [
        (error(vec![0, 1, 2, 3, 4], &[1, 5]), "5 numbers as [1, 5]"),
        (error(vec![0; 6], &[6]), "6 numbers as [6]"),
        (error(vec![0, 1, 2, 3, 4, -5], &[1, 6]), "-5"),
        (error(vec![0, 1, 2, 3, 4, 1 << 40], &[1, 6]), "1099511627776"),
    ] {
        assert!(error.contains("position_ids") && error.contains(found), "{error}");
        assert!(error.contains("int[1, 6], or such a table for each axis"), "{error}");
    }
    // Learned positions have a table; what has no row in it is refused.
    let gpt2 = self::model("GPT2LMHeadModel")?;
    let error = logits(&gpt2, Some(&[0, 1, 2, 3, 4, 64])).expect_err("too far").to_string();
    assert!(error.contains("65 tokens are too many"), "{error}");
    Ok(())
}
