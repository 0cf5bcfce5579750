//! Where the operands of a fault got their shapes: the way back through instructions, layers and constants.
//!
//! In: a problem and what it is about. Out: the problem with related places, the nearest first. Only looked for once
//! something is wrong. Absent on purpose: any judgement.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Expr, ExprKind, StmtKind};
use super::instance::{Instance, MAX_RELATED, Parsed};
use super::tracer::{Scope, Tracer, span_in};
use super::value::Value;
use crate::diag::{Problem, Span};
use crate::ops::Slot;

/// As many places as this explain a shape: the callers, and who made the layers, want to be told as well.
const MAX_ORIGINS: usize = MAX_RELATED - 4;

/// Constructors and constants are followed this far.
const MAX_STEPS: usize = 12;

/// Places found so far.
struct Way {
    at: Option<Span>,
    most: usize,
    places: Vec<(Span, String)>,
}

impl Way {
    fn new(problem: &Problem) -> Self {
        Self { at: problem.span.clone(), most: MAX_RELATED, places: problem.related.clone() }
    }

    fn is_full(&self) -> bool {
        self.places.len() >= self.most
    }

    fn add(&mut self, span: &Span, label: String) {
        if !self.is_full()
            && self.at.as_ref() != Some(span)
            && self.places.iter().all(|(other, _)| other != span)
        {
            self.places.push((span.clone(), label));
        }
    }
}

impl Tracer<'_> {
    /// Adds where each operand got its shape.
    pub(super) fn where_from(&self, problem: Problem, operands: &[Slot]) -> Problem {
        let Some(block) =
            self.block.as_ref().filter(|_| matches!(problem.code, "shape-mismatch" | "wrong-size"))
        else {
            return problem;
        };
        let mut way = Way { most: MAX_ORIGINS, ..Way::new(&problem) };
        let mut open: VecDeque<Slot> = operands.iter().copied().collect();
        let mut seen: BTreeSet<Slot> = BTreeSet::new();
        let shape_of = |slot: Slot| {
            let results = block.instrs.iter().flat_map(|instr| &instr.outputs);
            let params = block.params.values();
            let found = results.chain(params).find(|(found, _)| *found == slot);
            found.map(|(_, ty)| ty.shape.clone())
        };
        while let Some(slot) = open.pop_front() {
            if way.is_full() || !seen.insert(slot) {
                continue;
            }
            if let Some((id, _)) = block.params.iter().find(|(_, (found, _))| *found == slot) {
                let param = &self.params[id.0];
                way.add(&param.span, format!("the shape {:?} of `{}`", param.shape, param.name));
                let owner = &self.owners[id.0];
                let own = owner.module.params.iter().chain(&owner.module.buffers);
                let name = param.name.rsplit('.').next().unwrap_or_default();
                if let Some((_, parsed)) = own.into_iter().find(|(entry, _)| entry.text == name) {
                    follow(owner, &parsed.expr, MAX_STEPS, &mut way);
                }
                continue;
            }
            let produced = block.instrs.iter().rev().find_map(|instr| {
                let (_, ty) = instr.outputs.iter().find(|(found, _)| *found == slot)?;
                Some((instr, ty))
            });
            let Some((instr, ty)) = produced else { continue };
            let inputs: Vec<Slot> = instr.inputs.iter().flatten().copied().collect();
            // What only passes a shape on does not explain it.
            let same: Vec<Slot> =
                inputs.iter().copied().filter(|input| shape_of(*input).as_ref() == Some(&ty.shape)).collect();
            if same.is_empty() {
                way.add(&instr.span, format!("gives {ty}"));
                // What a kind of layer does, it was told where it was made.
                let own = block.params.iter().find(|(_, (found, _))| inputs.contains(found));
                if let Some(layer) =
                    own.map(|(id, _)| &self.owners[id.0]).filter(|layer| layer.module.is_kind())
                {
                    way.add(&layer.span, format!("the {} is made here", layer.module_name()));
                }
                open.extend(inputs);
            } else {
                open.extend(same);
            }
        }
        Problem { related: way.places, ..problem }
    }

    /// Adds where the dict was made that lacks a key: by the method of a layer, as far as its code tells.
    pub(super) fn where_returned(&mut self, problem: Problem, dict: &Expr, scope: &Scope<'_>) -> Problem {
        let ExprKind::Call(callee, ..) = &dict.kind else { return problem };
        let (layer, method) = match self.eval(callee, scope) {
            Ok(Value::Method(layer, name)) => (layer, name),
            Ok(Value::Layer(layer)) => (layer, Arc::from("forward")),
            _ => return problem,
        };
        let Some(found) = layer.module.methods.get(&*method) else { return problem };
        let mut problem = problem;
        for statement in found.body.iter() {
            if let StmtKind::Return(Some(Expr { kind: ExprKind::Dict(entries), .. })) = &statement.kind {
                for (key, _) in entries {
                    problem = problem.related(span_in(&found.code, &key.range), "it has this key");
                }
            }
        }
        problem
    }

    /// Adds where the numbers of a shape come from.
    pub(super) fn where_computed(problem: Problem, layer: &Rc<Instance>, expr: &Expr) -> Problem {
        let mut way = Way::new(&problem);
        follow(layer, expr, MAX_STEPS, &mut way);
        Problem { related: way.places, ..problem }
    }

    /// Adds why a layer is absent that something is wanted of.
    pub(super) fn where_absent(&mut self, problem: Problem, layer: &Expr, scope: &Scope<'_>) -> Problem {
        let (owner, name) = match &layer.kind {
            ExprKind::Name(name) => (scope.instance.cloned(), name),
            ExprKind::Attribute(of, name) => match self.eval(of, scope) {
                Ok(Value::Layer(owner)) => (Some(owner), name),
                _ => return problem,
            },
            _ => return problem,
        };
        let Some(owner) = owner else { return problem };
        let entries = owner.module.layers.iter().chain(&owner.module.params);
        let Some((_, parsed)) = entries.into_iter().find(|(entry, _)| entry.text == **name) else {
            return problem;
        };
        let mut way = Way::new(&problem);
        way.add(&parsed.code.span, format!("`{name}` is declared here"));
        follow(&owner, &parsed.expr, MAX_STEPS, &mut way);
        Problem { related: way.places, ..problem }
    }
}

