//! Whether a mutant means something else, and whether that can be told without weights: decided by tracing.

use std::fmt::Write as _;
use std::sync::Arc;

use omni::diag::Source;
use omni::lang::Program;
use omni::plan::{Plan, Stored};
use omni::registry::{Architecture, Registry};
use serde_json::{Map, Value};

use crate::edits::Tables;

/// What a mutant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Every definition has the same tensors and the same programs.
    Same,
    /// Names, shapes and types are the same everywhere, only the numbers that come out differ, or what an output is
    /// called that no task promises, or how a tensor of that name is laid out: nothing but weights and recorded
    /// outputs could tell.
    Untold,
    /// A sound definition of another model: some shapes differ, but every definition traces, has tensors of the same
    /// names, reads the same of them, takes and promises the same, and can be called with inputs of any size as
    /// before. Only what is expected of it, or a checkpoint's header, could tell.
    Sound,
    /// Something else.
    Differs,
}

/// A definition as traced: everything, everything but the numbers, and everything but numbers and shapes.
#[derive(PartialEq)]
struct Traced {
    full: String,
    shapes: String,
    skeleton: String,
}

/// The registry as it is shipped, traced.
pub(crate) struct Clean {
    pub(crate) files: Vec<Arc<Source>>,
    traced: Vec<(String, Traced)>,
}

impl Clean {
    pub(crate) fn new(files: Vec<Arc<Source>>) -> Self {
        let (registry, problems) = Registry::from_files(files.clone());
        assert!(problems.is_empty(), "{problems}");
        let trace = |architecture: &Architecture| {
            let traced = trace(&registry, architecture).expect("the clean registry traces");
            (architecture.name.text.clone(), traced)
        };
        Self { traced: registry.architectures.values().map(trace).collect(), files }
    }

    pub(crate) fn verdict(&self, files: Vec<Arc<Source>>, tables: Tables) -> Verdict {
        let (registry, problems) = Registry::from_files(files);
        if tables == Tables::Rest || !problems.is_empty() || registry.architectures.len() != self.traced.len()
        {
            return Verdict::Differs;
        }
        let mut verdict = Verdict::Same;
        for (name, clean) in &self.traced {
            let now = registry.architectures.get(name).and_then(|found| trace(&registry, found));
            match now {
                Some(now) if now.full == clean.full => {}
                Some(now) if now.shapes == clean.shapes => verdict = verdict.max(Verdict::Untold),
                Some(now) if now.skeleton == clean.skeleton => verdict = Verdict::Sound,
                _ => return Verdict::Differs,
            }
        }
        verdict
    }
}

/// Traces a definition on its sample, all of its ways in, without and with what may be left out.
fn trace(registry: &Registry, architecture: &Architecture) -> Option<Traced> {
    let table = registry.config(architecture.config.as_ref()?).ok()?;
    let mut config: Map<String, Value> = table.sample.unwrap_or_default();
    let name = Value::from(architecture.name.text.as_str());
    config.entry("architectures").or_insert_with(|| vec![name].into());
    if let Some(model_type) = architecture.model_types.first() {
        config.entry("model_type").or_insert_with(|| Value::from(model_type.text.as_str()));
    }
    let mut program = Program::build(registry, architecture, &Value::Object(config), None).ok()?;
    let mut skeleton = format!(
        "{} {} {:?} {:?} {:?} {:?}\n",
        architecture.category.text,
        architecture.task.text,
        architecture.rename,
        architecture.prefixes,
        program.ignored().ok()?,
        architecture
            .aliases
            .iter()
            .chain(&architecture.model_types)
            .map(|name| &name.text)
            .collect::<Vec<_>>(),
    );
    for param in program.params() {
        let _ = writeln!(skeleton, "{} {} {:?}", param.name, param.buffer, param.tied_to);
        let _ = writeln!(skeleton, "  {:?}", param.stored.iter().map(Stored::names).collect::<Vec<_>>());
    }
    let mut full = skeleton.clone();
    let mut shapes = skeleton.clone();
    for param in program.params() {
        let _ = writeln!(full, "{:?} {:?}", param.shape, param.stored.iter().map(normal).collect::<Vec<_>>());
        let _ = writeln!(shapes, "{:?}", param.shape);
    }
    let promised = |method: &str, output: &str| {
        let task = registry.tasks.get(&architecture.task.text);
        task.into_iter().flat_map(|task| &task.methods).any(|(name, contract)| {
            name.text == method && contract.outputs.iter().any(|promised| promised.text == output)
        })
    };
    let methods: Vec<String> = program.methods().into_iter().map(str::to_owned).collect();
    for method in methods {
        for present in [false, true] {
            let plan = program.trace(&method, &|_| present).ok()?;
            let _ = write!(full, "{plan}");
            interface(&plan, &promised, &mut skeleton);
            types(&plan, &promised, &mut shapes);
        }
    }
    Some(Traced { full, shapes, skeleton })
}

