//! Text from a prompt: tokens in, tokens out, one at a time.

use std::ops::ControlFlow;

use super::error::ModelError;
use super::inputs::Inputs;
use super::model::Model;
use super::sampling::{GenerationConfig, Sampler, SamplingError};

/// New tokens where neither the caller nor the model says how many.
const DEFAULT_NEW_TOKENS: usize = 256;

/// Why a generation stopped with an error.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The model cannot run on these tokens.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No token could be chosen.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
}

/// What a generation gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The new tokens, without the prompt; a stop token is the last of them.
    pub tokens: Vec<u32>,
    /// Why it stopped.
    pub stopped: Stopped,
}

/// Why a generation stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The model gave a stop token.
    EndOfText,
    /// The wanted number of tokens is reached.
    Length,
    /// The caller stopped it.
    Caller,
}

impl Model {
    /// Continues a prompt, token by token.
    ///
    /// `on_token` is told each new token and may stop the generation. The number of new tokens is
    /// `config.max_new_tokens`, or 256; it is cut to what the model's position table allows.
    ///
    /// # Errors
    /// If the model does not generate, the prompt is empty or too long, or a token has no row in the table.
    pub fn generate(
        &self,
        prompt: &[u32],
        config: &GenerationConfig,
        seed: u64,
        mut on_token: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Generated, GenerateError> {
        let wanted = config.max_new_tokens.unwrap_or(DEFAULT_NEW_TOKENS);
        let (start, encoder) = self.start_of(prompt)?;
        let room = self.positions().map_or(usize::MAX, |positions| positions.saturating_sub(start.len()));
        let wanted = wanted.min(room.max(1));
        let mut session = self.session(&encoder, start.len().saturating_add(wanted))?;
        let mut sampler = Sampler::new(config.clone(), seed);
        let mut history = start.clone();
        let mut tokens = Vec::new();
        let mut next = start;
        while tokens.len() < wanted {
            let mut logits = session.feed(&[next], None)?;
            let token = sampler.pick(&mut logits[0], &history)?;
            tokens.push(token);
            history.push(token);
            let go_on = on_token(token);
            if config.is_eos(token) {
                return Ok(Generated { tokens, stopped: Stopped::EndOfText });
            }
            if go_on.is_break() {
                return Ok(Generated { tokens, stopped: Stopped::Caller });
            }
            next = vec![token];
        }
        Ok(Generated { tokens, stopped: Stopped::Length })
    }

    /// What the decoder starts with, and what the encoder is given.
    fn start_of(&self, prompt: &[u32]) -> Result<(Vec<u32>, Inputs), ModelError> {
        if prompt.is_empty() {
            return Err(ModelError::Unsupported("the prompt has no tokens".to_owned()));
        }
        let Some(encode) = self.contract("encode") else {
            return Ok((prompt.to_vec(), Inputs::new()));
        };
        if !encode.inputs.iter().any(|input| input.text == "input_ids") {
            let takes: Vec<_> = encode.inputs.iter().map(|input| format!("`{}`", input.text)).collect();
            let message = format!(
                "its encoder takes {}, not a prompt: give them to `Model::session`, and feed it the decoder's tokens",
                takes.join(", ")
            );
            return Err(ModelError::Unsupported(message));
        }
        let start = ["decoder_start_token_id", "bos_token_id", "pad_token_id"]
            .iter()
            .find_map(|key| self.config().get(*key)?.as_u64())
            .and_then(|id| u32::try_from(id).ok());
        let Some(start) = start else {
            let message = "config.json has no `decoder_start_token_id` to start the decoder with".to_owned();
            return Err(ModelError::Unsupported(message));
        };
        Ok((vec![start], Inputs::tokens(&[prompt.to_vec()])))
    }

    /// How many positions the config says the model was made for, if it has a table of them.
    fn positions(&self) -> Option<usize> {
        let plan = self.plan("forward", &[]).ok()?;
        let limit = plan
            .limits()
            .into_iter()
            .filter(|limit| limit.input.is_none())
            .map(|limit| limit.rows - limit.start)
            .min()?;
        usize::try_from(limit).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::ops::backend::Device;
    use crate::registry::Registry;

    /// A model for a task that is as given.
    fn toy(task: &str) -> Model {
        let text = format!(
            r#"
[tasks.toy]
{task}

[architectures.Toy]
category = "transformers"
task     = "toy"

[modules.Toy]
layers.embed = "Embedding(vocab_size, hidden_size)"
layers.head  = "Linear(hidden_size, vocab_size, bias=False)"
inputs       = ["input_ids"]
forward      = 'return {{"logits": head(embed(input_ids))}}'
"#
        );
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("toy.toml");
        std::fs::write(&path, text).expect("it is writable");
        let registry = Registry::with_overlays(&[&path]).expect("the overlay is right");
        let config = json!({ "vocab_size": 9, "hidden_size": 4 });
        Model::init(Arc::new(registry), "Toy", config, Device::Flex(burn_flex::FlexDevice), 1)
            .expect("it fits")
    }

    fn generate(task: &str) -> Result<usize, String> {
        let config = GenerationConfig { max_new_tokens: Some(3), ..GenerationConfig::default() };
        let generated = toy(task).generate(&[1, 2], &config, 0, |_| ControlFlow::Continue(()));
        generated.map(|generated| generated.tokens.len()).map_err(|error| error.to_string())
    }

    const FORWARD: &str = r#"methods.forward = { inputs = ["input_ids"], outputs = ["logits"] }"#;

    #[test]
    fn a_task_says_whether_its_models_generate() {
        assert_eq!(generate(&format!("{FORWARD}\ngenerates = \"forward\"")), Ok(3));
        let error = generate(FORWARD).expect_err("it does not say that it generates");
        assert!(error.contains("`toy` generates no tokens; `omni plan DIR` prints"), "{error}");
    }

    #[test]
    fn an_encoder_that_takes_no_tokens_is_no_place_for_a_prompt() {
        let encode = r#"methods.encode = { inputs = ["input_values"], outputs = ["last_hidden_state"] }"#;
        let error =
            generate(&format!("{FORWARD}\n{encode}\ngenerates = \"forward\"")).expect_err("no prompt fits");
        assert!(error.contains("its encoder takes `input_values`, not a prompt"), "{error}");
    }
}
