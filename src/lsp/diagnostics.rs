//! Findings as the protocol's diagnostics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lsp_types::{
    CodeDescription, Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, Location,
    NumberOrString,
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
        code_description: page(env!("CARGO_PKG_REPOSITORY"), problem.code),
        source: Some("omni".to_owned()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        tags: is_without_effect(problem.code).then(|| vec![DiagnosticTag::UNNECESSARY]),
        ..Diagnostic::default()
    }
}

/// Where the page of a lint can be read: beside the code, if that has a home. Hovering shows its first lines anywhere.
fn page(repository: &str, code: &str) -> Option<CodeDescription> {
    let version = env!("CARGO_PKG_VERSION");
    let address = format!("{}/blob/v{version}/docs/lints.md#{code}", repository.trim_end_matches('/'));
    let href = (!repository.is_empty()).then(|| address.parse().ok());
    href.flatten().map(|href| CodeDescription { href })
}

/// Whether what is found could as well be absent; editors fade it.
fn is_without_effect(code: &str) -> bool {
    code.starts_with("unused-")
        || code.ends_with("-changes-nothing")
        || ["unreachable-code", "shadowed-rule", "empty-repair"].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn a_code_links_to_its_page_where_there_is_one() {
        assert!(page("", "alias-cycle").is_none(), "no address is made up");
        let found = page("https://example.org/it/", "alias-cycle").expect("there is a home");
        let version = env!("CARGO_PKG_VERSION");
        let address = format!("https://example.org/it/blob/v{version}/docs/lints.md#alias-cycle");
        assert_eq!(found.href.as_str(), address);
    }
}
