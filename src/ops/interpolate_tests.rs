//! Resampling against values recorded from `PyTorch`.

use super::super::testing::{
    TestArg, assert_within, check_gradient, check_half, fault, floats, run_one, sample,
};

// x = torch.arange(12.).reshape(1, 1, 3, 4) ** 1.5; F.interpolate(x, size or scale_factor, mode=…, align_corners=…)
#[test]
#[expect(clippy::type_complexity, reason = "a table of recorded cases")]
fn sizes_and_numbers_equal_pytorch() {
    let numbers = [0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0].map(|x| x.powf(1.5));
    let cases: [(&str, &'static str, TestArg, bool, &[usize; 2], &[f32]); 8] = [
        (
            "nearest",
            "size",
            [5, 3].into(),
            false,
            &[5, 3],
            &[
                0.0, 1.0, 2.82843, 0.0, 1.0, 2.82843, 8.0, 11.18034, 14.69694, 8.0, 11.18034, 14.69694,
                22.62742, 27.0, 31.62278,
            ],
        ),
        (
            "nearest",
            "scale",
            2.0.into(),
            false,
            &[6, 8],
            &[
                0.0, 0.0, 1.0, 1.0, 2.82843, 2.82843, 5.19615, 5.19615, 0.0, 0.0, 1.0, 1.0, 2.82843, 2.82843,
                5.19615, 5.19615, 8.0, 8.0, 11.18034, 11.18034, 14.69694, 14.69694, 18.52026, 18.52026, 8.0,
                8.0, 11.18034, 11.18034, 14.69694, 14.69694, 18.52026, 18.52026, 22.62742, 22.62742, 27.0,
                27.0, 31.62278, 31.62278, 36.48287, 36.48287, 22.62742, 22.62742, 27.0, 27.0, 31.62278,
                31.62278, 36.48287, 36.48287,
            ],
        ),
        (
            "bilinear",
            "size",
            [2, 6].into(),
            false,
            &[2, 6],
            &[
                2.0, 2.77254, 3.92016, 5.42048, 7.16137, 8.52718, 18.97056, 21.00782, 23.76946, 26.66694,
                29.69177, 31.99222,
            ],
        ),
        ("bilinear", "scale", 0.5.into(), false, &[1, 2], &[5.04508, 10.31044]),
        (
            "bilinear",
            "size",
            [4, 5].into(),
            true,
            &[4, 5],
            &[
                0.0, 0.75, 1.91421, 3.42036, 5.19615, 5.33333, 7.1735, 9.26383, 11.5753, 14.07889, 12.87581,
                15.55912, 18.39622, 21.38111, 24.5078, 22.62742, 25.90685, 29.31139, 32.8378, 36.48287,
            ],
        ),
        (
            "bicubic",
            "size",
            [4, 6].into(),
            false,
            &[4, 6],
            &[
                -0.64744, -0.31252, 0.54823, 1.5497, 3.26822, 4.43625, 3.31367, 4.38075, 6.31499, 7.92346,
                10.41428, 12.02193, 13.81576, 15.69023, 18.84647, 21.20022, 24.66296, 26.83515, 23.29035,
                25.46558, 29.11167, 31.81188, 35.74575, 38.20053,
            ],
        ),
        (
            "bicubic",
            "size",
            [2, 3].into(),
            false,
            &[2, 3],
            &[1.46895, 3.72299, 7.2392, 20.11749, 25.9429, 32.28744],
        ),
        (
            "bicubic",
            "scale",
            1.5.into(),
            false,
            &[4, 6],
            &[
                -0.76482, -0.44675, 0.38913, 1.3763, 3.07654, 4.23411, 2.45694, 3.37705, 5.09543, 6.58129,
                8.91587, 10.43448, 10.4864, 12.2058, 15.11918, 17.31355, 20.5639, 22.61061, 20.29901,
                22.36542, 25.83697, 28.41722, 32.18919, 34.54739,
            ],
        ),
    ];
    for (mode, key, value, align, shape, expected) in cases {
        let x = floats(&[1, 1, 3, 4], &numbers);
        let args = [("x", x), (key, value), ("mode", mode.into()), ("align_corners", align.into())];
        let found = run_one("interpolate", &args);
        assert_eq!(found.0, [1, 1, shape[0], shape[1]], "{mode}");
        assert_within(&found.1, expected, 2e-5);
    }
}

#[test]
fn sizes_may_be_known_to_the_run_only() {
    let x = sample(&[2, 3, 4, 4]).symbolic(&[2, 3]);
    let size = super::super::testing::list(&[TestArg::Size(7), TestArg::Size(5)]);
    let args = [("x", x.clone()), ("size", size), ("mode", "bicubic".into())];
    assert_eq!(run_one("interpolate", &args).0, [2, 3, 7, 5]);
    assert_eq!(run_one("interpolate", &[("x", x.clone()), ("scale", 2i64.into())]).0, [2, 3, 8, 8]);
    assert_eq!(run_one("interpolate", &[("x", x.clone()), ("scale", 0.5.into())]).0, [2, 3, 2, 2]);
    assert!(fault("interpolate", &[("x", x.clone()), ("scale", 1.5.into())]).help.is_some());
    assert_eq!(fault("interpolate", &[("x", x), ("mode", "linear".into())]).parameter, Some("mode"));
    assert_eq!(
        run_one("interpolate", &[("x", sample(&[0, 3, 4, 4])), ("size", 2i64.into())]).0,
        [0, 3, 2, 2]
    );
}

#[test]
fn gradients_flow() {
    let half = [("x", sample(&[1, 1, 3, 4])), ("size", [5, 2].into()), ("mode", "bicubic".into())];
    check_half("interpolate", &half);
    for mode in ["nearest", "bilinear", "bicubic"] {
        check_gradient(
            "interpolate",
            &[("x", sample(&[1, 1, 2, 3])), ("size", [3, 4].into()), ("mode", mode.into())],
        );
    }
    check_gradient(
        "interpolate",
        &[("x", sample(&[1, 2, 3])), ("size", 5i64.into()), ("mode", "linear".into())],
    );
}
