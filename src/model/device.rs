//! Which devices there are, and opening the one that was asked for.
//!
//! Takes a [`DeviceChoice`] (`auto`, `cpu`, `cuda:1`, `wgpu`); gives burn's device once it has computed something
//! right, or a [`DeviceError`] that says why not and what there is instead. A driver that is missing, panics or never
//! answers becomes a reason in the report.
//!
//! `auto` is the first CUDA device that answers, else the first real GPU through WGPU, else the CPU. A renderer in
//! software (Mesa's llvmpipe) is used only when it is asked for by name: the CPU backend is faster.
//!
//! Absent on purpose: tensors beyond the one that tries a device out.

mod choice;
mod cuda;
mod trial;
mod vulkan;

use std::fmt;

use burn_flex::FlexDevice;

pub use self::choice::{ChoiceError, DeviceChoice};
use crate::ops::backend::Device;

/// What runs the computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKind {
    /// The processor, through burn-flex.
    Cpu,
    /// An NVIDIA GPU, through CUDA.
    Cuda,
    /// A GPU, or a renderer in software, through WGPU (Vulkan; Metal on macOS).
    Wgpu,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
        })
    }
}

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The backend was left out of this build.
    #[error("omni was built without the feature `{0}`")]
    NotBuilt(&'static str),
    /// A library that the backend needs is not installed.
    #[error("{0}")]
    NoLibrary(&'static str),
    /// The driver is there and knows no device.
    #[error("{0}")]
    NoDevice(String),
    /// There are devices, but fewer than that.
    #[error("there is no device of that number")]
    NoSuchNumber,
    /// The driver or the device failed.
    #[error("it fails: {0}")]
    Failed(String),
    /// The driver or the device did not answer.
    #[error("it did not answer within {0} seconds")]
    Silent(u64),
    /// Something did not answer before and may hold a lock that this needs.
    #[error("it cannot be tried, since a device tried before never answered")]
    Stuck,
}

/// One device, or one kind of device of which there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReport {
    /// What `--device` takes for it, as `cuda:0`; a bare `cuda` or `wgpu` where there is none.
    pub name: String,
    /// What it is, as its driver calls it; empty where there is none.
    pub what: String,
    /// What it runs on.
    pub kind: DeviceKind,
    /// Whether it has computed something right, or why it cannot.
    pub available: Result<(), Unavailable>,
    /// Whether a GPU is only imitated: `auto` leaves it alone.
    pub software: bool,
}

/// A device that was asked for and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the device `{choice}` cannot be used: {reason}; expected {}", list(.others))]
pub struct DeviceError {
    /// What was asked for.
    pub choice: DeviceChoice,
    /// Why not.
    pub reason: Unavailable,
    /// What else there is, by name; not tried out.
    pub others: Vec<String>,
}

fn list(names: &[String]) -> String {
    match names {
        [one] => one.clone(),
        _ => format!("one of {}", names.join(", ")),
    }
}

/// A report with the device that it is about; the report is about the driver's word until the device is tried.
#[derive(Debug, Clone)]
struct Candidate {
    report: DeviceReport,
    device: Option<Device>,
}

impl Candidate {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    fn found(kind: DeviceKind, number: usize, what: String, software: bool, device: Device) -> Self {
        let report =
            DeviceReport { name: format!("{kind}:{number}"), what, kind, available: Ok(()), software };
        Self { report, device: Some(device) }
    }

    fn absent(kind: DeviceKind, reason: Unavailable) -> Self {
        let available = Err(reason);
        let report =
            DeviceReport { name: kind.to_string(), what: String::new(), kind, available, software: false };
        Self { report, device: None }
    }

    /// With the word of the device itself; the CPU needs no trial.
    fn tried(mut self) -> Self {
        if let (Ok(()), Some(device)) = (&self.report.available, &self.device)
            && self.report.kind != DeviceKind::Cpu
        {
            self.report.available = trial::compute(device);
        }
        self
    }

    fn opened(self) -> Result<(Device, DeviceReport), Unavailable> {
        let Self { report, device } = self.tried();
        report.available.clone()?;
        Ok((device.ok_or(Unavailable::NoSuchNumber)?, report))
    }
}

fn cpu() -> Candidate {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let what = format!("this machine's processor, {threads} thread{}", if threads == 1 { "" } else { "s" });
    let report = DeviceReport {
        name: "cpu".to_owned(),
        what,
        kind: DeviceKind::Cpu,
        available: Ok(()),
        software: false,
    };
    Candidate { report, device: Some(Device::Flex(FlexDevice)) }
}

/// What the drivers say is there, not tried out; a kind of which there is none is one candidate that says why.
fn candidates() -> impl Iterator<Item = Candidate> {
    let cuda = || cuda::find().unwrap_or_else(|reason| vec![Candidate::absent(DeviceKind::Cuda, reason)]);
    let wgpu = || vulkan::find().unwrap_or_else(|reason| vec![Candidate::absent(DeviceKind::Wgpu, reason)]);
    let finders: [Box<dyn Fn() -> Vec<Candidate>>; 3] =
        [Box::new(cuda), Box::new(wgpu), Box::new(|| vec![cpu()])];
    finders.into_iter().flat_map(|find| find())
}

/// Looks for devices and has each compute something small. The CPU is always there, and last.
///
/// Takes as long as the drivers take to start, which is seconds for some.
#[must_use]
pub fn probe() -> Vec<DeviceReport> {
    candidates().map(|candidate| candidate.tried().report).collect()
}

/// The one of the reports that `auto` stands for.
#[must_use]
pub fn preferred(reports: &[DeviceReport]) -> Option<&DeviceReport> {
    reports.iter().find(|report| report.available.is_ok() && !report.software)
}

/// Opens a device; it has computed something right when this returns.
///
/// # Errors
/// If the device is not there, its driver is missing or fails, or this build has no backend for it. `auto` and `cpu`
/// never fail.
pub fn open(choice: DeviceChoice) -> Result<(Device, DeviceReport), DeviceError> {
    let (found, number) = match choice {
        DeviceChoice::Auto => return Ok(automatic()),
        DeviceChoice::Cpu => (Ok(vec![cpu()]), 0),
        DeviceChoice::Cuda(number) => (cuda::find(), number),
        DeviceChoice::Wgpu(number) => (vulkan::find(), number),
    };
    let numbered = found.and_then(|found| found.into_iter().nth(number).ok_or(Unavailable::NoSuchNumber));
    numbered.and_then(Candidate::opened).map_err(|reason| {
        let usable =
            candidates().filter(|it| it.report.available.is_ok() && it.report.name != choice.to_string());
        DeviceError { choice, reason, others: usable.map(|it| it.report.name).collect() }
    })
}

/// The best device that answers. The drivers of the next kind are not even loaded if one does.
fn automatic() -> (Device, DeviceReport) {
    candidates()
        .filter(|candidate| !candidate.report.software)
        .find_map(|candidate| candidate.opened().ok())
        .unwrap_or_else(|| (Device::Flex(FlexDevice), cpu().report))
}

#[cfg(test)]
mod tests;
