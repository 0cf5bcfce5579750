//! What differs between two registries, or two definitions, in meaning.
//!
//! Takes what was read and built; gives [`Change`]s, by kind and name. Order, spaces, comments and places never count.
//!
//! Absent on purpose: text, which `diff` compares.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::lang::Program;
use crate::plan::{Param, Plan};
use crate::registry::rules::Condition;
use crate::registry::{Architecture, Code, ConfigTable, Entries, Fallback, Mode, Module, Registry};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What kind of thing differs: `architecture`, `config field`, `tensor`, `op` …
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What it is in the first; `None` where it is only in the second.
    pub before: Option<String>,
    /// What it is in the second; `None` where it is only in the first.
    pub after: Option<String>,
}

/// Names and what each means, as text to compare.
type Meanings = BTreeMap<String, String>;

fn changes(kind: &'static str, before: &Meanings, after: &Meanings) -> Vec<Change> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let change = |name: &String| {
        let (before, after) = (before.get(name), after.get(name));
        (before != after).then(|| Change {
            kind,
            name: name.clone(),
            before: before.cloned(),
            after: after.cloned(),
        })
    };
    names.into_iter().filter_map(change).collect()
}

/// What differs between two registries, their names included.
#[must_use]
pub fn registries(before: &Registry, after: &Registry) -> Vec<Change> {
    let mut found = Vec::new();
    let mut compare = |kind: &'static str, of: &dyn Fn(&Registry) -> Meanings| {
        found.extend(changes(kind, &of(before), &of(after)));
    };
    compare("architecture", &|registry| flat(&registry.architectures, architecture));
    compare("config field", &|registry| flat(&registry.configs, config));
    compare("module entry", &|registry| flat(&registry.modules, module));
    compare("task", &|registry| {
        let methods = |task: &crate::registry::Task| {
            let names = |names: &[crate::registry::Name]| {
                names.iter().map(|name| name.text.clone()).collect::<Vec<_>>().join(", ")
            };
            let method = |(name, contract): &(crate::registry::Name, crate::registry::Contract)| {
                (name.text.clone(), format!("({}) → {}", names(&contract.inputs), names(&contract.outputs)))
            };
            let generates = task.generates.iter().map(|method| ("generates".to_owned(), method.text.clone()));
            task.methods.iter().map(method).chain(generates).collect()
        };
        flat(&registry.tasks, methods)
    });
    compare("input", &|registry| {
        registry.inputs.iter().map(|(name, code)| (name.clone(), code.text.clone())).collect()
    });
    compare("mask", &|registry| {
        registry.masks.iter().map(|(name, axis)| (name.clone(), axis.clone())).collect()
    });
    compare("alias", &|registry| {
        let aliases = registry.rules.all_aliases().into_iter();
        aliases.map(|(name, alias)| (name.to_owned(), alias.target.text.clone())).collect()
    });
    compare("model type", &|registry| {
        let types = registry.rules.all_model_types().into_iter();
        types.map(|(name, entry)| (name.to_owned(), entry.architecture.text.clone())).collect()
    });
    compare("known name", &|registry| {
        let known = registry.rules.all_known().into_iter();
        let meaning = |entry: &crate::registry::rules::Known| {
            format!("{}, {}, model types {:?}", entry.category, entry.task, entry.model_types)
        };
        known.map(|(name, entry)| (name.to_owned(), meaning(entry))).collect()
    });
    compare("category", &|registry| {
        flat(&registry.rules.categories, |category| {
            let what = ("what".to_owned(), category.what.clone());
            let frozen = ("freeze-for-training".to_owned(), format!("{:?}", category.freeze_for_training));
            let modes = category.modes.iter().map(|(name, mode)| (format!("modes.{name}"), shown(mode)));
            modes.chain([what, frozen]).collect()
        })
    });
    compare("base model", &|registry| registry.rules.base_models.clone());
    compare("rule", &|registry| {
        let rules = registry.rules.rules.iter();
        rules
            .map(|(id, rule)| {
                let what = rule.architecture.as_ref().map(|name| format!(", {}", name.text));
                let meaning = format!(
                    "{}{} at {} if {}",
                    rule.category.text,
                    what.unwrap_or_default(),
                    rule.priority,
                    condition(&rule.when)
                );
                (id.clone(), meaning)
            })
            .collect()
    });
    compare("trait", &|registry| {
        registry.rules.traits.iter().map(|(id, entry)| (id.clone(), condition(&entry.when))).collect()
    });
    compare("repair", &|registry| {
        let repairs = registry.rules.repairs.iter();
        repairs
            .map(|(id, entry)| (id.clone(), format!("{:?} if {}", entry.edits, condition(&entry.when))))
            .collect()
    });
    compare("tokenizer", &|registry| {
        let rules = registry.rules.tokenizers.iter();
        rules
            .map(|(id, entry)| (id.clone(), format!("{:?} if {}", entry.source, condition(&entry.when))))
            .collect()
    });
    found
}

