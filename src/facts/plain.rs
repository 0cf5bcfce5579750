//! A safetensors header of the form that its writers give it, read without a JSON parser.
//!
//! In: its text. Out: the same [`Header`] that a JSON parser would make of it (a test holds one against the other), or
//! nothing where the text departs from that form in any way: other fields or another order of them, blanks, escapes.
//! Then JSON is what decides, faults and their words included. This way takes a third of the time.

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::Dtype;
use serde::Deserialize as _;
use serde::de::value::{Error, StrDeserializer};

use super::header::{Header, HeaderTensor};

/// The shortest that a tensor takes, in bytes: how many there are at most.
const SHORTEST: usize = r#""":{"dtype":"U8","shape":[],"data_offsets":[0,0]},"#.len();

/// Reads a header, if it is of that form.
pub(super) fn parse(text: &str) -> Option<Header<'_>> {
    // Blanks fill the header up, so that the data begins at a round place.
    let mut rest = text.trim_end_matches(' ').strip_prefix('{')?;
    // Looked for in all of it at once, which costs next to nothing.
    if text.bytes().fold(false, |found, byte| found || byte == b'\\' || byte < b' ') {
        return None;
    }
    let most = text.len() / SHORTEST;
    let mut header = Header {
        metadata: BTreeMap::new(),
        tensors: Vec::with_capacity(most),
        extents: Vec::with_capacity(2 * most),
    };
    let mut last = ("", Dtype::U8);
    loop {
        let name = string(&mut rest)?;
        skip(&mut rest, ":{")?;
        if name == "__metadata__" {
            metadata(&mut rest, &mut header.metadata)?;
        } else {
            let (dtype, shape, range) = tensor(&mut rest, &mut last, &mut header.extents)?;
            header.tensors.push(HeaderTensor { name: name.into(), dtype, shape, range });
        }
        skip(&mut rest, "}")?;
        if rest == "}" {
            return Some(header);
        }
        skip(&mut rest, ",")?;
    }
}

fn metadata(rest: &mut &str, metadata: &mut BTreeMap<String, String>) -> Option<()> {
    loop {
        let key = string(rest)?.to_owned();
        skip(rest, ":")?;
        metadata.insert(key, string(rest)?.to_owned());
        if skip(rest, ",").is_none() {
            return Some(());
        }
    }
}