/// What goes in and out of a plan and of each of its instructions, whatever is computed.
fn types(plan: &Plan, promised: &dyn Fn(&str, &str) -> bool, out: &mut String) {
    let mut of = vec![String::new(); plan.slots];
    let inputs = plan.inputs.iter().map(|input| (input.slot, &input.ty));
    let params = plan.params.iter().map(|(_, slot, ty)| (*slot, ty));
    let results = plan.instrs.iter().flat_map(|instr| instr.outputs.iter().map(|(slot, ty)| (*slot, ty)));
    for (slot, ty) in inputs.chain(params).chain(results) {
        of[slot.0] = ty.to_string();
    }
    let _ = writeln!(out, "{}", plan.method);
    for input in &plan.inputs {
        let _ = writeln!(out, "in {} {} {:?}", input.name, input.ty, input.default);
    }
    for instr in &plan.instrs {
        let read: Vec<&str> = instr.inputs.iter().map(|slot| slot.map_or("-", |slot| &of[slot.0])).collect();
        let written: Vec<&str> = instr.outputs.iter().map(|(slot, _)| of[slot.0].as_str()).collect();
        let _ = writeln!(out, "{} {read:?} {written:?}", instr.path);
    }
    for (name, _, ty) in &plan.outputs {
        // What nobody is promised may have any name.
        let name = if promised(&plan.method, name) { name } else { "_" };
        let _ = writeln!(out, "out {name} {ty}");
    }
}

/// What a plan takes, reads and promises, and how many of its conditions hardly any call fulfils.
fn interface(plan: &Plan, promised: &dyn Fn(&str, &str) -> bool, out: &mut String) {
    let _ = writeln!(out, "{}", plan.method);
    for input in &plan.inputs {
        let _ = writeln!(out, "in {} {} {:?}", input.name, input.ty, input.default);
    }
    let _ = writeln!(out, "reads {:?}", plan.read_params().collect::<Vec<_>>());
    for (name, ..) in plan.outputs.iter().filter(|(name, ..)| promised(&plan.method, name)) {
        let _ = writeln!(out, "out {name}");
    }
    let call = |size: &dyn Fn(i64) -> i64| -> Vec<i64> {
        plan.symbols
            .iter()
            .zip(0..)
            .map(|(symbol, index)| if &*symbol.name == "batch" { 3 } else { size(index) })
            .collect()
    };
    let calls = [call(&|index| 6720 * (index + 1)), call(&|index| 2688 * (index + 3)), call(&|_| 13440)];
    let rare = plan.constraints.iter().filter(|constraint| {
        !calls.iter().any(|sizes| match (constraint.left.eval(sizes), constraint.right.eval(sizes)) {
            (Ok(left), Ok(right)) => left == right,
            _ => false,
        })
    });
    let _ = writeln!(out, "rare {}", rare.count());
}

/// A stored form in which the order of two swapped axes does not matter.
fn normal(stored: &Stored) -> Stored {
    match stored {
        Stored::Transpose(of, a, b) => Stored::Transpose(Box::new(normal(of)), *a.min(b), *a.max(b)),
        other => other.clone(),
    }
}