fn condition(condition: &Condition) -> String {
    condition.to_string()
}

/// The entries of a table's entries, as `name.entry`.
fn flat<'t, T: 't>(
    table: impl IntoIterator<Item = (&'t String, &'t T)>,
    meanings: impl Fn(&T) -> Meanings,
) -> Meanings {
    let mut all = Meanings::new();
    for (name, entry) in table {
        // An entry that says nothing is there all the same.
        all.insert(name.clone(), "defined".to_owned());
        all.extend(meanings(entry).into_iter().map(|(key, meaning)| (format!("{name}.{key}"), meaning)));
    }
    all
}

fn architecture(entry: &Architecture) -> Meanings {
    let list = |names: &[crate::registry::Name]| {
        names.iter().map(|name| name.text.clone()).collect::<Vec<_>>().join(", ")
    };
    let mut meanings = Meanings::from([
        ("category".to_owned(), entry.category.text.clone()),
        ("task".to_owned(), entry.task.text.clone()),
        ("model-types".to_owned(), list(&entry.model_types)),
        ("aliases".to_owned(), list(&entry.aliases)),
        ("verified".to_owned(), entry.verified.to_string()),
        ("module".to_owned(), entry.module.text.clone()),
        ("prefixes".to_owned(), format!("{:?}", entry.prefixes)),
        ("ignore".to_owned(), format!("{:?}", entry.ignore)),
        ("rename".to_owned(), format!("{:?}", entry.rename)),
        ("weights".to_owned(), format!("{:?}", entry.weights)),
        ("freeze-for-training".to_owned(), format!("{:?}", entry.freeze_for_training)),
    ]);
    meanings.extend(entry.modes.iter().map(|(name, mode)| (format!("modes.{name}"), shown(mode))));
    let config = entry.config.iter().map(|name| ("config".to_owned(), name.text.clone()));
    meanings.extend(config);
    meanings
}

fn shown(mode: &Mode) -> String {
    let parts: Vec<&str> = mode.parts.iter().map(|part| part.text.as_str()).collect();
    let forward = mode.forward.as_ref().map(|name| format!(", by {}", name.text)).unwrap_or_default();
    format!("{}{forward}", parts.join(", "))
}

fn config(table: &ConfigTable) -> Meanings {
    let fallback = |fallback: &Fallback| match fallback {
        Fallback::Required => "required".to_owned(),
        Fallback::Optional => "optional".to_owned(),
        Fallback::Default(value) => format!("default {value}"),
        Fallback::Derived(code) => format!("derived: {}", code.text),
        Fallback::Part(name) => format!("a part: {}", name.text),
        Fallback::Sizes(sizes) => {
            let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
            format!("the first known of {}", sizes.join(", "))
        }
    };
    let mut meanings: Meanings =
        table.fields.iter().map(|(name, field)| (name.clone(), fallback(&field.fallback))).collect();
    meanings.extend(table.extends.iter().map(|name| ("extends".to_owned(), name.text.clone())));
    let aliases = table.aliases.iter();
    meanings.extend(aliases.map(|(ours, theirs)| (format!("{ours} (alias {theirs})"), "alias".to_owned())));
    let sample = table.sample.iter().flatten();
    meanings.extend(sample.map(|(name, value)| (format!("{name} (sample)"), value.to_string())));
    meanings
}

fn module(module: &Module) -> Meanings {
    let mut meanings = Meanings::new();
    let mut add = |kind: &str, entries: &Entries<Code>| {
        meanings.extend(
            entries.iter().map(|(name, code)| (format!("{kind}.{}", name.text), code.text.trim().to_owned())),
        );
    };
    add("lets", &module.lets);
    add("layers", &module.layers);
    add("params", &module.params);
    add("buffers", &module.buffers);
    add("tied", &module.tied);
    add("stored", &module.stored);
    add("types", &module.types);
    let codes = |codes: &[Code]| codes.iter().map(|code| code.text.clone()).collect::<Vec<_>>().join(", ");
    meanings.extend(module.extends.iter().map(|name| ("extends".to_owned(), name.text.clone())));
    meanings.extend(module.args.iter().map(|list| ("args".to_owned(), codes(list))));
    meanings.extend(module.inputs.iter().map(|list| ("inputs".to_owned(), codes(list))));
    let replaced = module.replace.iter();
    meanings.extend(replaced.map(|(from, to)| (format!("replace.{}", from.text), to.text.clone())));
    for (name, method) in &module.methods {
        let body = format!("({}) {}", codes(&method.inputs), method.body.text.trim());
        meanings.insert(name.text.clone(), body);
    }
    meanings
}

