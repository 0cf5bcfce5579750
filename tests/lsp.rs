//! An editor's session with `omni lsp`, over its standard input and output.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn Error>>;

/// Far longer than any answer takes; reached only where there is none.
const PATIENCE: Duration = Duration::from_mins(2);

const TOY: &str = "\
[architectures.Toy]
category = 'transformers'
task     = 'embed'
config   = 'toy'

# größe 𝄞
[config.toy]
required = ['vocab_size', 'size', 'wide']
defaults = { use_bias = true }
sample   = { vocab_size = 8, size = 4, wide = 6 }

[modules.Toy]
inputs        = ['input_ids']
layers.tokens = 'Embedding(vocab_size, size)'
layers.block  = 'ToyBlock()'
forward = '''
hidden = tokens(input_ids)
return {\"last_hidden_state\": block(hidden)}
'''

[modules.ToyBlock]
inputs      = ['x']
layers.up   = 'Linear(size, wide, bias=use_bias)'
layers.down = 'Linear(wide, size, bias=use_bias)'
forward     = 'return down(up(x))'
";

/// A client.
struct Session {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    /// Diagnostics that came while something else was waited for.
    published: Vec<Value>,
    last: i32,
}

impl Session {
    fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        Self::start_with(folder, &[])
    }

    fn start_with(folder: &Path, arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_omni"))
            .args(["lsp", "--stdio"])
            .args(arguments)
            .env_remove("OMNI_REGISTRY")
            .env("XDG_CONFIG_HOME", folder)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the output is piped")?;
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let input = child.stdin.take();
        let mut session = Self { child, input, messages, published: Vec::new(), last: 0 };
        let answer = session
            .request("initialize", json!({ "processId": null, "rootUri": null, "capabilities": {} }))?;
        assert_eq!(answer["serverInfo"]["name"], "omni");
        session.notify("initialized", json!({}))?;
        Ok(session)
    }

    fn write(&mut self, text: &str) -> Outcome {
        let input = self.input.as_mut().ok_or("the input is open")?;
        write!(input, "Content-Length: {}\r\n\r\n{text}", text.len())?;
        Ok(input.flush()?)
    }

    fn notify(&mut self, method: &str, params: Value) -> Outcome {
        self.write(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string())
    }

    fn answer(&mut self, method: &str, params: Value) -> Result<Value, Box<dyn Error>> {
        self.last += 1;
        let id = self.last;
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string())?;
        loop {
            let message = self.messages.recv_timeout(PATIENCE)?;
            if message["id"] == json!(id) {
                return Ok(message);
            }
            self.published.push(message);
        }
    }

    fn request(&mut self, method: &str, params: Value) -> Result<Value, Box<dyn Error>> {
        let mut answer = self.answer(method, params)?;
        if answer.get("error").is_some() {
            return Err(format!("{method}: {answer}").into());
        }
        Ok(answer["result"].take())
    }

    /// The diagnostics of a file's version, as `line:column code`.
    fn diagnostics(&mut self, uri: &str, version: i32) -> Result<Vec<String>, Box<dyn Error>> {
        loop {
            let message = if self.published.is_empty() {
                self.messages.recv_timeout(PATIENCE)?
            } else {
                self.published.remove(0)
            };
            let params = &message["params"];
            if message["method"] == "textDocument/publishDiagnostics"
                && params["uri"] == uri
                && params["version"] == version
            {
                let list = params["diagnostics"].as_array().ok_or("a list")?;
                let show = |found: &Value| {
                    let start = &found["range"]["start"];
                    format!(
                        "{}:{} {}",
                        start["line"],
                        start["character"],
                        found["code"].as_str().unwrap_or("?")
                    )
                };
                return Ok(list.iter().map(show).collect());
            }
        }
    }

    fn open(&mut self, uri: &str, text: &str) -> Outcome {
        let document = json!({ "uri": uri, "languageId": "toml", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }))
    }

    fn replace(&mut self, uri: &str, version: i32, text: &str) -> Outcome {
        let document = json!({ "uri": uri, "version": version });
        let changes = json!([{ "text": text }]);
        self.notify("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }))
    }

    /// Ends the session as the protocol says.
    fn end(mut self) -> Result<Option<i32>, Box<dyn Error>> {
        assert_eq!(self.request("shutdown", Value::Null)?, Value::Null);
        assert!(self.answer("textDocument/hover", json!({}))?["error"]["code"].is_i64());
        self.notify("exit", Value::Null)?;
        Ok(self.child.wait()?.code())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A failed test leaves no process behind; one that ended is no longer there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(':') {
            Some((_, value)) => length = value.trim().parse().ok()?,
            None => break,
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// The URI of a file, escaped where an editor does.
fn uri(path: &Path) -> String {
    format!("file://{}", path.display()).replace(' ', "%20").replace('ö', "%C3%B6")
}

#[test]
fn findings_follow_the_text_as_it_is_typed() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("my töy model.toml");
    fs::write(&path, TOY)?;
    let uri = uri(&path);
    let mut session = Session::start(folder.path())?;

    session.open(&uri, &TOY.replace("down(up(x))", "down(upp(x))"))?;
    assert_eq!(session.diagnostics(&uri, 1)?, ["22:7 unused-layer", "24:27 unknown-name"]);
    let place = json!({ "textDocument": { "uri": uri }, "position": { "line": 24, "character": 28 } });
    let page = session.request("textDocument/hover", place)?;
    let lint = omni::lint::find("unknown-name").ok_or("a lint")?;
    let text = page["contents"]["value"].as_str().unwrap_or_default();
    assert!(text.starts_with("**error** `unknown-name`") && text.contains(lint.why), "{page}");
    assert_eq!(page["range"]["start"], json!({ "line": 24, "character": 27 }));

    // Behind a character of two units, in steps that build on each other.
    let change = |line: u32, from: u32, to: u32, text: &str| {
        let range =
            json!({ "start": { "line": line, "character": from }, "end": { "line": line, "character": to } });
        json!({ "range": range, "text": text })
    };
    let changes = [
        change(24, 27, 30, "up"),
        change(22, 0, 0, "lets.note = '[\"𝄞\", size]'\n"),
        change(22, 20, 24, "sizes"),
    ];
    session.notify(
        "textDocument/didChange",
        json!({ "textDocument": { "uri": uri, "version": 2 }, "contentChanges": changes }),
    )?;
    assert_eq!(session.diagnostics(&uri, 2)?, ["22:5 unused-let", "22:20 unknown-name"]);

    session.replace(&uri, 3, TOY)?;
    assert_eq!(session.diagnostics(&uri, 3)?, [""; 0]);
    assert_eq!(session.end()?, Some(0));
    Ok(())
}

#[test]
fn no_message_kills_the_server() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut session = Session::start(folder.path())?;
    session.write("{ this is no JSON")?;
    session.write("[1, 2]")?;
    session.write(r#"{"jsonrpc":"2.0"}"#)?;
    session.notify("textDocument/didOpen", json!({ "textDocument": 7 }))?;
    session.notify("textDocument/didChange", json!({ "textDocument": { "uri": "no uri", "version": 1 } }))?;
    session.notify("nobody/knows", json!(null))?;
    let unknown = session.answer("nobody/knows", json!({}))?;
    assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
    let wrong = session.answer("textDocument/hover", json!({ "position": "here" }))?;
    assert!(wrong["error"]["code"].is_i64(), "{wrong}");
    assert_eq!(session.end()?, Some(0));

    let mut session = Session::start(folder.path())?;
    session.notify("exit", Value::Null)?;
    assert_eq!(session.child.wait()?.code(), Some(1), "without `shutdown`");
    Ok(())
}

/// A position: that of `needle` in the text, `ahead` characters into it.
fn at(text: &str, needle: &str, ahead: usize) -> Value {
    let offset = text.find(needle).unwrap_or_else(|| panic!("`{needle}` is in the text")) + ahead;
    let before = &text[..offset];
    let line = before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    json!({ "line": line, "character": before[start..].encode_utf16().count() })
}

/// The text under a range.
fn under<'t>(text: &'t str, range: &Value) -> &'t str {
    let offset = |place: &Value| {
        let number =
            |key: &str| place[key].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        let line = number("line");
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        let column = number("character");
        let units = text[start..].chars().scan(0, |units, c| {
            *units += c.len_utf16();
            (*units <= column).then_some(c.len_utf8())
        });
        start + units.sum::<usize>()
    };
    &text[offset(&range["start"])..offset(&range["end"])]
}

