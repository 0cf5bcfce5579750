//! Sizes that must be the same in a call, and hardly ever are.

use crate::diag::{Level, Problems, Span};
use crate::lint::{Context, Lint};
use crate::ops::Dim;
use crate::plan::{Constraint, Instr, Plan};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "sizes-rarely-agree",
    level: Level::Warning,
    what: "Two sizes that depend on the inputs, must be the same in every call, and differ for every usual input.",
    why: "The definition can be traced, but hardly called: an axis is the wrong one, or a size is off by a little.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x)) + pad(x, [0, 0, 0, size(x, 1) // 2])'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nlayers.up   = \"Linear(size, wide)\"\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(up(x)) + pad(x, [0, 0, 0, 0])'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for trace in &context.traces {
        for method in &trace.methods {
            let calls = calls(&method.plan);
            for constraint in &method.plan.constraints {
                if !calls.iter().any(|sizes| holds(constraint, sizes)) {
                    let message = format!(
                        "{}: {} and {} are the same for hardly any input",
                        constraint.what, constraint.left, constraint.right
                    );
                    let label = format!("in `{}` of `{}`", constraint.path, trace.architecture.name.text);
                    let mut problem = LINT.at(&constraint.span, message).label(label);
                    for size in [&constraint.left, &constraint.right] {
                        if let Some(at) = first(&method.plan, size).filter(|at| *at != &constraint.span) {
                            problem = problem.related(at.clone(), format!("{size} is computed here"));
                        }
                    }
                    problems.push(problem.help("look at the axes and at how the two sizes are computed"));
                }
            }
        }
    }
}

/// Where a size is computed, if it is: where it first appears.
fn first<'p>(plan: &'p Plan, size: &Dim) -> Option<&'p Span> {
    if size.as_symbol().is_some() || size.symbols().is_empty() {
        return None;
    }
    let gives = |instr: &&Instr| instr.outputs.iter().any(|(_, ty)| ty.shape.contains(size));
    plan.instrs.iter().find(gives).map(|instr| &instr.span)
}

fn holds(constraint: &Constraint, sizes: &[i64]) -> bool {
    matches!((constraint.left.eval(sizes), constraint.right.eval(sizes)), (Ok(left), Ok(right)) if left == right)
}

/// Calls that differ in every size and divide well, one of a single item, and one whose inputs are all as long.
fn calls(plan: &Plan) -> Vec<Vec<i64>> {
    let each = |size: &dyn Fn(usize, &str) -> i64| -> Vec<i64> {
        plan.symbols.iter().map(|symbol| size(symbol.index, &symbol.name)).collect()
    };
    let number = |index: usize| i64::try_from(index).unwrap_or(0);
    vec![
        each(&|index, name| if name == "batch" { 3 } else { 6720 * (number(index) + 1) }),
        each(&|index, name| if name == "batch" { 1 } else { 2688 * (number(index) + 3) }),
        each(&|_, name| if name == "batch" { 2 } else { 13440 }),
    ]
}
