//! What a person may give by mistake, or a stranger on purpose: `omni` names the file and the field, says what to do,
//! and exits with 1 (2 for wrong usage). It never panics, and it allocates nothing that the input alone asks for:
//! every command runs under a limit of its memory.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use omni::model::{Inputs, Loader};
use serde_json::{Value, json};
use tempfile::TempDir;

type Outcome = Result<(), Box<dyn Error>>;

/// KiB of address space for a command; a small model takes a tenth.
const MEMORY: u32 = 4_000_000;

/// A copy of a recorded tiny model in a folder called `m`, with a tokenizer of so many words, `w0` and on.
struct Folder {
    dir: TempDir,
}

impl Folder {
    fn of(model: &str, words: usize) -> Result<Self, Box<dyn Error>> {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(model);
        let folder = Self { dir: tempfile::tempdir()? };
        fs::create_dir(folder.model())?;
        for file in ["config.json", "model.safetensors"] {
            fs::copy(from.join(file), folder.model().join(file))?;
        }
        let vocabulary: serde_json::Map<String, Value> =
            (0..words).map(|id| (format!("w{id}"), json!(id))).collect();
        let tokenizer = json!({
            "version": "1.0",
            "pre_tokenizer": { "type": "Whitespace" },
            "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "w0" },
        });
        folder.write("tokenizer.json", tokenizer.to_string())?;
        Ok(folder)
    }

    fn llama() -> Result<Self, Box<dyn Error>> {
        Self::of("LlamaForCausalLM", 120)
    }

    fn model(&self) -> PathBuf {
        self.dir.path().join("m")
    }

    fn write(&self, file: &str, bytes: impl AsRef<[u8]>) -> Outcome {
        Ok(fs::write(self.model().join(file), bytes)?)
    }

    fn remove(&self, file: &str) -> Outcome {
        Ok(fs::remove_file(self.model().join(file))?)
    }

    fn config(&self, change: impl FnOnce(&mut Value)) -> Outcome {
        let mut config: Value = serde_json::from_slice(&fs::read(self.model().join("config.json"))?)?;
        change(&mut config);
        self.write("config.json", serde_json::to_string_pretty(&config)?)
    }

    /// Changes the header of the weights, and their bytes.
    fn weights(&self, change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Outcome {
        let bytes = fs::read(self.model().join("model.safetensors"))?;
        let (length, rest) = bytes.split_at(8);
        let length = usize::try_from(u64::from_le_bytes(length.try_into()?))?;
        let mut header: Value = serde_json::from_slice(&rest[..length])?;
        let mut data = rest[length..].to_vec();
        change(&mut header, &mut data);
        self.raw_weights(&header.to_string(), &data)
    }

    fn raw_weights(&self, header: &str, data: &[u8]) -> Outcome {
        let length = u64::try_from(header.len())?.to_le_bytes();
        self.write("model.safetensors", [&length, header.as_bytes(), data].concat())
    }

    /// Runs `omni`, with the memory limited: its exit code and both of its streams.
    fn omni(&self, args: &[&str]) -> Result<(i32, String, String), Box<dyn Error>> {
        let out = Command::new("sh")
            .args(["-c", &format!("ulimit -v {MEMORY} 2>/dev/null; exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_omni"))
            .args(args)
            .current_dir(self.dir.path())
            .env("HF_HUB_CACHE", self.dir.path().join("cache"))
            .env("XDG_CONFIG_HOME", self.dir.path().join("none"))
            .env("NO_COLOR", "1")
            .env("RAYON_NUM_THREADS", "2")
            .env("MALLOC_ARENA_MAX", "2")
            .env_remove("OMNI_REGISTRY")
            .output()?;
        let (stdout, stderr) = (String::from_utf8(out.stdout)?, String::from_utf8(out.stderr)?);
        let code = out.status.code().ok_or_else(|| format!("{args:?} was killed: {stderr}"))?;
        assert!(!stderr.contains("panicked") && !stderr.contains("memory allocation"), "{args:?}: {stderr}");
        assert!(stderr.len() < 20_000, "{args:?} says {} bytes", stderr.len());
        Ok((code, stdout, stderr))
    }

    /// The command fails with 1, and its message has all of the words, however its lines are broken.
    fn refuses(&self, args: &[&str], words: &[&str]) -> Outcome {
        let (code, stdout, stderr) = self.omni(args)?;
        assert_eq!((code, stdout.as_str()), (1, ""), "{args:?}: {stderr}");
        holds(&stderr, words);
        Ok(())
    }

    /// `omni info` exits with 1 and says the words, the first of them in what it prints too where it prints anything.
    fn info_refuses(&self, words: &[&str]) -> Outcome {
        let (code, stdout, stderr) = self.omni(&["info", "m", "--json"])?;
        assert_eq!(code, 1, "{stdout}{stderr}");
        holds(&stderr, words);
        if !stdout.is_empty() {
            let info: Value = serde_json::from_str(&stdout)?;
            assert_eq!(info["is_supported"], false);
            holds(info["error"].as_str().ok_or("an error")?, &words[..1]);
        }
        let (again, text, _) = self.omni(&["info", "m"])?;
        assert_eq!((again, text.is_empty()), (1, stdout.is_empty()));
        Ok(())
    }

    fn plan_refuses(&self, words: &[&str]) -> Outcome {
        self.refuses(&["plan", "m"], words)
    }

    fn run_refuses(&self, words: &[&str]) -> Outcome {
        self.refuses(&["run", "m", "w5 w6", "--device", "cpu", "-n", "2"], words)
    }
}

fn holds(text: &str, words: &[&str]) {
    let flat = text.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(flat.contains(word), "{word:?} is not in: {text}");
    }
}

#[test]
fn the_model_that_everything_starts_from_is_a_good_one() -> Outcome {
    let (code, stdout, stderr) =
        Folder::llama()?.omni(&["run", "m", "w5 w6", "--device", "cpu", "-n", "2"])?;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with('w'), "{stdout}");
    Ok(())
}

