//! The documents that the client has open.
//!
//! What the client says of them wins over the disk. Absent on purpose: what they mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lsp_types::{TextDocumentContentChangeEvent, Uri};

use super::position;

/// A document as the client has it.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// Its URI, as the client spells it.
    pub(super) uri: Uri,
    /// Its version.
    pub(super) version: i32,
    /// Its text.
    pub(super) text: String,
}

/// The open documents, by path.
#[derive(Debug, Default)]
pub(super) struct Documents(BTreeMap<PathBuf, Document>);

impl Documents {
    pub(super) fn open(&mut self, path: PathBuf, document: Document) {
        self.0.insert(path, document);
    }

    /// Makes changes, in order; `false` if the document is not open.
    pub(super) fn change(
        &mut self,
        path: &Path,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
    ) -> bool {
        let Some(document) = self.0.get_mut(path) else { return false };
        for change in changes {
            match change.range {
                Some(range) => {
                    let start = position::offset(&document.text, range.start);
                    let end = position::offset(&document.text, range.end).max(start);
                    document.text.replace_range(start..end, &change.text);
                }
                None => document.text = change.text,
            }
        }
        document.version = version;
        true
    }

    pub(super) fn close(&mut self, path: &Path) -> Option<Document> {
        self.0.remove(path)
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Document> {
        self.0.get(path)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, &Document)> {
        self.0.iter().map(|(path, document)| (path.as_path(), document))
    }

    /// The URI of a file: the client's own spelling if it is open.
    pub(super) fn uri(&self, path: &Path) -> Option<Uri> {
        self.0.get(path).map(|document| document.uri.clone()).or_else(|| position::uri(path))
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use lsp_types::{Position, Range};

    use super::*;

    #[test]
    fn changes_are_made_in_order_and_in_utf_16() {
        let path = Path::new("/a.toml");
        let mut documents = Documents::default();
        let uri = Uri::from_str("file:///a.toml").expect("a URI");
        documents.open(path.to_owned(), Document { uri, version: 1, text: "# ä𝄞\none\n".to_owned() });
        let change = |line, from, to, text: &str| TextDocumentContentChangeEvent {
            range: Some(Range::new(Position::new(line, from), Position::new(line, to))),
            range_length: None,
            text: text.to_owned(),
        };
        assert!(documents.change(
            path,
            2,
            vec![change(0, 3, 5, "ö"), change(1, 0, 3, "two"), change(9, 0, 0, "end")]
        ));
        assert_eq!(documents.get(path).map(|found| found.text.as_str()), Some("# äö\ntwo\nend"));
        let whole = TextDocumentContentChangeEvent { range: None, range_length: None, text: String::new() };
        assert!(documents.change(path, 3, vec![whole]));
        assert_eq!(documents.get(path).map(|found| (found.version, found.text.as_str())), Some((3, "")));
        assert!(!documents.change(Path::new("/b.toml"), 1, Vec::new()));
    }
}
