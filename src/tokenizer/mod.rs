//! Text to token ids and back.
//!
//! In: a model directory. Out: a [`Tokenizer`], whatever of the formats of the hub the directory holds,
//! looked for in the order of transformers. The `tokenizers` crate does the work on the text; the older
//! formats are turned into what it knows, each in a file of its own here.
//!
//! Absent on purpose: tokenizers of other models. Where a directory has none, that is an error: ids of
//! another vocabulary would not fit the embedding.

mod batch;
mod bytes;
mod characters;
mod charsmap;
mod chat;
mod chat_functions;
mod chat_json;
mod chat_time;
mod classes;
mod error;
mod files;
mod framing;
mod json;
mod merges;
mod model;
mod open;
mod parts;
mod sentencepiece;
mod special;
mod spm_proto;
mod stream;
mod tekken;
mod tiktoken;
mod vocab_merges;
mod wordpiece;

pub use batch::{Batch, PaddingSide};
pub use chat::Message;
pub use error::TokenizerError;
pub use stream::TextStream;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use chat::ChatTemplates;
use parts::guarded;

/// A tokenizer with its special tokens.
#[derive(Debug)]
pub struct Tokenizer {
    engine: tokenizers::Tokenizer,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
    unk: Option<u32>,
    padding_side: PaddingSide,
    /// Join punctuation to the word before it after decoding.
    clean_up: bool,
    /// The text of each special token, by its role, for templates.
    roles: BTreeMap<&'static str, String>,
    templates: ChatTemplates,
    source: String,
    notes: Vec<String>,
}

impl Tokenizer {
    /// The ids of a text; `add_special` puts the tokens around it that the model expects.
    ///
    /// # Errors
    /// If the vocabulary cannot express the text: no unknown token, and none needed until now.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, TokenizerError> {
        guarded(|| self.engine.encode_fast(text, add_special))
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(|reason| TokenizerError::Run { action: "encode", reason })
    }

    /// Several texts as one rectangle, padded on `side` to the longest.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); or if the texts differ in length and there is nothing to pad with.
    pub fn encode_batch(
        &self,
        texts: &[&str],
        add_special: bool,
        side: PaddingSide,
    ) -> Result<Batch, TokenizerError> {
        let rows = texts.iter().map(|text| self.encode(text, add_special)).collect::<Result<Vec<_>, _>>()?;
        let ragged = rows.windows(2).any(|pair| pair[0].len() != pair[1].len());
        let pad = match self.pad {
            Some(pad) => pad,
            None if ragged => {
                let reason = "the texts differ in length, and there is no pad and no eos token";
                return Err(TokenizerError::Run { action: "pad", reason: reason.to_owned() });
            }
            None => 0,
        };
        Ok(Batch::pad(&rows, pad, side))
    }

    /// The text of some ids. Ids that the vocabulary lacks have no text.
    ///
    /// # Errors
    /// If the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TokenizerError> {
        guarded(|| self.engine.decode(ids, skip_special))
            .map(|text| if self.clean_up { cleaned_up(&text) } else { text })
            .map_err(|reason| TokenizerError::Run { action: "decode", reason })
    }

    /// Decodes ids one at a time; what it gives, put together, is what [`decode`](Self::decode) gives.
    #[must_use]
    pub fn stream(&self, skip_special: bool) -> TextStream<'_> {
        TextStream::new(self, skip_special)
    }

    /// A chat as the text that the model was trained on; encode it without adding special tokens.
    ///
    /// `more` holds what else the template may read: `tools`, `documents`, switches of its own.
    /// With tools, the template called `tool_use` is taken where there is one.
    ///
    /// # Errors
    /// If the model has no template, or the template refuses the messages, is wrong, or runs too long.
    pub fn apply_chat(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        more: &Map<String, Value>,
    ) -> Result<String, TokenizerError> {
        self.apply_named_chat(None, messages, add_generation_prompt, more)
    }

    /// As [`apply_chat`](Self::apply_chat), with the template of this name.
    ///
    /// # Errors
    /// As there.
    pub fn apply_named_chat(
        &self,
        name: Option<&str>,
        messages: &[Message],
        add_generation_prompt: bool,
        more: &Map<String, Value>,
    ) -> Result<String, TokenizerError> {
        let with_tools = more.get("tools").is_some_and(|tools| !tools.is_null());
        let name = self.templates.choose(name, with_tools)?;
        let mut variables = Map::new();
        for (role, token) in &self.roles {
            variables.insert((*role).to_owned(), Value::from(token.as_str()));
        }
        variables.insert("tools".to_owned(), Value::Null);
        variables.insert("documents".to_owned(), Value::Null);
        variables.extend(more.clone());
        variables.insert("messages".to_owned(), json!(messages));
        variables.insert("add_generation_prompt".to_owned(), Value::from(add_generation_prompt));
        self.templates.render(name, &variables)
    }

    /// The names of the chat templates; `default` is the one that is taken by itself.
    #[must_use]
    pub fn chat_templates(&self) -> Vec<String> {
        self.templates.names()
    }

    /// The number of tokens, added ones included. Ids can be higher where the numbering has holes.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.engine.get_vocab_size(true)
    }

    /// The id of a token, spelled as in the vocabulary.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        self.engine.token_to_id(token)
    }

    /// The token of an id, spelled as in the vocabulary.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.engine.id_to_token(id)
    }

    /// Whether an id is a special token, which `skip_special` leaves out of a text.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        self.engine
            .get_added_vocabulary()
            .get_added_tokens_decoder()
            .get(&id)
            .is_some_and(|token| token.special)
    }

    /// The id that begins a text.
    #[must_use]
    pub fn bos_id(&self) -> Option<u32> {
        self.bos
    }

    /// The id that ends a text.
    #[must_use]
    pub fn eos_id(&self) -> Option<u32> {
        self.eos
    }

    /// The id that fills up short rows: the pad token, else the eos token (then there is a note).
    #[must_use]
    pub fn pad_id(&self) -> Option<u32> {
        self.pad
    }

    /// Pads with this id instead, such as the one that a generation config names.
    #[must_use]
    pub fn with_pad_id(mut self, id: u32) -> Self {
        self.pad = Some(id);
        self
    }

    /// The id of what the vocabulary cannot express.
    #[must_use]
    pub fn unk_id(&self) -> Option<u32> {
        self.unk
    }

    /// The side on which the tokenizer's configuration pads; right where it says nothing.
    #[must_use]
    pub fn padding_side(&self) -> PaddingSide {
        self.padding_side
    }

    /// The file that the vocabulary comes from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Adds something that a user should know.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// What a user should know: substitutions that were made, contradictions between the files.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Joins punctuation to what stands before it, as `clean_up_tokenization` in transformers does.
fn cleaned_up(text: &str) -> String {
    const JOINED: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    JOINED.iter().fold(text.to_owned(), |text, (apart, joined)| text.replace(apart, joined))
}
