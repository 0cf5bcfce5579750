//! Chooses the next token from logits.
//!
//! In: one row of logits, the ids so far, and what `generation_config.json` asks for. Out: an id. The steps
//! and their order are those of transformers (`generation/utils.py`, `_get_logits_processor`): repetition
//! penalty, then, when sampling, temperature, top-k, top-p, min-p, and a draw.
//!
//! Absent on purpose: tensors, files, beams; when to stop is the caller's loop.

use serde_json::{Map, Value};

const FILE: &str = "generation_config.json";

/// Why no token could be chosen, or a generation config not be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// A field of the generation config has the wrong type or an impossible value.
    #[error("`{field}` in `{FILE}` is `{found}`, expected {expected}")]
    Field {
        /// The field's name.
        field: String,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// The model gave logits that no choice can be made from.
    #[error(
        "the logits of token {id} are {value}, and no token can be chosen: look for such values in the weights, or compute with wider floats (f32)"
    )]
    BadLogit {
        /// The first token with such a logit.
        id: usize,
        /// The logit: not a number, or positive infinity.
        value: f32,
    },
    /// There are no logits, or all of them are negative infinity.
    #[error("no token is possible among {0} logits")]
    NothingPossible(usize),
}

/// How to generate; the defaults are those of transformers, a missing file means all of them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GenerationConfig {
    /// Draw at random instead of taking the likeliest token.
    pub do_sample: bool,
    /// Divides the logits; 0 means the likeliest token.
    pub temperature: f32,
    /// Keep this many tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the fewest tokens whose probabilities reach this sum; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least this probable, relative to the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Above 1, tokens that were already there become less likely.
    pub repetition_penalty: f32,
    /// The ids that end a text.
    pub eos_token_ids: Vec<u32>,
    /// The id that fills up short rows.
    pub pad_token_id: Option<u32>,
    /// The most tokens to generate, if the file says.
    pub max_new_tokens: Option<usize>,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            eos_token_ids: Vec::new(),
            pad_token_id: None,
            max_new_tokens: None,
        }
    }
}

impl GenerationConfig {
    /// Reads the object in `generation_config.json`. Fields that are not known here are left out.
    ///
    /// # Errors
    /// A known field of the wrong type or with an impossible value.
    pub fn from_json(fields: &Map<String, Value>) -> Result<Self, SamplingError> {
        let mut config = Self::default();
        let given = |field: &str| fields.get(field).filter(|value| !value.is_null());
        if let Some(value) = given("do_sample") {
            config.do_sample =
                value.as_bool().ok_or_else(|| wrong("do_sample", value, "`true` or `false`"))?;
        }
        let number = |field: &str, target: &mut f32, expected, fits: fn(f64) -> bool| match given(field) {
            None => Ok(()),
            Some(value) => {
                let found = value.as_f64().filter(|number| fits(*number));
                #[expect(clippy::cast_possible_truncation, reason = "the logits are f32 as well")]
                let found = found.map(|number| number as f32);
                *target = found.ok_or_else(|| wrong(field, value, expected))?;
                Ok(())
            }
        };
        number("temperature", &mut config.temperature, "a number from 0", |t| (0.0..1e6).contains(&t))?;
        number("top_p", &mut config.top_p, "a number from 0 to 1", |p| (0.0..=1.0).contains(&p))?;
        number("min_p", &mut config.min_p, "a number from 0 to 1", |p| (0.0..=1.0).contains(&p))?;
        number("repetition_penalty", &mut config.repetition_penalty, "a number above 0", |p| {
            p > 0.0 && p < 1e6
        })?;
        if let Some(value) = given("top_k") {
            config.top_k = count("top_k", value)?;
        }
        if let Some(value) = given("max_new_tokens") {
            config.max_new_tokens = Some(count("max_new_tokens", value)?);
        }
        if let Some(value) = given("pad_token_id") {
            // Several hub repositories write -1 for "none".
            config.pad_token_id =
                if value.as_i64() == Some(-1) { None } else { Some(id("pad_token_id", value)?) };
        }
        config.eos_token_ids = match given("eos_token_id") {
            None => Vec::new(),
            Some(Value::Array(ids)) => {
                ids.iter().map(|value| id("eos_token_id", value)).collect::<Result<_, _>>()?
            }
            Some(value) => vec![id("eos_token_id", value)?],
        };
        Ok(config)
    }

    /// Whether `id` ends a text.
    #[must_use]
    pub fn is_eos(&self, id: u32) -> bool {
        self.eos_token_ids.contains(&id)
    }
}

fn wrong(field: &str, found: &Value, expected: &'static str) -> SamplingError {
    let mut found = found.to_string();
    if let Some((end, _)) = found.char_indices().nth(60) {
        found.truncate(end);
    }
    SamplingError::Field { field: field.to_owned(), found, expected }
}

fn count(field: &str, value: &Value) -> Result<usize, SamplingError> {
    value
        .as_u64()
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| wrong(field, value, "a whole number from 0"))
}

fn id(field: &str, value: &Value) -> Result<u32, SamplingError> {
    value
        .as_u64()
        .and_then(|id| u32::try_from(id).ok())
        .ok_or_else(|| wrong(field, value, "a token id or a list of them"))
}

