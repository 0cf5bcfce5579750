//! Tensors that no way into a model reads.

use rustc_hash::FxHashMap;

use crate::diag::{Level, Problems, Span};
use crate::lang::ast::{ExprKind, Stmt, StmtKind, TextRange};
use crate::lint::code::{Role, each_in};
use crate::lint::{Context, Lint, Place, place};
use crate::plan::Param;

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unread-tensor",
    level: Level::Warning,
    what: "A tensor that a checkpoint must hold, and that no way into any model reads, although its name is mentioned.",
    why: "What the layer computes is dropped on the way, or an argument is forgotten.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.norm = \"RMSNorm(size)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = '''\ny = norm(x)\nreturn down(up(x)) if y is not None else y\n'''\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.norm = \"RMSNorm(size)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = '''\ny = norm(x)\nreturn down(up(y))\n'''\n",
    check,
};

/// What is known of the tensors that one place gives.
struct Seen<'a> {
    read: bool,
    first: &'a Param,
}

fn check(context: &Context<'_>, problems: &mut Problems) {
    // One place gives a tensor to many layers, of which a config may leave some unread.
    let mut shapes: FxHashMap<Place, Seen<'_>> = FxHashMap::default();
    let mut layers: FxHashMap<Place, Seen<'_>> = FxHashMap::default();
    for trace in context.traces.iter().filter(|trace| trace.whole) {
        for (index, param) in trace.params.iter().enumerate().filter(|(_, param)| param.tied_to.is_none()) {
            let read = trace.read.contains(&index);
            for (seen, span) in [(&mut shapes, &param.span), (&mut layers, &param.layer)] {
                let entry = seen.entry(place(span)).or_insert(Seen { read, first: param });
                entry.read |= read;
            }
        }
    }
    for Seen { first, .. } in shapes.values().filter(|seen| !seen.read && context.is_checked(&seen.first.span)) {
        let message = format!("no way in reads a tensor such as `{}`", first.name);
        let mut problem = LINT.at(&first.span, message).help("read it in the body, or remove it");
        let holds = |span: &Span| span.source == first.span.source && span.range.contains(&first.span.range.start);
        let module = context.views.values().find(|view| {
            let mut own = view.pieces.iter().filter(|piece| matches!(piece.role, Role::Param | Role::Buffer));
            own.any(|piece| holds(&piece.code.span))
        });
        for method in module.into_iter().flat_map(|view| &view.methods) {
            problem = problem.related(first_line(&method.body.code.span), "this body does not read it");
            let name = first.name.rsplit('.').next().unwrap_or_default();
            for test in conditions(method.body.statements(), name) {
                problem = problem.related(method.body.span(&test), "only where this holds, and on no sample it does");
            }
        }
        problems.push(problem);
    }
    let reported = |param: &Param| {
        context.is_checked(&param.span) && shapes.get(&place(&param.span)).is_some_and(|seen| !seen.read)
    };
    for Seen { first, .. } in layers.values().filter(|seen| !seen.read && !reported(seen.first)) {
        let message = format!("no way in reads the tensors of this layer, such as `{}`", first.name);
        let problem = LINT.at(&first.layer, message);
        problems.push(problem.help("use what the layer gives, or remove it"));
    }
}

/// The conditions of a body that lead to where it mentions a name.
fn conditions(body: &[Stmt], name: &str) -> Vec<TextRange> {
    let mut found = Vec::new();
    for statement in body {
        match &statement.kind {
            StmtKind::If(branches) => {
                for (test, inner) in branches {
                    if mentions(inner, name) {
                        found.extend(test.as_ref().map(|test| test.range.clone()));
                        found.extend(conditions(inner, name));
                    }
                }
            }
            StmtKind::For(_, _, inner) => found.extend(conditions(inner, name)),
            _ => {}
        }
    }
    found
}

fn mentions(body: &[Stmt], name: &str) -> bool {
    let mut found = false;
    each_in(body, &mut |expr| found |= matches!(&expr.kind, ExprKind::Name(other) if &**other == name));
    found
}

fn first_line(span: &Span) -> Span {
    let length = span.text().lines().next().map_or(0, str::len);
    Span::new(&span.source, span.range.start..span.range.start + length)
}
