//! `omni check --model`: whether a checkpoint fits its definition.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use indicatif::{HumanBytes, HumanCount};
use serde_json::json;

use super::findings::{self, Format, plural};
use super::output;
use crate::facts;
use crate::lint::Findings;
use crate::model::fit::{self, Fit};
use crate::registry::Registry;

/// Prints how the checkpoint compares; gives what was found.
pub(crate) fn run(registry: &Registry, dir: &Path, format: Format) -> Result<Findings, Box<dyn Error>> {
    let facts = facts::read(dir)?;
    let fit = fit::check(registry, &facts)?;
    let findings = Findings { problems: fit.problems.clone(), files: 0, architectures: 1 };
    let text = match format {
        Format::Json => findings::pretty(&as_json(facts.name(), &fit)),
        format => findings::render_with(&findings, format, &summary(&fit)),
    };
    output::print(&text);
    Ok(findings)
}

fn summary(fit: &Fit) -> String {
    let mut text = format!("{}: {} parameters", fit.architecture, HumanCount(fit.parameters));
    if fit.buffers > 0 {
        let _ = write!(text, " and {} numbers that are never trained", HumanCount(fit.buffers));
    }
    let _ = writeln!(text, "; {} in 32 bits, {} in 16", HumanBytes(fit.bytes(4)), HumanBytes(fit.bytes(2)));
    let stored = fit.dtypes.iter().map(|(dtype, (count, bytes))| {
        format!("{} in {dtype} ({})", plural(*count, "tensor"), HumanBytes(*bytes))
    });
    let _ = writeln!(text, "stored: {}", stored.collect::<Vec<_>>().join(", "));
    if !fit.tied.is_empty() {
        let tied = fit.tied.iter().map(|(name, to)| format!("{name} to {to}"));
        let _ = writeln!(text, "tied: {}", tied.collect::<Vec<_>>().join(", "));
    }
    if !fit.unread_config_keys.is_empty() {
        let _ = writeln!(text, "config keys that nothing reads: {}", fit.unread_config_keys.join(", "));
    }
    let verdict = if fit.loads() { "it fits" } else { "it does not fit" };
    let _ = match fit.problems.as_slice() {
        [] => writeln!(text, "{verdict}: every tensor was found, in its shape"),
        problems => writeln!(text, "{verdict}: {}", findings::counts(problems)),
    };
    text
}

fn as_json(name: &str, fit: &Fit) -> serde_json::Value {
    let stored = fit
        .dtypes
        .iter()
        .map(|(dtype, (tensors, bytes))| (dtype.clone(), json!({ "tensors": tensors, "bytes": bytes })));
    json!({
        "name": name,
        "architecture": fit.architecture,
        "fits": fit.loads(),
        "findings": fit.problems.iter().map(findings::as_json).collect::<Vec<_>>(),
        "parameters": fit.parameters,
        "buffers": fit.buffers,
        "bytes_in_32_bits": fit.bytes(4),
        "bytes_in_16_bits": fit.bytes(2),
        "tensors": fit.tensors,
        "stored": stored.collect::<serde_json::Map<_, _>>(),
        "tied": fit.tied.iter().map(|(name, to)| json!({ "name": name, "to": to })).collect::<Vec<_>>(),
        "unread_config_keys": fit.unread_config_keys,
    })
}