#[test]
fn a_directory_that_is_none() -> Outcome {
    let folder = Folder::llama()?;
    for command in ["info", "plan"] {
        folder
            .refuses(&[command, "./nowhere"], &["`./nowhere` does not exist", "check how it is spelled"])?;
        fs::create_dir_all(folder.dir.path().join("bare"))?;
        folder.refuses(&[command, "bare"], &["`bare` is an empty directory", "give the one"])?;
        fs::write(folder.dir.path().join("notes.txt"), "hello")?;
        folder.refuses(&[command, "notes.txt"], &["`notes.txt` is a file", "give the model's directory"])?;
    }
    Ok(())
}

#[test]
fn a_config_that_is_none() -> Outcome {
    let folder = Folder::llama()?;
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n";
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let cases: [(&[u8], &str, &str); 7] = [
        (b"", "`config.json` is empty", "download it again"),
        (b"{\"a\": \"\xff\"}", "`config.json` is not UTF-8", "at offset 7"),
        (b"[1]", "`config.json` holds a list, expected an object", "put the right file"),
        (b"{\"hidden_size\": 1e400}", "`config.json`: number out of range at line 1", "mend it there"),
        (b"{\"a\": 1, \"a\": 2}", "`config.json`: the key `a` occurs twice", "mend it there"),
        (deep.as_bytes(), "`config.json`: recursion limit exceeded", "mend it there"),
        (pointer.as_bytes(), "`config.json` is a Git LFS pointer", "git lfs pull"),
    ];
    for (bytes, found, fix) in cases {
        folder.write("config.json", bytes)?;
        folder.info_refuses(&[found, fix])?;
        folder.plan_refuses(&[found, fix])?;
    }
    let large = fs::File::create(folder.model().join("config.json"))?;
    large.set_len(100 << 20)?;
    let words = ["`config.json` is 104857600 bytes", "at most", "put the right file in its place"];
    folder.plan_refuses(&words)?;
    folder.info_refuses(&words)?;
    folder.remove("config.json")?;
    let words = ["no config.json found in `m`", "give the directory"];
    folder.plan_refuses(&words)?;
    folder.info_refuses(&words)?;
    // The reason is told once: on standard error, as every failure is.
    let (code, story, stderr) = folder.omni(&["explain", "m"])?;
    assert_eq!((code, story.as_str()), (1, "m: nothing known\n"), "{stderr}");
    holds(&stderr, &words);
    Ok(())
}

