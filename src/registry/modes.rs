//! Modes: an architecture of which only a part is built, and what stays frozen while it is trained.
//!
//! Takes what the files say of an architecture and of its category; gives the architecture that builds that part.
//! Paths of layers and tensors are those of the whole, so that what is written for one mode holds in another.
//!
//! Absent on purpose: names of modes. Only `full`, the whole, is there everywhere; the others are data.

use std::collections::BTreeMap;

use super::{Architecture, Name, Registry};
use crate::diag::{Problem, did_you_mean};

/// The mode in which everything is built.
pub const FULL: &str = "full";

/// A part of an architecture that can be built alone.
#[derive(Debug, Clone)]
pub struct Mode {
    /// Its name.
    pub name: Name,
    /// The layers of the root module that are built.
    pub parts: Vec<Name>,
    /// The method of the root module that stands for `forward`, if it is another.
    pub forward: Option<Name>,
}

impl Mode {
    /// Whether a layer of the root module is built.
    #[must_use]
    pub fn builds(&self, layer: &str) -> bool {
        self.parts.iter().any(|part| part.text == layer)
    }
}

impl Architecture {
    /// This architecture with only the parts of a mode; `full` is the whole.
    ///
    /// # Errors
    /// If it has no such mode, naming those it has; if its root module lacks a part or the method of that mode.
    pub fn in_mode(&self, registry: &Registry, mode: &str) -> Result<Self, Problem> {
        if mode == FULL {
            return Ok(Self { mode: None, ..self.clone() });
        }
        let mut modes = registry.modes(self)?;
        let Some(found) = modes.remove(mode) else {
            let names: Vec<&str> = std::iter::once(FULL).chain(modes.keys().map(String::as_str)).collect();
            let message =
                format!("`{}` has no mode `{mode}`; it has `{}`", self.name.text, names.join("`, `"));
            return Err(Problem::unplaced("unknown-mode", message).help(
                did_you_mean(mode, names.iter().copied())
                    .unwrap_or_else(|| format!("load it in mode `{}`", names.join("` or `"))),
            ));
        };
        let root = registry.module(&self.module.text, &self.module.span)?;
        let layers = || root.layers.iter().map(|(name, _)| name.text.as_str());
        if let Some(part) = found.parts.iter().find(|part| !layers().any(|layer| layer == part.text)) {
            let message = format!("`{}` is not a layer of `{}`", part.text, root.name.text);
            return Err(Problem::error("unknown-name", part.span.clone(), message)
                .maybe_help(did_you_mean(&part.text, layers())));
        }
        Ok(Self { mode: Some(found), ..self.clone() })
    }
}

impl Registry {
    /// The modes of an architecture beside `full`: its own, then those of its category of which it has a part.
    ///
    /// # Errors
    /// If its root module, or one that it extends, does not exist.
    pub fn modes(&self, architecture: &Architecture) -> Result<BTreeMap<String, Mode>, Problem> {
        let mut modes = architecture.modes.clone();
        let Some(category) = self.rules.categories.get(&architecture.category.text) else { return Ok(modes) };
        if category.modes.is_empty() {
            return Ok(modes);
        }
        let root = self.module(&architecture.module.text, &architecture.module.span)?;
        for (name, mode) in &category.modes {
            let mut mode = mode.clone();
            mode.parts.retain(|part| root.layers.iter().any(|(layer, _)| layer.text == part.text));
            if !mode.parts.is_empty() {
                modes.entry(name.clone()).or_insert(mode);
            }
        }
        Ok(modes)
    }

    /// The tensors that stay as they are while an architecture is trained, as globs over paths.
    #[must_use]
    pub fn frozen_for_training(&self, architecture: &Architecture) -> Vec<String> {
        let of_category = || self.rules.categories.get(&architecture.category.text);
        let own = architecture.freeze_for_training.clone();
        own.or_else(|| Some(of_category()?.freeze_for_training.clone())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;

    const DUO: &str = "
[categories.duo]
what = 'two parts'
modes.first_only = { parts = ['first', 'prelude'] }
modes.third_only = { parts = ['third'] }
freeze-for-training = ['second.**']
[architectures.Duo]
category = 'duo'
task = 't'
modes.second_only = { parts = ['second'], forward = 'echo' }
modes.broken = { parts = ['secnd'] }
[architectures.Solo]
category = 'other'
task = 't'
freeze-for-training = []
[modules.Duo]
layers.first = 'X()'
layers.second = 'X()'
[modules.Solo]
";

    fn registry() -> Registry {
        let (registry, problems) = Registry::from_files([Source::new("test.toml", DUO)]);
        assert!(problems.is_empty(), "{problems}");
        registry
    }

    #[test]
    fn an_architecture_has_its_own_modes_and_those_of_its_category() {
        let registry = registry();
        let modes = registry.modes(&registry.architectures["Duo"]).expect("the module is there");
        assert_eq!(modes.keys().collect::<Vec<_>>(), ["broken", "first_only", "second_only"]);
        assert_eq!(modes["first_only"].parts.len(), 1, "only the layers that there are");
        assert!(registry.modes(&registry.architectures["Solo"]).expect("no modes").is_empty());
    }

    #[test]
    fn a_mode_that_is_not_there_is_an_error_with_those_that_are() {
        let registry = registry();
        let solo = &registry.architectures["Solo"];
        let error = solo.in_mode(&registry, "first_only").expect_err("no such mode").to_string();
        assert!(error.contains("`Solo` has no mode `first_only`; it has `full`"), "{error}");
        let duo = &registry.architectures["Duo"];
        let error = duo.in_mode(&registry, "frist_only").expect_err("no such mode").to_string();
        assert!(error.contains("`first_only`") && error.contains("`second_only`"), "{error}");
        let error = duo.in_mode(&registry, "broken").expect_err("no such layer");
        assert_eq!((error.code, error.message.as_str()), ("unknown-name", "`secnd` is not a layer of `Duo`"));
        assert!(duo.in_mode(&registry, FULL).expect("the whole").mode.is_none());
    }

    #[test]
    fn what_is_frozen_is_what_the_architecture_or_else_its_category_says() {
        let registry = registry();
        assert_eq!(registry.frozen_for_training(&registry.architectures["Duo"]), ["second.**"]);
        assert!(registry.frozen_for_training(&registry.architectures["Solo"]).is_empty());
    }
}
