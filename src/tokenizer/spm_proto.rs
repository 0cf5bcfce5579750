//! Parses a SentencePiece model file: a protobuf, of which a few fields are needed.
//!
//! In: untrusted bytes. Out: pieces, and how the model was trained and normalises
//! (`sentencepiece_model.proto` of google/sentencepiece; the field numbers below are its). Lengths are
//! checked against what is left before anything is copied.
//!
//! Absent on purpose: groups, which the format never uses; fields that tokenisation does not need.

/// What a piece is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Byte,
    Unused,
}

/// One entry of the vocabulary; its id is its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) score: f32,
    pub(crate) kind: Kind,
}

/// The algorithms of SentencePiece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Unigram,
    Bpe,
    /// Words or characters, which the engine has no model for.
    Other(u64),
}

/// What a SentencePiece file holds, with the defaults of its schema.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the switches of the file")]
pub(crate) struct SentencePieces {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) algorithm: Algorithm,
    pub(crate) byte_fallback: bool,
    pub(crate) whitespace_as_suffix: bool,
    /// The unknown, begin, end and pad ids; negative where there is none.
    pub(crate) unk_id: i32,
    pub(crate) bos_id: i32,
    pub(crate) eos_id: i32,
    pub(crate) pad_id: i32,
    pub(crate) charsmap: Vec<u8>,
    pub(crate) add_dummy_prefix: bool,
    pub(crate) remove_extra_whitespaces: bool,
}

impl Default for SentencePieces {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            algorithm: Algorithm::Unigram,
            byte_fallback: false,
            whitespace_as_suffix: false,
            unk_id: 0,
            bos_id: 1,
            eos_id: 2,
            pad_id: -1,
            charsmap: Vec::new(),
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
        }
    }
}

impl SentencePieces {
    /// Parses a file; the error says at which field it breaks.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut model = Self::default();
        let mut fields = Fields { rest: bytes };
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Bytes(piece)) => {
                    let place = model.pieces.len();
                    model.pieces.push(self::piece(piece).map_err(|why| format!("piece {place}: {why}"))?);
                }
                (2, Value::Bytes(spec)) => {
                    model.read_trainer(spec).map_err(|why| format!("trainer_spec: {why}"))?;
                }
                (3, Value::Bytes(spec)) => {
                    model.read_normalizer(spec).map_err(|why| format!("normalizer_spec: {why}"))?;
                }
                _ => {}
            }
        }
        if model.pieces.is_empty() {
            return Err("it holds no pieces".to_owned());
        }
        Ok(model)
    }

    /// The text of the piece with this id; none for a negative id.
    pub(crate) fn piece(&self, id: i32) -> Option<&str> {
        usize::try_from(id).ok().and_then(|id| self.pieces.get(id)).map(|piece| piece.text.as_str())
    }

    fn read_trainer(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut fields = Fields { rest: bytes };
        while let Some((number, value)) = fields.next()? {
            let Value::Number(value) = value else {
                continue;
            };
            match number {
                3 => {
                    self.algorithm = match value {
                        1 => Algorithm::Unigram,
                        2 => Algorithm::Bpe,
                        other => Algorithm::Other(other),
                    }
                }
                24 => self.whitespace_as_suffix = value != 0,
                35 => self.byte_fallback = value != 0,
                40 => self.unk_id = signed(value),
                41 => self.bos_id = signed(value),
                42 => self.eos_id = signed(value),
                43 => self.pad_id = signed(value),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_normalizer(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut fields = Fields { rest: bytes };
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (2, Value::Bytes(charsmap)) => self.charsmap = charsmap.to_vec(),
                (3, Value::Number(flag)) => self.add_dummy_prefix = flag != 0,
                (4, Value::Number(flag)) => self.remove_extra_whitespaces = flag != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

fn piece(bytes: &[u8]) -> Result<Piece, String> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    let mut fields = Fields { rest: bytes };
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Bytes(text)) => {
                let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
                text.clone_into(&mut piece.text);
            }
            (2, Value::Float(score)) => piece.score = score,
            (3, Value::Number(kind)) => {
                piece.kind = match kind {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    other => return Err(format!("the type {other}")),
                }
            }
            _ => {}
        }
    }
    Ok(piece)
}

