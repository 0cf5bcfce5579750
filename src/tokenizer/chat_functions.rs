//! What transformers adds to Jinja2 for chat templates.
//!
//! `raise_exception`, `strftime_now` and a `tojson` that writes as Python's `json.dumps` does.
//!
//! The engine's fuel pays for steps, strings and output. It does not pay for joining lists with `+`: a template that
//! doubles a list more than thirty times can still take all memory (minijinja 3.1).
//!
//! Absent on purpose: local time; `strftime_now` gives UTC, since a time zone would need a database.

use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value, escape_formatter};

use super::chat_json::{Style, dumps};
use super::chat_time::strftime;

/// Adds the functions and the filter.
pub(crate) fn add(environment: &mut Environment<'_>) {
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment.add_filter("tojson", tojson);
    environment.set_formatter(print);
}

/// Prints as the engine does, but a list is paid for before it becomes text.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    pay(state, value, 0)?;
    escape_formatter(out, state, value)
}

fn pay(state: &State<'_, '_>, value: &Value, depth: usize) -> Result<(), Error> {
    let kind = value.kind();
    if !matches!(kind, ValueKind::Seq | ValueKind::Iterable | ValueKind::Map) || depth > MAX_DEPTH {
        return Ok(());
    }
    state.consume_fuel(value.len().and_then(|items| u64::try_from(items).ok()).unwrap_or(0))?;
    match kind {
        ValueKind::Seq => value.try_iter()?.try_for_each(|item| pay(state, &item, depth + 1)),
        ValueKind::Map => value.try_iter()?.try_for_each(|key| pay(state, &value.get_item(&key)?, depth + 1)),
        // Some can be gone through only once.
        _ => Ok(()),
    }
}

/// How a template refuses its messages.
fn raise_exception(message: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, format!("it refuses: {message}")))
}

fn strftime_now(format: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    strftime(format, now)
}

#[expect(clippy::needless_pass_by_value, reason = "the engine hands arguments over by value")]
fn tojson(state: &State<'_, '_>, value: &Value, options: Kwargs) -> Result<Value, Error> {
    let value = plain(state, value, 0)?;
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        Some(_) => {
            return Err(Error::new(ErrorKind::InvalidOperation, "`separators` are two strings"));
        }
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
    };
    let style = Style {
        // Deeper than any screen is wide, an indent only fills memory.
        indent: indent.map(|indent| indent.min(64)),
        item,
        key,
        ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sorted: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    let text = dumps(&value, &style);
    state.consume_fuel(u64::try_from(text.len() / 64).unwrap_or(u64::MAX))?;
    Ok(Value::from(text))
}

/// Values nested deeper than this are no message.
const MAX_DEPTH: usize = 64;

/// A template's value as JSON. Each item is paid for, since lists can be longer than what they are made of.
fn plain(state: &State<'_, '_>, value: &Value, depth: usize) -> Result<serde_json::Value, Error> {
    state.consume_fuel(1)?;
    if depth > MAX_DEPTH {
        return Err(Error::new(ErrorKind::BadSerialization, "the value is nested too deeply"));
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(serde_json::Value::Null),
        ValueKind::Map => {
            let mut fields = serde_json::Map::new();
            for key in value.try_iter()? {
                let item = value.get_item(&key)?;
                fields.insert(key.to_string(), plain(state, &item, depth + 1)?);
            }
            Ok(serde_json::Value::Object(fields))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter()?.map(|item| plain(state, &item, depth + 1)).collect()
        }
        _ => serde_json::to_value(value)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string())),
    }
}
