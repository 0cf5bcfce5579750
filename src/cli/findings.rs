//! Findings, written for people and for programs.
//!
//! Everything comes out in one order: by file, place and name. Absent on purpose: deciding what is a finding.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::output;
use crate::diag::{Level, Problem, line_column};
use crate::lint::{self, Findings, fix};

/// How findings are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// With the lines of the file they are about.
    #[default]
    Full,
    /// One line each.
    Concise,
    /// One JSON list.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
    /// Workflow commands of GitHub Actions.
    Github,
    /// `JUnit` XML.
    Junit,
}

/// The findings as one text.
pub(crate) fn render(findings: &Findings, format: Format) -> String {
    render_with(findings, format, &summary(findings))
}

/// The findings as one text that ends, where it is for people, with this summary.
pub(crate) fn render_with(findings: &Findings, format: Format, summary: &str) -> String {
    match format {
        Format::Full => full(findings) + summary,
        Format::Concise => concise(findings) + summary,
        Format::Json => pretty(&Value::Array(findings.problems.iter().map(as_json).collect())),
        Format::Sarif => pretty(&sarif(findings)),
        Format::Github => findings.problems.iter().map(github).collect(),
        Format::Junit => junit(findings),
    }
}

/// How often each lint was found.
pub(crate) fn statistics(findings: &Findings) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for problem in &findings.problems {
        *counts.entry(problem.code).or_default() += 1;
    }
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut out = String::new();
    for (name, count) in rows {
        let what = lint::find(name).map(|lint| lint.what).unwrap_or_default();
        let _ = writeln!(out, "{count:>5}  {name:<26} {what}");
    }
    out + &summary(findings)
}

pub(crate) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn full(findings: &Findings) -> String {
    let mut out = String::new();
    for problem in &findings.problems {
        let _ = writeln!(out, "{}", output::for_stdout(problem));
    }
    out
}

fn concise(findings: &Findings) -> String {
    let mut out = String::new();
    for problem in &findings.problems {
        let (file, line, column) = place(problem);
        let _ = write!(
            out,
            "{file}:{line}:{column}: {}[{}] {}",
            word(problem.level),
            problem.code,
            problem.message
        );
        let _ = match &problem.help {
            Some(help) => writeln!(out, " ({help})"),
            None => writeln!(out),
        };
    }
    out
}

fn summary(findings: &Findings) -> String {
    let checked = format!(
        "{} checked, {} traced",
        plural(findings.files, "file"),
        plural(findings.architectures, "architecture")
    );
    if findings.problems.is_empty() {
        return format!("nothing found: {checked}\n");
    }
    let fixable =
        findings.problems.iter().filter(|problem| fix::of(problem).is_some_and(|fix| !fix.is_unsafe)).count();
    let fixable = if fixable == 0 { String::new() } else { format!("; `--fix` corrects {fixable}") };
    format!("{}: {checked}{fixable}\n", counts(&findings.problems))
}

/// How many of each level.
pub(crate) fn counts(problems: &[Problem]) -> String {
    let count = |level: Level| problems.iter().filter(|problem| problem.level == level).count();
    format!(
        "{}, {}, {}",
        plural(count(Level::Error), "error"),
        plural(count(Level::Warning), "warning"),
        plural(count(Level::Note), "note")
    )
}

/// `1 tensor`, `2 tensors`.
pub(crate) fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// A level as people read it.
pub(crate) fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// File, line and column; a finding without a place is about the registry.
fn place(problem: &Problem) -> (&str, usize, usize) {
    match &problem.span {
        Some(span) => {
            let (line, column) = line_column(&span.source.text, span.range.start);
            (&span.source.name, line, column)
        }
        None => ("registry", 1, 1),
    }
}

fn end(problem: &Problem) -> (usize, usize) {
    problem.span.as_ref().map_or((1, 1), |span| line_column(&span.source.text, span.range.end))
}

pub(crate) fn as_json(problem: &Problem) -> Value {
    let (file, line, column) = place(problem);
    let (end_line, end_column) = end(problem);
    let related: Vec<Value> = (problem.related.iter())
        .map(|(span, label)| {
            let (line, column) = line_column(&span.source.text, span.range.start);
            json!({ "file": span.source.name, "line": line, "column": column, "message": label })
        })
        .collect();
    let fix = fix::of(problem).map(|fix| {
        json!({ "start": fix.range.start, "end": fix.range.end, "text": fix.text, "unsafe": fix.is_unsafe })
    });
    json!({
        "code": problem.code,
        "level": word(problem.level),
        "message": problem.message,
        "label": problem.label,
        "help": problem.help,
        "file": file,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "related": related,
        "fix": fix,
    })
}

fn sarif(findings: &Findings) -> Value {
    let rules: Vec<Value> = (lint::all().iter())
        .map(|lint| {
            json!({
                "id": lint.name,
                "shortDescription": { "text": lint.what },
                "fullDescription": { "text": lint.why },
                "defaultConfiguration": { "level": word(lint.level) },
            })
        })
        .collect();
    let location = |file: &str, (line, column): (usize, usize), (end_line, end_column): (usize, usize)| {
        json!({ "physicalLocation": {
            "artifactLocation": { "uri": file },
            "region": { "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column },
        }})
    };
    let results: Vec<Value> = (findings.problems.iter())
        .map(|problem| {
            let (file, line, column) = place(problem);
            let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            json!({
                "ruleId": problem.code,
                "level": word(problem.level),
                "message": { "text": format!("{}{help}", problem.message) },
                "locations": [location(file, (line, column), end(problem))],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "omni check", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn github(problem: &Problem) -> String {
    let (file, line, column) = place(problem);
    let (end_line, end_column) = end(problem);
    let command = if problem.level == Level::Note { "notice" } else { word(problem.level) };
    let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    format!(
        "::{command} file={file},line={line},col={column},endLine={end_line},endColumn={end_column},title={}::{}\n",
        problem.code,
        escape(&format!("{}{help}", problem.message))
    )
}

fn junit(findings: &Findings) -> String {
    let mut files: BTreeMap<&str, Vec<&Problem>> = BTreeMap::new();
    for problem in &findings.problems {
        files.entry(place(problem).0).or_default().push(problem);
    }
    let total = findings.problems.len();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"omni check\" tests=\"{total}\" failures=\"{total}\">");
    for (file, problems) in files {
        let count = problems.len();
        let _ = writeln!(out, "  <testsuite name=\"{}\" tests=\"{count}\" failures=\"{count}\">", xml(file));
        for problem in problems {
            let (_, line, column) = place(problem);
            let _ = writeln!(
                out,
                "    <testcase name=\"{}\" classname=\"{}\" line=\"{line}\"><failure message=\"{}\">line {line}, column {column}</failure></testcase>",
                problem.code,
                xml(file),
                xml(&problem.message)
            );
        }
        out.push_str("  </testsuite>\n");
    }
    out + "</testsuites>\n"
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
