//! What can be told of a plan without running it: when values die, what need not be computed again, and which
//! inputs a table bounds.

use std::collections::BTreeSet;

use super::Plan;
use crate::ops::{Arg, Const, Dim, Slot, resolve_axis};

/// How often an instruction has to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Once for each generation: it depends on parameters and on inputs that stay the same.
    Generation,
    /// In every step.
    Step,
}

/// A bound on the numbers of an integer input, or on positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The input whose numbers are bounded; `None` for positions.
    pub input: Option<String>,
    /// The number of rows of the table they index.
    pub rows: i64,
    /// What is added to a position before it indexes the table.
    pub start: i64,
}

impl Plan {
    /// For each instruction and each of its inputs: whether nothing reads the value after it.
    ///
    /// Parameters and inputs count as read for ever; so does whatever `kept` names.
    #[must_use]
    pub fn last_uses(&self, kept: &BTreeSet<Slot>) -> Vec<Vec<bool>> {
        let mut alive: BTreeSet<Slot> = kept.clone();
        alive.extend(self.outputs.iter().map(|(_, slot, _)| *slot));
        alive.extend(self.params.iter().map(|(_, slot, _)| *slot));
        let mut uses: Vec<Vec<bool>> = Vec::with_capacity(self.instrs.len());
        for instr in self.instrs.iter().rev() {
            let mut seen = BTreeSet::new();
            // A value read twice by one instruction dies with its last mention.
            let mut last: Vec<bool> = instr
                .inputs
                .iter()
                .rev()
                .map(|slot| slot.is_some_and(|slot| !alive.contains(&slot) && seen.insert(slot)))
                .collect();
            last.reverse();
            alive.extend(instr.inputs.iter().flatten());
            uses.push(last);
        }
        uses.reverse();
        uses
    }

    /// When each instruction has to run in a generation during which only `changing` inputs change.
    #[must_use]
    pub fn phases(&self, changing: &BTreeSet<Slot>, step_symbol: Option<usize>) -> Vec<Phase> {
        let mut varying: BTreeSet<Slot> = changing.clone();
        let of_step = |dim: &Dim| dim.symbols().iter().any(|symbol| Some(symbol.index) == step_symbol);
        let mut phases = Vec::with_capacity(self.instrs.len());
        for instr in &self.instrs {
            let moves = instr.kernel.reads_context()
                || instr.inputs.iter().flatten().any(|slot| varying.contains(slot))
                || instr.sizes.iter().any(of_step)
                || instr.outputs.iter().any(|(_, ty)| ty.shape.iter().any(of_step));
            if moves {
                varying.extend(instr.outputs.iter().map(|(slot, _)| *slot));
            }
            phases.push(if moves { Phase::Step } else { Phase::Generation });
        }
        phases
    }

    /// The instructions that the given slots depend on.
    #[must_use]
    pub fn needed(&self, wanted: &BTreeSet<Slot>) -> Vec<bool> {
        self.leading_to(wanted.iter().copied())
    }

    fn leading_to(&self, wanted: impl Iterator<Item = Slot>) -> Vec<bool> {
        let mut is_wanted = vec![false; self.slots];
        wanted.for_each(|slot| is_wanted[slot.0] = true);
        let mut needed = vec![false; self.instrs.len()];
        for (index, instr) in self.instrs.iter().enumerate().rev() {
            if instr.outputs.iter().any(|(slot, _)| is_wanted[slot.0]) {
                needed[index] = true;
                instr.inputs.iter().flatten().for_each(|slot| is_wanted[slot.0] = true);
            }
        }
        needed
    }

    /// Drops the instructions that no output and no tap depends on.
    pub fn prune(&mut self) {
        let outputs = self.outputs.iter().map(|(_, slot, _)| *slot);
        let mut needed = self.leading_to(outputs.chain(self.taps.iter().map(|(_, slot)| *slot))).into_iter();
        self.instrs.retain(|_| needed.next().unwrap_or(true));
    }

    /// The tables that are indexed by inputs or by positions directly.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        let mut limits = Vec::new();
        for instr in &self.instrs {
            // The axis as it was written: one below 0 counts from the end.
            let (ids, table, axis): (_, _, i64) = match (instr.op, instr.inputs.as_slice()) {
                ("embedding", [Some(ids), Some(table)]) => (ids, table, 0),
                ("gather" | "index_select", [Some(table), Some(ids)]) => {
                    let axis = instr.attributes.iter().find(|(name, _)| *name == "axis");
                    let Some((_, Arg::Const(Const::Int(axis)))) = axis else { continue };
                    (ids, table, *axis)
                }
                _ => continue,
            };
            let rows = self
                .params
                .iter()
                .find(|(_, slot, _)| slot == table)
                .and_then(|(_, _, ty)| ty.shape[resolve_axis(axis, ty.shape.len())?].known());
            let Some(rows) = rows else { continue };
            let limit = if let Some(input) = self.inputs.iter().find(|input| input.slot == *ids) {
                Some(Limit { input: Some(input.name.clone()), rows, start: 0 })
            } else {
                let source =
                    self.instrs.iter().find(|other| other.outputs.iter().any(|(slot, _)| slot == ids));
                source.filter(|source| source.op == "positions").map(|source| {
                    let start = source.attributes.iter().find(|(name, _)| *name == "start");
                    let start = match start {
                        Some((_, Arg::Const(Const::Int(start)))) => *start,
                        _ => 0,
                    };
                    Limit { input: None, rows, start }
                })
            };
            if let Some(limit) = limit.filter(|limit| !limits.contains(limit)) {
                limits.push(limit);
            }
        }
        limits
    }
}