/// The text with the edits made.
fn edited(text: &str, edits: &Value) -> String {
    let mut edits: Vec<Value> = edits.as_array().cloned().unwrap_or_default();
    edits.sort_by_key(|edit| {
        let start = &edit["range"]["start"];
        (start["line"].as_u64(), start["character"].as_u64())
    });
    let mut out = text.to_owned();
    for edit in edits.iter().rev() {
        let old = under(text, &edit["range"]);
        let start = old.as_ptr().addr() - text.as_ptr().addr();
        out.replace_range(start..start + old.len(), edit["newText"].as_str().unwrap_or_default());
    }
    out
}

/// A session with the toy open, in two files of which the second one holds what `extends` and uses the block.
fn toy() -> Result<(tempfile::TempDir, Session, String, String), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (path, other) = (folder.path().join("toy.toml"), folder.path().join("wide toy.toml"));
    fs::write(&path, TOY)?;
    fs::write(&other, OTHER)?;
    let mut session = Session::start(folder.path())?;
    let (uri, other) = (uri(&path), uri(&other));
    session.open(&uri, TOY)?;
    Ok((folder, session, uri, other))
}

const OTHER: &str = "\
[architectures.WideToy]
category = 'transformers'
task     = 'embed'
config   = 'toy'

[modules.WideToy]
extends      = 'Toy'
layers.block = 'WideBlock()'