#[test]
fn a_config_that_is_one_long_line_is_named_once_and_not_shown() -> Outcome {
    let folder = Folder::llama()?;
    folder.config(|config| {
        config["hidden_size"] = json!(0);
        config["notes"] = json!(vec!["x"; 200_000]);
    })?;
    let config: Value = serde_json::from_slice(&fs::read(folder.model().join("config.json"))?)?;
    folder.write("config.json", config.to_string())?;
    folder.plan_refuses(&["an Embedding", "config.json has `vocab_size` = 120, `hidden_size` = 0"])?;
    let (_, _, stderr) = folder.omni(&["plan", "m"])?;
    assert_eq!(stderr.matches("config.json has").count(), 1, "{stderr}");
    Ok(())
}

#[test]
fn a_config_that_names_nothing_to_build() -> Outcome {
    let folder = Folder::llama()?;
    let config = [
        ("config.json", json!({ "architectures": 5 }), "name the architecture under `architectures`"),
        ("config.json", json!({ "architectures": [null] }), "name the architecture under `architectures`"),
        ("config.json", json!({ "model_type": {} }), "name the architecture under `architectures`"),
        ("model_index.json", json!({ "_class_name": 5 }), "name the pipeline under `_class_name`"),
    ];
    for (file, config, fix) in config {
        folder.write(file, config.to_string())?;
        let silent = format!("its `{file}` does not name what to build");
        let fix = format!("{fix} in `{file}`");
        folder.plan_refuses(&["`m` is of category", &silent, &fix])?;
        folder.run_refuses(&[&silent, &fix])?;
        if file == "config.json" {
            folder.info_refuses(&[&silent, "name the architecture under `architectures`"])?;
        }
    }
    folder.remove("model_index.json")?;
    // Nothing that any rule knows, and no tensors that tell.
    folder.remove("model.safetensors")?;
    folder.write("config.json", json!({ "size": 5 }).to_string())?;
    let words =
        ["`config.json` names neither an architecture nor a model_type", "add `architectures` to the config"];
    folder.plan_refuses(&words)?;
    folder.info_refuses(&words)
}

#[test]
fn sizes_that_no_tensor_has() -> Outcome {
    let folder = Folder::llama()?;
    let impossible = [
        json!(0),
        json!(-32),
        json!(32.5),
        json!("32"),
        json!(true),
        json!([32]),
        json!(1e30),
        json!(i64::MAX),
        json!(u64::MAX),
    ];
    for field in ["hidden_size", "vocab_size", "intermediate_size"] {
        for value in &impossible {
            folder.config(|config| config[field] = value.clone())?;
            let given = format!("`{field}` = {value}");
            folder.plan_refuses(&["config.json has", &given])?;
            folder.info_refuses(&["", &given])?;
        }
        folder.config(|config| config[field] = json!(32))?;
    }
    // A size that would fit no memory is fine as a number; the checkpoint does not have it.
    folder.config(|config| config["vocab_size"] = json!(1_000_000_000_000_u64))?;
    folder.run_refuses(&["lm_head.weight: found [120, 32], expected [1000000000000, 32]", "to go on:"])?;
    Ok(())
}

#[test]
fn heads_that_do_not_divide_and_layers_without_end() -> Outcome {
    let cases = [
        ("num_attention_heads", json!(3), "expected a multiple"),
        ("num_attention_heads", json!(0), "expected an int above 0"),
        ("num_key_value_heads", json!(3), "expected a multiple"),
        ("num_key_value_heads", json!(-2), "expected an int above 0"),
        ("head_dim", json!(7), "expected an even number"),
        ("num_hidden_layers", json!(1_000_000_000), "far too large"),
        ("num_hidden_layers", json!(-1), "expected an int from 0"),
        ("num_hidden_layers", json!("two"), "a string `\"two\"`"),
        ("rms_norm_eps", json!(-1), "expected a number from 0"),
        ("rms_norm_eps", json!("small"), "expected a number"),
        ("hidden_act", json!("nope"), "`nope` is not an activation"),
    ];
    for (field, value, expected) in cases {
        let folder = Folder::llama()?;
        folder.config(|config| config[field] = value.clone())?;
        let given = format!("`{field}` = {value}");
        folder.plan_refuses(&[expected, "config.json has", &given])?;
        // What is asked only while a definition runs, `omni info` does not tell: it builds the layers.
        if field == "num_hidden_layers" {
            folder.info_refuses(&[expected, "config.json has", &given])?;
        }
        folder.run_refuses(&[expected, "config.json has", &given])?;
    }
    for (rotation, expected) in [
        (json!({ "rope_theta": 0, "rope_type": "default" }), "`rope_theta` is 0"),
        (json!({ "rope_theta": 1e4, "rope_type": "linear", "factor": 0 }), "`factor` is 0"),
        (json!({ "rope_type": "banana" }), "use one of default"),
        (json!(3), "`rope_parameters` = 3"),
    ] {
        let folder = Folder::llama()?;
        folder.config(|config| config["rope_parameters"] = rotation)?;
        folder.plan_refuses(&[expected, "config.json"])?;
    }
    Ok(())
}

