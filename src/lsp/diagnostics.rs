//! Findings as the protocol's diagnostics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lsp_types::{
    Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, Location, NumberOrString,
};

use super::documents::Documents;
use super::position;
use crate::diag::{Level, Problem};

/// The diagnostics of every file that has any, by path. What has no place is shown at the start of `fallback`.
pub(super) fn by_file(
    problems: &[Problem],
    documents: &Documents,
    fallback: Option<&Path>,
) -> BTreeMap<PathBuf, Vec<Diagnostic>> {
    let mut files: BTreeMap<PathBuf, Vec<Diagnostic>> = BTreeMap::new();
    for problem in problems {
        let path = match &problem.span {
            Some(span) => Some(PathBuf::from(&span.source.name)),
            None => fallback.map(Path::to_owned),
        };
        if let Some(path) = path {
            files.entry(path).or_default().push(one(problem, documents));
        }
    }
    files
}

/// A finding as a diagnostic.
pub(super) fn one(problem: &Problem, documents: &Documents) -> Diagnostic {
    let related: Vec<DiagnosticRelatedInformation> = (problem.related.iter())
        .filter_map(|(span, label)| {
            let uri = documents.uri(Path::new(&span.source.name))?;
            let range = position::range(&span.source.text, &span.range);
            Some(DiagnosticRelatedInformation { location: Location { uri, range }, message: label.clone() })
        })
        .collect();
    let mut message = problem.message.clone();
    if !problem.label.is_empty() {
        message = format!("{message} ({})", problem.label);
    }
    if let Some(help) = &problem.help {
        message = format!("{message}\n{help}");
    }
    Diagnostic {
        range: problem
            .span
            .as_ref()
            .map(|span| position::range(&span.source.text, &span.range))
            .unwrap_or_default(),
        severity: Some(match problem.level {
            Level::Error => DiagnosticSeverity::ERROR,
            Level::Warning => DiagnosticSeverity::WARNING,
            Level::Note => DiagnosticSeverity::INFORMATION,
        }),
        code: Some(NumberOrString::String(problem.code.to_owned())),
        source: Some("omni".to_owned()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        tags: is_without_effect(problem.code).then(|| vec![DiagnosticTag::UNNECESSARY]),
        ..Diagnostic::default()
    }
}

/// Whether what is found could as well be absent; editors fade it.
fn is_without_effect(code: &str) -> bool {
    code.starts_with("unused-")
        || code.ends_with("-changes-nothing")
        || ["unreachable-code", "shadowed-rule", "empty-repair"].contains(&code)
}
