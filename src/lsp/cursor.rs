//! Where in a registry file the cursor is, told from the text before it.
//!
//! A file that is being typed in is rarely whole, so this reads it token by token and never fails. Absent on purpose:
//! values other than texts, and what the keys mean.

use std::ops::Range;

/// What surrounds the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In `[…]` or `[[…]]`.
    Header,
    /// Where a key is, or could be.
    Key,
    /// In a text, which starts and ends there.
    Text(usize, usize),
    /// In a value that is no text, or in a comment.
    Other,
}

/// Where the cursor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The keys that lead here, without the one that is being typed.
    pub(super) path: Vec<String>,
    pub(super) place: Place,
    /// The word around the cursor.
    pub(super) word: Range<usize>,
}

/// What a bracket opened, and the keys that led to it.
enum Frame {
    List(Vec<String>),
    Table(Vec<String>),
}

/// Reads up to the cursor.
pub(super) fn find(text: &str, offset: usize) -> Cursor {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let (mut header, mut keys): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut frames, mut in_value): (Vec<Frame>, bool) = (Vec::new(), false);
    let mut at = 0;
    let mut line_is_new = true;
    let done = |path: Vec<String>, place: Place| {
        let is_part =
            |c: char| c.is_alphanumeric() || c == '_' || (c == '-' && !matches!(place, Place::Text(..)));
        let start = text[..offset]
            .rfind(|c| !is_part(c))
            .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
        let end = text[offset..].find(|c| !is_part(c)).map_or(text.len(), |at| offset + at);
        Cursor { path, place, word: start..end }
    };
    while at < offset {
        let rest = &text[at..];
        let Some(next) = rest.chars().next() else { break };
        // A header ends whatever was left open above it.
        if line_is_new && next == '[' && (frames.is_empty() || is_header(rest)) {
            let end = rest.find(['\n', ']']).map_or(text.len(), |end| at + end);
            let names = at + if rest.starts_with("[[") { 2 } else { 1 };
            if offset <= end {
                let typed = segments(text.get(names..offset).unwrap_or_default());
                return done(typed[..typed.len().saturating_sub(1)].to_vec(), Place::Header);
            }
            header = segments(text.get(names..end).unwrap_or_default());
            (keys, frames, in_value) = (Vec::new(), Vec::new(), false);
            at = rest.find('\n').map_or(text.len(), |end| at + end);
            line_is_new = false;
            if offset <= at {
                return done(header, Place::Other);
            }
            continue;
        }
        match next {
            '#' => {
                at = rest.find('\n').map_or(text.len(), |end| at + end);
                if offset <= at {
                    return done(path(&header, &frames, &keys), Place::Other);
                }
                continue;
            }
            '"' | '\'' => {
                let (start, end, after) = string(text, at);
                if offset >= start && offset <= end {
                    let place = if in_value { Place::Text(start, end) } else { Place::Key };
                    return done(path(&header, &frames, &keys), place);
                }
                if !in_value {
                    keys.push(text[start..end].to_owned());
                }
                (at, line_is_new) = (after, false);
                continue;
            }
            '\n' => {
                if frames.is_empty() {
                    (keys, in_value) = (Vec::new(), false);
                }
                line_is_new = true;
                at += 1;
                continue;
            }
            '=' if !in_value => in_value = true,
            '{' if in_value => {
                let here = path(&header, &frames, &keys);
                frames.push(Frame::Table(here));
                (keys, in_value) = (Vec::new(), false);
            }
            '[' if in_value => {
                let here = path(&header, &frames, &keys);
                frames.push(Frame::List(here));
                keys = Vec::new();
            }
            '}' | ']' => {
                frames.pop();
                (keys, in_value) = (Vec::new(), true);
            }
            ',' => {
                keys = Vec::new();
                in_value = matches!(frames.last(), Some(Frame::List(_)));
            }
            c if !in_value && (c.is_alphanumeric() || c == '_' || c == '-') => {
                let end =
                    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(rest.len());
                if at + end >= offset {
                    return done(path(&header, &frames, &keys), Place::Key);
                }
                keys.push(rest[..end].to_owned());
                (at, line_is_new) = (at + end, false);
                continue;
            }
            _ => {}
        }
        line_is_new = line_is_new && next.is_whitespace();
        at += next.len_utf8();
    }
    let place = if in_value { Place::Other } else { Place::Key };
    let dotted = text[..offset].ends_with('.');
    if !in_value && !dotted && !keys.is_empty() {
        // Behind a whole key there is nothing to complete.
        return done(path(&header, &frames, &keys), Place::Other);
    }
    done(path(&header, &frames, &keys), place)
}

