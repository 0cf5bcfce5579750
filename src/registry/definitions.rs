//! Reads the entries that define: architectures, config tables, modules, tasks, and what is expected of them.
//!
//! From the written form in [`super::raw`] to the one in [`super::types`]. Absent on purpose: what the files say that
//! identifies models, which [`super::rules_raw`] reads.

use std::collections::BTreeMap;

use super::load::{Reader, json};
use super::raw::{RawArchitecture, RawConfig, RawExpect, RawMode, RawModule, RawTask, Text};
use super::{
    Architecture, ConfigTable, Contract, Expectation, ExpectedOf, Fallback, Field, Method, Mode, Module,
    Name, Task,
};
use crate::diag::Problem;

impl Reader<'_> {
    pub(super) fn expectation(&mut self, raw: RawExpect) -> Option<Expectation> {
        let architecture = self.name(&raw.architecture);
        let given = raw.config.as_ref().map(|config| (self.span(config.span()), json(config.get_ref())));
        let config = match given {
            None => None,
            Some((_, serde_json::Value::Object(entries))) => Some(ExpectedOf::Written(entries)),
            Some((span, serde_json::Value::String(text))) => Some(ExpectedOf::Path(Name { text, span })),
            Some((span, other)) => {
                let message = format!("the config expected something of is `{other}`");
                let problem = Problem::error("wrong-type", span, message);
                self.problem(problem.help("write a table, or the path of a config.json"));
                return None;
            }
        };
        let changes = raw.sample.map(|changes| {
            let entries = changes.get_ref().iter().map(|(key, value)| (key.clone(), json(value))).collect();
            (self.span(changes.span()), ExpectedOf::Changed(entries))
        });
        let config = match (config, changes) {
            (Some(_), Some((span, _))) => {
                let problem = Problem::error("wrong-value", span, "both a config and a change of the sample");
                self.problem(problem.help("keep one of the two"));
                return None;
            }
            (config, changes) => config.or(changes.map(|(_, changes)| changes)),
        };
        Some(Expectation {
            architecture,
            what: raw.what,
            config,
            category: raw.category.as_ref().map(|text| self.name(text)),
            model_type: raw.model_type.as_ref().map(|text| self.name(text)),
            parameters: raw.parameters.map(|count| (*count.get_ref(), self.span(count.span()))),
            method: raw.method.as_ref().map(|text| self.name(text)),
            inputs: self.entries(&raw.inputs, Self::name),
            outputs: self.entries(&raw.outputs, Self::name),
        })
    }

    pub(super) fn architecture(&self, name: Name, raw: RawArchitecture) -> Architecture {
        let names = |texts: &[Text]| texts.iter().map(|text| self.name(text)).collect::<Vec<_>>();
        let model_types = names(&raw.model_types);
        Architecture {
            category: self.name(&raw.category),
            task: self.name(&raw.task),
            config: raw.config.as_ref().map(|text| self.name(text)).or_else(|| model_types.first().cloned()),
            module: raw.module.as_ref().map_or_else(|| name.clone(), |text| self.name(text)),
            aliases: names(&raw.aliases),
            model_types,
            verified: raw.verified,
            prefixes: raw.prefixes,
            ignore: raw.ignore,
            weights: raw.weights,
            rename_at: raw.rename.values().map(|to| self.name(to).span).collect(),
            rename: raw
                .rename
                .iter()
                .map(|(from, to)| (from.get().to_owned(), to.get().to_owned()))
                .collect(),
            modes: self.modes(&raw.modes),
            freeze_for_training: raw.freeze_for_training,
            mode: None,
            name,
        }
    }

    /// The modes of an architecture or a category, by name.
    pub(super) fn modes(&self, raw: &BTreeMap<Text, RawMode>) -> BTreeMap<String, Mode> {
        let mode = |(name, raw): (&Text, &RawMode)| {
            let mode = Mode {
                name: self.name(name),
                parts: raw.parts.iter().map(|text| self.name(text)).collect(),
                forward: raw.forward.as_ref().map(|text| self.name(text)),
            };
            (name.get().to_owned(), mode)
        };
        raw.iter().map(mode).collect()
    }

    pub(super) fn config(&mut self, name: Name, raw: RawConfig) -> ConfigTable {
        let mut declared: Vec<(&Text, Fallback)> = Vec::new();
        declared.extend(raw.required.iter().map(|text| (text, Fallback::Required)));
        declared.extend(raw.optional.iter().map(|text| (text, Fallback::Optional)));
        declared.extend(raw.defaults.iter().map(|(text, value)| (text, Fallback::Default(json(value)))));
        declared.extend(raw.derived.iter().map(|(text, code)| (text, Fallback::Derived(self.code(code)))));
        for (text, sizes) in &raw.from_tensors {
            match sizes.iter().map(|size| size.parse()).collect() {
                Ok(sizes) => declared.push((text, Fallback::Sizes(sizes))),
                Err(message) => {
                    self.problem(Problem::error("wrong-type", self.name(text).span, message));
                }
            }
        }
        declared.extend(raw.parts.iter().map(|(text, table)| (text, Fallback::Part(self.name(table)))));
        let mut fields: BTreeMap<String, Field> = BTreeMap::new();
        for (text, fallback) in declared {
            let span = self.name(text).span;
            let field = Field { span: span.clone(), fallback };
            if let Some(earlier) = fields.insert(text.get().to_owned(), field) {
                let message = format!("`{}` is declared twice in config `{}`", text.get(), name.text);
                let problem = Problem::error("field-declared-twice", span, message);
                self.problem(problem.related(earlier.span, "first here").help("keep one of the two"));
            }
        }
        ConfigTable {
            extends: raw.extends.as_ref().map(|text| self.name(text)),
            aliases: raw.aliases.iter().map(|(a, b)| (a.get().to_owned(), b.get().to_owned())).collect(),
            sample: raw
                .sample
                .map(|table| table.into_iter().map(|(key, value)| (key, json(&value))).collect()),
            fields,
            name,
        }
    }

    pub(super) fn module(&self, name: Name, raw: RawModule) -> Module {
        let codes = |texts: &[Text]| texts.iter().map(|text| self.code(text)).collect::<Vec<_>>();
        let code = |reader: &Self, text: &Text| reader.code(text);
        let mut methods = self.entries(&raw.methods, |reader, method| Method {
            inputs: method.inputs.iter().map(|text| reader.code(text)).collect(),
            body: reader.code(&method.body),
        });
        if let Some(body) = &raw.forward {
            let method = Method { inputs: Vec::new(), body: self.code(body) };
            methods.insert(0, (Name { text: "forward".to_owned(), span: name.span.clone() }, method));
        }
        let replace = self.entries(&raw.replace, Self::name);
        Module {
            extends: raw.extends.as_ref().map(|text| self.name(text)),
            replace,
            args: raw.args.as_deref().map(codes),
            inputs: raw.inputs.as_deref().map(codes),
            lets: self.entries(&raw.lets, code),
            layers: self.entries(&raw.layers, code),
            params: self.entries(&raw.params, code),
            buffers: self.entries(&raw.buffers, code),
            tied: self.entries(&raw.tied, code),
            stored: self.entries(&raw.stored, code),
            types: self.entries(&raw.types, code),
            methods,
            name,
        }
    }

    pub(super) fn task(&self, name: Name, raw: RawTask) -> Task {
        let names = |reader: &Self, texts: &[Text]| texts.iter().map(|text| reader.name(text)).collect();
        let methods = self.entries(&raw.methods, |reader, method| Contract {
            inputs: names(reader, &method.inputs),
            outputs: names(reader, &method.outputs),
        });
        let generates = raw.generates.as_ref().map(|method| self.name(method));
        Task { name, what: raw.what.unwrap_or_default(), methods, generates }
    }
}
