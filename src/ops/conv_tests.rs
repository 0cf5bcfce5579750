//! Convolutions against loops over every product.

use super::super::testing::{
    TestArg, assert_close, check_gradient, check_half, fault, noise, run_one, sample,
};

/// The settings of a convolution over two axes.
#[derive(Clone, Copy)]
struct Setting {
    stride: usize,
    padding: usize,
    dilation: usize,
    groups: usize,
}

const PLAIN: Setting = Setting { stride: 1, padding: 0, dilation: 1, groups: 1 };

fn arguments(x: &[usize], weight: &[usize], out: usize, at: Setting) -> Vec<(&'static str, TestArg)> {
    let number = |value: usize| TestArg::from(i64::try_from(value).expect("small"));
    vec![
        ("x", sample(x).symbolic(&[0, 2])),
        ("weight", sample(weight)),
        ("bias", sample(&[out])),
        ("stride", number(at.stride)),
        ("padding", number(at.padding)),
        ("dilation", number(at.dilation)),
        ("groups", number(at.groups)),
    ]
}

/// conv2d by its definition.
fn naive(x: [usize; 4], weight: [usize; 4], at: Setting) -> (Vec<usize>, Vec<f32>) {
    let (data, kernel, bias) = (noise(x.iter().product()), noise(weight.iter().product()), noise(weight[0]));
    let size =
        |axis: usize| (x[axis] + 2 * at.padding - at.dilation * (weight[axis] - 1) - 1) / at.stride + 1;
    let shape = [x[0], weight[0], size(2), size(3)];
    let mut found = Vec::new();
    for place in 0..shape.iter().product() {
        let (b, o) = (place / (shape[1] * shape[2] * shape[3]), place / (shape[2] * shape[3]) % shape[1]);
        let (row, column) = (place / shape[3] % shape[2], place % shape[3]);
        let mut sum = bias[o];
        for tap in 0..weight[1] * weight[2] * weight[3] {
            let (c, i, j) = (tap / (weight[2] * weight[3]), tap / weight[3] % weight[2], tap % weight[3]);
            let channel = o / (weight[0] / at.groups) * weight[1] + c;
            let (h, w) = (row * at.stride + i * at.dilation, column * at.stride + j * at.dilation);
            let inside = |at_: usize, size: usize| at_.checked_sub(at.padding).filter(|at_| *at_ < size);
            if let (Some(h), Some(w)) = (inside(h, x[2]), inside(w, x[3])) {
                let value = data[((b * x[1] + channel) * x[2] + h) * x[3] + w];
                sum += value * kernel[((o * weight[1] + c) * weight[2] + i) * weight[3] + j];
            }
        }
        found.push(sum);
    }
    (shape.to_vec(), found)
}

#[test]
fn conv2d_equals_its_definition() {
    for (x, weight, at) in [
        ([1, 2, 4, 5], [3, 2, 2, 3], PLAIN),
        ([2, 2, 5, 4], [4, 1, 3, 3], Setting { stride: 2, padding: 1, groups: 2, ..PLAIN }),
        ([1, 3, 6, 6], [2, 3, 3, 2], Setting { dilation: 2, padding: 2, ..PLAIN }),
        ([1, 3, 4, 4], [3, 1, 3, 3], Setting { padding: 1, groups: 3, ..PLAIN }),
    ] {
        let (shape, expected) = naive(x, weight, at);
        let found = run_one("conv2d", &arguments(&x, &weight, weight[0], at));
        assert_eq!(found.0, shape);
        assert_close(&found.1, &expected);
    }
}

#[test]
fn conv1d_is_conv2d_on_one_row() {
    for at in [PLAIN, Setting { stride: 2, groups: 2, ..PLAIN }] {
        let (shape, expected) = naive([2, 2, 1, 7], [4, 2 / at.groups, 1, 3], at);
        let found = run_one("conv1d", &arguments(&[2, 2, 7], &[4, 2 / at.groups, 3], 4, at));
        assert_eq!(found.0, [shape[0], shape[1], shape[3]]);
        assert_close(&found.1, &expected);
    }
}