/// Follows the names in an expression of a layer: to its constants, and through its arguments to where it is made.
fn follow(layer: &Rc<Instance>, expr: &Expr, steps: usize, way: &mut Way) {
    if steps == 0 || way.is_full() {
        return;
    }
    let mut names = Vec::new();
    expr.each(&mut |expr| {
        if let ExprKind::Name(name) = &expr.kind
            && !names.contains(name)
        {
            names.push(std::sync::Arc::clone(name));
        }
    });
    for name in &names {
        let constant = layer.module.lets.iter().find(|(entry, _)| entry.text == **name);
        if let Some((_, parsed)) = constant {
            way.add(&parsed.code.span, format!("`{name}` is computed here"));
            follow(layer, &parsed.expr, steps - 1, way);
        } else if let Some(code) = layer.config.derived(name) {
            way.add(&code.span, format!("`{name}` is computed here"));
        }
    }
    let is_argument = |name: &str| layer.module.args.iter().any(|argument| &*argument.name == name);
    if !names.iter().any(|name| is_argument(name)) {
        return;
    }
    way.add(&layer.span, format!("the {} is made here", layer.module_name()));
    let Some(parent) = layer.parent.upgrade() else { return };
    let holds = |parsed: &Parsed| {
        let span = &parsed.code.span;
        span.source == layer.span.source && span.range.contains(&layer.span.range.start)
    };
    if let Some((_, parsed)) = parent.module.layers.iter().find(|(_, parsed)| holds(parsed)) {
        let start = layer.span.range.start - parsed.code.span.range.start;
        let mut call = None;
        parsed.expr.each(&mut |expr| {
            if matches!(expr.kind, ExprKind::Call(..)) && expr.range.start as usize == start {
                call = Some(expr.clone());
            }
        });
        follow(&parent, call.as_ref().unwrap_or(&parsed.expr), steps - 1, way);
    }
}