/// Chooses one token after another; the same seed gives the same choices.
#[derive(Debug, Clone)]
pub struct Sampler {
    config: GenerationConfig,
    random: fastrand::Rng,
}

impl Sampler {
    /// A sampler with a seed.
    #[must_use]
    pub fn new(config: GenerationConfig, seed: u64) -> Self {
        Self { config, random: fastrand::Rng::with_seed(seed) }
    }

    /// What it samples by.
    #[must_use]
    pub fn config(&self) -> &GenerationConfig {
        &self.config
    }

    /// Chooses the next id from `logits`, `[vocab_size]`, which are changed on the way. `history` is the prompt
    /// and all that was chosen since.
    ///
    /// # Errors
    /// If a logit is not a number or infinite, or no token is possible.
    pub fn pick(&mut self, logits: &mut [f32], history: &[u32]) -> Result<u32, SamplingError> {
        let bad = |logit: &f32| logit.is_nan() || *logit == f32::INFINITY;
        if let Some(id) = logits.iter().position(bad) {
            return Err(SamplingError::BadLogit { id, value: logits[id] });
        }
        penalise_repetition(logits, history, self.config.repetition_penalty);
        let likeliest = likeliest(logits).ok_or(SamplingError::NothingPossible(logits.len()))?;
        if !self.config.do_sample || self.config.temperature == 0.0 {
            return Ok(as_id(likeliest));
        }
        let mut kept = Candidates::new(logits, self.config.temperature);
        kept.top_k(self.config.top_k);
        kept.top_p(self.config.top_p);
        kept.min_p(self.config.min_p);
        Ok(as_id(kept.draw(self.random.f64())))
    }
}

/// Vocabularies are far smaller than that.
fn as_id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Each token of the history counts once, however often it occurs (CTRL, arXiv 1909.05858, §4.1).
fn penalise_repetition(logits: &mut [f32], history: &[u32], penalty: f32) {
    #[expect(clippy::float_cmp, reason = "1 is the value that means off")]
    if penalty == 1.0 {
        return;
    }
    let mut seen = vec![false; logits.len()];
    for id in history {
        let index = *id as usize;
        if index < logits.len() && !std::mem::replace(&mut seen[index], true) {
            let logit = &mut logits[index];
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
        }
    }
}

/// The first of the highest logits, as `argmax` gives it.
fn likeliest(logits: &[f32]) -> Option<usize> {
    let mut best = None;
    let mut highest = f32::NEG_INFINITY;
    for (index, logit) in logits.iter().enumerate() {
        if *logit > highest {
            best = Some(index);
            highest = *logit;
        }
    }
    best
}

/// The tokens still possible, the likeliest first, with their logits.
struct Candidates {
    sorted: Vec<(usize, f64)>,
}

impl Candidates {
    /// In `f64`, where no logit divided by a temperature overflows.
    fn new(logits: &[f32], temperature: f32) -> Self {
        let possible = logits.iter().enumerate().filter(|(_, logit)| **logit > f32::NEG_INFINITY);
        let mut sorted: Vec<(usize, f64)> =
            possible.map(|(id, logit)| (id, f64::from(*logit) / f64::from(temperature))).collect();
        // Stable, so that equal tokens stay in the order of their ids.
        sorted.sort_by(|(_, left), (_, right)| right.total_cmp(left));
        Self { sorted }
    }

    /// Tokens as likely as the last one kept are kept too.
    fn top_k(&mut self, keep: usize) {
        if keep == 0 || keep >= self.sorted.len() {
            return;
        }
        let (_, lowest) = self.sorted[keep - 1];
        self.sorted.retain(|(_, logit)| *logit >= lowest);
    }

    /// From the least likely on, tokens go as long as what has gone sums up to at most `1 - keep`.
    fn top_p(&mut self, keep: f32) {
        if keep >= 1.0 {
            return;
        }
        let probabilities = self.probabilities();
        let mut gone = 0.0;
        let mut left = self.sorted.len();
        while left > 1 {
            gone += probabilities[left - 1];
            if gone > 1.0 - f64::from(keep) {
                break;
            }
            left -= 1;
        }
        self.sorted.truncate(left);
    }

    fn min_p(&mut self, least: f32) {
        let probabilities = self.probabilities();
        let threshold = f64::from(least) * probabilities.first().copied().unwrap_or(0.0);
        let kept = probabilities.partition_point(|probability| *probability >= threshold);
        self.sorted.truncate(kept.max(1));
    }

    /// The token in whose share of the whole `place`, from 0 to 1, falls.
    fn draw(&self, place: f64) -> usize {
        let mut left = place;
        for ((id, _), probability) in self.sorted.iter().zip(self.probabilities()) {
            left -= probability;
            if left < 0.0 {
                return *id;
            }
        }
        // Rounding: the shares summed up to a little less than 1.
        self.sorted.first().map_or(0, |(id, _)| *id)
    }

    fn probabilities(&self) -> Vec<f64> {
        let highest = self.sorted.first().map_or(0.0, |(_, logit)| *logit);
        let exponentials: Vec<f64> = self.sorted.iter().map(|(_, logit)| (logit - highest).exp()).collect();
        let total: f64 = exponentials.iter().sum();
        exponentials.into_iter().map(|exponential| exponential / total).collect()
    }
}

#[cfg(test)]
#[path = "sampling_tests.rs"]
mod tests;
