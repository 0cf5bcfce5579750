//! A local that is assigned and never read.

use rustc_hash::FxHashSet;

use crate::diag::{Level, Problems};
use crate::lang::ast::{Stmt, StmtKind, Target, TextRange};
use crate::lint::{Context, Lint, place};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "unused-assignment",
    level: Level::Warning,
    what: "A local that a body assigns and never reads. One of several names that unpack a result is taken as meant.",
    why: "A step of the computation is lost, often because the next line names an older value.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = '''\nh = relu(up(x))\nreturn down(up(x))\n'''\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = '''\nh = relu(up(x))\nreturn down(h)\n'''\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    let mut seen = FxHashSet::default();
    for view in context.views.values() {
        for method in &view.methods {
            let at = &method.body.code.span;
            let first = seen.insert(place(at));
            if !first || !context.is_checked(at) {
                continue;
            }
            let mut assigned = Vec::new();
            collect(method.body.statements(), &mut assigned);
            for (name, range) in assigned {
                if !method.mentions.contains(&name) && !name.starts_with('_') {
                    let problem = LINT.at(&method.body.span(&range), format!("`{name}` is assigned and never read"));
                    problems.push(problem.help("read it, or remove the line"));
                }
            }
        }
    }
}

fn collect(body: &[Stmt], names: &mut Vec<(std::sync::Arc<str>, TextRange)>) {
    for statement in body {
        match &statement.kind {
            StmtKind::Assign(targets, _) => {
                for target in targets {
                    if let Target::Name(name, range) = target {
                        names.push((std::sync::Arc::clone(name), range.clone()));
                    }
                }
            }
            StmtKind::Augment(name, _, _) => names.push((std::sync::Arc::clone(name), statement.range.clone())),
            StmtKind::For(_, _, body) => collect(body, names),
            StmtKind::If(branches) => branches.iter().for_each(|(_, body)| collect(body, names)),
            StmtKind::Return(_) | StmtKind::Expr(_) | StmtKind::Pass => {}
        }
    }
}
