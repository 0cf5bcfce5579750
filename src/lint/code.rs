//! The code of a module, parsed piece by piece, each with its part in the module.
//!
//! Every piece of text is parsed once however many modules inherit it, and every syntax error is kept, so that one
//! does not hide the next. Absent on purpose: what names mean (`scope`).

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::calls;
use super::lints::settled_branch::{Question, questions};
use super::lints::unreachable_code;
use super::scope::{free_names, mentions};
use crate::diag::{Problem, Problems, Span};
use crate::lang::ast::{Expr, ExprKind, Stmt, StmtKind, Target, TextRange};
use crate::lang::{Parses, default_of, parse};
use crate::registry::{Code, Entries, Module, Name};

pub use crate::lang::Syntax;
pub(super) use crate::lang::ast::each_in;

/// The part that a piece of code plays in its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The default of a parameter.
    Default,
    /// A constant.
    Let,
    /// What a layer is.
    Layer,
    /// The shape of a parameter.
    Param,
    /// The shape of a buffer.
    Buffer,
    /// Whose tensors something shares.
    Tied,
    /// How a checkpoint stores a parameter.
    Stored,
    /// The type of a root input.
    Type,
    /// The statements of a method.
    Body,
}

/// A piece of code.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Its part.
    pub role: Role,
    /// The entry it belongs to: a layer, a method, a parameter.
    pub entry: Name,
    /// The text.
    pub code: Code,
    /// The parsed text.
    pub syntax: Syntax,
    /// The names that nothing in the module or the language explains: fields and modules, if they mean something.
    pub(super) free: Vec<Arc<str>>,
}

/// A way into a module, with the names of its inputs.
#[derive(Debug)]
pub struct MethodView {
    /// Its name.
    pub name: Name,
    /// Its inputs: name, place, and whether there is a default.
    pub inputs: Vec<Parameter>,
    /// Its statements.
    pub body: Piece,
    /// Every name that these mention.
    pub(super) mentions: FxHashSet<Arc<str>>,
    /// Where the body asks whether something of the module is there.
    pub(super) questions: Vec<Question>,
}

/// A parameter of a constructor or a method.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name and place.
    pub name: Name,
    /// Whether it may be left out.
    pub optional: bool,
}

/// A module with all that it inherits, parsed.
#[derive(Debug)]
pub struct View {
    /// The module with all that it inherits.
    pub module: Module,
    /// The name of the module that it extends.
    pub extends: Option<Name>,
    /// What its constructor takes.
    pub args: Vec<Parameter>,
    /// The ways in.
    pub methods: Vec<MethodView>,
    /// Every expression; bodies are in `methods`.
    pub pieces: Vec<Piece>,
    /// Every name that the code mentions, as [`mentions`] understands it.
    pub(super) mentions: FxHashSet<Arc<str>>,
    /// Every attribute that the code asks for.
    pub(super) attributes: BTreeSet<Arc<str>>,
    /// The names of its layers, parameters, constants and arguments.
    pub(super) own: FxHashSet<Arc<str>>,
    /// What is wrong with its own code, whatever it is used in.
    pub(super) problems: Problems,
    /// What is wrong with the calls of ops.
    pub(super) calls: Problems,
}

impl View {
    pub(super) fn new(written: &Module, module: Module, parses: &Parses) -> Self {
        let mut pieces = Vec::new();
        let mut problems = Problems::new();
        let args = parameters(module.args.as_deref().unwrap_or_default(), parses, &mut pieces, &mut problems);
        let mut add = |role: Role, entries: &Entries<Code>| {
            for (entry, code) in entries {
                let syntax = parses.expression(code);
                pieces.push(Piece::new(role, entry, code, syntax));
            }
        };
        add(Role::Let, &module.lets);
        add(Role::Layer, &module.layers);
        add(Role::Param, &module.params);
        add(Role::Buffer, &module.buffers);
        add(Role::Tied, &module.tied);
        add(Role::Stored, &module.stored);
        add(Role::Type, &module.types);
        let mut methods = Vec::new();
        for (name, method) in &module.methods {
            let inputs = match &module.inputs {
                Some(inputs) if name.text == "forward" => inputs,
                _ => &method.inputs,
            };
            let inputs = parameters(inputs, parses, &mut pieces, &mut problems);
            let syntax = parses.body(&method.body);
            let body = Piece::new(Role::Body, name, &method.body, syntax);
            let mut found = FxHashSet::default();
            mentions(&body, &mut found);
            let questions = questions(&body, &inputs);
            methods.push(MethodView { name: name.clone(), inputs, body, mentions: found, questions });
        }
        let mut view = Self {
            module,
            extends: written.extends.clone(),
            args,
            methods,
            pieces,
            mentions: FxHashSet::default(),
            attributes: BTreeSet::new(),
            own: FxHashSet::default(),
            problems,
            calls: Problems::new(),
        };
        view.note_names();
        let free: Vec<Vec<Arc<str>>> = view.all().map(|piece| free_names(&view, piece)).collect();
        let pieces = view.pieces.iter_mut().chain(view.methods.iter_mut().map(|method| &mut method.body));
        pieces.zip(free).for_each(|(piece, free)| piece.free = free);
        let mut found = Problems::new();
        view.methods.iter().for_each(|method| calls::in_body(&view, &method.body, &mut found));
        view.calls = found;
        let mut found = Problems::new();
        let own = view.all().filter(|piece| written.extends.is_none() || is_own(written, &piece.code.span));
        own.for_each(|piece| unreachable_code::in_piece(piece, &mut found));
        view.problems.extend(found);
        view
    }

