//! `omni devices`: what a model can run on here, and why not on the rest.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{Outcome, output};
use crate::model::device::{self, DeviceReport};

/// List the devices that a model can run on, and say why something is not there.
#[derive(Debug, Args)]
pub(crate) struct Devices {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Devices {
    pub(crate) fn run(&self) -> Outcome {
        let reports = device::probe();
        let auto = device::preferred(&reports).map(|report| report.name.clone()).unwrap_or_default();
        let text = if self.json { json(&reports, &auto)? } else { table(&reports, &auto) };
        output::print(&text);
        Ok(ExitCode::SUCCESS)
    }
}

/// The stable form for programs: `auto` names one of `devices`.
#[derive(Serialize)]
struct Listing<'a> {
    auto: &'a str,
    devices: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    /// What `--device` takes.
    name: &'a str,
    /// `cpu`, `cuda` or `wgpu`.
    kind: String,
    /// What the driver calls it; empty where there is none.
    what: &'a str,
    /// Whether a GPU is only imitated.
    software: bool,
    available: bool,
    /// Why it is not available, or null.
    reason: Option<String>,
}

fn json<'a>(reports: &'a [DeviceReport], auto: &'a str) -> Result<String, serde_json::Error> {
    let entry = |report: &'a DeviceReport| Entry {
        name: &report.name,
        kind: report.kind.to_string(),
        what: &report.what,
        software: report.software,
        available: report.available.is_ok(),
        reason: report.available.as_ref().err().map(ToString::to_string),
    };
    let devices = reports.iter().map(entry).collect();
    Ok(serde_json::to_string_pretty(&Listing { auto, devices })? + "\n")
}

fn table(reports: &[DeviceReport], auto: &str) -> String {
    let width = reports.iter().map(|report| report.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for report in reports {
        let what = match (&report.available, report.what.as_str()) {
            (Ok(()), what) => what.to_owned(),
            (Err(reason), "") => format!("not available: {reason}"),
            (Err(reason), what) => format!("{what}, not available: {reason}"),
        };
        let note = match report {
            _ if report.name == auto => "  (what `auto` takes)",
            _ if report.software && report.available.is_ok() => "  (only when asked for by name)",
            _ => "",
        };
        let _ = writeln!(text, "{:width$}  {what}{note}", report.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::{DeviceKind, Unavailable};

    fn reports() -> Vec<DeviceReport> {
        let report = |name: &str, kind, what: &str, available, software| DeviceReport {
            name: name.to_owned(),
            what: what.to_owned(),
            kind,
            available,
            software,
        };
        let broken = Err(Unavailable::Failed("out of memory".to_owned()));
        let none = Err(Unavailable::NoLibrary("there is no driver"));
        vec![
            report("cpu", DeviceKind::Cpu, "two threads", Ok(()), false),
            report("cuda", DeviceKind::Cuda, "", none, false),
            report("wgpu:0", DeviceKind::Wgpu, "A card", broken, false),
            report("wgpu:1", DeviceKind::Wgpu, "A renderer (software)", Ok(()), true),
        ]
    }

    #[test]
    fn the_table_says_what_is_there_and_why_something_is_not() {
        let expected = "\
cpu     two threads  (what `auto` takes)
cuda    not available: there is no driver
wgpu:0  A card, not available: it fails: out of memory
wgpu:1  A renderer (software)  (only when asked for by name)
";
        assert_eq!(table(&reports(), "cpu"), expected);
    }

    #[test]
    fn the_json_has_one_entry_for_each_device() {
        let text = json(&reports(), "cpu").expect("strings and booleans serialise");
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(value["auto"], "cpu");
        assert_eq!(value["devices"].as_array().map(Vec::len), Some(4));
        assert_eq!(value["devices"][1]["reason"], "there is no driver");
        assert_eq!(value["devices"][3]["software"], true);
        assert_eq!(value["devices"][3]["reason"], serde_json::Value::Null);
    }
}