#[test]
fn conv3d_over_one_frame_is_conv2d() {
    let (shape, expected) = naive([1, 2, 4, 4], [3, 2, 2, 2], PLAIN);
    let found = run_one("conv3d", &arguments(&[1, 2, 1, 4, 4], &[3, 2, 1, 2, 2], 3, PLAIN));
    assert_eq!(found.0, [shape[0], shape[1], 1, shape[2], shape[3]]);
    assert_close(&found.1, &expected);
}

#[test]
fn same_padding_keeps_the_size() {
    // torch.nn.functional.conv1d(tensor([[[1., 2, 3]]]), tensor([[[1., 10]]]), padding="same")
    let x = super::super::testing::floats(&[1, 1, 3], &[1.0, 2.0, 3.0]);
    let weight = super::super::testing::floats(&[1, 1, 2], &[1.0, 10.0]);
    let args = [("x", x.clone()), ("weight", weight.clone()), ("padding", "same".into())];
    assert_eq!(run_one("conv1d", &args), (vec![1, 1, 3], vec![21.0, 32.0, 3.0]));
    let strided = [("x", x), ("weight", weight), ("padding", "same".into()), ("stride", 2i64.into())];
    assert_eq!(fault("conv1d", &strided).parameter, Some("padding"));
}

/// `conv_transpose1d` by its definition: every input is spread over the kernel.
#[test]
fn transposed_convolutions_spread_every_input() {
    let (size, kernel, stride, padding, extra) = (4, 3, 2, 1, 1);
    let (x, weight, bias) = (noise(2 * size), noise(2 * 3 * kernel), noise(3));
    let out = (size - 1) * stride + kernel + extra - 2 * padding;
    let mut expected: Vec<f32> = bias.iter().flat_map(|bias| vec![*bias; out]).collect();
    for (c, t, o, k) in (0..2).flat_map(|c| {
        (0..size).flat_map(move |t| (0..3).flat_map(move |o| (0..kernel).map(move |k| (c, t, o, k))))
    }) {
        if let Some(at) = (t * stride + k).checked_sub(padding).filter(|at| *at < out) {
            expected[o * out + at] += x[c * size + t] * weight[(c * 3 + o) * kernel + k];
        }
    }
    let args = |x: &[usize], weight: &[usize]| {
        vec![
            ("x", sample(x).symbolic(&[x.len() - 1])),
            ("weight", sample(weight)),
            ("bias", sample(&[3])),
            ("stride", 2i64.into()),
            ("padding", 1i64.into()),
            ("output_padding", 1i64.into()),
        ]
    };
    let found = run_one("conv_transpose1d", &args(&[1, 2, size], &[2, 3, kernel]));
    assert_eq!(found.0, [1, 3, out]);
    assert_close(&found.1, &expected);
    let mut flat = args(&[1, 2, 1, size], &[2, 3, 1, kernel]);
    flat[3].1 = [1, 2].into();
    flat[4].1 = [0, 1].into();
    flat[5].1 = [0, 1].into();
    let found = run_one("conv_transpose2d", &flat);
    assert_eq!(found.0, [1, 3, 1, out]);
    assert_close(&found.1, &expected);
}

#[test]
fn empty_batches_gradients_and_faults() {
    assert_eq!(run_one("conv1d", &arguments(&[0, 2, 7], &[4, 2, 3], 4, PLAIN)).0, [0, 4, 5]);
    check_gradient(
        "conv1d",
        &arguments(&[1, 2, 4], &[2, 1, 3], 2, Setting { groups: 2, padding: 1, ..PLAIN }),
    );
    let small = [("x", sample(&[1, 1, 3, 3])), ("weight", sample(&[1, 1, 2, 2]))];
    check_gradient("conv2d", &small);
    check_half("conv2d", &small);
    check_half("conv_transpose2d", &small);
    check_gradient("conv_transpose2d", &small);
    let wrong = |x: &[usize], weight: &[usize]| {
        fault("conv1d", &[("x", sample(x)), ("weight", sample(weight))]).message
    };
    assert!(wrong(&[1, 3, 5], &[2, 2, 3]).contains("3 and 2"));
    assert!(wrong(&[1, 2, 2], &[2, 2, 3]).contains("a kernel of 3 on an axis of size 2"));
    assert!(wrong(&[2, 2], &[2, 2, 3]).contains("expected 3"));
}