[modules.WideBlock]
extends = 'ToyBlock'
forward = 'return x + down(up(x))'
";

#[test]
fn names_lead_to_where_they_are_declared_and_used() -> Outcome {
    let (_folder, mut session, uri, other) = toy()?;
    let place = |needle: &str, ahead: usize| json!({ "textDocument": { "uri": uri }, "position": at(TOY, needle, ahead) });
    for (needle, ahead, declared) in [
        ("ToyBlock()", 1, "ToyBlock"),
        ("block(hidden)", 1, "block"),
        ("hidden)}", 1, "hidden"),
        ("use_bias)", 1, "use_bias"),
        ("config   = 'toy'", 12, "toy"),
        ("wide, size", 1, "wide"),
        ("input_ids)", 1, "input_ids"),
    ] {
        let found = session.request("textDocument/definition", place(needle, ahead))?;
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{needle}: {found}");
        assert_eq!(under(TOY, &found[0]["range"]), declared, "{needle}: {found}");
    }
    let block = session.request("textDocument/definition", place("ToyBlock()", 1))?;
    assert_eq!(block[0]["range"]["start"], at(TOY, "[modules.ToyBlock]", 9));

    let mut params = place("layers.up", 8);
    params["context"] = json!({ "includeDeclaration": true });
    let found = session.request("textDocument/references", params)?;
    let files: Vec<&str> =
        found.as_array().into_iter().flatten().filter_map(|found| found["uri"].as_str()).collect();
    assert_eq!(files, [uri.as_str(), uri.as_str(), other.as_str()], "{found}");

    let symbols =
        session.request("textDocument/documentSymbol", json!({ "textDocument": { "uri": uri } }))?;
    let names: Vec<&str> =
        symbols.as_array().into_iter().flatten().filter_map(|found| found["name"].as_str()).collect();
    assert_eq!(names, ["Toy", "toy", "Toy", "ToyBlock"]);
    assert_eq!(symbols[3]["children"][1]["name"], "down");
    assert_eq!(session.end()?, Some(0));
    Ok(())
}

#[test]
fn the_cursor_shows_shapes_and_counts() -> Outcome {
    let (_folder, mut session, uri, _) = toy()?;
    let mut show = |needle: &str, ahead: usize| -> Result<String, Box<dyn Error>> {
        let place = json!({ "textDocument": { "uri": uri }, "position": at(TOY, needle, ahead) });
        let found = session.request("textDocument/hover", place)?;
        Ok(found["contents"]["value"].as_str().unwrap_or_default().to_owned())
    };
    let local = show("hidden = ", 2)?;
    assert!(local.contains("float[batch, time, 4]"), "{local}");
    let input = show("up(x)", 3)?;
    assert!(input.contains("float[batch, time, 4]") && input.contains("`block`"), "{input}");
    let layer = show("layers.up", 8)?;
    assert!(layer.contains("30 parameters in 2 tensors"), "{layer}");
    assert!(layer.contains("`block.up.weight` [6, 4]"), "{layer}");
    let architecture = show("architectures.Toy", 15)?;
    assert!(architecture.contains("90 parameters"), "{architecture}");
    let field = show("use_bias = true", 2)?;
    assert!(field.contains("`true` where config.json is silent"), "{field}");
    let key = show("forward     =", 2)?;
    assert!(key.contains("dataflow"), "{key}");
    Ok(())
}