    /// Notes the names in the code, and what is wrong with it.
    fn note_names(&mut self) {
        let (mut found, mut attributes) = (FxHashSet::default(), BTreeSet::new());
        let mut problems = Problems::new();
        self.pieces.iter().for_each(|piece| mentions(piece, &mut found));
        found.extend(self.methods.iter().flat_map(|method| method.mentions.iter().cloned()));
        for piece in self.all() {
            piece.each(&mut |expr| {
                if let ExprKind::Attribute(_, name) = &expr.kind {
                    attributes.insert(Arc::clone(name));
                }
            });
            if let Syntax::Broken(problem) = &piece.syntax {
                problems.push(Problem::clone(problem));
            }
        }
        (self.mentions, self.attributes) = (found, attributes);
        self.problems.extend(problems);
        let own = [&self.module.lets, &self.module.layers, &self.module.params, &self.module.buffers];
        let own = own.into_iter().flatten().map(|(name, _)| name);
        let own = own.chain(self.args.iter().map(|parameter| &parameter.name));
        self.own = own.map(|name| Arc::from(name.text.as_str())).collect();
    }

    /// Every piece, bodies too.
    pub fn all(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().chain(self.methods.iter().map(|method| &method.body))
    }

    /// Whether an entry stands in the module itself rather than in one that it extends.
    #[must_use]
    pub fn owns(&self, name: &Name, written: &Module) -> bool {
        let own = [&written.lets, &written.layers, &written.params, &written.buffers];
        own.iter().any(|entries| entries.iter().any(|(entry, _)| entry.span == name.span))
    }
}

impl Piece {
    fn new(role: Role, entry: &Name, code: &Code, syntax: Syntax) -> Self {
        Self { role, entry: entry.clone(), code: code.clone(), syntax, free: Vec::new() }
    }

    /// The span of a part of the code.
    #[must_use]
    pub fn span(&self, range: &TextRange) -> Span {
        let start = self.code.span.range.start;
        let end = (start + range.end as usize).min(self.code.span.range.end.max(start));
        Span::new(&self.code.span.source, (start + range.start as usize).min(end)..end)
    }

    /// Visits every expression, the inner ones too, outer ones first.
    pub fn each(&self, visit: &mut dyn FnMut(&Expr)) {
        match &self.syntax {
            Syntax::Expr(expr) => expr.each(visit),
            Syntax::Body(body) => each_in(body, visit),
            Syntax::Broken(_) => {}
        }
    }

    /// The statements, if it is a body.
    #[must_use]
    pub fn statements(&self) -> &[Stmt] {
        match &self.syntax {
            Syntax::Body(body) => body,
            _ => &[],
        }
    }

    /// The names that it binds, each with its place.
    #[must_use]
    pub fn bound(&self) -> Vec<(Arc<str>, TextRange)> {
        let mut names = Vec::new();
        self.each(&mut |expr| {
            if let ExprKind::Comprehension(_, clauses) = &expr.kind {
                for clause in clauses {
                    bound_by(&clause.target, &mut names);
                }
            }
        });
        bound_in(self.statements(), &mut names);
        names
    }
}

/// Parameters, their defaults added to `pieces`; what is none is left out.
fn parameters(
    codes: &[Code],
    parses: &Parses,
    pieces: &mut Vec<Piece>,
    problems: &mut Problems,
) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for code in codes {
        let text = code.text.split('=').next().unwrap_or_default();
        let start = code.span.range.start;
        let name = Name {
            text: text.trim().to_owned(),
            span: Span::new(&code.span.source, start..start + text.trim_end().len()),
        };
        let default = default_of(code).map(|code| (parses.expression(&code), code));
        if let Some((Syntax::Broken(problem), _)) = &default {
            problems.push(Problem::clone(problem));
            continue;
        }
        if let Err(problem) = parse::parameter(code) {
            problems.push(problem);
            continue;
        }
        let optional = default.is_some();
        if let Some((syntax, code)) = default {
            pieces.push(Piece::new(Role::Default, &name, &code, syntax));
        }
        parameters.push(Parameter { name, optional });
    }
    parameters
}

/// Whether code stands in a module itself, not in one that it extends.
fn is_own(written: &Module, span: &Span) -> bool {
    let entries = [
        &written.lets,
        &written.layers,
        &written.params,
        &written.buffers,
        &written.tied,
        &written.stored,
        &written.types,
    ];
    let methods = written.methods.iter().map(|(_, method)| method);
    let given =
        [&written.args, &written.inputs].into_iter().flatten().chain(methods.clone().map(|m| &m.inputs));
    let entries = entries.into_iter().flatten().map(|(_, code)| code);
    let mut all = entries.chain(methods.map(|method| &method.body)).chain(given.flatten());
    all.any(|code| {
        Arc::ptr_eq(&code.span.source, &span.source)
            && code.span.range.start <= span.range.start
            && span.range.end <= code.span.range.end
    })
}

fn bound_by(target: &Target, names: &mut Vec<(Arc<str>, TextRange)>) {
    match target {
        Target::Name(name, range) => names.push((Arc::clone(name), range.clone())),
        Target::Unpack(targets, _) => targets.iter().for_each(|target| bound_by(target, names)),
    }
}

fn bound_in(body: &[Stmt], names: &mut Vec<(Arc<str>, TextRange)>) {
    for statement in body {
        match &statement.kind {
            StmtKind::Assign(targets, _) => targets.iter().for_each(|target| bound_by(target, names)),
            StmtKind::Augment(name, _, _) => names.push((Arc::clone(name), statement.range.clone())),
            StmtKind::For(target, _, body) => {
                bound_by(target, names);
                bound_in(body, names);
            }
            StmtKind::If(branches) => branches.iter().for_each(|(_, body)| bound_in(body, names)),
            StmtKind::Return(_) | StmtKind::Expr(_) | StmtKind::Pass => {}
        }
    }
}
