//! The loop: messages and finished checks in, answers and diagnostics out.
//!
//! Follows the protocol's life: `initialize`, work, `shutdown`, `exit`. A request that needs the newest check waits for
//! it without holding up others. Absent on purpose: what the answers say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types as lsp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::analysis::Analysis;
use super::documents::{Document, Documents};
use super::project::Project;
use super::worker::{self, Done, Job};
use super::{diagnostics, transport};

/// How long a check waits for what changes together with what has changed: programs make several changes at once.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The client wrote a message.
    Message(Message),
    /// The client wrote something else.
    Malformed(String),
    /// A check is done.
    Done(Box<Done>),
    /// The client is gone.
    Closed,
}

/// Where in the protocol's life the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    New,
    Running,
    ShutDown,
}

/// What is known of a project.
#[derive(Debug, Default)]
pub(super) struct State {
    /// When it last changed, by the server's clock.
    pub(super) revision: u64,
    /// Whether the worker has it.
    pub(super) is_busy: bool,
    /// When the next check is due.
    pub(super) due: Option<Instant>,
    /// What was checked last, and its revision.
    pub(super) checked: Option<(u64, Rc<Analysis>)>,
    /// The last one whose files could be read whole: while a line is being typed, much of a file can be missing.
    pub(super) whole: Option<Rc<Analysis>>,
    /// The files that have diagnostics.
    pub(super) published: BTreeSet<PathBuf>,
}

pub(super) struct Server<W: Write> {
    output: W,
    pub(super) life: Life,
    pub(super) documents: Documents,
    pub(super) projects: BTreeMap<Project, State>,
    jobs: Sender<Job>,
    pub(super) overlays: Vec<PathBuf>,
    /// Requests that wait for a check of their project.
    pub(super) waiting: Vec<(Project, Request)>,
    pub(super) watches: bool,
    /// Counts changes.
    pub(super) clock: u64,
}

/// Serves one client until it says `exit` or is gone; gives whether it said `shutdown` before.
///
/// Files that are no part of a whole registry are checked over the shipped one and `overlays`, later ones winning.
///
/// # Errors
/// If `output` cannot be written to.
pub fn serve(
    input: impl Read + Send + 'static,
    output: impl Write,
    overlays: Vec<PathBuf>,
) -> io::Result<bool> {
    let (sender, events) = channel();
    let jobs = worker::start(sender.clone(), overlays.clone());
    thread::spawn(move || read(input, &sender));
    let server = Server {
        output,
        life: Life::New,
        documents: Documents::default(),
        projects: BTreeMap::new(),
        jobs,
        overlays,
        waiting: Vec::new(),
        watches: false,
        clock: 0,
    };
    server.run(&events)
}

fn read(input: impl Read, events: &Sender<Event>) {
    let mut input = BufReader::new(input);
    loop {
        let event = match transport::read(&mut input) {
            Ok(Some(Ok(message))) => Event::Message(message),
            Ok(Some(Err(fault))) => Event::Malformed(fault),
            Ok(None) | Err(_) => Event::Closed,
        };
        let ends = matches!(event, Event::Closed);
        if events.send(event).is_err() || ends {
            return;
        }
    }
}

