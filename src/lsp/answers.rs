//! Answers about the place of the cursor: where a name is declared, where it is used, how a finding is corrected.

use std::path::{Path, PathBuf};

use lsp_types as lsp;
use serde_json::{Value, json};
use similar::{DiffTag, TextDiff};

use super::analysis::Analysis;
use super::cursor;
use super::documents::Documents;
use super::index::{Meaning, Occurrence};
use super::owners;
use super::project::Project;
use super::{diagnostics, position};
use crate::diag::{Source, Span};
use crate::lint::fix;

/// What a request is about.
pub(super) struct Asked<'a> {
    pub(super) documents: &'a Documents,
    pub(super) project: &'a Project,
    /// What overlays stand upon beside the shipped registry.
    pub(super) overlays: &'a [PathBuf],
    pub(super) analysis: &'a Analysis,
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    /// The byte that the cursor is before.
    pub(super) offset: usize,
}

impl Asked<'_> {
    /// What stands at the cursor.
    pub(super) fn occurrences(&self) -> Vec<&Occurrence> {
        self.analysis.index().at(&self.path.display().to_string(), self.offset)
    }

    /// The module that the cursor is in.
    pub(super) fn module(&self) -> Option<String> {
        let found = cursor::find(self.text, self.offset);
        match found.path.as_slice() {
            [table, module, ..] if table == "modules" => Some(module.clone()),
            _ => None,
        }
    }

    /// A place as the client knows it; `None` in the shipped registry, which is no file.
    pub(super) fn location(&self, span: &Span) -> Option<lsp::Location> {
        let uri = self.documents.uri(Path::new(&span.source.name))?;
        Some(lsp::Location { uri, range: position::range(&span.source.text, &span.range) })
    }
}

/// Where the name at the cursor is declared.
pub(super) fn definition(asked: &Asked<'_>) -> Value {
    let mut found: Vec<lsp::Location> = Vec::new();
    for occurrence in asked.occurrences() {
        for span in declarations(asked, &occurrence.meaning) {
            found.extend(asked.location(&span).filter(|location| !found.contains(location)));
        }
    }
    json!(found)
}

/// Where something is declared: the declaration that counts in the module of the cursor, if there are several.
pub(super) fn declarations(asked: &Asked<'_>, meaning: &Meaning) -> Vec<Span> {
    let index = asked.analysis.index();
    let mut spans: Vec<Span> =
        index.all(meaning).filter(|found| found.declares).map(|found| found.span.clone()).collect();
    match meaning {
        Meaning::Member(_, name) => {
            let module = asked.module().unwrap_or_default();
            let nearest =
                owners::ancestors(&asked.analysis.checked, &module).into_iter().find_map(|module| {
                    let groups = [&module.layers, &module.params, &module.buffers, &module.lets];
                    let own = groups.into_iter().flatten().find(|(entry, _)| entry.text == *name);
                    own.map(|(entry, _)| entry.span.clone())
                });
            nearest.map_or(spans, |span| vec![span])
        }
        Meaning::Local(..) => {
            spans.truncate(1);
            spans
        }
        _ => spans,
    }
}

/// Every place of the name at the cursor.
pub(super) fn references(asked: &Asked<'_>, with_declarations: bool) -> Value {
    let mut found: Vec<lsp::Location> = Vec::new();
    for occurrence in asked.occurrences() {
        for other in asked.analysis.index().all(&occurrence.meaning) {
            if with_declarations || !other.declares {
                found.extend(asked.location(&other.span).filter(|location| !found.contains(location)));
            }
        }
    }
    json!(found)
}

/// Corrections of what was found in a range of the document, and one of everything that has a certain correction.
pub(super) fn actions(asked: &Asked<'_>, range: lsp::Range, only: Option<&[String]>) -> Value {
    let name = asked.path.display().to_string();
    let wanted = |kind: &str| {
        only.is_none_or(|only| only.iter().any(|only| kind == only || kind.starts_with(&format!("{only}."))))
    };
    let (start, end) = (position::offset(asked.text, range.start), position::offset(asked.text, range.end));
    let Some(uri) = asked.documents.uri(asked.path) else { return json!([]) };
    let edit =
        |fix: &fix::Fix| json!({ "range": position::range(asked.text, &fix.range), "newText": fix.text });
    let (mut actions, mut certain) = (Vec::new(), Vec::new());
    for problem in &asked.analysis.checked.findings.problems {
        let Some(span) = problem.span.as_ref().filter(|span| span.source.name == name) else { continue };
        let Some(fix) = fix::of(problem) else { continue };
        if !fix.is_unsafe && certain.last().is_none_or(|last: &fix::Fix| last.range.end <= fix.range.start) {
            certain.push(fix.clone());
        }
        if span.range.end < start || span.range.start > end || !wanted("quickfix") {
            continue;
        }
        let what = match (fix.text.as_str(), problem.help.as_deref()) {
            ("", Some(help)) => capitalised(help),
            ("", None) => "Remove it".to_owned(),
            (text, _) => format!("Write `{}`", text.trim()),
        };
        let title = if fix.is_unsafe { format!("{what} (can change the meaning)") } else { what };
        actions.push(json!({
            "title": title,
            "kind": "quickfix",
            "diagnostics": [diagnostics::one(problem, asked.documents)],
            "isPreferred": !fix.is_unsafe,
            "edit": { "changes": { uri.as_str(): [edit(&fix)] } },
        }));
    }
    if !certain.is_empty() && wanted("source.fixAll.omni") {
        actions.push(json!({
            "title": "Correct all that has one certain correction",
            "kind": "source.fixAll.omni",
            "edit": { "changes": { uri.as_str(): certain.iter().map(edit).collect::<Vec<_>>() } },
        }));
    }
    json!(actions)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The edits that lay a file out as `omni fmt` does, none if it is; each replaces a run of lines.
pub(super) fn formatting(path: &Path, text: &str) -> Result<Value, String> {
    let source = Source::new(path.display().to_string(), text);
    let laid_out = crate::format::format(&source).map_err(|problem| problem.to_string())?;
    let diff = TextDiff::from_lines(text, &laid_out);
    let start = |line: usize| diff.old_slices()[..line].iter().map(|line| line.len()).sum::<usize>();
    let changed = diff.ops().iter().filter(|op| op.tag() != DiffTag::Equal);
    let edits = changed.map(|op| {
        let bytes = start(op.old_range().start)..start(op.old_range().end);
        json!({ "range": position::range(text, &bytes), "newText": diff.new_slices()[op.new_range()].concat() })
    });
    Ok(edits.collect())
}