/// Negative numbers are stored sign-extended to 64 bits.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "that is protobuf's int32")]
fn signed(value: u64) -> i32 {
    value as i64 as i32
}

/// The value of a field, by wire type.
#[derive(Debug, Clone, Copy)]
enum Value<'b> {
    Number(u64),
    Float(f32),
    Bytes(&'b [u8]),
    /// Eight fixed bytes; no field that is read here has them.
    Wide,
}

/// The fields of one message.
struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    fn next(&mut self) -> Result<Option<(u64, Value<'b>)>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Wide)?,
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|error| error.to_string())?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?;
                Value::Float(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            }
            wire => return Err(format!("field {number} has the wire type {wire}")),
        };
        if number == 0 {
            return Err("a field has the number 0".to_owned());
        }
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number is longer than ten bytes".to_owned())
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| format!("it ends after {} bytes of a field of {length}", self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file of two pieces, `a` with the score -1 and a control piece, and byte fallback.
    const TINY: &[u8] = &[
        0x0A, 0x08, 0x0A, 0x01, b'a', 0x15, 0x00, 0x00, 0x80, 0xBF, // piece "a", score -1
        0x0A, 0x05, 0x0A, 0x01, b'b', 0x18, 0x03, // piece "b", control
        0x12, 0x10, 0x18, 0x02, 0x98, 0x02, 0x01, // trainer_spec: bpe, byte_fallback
        0xD0, 0x02, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
        0xFF, // eos_id -1, cut by its length
    ];

    #[test]
    fn reads_the_fields_it_needs() {
        let mut file = TINY[..17].to_vec();
        file.extend([0x12, 0x05, 0x18, 0x02, 0x98, 0x02, 0x01, 0x1A, 0x02, 0x18, 0x00]);
        let model = SentencePieces::parse(&file).expect("a valid file");
        assert_eq!(model.pieces[0], Piece { text: "a".to_owned(), score: -1.0, kind: Kind::Normal });
        assert_eq!(model.pieces[1].kind, Kind::Control);
        assert_eq!((model.algorithm, model.byte_fallback), (Algorithm::Bpe, true));
        assert_eq!((model.add_dummy_prefix, model.remove_extra_whitespaces), (false, true));
        assert_eq!((model.unk_id, model.pad_id, model.piece(-1), model.piece(7)), (0, -1, None, None));
    }

    #[test]
    fn says_where_a_file_breaks() {
        let error = |bytes: &[u8]| SentencePieces::parse(bytes).expect_err("a broken file");
        assert_eq!(error(TINY), "trainer_spec: it ends after 0 bytes of a field of 1");
        assert_eq!(error(&[]), "it holds no pieces");
        assert_eq!(
            error(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
            "it ends after 0 bytes of a field of 4294967295"
        );
        assert_eq!(error(&[0xFF; 20]), "a number is longer than ten bytes");
        assert_eq!(error(&[0x0B]), "field 1 has the wire type 3");
        assert_eq!(
            error(&[0x0A, 0x03, 0x0A, 0x01, 0xFF]),
            "piece 0: invalid utf-8 sequence of 1 bytes from index 0"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = SentencePieces::parse(&bytes);
        }

        #[test]
        fn a_changed_or_cut_file_parses_or_fails(at in 0..TINY.len(), byte in any::<u8>(), end in 0..=TINY.len()) {
            let mut bytes = TINY.to_vec();
            bytes[at] = byte;
            bytes.truncate(end);
            if let Ok(model) = SentencePieces::parse(&bytes) {
                prop_assert!(model.pieces.iter().map(|piece| piece.text.len()).sum::<usize>() <= bytes.len());
            }
        }
    }
}
