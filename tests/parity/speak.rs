//! A prompt as speech, all parts of a model that thinks and speaks together: what a program does with them, step by step,
//! as the reference's own `generate` does it.

use std::error::Error;
use std::f64::consts::FRAC_PI_2;
use std::fs;

use omni::model::{Inputs, Model, Outputs};
use serde_json::Value as Json;

use super::harness::{Outcome, Recorded, Tensors, load, read, root};

/// Floats with their shape, row by row.
#[derive(Clone)]
struct Array {
    data: Vec<f32>,
    shape: Vec<usize>,
}

impl Array {
    fn of(outputs: &Outputs, name: &str) -> Result<Self, Box<dyn Error>> {
        let value =
            outputs.get(name).or_else(|| outputs.captured.get(name)).ok_or_else(|| format!("no `{name}`"))?;
        let data = value.to_host().iter::<f32>().collect();
        Ok(Self { data, shape: value.shape() })
    }

    /// Each number by those of the others at its place.
    fn zip<const N: usize>(&self, others: [&Self; N], f: impl Fn(f32, [f32; N]) -> f32) -> Self {
        let at = |index: usize| others.map(|other| other.data[index]);
        let data = self.data.iter().enumerate().map(|(index, x)| f(*x, at(index))).collect();
        Self { data, shape: self.shape.clone() }
    }

    /// Row `index` of the last two axes.
    fn row(&self, index: usize) -> &[f32] {
        let width = self.shape.last().copied().unwrap_or(1);
        &self.data[index * width..][..width]
    }

    fn give(&self, inputs: Inputs, name: &str) -> Inputs {
        inputs.floats(name, self.data.clone(), self.shape.clone())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "recorded as 32 bits")]
fn floats(recorded: &Recorded) -> Array {
    let data = recorded.numbers.iter().map(|number| *number as f32).collect();
    Array { data, shape: recorded.shape.clone() }
}

#[expect(clippy::cast_possible_truncation, reason = "ids")]
fn ints(recorded: &Recorded) -> Vec<i64> {
    recorded.numbers.iter().map(|number| *number as i64).collect()
}

fn ids(data: &[i64]) -> Inputs {
    Inputs::new().ints("input_ids", data.to_vec(), [1, data.len()])
}

/// The likeliest of what may come next.
fn likeliest(row: &[f32], forbidden: Option<i64>) -> i64 {
    let allowed = (0i64..).zip(row).filter(|(index, _)| Some(*index) != forbidden);
    allowed.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index)
}

/// How a recording was made.
struct Settings(Json);

impl Settings {
    fn int(&self, name: &str) -> i64 {
        self.0[name].as_i64().expect("an int of golden.json")
    }

    fn count(&self, name: &str) -> usize {
        usize::try_from(self.int(name)).expect("a count of golden.json")
    }

    fn float(&self, name: &str) -> f64 {
        self.0[name].as_f64().expect("a number of golden.json")
    }
}

/// Continues a text; gives the tokens, and for each that was fed the sum of what went into the first layer and what
/// came out of the last.
fn think(
    model: &Model,
    prompt: &[i64],
    settings: &Settings,
) -> Result<(Vec<i64>, Vec<Vec<f32>>), Box<dyn Error>> {
    let mut tokens = prompt.to_vec();
    loop {
        let outputs = model.forward_captured(&ids(&tokens), &["thinker.embeddings"])?;
        let last = Array::of(&outputs, "logits")?.row(tokens.len() - 1).to_vec();
        let fed = tokens.len();
        tokens.push(likeliest(&last, None));
        if tokens.len() == prompt.len() + settings.count("new_tokens") {
            let embedded = Array::of(&outputs, "thinker.embeddings")?;
            let thought = embedded.zip([&Array::of(&outputs, "last_hidden_state")?], |a, [b]| a + b);
            return Ok((tokens, (0..fed).map(|index| thought.row(index).to_vec()).collect()));
        }
    }
}

/// What the thoughts sound like, in codes.
fn talk(
    model: &Model,
    thoughts: &[Vec<f32>],
    prompt: usize,
    settings: &Settings,
) -> Result<Vec<i64>, Box<dyn Error>> {
    let embedded = |token: &str| -> Result<Vec<f32>, Box<dyn Error>> {
        let outputs = model.forward_captured(&ids(&[settings.int(token)]), &["thinker.embeddings"])?;
        Ok(Array::of(&outputs, "thinker.embeddings")?.data)
    };
    // The prompt's thoughts, a token to begin with, the reply's thoughts, a token to end with, and then padding.
    let (asked, replied) = thoughts.split_at(prompt);
    let begin = [embedded("bos_token")?];
    let (end, padding) = ([embedded("eos_token")?], embedded("pad_token")?);
    let said = settings.count("codes");
    let rows = asked.iter().chain(&begin).chain(replied).chain(&end).chain(std::iter::repeat(&padding));
    let rows: Vec<&Vec<f32>> = rows.take(prompt + 1 + said).collect();
    let mut codes = vec![settings.int("codec_mask"); prompt];
    codes.extend([settings.int("codec_pad"), settings.int("codec_start")]);
    for _ in 0..said {
        let embeds: Vec<f32> = rows[..codes.len()].iter().flat_map(|row| row.iter().copied()).collect();
        let inputs = ids(&codes).floats("inputs_embeds", embeds, [1, codes.len(), rows[0].len()]);
        let logits = Array::of(&model.call("talk", &inputs, &[])?, "logits")?;
        codes.push(likeliest(logits.row(codes.len() - 1), Some(settings.int("codec_start"))));
    }
    Ok(codes.split_off(prompt + 2))
}

