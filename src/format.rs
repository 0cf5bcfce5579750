//! Lays a registry file out: spaces, blank lines and columns, never words.
//!
//! Takes the text of a file; gives it as it should be written. taplo spaces the values; what it has no option for is
//! done here: entries below each other keep their `=` in one column where their author began to, and trailing
//! comments start in one column. The result is read back: a file that would mean something else is refused.
//!
//! Absent on purpose: sorting, wrapping, and the bodies of the module language. Order and words are the author's.

use std::ops::Range;
use std::sync::Arc;

use taplo::formatter::Options;
use taplo::parser;
use taplo::rowan::{NodeOrToken, TextRange};
use taplo::syntax::{SyntaxKind, SyntaxNode};

use crate::diag::{Problem, Source, Span};

/// The column in which a trailing comment starts, counted from 0.
const COMMENT_COLUMN: usize = 41;
/// How far a trailing comment stands from a line that reaches into that column.
const COMMENT_GAP: usize = 3;
/// A key that is longer than the others by more than this is not aligned with them.
const REACH: usize = 3;

/// What some programs write in front of UTF-8.
const MARK: char = '\u{feff}';

/// The file as it should be laid out.
///
/// # Errors
/// If it is not TOML, or if laying it out would change what it says, which would be a fault of the formatter.
pub fn format(source: &Arc<Source>) -> Result<String, Problem> {
    // A mark of the encoding is no part of the text, and stays.
    if let Some(rest) = source.text.strip_prefix(MARK) {
        let text = format(&Source::new(source.name.clone(), rest))?;
        return Ok(format!("{MARK}{text}"));
    }
    let parsed = parser::parse(&source.text);
    let before = toml::from_str::<toml::Table>(&source.text).map_err(|error| {
        let span = Span::new(source, error.span().unwrap_or(0..0));
        Problem::error("toml-syntax", span, error.message().to_owned())
            .help("correct it first: a file is laid out only if it can be read")
    })?;
    if let Some(error) = parsed.errors.first() {
        let span = Span::new(source, bytes(error.range));
        return Err(Problem::error("toml-syntax", span, error.message.clone()));
    }
    let tree = parsed.into_syntax();
    let spaced = taplo::formatter::format(&source.text, options(&source.text));
    let padding: Vec<usize> = runs(&tree).iter().flat_map(|run| padding(run)).collect();
    let text = columns(&parser::parse(&spaced).into_syntax(), &padding);
    let same = toml::from_str::<toml::Table>(&text).is_ok_and(|after| after == before)
        && comments(&parser::parse(&text).into_syntax()) == comments(&tree);
    if same {
        return Ok(text);
    }
    let message = "laying this file out would change what it says";
    let problem = Problem::error("format-changes-meaning", Span::new(source, 0..0), message);
    Err(problem.help("it is left as it is; please report it together with the file"))
}

/// What taplo does: spaces within a line and blank lines, no alignment, nothing joined or broken.
fn options(text: &str) -> Options {
    Options {
        align_entries: false,
        align_comments: false,
        align_single_comments: false,
        array_trailing_comma: true,
        array_auto_expand: false,
        array_auto_collapse: false,
        inline_table_expand: false,
        compact_arrays: true,
        compact_inline_tables: false,
        compact_entries: false,
        column_width: usize::MAX,
        indent_tables: false,
        indent_entries: false,
        indent_string: "  ".to_owned(),
        trailing_newline: true,
        reorder_keys: false,
        reorder_arrays: false,
        reorder_inline_tables: false,
        allowed_blank_lines: 1,
        crlf: text.find('\n').is_some_and(|at| text[..at].ends_with('\r')),
    }
}

/// An entry of the file, as far as its layout goes.
#[derive(Debug)]
struct Entry {
    /// How long its key is.
    key: usize,
    /// The column of its `=`.
    column: usize,
    /// Whether it stands on one line.
    one_line: bool,
}

/// The entries of the file in runs: those of one run stand below each other without a blank line or a comment between.
fn runs(tree: &SyntaxNode) -> Vec<Vec<Entry>> {
    let mut runs = vec![Vec::new()];
    for child in tree.children_with_tokens() {
        match (child.kind(), child) {
            (SyntaxKind::WHITESPACE, _) => {}
            (SyntaxKind::NEWLINE, NodeOrToken::Token(token)) if token.text().matches('\n').count() < 2 => {}
            (SyntaxKind::ENTRY, NodeOrToken::Node(entry)) => {
                let run = runs.last_mut();
                run.into_iter().for_each(|run| run.push(measure(&entry)));
            }
            _ => runs.push(Vec::new()),
        }
    }
    runs
}

fn measure(entry: &SyntaxNode) -> Entry {
    let one_line = !entry.to_string().contains('\n');
    let before = entry.children_with_tokens().take_while(|child| child.kind() != SyntaxKind::EQ);
    let before: String = before.map(|child| child.to_string()).collect();
    // Between the parts of a dotted key, spaces go.
    let key = entry.children().find(|child| child.kind() == SyntaxKind::KEY);
    let tokens = key.iter().flat_map(SyntaxNode::descendants_with_tokens).filter_map(NodeOrToken::into_token);
    let words = tokens.filter(|token| token.kind() != SyntaxKind::WHITESPACE);
    let key = words.map(|token| token.text().chars().count()).sum();
    Entry { key, column: before.chars().count(), one_line }
}

