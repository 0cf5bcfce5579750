//! Forms in which a checkpoint is said to store a parameter, and cannot.

use crate::diag::{Level, Problems};
use crate::lint::code::Role;
use crate::lint::{Context, Lint};
use crate::plan::{Param, Stored};

pub(in crate::lint) static LINT: Lint = Lint {
    name: "stored-misfit",
    level: Level::Error,
    what: "A `stored` form that cannot give a tensor of the parameter's shape, or that cannot be undone.",
    why: "Loading would fail, or saving would write something that cannot be loaded again.",
    bad: "[modules.ToyBlock]\ninputs      = [\"x\"]\nparams.up   = \"[wide, size]\"\nstored.up   = 'transpose(tensor(\"up\"), 0, 2)'\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(linear(x, up))'\n",
    good: "[modules.ToyBlock]\ninputs      = [\"x\"]\nparams.up   = \"[wide, size]\"\nstored.up   = 'transpose(tensor(\"up\"), 0, 1)'\nlayers.down = \"Linear(wide, size)\"\nforward     = 'return down(linear(x, up))'\n",
    check,
};

fn check(context: &Context<'_>, problems: &mut Problems) {
    for trace in &context.traces {
        for param in &trace.params {
            let moved = |stored: &&Stored| !matches!(stored, Stored::Tensor(_));
            for stored in param.stored.iter().filter(moved) {
                let shape: Vec<Option<usize>> = param.shape.iter().copied().map(Some).collect();
                let names = stored.names();
                let twice = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
                let fault = match twice {
                    Some((_, name)) => Err(format!("`{name}` is read twice, and could be written only once")),
                    None => fits(stored, &shape),
                };
                let Err(fault) = fault else { continue };
                let message = format!("`{}` {:?} cannot be stored as {stored}: {fault}", param.name, param.shape);
                let problem = LINT.at(&place(context, param), message);
                problems.push(problem.related(param.span.clone(), "its shape is written here"));
            }
        }
    }
}

/// Where it is written how the parameter is stored.
fn place(context: &Context<'_>, param: &Param) -> crate::diag::Span {
    let name = param.name.rsplit('.').next().unwrap_or_default();
    let written = context.views.values().find_map(|view| {
        let shapes = view.pieces.iter().filter(|piece| matches!(piece.role, Role::Param | Role::Buffer));
        let holds = |span: &crate::diag::Span| {
            span.source == param.span.source && span.range.contains(&param.span.range.start)
        };
        shapes.into_iter().any(|piece| holds(&piece.code.span)).then_some(())?;
        let stored = view.pieces.iter().find(|piece| piece.role == Role::Stored && piece.entry.text == name)?;
        Some(stored.code.span.clone())
    });
    written.unwrap_or_else(|| param.span.clone())
}

/// Whether a form can give a tensor of a shape, as far as the sizes are known.
fn fits(stored: &Stored, shape: &[Option<usize>]) -> Result<(), String> {
    let axis_in = |axis: usize| {
        if axis < shape.len() { Ok(()) } else { Err(format!("there is no axis {axis} of {}", shape.len())) }
    };
    let without = |axis: usize| -> Vec<Option<usize>> {
        shape.iter().enumerate().filter(|(at, _)| *at != axis).map(|(_, size)| *size).collect()
    };
    let with = |axis: usize, size: Option<usize>| -> Vec<Option<usize>> {
        shape.iter().enumerate().map(|(at, old)| if at == axis { size } else { *old }).collect()
    };
    match stored {
        Stored::Tensor(_) => Ok(()),
        Stored::Transpose(of, a, b) => {
            axis_in(*a)?;
            axis_in(*b)?;
            if a == b {
                return Err("an axis swapped with itself changes nothing".to_owned());
            }
            let mut swapped = shape.to_vec();
            swapped.swap(*a, *b);
            fits(of, &swapped)
        }
        Stored::Concat(parts, axis) => {
            axis_in(*axis)?;
            if shape[*axis].is_some_and(|size| size < parts.len()) {
                return Err(format!("axis {axis} is shorter than its {} parts", parts.len()));
            }
            parts.iter().try_for_each(|part| fits(part, &with(*axis, None)))
        }
        Stored::Stack(parts, axis) => {
            axis_in(*axis)?;
            if shape[*axis].is_some_and(|size| size != parts.len()) {
                let found = shape[*axis].unwrap_or_default();
                return Err(format!("{} tensors are stacked along axis {axis} of size {found}", parts.len()));
            }
            parts.iter().try_for_each(|part| fits(part, &without(*axis)))
        }
        Stored::Slice { of, axis, len: length, total, .. } => {
            axis_in(*axis)?;
            if shape[*axis].is_some_and(|size| size != *length) {
                let found = shape[*axis].unwrap_or_default();
                return Err(format!("{length} of the stored rows are taken for axis {axis} of size {found}"));
            }
            fits(of, &with(*axis, Some(*total)))
        }
        Stored::Reshape { of, from: stored, .. } => {
            let known: Option<Vec<usize>> = shape.iter().copied().collect();
            match known.map(|known| known.iter().product::<usize>()) {
                Some(elements) if elements != stored.iter().product::<usize>() => {
                    Err(format!("the stored shape {stored:?} has not its {elements} numbers"))
                }
                _ => fits(of, &stored.iter().copied().map(Some).collect::<Vec<_>>()),
            }
        }
        Stored::Deinterleave { of, axis, blocks, ways } | Stored::Interleave { of, axis, blocks, ways } => {
            axis_in(*axis)?;
            let runs = blocks * ways;
            match shape[*axis] {
                Some(size) if runs == 0 || size % runs != 0 => {
                    Err(format!("axis {axis} of size {size} does not fall into {blocks} blocks of {ways} runs"))
                }
                _ => fits(of, shape),
            }
        }
    }
}
