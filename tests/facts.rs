//! What is read from a model directory, and what is refused.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use omni::facts::{self, Facts, FactsError, Hub, Kind};
use proptest::prelude::*;
use tempfile::TempDir;

/// A directory with these files; a name with `/` makes folders, one that ends in `/` is a folder.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    for (name, text) in files {
        let path = dir.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).expect("a folder");
        } else {
            fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
    }
    dir
}

fn read(path: impl AsRef<Path>) -> Result<Facts, FactsError> {
    facts::read_in(path, &Hub::none())
}

/// The error of a directory with these files, without the directory's own path.
fn refusal(files: &[(&str, &str)]) -> String {
    let dir = directory(files);
    let error = read(dir.path()).expect_err("an error").to_string();
    error.replace(&dir.path().display().to_string(), "DIR")
}

fn tensor_file(tensors: &[(&str, &str, &[u64])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, dtype, shape) in tensors {
        let start = end;
        end += shape.iter().product::<u64>() * 2;
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
        header.insert((*name).to_owned(), entry);
    }
    let header = serde_json::to_vec(&header).expect("JSON");
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.resize(file.len() + usize::try_from(end).expect("small"), 0);
    file
}

#[test]
fn a_directory_gives_its_config_and_its_listing() {
    let dir = directory(&[
        (
            "config.json",
            r#"{"architectures": ["AForB"], "model_type": "a", "text_config": {"x": [1, {"y": 2}]}}"#,
        ),
        ("model.safetensors", ""),
        ("sub/inner.json", "{}"),
    ]);
    let facts = read(dir.path()).expect("facts");
    assert_eq!(facts.architectures(), ["AForB"]);
    assert_eq!(facts.model_type(), Some("a"));
    assert_eq!(facts.get("text_config.x.1.y"), Some(&2.into()));
    assert_eq!(facts.parts().collect::<Vec<_>>(), ["text_config"]);
    let listing: Vec<_> = facts.entries().iter().map(|e| (e.name.as_str(), e.kind)).collect();
    assert_eq!(listing, [("config.json", Kind::File), ("model.safetensors", Kind::File), ("sub", Kind::Dir)]);
    let deep: Vec<_> = facts.deep_entries().iter().map(|e| e.name.as_str()).collect();
    assert_eq!(deep, ["sub/inner.json"]);
    assert_eq!(facts.document("sub/inner.json").expect("readable").file, "sub/inner.json");
}

