//! Text as it is generated, token by token.
//!
//! In: ids, one at a time. Out: text, only ever in whole characters. A token can hold part of a
//! character, and its text can depend on the token before it (a leading space that only shows inside a
//! sentence), so each token is decoded together with the one piece before it.
//!
//! Absent on purpose: stopping; the caller sees the ids.

use super::Tokenizer;
use super::error::TokenizerError;

/// A character has at most four bytes, and a token at least one: what is broken for twice as long stays so.
const MAX_BROKEN: usize = 8;

/// Decodes a stream of ids; made by [`Tokenizer::stream`].
#[derive(Debug)]
pub struct TextStream<'t> {
    tokenizer: &'t Tokenizer,
    skip_special: bool,
    /// The ids of the last piece that was given out, then those that wait.
    ids: Vec<u32>,
    given: usize,
    /// How many ids in a row left the text with a broken end.
    broken: usize,
}

impl<'t> TextStream<'t> {
    pub(crate) fn new(tokenizer: &'t Tokenizer, skip_special: bool) -> Self {
        Self { tokenizer, skip_special, ids: Vec::new(), given: 0, broken: 0 }
    }

    /// Takes the next id and gives the text that is now complete, if there is any.
    ///
    /// # Errors
    /// If the tokenizer's decoder fails.
    pub fn push(&mut self, id: u32) -> Result<Option<String>, TokenizerError> {
        if self.skip_special && self.tokenizer.is_special(id) {
            return Ok(None);
        }
        self.ids.push(id);
        let (before, text) = self.decoded()?;
        if text.ends_with(char::REPLACEMENT_CHARACTER) && self.broken < MAX_BROKEN {
            self.broken += 1;
            return Ok(None);
        }
        self.broken = 0;
        let piece = continuation(&before, &text);
        if piece.is_empty() {
            return Ok(None);
        }
        self.ids.drain(..self.given);
        self.given = self.ids.len();
        Ok(Some(piece))
    }

    /// The text that still waits when no more ids come; broken characters show as U+FFFD.
    ///
    /// # Errors
    /// If the tokenizer's decoder fails.
    pub fn finish(self) -> Result<Option<String>, TokenizerError> {
        let (before, text) = self.decoded()?;
        Ok(Some(continuation(&before, &text)).filter(|piece| !piece.is_empty()))
    }

    fn decoded(&self) -> Result<(String, String), TokenizerError> {
        let before = self.tokenizer.decode(&self.ids[..self.given], self.skip_special)?;
        let text = self.tokenizer.decode(&self.ids, self.skip_special)?;
        Ok((before, text))
    }
}

/// What `text` has beyond what it shares with `before`.
fn continuation(before: &str, text: &str) -> String {
    if let Some(rest) = text.strip_prefix(before) {
        return rest.to_owned();
    }
    // A decoder that joins words can take back a space: what was given out cannot be taken back.
    let shared: usize = before
        .chars()
        .zip(text.chars())
        .take_while(|(old, new)| old == new)
        .map(|(old, _)| old.len_utf8())
        .sum();
    text[shared..].to_owned()
}