/// What differs between two definitions that were built: their tensors, and the programs of their ways in.
///
/// # Errors
/// The first thing in a body that does not fit.
pub fn programs(
    before: &mut Program<'_>,
    after: &mut Program<'_>,
) -> Result<Vec<Change>, crate::diag::Problem> {
    let tensors = |program: &Program<'_>| {
        let params = program.params();
        params.iter().map(|param| (param.name.clone(), tensor(param, params))).collect::<Meanings>()
    };
    let mut found = changes("tensor", &tensors(before), &tensors(after));
    let (first, second) = (plans(before)?, plans(after)?);
    let mut names: Vec<&String> = first.keys().chain(second.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let side = |plans: &BTreeMap<String, Plan>, of: fn(&Plan) -> Meanings| {
            plans.get(name).map(of).unwrap_or_default()
        };
        let qualify = |change: Change| Change { name: format!("{name}: {}", change.name), ..change };
        for (kind, of) in [("input", inputs as fn(&Plan) -> Meanings), ("output", outputs), ("op", ops)] {
            let changed = changes(kind, &side(&first, of), &side(&second, of));
            found.extend(changed.into_iter().map(qualify));
        }
    }
    Ok(found)
}

fn tensor(param: &Param, params: &[Param]) -> String {
    let buffer = if param.buffer { ", never trained" } else { "" };
    let tied = param.tied_to.map(|owner| format!(" = {}", params[owner.0].name)).unwrap_or_default();
    let plain = param.stored.iter().any(|stored| stored.to_string() == param.name);
    let stored = match param.stored.first() {
        Some(stored) if !plain => format!(", stored as {stored}"),
        _ => String::new(),
    };
    format!("{:?}{tied}{buffer}{stored}", param.shape)
}

fn plans(program: &mut Program<'_>) -> Result<BTreeMap<String, Plan>, crate::diag::Problem> {
    let names: Vec<String> = program.methods().into_iter().map(str::to_owned).collect();
    let trace = |name: String| program.trace(&name, &|_| false).map(|plan| (name, plan));
    names.into_iter().map(trace).collect()
}

fn inputs(plan: &Plan) -> Meanings {
    plan.inputs.iter().map(|input| (input.name.clone(), input.ty.to_string())).collect()
}

fn outputs(plan: &Plan) -> Meanings {
    plan.outputs.iter().map(|(name, _, ty)| (name.clone(), ty.to_string())).collect()
}

/// The ops of each module, in order, with their constants and what they give.
fn ops(plan: &Plan) -> Meanings {
    let mut ops = Meanings::new();
    for instr in &plan.instrs {
        let attributes: Vec<String> =
            instr.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let types: Vec<String> = instr.outputs.iter().map(|(_, ty)| ty.to_string()).collect();
        let path = if instr.path.is_empty() { "(root)".to_owned() } else { instr.path.to_string() };
        let text = ops.entry(path).or_default();
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.extend([instr.op, "(", &attributes.join(", "), ") ", &types.join(", ")]);
    }
    ops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;

    const TOY: &str = "[architectures.Toy]\ncategory = 'c'\ntask = 't'\nmodel-types = ['toy']\n\
        [config.toy]\ndefaults = { wide = 4 }\n\
        [modules.Toy]\ninputs = ['x']\ntypes.x = 'float[batch, wide]'\nparams.weight = '[3, wide]'\n\
        forward = 'return relu(linear(x, weight))'\n";

    fn registry(text: &str) -> Registry {
        let (registry, problems) = Registry::from_files([Source::new("toy.toml", text)]);
        assert!(problems.is_empty(), "{problems}");
        registry
    }

    fn program(registry: &Registry) -> Program<'_> {
        Program::build(registry, &registry.architectures["Toy"], &serde_json::json!({}), None)
            .expect("the definition fits")
    }

    #[test]
    fn what_stands_elsewhere_is_the_same_and_what_means_something_else_is_not() {
        let moved =
            format!("# a comment\n{TOY}").replace("category = 'c'\ntask = 't'", "task = 't'\ncategory = 'c'");
        assert_eq!(registries(&registry(TOY), &registry(&moved)), []);
        let other = TOY.replace("wide = 4", "wide = 5, deep = 1").replace("relu(", "gelu(");
        let changes = registries(&registry(TOY), &registry(&other));
        let shown: Vec<(&str, &str)> =
            changes.iter().map(|change| (change.kind, change.name.as_str())).collect();
        assert_eq!(
            shown,
            [("config field", "toy.deep"), ("config field", "toy.wide"), ("module entry", "Toy.forward")]
        );
    }

    #[test]
    fn definitions_differ_in_tensors_and_ops() -> Result<(), crate::diag::Problem> {
        let other = TOY.replace("wide = 4", "wide = 5").replace("relu(", "gelu(");
        let (first, second) = (registry(TOY), registry(&other));
        assert_eq!(programs(&mut program(&first), &mut program(&first))?, []);
        let changes = programs(&mut program(&first), &mut program(&second))?;
        let shown: Vec<(&str, &str)> =
            changes.iter().map(|change| (change.kind, change.name.as_str())).collect();
        assert_eq!(shown, [("tensor", "weight"), ("input", "forward: x"), ("op", "forward: (root)")]);
        assert_eq!(changes[0].before.as_deref(), Some("[3, 4]"));
        Ok(())
    }
}
