//! Downloads, from a hub that this test is: what is asked for, what is not, and what happens when something is wrong.

#![cfg(feature = "hub")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

type Outcome = Result<(), Box<dyn Error>>;

const SHA: &str = "0123456789abcdef";

/// A hub with one repository, `org/demo`.
struct Server {
    endpoint: String,
    /// Every request: its path, and the range that it asks for.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    cache: tempfile::TempDir,
}

/// What the repository holds.
type Files = BTreeMap<String, Vec<u8>>;

impl Server {
    /// Serves the files; `lies` are said to be larger than they are.
    fn start(files: Files, lies: &'static [&'static str]) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &files, lies, &log);
            }
        });
        Ok(Self { endpoint, asked, cache: tempfile::tempdir()? })
    }

    /// Runs `omni` with this hub and its own empty cache.
    fn omni(&self, args: &[&str]) -> Result<(i32, String, String), Box<dyn Error>> {
        let out = Command::new(env!("CARGO_BIN_EXE_omni"))
            .args(args)
            .current_dir(self.cache.path())
            .env("HF_ENDPOINT", &self.endpoint)
            .env("HF_HUB_CACHE", self.hub())
            .env("XDG_CONFIG_HOME", self.cache.path())
            .env("NO_COLOR", "1")
            .env_remove("OMNI_REGISTRY")
            .env_remove("HF_TOKEN")
            .env_remove("HF_HUB_OFFLINE")
            .output()?;
        let code = out.status.code().ok_or("killed by a signal")?;
        Ok((code, String::from_utf8(out.stdout)?, String::from_utf8(out.stderr)?))
    }

    fn hub(&self) -> PathBuf {
        self.cache.path().join("hub")
    }

    fn snapshot(&self) -> PathBuf {
        self.hub().join("models--org--demo/snapshots").join(SHA)
    }

    /// The requests since the last call.
    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.asked.lock().expect("the server does not panic"))
    }
}

fn answer(
    stream: TcpStream,
    files: &Files,
    lies: &[&str],
    log: &Mutex<Vec<(String, String)>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(&stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = String::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("range: bytes=") {
            value.clone_into(&mut range);
        }
    }
    log.lock().expect("no panic").push((path.clone(), range.clone()));
    let mut out = &stream;
    let mut send = |status: &str, headers: &str, body: &[u8]| {
        write!(
            out,
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        )?;
        out.write_all(body)
    };
    if path == "/api/models/org/demo/revision/main" {
        let names: Vec<_> = files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        let body = serde_json::json!({ "sha": SHA, "siblings": names }).to_string();
        return send("200 OK", "Content-Type: application/json\r\n", body.as_bytes());
    }
    let name = path.strip_prefix(&format!("/org/demo/resolve/{SHA}/")).unwrap_or_default();
    let Some(bytes) = files.get(name) else { return send("404 Not Found", "", b"") };
    let start: usize = range.split('-').next().and_then(|start| start.parse().ok()).unwrap_or(0);
    let end = if range.ends_with("-0") { 1 } else { bytes.len() };
    let size = bytes.len() + if lies.contains(&name) { 7 } else { 0 };
    let headers = format!(
        "ETag: \"{}\"\r\nX-Repo-Commit: {SHA}\r\nContent-Range: bytes {start}-{}/{size}\r\n",
        etag(name),
        end.max(1) - 1,
    );
    send("206 Partial Content", &headers, bytes.get(start..end.max(start)).unwrap_or_default())
}

fn etag(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// The model that comes with the repository, with what a hub's repositories have beside one.
fn demo() -> Result<Files, Box<dyn Error>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo");
    let mut files = Files::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        files.insert(entry.file_name().into_string().map_err(|_| "a name")?, fs::read(entry.path())?);
    }
    for other in ["pytorch_model.bin", "modeling_demo.py", "onnx/model.onnx", "../escaped.json"] {
        files.insert(other.to_owned(), b"not wanted".to_vec());
    }
    Ok(files)
}

