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
const PATIENCE: Duration = Duration::from_secs(120);

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
        let mut child = Command::new(env!("CARGO_BIN_EXE_omni"))
            .args(["lsp", "--stdio"])
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
            let message = match self.published.is_empty() {
                true => self.messages.recv_timeout(PATIENCE)?,
                false => self.published.remove(0),
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
