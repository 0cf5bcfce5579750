//! Binds the arguments of a call to the parameters of a module or method, filling in defaults.

use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::TextRange;
use super::call::Located;
use super::instance::{Instance, Parameter};
use super::tracer::{Mode, Scope, Tracer};
use super::value::{Eval, Locals, Value};
use crate::diag::{Problem, did_you_mean};

impl Tracer<'_> {
    /// Binds arguments to parameters, filling in defaults.
    #[expect(clippy::too_many_arguments, reason = "everything a call consists of")]
    pub(super) fn bind_arguments(
        &mut self,
        what: &dyn Display,
        parameters: &[Parameter],
        positional: Vec<Located>,
        keywords: Vec<(Arc<str>, Located)>,
        defaults_of: Option<&Rc<Instance>>,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<Vec<(Arc<str>, Value)>> {
        let mut bound: Vec<(Arc<str>, Value)> = Vec::with_capacity(parameters.len());
        let given = positional.len();
        for (index, (value, at)) in positional.into_iter().enumerate() {
            let Some(parameter) = parameters.get(index) else {
                let message = format!("`{what}` takes {} arguments, found {given}", parameters.len());
                let problem = scope.error("too-many-arguments", &at, message);
                return Err(match defaults_of {
                    Some(layer) if parameters.is_empty() => {
                        problem.related(layer.module.name.span.clone(), "declared here")
                    }
                    _ => self.with_definition(problem, parameters),
                });
            };
            bound.push((Arc::clone(&parameter.name), value));
        }
        for (keyword, (value, at)) in keywords {
            if bound.iter().any(|(name, _)| *name == keyword) {
                let problem = scope.error("argument-twice", &at, format!("`{keyword}` is given twice"));
                return Err(self.with_definition(problem, parameters));
            }
            if !parameters.iter().any(|parameter| parameter.name == keyword) {
                let message = format!("`{what}` has no argument `{keyword}`");
                let help = did_you_mean(&keyword, parameters.iter().map(|parameter| &*parameter.name));
                let problem = scope.error("unknown-argument", &at, message).maybe_help(help);
                return Err(self.with_definition(problem, parameters));
            }
            bound.push((keyword, value));
        }
        for parameter in parameters {
            let name = &parameter.name;
            if bound.iter().any(|(bound, _)| bound == name) {
                continue;
            }
            let Some(default) = &parameter.default else {
                let message = format!("`{what}` misses its argument `{name}`");
                let problem = scope.error("missing-argument", range, message);
                return Err(problem.related(parameter.code.span.clone(), "declared here"));
            };
            let inner = Scope {
                code: &default.code,
                locals: Locals::default(),
                instance: defaults_of,
                config: Rc::clone(&scope.config),
                mode: Mode::Numbers,
            };
            bound.push((Arc::clone(name), self.eval(&default.expr, &inner)?));
        }
        Ok(bound)
    }

    fn with_definition(&self, problem: Problem, parameters: &[Parameter]) -> Problem {
        match parameters.first() {
            Some(first) => problem.related(first.code.span.clone(), "its parameters are declared here"),
            None => problem,
        }
    }
}
