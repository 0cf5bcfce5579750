//! Findings, written for people and for programs.
//!
//! Everything comes out in one order: by file, place and name. Absent on purpose: deciding what is a finding.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::output;
use crate::diag::{Level, Problem, Span, line_column};
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

/// How often each lint was found, as a table or as JSON.
pub(crate) fn statistics(findings: &Findings, format: Format) -> String {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for problem in &findings.problems {
        let (count, fixable) = counts.entry(problem.code).or_default();
        *count += 1;
        *fixable += usize::from(fix::of(problem).is_some_and(|fix| !fix.is_unsafe));
    }
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by(|(a, counts), (b, others)| others.0.cmp(&counts.0).then(a.cmp(b)));
    let what = |name: &str| lint::find(name).map(|lint| lint.what).unwrap_or_default();
    if format == Format::Json {
        let rows = rows.into_iter().map(|(name, (count, fixable))| {
            json!({ "code": name, "count": count, "fixable": fixable, "what": what(name) })
        });
        return pretty(&rows.collect());
    }
    let mut out = String::new();
    for (name, (count, _)) in rows {
        let _ = writeln!(out, "{count:>5}  {name:<26} {}", what(name));
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
            problem.level.word(),
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
        "level": problem.level.word(),
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
    let found: BTreeSet<&str> = findings.problems.iter().map(|problem| problem.code).collect();
    let found: Vec<&lint::Lint> = found.into_iter().filter_map(lint::find).collect();
    let rules: Vec<Value> = (found.iter())
        .map(|lint| {
            json!({
                "id": lint.name,
                "shortDescription": { "text": lint.what },
                "fullDescription": { "text": lint.why },
                "help": { "text": lint.why, "markdown": lint::page(lint) },
                "defaultConfiguration": { "level": lint.level.word() },
            })
        })
        .collect();
    let results: Vec<Value> = (findings.problems.iter())
        .map(|problem| {
            let (file, start) = (place(problem).0, (place(problem).1, place(problem).2));
            let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            let mut result = json!({
                "ruleId": problem.code,
                "ruleIndex": found.iter().position(|lint| lint.name == problem.code),
                "level": problem.level.word(),
                "message": { "text": format!("{}{help}", problem.message) },
                "locations": [{ "physicalLocation": location(file, start, end(problem)) }],
            });
            if !problem.related.is_empty() {
                let related = problem.related.iter().zip(1usize..).map(|((span, label), id)| {
                    let (from, to) = ends(span, &span.range);
                    let message = json!({ "text": label });
                    let location = location(&span.source.name, from, to);
                    json!({ "id": id, "message": message, "physicalLocation": location })
                });
                result["relatedLocations"] = related.collect();
            }
            if let (Some(span), Some(fix)) = (&problem.span, fix::of(problem)) {
                let (from, to) = ends(span, &fix.range);
                let mut change = location(file, from, to);
                let region = change["region"].take();
                result["fixes"] = json!([{ "artifactChanges": [{
                    "artifactLocation": change["artifactLocation"],
                    "replacements": [{ "deletedRegion": region, "insertedContent": { "text": fix.text } }],
                }]}]);
            }
            result
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

/// The lines and columns of a range in the file of a span.
fn ends(span: &Span, range: &Range<usize>) -> ((usize, usize), (usize, usize)) {
    (line_column(&span.source.text, range.start), line_column(&span.source.text, range.end))
}

fn location(file: &str, (line, column): (usize, usize), (end_line, end_column): (usize, usize)) -> Value {
    json!({
        "artifactLocation": { "uri": uri(file) },
        "region": { "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column },
    })
}

/// A path as a reference by URI: what may not stand in one is escaped, byte by byte.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

fn github(problem: &Problem) -> String {
    let (file, line, column) = place(problem);
    let (end_line, end_column) = end(problem);
    let command = if problem.level == Level::Note { "notice" } else { problem.level.word() };
    let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    // Columns count only where an annotation stays on its line.
    let columns =
        if line == end_line { format!(",col={column},endColumn={end_column}") } else { String::new() };
    format!(
        "::{command} file={},line={line},endLine={end_line}{columns},title={}::{}\n",
        property(file),
        property(problem.code),
        data(&format!("{}{help}", problem.message))
    )
}

/// What a workflow command says.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What a property of a workflow command is.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn junit(findings: &Findings) -> String {
    let mut files: BTreeMap<&str, Vec<&Problem>> = BTreeMap::new();
    for problem in &findings.problems {
        files.entry(place(problem).0).or_default().push(problem);
    }
    let failures = findings.problems.len();
    // Some readers take a report without a test for a broken one.
    let tests = failures.max(1);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts = |tests, failures| format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\"");
    let _ = writeln!(out, "<testsuites name=\"omni check\" {}>", counts(tests, failures));
    if files.is_empty() {
        let _ = writeln!(
            out,
            "  <testsuite name=\"omni check\" {}>\n    \
             <testcase name=\"nothing found\" classname=\"omni check\"/>\n  </testsuite>",
            counts(1, 0)
        );
    }
    for (file, problems) in files {
        let counts = counts(problems.len(), problems.len());
        let _ = writeln!(out, "  <testsuite name=\"{}\" {counts}>", xml(file));
        for problem in problems {
            let (_, line, column) = place(problem);
            let help = problem.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
            let _ = writeln!(
                out,
                "    <testcase name=\"{}\" classname=\"{}\" line=\"{line}\"><failure message=\"{}\" type=\"{}\">line {line}, column {column}: {}</failure></testcase>",
                problem.code,
                xml(file),
                xml(&problem.message),
                problem.level.word(),
                xml(&format!("{}{help}", problem.message)),
            );
        }
        out.push_str("  </testsuite>\n");
    }
    out + "</testsuites>\n"
}

/// Text as XML 1.0 can hold it: of control characters that is only tabs and ends of lines.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push('\t'),
            _ if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;

    /// One finding over two lines of a file whose name needs every escape.
    fn odd() -> Findings {
        let source = Source::new("a b,c:d%/\u{e9}.toml", "one\ntwo\n");
        let problem =
            Problem::error("wrong-type", Span::new(&source, 1..6), "50% of\n<it>\u{1}").help("a, b: c");
        Findings { problems: vec![problem], files: 1, architectures: 0 }
    }

    #[test]
    fn names_and_messages_are_escaped_as_each_format_asks() {
        let github = render(&odd(), Format::Github);
        assert_eq!(
            github,
            "::error file=a b%2Cc%3Ad%25/\u{e9}.toml,line=1,endLine=2,title=wrong-type::50%25 of%0A<it>\u{1}; a, b: c\n"
        );
        let sarif = render(&odd(), Format::Sarif);
        assert!(sarif.contains("\"uri\": \"a%20b%2Cc%3Ad%25/%C3%A9.toml\""), "{sarif}");
        assert_eq!(uri("/a/b.toml"), "file:///a/b.toml");
        let junit = render(&odd(), Format::Junit);
        assert!(junit.contains("message=\"50% of&#10;&lt;it&gt;\u{fffd}\" type=\"error\""), "{junit}");
    }

    #[test]
    fn a_report_of_nothing_is_still_a_report_of_something() {
        let none = render(&Findings::default(), Format::Junit);
        assert!(none.contains("tests=\"1\" failures=\"0\"") && none.contains("<testcase "), "{none}");
    }
}