#[test]
fn one_file_of_a_model_means_its_directory() {
    let dir = directory(&[("config.json", r#"{"model_type": "a"}"#), ("model.safetensors", "")]);
    let facts = read(dir.path().join("model.safetensors")).expect("facts");
    assert_eq!(facts.root(), dir.path());
    assert_eq!(facts.chosen_file(), Some("model.safetensors"));
    assert_eq!(facts.model_type(), Some("a"));
}

#[test]
fn what_is_no_model_directory_is_named() {
    assert_eq!(refusal(&[]), "`DIR` is an empty directory: give the one that holds the model's files");
    let dir = directory(&[("notes.txt", "hello")]);
    let missing = read(dir.path().join("nowhere")).expect_err("missing");
    assert!(matches!(missing, FactsError::Missing { .. }), "{missing}");
    let text = read(dir.path().join("notes.txt")).expect_err("no model");
    assert!(matches!(text, FactsError::NotAModelFile { .. }), "{text}");
    assert!(read(dir.path()).expect("a directory without a config is no error here").config().is_none());
}

#[test]
fn a_broken_config_is_refused_with_its_place() {
    let refused = |text: &str| refusal(&[("config.json", text)]);
    assert_eq!(refused(""), "`config.json` is empty: download it again");
    assert_eq!(
        refused("[1]"),
        "`config.json` holds a list, expected an object: put the right file in its place"
    );
    assert_eq!(
        refused("{\"a\": 1,}"),
        "`config.json`: trailing comma at line 1 column 9: mend it there, or download it again"
    );
    assert!(refused("{} x").starts_with("`config.json`: trailing characters at line 1 column 4"));
    assert!(
        refused("{\"a\": 1, \"a\": 2}")
            .starts_with("`config.json`: the key `a` occurs twice at line 1 column 12")
    );
    let deep = format!("{}{}", "{\"a\":".repeat(200), "}".repeat(200));
    assert!(refused(&deep).contains("recursion limit exceeded"));
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(10 * 1024 * 1024));
    assert_eq!(
        refused(&large),
        "`config.json` is 10485769 bytes, at most 10485760 are read: put the right file in its place"
    );
}

#[test]
fn a_config_that_is_not_utf8_is_refused() {
    let dir = TempDir::new().expect("a temporary directory");
    fs::write(dir.path().join("config.json"), b"{\"a\": \"\xfe\"}").expect("written");
    let error = read(dir.path()).expect_err("not UTF-8").to_string();
    assert_eq!(
        error,
        "`config.json` is not UTF-8, the first wrong byte is at offset 7: save it as UTF-8, or download it again"
    );
}

#[test]
fn an_unreadable_config_is_an_error_of_the_world() {
    let dir = directory(&[("config.json", "{}")]);
    fs::set_permissions(dir.path().join("config.json"), fs::Permissions::from_mode(0o000)).expect("chmod");
    match read(dir.path()) {
        Err(error) => assert!(matches!(error, FactsError::Io { .. }), "{error}"),
        // Root reads everything.
        Ok(facts) => assert!(facts.config().is_some()),
    }
}

#[test]
fn a_folder_called_config_json_is_no_config() {
    let dir = directory(&[("config.json/", ""), ("model.safetensors", "")]);
    assert!(read(dir.path()).expect("facts").config().is_none());
}

#[test]
fn links_that_loop_or_leave_are_facts_not_failures() {
    let secret = directory(&[("secret.json", r#"{"password": 1}"#)]);
    let dir = directory(&[("real.json", r#"{"model_type": "a"}"#)]);
    symlink(dir.path(), dir.path().join("loop")).expect("a link");
    symlink("circle", dir.path().join("circle")).expect("a link");
    symlink(secret.path().join("secret.json"), dir.path().join("leak.json")).expect("a link");
    symlink("real.json", dir.path().join("config.json")).expect("a link");
    let facts = read(dir.path()).expect("facts");
    assert_eq!(facts.model_type(), Some("a"), "a link within the directory is followed");
    assert!(facts.deep_entries().is_empty(), "links to folders are not entered");
    let kind = |name: &str| facts.entries().iter().find(|e| e.name == name).map(|e| e.kind);
    assert_eq!(kind("circle"), Some(Kind::Other));
    for file in ["leak.json", "../x.json", "/etc/passwd", "loop/../../x.json"] {
        let error = facts.document(file).expect_err("outside");
        assert!(matches!(error, FactsError::Outside { .. }), "{file}: {error}");
    }
}

#[test]
fn hostile_names_are_listed_and_harmless() {
    let dir = directory(&[("config.json", "{}")]);
    let longest = "n".repeat(255);
    for name in ["a\nb", "\u{202e}evil", "with space", "ünïcode", "*?[", longest.as_str()] {
        fs::write(dir.path().join(name), "").expect("written");
    }
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe.json")), "").expect("written");
    let facts = read(dir.path()).expect("facts");
    assert_eq!(facts.entries().len(), 8);
    assert!(facts.has_file("a\nb") && facts.has_file(&longest));
}

#[test]
fn a_repository_id_means_its_snapshot_in_the_cache() {
    let hub = directory(&[
        ("models--org--name/refs/main", "abc\n"),
        ("models--org--name/snapshots/old/config.json", r#"{"model_type": "old"}"#),
        ("models--org--name/snapshots/abc/readme", ""),
        ("models--org--name/blobs/0123", r#"{"model_type": "new"}"#),
        ("models--alone/snapshots/x/config.json", r#"{"model_type": "alone"}"#),
        ("models--org--torn/snapshots/", ""),
    ]);
    let snapshot = hub.path().join("models--org--name/snapshots/abc");
    symlink("../../blobs/0123", snapshot.join("config.json")).expect("a link");
    let at = Hub::at(hub.path());
    let facts = facts::read_in("org/name", &at).expect("the snapshot of main");
    assert_eq!((facts.model_type(), facts.name()), (Some("new"), "org/name"));
    let old = facts::read_in("org/name@old", &at).expect("the named snapshot");
    assert_eq!(old.model_type(), Some("old"));
    let by_path = read(hub.path().join("models--org--name")).expect("the repository's folder");
    assert_eq!((by_path.model_type(), by_path.name()), (Some("new"), "org/name"));
    assert_eq!(facts::read_in("alone", &at).expect("one snapshot").model_type(), Some("alone"));
    let torn = facts::read_in("org/torn", &at).expect_err("no snapshot").to_string();
    assert!(torn.contains("the folder `snapshots` is empty"), "{torn}");
    let absent = facts::read_in("org/absent", &at).expect_err("absent").to_string();
    assert!(absent.contains("has no `org/absent`: check how it is spelled, allow the download"), "{absent}");
    for id in ["../org/name", "org//name", "org/na..me", "a/b/c", "-a/b"] {
        assert!(matches!(facts::read_in(id, &at), Err(FactsError::Missing { .. })), "{id}");
    }
}

#[test]
fn quantisation_is_seen_wherever_it_is_said() {
    let cases = [
        (
            r#"{"quantization_config": {"quant_method": "GPTQ", "bits": 4}}"#,
            None,
            "quantization_config",
            Some("gptq"),
        ),
        (
            r#"{"text_config": {"quantization_config": {"quant_method": "awq"}}}"#,
            None,
            "text_config.quantization_config",
            Some("awq"),
        ),
        (
            r#"{"thinker_config": {"text_config": {"quantization_config": {}}}}"#,
            None,
            "thinker_config.text_config.quantization_config",
            None,
        ),
        ("{}", Some(("quantize_config.json", r#"{"bits": 4}"#)), "quantize_config.json", None),
        ("{}", Some(("quant_config.json", "broken")), "quant_config.json", None),
        (
            "{}",
            Some(("hf_quant_config.json", r#"{"quantization": {"quant_algo": "FP8"}}"#)),
            "hf_quant_config.json",
            Some("fp8"),
        ),
    ];
    for (config, beside, found_at, method) in cases {
        let mut files = vec![("config.json", config)];
        files.extend(beside);
        let dir = directory(&files);
        let facts = read(dir.path()).expect("facts");
        let found = facts.quantization().unwrap_or_else(|| panic!("{config} is quantised"));
        assert_eq!((found.found_at.as_str(), found.method.as_deref()), (found_at, method));
    }
    let plain = Facts::of_config("plain", serde_json::json!({"quantization_config": null}));
    assert_eq!(plain.quantization(), None);
}

#[test]
fn custom_code_is_listed_and_never_needed() {
    let dir = directory(&[
        ("config.json", r#"{"auto_map": {"AutoModel": "modeling_x.X", "AutoConfig": "configuration_x.C"}}"#),
        ("modeling_x.py", "raise SystemExit"),
        ("configuration_x.py", ""),
        ("setup.py", ""),
    ]);
    let facts = read(dir.path()).expect("facts");
    assert_eq!(facts.custom_code().collect::<Vec<_>>(), ["configuration_x.py", "modeling_x.py"]);
    assert_eq!(facts.auto_map(), [("AutoConfig", "configuration_x.C"), ("AutoModel", "modeling_x.X")]);
    assert!(facts.has_custom_code());
}

#[test]
fn tensor_names_come_from_the_files_that_the_index_lists() {
    let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
    let dir = directory(&[("config.json", "{}"), ("model.safetensors.index.json", index)]);
    let write = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).expect("written");
    write("one.safetensors", tensor_file(&[("a", "F16", &[2, 3])]));
    write("two.safetensors", tensor_file(&[("b", "BF16", &[4])]));
    write("stray.safetensors", tensor_file(&[("c", "F32", &[100])]));
    let facts = read(dir.path()).expect("facts");
    let names: Vec<_> = facts.tensors().expect("headers").iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(facts.dtypes().expect("headers"), ["BF16", "F16"]);
    assert_eq!(facts.parameters().expect("headers"), Some(10));
}

#[test]
fn an_index_that_leaves_the_directory_is_refused() {
    let index = r#"{"weight_map": {"a": "../other/model.safetensors"}}"#;
    let dir = directory(&[("config.json", "{}"), ("model.safetensors.index.json", index)]);
    let error = read(dir.path()).expect("facts").tensors().expect_err("refused");
    assert!(matches!(error, FactsError::Outside { .. }), "{error}");
}

#[test]
fn a_tensor_in_two_shards_counts_once() {
    let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
    let dir = directory(&[("config.json", "{}"), ("model.safetensors.index.json", index)]);
    let write = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).expect("written");
    write("one.safetensors", tensor_file(&[("b", "F16", &[2, 3]), ("a", "F16", &[5])]));
    write("two.safetensors", tensor_file(&[("b", "F16", &[2, 3])]));
    let facts = read(dir.path()).expect("facts");
    assert_eq!(facts.parameters().expect("headers"), Some(11));
    assert_eq!(facts.tensors().expect("headers").len(), 2);
}

#[test]
fn a_link_that_leads_nowhere_is_told_as_such() {
    let link = |dir: &Path, name: &str| {
        symlink("../../blobs/gone", dir.join(name)).expect("a link");
    };
    let message = |error: &FactsError| {
        let message = error.to_string();
        assert!(message.contains("is a link to `../../blobs/gone`, which is not there"), "{message}");
    };
    let dir = directory(&[("README.md", "")]);
    link(dir.path(), "config.json");
    message(&read(dir.path()).expect_err("no config"));
    let dir = directory(&[("config.json", "{}")]);
    link(dir.path(), "model.safetensors");
    let facts = read(dir.path()).expect("facts");
    message(&facts.tensors().expect_err("no weights"));
    message(&facts.parameters().expect_err("no weights"));
}

#[test]
fn a_weight_file_that_is_a_pointer_or_torn_is_an_error_not_a_panic() {
    for bytes in
        [&b""[..], b"version https://git-lfs.github.com/spec/v1", &[255; 64], &[8, 0, 0, 0, 0, 0, 0, 0, b'{']]
    {
        let dir = directory(&[("config.json", "{}")]);
        fs::write(dir.path().join("model.safetensors"), bytes).expect("written");
        let error = read(dir.path()).expect("facts").tensors().expect_err("no header");
        assert!(matches!(error, FactsError::Header { .. } | FactsError::LfsPointer { .. }), "{error}");
    }
}

/// The reader that loads is the one that looks: what is wrong with a header is an error before anything is loaded.
#[test]
fn a_header_that_lies_is_told_by_what_only_looks() {
    let whole = tensor_file(&[("a", "F16", &[2, 3]), ("b", "BF16", &[4])]);
    let text = String::from_utf8_lossy(&whole).into_owned();
    for (bytes, message) in [
        (whole[..whole.len() - 3].to_vec(), "it is cut short: it has"),
        ([&whole[..], &[0; 5]].concat(), "5 bytes behind the last tensor belong to none"),
        (text.replace("\"b\"", "\"a\"").into_bytes(), "its header names `a` twice"),
        (text.replace("[12,20]", "[10,18]").into_bytes(), "the bytes of `b` begin inside those of `a`"),
        (text.replace("[12,20]", "[14,22]").into_bytes(), "2 bytes before `b` belong to no tensor"),
        (text.replace("[2,3]", "[2,4]").into_bytes(), "`a` is F16 [2, 4], 16 bytes, but its offsets span 12"),
        (text.replace("BF16", "XF16").into_bytes(), "tensor `b`: unknown variant `XF16`"),
    ] {
        let dir = directory(&[("config.json", "{}")]);
        fs::write(dir.path().join("model.safetensors"), bytes).expect("written");
        let error = read(dir.path()).expect("facts").tensors().expect_err("a lie").to_string();
        assert!(error.starts_with("`model.safetensors`: ") && error.contains(message), "{error}");
        assert!(error.ends_with(": download it again"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_as_a_config_give_facts_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let dir = TempDir::new().expect("a temporary directory");
        fs::write(dir.path().join("config.json"), bytes).expect("written");
        if let Ok(facts) = read(dir.path()) {
            let _ = (facts.architectures(), facts.model_type(), facts.quantization(), facts.auto_map());
        }
    }

    #[test]
    fn any_bytes_as_weights_give_tensors_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        npz in any::<bool>(),
    ) {
        let dir = directory(&[("config.json", "{}")]);
        let mut bytes = bytes;
        if npz {
            bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x10\0\0\0\0\0\0\0\0\0");
        }
        fs::write(dir.path().join(if npz { "p.npz" } else { "p.safetensors" }), bytes).expect("written");
        let _ = read(dir.path()).expect("facts").tensors();
    }
}