#[test]
fn what_can_be_written_is_offered() -> Outcome {
    let (_folder, mut session, uri, _) = toy()?;
    let mut version = 1;
    let mut offers = |from: &str, to: &str| -> Result<Vec<String>, Box<dyn Error>> {
        // The cursor is where `|` stands.
        let text = TOY.replacen(from, to, 1);
        let position = at(&text, "|", 0);
        // What is offered may be known from the text before, so that is a whole one: a hover waits for its check.
        version += 2;
        session.replace(&uri, version, TOY)?;
        let place = json!({ "textDocument": { "uri": uri }, "position": { "line": 0, "character": 0 } });
        session.request("textDocument/hover", place)?;
        session.replace(&uri, version + 1, &text.replacen('|', "", 1))?;
        let params = json!({ "textDocument": { "uri": uri }, "position": position });
        let found = session.request("textDocument/completion", params)?;
        Ok(found
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["label"].as_str().map(str::to_owned))
            .collect())
    };
    let has = |offers: &[String], wanted: &[&str]| {
        for name in wanted {
            assert!(offers.iter().any(|offer| offer == name), "`{name}` in {offers:?}");
        }
    };
    has(&offers("[modules.Toy]\n", "[modules.Toy]\next|\n")?, &["extends", "layers", "forward"]);
    has(&offers("# größe 𝄞", "[conf|")?, &["config", "modules", "rule"]);
    has(&offers("'ToyBlock()'", "'Toy|'")?, &["ToyBlock", "Linear", "size", "use_bias"]);
    has(&offers("bias=use_bias", "|")?, &["bias=", "in_features="]);
    has(
        &offers("return {", "relu(hid|)\nreturn {")?,
        &["hidden", "input_ids", "block", "matmul", "x=", "range"],
    );
    has(&offers("block(hidden)", "block.|(hidden)")?, &["up", "down"]);
    has(&offers("'embed'", "'|'")?, &["embed", "causal-lm"]);
    has(&offers("size = 4", "|")?, &["wide", "size"]);
    Ok(())
}

#[test]
fn a_rename_changes_every_place_or_is_refused() -> Outcome {
    let (_folder, mut session, uri, other) = toy()?;
    let rename = |needle: &str, ahead: usize, new: &str| json!({ "textDocument": { "uri": uri }, "position": at(TOY, needle, ahead), "newName": new });
    let edits = session.request("textDocument/rename", rename("ToyBlock()", 1, "Block"))?;
    assert_eq!(edited(TOY, &edits["changes"][&uri]), TOY.replace("ToyBlock", "Block"));
    assert_eq!(edited(OTHER, &edits["changes"][&other]), OTHER.replace("ToyBlock", "Block"));
    let edits = session.request("textDocument/rename", rename("layers.up", 8, "rise"))?;
    assert_eq!(
        edited(TOY, &edits["changes"][&uri]),
        TOY.replace("layers.up  ", "layers.rise  ").replace("up(x)", "rise(x)")
    );
    assert_eq!(edited(OTHER, &edits["changes"][&other]), OTHER.replace("up(x)", "rise(x)"));
    let edits = session.request("textDocument/rename", rename("wide']", 1, "inner"))?;
    assert_eq!(edited(TOY, &edits["changes"][&uri]), TOY.replace("wide", "inner"));
    let edits = session.request("textDocument/rename", rename("hidden = ", 1, "y"))?;
    let body = TOY.replace("hidden = ", "y = ").replace("(hidden)", "(y)");
    assert_eq!(edited(TOY, &edits["changes"][&uri]), body);

    for (needle, ahead, new, why) in [
        ("layers.up", 8, "down", "already"),
        ("layers.up", 8, "no name", "no name"),
        ("[modules.Toy]", 9, "Other", "by its own name"),
        ("Linear(size", 1, "Line", "shipped registry"),
    ] {
        let answer = session.answer("textDocument/rename", rename(needle, ahead, new))?;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(why), "{needle}: {answer}");
    }
    assert_eq!(session.end()?, Some(0));
    Ok(())
}

