//! The pages of the lints, as Markdown: for `omni explain-lint`, for editors, and for `docs/lints.md`.
//!
//! The examples are those that the tests execute. What both of a pair have in common is shown once: the bad one whole,
//! the good one as what differs.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::{EXAMPLE_BASE, Lint, all};

/// The page of a lint.
#[must_use]
pub fn page(lint: &Lint) -> String {
    let mut out = format!("# {}\n\n{}\n", lint.name, summary(lint));
    out.push_str(&examples(lint));
    if [lint.bad, lint.good].iter().any(|text| text.contains("Toy") || text.contains("toy")) {
        out.push_str("\nBoth are read over a small architecture: `omni explain-lint --base` prints it.\n");
    }
    let _ = write!(out, "\nTo keep one: `# omni: allow({}) reason`\n", lint.name);
    out
}

/// What a lint finds and why, in few lines.
#[must_use]
pub fn summary(lint: &Lint) -> String {
    format!("{} ({})\n\n{}", lint.what, lint.level.word(), lint.why)
}

/// The pages of all lints in one text: `docs/lints.md`.
#[must_use]
pub fn pages() -> String {
    let mut out = format!(
        "# What `omni check` finds\n\n\
         Made by `omni explain-lint --all` from the pages that `omni explain-lint NAME` prints; the examples are\n\
         executed as tests. Levels are set in a table `[lints]` (`unused-let = \"off\"`, or `note`, `warning`, `error`)\n\
         and on the command line (`--ignore`, `--warn`, `--deny`, `--select`). One finding is kept by a comment on its\n\
         line or above it: `# omni: allow(unused-let) why it is right as it is`.\n\n\
         The examples are read over this small architecture:\n\n```toml\n{EXAMPLE_BASE}```\n"
    );
    for lint in all() {
        let _ = write!(out, "\n## {}\n\n{}\n{}", lint.name, summary(lint), examples(lint));
    }
    out
}

/// The bad example, and what is otherwise in the good one.
fn examples(lint: &Lint) -> String {
    let mut out = format!("\nFound in:\n\n```toml\n{}```\n", lint.bad);
    let diff = TextDiff::from_lines(lint.bad, lint.good);
    let changes: Vec<_> = diff.iter_all_changes().collect();
    let differs = |tag: ChangeTag| tag != ChangeTag::Equal;
    let common = changes.iter().filter(|change| !differs(change.tag())).count();
    if 2 * common < lint.good.lines().count() {
        let _ = write!(out, "\nNot in:\n\n```toml\n{}```\n", lint.good);
        return out;
    }
    out.push_str("\nNot with:\n\n```diff\n");
    for change in changes.into_iter().filter(|change| differs(change.tag())) {
        let _ = write!(out, "{}{}", change.tag(), change.value());
    }
    out + "```\n"
}
