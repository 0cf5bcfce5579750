//! Opens the tokenizer of a model directory.
//!
//! In: the directory. Out: a [`Tokenizer`]. The vocabulary comes from the first of the known files that is
//! there, in the order of transformers; `tokenizer_config.json` and its older companions say which tokens
//! are special, and the class table what the vocabulary file leaves out.
//!
//! Absent on purpose: the formats themselves, one file each.

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::{ModelWrapper, Tokenizer as Engine};

use super::chat::ChatTemplates;
use super::classes::{self, Class};
use super::error::TokenizerError;
use super::files::Folder;
use super::parts::{Parts, add_tokens};
use super::special::{CONFIG_FILE, Specials};
use super::{
    PaddingSide, Tokenizer, characters, framing, json, sentencepiece, tekken, tiktoken, vocab_merges,
    wordpiece,
};

/// A name that only tiktoken files have.
const TIKTOKEN: &str = "tiktoken.model";

impl Tokenizer {
    /// Opens the tokenizer of the model in `dir`.
    ///
    /// # Errors
    /// [`TokenizerError::Missing`] where `dir` has no vocabulary; else the file, and the field, that is wrong.
    pub fn open(dir: &Path) -> Result<Self, TokenizerError> {
        let folder = Folder::new(dir);
        let config = folder.object(CONFIG_FILE)?.unwrap_or_default();
        let (class, unknown_class) = classes::of(&folder, &config)?;
        let mut opening = Opening {
            specials: Specials::read(&folder, &config)?,
            templates: ChatTemplates::read(&folder, &config)?,
            folder,
            config,
            class,
            notes: Vec::new(),
        };
        let parts = opening.vocabulary()?;
        if let Some(name) = unknown_class.filter(|_| parts.file != json::FILE) {
            let format = &parts.file;
            opening.notes.push(format!(
                "the tokenizer class `{name}` is not known: `{format}` is read by its own rules"
            ));
        }
        opening.finish(parts)
    }
}

/// What is known while a tokenizer is being opened.
struct Opening {
    folder: Folder,
    config: Map<String, Value>,
    class: Option<&'static Class>,
    specials: Specials,
    templates: ChatTemplates,
    notes: Vec<String>,
}

impl Opening {
    /// The parts of the first format that the directory holds.
    fn vocabulary(&mut self) -> Result<Parts, TokenizerError> {
        if let Some(bytes) = self.folder.bytes(json::FILE)? {
            let file = json::parse(&bytes)?;
            if let Some(pad) = &file.pad_token {
                self.specials.set_default("pad_token", pad);
            }
            return Ok(file.parts);
        }
        if let Some(bytes) = self.folder.bytes(tekken::FILE)? {
            self.name_specials(&tekken::ROLES);
            return tekken::parse(&bytes);
        }
        for file in sentencepiece::FILES.into_iter().chain([TIKTOKEN]) {
            if let Some(bytes) = self.folder.bytes(file)? {
                return self.dot_model(file, &bytes);
            }
        }
        if let Some(parts) = self.vocab_json()? {
            return Ok(self.by_class(parts));
        }
        if let Some(text) = self.folder.text(wordpiece::FILE)? {
            self.name_class_specials();
            if self.class.is_none() {
                self.name_specials(&wordpiece::ROLES);
            }
            let unk = self.specials.named("unk_token").unwrap_or(wordpiece::UNKNOWN);
            let parts = wordpiece::parse(&text, unk, &self.config)?;
            return Ok(self.by_class(parts));
        }
        Err(self.missing())
    }

    /// A `.model` file: SentencePiece and tiktoken share the name.
    fn dot_model(&mut self, file: &str, bytes: &[u8]) -> Result<Parts, TokenizerError> {
        if tiktoken::is_tiktoken(bytes) {
            return Ok(self.by_class(tiktoken::parse(file, bytes)?));
        }
        self.name_class_specials();
        let parts = sentencepiece::parse(file, bytes, self.class, &self.config, &mut self.specials)?;
        Ok(self.by_class(parts))
    }

    /// A `vocab.json`: with merges beside it, or of characters.
    fn vocab_json(&mut self) -> Result<Option<Parts>, TokenizerError> {
        let Some(vocab) = self.folder.bytes(vocab_merges::VOCAB)? else { return Ok(None) };
        self.name_class_specials();
        let unk = self.specials.named("unk_token");
        if let Some(merges) = self.folder.text(vocab_merges::MERGES)? {
            let suffix = self.class.and_then(|class| class.end_of_word_suffix.as_deref());
            return vocab_merges::parse(&vocab, &merges, unk, suffix, &self.config).map(Some);
        }
        let pad = self.specials.named("pad_token").unwrap_or("<pad>");
        let parts = characters::parse(&vocab, unk.unwrap_or("<unk>"), pad, &self.config)?;
        if parts.is_some() && self.flag("do_lower_case")? {
            self.notes.push("`do_lower_case` is left out: texts are taken and given in capitals".to_owned());
        }
        Ok(parts)
    }