#[test]
fn a_quick_fix_leaves_nothing_to_find() -> Outcome {
    let (_folder, mut session, uri, _) = toy()?;
    let broken = TOY.replace("down(up(x))", "down(upp(x))").replace("Linear(size", "Linaer(size");
    session.replace(&uri, 2, &broken)?;
    let found = session.diagnostics(&uri, 2)?;
    assert!(found.iter().any(|found| found.ends_with("unknown-name")), "{found:?}");
    let place = at(&broken, "upp", 1);
    let params = json!({
        "textDocument": { "uri": uri },
        "range": { "start": place, "end": place },
        "context": { "diagnostics": [] },
    });
    let actions = session.request("textDocument/codeAction", params)?;
    assert_eq!(actions[0]["kind"], "quickfix", "{actions}");
    assert_eq!(actions[0]["title"], "Write `up`", "{actions}");
    let all = actions.as_array().and_then(|actions| actions.last()).ok_or("an action")?;
    assert_eq!(all["kind"], "source.fixAll.omni");
    let fixed = edited(&broken, &all["edit"]["changes"][&uri]);
    assert_eq!(fixed, TOY);
    session.replace(&uri, 3, &fixed)?;
    assert_eq!(session.diagnostics(&uri, 3)?, [""; 0]);
    assert_eq!(session.end()?, Some(0));
    Ok(())
}

#[test]
fn formatting_lays_out_as_omni_fmt_does() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("toy.toml");
    let uri = uri(&path);
    let mut session = Session::start(folder.path())?;
    let messy =
        TOY.replace("category = 'transformers'", "category='transformers'").replace("# größe", "#   größe");
    session.open(&uri, &messy)?;
    let params = json!({ "textDocument": { "uri": uri }, "options": { "tabSize": 4, "insertSpaces": true } });
    let edits = session.request("textDocument/formatting", params.clone())?;
    assert_eq!(edits.as_array().map(Vec::len), Some(1), "only the line that differs: {edits}");
    let wanted = omni::format::format(&omni::diag::Source::new("toy.toml", messy.as_str()))?;
    assert_ne!(wanted, messy);
    assert_eq!(edited(&messy, &edits), wanted);

    session.replace(&uri, 2, &wanted)?;
    assert_eq!(session.request("textDocument/formatting", params.clone())?, json!([]));
    session.replace(&uri, 3, "[modules.Toy\n")?;
    let refused = session.answer("textDocument/formatting", params)?;
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("toy.toml:1"), "{refused}");
    assert_eq!(session.end()?, Some(0));
    Ok(())
}

#[test]
fn overlays_stand_upon_those_that_the_server_was_given() -> Outcome {
    let (folder, below) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (toy, other) = (below.path().join("toy.toml"), folder.path().join("other.toml"));
    fs::write(&toy, TOY)?;
    fs::write(&other, OTHER)?;
    let uri = uri(&other);
    let mut session = Session::start(folder.path())?;
    session.open(&uri, OTHER)?;
    let found = session.diagnostics(&uri, 1)?;
    assert!(found.contains(&"3:12 unknown-config".to_owned()), "{found:?}");
    assert_eq!(session.end()?, Some(0));

    let mut session = Session::start_with(folder.path(), &["--registry", toy.to_str().ok_or("a path")?])?;
    session.open(&uri, &OTHER.replace("up(x)", "upp(x)"))?;
    assert_eq!(session.diagnostics(&uri, 1)?, ["11:27 unknown-name"]);
    session.replace(&uri, 2, OTHER)?;
    assert_eq!(session.diagnostics(&uri, 2)?, [""; 0]);
    assert_eq!(session.end()?, Some(0));

    let check = |registry: &Path| -> Result<bool, Box<dyn Error>> {
        let output = Command::new(env!("CARGO_BIN_EXE_omni"))
            .arg("check")
            .arg(&other)
            .env("OMNI_REGISTRY", registry)
            .env("XDG_CONFIG_HOME", folder.path())
            .output()?;
        Ok(output.status.success())
    };
    assert!(check(&toy)?, "`omni check` stands upon the same");
    assert!(!check(&other)?, "what is checked is not stood upon");
    Ok(())
}