#[test]
fn headers_that_lie() -> Outcome {
    let file = "model.safetensors`";
    let folder = Folder::llama()?;
    let again = "download it again";
    let whole = fs::read(folder.model().join("model.safetensors"))?;

    folder.write("model.safetensors", [&u64::MAX.to_le_bytes()[..], &whole[8..]].concat())?;
    folder.run_refuses(&[file, "its header claims 18446744073709551615 bytes", again])?;
    folder.info_refuses(&["`model.safetensors`", again])?;
    folder.write("model.safetensors", &whole[..whole.len() - 100])?;
    folder.run_refuses(&[file, "is cut short", again])?;
    folder.info_refuses(&["`model.safetensors`", again])?;
    folder.write("model.safetensors", [&whole[..], b"xyz"].concat())?;
    folder.run_refuses(&[file, "3 bytes behind the last tensor", again])?;
    folder.info_refuses(&["`model.safetensors`", again])?;
    folder.write("model.safetensors", b"abc")?;
    folder.run_refuses(&[file, "it has 3 bytes", again])?;
    folder.info_refuses(&["`model.safetensors`", again])?;
    folder.write("model.safetensors", b"")?;
    folder.run_refuses(&[file, "is empty", again])?;
    folder.info_refuses(&["`model.safetensors`", again])?;
    folder.write("model.safetensors", b"version https://git-lfs.github.com/spec/v1\nsize 77\n")?;
    folder.run_refuses(&[file, "is a Git LFS pointer, not the 77 bytes", "git lfs pull"])?;
    folder.info_refuses(&["`model.safetensors` is a Git LFS pointer", "git lfs pull"])?;
    folder.remove("model.safetensors")?;
    folder.run_refuses(&["no weights in `m`", "expected `model.safetensors`", "download them"])?;
    // Weights that are not there yet are no fault of what describes them.
    assert_eq!(folder.omni(&["info", "m"])?.0, 0);
    folder.write("pytorch_model.bin", [7; 500])?;
    folder.run_refuses(&["pytorch_model.bin`", "cannot be read as a PyTorch checkpoint", again])?;
    folder.info_refuses(&["pytorch_model.bin`", "cannot be read as a PyTorch checkpoint", again])?;

    let entry = |dtype: &str, shape: Value, offsets: [u64; 2]| json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets });
    let a = || entry("F32", json!([2]), [0, 8]);
    let folder = Folder::llama()?;
    for (b, expected) in [
        (entry("F32", json!([2]), [4, 12]), "the bytes of `b` begin inside those of `a`"),
        (entry("F32", json!([1]), [12, 16]), "4 bytes before `b` belong to no tensor"),
        (entry("F32", json!([3]), [8, 16]), "`b` is F32 [3], 12 bytes, but its offsets span 8"),
        (entry("F32", json!([u64::MAX, 2]), [8, 16]), "too many bytes, but its offsets span 8"),
        (entry("F32", json!([-1]), [8, 16]), "tensor `b`: invalid value"),
        (entry("Q4", json!([2]), [8, 16]), "tensor `b`: unknown variant `Q4`"),
        (json!({}), "tensor `b`: missing field"),
    ] {
        folder.raw_weights(&json!({ "a": a(), "b": b }).to_string(), &[0; 16])?;
        folder.run_refuses(&[file, expected, again])?;
        folder.info_refuses(&["`model.safetensors`", again])?;
    }
    let twice = format!("{{\"a\": {}, \"a\": {}}}", a(), entry("F32", json!([2]), [8, 16]));
    folder.raw_weights(&twice, &[0; 16])?;
    folder.run_refuses(&[file, "its header names `a` twice", again])
}