impl<W: Write> Server<W> {
    fn run(mut self, events: &Receiver<Event>) -> io::Result<bool> {
        loop {
            let due = self.projects.values().filter_map(|state| state.due).min();
            let event = match due {
                Some(due) => events.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => events.recv().map_err(RecvTimeoutError::from),
            };
            match event {
                Ok(Event::Message(Message::Request(request))) => self.request(request)?,
                Ok(Event::Message(Message::Notification(notification))) => {
                    if notification.method == "exit" {
                        return Ok(self.life == Life::ShutDown);
                    }
                    self.notification(notification)?;
                }
                Ok(Event::Message(Message::Response(_))) => {}
                Ok(Event::Malformed(fault)) => self.malformed(&fault)?,
                Ok(Event::Done(done)) => self.done(*done)?,
                Ok(Event::Closed) | Err(RecvTimeoutError::Disconnected) => {
                    return Ok(self.life == Life::ShutDown);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.ask();
        }
    }

    pub(super) fn send(&mut self, message: impl Into<Message>) -> io::Result<()> {
        message.into().write(&mut self.output)
    }

    pub(super) fn refuse(
        &mut self,
        id: RequestId,
        code: ErrorCode,
        message: impl Into<String>,
    ) -> io::Result<()> {
        self.send(Response::new_err(id, code as i32, message.into()))
    }

    /// Answers what is no message: nobody knows which request it was meant to be.
    fn malformed(&mut self, fault: &str) -> io::Result<()> {
        let error = json!({ "code": ErrorCode::ParseError as i32, "message": fault });
        let text = json!({ "jsonrpc": "2.0", "id": null, "error": error }).to_string();
        write!(self.output, "Content-Length: {}\r\n\r\n{text}", text.len())?;
        self.output.flush()
    }

    fn request(&mut self, request: Request) -> io::Result<()> {
        match (self.life, request.method.as_str()) {
            (Life::New, "initialize") => self.initialize(request),
            (Life::New, _) => {
                self.refuse(request.id, ErrorCode::ServerNotInitialized, "say `initialize` first")
            }
            (Life::Running, "shutdown") => {
                self.life = Life::ShutDown;
                self.send(Response::new_ok(request.id, Value::Null))
            }
            (Life::Running, "initialize") => {
                self.refuse(request.id, ErrorCode::InvalidRequest, "`initialize` was said before")
            }
            (Life::Running, _) => self.route(request),
            (Life::ShutDown, _) => {
                self.refuse(request.id, ErrorCode::InvalidRequest, "`shutdown` was said before: say `exit`")
            }
        }
    }

    fn initialize(&mut self, request: Request) -> io::Result<()> {
        let watching = "/capabilities/workspace/didChangeWatchedFiles/dynamicRegistration";
        self.watches = request.params.pointer(watching) == Some(&Value::Bool(true));
        self.life = Life::Running;
        let capabilities = json!({
            "positionEncoding": "utf-16",
            "textDocumentSync": { "openClose": true, "change": 2, "save": true },
            "completionProvider": { "triggerCharacters": [".", "[", "\"", "'", "("] },
            "hoverProvider": true,
            "definitionProvider": true,
            "referencesProvider": true,
            "renameProvider": { "prepareProvider": true },
            "documentSymbolProvider": true,
            "documentFormattingProvider": true,
            "codeActionProvider": { "codeActionKinds": ["quickfix", "source.fixAll.omni"] },
        });
        let info = json!({ "name": "omni", "version": env!("CARGO_PKG_VERSION") });
        self.send(Response::new_ok(request.id, json!({ "capabilities": capabilities, "serverInfo": info })))
    }

    /// Gives the worker what is due, if it has done what it was given before.
    fn ask(&mut self) {
        let now = Instant::now();
        for (project, state) in &mut self.projects {
            if state.is_busy || state.due.is_none_or(|due| due > now) {
                continue;
            }
            state.due = None;
            state.is_busy = true;
            let open = self.documents.iter().map(|(path, document)| (path.to_owned(), document.text.clone()));
            let job = Job { project: project.clone(), revision: state.revision, open: open.collect() };
            // Without a worker there is nothing to wait for.
            let _ = self.jobs.send(job);
        }
    }

    /// A check is done: shows what it found, and answers what waited for it.
    fn done(&mut self, done: Done) -> io::Result<()> {
        let Done { project, revision, checked } = done;
        let Some(state) = self.projects.get_mut(&project) else { return Ok(()) };
        state.is_busy = false;
        let is_current = revision == state.revision;
        let failed = checked.is_none();
        let in_project = |(path, document): &(&Path, &Document)| {
            Project::of(path, &document.text).as_ref() == Some(&project)
        };
        let first = self.documents.iter().find(in_project).map(|(path, _)| path);
        let found = (checked.as_ref())
            .map(|checked| diagnostics::by_file(&checked.findings.problems, &self.documents, first));
        if let Some(checked) = checked {
            let is_whole = !checked.findings.problems.iter().any(|problem| problem.code == "toml-syntax");
            let analysis = Rc::new(Analysis::new(checked));
            if is_whole || state.whole.is_none() {
                state.whole = Some(Rc::clone(&analysis));
            }
            state.checked = Some((revision, analysis));
        }
        // Places of an older text would be wrong in the newer one; the next check is under way.
        if let Some(found) = found.filter(|_| is_current) {
            let now: BTreeSet<PathBuf> = found.keys().cloned().collect();
            let before = std::mem::replace(&mut state.published, now);
            for path in before.iter().filter(|path| !found.contains_key(*path)) {
                self.publish(path, Vec::new())?;
            }
            for (path, list) in found {
                self.publish(&path, list)?;
            }
        }
        let (ready, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(wanted, _)| is_current && *wanted == project);
        self.waiting = rest;
        let mut ready = ready.into_iter().map(|(_, request)| request);
        if failed {
            let refuse =
                |request: Request| self.refuse(request.id, ErrorCode::InternalError, "the check failed");
            return ready.try_for_each(refuse);
        }
        ready.try_for_each(|request| self.route(request))
    }

    pub(super) fn publish(&mut self, path: &Path, list: Vec<lsp::Diagnostic>) -> io::Result<()> {
        let Some(uri) = self.documents.uri(path) else { return Ok(()) };
        let version = self.documents.get(path).map(|document| document.version);
        let params = lsp::PublishDiagnosticsParams { uri, diagnostics: list, version };
        self.send(Notification::new("textDocument/publishDiagnostics".to_owned(), params))
    }
}

/// The parameters of a message; `None` if they are not what they should be.
pub(super) fn parse<T: DeserializeOwned>(params: Value) -> Option<T> {
    serde_json::from_value(params).ok()
}
