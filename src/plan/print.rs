//! The printed form of a plan: one line an instruction, with names and shapes.

use std::collections::BTreeMap;
use std::fmt;

use super::Plan;
use crate::ops::Slot;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: BTreeMap<Slot, usize> =
            self.params.iter().enumerate().map(|(index, (_, slot, _))| (*slot, index)).collect();
        let inputs: BTreeMap<Slot, &str> =
            self.inputs.iter().map(|input| (input.slot, input.name.as_str())).collect();
        let show = |slot: &Option<Slot>| match slot {
            None => "-".to_owned(),
            Some(slot) => match (params.get(slot), inputs.get(slot)) {
                (Some(index), _) => format!("w{index}"),
                (_, Some(name)) => (*name).to_owned(),
                _ => format!("%{}", slot.0),
            },
        };
        writeln!(f, "method {}", self.method)?;
        for input in &self.inputs {
            let default = input.default.map(|value| format!(" = {value}")).unwrap_or_default();
            writeln!(f, "  in  {}: {}{default}", input.name, input.ty)?;
        }
        let mut path = "";
        for instr in &self.instrs {
            if &*instr.path != path {
                path = &instr.path;
                writeln!(f, "{}:", if path.is_empty() { "(root)" } else { path })?;
            }
            let results: Vec<String> =
                instr.outputs.iter().map(|(slot, ty)| format!("%{}: {ty}", slot.0)).collect();
            let mut arguments: Vec<String> = instr.inputs.iter().map(show).collect();
            arguments.extend(instr.attributes.iter().map(|(name, value)| format!("{name}={value}")));
            writeln!(f, "  {} = {}({})", results.join(", "), instr.op, arguments.join(", "))?;
        }
        for (name, slot, ty) in &self.outputs {
            writeln!(f, "  out {name}: {ty} = {}", show(&Some(*slot)))?;
        }
        for constraint in &self.constraints {
            writeln!(f, "  where {} == {} ({})", constraint.left, constraint.right, constraint.what)?;
        }
        Ok(())
    }
}
