//! `omni info`: what a directory holds, at a glance.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};

use super::source::Source;
use super::{Global, Outcome, output};
use crate::facts::Hub;
use crate::hub::Want;
use crate::info::{Inspector, ModelInfo};

/// Say what a model directory holds, without reading a weight; exits with 1 where it cannot be loaded.
#[derive(Debug, Args)]
pub(crate) struct Info {
    #[command(flatten)]
    source: Source,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Info {
    pub(crate) fn run(&self, global: &Global) -> Outcome {
        let (registry, facts) = self.source.open(global, Want::Description)?;
        let inspector = Inspector::new(&registry, Hub::none());
        let outcome = inspector.find(&facts);
        let (mut info, mut problem) = inspector.inspect(&facts, &outcome);
        if let (None, Ok(found)) = (&problem, &outcome) {
            problem = inspector.misfit(&facts, found);
            info.is_supported = problem.is_none();
            info.error = problem.as_ref().map(ToString::to_string);
        }
        let text = if self.json { serde_json::to_string_pretty(&info)? + "\n" } else { table(&info) };
        output::print(&text);
        problem.map_or(Ok(ExitCode::SUCCESS), |problem| Err(problem.into()))
    }
}

/// All but the error, which a person reads once: where it is reported.
fn table(info: &ModelInfo) -> String {
    let unknown = || "unknown".to_owned();
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let mut rows = vec![
        ("name", info.name.clone()),
        ("architecture", info.architecture.clone().unwrap_or_else(unknown)),
        ("model_type", info.model_type.clone().unwrap_or_else(|| "none".to_owned())),
        ("category", info.category.clone().unwrap_or_else(unknown)),
        ("task", info.task.clone().unwrap_or_else(unknown)),
        ("parameters", info.parameters.map_or_else(unknown, |count| HumanCount(count).to_string())),
        ("dtypes", if info.dtypes.is_empty() { unknown() } else { info.dtypes.join(", ") }),
        ("size on disk", HumanBytes(info.size_on_disk).to_string()),
        ("supported", yes(info.is_supported)),
    ];
    if info.is_quantized {
        rows.push(("quantized", info.quantization.clone().unwrap_or_else(|| "yes".to_owned())));
    }
    if info.is_omni {
        rows.push(("omni", format!("yes, {} a talker", if info.has_talker { "with" } else { "without" })));
    }
    if info.has_custom_files {
        rows.push(("custom code", "yes, never run".to_owned()));
    }
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:12}  {value}");
    }
    text
}
