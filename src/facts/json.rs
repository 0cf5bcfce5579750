//! JSON as model repositories write it.
//!
//! Takes bytes; gives a [`serde_json::Value`] or an error with its place. Stricter than serde in one thing: a
//! repeated key is an error, since two readers would take two different values. More lenient in two: a byte
//! order mark is skipped, and the non-finite numbers that Python writes (`Infinity`, `-Infinity`, `NaN`, and
//! `{"__float__": "Infinity"}` of transformers 5) are read, as [`INFINITY`], its negative and null.
//!
//! Nesting deeper than 128 levels is refused by `serde_json` itself.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::{Entry, Map};
use serde_json::{Number, Value};

use super::FactsError;

/// What stands for an infinite number, since JSON has none: the largest `f64`, which is infinite as an `f32`.
pub const INFINITY: f64 = f64::MAX;

const FLOAT_KEY: &str = "__float__";

/// Whether this is the beginning of a Git LFS pointer.
pub(crate) fn is_lfs_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// The text of a file, without its byte order mark.
pub(super) fn decode(file: &str, bytes: Vec<u8>) -> Result<String, FactsError> {
    if is_lfs_pointer(&bytes) {
        return Err(FactsError::LfsPointer { file: file.to_owned() });
    }
    let mut text = String::from_utf8(bytes).map_err(|error| FactsError::NotUtf8 {
        file: file.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    if text.trim().is_empty() {
        return Err(FactsError::EmptyFile { file: file.to_owned() });
    }
    Ok(text)
}

/// The value that a JSON text holds.
pub(super) fn parse(file: &str, text: &str) -> Result<Value, FactsError> {
    let first = match parse_strict(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if let Cow::Owned(finite) = replace_non_finite(text)
        && let Ok(value) = parse_strict(&finite)
    {
        return Ok(value);
    }
    Err(FactsError::Json { file: file.to_owned(), message: first.to_string() })
}

fn parse_strict(text: &str) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Unique.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Replaces the bare words that Python's `json` writes for non-finite numbers.
fn replace_non_finite(text: &str) -> Cow<'_, str> {
    if !(text.contains("Infinity") || text.contains("NaN")) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let end = string_end(rest);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if let Some(after) = rest.strip_prefix("Infinity") {
            // Writing into a `String` cannot fail.
            let _ = write!(out, "{INFINITY:e}");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("NaN") {
            out.push_str("null");
            rest = after;
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Cow::Owned(out)
}

/// The length of the string literal that `text` starts with, or of all of it if the literal never ends.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Builds a [`Value`] and refuses repeated keys.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            match map.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(entries.next_value_seed(Self)?);
                }
                Entry::Occupied(found) => {
                    return Err(A::Error::custom(format_args!("the key `{}` occurs twice", found.key())));
                }
            }
        }
        Ok(marked_float(&map).unwrap_or(Value::Object(map)))
    }
}

/// The number that `{"__float__": "Infinity"}` stands for.
fn marked_float(map: &Map<String, Value>) -> Option<Value> {
    if map.len() != 1 {
        return None;
    }
    match map.get(FLOAT_KEY)?.as_str()? {
        "Infinity" => Some(INFINITY.into()),
        "-Infinity" => Some((-INFINITY).into()),
        "NaN" => Some(Value::Null),
        _ => None,
    }
}

/// What kind of value it is, with its article.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Value, String> {
        decode("config.json", bytes.to_vec())
            .and_then(|text| parse("config.json", &text))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(read(b"\xef\xbb\xbf{\"a\": 1}"), Ok(json!({"a": 1})));
    }

    #[test]
    fn a_repeated_key_is_an_error_with_its_place() {
        assert_eq!(
            read(b"{\"a\": 1,\n \"b\": {\"c\": 1, \"c\": 2}}"),
            Err("`config.json`: the key `c` occurs twice at line 2 column 18: mend it there, or download it again"
                .into())
        );
    }

    #[test]
    fn non_finite_numbers_are_read_outside_of_strings_only() {
        let value = json!({"a": [0.0, INFINITY], "b": -INFINITY, "c": null, "d": "a \"NaN\" Infinity"});
        assert_eq!(
            read(br#"{"a": [0.0, Infinity], "b": -Infinity, "c": NaN, "d": "a \"NaN\" Infinity"}"#),
            Ok(value)
        );
        assert_eq!(read(br#"{"a": {"__float__": "Infinity"}}"#), Ok(json!({"a": INFINITY})));
    }

    #[test]
    fn what_is_not_json_names_the_file_and_the_place() {
        let first_line = |bytes: &[u8]| read(bytes).expect_err("is no JSON");
        let starts = |bytes: &[u8], expected: &str| {
            let found = first_line(bytes);
            assert!(found.starts_with(&format!("`config.json`{expected}")), "{found}");
            assert!(found.contains("download it again"), "{found}");
        };
        starts(b"", " is empty");
        starts(b" \n", " is empty");
        starts(b"{\"a\": \xff}", " is not UTF-8, the first wrong byte is at offset 6");
        starts(b"{\"a\": 1e999}", ": number out of range at line 1 column 11");
        starts(b"{\"a\": Infinit}", ": expected value at line 1 column 7");
        let deep = [b"[".repeat(200), b"]".repeat(200)].concat();
        starts(&deep, ": recursion limit exceeded at line 1 column 128");
        let pointer = first_line(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n");
        assert!(pointer.starts_with("`config.json` is a Git LFS pointer"), "{pointer}");
    }
}
