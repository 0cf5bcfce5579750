//! Choices as text, and the reports of whatever machine the tests run on.

use super::*;

fn refused(text: &str) -> String {
    text.parse::<DeviceChoice>().expect_err("this names no device").to_string()
}

#[test]
fn choices_print_and_parse() {
    use DeviceChoice::{Auto, Cpu, Cuda, Wgpu};
    for choice in [Auto, Cpu, Cuda(0), Cuda(7), Wgpu(0), Wgpu(12)] {
        assert_eq!(choice.to_string().parse(), Ok(choice));
    }
    assert_eq!("cuda".parse(), Ok(Cuda(0)));
    assert_eq!("wgpu".parse(), Ok(Wgpu(0)));
}

#[test]
fn what_is_no_device_is_refused_with_what_is_expected() {
    let expected = "expected auto, cpu, cuda, cuda:N, wgpu or wgpu:N";
    assert_eq!(refused("tpu9000"), format!("`tpu9000` is not a device, {expected}"));
    assert!(refused("cudo:1").contains("`cuda`"), "{}", refused("cudo:1"));
    for text in ["", "CUDA", " cpu", ":0"] {
        assert!(refused(text).contains(expected), "{}", refused(text));
    }
    assert_eq!(
        refused("cuda:x"),
        "`cuda:x` has `x` behind the colon, expected the number of a device, as in `cuda:0`"
    );
    for text in ["wgpu:", "wgpu:-1", "wgpu:+1", "cuda:1:2", "cuda:99999999999999999999"] {
        assert!(refused(text).contains("expected the number of a device"), "{}", refused(text));
    }
    assert_eq!(refused("cpu:1"), "`cpu:1` has a number, expected `cpu` alone");
}

#[test]
fn the_cpu_is_always_there() {
    let (device, report) = open(DeviceChoice::Cpu).expect("the CPU is there");
    assert_eq!(device, Device::Flex(FlexDevice));
    assert_eq!((report.name.as_str(), report.available), ("cpu", Ok(())));
    assert_eq!(trial::compute(&device), Ok(()));
}

#[test]
fn auto_opens_what_the_probe_prefers() {
    let reports = probe();
    let preferred = preferred(&reports).expect("the CPU is there");
    let (_, opened) = open(DeviceChoice::Auto).expect("auto never fails");
    assert_eq!(&opened, preferred);
    assert!(!opened.software, "{opened:?}");
}

#[test]
fn every_kind_is_reported_with_a_device_or_a_reason() {
    let reports = probe();
    for kind in [DeviceKind::Cpu, DeviceKind::Cuda, DeviceKind::Wgpu] {
        assert!(reports.iter().any(|report| report.kind == kind), "{kind} is not in {reports:?}");
    }
    for report in &reports {
        let says_why = report.available.as_ref().err().is_none_or(|reason| !reason.to_string().is_empty());
        assert!(says_why && !(report.available.is_ok() && report.what.is_empty()), "{report:?}");
    }
}

#[test]
fn what_is_not_there_is_a_clear_error() {
    for choice in [DeviceChoice::Cuda(4096), DeviceChoice::Wgpu(4096)] {
        let error = open(choice).expect_err("nobody has that many");
        assert_eq!(error.choice, choice);
        let text = error.to_string();
        assert!(text.starts_with(&format!("the device `{choice}` cannot be used: ")), "{text}");
        assert!(text.contains("cpu"), "{text}");
    }
}

#[test]
fn auto_prefers_cuda_and_leaves_software_and_broken_devices_alone() {
    let report = |kind, available, software| DeviceReport {
        name: String::new(),
        what: "made up".to_owned(),
        kind,
        available,
        software,
    };
    let broken = || Err(Unavailable::Failed("made up".to_owned()));
    let cpu = report(DeviceKind::Cpu, Ok(()), false);
    let cuda = report(DeviceKind::Cuda, Ok(()), false);
    let gpu = report(DeviceKind::Wgpu, Ok(()), false);
    let software = report(DeviceKind::Wgpu, Ok(()), true);
    let kind = |reports: &[DeviceReport]| preferred(reports).map(|it| it.kind);
    assert_eq!(kind(&[cuda, gpu.clone(), cpu.clone()]), Some(DeviceKind::Cuda));
    let no_cuda = report(DeviceKind::Cuda, broken(), false);
    assert_eq!(kind(&[no_cuda.clone(), software.clone(), gpu, cpu.clone()]), Some(DeviceKind::Wgpu));
    assert_eq!(kind(&[no_cuda, software, cpu]), Some(DeviceKind::Cpu));
}
