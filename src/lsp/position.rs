//! Places as the protocol writes them: lines and UTF-16 columns for offsets, URIs for paths.
//!
//! A place outside of a text means the nearest one inside. Absent on purpose: URIs that are no files.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use lsp_types::{Position, Uri};

/// The byte offset of a position.
pub(super) fn offset(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 0..position.line {
        match text[start..].find('\n') {
            Some(at) => start += at + 1,
            None => return text.len(),
        }
    }
    let line = text[start..].split('\n').next().unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut column = 0;
    for (at, character) in line.char_indices() {
        // A column between the two halves of a character means the character.
        column += u32::try_from(character.len_utf16()).unwrap_or(1);
        if column > position.character {
            return start + at;
        }
    }
    start + line.len()
}

/// The position of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> Position {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position {
        line: count(before.matches('\n').count()),
        character: count(before[start..].encode_utf16().count()),
    }
}

/// The range of some bytes.
pub(super) fn range(text: &str, bytes: &Range<usize>) -> lsp_types::Range {
    lsp_types::Range { start: position(text, bytes.start), end: position(text, bytes.end) }
}

/// The file that a URI means, if it means one.
pub(super) fn path(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    let encoded = &rest[rest.find('/')?..];
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut left = encoded.bytes();
    while let Some(byte) = left.next() {
        if byte == b'%' {
            let digits = [left.next()?, left.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let decoded = String::from_utf8(bytes).ok()?;
    // `/C:/…` is a path of Windows.
    let has_drive = decoded.as_bytes().get(2) == Some(&b':') && decoded.as_bytes()[1].is_ascii_alphabetic();
    Some(PathBuf::from(if has_drive && cfg!(windows) { &decoded[1..] } else { &decoded }))
}

/// The URI of a file; `None` if the path is not absolute or no text.
pub(super) fn uri(path: &Path) -> Option<Uri> {
    if !path.is_absolute() {
        return None;
    }
    let text = path.to_str()?.replace('\\', if cfg!(windows) { "/" } else { "\\" });
    let mut out = String::from(if text.starts_with('/') { "file://" } else { "file:///" });
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Uri::from_str(&out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_utf_16() {
        // ä is one unit of two bytes, 𝄞 two units of four bytes.
        let text = "x = 1\r\n# ä𝄞b\nlast";
        for (line, character, at) in [(0, 0, 0), (0, 5, 5), (1, 2, 9), (1, 3, 11), (1, 5, 15), (2, 4, 21)] {
            let place = Position { line, character };
            assert_eq!(offset(text, place), at, "{place:?}");
            assert_eq!(position(text, at), place, "{at}");
        }
        assert_eq!(offset(text, Position { line: 1, character: 4 }), 11, "the middle of a character");
        assert_eq!(offset(text, Position { line: 0, character: 99 }), 5, "before the line's end");
        assert_eq!(offset(text, Position { line: 99, character: 0 }), text.len());
        assert_eq!(position(text, 10), Position { line: 1, character: 2 }, "inside of a character");
    }

    #[cfg(unix)]
    #[test]
    fn paths_with_spaces_and_umlauts_come_back() {
        let given = Path::new("/tmp/my registry/größe #1%.toml");
        let uri = uri(given).expect("an absolute path");
        assert_eq!(uri.as_str(), "file:///tmp/my%20registry/gr%C3%B6%C3%9Fe%20%231%25.toml");
        assert_eq!(path(&uri).as_deref(), Some(given));
        assert_eq!(path(&Uri::from_str("untitled:one").expect("a URI")), None);
        assert_eq!(super::uri(Path::new("registry/layers.toml")), None);
    }
}