/// Whether a line is a header rather than part of a list.
fn is_header(rest: &str) -> bool {
    let line = rest.lines().next().unwrap_or_default();
    let names = line.trim_start_matches('[');
    names.starts_with(|c: char| c.is_alphabetic()) && line.contains(']') && !line.contains([',', '\'', '"'])
}

fn path(header: &[String], frames: &[Frame], keys: &[String]) -> Vec<String> {
    let base = match frames.last() {
        Some(Frame::List(path) | Frame::Table(path)) => path.as_slice(),
        None => header,
    };
    base.iter().chain(keys).cloned().collect()
}

fn segments(text: &str) -> Vec<String> {
    text.split('.').map(|part| part.trim().trim_matches(['"', '\'']).to_owned()).collect()
}

/// Where the content of a text starts and ends, and where what follows it starts.
fn string(text: &str, at: usize) -> (usize, usize, usize) {
    let rest = &text[at..];
    for quotes in ["'''", "\"\"\""] {
        if rest.starts_with(quotes) {
            let start = at + 3;
            let end = text[start..].find(quotes).map_or(text.len(), |end| start + end);
            return (start, end, (end + 3).min(text.len()));
        }
    }
    let quote = rest.chars().next().unwrap_or('"');
    let (start, mut escaped) = (at + 1, false);
    for (index, character) in text[start..].char_indices() {
        match character {
            '\n' => return (start, start + index, start + index),
            '\\' if quote == '"' && !escaped => escaped = true,
            found if found == quote && !escaped => return (start, start + index, start + index + 1),
            _ => escaped = false,
        }
    }
    (start, text.len(), text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cursor is at `|`.
    fn at(text: &str) -> String {
        let offset = text.find('|').expect("a cursor");
        let text = text.replace('|', "");
        let found = find(&text, offset);
        let place = match found.place {
            Place::Text(start, end) => format!("text `{}`", &text[start..end]),
            other => format!("{other:?}").to_lowercase(),
        };
        format!("{} {place} `{}`", found.path.join("/"), &text[found.word])
    }

    #[test]
    fn the_place_is_told_from_what_is_typed_so_far() {
        assert_eq!(at("[mod|"), " header `mod`");
        assert_eq!(at("[modules.A|b]\n"), "modules header `Ab`");
        assert_eq!(at("[modules.A]\nlay|"), "modules/A key `lay`");
        assert_eq!(at("[modules.A]\n|"), "modules/A key ``");
        assert_eq!(at("[modules.A]\nlayers.|\nx = 1"), "modules/A/layers key ``");
        assert_eq!(at("[modules.A]\nlayers.q-x|y = 'Linear(1)'"), "modules/A/layers key `q-xy`");
        assert_eq!(at("[modules.A]\nlayers.q = 'Lin|'\nb = 1"), "modules/A/layers/q text `Lin` `Lin`");
        assert_eq!(at("[modules.A]\nlayers.q = 'Lin|\nb = 1"), "modules/A/layers/q text `Lin` `Lin`");
        assert_eq!(
            at("[modules.A]\nforward = '''\nx = [1]\n|'''"),
            "modules/A/forward text `\nx = [1]\n` ``"
        );
        assert_eq!(at("[modules.A]\nargs = [\n 'a', 'b|'\n]"), "modules/A/args text `b` `b`");
        let method = "[modules.A]\nmethods.m = { inputs = ['x'], body = 'ret|' }";
        assert_eq!(at(method), "modules/A/methods/m/body text `ret` `ret`");
        assert_eq!(at("[config.a]\ndefaults = { x = 1, y|"), "config/a/defaults key `y`");
        assert_eq!(at("[config.a]\nrequired = ['x'\n[modules.B]\next|"), "modules/B key `ext`");
        assert_eq!(at("[[rule]]\nid = 'ö'\nwh|"), "rule key `wh`");
        assert_eq!(at("a = 1 # b|"), "a other `b`");
        assert_eq!(at("a = 1|"), "a other `1`");
        assert_eq!(at("'a b'.c = \"x\\\"|y\""), "a b/c text `x\\\"y` `y`");
    }
}
