//! The special tokens that the files beside a vocabulary declare.
//!
//! In: `tokenizer_config.json`, or where that says nothing `special_tokens_map.json` and
//! `added_tokens.json`, in the order of transformers (`tokenization_utils_base._from_pretrained`).
//! Out: the named tokens (`bos`, `eos`, `unk`, `sep`, `pad`, `cls`, `mask`), the further ones, and the
//! added tokens with their ids.
//!
//! Absent on purpose: ids of tokens; only the finished vocabulary knows them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::error::TokenizerError;
use super::files::Folder;

pub(crate) const CONFIG_FILE: &str = "tokenizer_config.json";
const MAP_FILE: &str = "special_tokens_map.json";
const ADDED_FILE: &str = "added_tokens.json";

/// The roles a special token can have, as the configuration files name them.
const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What the side files say about special tokens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Specials {
    named: BTreeMap<&'static str, AddedToken>,
    /// Roles that the files leave empty on purpose.
    closed: BTreeSet<&'static str>,
    extra: Vec<AddedToken>,
    /// Added tokens by id; a token without one comes last.
    added: Vec<(u32, AddedToken)>,
}

impl Specials {
    /// Reads the side files. `config` is the object in `tokenizer_config.json`, empty where there is none.
    pub(crate) fn read(folder: &Folder, config: &Map<String, Value>) -> Result<Self, TokenizerError> {
        let mut specials = Self::default();
        specials.take_roles(CONFIG_FILE, config)?;
        if let Some(decoder) = config.get("added_tokens_decoder") {
            specials.take_decoder(decoder)?;
        } else {
            if let Some(map) = folder.object(MAP_FILE)? {
                specials.take_roles(MAP_FILE, &map)?;
            }
            if let Some(added) = folder.object(ADDED_FILE)? {
                specials.take_legacy(&added)?;
            }
        }
        specials.share_flags();
        Ok(specials)
    }

    /// The token of a role, such as `bos_token`.
    pub(crate) fn named(&self, role: &str) -> Option<&str> {
        self.named.get(role).map(|token| token.content.as_str())
    }

    /// The text of each role's token.
    pub(crate) fn roles(&self) -> BTreeMap<&'static str, String> {
        self.named.iter().map(|(role, token)| (*role, token.content.clone())).collect()
    }

    /// Gives a role its token, where the files leave it open.
    pub(crate) fn set_default(&mut self, role: &str, content: &str) {
        let open = ROLES.into_iter().find(|known| *known == role && !self.closed.contains(known));
        if let Some(role) = open {
            self.named.entry(role).or_insert_with(|| AddedToken::from(content, true));
        }
    }

    /// Everything to add to an engine, in the order in which transformers adds it. What `is_added` knows
    /// keeps the flags that it has, unless it is numbered here.
    pub(crate) fn tokens(&self, is_added: impl Fn(&str) -> bool) -> Vec<(Option<u32>, AddedToken)> {
        let numbered = self.added.iter().map(|(id, token)| (Some(*id), token.clone()));
        let mut tokens: Vec<(Option<u32>, AddedToken)> = numbered.collect();
        for token in ROLES.iter().filter_map(|role| self.named.get(role)).chain(&self.extra) {
            let known = |(_, known): &(_, AddedToken)| known.content == token.content;
            if !is_added(&token.content) && !tokens.iter().any(known) {
                tokens.push((None, token.clone()));
            }
        }
        tokens
    }

    fn take_roles(&mut self, file: &str, fields: &Map<String, Value>) -> Result<(), TokenizerError> {
        for role in ROLES {
            match fields.get(role) {
                None => {}
                Some(Value::Null) => {
                    self.named.remove(role);
                    self.closed.insert(role);
                }
                Some(value) => {
                    self.closed.remove(role);
                    self.named.insert(role, token(file, role, value)?);
                }
            }
        }
        for key in ["extra_special_tokens", "additional_special_tokens"] {
            let more: Vec<(String, &Value)> = match fields.get(key) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(items)) => {
                    items.iter().enumerate().map(|(at, item)| (format!("{key}[{at}]"), item)).collect()
                }
                Some(Value::Object(items)) => {
                    items.iter().map(|(name, item)| (format!("{key}.{name}"), item)).collect()
                }
                Some(other) => {
                    return Err(TokenizerError::field(file, key, other, "a list of tokens"));
                }
            };
            for (field, value) in more {
                let token = token(file, &field, value)?;
                if !self.extra.iter().any(|known| known.content == token.content) {
                    self.extra.push(token);
                }
            }
        }
        Ok(())
    }

    fn take_decoder(&mut self, decoder: &Value) -> Result<(), TokenizerError> {
        let Value::Object(entries) = decoder else {
            return Err(TokenizerError::field(CONFIG_FILE, "added_tokens_decoder", decoder, "an object"));
        };
        for (key, value) in entries {
            let field = format!("added_tokens_decoder.{key}");
            let id = key.parse().map_err(|_| {
                TokenizerError::field(CONFIG_FILE, &field, &Value::from(key.as_str()), "an id")
            })?;
            let Value::Object(fields) = value else {
                return Err(TokenizerError::field(CONFIG_FILE, &field, value, "an object"));
            };
            self.added.push((id, token_object(CONFIG_FILE, &field, fields, false)?));
        }
        self.added.sort_by_key(|(id, _)| *id);
        Ok(())
    }

    fn take_legacy(&mut self, added: &Map<String, Value>) -> Result<(), TokenizerError> {
        for (content, id) in added {
            let id = id
                .as_u64()
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| TokenizerError::field(ADDED_FILE, content, id, "a token id"))?;
            let special = self.named.values().chain(&self.extra).any(|token| token.content == *content);
            self.added.push((id, AddedToken::from(content.clone(), special)));
        }
        self.added.sort_by_key(|(id, _)| *id);
        Ok(())
    }

    /// A role given as a plain string has the flags that the added token of that text has.
    fn share_flags(&mut self) {
        for token in self.named.values_mut().chain(self.extra.iter_mut()) {
            if let Some((_, added)) = self.added.iter_mut().find(|(_, added)| added.content == token.content)
            {
                added.special = true;
                *token = added.clone();
            }
        }
    }
}

/// A token as the files write it: its text, or an object with flags.
fn token(file: &str, field: &str, value: &Value) -> Result<AddedToken, TokenizerError> {
    match value {
        Value::String(content) => Ok(AddedToken::from(content.clone(), true)),
        Value::Object(fields) => token_object(file, field, fields, true),
        other => Err(TokenizerError::field(file, field, other, "a string or an object with `content`")),
    }
}

fn token_object(
    file: &str,
    field: &str,
    fields: &Map<String, Value>,
    special: bool,
) -> Result<AddedToken, TokenizerError> {
    let content = match fields.get("content") {
        Some(Value::String(content)) => content.clone(),
        Some(other) => {
            return Err(TokenizerError::field(file, &format!("{field}.content"), other, "a string"));
        }
        None => {
            return Err(TokenizerError::format(file, format!("`{field}` has no `content`")));
        }
    };
    let flag = |name: &str, default: bool| match fields.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => {
            Err(TokenizerError::field(file, &format!("{field}.{name}"), other, "`true` or `false`"))
        }
    };
    let special = special || flag("special", false)?;
    Ok(AddedToken {
        content,
        single_word: flag("single_word", false)?,
        lstrip: flag("lstrip", false)?,
        rstrip: flag("rstrip", false)?,
        normalized: flag("normalized", !special)?,
        special,
    })
}