fn stored(dir: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[test]
fn nothing_is_asked_of_the_network_unless_it_is_allowed() -> Outcome {
    let server = Server::start(demo()?, &[])?;
    for command in ["info", "explain", "plan", "run"] {
        let args =
            [&[command, "org/demo"][..], if command == "run" { &["x", "--device", "cpu"] } else { &[] }];
        let (code, _, err) = server.omni(&args.concat())?;
        assert_eq!(code, 1, "{command}: {err}");
        assert!(err.contains("--download") && err.contains("hf download org/demo"), "{command}: {err}");
    }
    assert_eq!(server.asked(), []);
    Ok(())
}

#[test]
fn what_describes_a_model_comes_first_and_its_weights_when_they_are_wanted() -> Outcome {
    let server = Server::start(demo()?, &[])?;
    let (code, out, err) = server.omni(&["info", "org/demo", "--download", "--json"])?;
    assert_eq!(code, 0, "{err}");
    let info: serde_json::Value = serde_json::from_str(&out)?;
    assert_eq!((&info["name"], &info["architecture"]), (&"org/demo".into(), &"LlamaForCausalLM".into()));
    let described = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"];
    assert_eq!(stored(&server.snapshot())?, described);
    assert!(!server.cache.path().join("escaped.json").exists());
    let _ = server.asked();

    // What is there is not asked for again.
    assert_eq!(server.omni(&["plan", "org/demo@main", "--download"])?.0, 0);
    assert_eq!(server.asked(), []);

    let (code, out, err) =
        server.omni(&["run", "org/demo", "It was", "--download", "-n", "2", "--device", "cpu", "--json"])?;
    assert_eq!(code, 0, "{err}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out)?["tokens"].as_array().map(Vec::len), Some(2));
    let mut all = described.to_vec();
    all.insert(2, "model.safetensors");
    assert_eq!(stored(&server.snapshot())?, all);
    let resolved = server.asked().into_iter().filter(|(path, _)| path.contains("/resolve/"));
    let names: Vec<String> =
        resolved.map(|(path, _)| path.rsplit('/').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(names, ["model.safetensors"; 3], "its size twice, then itself");

    // And now the cache is enough, for other programs too.
    assert_eq!(fs::read_to_string(server.hub().join("models--org--demo/refs/main"))?, SHA);
    assert_eq!(server.omni(&["run", "org/demo", "It was", "-n", "1", "--device", "cpu"])?.0, 0);
    assert_eq!(server.asked(), []);
    Ok(())
}

#[test]
fn a_set_of_shards_comes_by_its_index_and_other_sets_stay() -> Outcome {
    let mut files = demo()?;
    let bytes = files.remove("model.safetensors").ok_or("the demo has weights")?;
    let (length, rest) = bytes.split_at(8);
    let length = usize::try_from(u64::from_le_bytes(length.try_into()?))?;
    let header: serde_json::Value = serde_json::from_slice(&rest[..length])?;
    let shard = "model-00001-of-00001.safetensors";
    let tensors = header.as_object().ok_or("an object")?.keys().filter(|name| *name != "__metadata__");
    let map: BTreeMap<&String, &str> = tensors.map(|name| (name, shard)).collect();
    let index = serde_json::json!({ "weight_map": map }).to_string();
    files.insert("model.safetensors.index.json".to_owned(), index.into_bytes());
    files.insert(shard.to_owned(), bytes);
    files.insert("model.fp32-00001-of-00001.safetensors".to_owned(), b"not wanted".to_vec());
    let server = Server::start(files, &[])?;
    let args = ["run", "org/demo", "It was", "--download", "-n", "1", "--device", "cpu"];
    let (code, _, err) = server.omni(&args)?;
    assert_eq!(code, 0, "{err}");
    let weights: Vec<String> =
        stored(&server.snapshot())?.into_iter().filter(|name| name.contains("model")).collect();
    assert_eq!(weights, [shard, "model.safetensors.index.json"]);
    // A shard that went missing is fetched again.
    fs::remove_file(server.snapshot().join(shard))?;
    assert_eq!(server.omni(&args)?.0, 0);
    assert!(server.snapshot().join(shard).is_file());
    Ok(())
}

#[test]
fn a_pipeline_comes_with_the_components_that_its_index_names() -> Outcome {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/StableDiffusionPipeline");
    let mut files = Files::new();
    for folder in ["", "unet", "vae", "text_encoder", "scheduler", "tokenizer"] {
        for entry in fs::read_dir(dir.join(folder))? {
            let path = entry?.path();
            if path.is_file() {
                let name = path.strip_prefix(&dir)?.to_str().ok_or("a name")?.to_owned();
                files.insert(name, fs::read(path)?);
            }
        }
    }
    files.insert("safety_checker/config.json".to_owned(), b"{}".to_vec());
    let server = Server::start(files, &[])?;
    let (code, out, err) = server.omni(&["info", "org/demo", "--download", "--json"])?;
    assert_eq!(code, 0, "{err}");
    let info: serde_json::Value = serde_json::from_str(&out)?;
    assert_eq!((&info["category"], &info["is_supported"]), (&"diffusers".into(), &true.into()), "{info}");
    assert!(server.snapshot().join("unet/config.json").is_file());
    assert!(!server.snapshot().join("safety_checker").exists());
    // One component is a model of its own.
    let _ = server.asked();
    assert_eq!(server.omni(&["plan", "org/demo/unet", "--download", "--params"])?.0, 0);
    assert_eq!(server.asked(), []);
    Ok(())
}

#[test]
fn a_download_that_was_broken_off_goes_on_where_it_was() -> Outcome {
    let files = demo()?;
    let bytes = files["tokenizer.json"].clone();
    let server = Server::start(files, &[])?;
    let blobs = server.hub().join("models--org--demo/blobs");
    fs::create_dir_all(&blobs)?;
    fs::write(blobs.join(format!("{}.part", etag("tokenizer.json"))), &bytes[..1000])?;
    let (code, _, err) = server.omni(&["info", "org/demo", "--download"])?;
    assert_eq!(code, 0, "{err}");
    assert!(server.asked().iter().any(|(path, range)| path.ends_with("/tokenizer.json") && range == "1000-"));
    assert_eq!(fs::read(server.snapshot().join("tokenizer.json"))?, bytes);
    Ok(())
}

#[test]
fn a_file_of_another_size_than_announced_is_refused_and_not_kept() -> Outcome {
    let server = Server::start(demo()?, &["config.json"])?;
    let (code, _, err) = server.omni(&["info", "org/demo", "--download"])?;
    assert_eq!(code, 1);
    assert!(err.contains("`config.json`") && err.contains("were announced"), "{err}");
    assert!(!server.snapshot().join("config.json").exists());
    Ok(())
}

#[test]
fn what_the_hub_does_not_have_is_an_error_that_says_where_it_was_looked_for() -> Outcome {
    let server = Server::start(demo()?, &[])?;
    let (code, _, err) = server.omni(&["info", "org/other", "--download"])?;
    assert_eq!(code, 1);
    for words in ["org/other", server.endpoint.as_str(), "404", "check the spelling"] {
        assert!(err.contains(words), "{err}");
    }
    let (code, _, err) = server.omni(&["info", "org/demo/unet", "--download"])?;
    assert!(code == 1 && err.contains("nothing to download in `unet`"), "{err}");
    // A path is never taken for a repository.
    let _ = server.asked();
    assert_eq!(server.omni(&["info", "./absent", "--download"])?.0, 1);
    assert_eq!(server.asked(), []);
    Ok(())
}