#[test]
fn an_index_that_points_elsewhere() -> Outcome {
    let folder = Folder::llama()?;
    let index = "model.safetensors.index.json`";
    folder.remove("model.safetensors")?;
    for (shard, expected) in [
        ("../../etc/passwd", "which leaves the directory: refused"),
        ("/etc/passwd", "which leaves the directory: refused"),
        ("model-00001-of-00002.safetensors", "is missing, and with it 1 tensor: download it"),
    ] {
        let text = json!({ "metadata": {}, "weight_map": { "model.norm.weight": shard } }).to_string();
        folder.write("model.safetensors.index.json", text)?;
        folder.run_refuses(&[index, &format!("`{shard}`"), expected])?;
        folder.info_refuses(&[shard])?;
    }
    folder.write("model.safetensors.index.json", "{\"weight_map\": []}")?;
    folder.run_refuses(&[index, "the index cannot be understood"])?;
    folder.info_refuses(&["`model.safetensors.index.json`"])?;
    fs::remove_file(folder.model().join("model.safetensors.index.json"))?;
    std::os::unix::fs::symlink("/etc/passwd", folder.model().join("model.safetensors"))?;
    folder.run_refuses(&["model.safetensors`", "leads outside its directory", "refused"])?;
    folder.info_refuses(&["`model.safetensors`", "refused"])
}

#[test]
fn tensors_that_do_not_fit_are_told_all_at_once() -> Outcome {
    let folder = Folder::llama()?;
    folder.weights(|header, _| {
        let tensors = header.as_object_mut().expect("a header is an object");
        let head = tensors.remove("lm_head.weight").expect("it is there");
        tensors.insert("stray.weight".to_owned(), head);
        tensors["model.embed_tokens.weight"]["shape"] = json!([32, 120]);
    })?;
    folder.run_refuses(&[
        "the checkpoint in `m` does not fit the model",
        "missing: the model needs them (1) lm_head.weight [120, 32]",
        "model.embed_tokens.weight: found [32, 120], expected [120, 32]",
        "unused: stored, but no parameter takes them (1) stray.weight",
        "to go on: take config.json and the weights from the same model",
    ])
}

