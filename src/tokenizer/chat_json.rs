//! JSON as Python's `json.dumps` writes it.
//!
//! In: a value and the options of `dumps`. Out: text, space for space.
//!
//! Absent on purpose: parsing.

use std::fmt::Write as _;

use serde_json::Value;

/// The options of `json.dumps`.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    /// Spaces per level, each item on a line of its own; none: all on one line.
    pub(crate) indent: Option<usize>,
    /// Between items.
    pub(crate) item: String,
    /// Between a key and its value.
    pub(crate) key: String,
    /// Escape what is not ASCII.
    pub(crate) ascii: bool,
    /// Sort the keys of objects.
    pub(crate) sorted: bool,
}

/// Writes a value.
pub(crate) fn dumps(value: &Value, style: &Style) -> String {
    let mut text = String::new();
    write(&mut text, value, style, 0);
    text
}

fn write(text: &mut String, value: &Value, style: &Style, level: usize) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => text.push_str(&python_float(float)),
            None => text.push_str(&number.to_string()),
        },
        Value::String(content) => write_string(text, content, style.ascii),
        Value::Array(items) => {
            let count = items.len();
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                separate(text, style, level + 1, place > 0);
                write(text, item, style, level + 1);
            }
            close(text, style, level, count, ']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            if style.sorted {
                fields.sort_by_key(|(key, _)| *key);
            }
            let count = fields.len();
            text.push('{');
            for (place, (key, item)) in fields.into_iter().enumerate() {
                separate(text, style, level + 1, place > 0);
                write_string(text, key, style.ascii);
                text.push_str(&style.key);
                write(text, item, style, level + 1);
            }
            close(text, style, level, count, '}');
        }
    }
}

fn separate(text: &mut String, style: &Style, level: usize, not_first: bool) {
    if not_first {
        text.push_str(&style.item);
    }
    break_line(text, style, level);
}

fn close(text: &mut String, style: &Style, level: usize, count: usize, bracket: char) {
    if count > 0 {
        break_line(text, style, level);
    }
    text.push(bracket);
}

fn break_line(text: &mut String, style: &Style, level: usize) {
    if let Some(indent) = style.indent {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent * level));
    }
}

/// The shortest digits that read back the same; with an exponent below 1e-4 and from 1e16 on, of two digits at
/// least and with its sign.
fn python_float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn write_string(text: &mut String, content: &str, ascii: bool) {
    text.push('"');
    for letter in content.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            control if control < ' ' => escape(text, control),
            other if ascii && !other.is_ascii() => escape(text, other),
            other => text.push(other),
        }
    }
    text.push('"');
}

fn escape(text: &mut String, letter: char) {
    for unit in letter.encode_utf16(&mut [0; 2]) {
        // Writing to a string does not fail.
        let _ = write!(text, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: &Value, indent: Option<usize>, ascii: bool, expected: &str) {
        let item = if indent.is_some() { "," } else { ", " }.to_owned();
        let style = Style { indent, item, key: ": ".to_owned(), ascii, sorted: ascii };
        assert_eq!(dumps(value, &style), expected);
    }

    #[test]
    fn writes_as_python_does() {
        check(
            &json!({"b": [1, 2.5, null, true], "a": {}}),
            None,
            false,
            r#"{"b": [1, 2.5, null, true], "a": {}}"#,
        );
        check(&json!({"b": 1, "a": "é😀"}), None, true, r#"{"a": "\u00e9\ud83d\ude00", "b": 1}"#);
        check(
            &json!({"b": [1, []], "a": {}}),
            Some(2),
            false,
            "{\n  \"b\": [\n    1,\n    []\n  ],\n  \"a\": {}\n}",
        );
        check(&json!("q\"\\\n\u{1}é/<>&'"), None, false, "\"q\\\"\\\\\\n\\u0001é/<>&'\"");
        check(
            &json!([1e-5, 0.0001, 1e16, 1.5e16, 1e15, 0.1, 1.0, -2.5e300]),
            None,
            false,
            "[1e-05, 0.0001, 1e+16, 1.5e+16, 1000000000000000.0, 0.1, 1.0, -2.5e+300]",
        );
    }
}
