//! Corrections of findings, as edits of the text that keep everything else as it is.
//!
//! A finding whose help names the one thing that was meant is corrected by that name. Absent on purpose: writing files.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diag::Problem;

/// A replacement of some bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The bytes that are replaced.
    pub range: Range<usize>,
    /// What they are replaced by.
    pub text: String,
    /// Whether it can change what a definition means.
    pub is_unsafe: bool,
}

/// The correction of a finding, if it has one.
#[must_use]
pub fn of(problem: &Problem) -> Option<Fix> {
    let span = problem.span.as_ref()?;
    let help = problem.help.as_ref()?;
    if help == "remove the comment" || help == "remove this entry" {
        return removal(problem);
    }
    let meant = help.strip_prefix("did you mean `")?.strip_suffix("`?")?;
    let wrong = problem.message.split('`').nth(1)?;
    let written = span.text();
    // The span covers the name, or the name in its quotes, or an expression in which it stands once.
    let at = if written.matches(wrong).count() == 1 { written.find(wrong)? } else { return None };
    let start = span.range.start + at;
    Some(Fix { range: start..start + wrong.len(), text: meant.to_owned(), is_unsafe: false })
}

/// The removal of the entry, or of the comment, that stands at the problem's place.
fn removal(problem: &Problem) -> Option<Fix> {
    let span = problem.span.as_ref()?;
    let text = &span.source.text;
    let line_start = text[..span.range.start].rfind('\n').map_or(0, |at| at + 1);
    if problem.code == super::lints::unused_allow::LINT.name {
        let at = line_start + text[line_start..span.range.start].rfind('#')?;
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        let before = text[line_start..at].trim_end();
        let (start, end) = if before.is_empty() {
            (line_start, (end + 1).min(text.len()))
        } else {
            (line_start + before.len(), end)
        };
        return Some(Fix { range: start..end, text: String::new(), is_unsafe: false });
    }
    let rest = &text[line_start..];
    // Only whole entries: `key = value` on one line, or with a text in triple quotes.
    let first = rest.lines().next()?;
    let quotes = ["'''", "\"\"\""].into_iter().find(|quotes| first.matches(quotes).count() == 1);
    let length = match quotes {
        Some(quotes) => {
            let open = rest.find(quotes)? + 3;
            let close = open + rest[open..].find(quotes)? + 3;
            close + rest[close..].find('\n').map_or(rest.len() - close, |end| end + 1)
        }
        None => (first.len() + 1).min(rest.len()),
    };
    let opens = |open: char, close: char| first.matches(open).count() > first.matches(close).count();
    if quotes.is_none() && (opens('[', ']') || opens('{', '}')) {
        return None;
    }
    Some(Fix { range: line_start..line_start + length, text: String::new(), is_unsafe: true })
}

/// The text of a file with the corrections made; those that overlap an earlier one are left out.
#[must_use]
pub fn apply(text: &str, fixes: &[Fix]) -> (String, usize) {
    let by_start: BTreeMap<(usize, usize), &Fix> =
        fixes.iter().map(|fix| ((fix.range.start, fix.range.end), fix)).collect();
    let (mut out, mut at, mut made) = (String::with_capacity(text.len()), 0, 0);
    for fix in by_start.values() {
        if fix.range.start < at || fix.range.end > text.len() {
            continue;
        }
        out.push_str(&text[at..fix.range.start]);
        out.push_str(&fix.text);
        at = fix.range.end;
        made += 1;
    }
    out.push_str(&text[at..]);
    (out, made)
}