#[test]
fn weights_that_are_no_numbers_are_loaded_and_told_of() -> Outcome {
    let folder = Folder::llama()?;
    folder.weights(|header, data| {
        let start = header["model.norm.weight"]["data_offsets"][0].as_u64().expect("an offset");
        let start = usize::try_from(start).expect("a small file");
        data[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    })?;
    let model = Loader::new(folder.model()).load_model()?;
    holds(&model.remarks().join("\n"), &["not a number (NaN), in `model.norm.weight`"]);
    folder.run_refuses(&[
        "`model.norm.weight`",
        "download them again",
        "are NaN, and no token can be chosen",
    ])?;
    assert!(Loader::new(Folder::llama()?.model()).load_model()?.remarks().is_empty());
    Ok(())
}

#[test]
fn tokens_out_of_range_and_prompts_without_end() -> Outcome {
    let folder = Folder::of("LlamaForCausalLM", 500)?;
    folder.refuses(
        &["run", "m", "w5 w300", "--device", "cpu"],
        &["`input_ids` has 300", "expected a number from 0 to 119"],
    )?;
    let folder = Folder::of("GPT2LMHeadModel", 120)?;
    let prompt = |words: usize| vec!["w5"; words].join(" ");
    let args = |prompt: &str| -> Vec<String> {
        ["run", "m", prompt, "--device", "cpu", "-n", "9"].into_iter().map(str::to_owned).collect()
    };
    let long = args(&prompt(65));
    folder.refuses(
        &long.iter().map(String::as_str).collect::<Vec<_>>(),
        &["65 tokens are too many", "a table of 64 positions"],
    )?;
    let full = args(&prompt(64));
    let (code, _, stderr) = folder.omni(&full.iter().map(String::as_str).collect::<Vec<_>>())?;
    assert_eq!(code, 0, "{stderr}");
    let bert = Loader::new(Folder::of("BertModel", 1)?.model()).load_model()?;
    let error = bert.forward(&Inputs::tokens(&[vec![5; 65]])).expect_err("its table has 64 rows").to_string();
    holds(&error, &["65 tokens are too many", "a table of 64 positions"]);
    Ok(())
}

#[test]
fn more_tokens_than_any_memory_holds_cost_nothing_until_they_come() -> Outcome {
    let folder = Folder::llama()?;
    let all: Vec<u32> = (0..120).collect();
    folder.write(
        "generation_config.json",
        json!({ "max_new_tokens": 1_000_000_000_000_u64, "eos_token_id": all }).to_string(),
    )?;
    let (code, _, stderr) = folder.omni(&["run", "m", "w5", "--device", "cpu"])?;
    assert_eq!(code, 0, "{stderr}");
    for (config, expected) in [
        (json!({ "eos_token_id": "x" }), "`eos_token_id` in `generation_config.json` is `\"x\"`"),
        (json!({ "temperature": "hot" }), "`temperature` in `generation_config.json` is `\"hot\"`"),
        (json!({ "max_new_tokens": -5 }), "`max_new_tokens` in `generation_config.json` is `-5`"),
    ] {
        folder.write("generation_config.json", config.to_string())?;
        folder.run_refuses(&[expected, "expected"])?;
    }
    Ok(())
}

#[test]
fn wrong_usage_exits_with_2() -> Outcome {
    let folder = Folder::llama()?;
    for args in [
        &["plan"][..],
        &["no-such-command"],
        &["info", "m", "--no-such-option"],
        &["run", "m", "w5", "--device", "toaster"],
        &["run", "m", "w5", "--dtype", "int3"],
        &["run", "m", "w5", "--temperature", "hot"],
        &["run", "m", "w5", "--top-p", "7"],
        &["run", "m", "w5", "--repetition-penalty", "0"],
    ] {
        let (code, stdout, stderr) = folder.omni(args)?;
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {stderr}");
        assert!(stderr.contains("--help"), "{stderr}");
    }
    Ok(())
}

#[test]
fn a_checkpoint_without_its_pooler_says_what_is_missing_and_how_to_go_on() -> Outcome {
    let folder = Folder::of("BertModel", 1)?;
    folder.weights(|header, data| {
        let tensors = header.as_object_mut().expect("a header is an object");
        tensors.retain(|name, _| name != "__metadata__");
        let mut kept = Vec::new();
        tensors.retain(|name, _| !name.starts_with("pooler."));
        for entry in tensors.values_mut() {
            let at = |index: usize| entry["data_offsets"][index].as_u64().expect("an offset");
            let range = usize::try_from(at(0)).expect("small")..usize::try_from(at(1)).expect("small");
            let start = kept.len();
            kept.extend_from_slice(&data[range]);
            entry["data_offsets"] = json!([start, kept.len()]);
        }
        *data = kept;
    })?;
    let error = Loader::new(folder.model()).load_model().expect_err("the pooler is missing").to_string();
    holds(&error, &["missing: the model needs them (2)", "pooler.dense.weight [32, 32]", "leaves them out"]);
    // What it says is how it goes on.
    let overlay = folder.dir.path().join("overlay.toml");
    fs::write(
        &overlay,
        "[architectures.BertModel]\ncategory = 'transformers'\ntask = 'embed'\nmodel-types = ['bert']\n\
         module = 'WithoutPooler'\n\
         [modules.WithoutPooler]\nextends = 'BertModel'\nlayers.pooler = 'None'\n\
         forward = 'return {\"last_hidden_state\": encoder(embeddings(input_ids, token_type_ids))}'\n",
    )?;
    let registry = omni::registry::Registry::with_overlays(&[&overlay])?;
    let model = Loader::new(folder.model()).registry(registry).load_model()?;
    assert!(model.forward(&Inputs::tokens(&[vec![1, 2, 3]]))?.get("last_hidden_state").is_some());
    Ok(())
}

#[test]
fn an_image_of_another_size_is_refused_unless_asked_for() -> Outcome {
    let image = || Inputs::new().floats("pixel_values", vec![0.5; 3 * 48 * 40], [1, 3, 48, 40]);
    let refused = |error: String| {
        holds(&error, &["the input `pixel_values` is [1, 3, 48, 40]", "3, 32, 32]"]);
    };
    let vit = Loader::new(Folder::of("ViTModel", 1)?.model()).load_model()?;
    refused(vit.forward(&image()).expect_err("it is made for 32 by 32").to_string());
    let asked = image().ints("interpolate_pos_encoding", vec![1], [1]);
    let states = vit.forward(&asked)?;
    assert_eq!(states.get("last_hidden_state").ok_or("it has states")?.shape(), [1, 31, 32]);
    let clip = Loader::new(Folder::of("CLIPModel", 1)?.model()).load_model()?;
    refused(clip.call("encode_images", &image(), &[]).expect_err("it is made for 32 by 32").to_string());
    Ok(())
}
