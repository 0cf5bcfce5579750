//! What a client tells: documents opened, changed, saved and closed, files changed on the disk, requests withdrawn.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use lsp_server::{ErrorCode, Notification, Request, RequestId};
use lsp_types as lsp;
use serde_json::json;

use super::documents::Document;
use super::position;
use super::project::Project;
use super::server::{Life, PAUSE, Server, parse};

impl<W: Write> Server<W> {
    /// Asks the client to say when files of a registry change on the disk.
    fn watch(&mut self) -> io::Result<()> {
        if !self.watches {
            return Ok(());
        }
        let options = json!({ "watchers": [{ "globPattern": "**/*.toml" }] });
        let wanted =
            json!({ "id": "toml", "method": "workspace/didChangeWatchedFiles", "registerOptions": options });
        let params = json!({ "registrations": [wanted] });
        self.send(Request::new(
            RequestId::from("watch".to_owned()),
            "client/registerCapability".to_owned(),
            params,
        ))
    }

    pub(super) fn notification(&mut self, notification: Notification) -> io::Result<()> {
        if self.life != Life::Running {
            return Ok(());
        }
        let Notification { method, params } = notification;
        match method.as_str() {
            "initialized" => self.watch()?,
            "textDocument/didOpen" => {
                if let Some(params) = parse::<lsp::DidOpenTextDocumentParams>(params)
                    && let Some(path) = position::path(&params.text_document.uri)
                {
                    let lsp::TextDocumentItem { uri, version, text, .. } = params.text_document;
                    self.documents.open(path.clone(), Document { uri, version, text });
                    self.changed(&path, Duration::ZERO);
                }
            }
            "textDocument/didChange" => {
                if let Some(params) = parse::<lsp::DidChangeTextDocumentParams>(params)
                    && let Some(path) = position::path(&params.text_document.uri)
                    && self.documents.change(&path, params.text_document.version, params.content_changes)
                {
                    self.changed(&path, PAUSE);
                }
            }
            "textDocument/didSave" => {
                if let Some(params) = parse::<lsp::DidSaveTextDocumentParams>(params)
                    && let Some(path) = position::path(&params.text_document.uri)
                {
                    self.changed(&path, Duration::ZERO);
                }
            }
            "textDocument/didClose" => {
                if let Some(params) = parse::<lsp::DidCloseTextDocumentParams>(params)
                    && let Some(path) = position::path(&params.text_document.uri)
                {
                    self.close(&path)?;
                }
            }
            "workspace/didChangeWatchedFiles" => {
                self.clock += 1;
                for state in self.projects.values_mut() {
                    state.revision = self.clock;
                    state.due = Some(Instant::now() + PAUSE);
                }
            }
            "$/cancelRequest" => {
                let id = params.get("id").cloned().and_then(parse::<RequestId>);
                if let Some(at) =
                    self.waiting.iter().position(|(_, request)| Some(&request.id) == id.as_ref())
                {
                    let (_, request) = self.waiting.remove(at);
                    self.refuse(request.id, ErrorCode::RequestCanceled, "cancelled by the client")?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A document changed: its project is checked after a pause.
    fn changed(&mut self, path: &Path, pause: Duration) {
        if let Some(project) = self.project(path) {
            self.clock += 1;
            let state = self.projects.entry(project).or_default();
            state.revision = self.clock;
            state.due = Some(Instant::now() + pause);
        }
    }

    fn project(&self, path: &Path) -> Option<Project> {
        let document = self.documents.get(path)?;
        Project::of(path, &document.text)
    }

    /// A closed document counts as it lies on the disk. A project without documents is forgotten.
    fn close(&mut self, path: &Path) -> io::Result<()> {
        let project = self.project(path);
        self.changed(path, PAUSE);
        self.documents.close(path);
        let Some(project) = project else { return Ok(()) };
        let is_open = |(path, document): (&Path, &Document)| {
            Project::of(path, &document.text).as_ref() == Some(&project)
        };
        if self.documents.iter().any(is_open) {
            return Ok(());
        }
        let published = self.projects.remove(&project).map(|state| state.published).unwrap_or_default();
        published.iter().try_for_each(|path| self.publish(path, Vec::new()))
    }
}