    /// Puts the components of the class in place of those of the format.
    fn by_class(&self, mut parts: Parts) -> Parts {
        let Some(class) = self.class else {
            return parts;
        };
        let replace = |part: &mut Value, own: &Option<Value>| {
            if let Some(own) = own {
                part.clone_from(own);
            }
        };
        replace(&mut parts.normalizer, &class.normalizer);
        replace(&mut parts.pre_tokenizer, &class.pre_tokenizer);
        replace(&mut parts.decoder, &class.decoder);
        parts
    }

    fn name_specials(&mut self, roles: &[(&str, &str)]) {
        for (role, token) in roles {
            self.specials.set_default(role, token);
        }
    }

    fn name_class_specials(&mut self) {
        for (role, token) in self.class.iter().flat_map(|class| &class.specials) {
            self.specials.set_default(role, token);
        }
    }

    fn missing(&self) -> TokenizerError {
        let models = sentencepiece::FILES.into_iter().chain([TIKTOKEN]).map(str::to_owned);
        let pair = format!("{} with {}", vocab_merges::VOCAB, vocab_merges::MERGES);
        let looked_for = [json::FILE, tekken::FILE].map(str::to_owned).into_iter();
        let looked_for = looked_for.chain(models).chain([pair, wordpiece::FILE.to_owned()]).collect();
        TokenizerError::Missing { dir: self.folder.path().to_owned(), looked_for }
    }

    fn finish(mut self, parts: Parts) -> Result<Tokenizer, TokenizerError> {
        let source = parts.file.clone();
        let mut engine = parts.assemble(&mut self.notes)?;
        if source == json::FILE {
            // The file is complete; the class only says which of its tokens has which role.
            for (role, token) in self.class.iter().flat_map(|class| &class.specials) {
                if engine.get_added_vocabulary().get_vocab().contains_key(token) {
                    self.specials.set_default(role, token);
                }
            }
        }
        self.add_specials(&mut engine, &source)?;
        if source != json::FILE {
            self.frame(&mut engine, &source)?;
        }
        engine.set_encode_special_tokens(self.flag("split_special_tokens")?);
        let id = |role: &str| self.specials.named(role).and_then(|token| engine.token_to_id(token));
        let (bos, eos, unk, mut pad) = (id("bos_token"), id("eos_token"), id("unk_token"), id("pad_token"));
        if pad.is_none()
            && let Some(eos) = eos
        {
            pad = Some(eos);
            let name = self.specials.named("eos_token").unwrap_or_default();
            self.notes.push(format!("no pad token: the eos token `{name}` pads"));
        }
        let is_bpe = matches!(engine.get_model(), ModelWrapper::BPE(_));
        let clean_up = self.flag("clean_up_tokenization_spaces")? && !is_bpe;
        let padding_side = self.padding_side()?;
        Ok(Tokenizer {
            engine,
            bos,
            eos,
            pad,
            unk,
            padding_side,
            clean_up,
            roles: self.specials.roles(),
            templates: self.templates,
            source,
            notes: self.notes,
        })
    }

    fn add_specials(&mut self, engine: &mut Engine, source: &str) -> Result<(), TokenizerError> {
        let before = engine.get_vocab_size(true);
        let more =
            self.specials.tokens(|token| engine.get_added_vocabulary().get_vocab().contains_key(token));
        add_tokens(engine, CONFIG_FILE, more, &mut self.notes)?;
        let new = engine.get_vocab_size(true) - before;
        if new > 0 {
            self.notes
                .push(format!("`{source}` lacks {new} of the special tokens: they got ids from {before} on"));
        }
        Ok(())
    }

    /// Puts the class's tokens, or those that the configuration switches on, around a text.
    fn frame(&self, engine: &mut Engine, source: &str) -> Result<(), TokenizerError> {
        let of_class = self.class.map(|class| class.frame.clone()).filter(|frame| !frame.is_empty());
        let of_format = || wordpiece::FRAME.map(str::to_owned).to_vec();
        let frame = match of_class {
            Some(frame) => frame,
            None if source == wordpiece::FILE && self.class.is_none() => of_format(),
            None => match framing::switched(&self.config)? {
                Some(frame) => frame,
                None => return Ok(()),
            },
        };
        let template = framing::post_processor(&frame, &self.specials, |token| engine.token_to_id(token));
        super::parts::set_post_processor(engine, source, &template.unwrap_or(Value::Null))
    }

    fn flag(&self, field: &str) -> Result<bool, TokenizerError> {
        match self.config.get(field) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(TokenizerError::field(CONFIG_FILE, field, other, "`true` or `false`")),
        }
    }

    fn padding_side(&self) -> Result<PaddingSide, TokenizerError> {
        match self.config.get("padding_side") {
            None | Some(Value::Null) => Ok(PaddingSide::Right),
            Some(Value::String(side)) if side == "left" => Ok(PaddingSide::Left),
            Some(Value::String(side)) if side == "right" => Ok(PaddingSide::Right),
            Some(other) => {
                Err(TokenizerError::field(CONFIG_FILE, "padding_side", other, "`left` or `right`"))
            }
        }
    }
}
