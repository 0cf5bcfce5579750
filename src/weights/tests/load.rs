//! Loading: formats, dtypes, conversions, what is copied and what is seen.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{AllocationProperty, BoolStore, DType, TensorData};

use crate::weights::testing::{Written, singles, write};
use crate::weights::{
    Access, BindRules, Binding, Checkpoint, LoadDtype, LoadOptions, OpenOptions, Stored, StoredDtype, Wanted,
    bind,
};

fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights").join(name)
}

/// A file made by `tests/fixtures/weights/make.py`.
pub(super) fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixture_path(name)).expect("a committed fixture")
}

/// Every tensor of a checkpoint as a parameter of its own name.
fn bind_all(checkpoint: &Checkpoint) -> Binding {
    let wanted: Vec<Wanted> =
        checkpoint.tensors().map(|(name, entry)| Wanted::new(name, entry.shape.clone())).collect();
    bind(&wanted, checkpoint, &BindRules::default()).expect("every tensor binds to itself")
}

fn load_one(checkpoint: &Checkpoint, name: &str, dtype: LoadDtype) -> TensorData {
    let options = LoadOptions { dtype, check_values: false };
    bind_all(checkpoint).load_one(name, checkpoint, options).expect("loads").data
}

fn singles_of(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    load_one(checkpoint, name, LoadDtype::F32).to_vec().expect("singles")
}

#[test]
fn pickles_are_read_as_data() {
    for name in ["zip.bin", "legacy.bin"] {
        let checkpoint = Checkpoint::open(fixture_path(name)).expect("opens");
        let names: Vec<&str> = checkpoint.tensors().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "flags", "i", "t"], "{name}");
        assert_eq!(singles_of(&checkpoint, "a"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(singles_of(&checkpoint, "t"), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0], "{name}");
        assert_eq!(singles_of(&checkpoint, "b"), [1.0, -2.0, 0.5, 3.0]);
        assert_eq!(load_one(&checkpoint, "i", LoadDtype::F32).to_vec::<i64>().expect("i64"), [7]);
        let flags = load_one(&checkpoint, "flags", LoadDtype::F32);
        assert_eq!(flags.to_vec::<bool>().expect("bools"), [true, false, true]);
        assert_eq!(checkpoint.get("t").expect("there").shape, [3, 2]);
    }
}

#[test]
fn a_pickle_that_asks_for_a_command_is_not_obeyed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("pytorch_model.bin");
    fs::copy(fixture_path("evil.bin"), &path).expect("copied");
    let checkpoint = Checkpoint::open(dir.path()).expect("what is data is read");
    let names: Vec<&str> = checkpoint.tensors().map(|(name, _)| name).collect();
    assert_eq!(names, ["a"], "the command is no tensor");
    assert!(!Path::new("executed").exists() && !dir.path().join("executed").exists());
}

