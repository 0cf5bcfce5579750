//! `# omni: allow(name) reason`: findings that the author has seen and means to keep.
//!
//! A comment behind something is about its line, one on a line of its own about the next line, and one before a
//! `[header]` about the whole table. A reason is required, and a comment that allows nothing is itself a finding.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::lints::{allow_without_reason, unknown_lint, unused_allow};
use crate::diag::{Problems, Source, Span};

const MARK: &str = "# omni: allow(";

/// One comment.
struct Allow {
    /// Each name with its place.
    names: Vec<(String, Span, bool)>,
    comment: Span,
    reason: bool,
    /// The bytes that it is about.
    about: Range<usize>,
}

/// Takes away what is allowed, and adds what is wrong with the comments.
pub(super) fn apply(files: &[Arc<Source>], problems: Problems) -> Problems {
    let mut allows: Vec<Allow> = files.par_iter().flat_map_iter(comments).collect();
    let mut kept = Problems::new();
    for problem in problems {
        let mut allowed = false;
        if let Some(span) = &problem.span {
            for allow in &mut allows {
                let covers = Arc::ptr_eq(&allow.comment.source, &span.source)
                    && allow.about.contains(&span.range.start);
                for (name, _, used) in allow.names.iter_mut().filter(|_| covers) {
                    if name == problem.code {
                        *used = true;
                        allowed = true;
                    }
                }
            }
        }
        if !allowed {
            kept.push(problem);
        }
    }
    allows.iter().for_each(|allow| judge(allow, &mut kept));
    kept
}

fn judge(allow: &Allow, problems: &mut Problems) {
    if !allow.reason {
        let problem = allow_without_reason::LINT.at(&allow.comment, "a finding is allowed without a reason");
        problems.push(problem.help("say after the bracket why it is right as it is"));
    }
    for (name, span, used) in &allow.names {
        if super::find(name).is_none() {
            problems.push(unknown_lint::finding(name, span));
        } else if !used {
            let problem = unused_allow::LINT.at(span, format!("nothing here is a finding of `{name}`"));
            problems.push(problem.help("remove the comment"));
        }
    }
}

fn comments(source: &Arc<Source>) -> Vec<Allow> {
    let text = &source.text;
    let mut found = Vec::new();
    if !text.contains(MARK) {
        return found;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if let Some((at, names_end)) = mark(line) {
            let names_at = start + at + MARK.len();
            let mut names = Vec::new();
            let mut offset = names_at;
            for part in text[names_at..start + names_end].split(',') {
                let lead = part.len() - part.trim_start().len();
                let span = Span::new(source, offset + lead..offset + part.trim_end().len().max(lead));
                names.push((part.trim().to_owned(), span, false));
                offset += part.len() + 1;
            }
            let comment_end = start + line.trim_end().len();
            let reason = line[names_end + 1..].trim().len() > 2;
            let own_line = line.trim_start().starts_with('#');
            let about = if own_line { below(text, end) } else { start..end };
            let comment = Span::new(source, start + at..comment_end);
            found.push(Allow { names, comment, reason, about });
        }
        start = end;
    }
    found
}

/// Where the mark and its closing bracket are in a line.
fn mark(line: &str) -> Option<(usize, usize)> {
    let at = line.find(MARK)?;
    let close = line[at..].find(')')?;
    Some((at, at + close))
}

/// The next line that is no comment, or the whole table if that line opens one.
fn below(text: &str, from: usize) -> Range<usize> {
    let mut start = from;
    for line in text[from..].split_inclusive('\n') {
        let end = start + line.len();
        let trimmed = line.trim_start();
        if trimmed.starts_with('[') {
            let next = text[end..].split_inclusive('\n').scan(end, |at, line| {
                let here = *at;
                *at += line.len();
                Some((here, line))
            });
            let stop = next.into_iter().find(|(_, line)| line.starts_with('['));
            return start..stop.map_or(text.len(), |(at, _)| at);
        }
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            return start..end;
        }
        start = end;
    }
    from..text.len()
}
