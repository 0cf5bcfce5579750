//! The names in a piece of code, as far as they can be told without running it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::index::{Builder, Meaning};
use super::infer;
use super::owners::{ancestors, field_owner, fields_of_module, owner, parameter};
use crate::lang::ast::{Expr, ExprKind, TextRange};
use crate::lang::functions;
use crate::lint::Checked;
use crate::lint::code::{Piece, Role, View};
use crate::ops::{self, Const};

impl Builder<'_> {
    /// Notes every name in a piece of code.
    pub(super) fn piece(&mut self, view: &View, piece: &Piece) {
        // A variable that has the name of an input is that input, with another value.
        let method = view.methods.iter().find(|method| method.body.code.span == piece.code.span);
        let is_input = |name: &str| {
            method.is_some_and(|method| method.inputs.iter().any(|input| input.name.text == name))
        };
        let bound: BTreeSet<Arc<str>> =
            piece.bound().into_iter().map(|(name, _)| name).filter(|name| !is_input(name)).collect();
        let place = (Arc::as_ptr(&piece.code.span.source).addr(), piece.code.span.range.start);
        for (name, range) in piece.bound() {
            let end = range.start + u32::try_from(name.len()).unwrap_or(0);
            let span = piece.span(&(range.start..end));
            if bound.contains(&name) {
                self.declare(&span, Meaning::Local(place.0, place.1, name.to_string()));
            } else {
                for meaning in meanings(self.checked, view, piece, &name) {
                    self.mention(span.clone(), meaning);
                }
            }
        }
        piece.each(&mut |expr| match &expr.kind {
            ExprKind::Name(name) if bound.contains(name) => {
                let local = Meaning::Local(place.0, place.1, name.to_string());
                self.mention(piece.span(&expr.range), local);
            }
            ExprKind::Name(name) => {
                for meaning in meanings(self.checked, view, piece, name) {
                    self.mention(piece.span(&expr.range), meaning);
                }
            }
            ExprKind::Attribute(receiver, name) => self.attribute(view, piece, expr, receiver, name),
            ExprKind::Call(callee, _, named) => {
                for (keyword, value) in named {
                    self.keyword(view, piece, callee, keyword, &value.range);
                }
            }
            ExprKind::Const(Const::Str(text)) => {
                for part in text.split(['.', '{', '}', ' ']).filter(|part| !part.is_empty()) {
                    self.open(part, piece.span(&expr.range));
                }
            }
            _ => {}
        });
    }

    fn attribute(&mut self, view: &View, piece: &Piece, expr: &Expr, receiver: &Expr, name: &Arc<str>) {
        let start = expr.range.end.saturating_sub(u32::try_from(name.len()).unwrap_or(0));
        let span = piece.span(&(start..expr.range.end));
        let meanings = match infer::of(self.checked, view, piece, receiver) {
            infer::Kind::Layers(modules) => modules
                .iter()
                .filter_map(|module| {
                    Some(Meaning::Member(owner(self.checked, module, name)?, name.to_string()))
                })
                .collect(),
            infer::Kind::Config(table) => field_owner(self.checked, &table, name)
                .map(|owner| Meaning::Field(owner, name.to_string()))
                .into_iter()
                .collect(),
            infer::Kind::Unknown => Vec::new(),
        };
        if meanings.is_empty() {
            self.open(name, span);
        } else {
            meanings.into_iter().for_each(|meaning| self.mention(span.clone(), meaning));
        }
    }

    fn keyword(&mut self, view: &View, piece: &Piece, callee: &Expr, keyword: &Arc<str>, value: &TextRange) {
        let text = piece.code.text.get(..value.start as usize).unwrap_or_default();
        // A value in brackets starts within them.
        let before = text.trim_end_matches(|c: char| c.is_whitespace() || c == '(');
        let Some(before) =
            before.strip_suffix('=').map(str::trim_end).filter(|before| before.ends_with(&**keyword))
        else {
            return;
        };
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let span = piece.span(&(count(before.len() - keyword.len())..count(before.len())));
        let built: BTreeSet<String> = match &callee.kind {
            ExprKind::Name(name) if piece.role == Role::Layer && self.checked.views.contains_key(&**name) => {
                infer::standing_for(self.checked, name)
            }
            ExprKind::Name(name) if ops::find(name).is_some() && !view_knows(view, name) => return,
            _ => BTreeSet::new(),
        };
        let owners: BTreeSet<String> =
            built.iter().filter_map(|module| owner(self.checked, module, keyword)).collect();
        if owners.is_empty() && &**keyword != "config" {
            self.open(keyword, span);
        } else {
            for owner in owners {
                self.mention(span.clone(), Meaning::Member(owner, keyword.to_string()));
            }
        }
    }
}

fn view_knows(view: &View, name: &str) -> bool {
    view.module.layers.iter().any(|(entry, _)| entry.text == name)
}

/// What a free name in a piece of a module's code may mean.
pub(super) fn meanings(checked: &Checked, view: &View, piece: &Piece, name: &str) -> Vec<Meaning> {
    let module = view.module.name.text.as_str();
    if piece.role == Role::Body
        && let Some(method) = view.methods.iter().find(|method| method.body.code.span == piece.code.span)
        && let Some(input) = method.inputs.iter().find(|input| input.name.text == name)
    {
        // The module that declares the input, not the one that inherits it.
        let written = ancestors(checked, module).into_iter().find(|written| {
            let inputs = written.inputs.iter().flatten();
            let others = written.methods.iter().flat_map(|(_, method)| &method.inputs);
            inputs.chain(others).any(|code| parameter(code).1 == input.name.span)
        });
        let owner = written.map_or(module, |written| &written.name.text);
        return vec![Meaning::Input(owner.to_owned(), method.name.text.clone(), name.to_owned())];
    }
    if let Some(owner) = owner(checked, module, name) {
        return vec![Meaning::Member(owner, name.to_owned())];
    }
    let fields = fields_of_module(checked, module, name);
    if !fields.is_empty() {
        return fields.into_iter().map(|table| Meaning::Field(table, name.to_owned())).collect();
    }
    if piece.role == Role::Body && ops::find(name).is_some() {
        return vec![Meaning::Op(name.to_owned())];
    }
    if functions().any(|function| function == name) {
        return vec![Meaning::Function(name.to_owned())];
    }
    if checked.registry.modules.contains_key(name) {
        return vec![Meaning::Module(name.to_owned())];
    }
    Vec::new()
}
