//! Requests about a document: what each needs to know, and who answers it.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use lsp_server::{ErrorCode, Request, Response};
use lsp_types as lsp;
use serde_json::{Value, json};

use super::answers::{self, Asked};
use super::project::Project;
use super::server::{Server, State, parse};
use super::{completion, hover, outline, position, rename};

impl<W: Write> Server<W> {
    /// Answers a request, or lets it wait for the check that it needs.
    pub(super) fn route(&mut self, request: Request) -> io::Result<()> {
        let method = request.method.strip_prefix("textDocument/").unwrap_or_default();
        let needs = match method {
            "documentSymbol" | "formatting" => Needs::Text,
            "completion" => Needs::Some,
            "definition" | "references" | "hover" | "prepareRename" | "rename" | "codeAction" => {
                Needs::Newest
            }
            _ => {
                let message = format!("`{}` is not supported", request.method);
                return self.refuse(request.id, ErrorCode::MethodNotFound, message);
            }
        };
        let uri = request.params.pointer("/textDocument/uri").cloned().and_then(parse::<lsp::Uri>);
        let Some(path) = uri.as_ref().and_then(position::path) else {
            let message = "`textDocument.uri` is missing, or no file";
            return self.refuse(request.id, ErrorCode::InvalidParams, message);
        };
        let Some(document) = self.documents.get(&path) else {
            return self.refuse(request.id, ErrorCode::InvalidParams, "the document is not open");
        };
        if needs == Needs::Text {
            let answer = match method {
                "formatting" => answers::formatting(&path, &document.text),
                _ => Ok(json!(outline::symbols(&document.text))),
            };
            return match answer {
                Ok(value) => self.send(Response::new_ok(request.id, value)),
                Err(message) => self.refuse(request.id, ErrorCode::RequestFailed, message),
            };
        }
        // Of other files nothing is known.
        let Some(project) = Project::of(&path, &document.text) else {
            return self.send(Response::new_ok(request.id, Value::Null));
        };
        self.clock += 1;
        let clock = self.clock;
        let state = self.projects.entry(project.clone()).or_insert_with(|| State {
            revision: clock,
            due: Some(Instant::now()),
            ..State::default()
        });
        let newest = state.checked.as_ref().filter(|(revision, _)| *revision == state.revision);
        let newest = newest.map(|(_, analysis)| analysis);
        let found = if needs == Needs::Some { state.whole.as_ref().or(newest) } else { newest };
        let Some(analysis) = found.cloned() else {
            state.due = state.due.map(|_| Instant::now());
            self.waiting.push((project, request));
            return Ok(());
        };
        let position = request.params.get("position").cloned().and_then(parse::<lsp::Position>);
        let offset = position.map(|position| position::offset(&document.text, position));
        if offset.is_none() && method != "codeAction" {
            return self.refuse(request.id, ErrorCode::InvalidParams, "`position` is missing");
        }
        let asked = Asked {
            documents: &self.documents,
            project: &project,
            overlays: &self.overlays,
            analysis: &analysis,
            path: &path,
            text: &document.text,
            offset: offset.unwrap_or(0),
        };
        // A fault of ours costs this answer only.
        let answer = catch_unwind(AssertUnwindSafe(|| answer(&asked, method, &request.params)));
        match answer {
            Ok(Ok(value)) => self.send(Response::new_ok(request.id, value)),
            Ok(Err(message)) => self.refuse(request.id, ErrorCode::RequestFailed, message),
            Err(_) => self.refuse(request.id, ErrorCode::InternalError, "a fault in omni"),
        }
    }
}

/// What a request needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// The text alone.
    Text,
    /// Any check: names change slowly.
    Some,
    /// A check of the text as it is: places must be right.
    Newest,
}

fn answer(asked: &Asked<'_>, method: &str, params: &Value) -> Result<Value, String> {
    match method {
        "definition" => Ok(answers::definition(asked)),
        "references" => {
            let all = params.pointer("/context/includeDeclaration") != Some(&Value::Bool(false));
            Ok(answers::references(asked, all))
        }
        "prepareRename" => rename::prepare(asked),
        "rename" => {
            let new = params.get("newName").and_then(Value::as_str).ok_or("`newName` is missing")?;
            rename::rename(asked, new)
        }
        "codeAction" => {
            let range =
                params.get("range").cloned().and_then(parse::<lsp::Range>).ok_or("`range` is missing")?;
            let only = params.pointer("/context/only").cloned().and_then(parse::<Vec<String>>);
            Ok(answers::actions(asked, range, only.as_deref()))
        }
        "completion" => Ok(completion::complete(asked)),
        _ => Ok(hover::hover(asked)),
    }
}