#[test]
fn numpy_arrays_in_every_storage() {
    for access in [Access::Map, Access::Read] {
        let options = OpenOptions { access, ..OpenOptions::default() };
        let path = fixture_path("arrays.npz");
        let checkpoint = Checkpoint::open_with(path, &options).expect("opens");
        let ramp = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(singles_of(&checkpoint, "plain"), ramp);
        assert_eq!(singles_of(&checkpoint, "packed"), ramp);
        assert_eq!(singles_of(&checkpoint, "columns"), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(singles_of(&checkpoint, "half"), [1.0, -2.0]);
        assert_eq!(load_one(&checkpoint, "scalar", LoadDtype::Keep).dtype, DType::I64);
        assert!(checkpoint.get("plain").expect("there").range().is_some());
        assert!(checkpoint.get("columns").expect("there").range().is_none());
    }
}

fn small(tensors: &[Written<'_>]) -> (tempfile::TempDir, Checkpoint) {
    let dir = tempfile::tempdir().expect("temporary directory");
    write(&dir.path().join("model.safetensors"), tensors);
    let checkpoint = Checkpoint::open(dir.path()).expect("opens");
    (dir, checkpoint)
}

#[test]
fn floats_follow_the_policy_and_the_rest_is_kept() {
    let (_dir, checkpoint) = small(&[
        ("f", StoredDtype::F32, vec![2], singles(&[1.0, 2.0])),
        ("b", StoredDtype::BF16, vec![2], vec![0x80, 0x3F, 0x00, 0x40]),
        ("e", StoredDtype::F8E4M3, vec![2], vec![0x38, 0x40]),
        ("i", StoredDtype::I32, vec![1], vec![5, 0, 0, 0]),
        ("t", StoredDtype::Bool, vec![3], vec![0, 1, 9]),
        ("z", StoredDtype::F32, vec![0, 3], vec![]),
    ]);
    for (policy, expected) in [
        (LoadDtype::Keep, [DType::F32, DType::BF16, DType::BF16]),
        (LoadDtype::F32, [DType::F32; 3]),
        (LoadDtype::F16, [DType::F16; 3]),
        (LoadDtype::BF16, [DType::BF16; 3]),
    ] {
        for (name, dtype) in ["f", "b", "e"].into_iter().zip(expected) {
            let data = load_one(&checkpoint, name, policy);
            assert_eq!(data.dtype, dtype, "{name} {policy:?}");
            let values: Vec<f32> = data.iter().collect();
            assert_eq!(values, [1.0, 2.0], "{name} {policy:?}");
        }
        assert_eq!(load_one(&checkpoint, "i", policy).dtype, DType::I32);
        let flags = load_one(&checkpoint, "t", policy);
        assert_eq!(flags.dtype, DType::Bool(BoolStore::Native));
        assert_eq!(flags.as_bytes(), [0, 1, 1], "a stored 9 is true, not undefined");
        assert_eq!(load_one(&checkpoint, "z", policy).shape.as_slice(), [0, 3]);
    }
}

#[test]
fn a_mapped_tensor_is_not_copied() {
    let (dir, checkpoint) = small(&[("a", StoredDtype::F32, vec![4, 2], singles(&[1.0; 8]))]);
    let data = load_one(&checkpoint, "a", LoadDtype::Keep);
    assert!(matches!(data.bytes.property(), AllocationProperty::File), "copied");
    let rows = Stored::Slice { of: Box::new(Stored::tensor("a")), axis: 0, start: 1, len: 2, total: 4 };
    let wanted = Wanted { stored: vec![rows], ..Wanted::new("rows", [2, 2]) };
    let binding = bind(&[wanted], &checkpoint, &BindRules::default()).expect("binds");
    let rows = binding.load_one("rows", &checkpoint, LoadOptions::default()).expect("loads");
    assert!(matches!(rows.data.bytes.property(), AllocationProperty::File), "copied");

    let options = OpenOptions { access: Access::Read, ..OpenOptions::default() };
    let read = Checkpoint::open_with(dir.path(), &options).expect("opens");
    let data = load_one(&read, "a", LoadDtype::Keep);
    assert!(matches!(data.bytes.property(), AllocationProperty::Native), "not in own memory");
    // The mapping outlives the checkpoint, since the tensor still uses it.
    drop(checkpoint);
    assert_eq!(rows.data.to_vec::<f32>().expect("singles"), [1.0; 4]);
}

#[test]
fn progress_ends_at_the_total_and_values_are_looked_at() {
    let (_dir, checkpoint) = small(&[
        ("a", StoredDtype::F32, vec![2], singles(&[1.0, f32::NAN])),
        ("b", StoredDtype::F32, vec![2], singles(&[1.0, 1e9])),
    ]);
    let binding = bind_all(&checkpoint);
    let options = |dtype, check_values| LoadOptions { dtype, check_values };
    let mut seen = Vec::new();
    let mut progress = |done, total| seen.push((done, total));
    let loaded: Vec<_> = binding
        .load(&checkpoint, options(LoadDtype::F16, false), &mut progress)
        .map(|loaded| loaded.expect("loads"))
        .map(|loaded| (loaded.name, loaded.has_nan, loaded.overflowed))
        .collect();
    assert_eq!(loaded, [("a", true, false), ("b", false, true)]);
    assert_eq!(seen, [(8, 16), (16, 16)]);
    let unseen = binding.load_one("a", &checkpoint, options(LoadDtype::Keep, false));
    assert!(!unseen.expect("loads").has_nan, "kept tensors are looked at only if asked for");
    let checked = binding.load_one("a", &checkpoint, options(LoadDtype::Keep, true));
    assert!(checked.expect("loads").has_nan);
}

/// More than one piece: a matrix of 17 MiB, transposed, cut and converted on its way, in both ways of
/// reading.
#[test]
fn large_tensors_come_in_pieces_that_fit_together() {
    let (rows, columns) = (2050_usize, 2100_usize);
    let value = |at: usize| f32::from(u16::try_from(at % 65_521).unwrap_or(0));
    let values: Vec<f32> = (0..rows * columns).map(value).collect();
    let (dir, _) = small(&[("a", StoredDtype::F32, vec![rows, columns], singles(&values))]);
    for access in [Access::Map, Access::Read] {
        let options = OpenOptions { access, ..OpenOptions::default() };
        let checkpoint = Checkpoint::open_with(dir.path(), &options).expect("opens");
        let a = || Box::new(Stored::tensor("a"));
        let transposed = Stored::Transpose(a(), 0, 1);
        let joined = Stored::Concat(vec![*a(), *a()], 1);
        let wanted = [
            Wanted { stored: vec![transposed], ..Wanted::new("t", [columns, rows]) },
            Wanted { stored: vec![joined], ..Wanted::new("j", [rows, 2 * columns]) },
        ];
        let binding = bind(&wanted, &checkpoint, &BindRules::default()).expect("binds");
        let load = |name, dtype| {
            let options = LoadOptions { dtype, check_values: false };
            binding.load_one(name, &checkpoint, options).expect("loads").data
        };
        let transposed: Vec<f32> = load("t", LoadDtype::Keep).to_vec().expect("singles");
        let joined: Vec<f32> = load("j", LoadDtype::Keep).to_vec().expect("singles");
        let halves = load("t", LoadDtype::BF16);
        let halves = halves.as_slice::<half::bf16>().expect("brain floats");
        for row in (0..rows).step_by(97) {
            for column in (0..columns).step_by(89) {
                let expected = value(row * columns + column);
                assert!((transposed[column * rows + row] - expected).abs() < 0.5);
                assert!((joined[row * 2 * columns + columns + column] - expected).abs() < 0.5);
                assert_eq!(halves[column * rows + row], half::bf16::from_f32(expected));
            }
        }
    }
}
