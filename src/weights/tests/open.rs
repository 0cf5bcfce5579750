//! Opening: every way in which a directory can be right or wrong.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use crate::weights::testing::{file, ramp, singles, write};
use crate::weights::{Access, Checkpoint, IndexProblem, OpenOptions, StoredDtype, WeightsError};

fn temporary() -> TempDir {
    tempfile::tempdir().expect("temporary directory")
}

fn tensor(name: &str, seed: usize) -> (&str, StoredDtype, Vec<usize>, Vec<u8>) {
    (name, StoredDtype::F32, vec![2, 2], ramp(16 + seed)[seed..].to_vec())
}

/// Two shards and an index that agrees with them.
fn sharded(dir: &Path) {
    write(&dir.join("model-00001-of-00002.safetensors"), &[tensor("a", 0), tensor("b", 1)]);
    write(&dir.join("model-00002-of-00002.safetensors"), &[tensor("c", 2)]);
    index(dir, &[("a", 1), ("b", 1), ("c", 2)]);
}

fn index(dir: &Path, map: &[(&str, usize)]) {
    let lines: Vec<String> = map
        .iter()
        .map(|(name, shard)| format!(r#""{name}": "model-{shard:05}-of-00002.safetensors""#))
        .collect();
    let text = format!(r#"{{"metadata": {{}}, "weight_map": {{{}}}}}"#, lines.join(","));
    fs::write(dir.join("model.safetensors.index.json"), text).expect("written");
}

fn problems(dir: &Path) -> Vec<IndexProblem> {
    match Checkpoint::open(dir) {
        Err(WeightsError::Index { problems, .. }) => problems,
        other => panic!("expected index problems, got {other:?}"),
    }
}

#[test]
fn shards_are_one_name_space() {
    let dir = temporary();
    sharded(dir.path());
    for access in [Access::Map, Access::Read] {
        let options = OpenOptions { access, ..OpenOptions::default() };
        let checkpoint = Checkpoint::open_with(dir.path(), &options).expect("opens");
        let names: Vec<&str> = checkpoint.tensors().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(checkpoint.total_bytes(), 48);
        assert_eq!(checkpoint.dtypes()[&StoredDtype::F32], (3, 48));
        assert_eq!(checkpoint.bytes("c").expect("there")[..], ramp(18)[2..]);
        assert!(matches!(checkpoint.bytes("z"), Err(WeightsError::Absent { .. })));
        assert!(checkpoint.remarks().is_empty(), "{:?}", checkpoint.remarks());
        assert_eq!(checkpoint.files()[1].metadata["format"], "pt");
    }
    let mapped = Checkpoint::open(dir.path().join("model.safetensors.index.json")).expect("opens");
    let bytes = mapped.bytes("a").expect("there");
    assert!(matches!(bytes, std::borrow::Cow::Borrowed(_)), "a mapped tensor was copied");
}

#[test]
fn every_disagreement_is_found_at_once() {
    let dir = temporary();
    write(&dir.path().join("model-00001-of-00002.safetensors"), &[tensor("a", 0), tensor("extra", 1)]);
    index(dir.path(), &[("a", 1), ("lacking", 1), ("c", 2), ("d", 2)]);
    let problems = problems(dir.path());
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{text:?}");
    assert!(text[0].contains("`model-00002-of-00002.safetensors` is missing, and with it 2"));
    assert!(text[1].contains("places `lacking`"), "{text:?}");
    assert!(text[2].contains("holds `extra`, which the index does not name"), "{text:?}");
}

#[test]
fn a_tensor_in_two_shards_or_in_the_wrong_one_is_found() {
    let dir = temporary();
    sharded(dir.path());
    write(&dir.path().join("model-00002-of-00002.safetensors"), &[tensor("c", 2), tensor("a", 3)]);
    assert!(matches!(&problems(dir.path())[..], [IndexProblem::Duplicate { tensor, .. }] if tensor == "a"));
    index(dir.path(), &[("a", 1), ("b", 2), ("c", 2)]);
    let problems = problems(dir.path());
    let found = problems.iter().any(|problem| {
        matches!(problem, IndexProblem::NotInShard { tensor, instead: Some(_), .. } if tensor == "b")
    });
    assert!(found, "{problems:?}");
}

#[test]
fn an_index_cannot_lead_out_of_its_directory() {
    let dir = temporary();
    let inside = dir.path().join("inside");
    fs::create_dir(&inside).expect("made");
    write(&dir.path().join("secret.safetensors"), &[tensor("a", 0)]);
    let absolute = dir.path().join("secret.safetensors");
    for path in ["../secret.safetensors", absolute.to_str().expect("text")] {
        let text = format!(r#"{{"weight_map": {{"a": "{path}"}}}}"#);
        fs::write(inside.join("model.safetensors.index.json"), text).expect("written");
        assert!(matches!(&problems(&inside)[..], [IndexProblem::Outside { .. }]), "{path}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_cannot_lead_out_of_its_directory() {
    let dir = temporary();
    let inside = dir.path().join("inside");
    fs::create_dir(&inside).expect("made");
    write(&dir.path().join("secret.safetensors"), &[tensor("a", 0)]);
    std::os::unix::fs::symlink("../secret.safetensors", inside.join("model.safetensors")).expect("linked");
    assert!(matches!(Checkpoint::open(&inside), Err(WeightsError::Outside { .. })));
}

#[test]
fn stale_files_beside_an_index_are_remarked_on() {
    let dir = temporary();
    sharded(dir.path());
    write(&dir.path().join("model.safetensors"), &[tensor("old", 0)]);
    write(&dir.path().join("other.safetensors"), &[tensor("old", 0)]);
    let checkpoint = Checkpoint::open(dir.path()).expect("the index decides");
    assert!(checkpoint.get("old").is_none());
    let remark = &checkpoint.remarks()[0];
    assert!(remark.contains("`model.safetensors`") && !remark.contains("other"), "{remark}");
}

#[test]
fn a_set_without_an_index_opens_if_it_is_whole() {
    let dir = temporary();
    sharded(dir.path());
    fs::remove_file(dir.path().join("model.safetensors.index.json")).expect("removed");
    let checkpoint = Checkpoint::open(dir.path()).expect("whole");
    assert_eq!(checkpoint.tensors().len(), 3);
    assert!(checkpoint.remarks()[0].contains("without an index"));
    fs::remove_file(dir.path().join("model-00002-of-00002.safetensors")).expect("removed");
    let error = Checkpoint::open(dir.path()).expect_err("a part is missing").to_string();
    assert!(error.contains("model-00002-of-00002.safetensors"), "{error}");
}

#[test]
fn files_that_are_no_weights_are_named() {
    let dir = temporary();
    let path = dir.path().join("model.safetensors");
    let check = |contents: &[u8], part: &str| {
        fs::write(&path, contents).expect("written");
        let error = Checkpoint::open(dir.path()).expect_err("not weights").to_string();
        assert!(error.contains("model.safetensors") && error.contains(part), "{error}");
    };
    check(b"", "is empty");
    check(b"version https://git-lfs.github.com/spec/v1\nsize 77\n", "Git LFS pointer, not the 77");
    check(b"<!DOCTYPE html><html></html>", "of another format");
    let whole = file(&[tensor("a", 0)]);
    check(&whole[..whole.len() - 3], "is cut short");
    check(&whole[..20], "cut short");
    let missing = Checkpoint::open(dir.path().join("nowhere")).expect_err("not there").to_string();
    assert!(missing.contains("nowhere"), "{missing}");
}

#[test]
fn pickles_that_are_none_are_told_by_their_first_bytes() {
    let dir = temporary();
    let path = dir.path().join("pytorch_model.bin");
    let zip = super::load::fixture("zip.bin");
    for (contents, part) in [
        (&zip[..zip.len() / 2], "cut short"),
        (&file(&[tensor("a", 0)])[..], "safetensors"),
        (b"<!DOCTYPE html>", "web page"),
    ] {
        fs::write(&path, contents).expect("written");
        let error = Checkpoint::open(dir.path()).expect_err("no pickle").to_string();
        assert!(error.contains("pytorch_model.bin") && error.contains(part), "{error}");
    }
}

#[test]
fn broken_shards_are_reported_together() {
    let dir = temporary();
    sharded(dir.path());
    for shard in 1..3 {
        let path = dir.path().join(format!("model-{shard:05}-of-00002.safetensors"));
        fs::write(path, b"version https://git-lfs.github.com/spec/v1\nsize 77\n").expect("written");
    }
    let problems = problems(dir.path());
    assert_eq!(problems.len(), 2);
    assert!(problems.iter().all(|problem| problem.to_string().contains("git lfs pull")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever bytes stand in a file of any kind, opening and reading ends in an answer.
    #[test]
    fn mutated_files_never_panic(
        name in prop::sample::select(vec!["w.safetensors", "zip.bin", "legacy.bin", "arrays.npz"]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = match name {
            "w.safetensors" => file(&[tensor("a", 0), tensor("b", 1)]),
            _ => super::load::fixture(name),
        };
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        let dir = temporary();
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("written");
        if let Ok(checkpoint) = Checkpoint::open(&path) {
            for (name, entry) in checkpoint.tensors() {
                if let Ok(read) = checkpoint.bytes(name) {
                    prop_assert_eq!(read.len(), entry.bytes);
                }
            }
        }
    }

    #[test]
    fn any_index_ends_in_an_answer(text in "[\\{\\}\\[\\]\":,a-z0-9_./]{0,60}") {
        let dir = temporary();
        write(&dir.path().join("a"), &[("a", StoredDtype::F32, vec![1], singles(&[1.0]))]);
        for text in [text.clone(), format!(r#"{{"weight_map":{{"a":"{}"}}}}"#, text.replace('"', ""))] {
            fs::write(dir.path().join("model.safetensors.index.json"), text).expect("written");
            let _ = Checkpoint::open(dir.path());
        }
    }
}