/// How many spaces each entry of a run gets before its ` =`.
///
/// A run is aligned where its author began to: where a `=` stands further right than it must. The column is that of
/// the longest key; one far longer than the rest stays out, as does an entry of several lines off the column.
fn padding(run: &[Entry]) -> Vec<usize> {
    let moved = run.iter().filter(|entry| entry.column > entry.key + 1);
    let mut columns: Vec<usize> = moved.map(|entry| entry.column).collect();
    columns.sort_unstable();
    let count = |column: usize| columns.iter().filter(|other| **other == column).count();
    let Some(chosen) = columns.iter().copied().max_by_key(|column| (count(*column), *column)) else {
        return vec![0; run.len()];
    };
    let member = |entry: &Entry| entry.one_line || entry.column == chosen;
    let mut keys: Vec<usize> = run.iter().filter(|entry| member(entry)).map(|entry| entry.key).collect();
    keys.sort_unstable();
    let mut widest = keys.iter().copied().filter(|key| *key < chosen).max().unwrap_or_default();
    for key in keys {
        if key > widest && key - widest <= REACH {
            widest = key;
        }
    }
    let spaces = |entry: &Entry| if member(entry) { widest.saturating_sub(entry.key) } else { 0 };
    run.iter().map(spaces).collect()
}

/// Writes the file with its `=` and its trailing comments in their columns.
fn columns(tree: &SyntaxNode, padding: &[usize]) -> String {
    let mut out = String::new();
    let mut padding = padding.iter();
    for token in tree.descendants_with_tokens().filter_map(NodeOrToken::into_token) {
        let line = out.rfind('\n').map_or(0, |at| at + 1);
        let of_file = || {
            let parent = token.parent().filter(|parent| parent.kind() == SyntaxKind::ENTRY);
            parent.and_then(|entry| entry.parent()).is_some_and(|parent| parent.kind() == SyntaxKind::ROOT)
        };
        match token.kind() {
            SyntaxKind::EQ if of_file() => {
                out.push_str(&" ".repeat(padding.next().copied().unwrap_or_default()));
            }
            SyntaxKind::COMMENT if !out[line..].trim().is_empty() => {
                out.truncate(out.trim_end_matches([' ', '\t']).len());
                let width = out[line..].chars().count();
                let gap = COMMENT_COLUMN.checked_sub(width).filter(|gap| *gap > 0);
                out.push_str(&" ".repeat(gap.unwrap_or(COMMENT_GAP)));
            }
            _ => {}
        }
        out.push_str(token.text());
    }
    out
}

/// Every comment, in order.
fn comments(tree: &SyntaxNode) -> Vec<String> {
    let tokens = tree.descendants_with_tokens().filter_map(NodeOrToken::into_token);
    let comments = tokens.filter(|token| token.kind() == SyntaxKind::COMMENT);
    comments.map(|token| token.text().trim_end().to_owned()).collect()
}

fn bytes(range: TextRange) -> Range<usize> {
    usize::from(range.start())..usize::from(range.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(text: &str) -> Result<String, Problem> {
        let once = format(&Source::new("test.toml", text))?;
        assert_eq!(
            format(&Source::new("test.toml", once.clone()))?,
            once,
            "laying out twice changes nothing more"
        );
        Ok(once)
    }

    #[test]
    fn entries_are_aligned_where_their_author_began_to() -> Result<(), Problem> {
        let text =
            "[a]\nx  = 1\nlong=2\nmuch_longer = 3\nbody = '''\n  kept   = as it is\n'''\n\nb=1\nccc=2\n";
        let expected = "[a]\nx    = 1\nlong = 2\nmuch_longer = 3\nbody = '''\n  kept   = as it is\n'''\n\nb = 1\nccc = 2\n";
        assert_eq!(laid_out(text)?, expected);
        Ok(())
    }

    #[test]
    fn spaces_blank_lines_and_trailing_comments_have_their_place() -> Result<(), Problem> {
        let text = "# head\n\n\n\n[a] # why\nlist = [ 1,2 ]   \n[[b]]\nc = {d=[{e='#f'}]} # g\n";
        let gap = |code: &str| " ".repeat(COMMENT_COLUMN - code.len());
        let (a, b) = ("[a]", "c = { d = [{ e = '#f' }] }");
        let expected = std::format!("# head\n\n{a}{}# why\nlist = [1, 2]\n[[b]]\n{b}{}# g\n", gap(a), gap(b));
        assert_eq!(laid_out(text)?, expected);
        Ok(())
    }

    #[test]
    fn a_mark_of_the_encoding_and_ends_of_lines_stay() -> Result<(), Problem> {
        assert_eq!(laid_out("\u{feff}[a]\r\nx=1\r\n")?, "\u{feff}[a]\r\nx = 1\r\n");
        Ok(())
    }

    #[test]
    fn what_is_not_toml_is_refused_with_its_place() {
        let problem = laid_out("a = 1\nb = = 2\n").expect_err("it cannot be read");
        assert_eq!(problem.code, "toml-syntax");
        assert!(problem.span.is_some_and(|span| span.range.start >= 6));
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_panics(text in "([a-c.\" =\\[\\]{},#'\n0-9]|a = 1\n|''|# x\n){0,40}") {
            let source = Source::new("test.toml", text);
            if let Ok(once) = format(&source) {
                proptest::prop_assert_eq!(
                    toml::from_str::<toml::Table>(&once).ok(),
                    toml::from_str::<toml::Table>(&source.text).ok()
                );
            }
        }
    }
}
