//! Puts a tokenizer together from its parts.
//!
//! Every format ends here: a model, the components around it as the JSON that `tokenizer.json` would
//! hold, and the tokens added on top. So a vocabulary file and a `tokenizer.json` go one way.
//!
//! Absent on purpose: file access; padding and truncation, which belong to the call and not to the file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    Tokenizer as Engine,
};

use super::charsmap;
use super::error::TokenizerError;

/// A tokenizer taken apart, as `tokenizer.json` does it.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The file that it comes from, for messages.
    pub(crate) file: String,
    pub(crate) model: ModelWrapper,
    /// The components in the JSON form of `tokenizer.json`; `Null` where there is none.
    pub(crate) normalizer: Value,
    pub(crate) pre_tokenizer: Value,
    pub(crate) post_processor: Value,
    pub(crate) decoder: Value,
    /// Tokens on top of the model's vocabulary, each with the id that the file gives it, if any.
    pub(crate) added: Vec<(Option<u32>, AddedToken)>,
}

impl Parts {
    /// A bare model; the components come later.
    pub(crate) fn new(file: &str, model: impl Into<ModelWrapper>) -> Self {
        Self {
            file: file.to_owned(),
            model: model.into(),
            normalizer: Value::Null,
            pre_tokenizer: Value::Null,
            post_processor: Value::Null,
            decoder: Value::Null,
            added: Vec::new(),
        }
    }

    /// Builds the engine. What is odd but usable is pushed to `notes`.
    pub(crate) fn assemble(self, notes: &mut Vec<String>) -> Result<Engine, TokenizerError> {
        let file = self.file;
        charsmap::check_all(&file, &self.normalizer)?;
        let normalizer: Option<NormalizerWrapper> = component(&file, "normalizer", &self.normalizer)?;
        let pre_tokenizer: Option<PreTokenizerWrapper> =
            component(&file, "pre_tokenizer", &self.pre_tokenizer)?;
        let post_processor: Option<PostProcessorWrapper> =
            component(&file, "post_processor", &self.post_processor)?;
        let decoder: Option<DecoderWrapper> = component(&file, "decoder", &self.decoder)?;
        let mut engine = Engine::new(self.model);
        guarded(|| {
            engine.with_normalizer(normalizer)?;
            engine.with_pre_tokenizer(pre_tokenizer);
            engine.with_post_processor(post_processor);
            engine.with_decoder(decoder);
            Ok(())
        })
        .map_err(|reason| TokenizerError::format(&file, reason))?;
        add_tokens(&mut engine, &file, self.added, notes)?;
        Ok(engine)
    }
}

/// Adds `tokens`; one that lands on another id than its file says becomes a note.
pub(crate) fn add_tokens(
    engine: &mut Engine,
    file: &str,
    tokens: Vec<(Option<u32>, AddedToken)>,
    notes: &mut Vec<String>,
) -> Result<(), TokenizerError> {
    let expected: Vec<(String, u32)> =
        tokens.iter().filter_map(|(id, token)| id.map(|id| (token.content.clone(), id))).collect();
    guarded(|| engine.add_tokens(tokens.into_iter().map(|(_, token)| token)).map(|_| ()))
        .map_err(|reason| TokenizerError::format(file, reason))?;
    for (content, id) in expected {
        let got = engine.token_to_id(&content);
        if got != Some(id) {
            let got = got.map_or_else(|| "none".to_owned(), |got| got.to_string());
            notes.push(format!("`{file}` gives `{content}` the id {id}, but its place is {got}"));
        }
    }
    Ok(())
}

/// Replaces what puts tokens around a text; `Null` puts none.
pub(crate) fn set_post_processor(
    engine: &mut Engine,
    file: &str,
    post_processor: &Value,
) -> Result<(), TokenizerError> {
    let post_processor: Option<PostProcessorWrapper> = component(file, "post_processor", post_processor)?;
    engine.with_post_processor(post_processor);
    Ok(())
}

/// Runs code of the tokenizers crate, which asserts what its own files hold and so may panic on others.
pub(crate) fn guarded<T>(
    work: impl FnOnce() -> Result<T, Box<dyn std::error::Error + Send + Sync>>,
) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("its parts contradict each other".to_owned()),
    }
}

/// One component from its JSON. It passes through text, since the crate borrows strings from it.
fn component<T: DeserializeOwned>(
    file: &str,
    field: &str,
    value: &Value,
) -> Result<Option<T>, TokenizerError> {
    if value.is_null() {
        return Ok(None);
    }
    let text = value.to_string();
    guarded(|| Ok(serde_json::from_str::<T>(&text)?))
        .map(Some)
        .map_err(|reason| TokenizerError::format(file, format!("{field}: {reason}")))
}
