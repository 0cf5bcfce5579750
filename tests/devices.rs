//! A GPU computes what the CPU computes: matmul, softmax and what exchanged axes need, through WGPU, where an adapter is
//! there.
//!
//! Continuous integration installs Mesa's software Vulkan and sets `OMNI_REQUIRE_WGPU`, so that it cannot pass there
//! without checking; elsewhere a machine without an adapter skips with a reason.

use burn::tensor::ops::FloatTensorOps;
use burn::tensor::{Tensor, TensorData, activation};
use omni::model::device::{self, DeviceChoice, DeviceKind, Unavailable};
use omni::ops::Value;
use omni::ops::backend::{B, Device};

/// Absolute; what is allowed between the CPU and a software Vulkan.
const TOLERANCE: f32 = 1e-3;

/// The device of this name, or none where the machine has no adapter and is allowed to have none.
fn wgpu() -> Option<Device> {
    match device::open(DeviceChoice::Wgpu(0)) {
        Ok((device, report)) => {
            eprintln!("running on {} ({})", report.name, report.what);
            Some(device)
        }
        Err(error) => {
            let absent = matches!(error.reason, Unavailable::NoDevice(_) | Unavailable::NotBuilt(_));
            let required = std::env::var_os("OMNI_REQUIRE_WGPU").is_some();
            assert!(absent && !required, "{error}");
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// Numbers between -1 and 1 that repeat late.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        #[expect(clippy::cast_precision_loss, reason = "23 bits fit")]
        let number = (state >> 9) as f32;
        number / 4_194_304.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn tensor<const D: usize>(shape: [usize; D], seed: u32, device: &Device) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(numbers(shape.iter().product(), seed), shape), device)
}

/// The softmax over the last dimension of `[3, 17, 33] × [3, 33, 20]`: sizes that fill no tile.
fn scores(device: &Device) -> Vec<f32> {
    let product = tensor([3, 17, 33], 1, device).matmul(tensor([3, 33, 20], 2, device));
    let data = activation::softmax(product, 2).into_data();
    data.into_vec().expect("the device computes in 32 bits")
}

/// The same by definition, in 64 bits.
fn by_hand() -> Vec<f64> {
    let (left, right) = (numbers(3 * 17 * 33, 1), numbers(3 * 33 * 20, 2));
    let mut all = Vec::new();
    for row in 0..3 * 17 {
        let batch = row / 17;
        let term = |k: usize, column: usize| {
            f64::from(left[row * 33 + k]) * f64::from(right[(batch * 33 + k) * 20 + column])
        };
        let exponents: Vec<f64> =
            (0..20).map(|column| (0..33).map(|k| term(k, column)).sum::<f64>().exp()).collect();
        let total: f64 = exponents.iter().sum();
        all.extend(exponents.into_iter().map(|value| value / total));
    }
    all
}

#[test]
fn matmul_and_softmax_on_the_cpu_are_right() {
    let (device, _) = device::open(DeviceChoice::Cpu).expect("the CPU is always there");
    let worst = scores(&device)
        .into_iter()
        .zip(by_hand())
        .map(|(found, expected)| (f64::from(found) - expected).abs())
        .fold(0.0, f64::max);
    assert!(worst < 1e-6, "the largest difference is {worst}");
}

#[test]
fn matmul_and_softmax_on_wgpu_equal_the_cpu() {
    let Some(gpu) = wgpu() else { return };
    let (cpu, _) = device::open(DeviceChoice::Cpu).expect("the CPU is always there");
    let (found, expected) = (scores(&gpu), scores(&cpu));
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < TOLERANCE, "the largest difference is {worst}");
}

/// What the tests below compare: whether the GPU gives the CPU's numbers for what only moves or adds them.
fn equal_on_both(gpu: &Device, what: &str, compute: impl Fn(&Device) -> Value) {
    let (cpu, _) = device::open(DeviceChoice::Cpu).expect("the CPU is always there");
    let (found, expected) = (compute(gpu), compute(&cpu));
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let (found, expected): (Vec<f32>, Vec<f32>) =
        (found.to_host().iter().collect(), expected.to_host().iter().collect());
    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < TOLERANCE, "{what}: the largest difference is {worst}");
}

#[test]
fn exchanged_axes_are_kept_when_axes_are_added_on_wgpu() {
    let Some(gpu) = wgpu() else { return };
    for shape in [vec![2, 4, 1, 1], vec![2, 1, 4, 1, 1], vec![1, 2, 4, 1]] {
        equal_on_both(&gpu, &format!("[2, 1, 4] exchanged, as {shape:?}"), |device| {
            Value::from(tensor([2, 1, 4], 1, device).swap_dims(1, 2)).reshape(shape.clone())
        });
    }
}

#[test]
fn exchanged_axes_are_summed_on_wgpu() {
    let Some(gpu) = wgpu() else { return };
    // The third has no axis of size 1.
    for (shape, axes) in [([2, 4, 8, 1], (0, 3)), ([2, 1, 4, 8], (2, 3)), ([2, 4, 8, 4], (1, 3))] {
        for axis in 0..4 {
            equal_on_both(&gpu, &format!("{shape:?} with {axes:?} exchanged, over {axis}"), |device| {
                let x = Value::from(tensor(shape, 1, device).swap_dims(axes.0, axes.1));
                Value::Float(B::float_sum_dim(x.in_order().into_primitive(), axis))
            });
        }
    }
}

#[test]
fn auto_never_takes_a_renderer_in_software() {
    let (_, report) = device::open(DeviceChoice::Auto).expect("auto never fails");
    assert!(!report.software && report.available.is_ok(), "{report:?}");
    let (_, by_name) =
        device::open(report.name.parse().expect("reports name devices")).expect("it just answered");
    assert_eq!(by_name, report);
}

#[test]
fn a_renderer_in_software_is_used_when_asked_for_by_name() {
    let Some(_) = wgpu() else { return };
    let reports = device::probe();
    for report in reports.iter().filter(|report| report.kind == DeviceKind::Wgpu && report.software) {
        let choice: DeviceChoice = report.name.parse().expect("reports name devices");
        let opened = device::open(choice).map(|(_, opened)| opened);
        assert_eq!(opened.as_ref(), Ok(report), "{}", report.name);
    }
}