/// The mel spectrogram of codes `[1, frames, mels]`: noise, taken along the predicted flow by the 3/8 rule.
fn denoise(
    model: &Model,
    codes: &[i64],
    tensors: &Tensors,
    settings: &Settings,
) -> Result<Array, Box<dyn Error>> {
    let mut x = floats(&tensors["speak.noise"]);
    let frames = x.shape[1];
    let speaker = floats(&tensors["speak.speaker"]);
    let speaker = Array {
        shape: vec![1, frames, speaker.data.len()],
        data: std::iter::repeat_n(speaker.data, frames).flatten().collect(),
    };
    let fixed = Inputs::new().ints("quantized_code", codes.to_vec(), [1, codes.len()]);
    let fixed = speaker.give(fixed, "speaker_embedding");
    let fixed = floats(&tensors["speak.reference_mel"]).give(fixed, "condition_vector");
    #[expect(clippy::cast_possible_truncation, reason = "all of it is in 32 bits")]
    let guidance = settings.float("guidance_scale") as f32;
    let flow = |time: f32, x: &Array| -> Result<Array, Box<dyn Error>> {
        let inputs = x.give(fixed.clone().floats("time_step", vec![time], [1]), "hidden_states");
        let outputs = model.call("denoise", &inputs, &[])?;
        let null = Array::of(&outputs, "null_prediction")?;
        Ok(Array::of(&outputs, "prediction")?.zip([&null], |y, [null]| y + (y - null) * guidance))
    };
    let steps = u32::try_from(settings.int("num_steps"))?;
    #[expect(clippy::cast_possible_truncation, reason = "all of it is in 32 bits")]
    let time = |step: u32| {
        let t = f64::from(step) / f64::from(steps - 1);
        (t + settings.float("sway_coefficient") * ((FRAC_PI_2 * t).cos() - 1.0 + t)) as f32
    };
    for step in 1..steps {
        let (start, h) = (time(step - 1), time(step) - time(step - 1));
        let k1 = flow(start, &x)?;
        let k2 = flow(start + h / 3.0, &x.zip([&k1], |x, [k1]| x + h * k1 / 3.0))?;
        let k3 = flow(start + h * 2.0 / 3.0, &x.zip([&k1, &k2], |x, [k1, k2]| x + h * (k2 - k1 / 3.0)))?;
        let k4 = flow(time(step), &x.zip([&k1, &k2, &k3], |x, [k1, k2, k3]| x + h * (k1 - k2 + k3)))?;
        x = x.zip([&k1, &k2, &k3, &k4], |x, [k1, k2, k3, k4]| x + (k1 + 3.0 * (k2 + k3) + k4) * h / 8.0);
    }
    Ok(x)
}

/// From a prompt to a waveform.
pub(crate) fn check(folder: &str) -> Outcome {
    let dir = root().join(folder);
    let golden: Json = serde_json::from_str(&fs::read_to_string(dir.join("golden.json"))?)?;
    let settings = Settings(golden["speak"].clone());
    let tensors = read(&dir.join("golden.safetensors"))?;
    let model = load(&dir)?;
    let prompt = ints(&tensors["speak.input_ids"]);
    let (tokens, thoughts) = think(&model, &prompt, &settings)?;
    assert_eq!(tokens, ints(&tensors["speak.sequences"]));
    let codes = talk(&model, &thoughts, prompt.len(), &settings)?;
    assert_eq!(codes, ints(&tensors["speak.codes"]));
    let mel = denoise(&model, &codes, &tensors, &settings)?;
    let (frames, mels) = (mel.shape[1], mel.shape[2]);
    let data = (0..mels * frames).map(|index| mel.row(index % frames)[index / frames]).collect();
    let inputs = Inputs::new().floats("mel_spectrogram", data, [1, mels, frames]);
    let waveform = Array::of(&model.call("vocode", &inputs, &[])?, "waveform")?;
    let wanted = floats(&tensors["speak.waveform"]);
    assert_eq!(waveform.shape, wanted.shape);
    let off = waveform.zip([&wanted], |a, [b]| (a - b).abs()).data.into_iter().fold(0.0, f32::max);
    assert!(off < 1e-3, "the waveform is off by {off}");
    Ok(())
}
