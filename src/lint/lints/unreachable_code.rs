//! Statements that are never run.

use crate::diag::{Level, Problems};
use crate::lang::ast::{Expr, ExprKind, Stmt, StmtKind};
use crate::lint::code::Piece;
use crate::lint::{Lint, found_elsewhere};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unreachable-code",
    level: Level::Warning,
    what: "A statement behind a `return`, or a branch whose condition is a constant.",
    why: "It looks as if it counted.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = '''\nreturn down(up(x))\nx = relu(x)\n'''\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = '''\nx = relu(x)\nreturn down(up(x))\n'''\n",
    check: found_elsewhere,
};

/// Adds a problem for everything in a piece of code that is never run.
pub(in crate::lint) fn in_piece(piece: &Piece, problems: &mut Problems) {
    statements(piece, piece.statements(), problems);
    piece.each(&mut |expr| {
        if let ExprKind::IfElse(test, _, _) = &expr.kind {
            constant(piece, test, problems);
        }
    });
}

fn statements(piece: &Piece, body: &[Stmt], problems: &mut Problems) {
    let end = body.iter().position(ends);
    if let Some(dead) = end.and_then(|end| body.get(end + 1)) {
        let problem = LINT.at(&piece.span(&dead.range), "this is never run: the body has returned before");
        problems.push(problem.help("remove it, or move it before the `return`"));
    }
    for statement in body {
        match &statement.kind {
            StmtKind::If(branches) => {
                for (index, (test, inner)) in branches.iter().enumerate() {
                    if let Some(test) = test {
                        constant(piece, test, problems);
                        let earlier = branches[..index].iter().filter_map(|(test, _)| test.as_ref());
                        if earlier.into_iter().any(|other| same(other, test)) {
                            let problem = LINT.at(&piece.span(&test.range), "this branch asks what an earlier one did");
                            problems.push(problem.help("ask something else, or remove the branch"));
                        }
                    }
                    statements(piece, inner, problems);
                }
            }
            StmtKind::For(_, _, inner) => statements(piece, inner, problems),
            _ => {}
        }
    }
}

/// Whether nothing behind the statement is run.
pub(in crate::lint) fn ends(statement: &Stmt) -> bool {
    match &statement.kind {
        StmtKind::Return(_) => true,
        StmtKind::Expr(Expr { kind: ExprKind::Call(callee, _, _), .. }) => {
            matches!(&callee.kind, ExprKind::Name(name) if &**name == "fail")
        }
        StmtKind::If(branches) => {
            branches.iter().any(|(test, _)| test.is_none()) && branches.iter().all(|(_, body)| body.iter().any(ends))
        }
        _ => false,
    }
}

/// Reports a condition that holds always or never.
fn constant(piece: &Piece, test: &Expr, problems: &mut Problems) {
    let mut named = false;
    test.each(&mut |expr| named |= matches!(expr.kind, ExprKind::Name(_)));
    if !named {
        let problem = LINT.at(&piece.span(&test.range), "this condition does not depend on anything");
        problems.push(problem.help("ask a config field, or keep the branch that is taken"));
    }
}

fn same(a: &Expr, b: &Expr) -> bool {
    let text = |expr: &Expr| {
        let mut parts = Vec::new();
        expr.each(&mut |expr| {
            parts.push(match &expr.kind {
                ExprKind::Name(name) | ExprKind::Attribute(_, name) => name.to_string(),
                ExprKind::Const(value) => value.to_string(),
                ExprKind::Compare(_, rest) => format!("{:?}", rest.iter().map(|(op, _)| op).collect::<Vec<_>>()),
                ExprKind::Unary(op, _) => format!("{op:?}"),
                ExprKind::Binary(op, _, _) => format!("{op:?}"),
                other => format!("{:?}", std::mem::discriminant(other)),
            });
        });
        parts
    };
    text(a) == text(b)
}
