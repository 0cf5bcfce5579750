//! The demo that comes with the repository: small, loadable by its directory alone, and true to its corpus.

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use omni::model::Inputs;
use omni::model::sampling::GenerationConfig;

type Outcome = Result<(), Box<dyn Error>>;

/// From the end of the corpus, which the training never saw.
const HELD_OUT: &str = "\"I am sure we owe you an apology, Mrs. Toller,\" said Holmes, \"for you have certainly \
    cleared up everything which puzzled us. And here comes the country surgeon and Mrs. Rucastle, so I think, \
    Watson, that we had best escort Miss Hunter back to Winchester, as it seems to me that our locus standi now is \
    rather a questionable one.\"";

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo")
}

#[test]
fn it_is_small() -> Outcome {
    let mut bytes = 0;
    for entry in fs::read_dir(demo())? {
        bytes += entry?.metadata()?.len();
    }
    assert!(bytes < 3_000_000, "{bytes} bytes");
    Ok(())
}

#[test]
fn it_expects_text_like_its_corpus() -> Outcome {
    let (model, tokenizer) = omni::load(demo())?;
    let surprise = |text: &str| -> Result<f64, Box<dyn Error>> {
        let ids = tokenizer.encode(text, false)?;
        let outputs = model.forward(&Inputs::tokens(std::slice::from_ref(&ids)))?;
        let logits = outputs.get("logits").ok_or("no logits")?.to_host();
        let logits: Vec<f32> = logits.to_vec().map_err(|error| format!("{error:?}"))?;
        let rows = logits.chunks(logits.len() / ids.len());
        let nats = rows.zip(&ids[1..]).map(|(row, next)| {
            let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
            sum.ln() - f64::from(row[*next as usize])
        });
        Ok(nats.sum::<f64>() / f64::from(u32::try_from(text.len())?))
    };
    let expected = surprise(HELD_OUT)?;
    let words: Vec<&str> = HELD_OUT.split(' ').rev().collect();
    let backwards = surprise(&words.join(" "))?;
    assert!(expected < 1.5, "{expected} nats for each byte");
    assert!(expected < 0.8 * backwards, "{expected} forwards, {backwards} backwards");
    Ok(())
}

#[test]
fn it_writes_words_and_stops() -> Outcome {
    let (model, tokenizer) = omni::load(demo())?;
    let config = fs::read_to_string(demo().join("generation_config.json"))?;
    let config: serde_json::Value = serde_json::from_str(&config)?;
    let config = GenerationConfig::from_json(config.as_object().ok_or("it is no object")?)?;
    let prompt = tokenizer.encode("It was a cold morning, and", true)?;
    let generated = model.generate(&prompt, &config, 1, |_| ControlFlow::Continue(()))?;
    assert!(generated.tokens.len() <= config.max_new_tokens.ok_or("it says how many")?);
    let text = tokenizer.decode(&generated.tokens, true)?;
    let words: Vec<&str> =
        text.split(|letter: char| !letter.is_alphabetic()).filter(|w| !w.is_empty()).collect();
    let common =
        ["the", "of", "and", "to", "a", "I", "in", "that", "was", "it", "he", "you", "had", "his", "my"];
    let found = words.iter().filter(|word| common.contains(word)).count();
    assert!(words.len() > 40 && found * 6 > words.len(), "{text}");
    Ok(())
}