/// Reads a tensor; `last` is the dtype of the one before, which most have.
fn tensor<'t>(
    rest: &mut &'t str,
    last: &mut (&'t str, Dtype),
    extents: &mut Vec<usize>,
) -> Option<(Dtype, Range<usize>, Range<u64>)> {
    skip(rest, r#""dtype":"#)?;
    let dtype = string(rest)?;
    if dtype != last.0 {
        *last = (dtype, Dtype::deserialize(StrDeserializer::<Error>::new(dtype)).ok()?);
    }
    skip(rest, r#","shape":["#)?;
    let first = extents.len();
    if skip(rest, "]").is_none() {
        extents.push(number(rest)?);
        while skip(rest, ",").is_some() {
            extents.push(number(rest)?);
        }
        skip(rest, "]")?;
    }
    skip(rest, r#","data_offsets":["#)?;
    let start = number(rest)? as u64;
    skip(rest, ",")?;
    let end = number(rest)? as u64;
    skip(rest, "]")?;
    Some((last.1, first..extents.len(), start..end))
}

fn skip(rest: &mut &str, expected: &str) -> Option<()> {
    *rest = rest.strip_prefix(expected)?;
    Some(())
}

/// A string; there are no escapes.
fn string<'t>(rest: &mut &'t str) -> Option<&'t str> {
    skip(rest, "\"")?;
    let end = memchr::memchr(b'"', rest.as_bytes())?;
    let string = &rest[..end];
    *rest = &rest[end + 1..];
    Some(string)
}

/// A number of so few digits that none is too large, without a needless zero.
fn number(rest: &mut &str) -> Option<usize> {
    const MOST_DIGITS: usize = 19;
    let mut number = 0_u64;
    let mut digits = 0;
    for byte in rest.bytes().take_while(u8::is_ascii_digit) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        digits += 1;
    }
    let is_plain = digits == 1 || (digits <= MOST_DIGITS && !rest.starts_with('0'));
    *rest = &rest[digits..];
    usize::try_from(number).ok().filter(|_| digits > 0 && is_plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use safetensors::tensor::TensorView;

    use super::super::raw;
    use super::*;

    /// Whether it is read here; what is read must be what JSON says.
    fn check(text: &str) -> bool {
        let found = parse(text);
        if let Some(found) = &found {
            assert_eq!(found, &raw::json(text.as_bytes()).expect(text), "{text}");
        }
        found.is_some()
    }

    #[test]
    fn what_the_format_s_own_writer_writes_is_of_that_form() {
        let bytes = [0; 24];
        let view = |dtype, shape: &[usize], len| TensorView::new(dtype, shape.to_vec(), &bytes[..len]);
        let tensors = [
            ("layers.10.weight", view(Dtype::F32, &[2, 3], 24)),
            ("layers.9.weight", view(Dtype::BF16, &[0], 0)),
            ("größe", view(Dtype::F8_E4M3, &[], 1)),
        ];
        let tensors = tensors.map(|(name, view)| (name, view.expect("a tensor")));
        for metadata in [None, Some([("format".to_owned(), "pt".to_owned())].into())] {
            let file = safetensors::serialize(tensors.clone(), metadata).expect("written");
            let end = file.iter().rposition(|byte| *byte == b'}').expect("a header") + 1;
            let text = std::str::from_utf8(&file[8..end]).expect("text");
            assert!(check(text), "{text}");
            assert!(check(&format!("{text}   ")), "{text}");
        }
    }

    #[test]
    fn anything_else_is_left_to_json() {
        const PLAIN: &str = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
        assert!(check(PLAIN));
        for (from, to) in [
            ("{", ""),
            ("{", "[{"),
            ("}}", "}"),
            ("}}", "}},"),
            ("}}", "}}}"),
            ("}}", "},}"),
            ("}}", "}}\n"),
            (":", " :"),
            (":", ": "),
            ("\"a\"", "a"),
            ("\"a\"", r#""\u0061""#),
            ("\"a\"", "\"a\u{1}\""),
            ("\"a\"", "\"a"),
            ("\"U8\"", "\"U9\""),
            ("\"U8\"", "8"),
            ("[1]", "[1,]"),
            ("[1]", "[,1]"),
            ("[1]", "1"),
            ("[1]", "[-1]"),
            ("[1]", "[1.0]"),
            ("[1]", "[1e0]"),
            ("[1]", "[01]"),
            ("[1]", "[18446744073709551616]"),
            ("[0,1]", "[0]"),
            ("[0,1]", "[0,1,2]"),
            ("\"data_offsets\":[0,1]", "\"data_offsets\":[0,1],\"more\":1"),
            ("\"dtype\":\"U8\",", ""),
        ] {
            assert!(!check(&PLAIN.replacen(from, to, 1)), "{from} as {to}");
        }
        assert!(!check("{}"));
        assert!(!check(r#"{"__metadata__":{}}"#));
        assert!(!check(r#"{"__metadata__":null}"#));
        assert!(check(r#"{"__metadata__":{"a":"b"},"":{"dtype":"U8","shape":[0,7],"data_offsets":[0,0]}}"#));
    }

    proptest! {
        /// Whatever happens to a header, it is not taken for another.
        #[test]
        fn a_mutated_header_is_what_json_says_or_nothing(
            extents in prop::collection::vec(any::<u64>(), 0..4),
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..128), 0..4),
        ) {
            let mut text = format!(
                r#"{{"__metadata__":{{"a":"b","c":"d"}},"x.0":{{"dtype":"F16","shape":{},"data_offsets":[0,{}]}}}}"#,
                format!("{extents:?}").replace(' ', ""),
                extents.first().copied().unwrap_or_default(),
            )
            .into_bytes();
            for (at, byte) in edits {
                let at = at.index(text.len());
                text[at] = byte;
            }
            check(std::str::from_utf8(&text).expect("ASCII"));
        }
    }
}
