//! Whether a part of a definition is built and run as it is in the whole, told without building it.

use super::ast::{ExprKind, each_in};
use super::program::Program;
use crate::registry::Mode;

impl Program<'_> {
    /// Whether all that a mode builds, and the method that it runs, is the same in this whole: no code of the root that
    /// takes part mentions a layer that the mode leaves out, or another method. It may say no where it is.
    #[must_use]
    pub fn covers(&self, mode: &Mode) -> bool {
        let root = &self.top().module;
        let is_layer = |name: &str| root.layers.iter().any(|(layer, _)| layer.text == name);
        let left_out = |name: &str| is_layer(name) && !mode.builds(name);
        let forward = mode.forward.as_ref().map_or("forward", |name| name.text.as_str());
        let Some(method) = root.methods.get(forward) else { return false };
        let mut covered = mode.parts.iter().all(|part| is_layer(&part.text));
        let mut visit = |expr: &super::ast::Expr| {
            if let ExprKind::Name(name) = &expr.kind {
                covered &= !left_out(name) && !root.methods.contains_key(&**name);
            }
        };
        let entries =
            [&root.lets, &root.layers, &root.params, &root.buffers, &root.tied, &root.stored, &root.types];
        for (name, parsed) in entries.into_iter().flatten() {
            if !left_out(name.text.split('.').next().unwrap_or_default()) {
                parsed.expr.each(&mut visit);
            }
        }
        each_in(&method.body, &mut visit);
        covered
    }
}

#[cfg(test)]
mod tests {
    use crate::diag::Source;
    use crate::lang::Program;
    use crate::registry::Registry;

    #[test]
    fn a_part_is_covered_by_the_whole_unless_it_misses_a_layer() {
        let (registry, problems) = Registry::from_files([Source::new(
            "test.toml",
            "[architectures.A]\ncategory = 'c'\ntask = 't'\n\
             modes.first  = { parts = ['one'] }\n\
             modes.second = { parts = ['two'], forward = 'rest' }\n\
             modes.third  = { parts = ['one'], forward = 'rest' }\n\
             modes.fourth = { parts = ['two'], forward = 'all' }\n\
             modes.fifth  = { parts = ['one'], forward = 'gone' }\n\
             modes.sixth  = { parts = ['three'] }\n\
             [modules.A]\ninputs = ['x']\nlayers.one = 'Half()'\nlayers.two = 'Half()'\n\
             forward = 'return one(x)'\n\
             methods.rest = { inputs = ['x'], body = 'return two(x)' }\n\
             methods.all = { inputs = ['x'], body = 'return rest(x)' }\n\
             types.x = 'float[batch, 4]'\n\
             [modules.Half]\ninputs = ['x']\nparams.weight = '[4, 4]'\nforward = 'return linear(x, weight)'\n",
        )]);
        assert!(problems.is_empty(), "{problems}");
        let architecture = &registry.architectures["A"];
        let program = Program::build(&registry, architecture, &serde_json::json!({}), None).expect("it fits");
        let covered = architecture.modes.values().filter(|mode| program.covers(mode));
        let covered: Vec<&str> = covered.map(|mode| mode.name.text.as_str()).collect();
        assert_eq!(covered, ["first", "second"], "the others miss a layer, a method or a part");
    }
}
