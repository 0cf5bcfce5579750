//! Tensors that are shared: a layer or parameter that takes the tensors of another.

use std::rc::Rc;

use super::ast::TextRange;
use super::instance::Instance;
use super::tracer::{Scope, Tracer};
use super::value::{Eval, Value};
use crate::diag::Problem;
use crate::plan::ParamId;
use crate::registry::Name;

impl Tracer<'_> {
    /// Makes a layer or parameter share the tensors of another.
    pub(super) fn tie(
        &mut self,
        instance: &Rc<Instance>,
        name: &Name,
        target: Value,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<()> {
        if target.is_none() {
            return Ok(());
        }
        let mut own = Value::Layer(Rc::clone(instance));
        for part in name.text.split('.') {
            own = match (&own, part.parse::<usize>()) {
                (Value::List(items), Ok(index)) => items.get(index).cloned(),
                (Value::Layer(layer), _) => layer.value(part),
                _ => None,
            }
            .ok_or_else(|| {
                let message =
                    format!("`{}` is not a layer or parameter of {}", name.text, instance.module_name());
                Problem::error("tied-to-nothing", name.span.clone(), message)
            })?;
        }
        match (&own, &target) {
            (Value::Param(own), Value::Param(target)) => self.tie_params(*own, *target, range, scope),
            (Value::Layer(own), Value::Layer(target)) => self.tie_layers(own, target, range, scope),
            _ => {
                let message = format!("{} cannot share the tensors of {}", own.describe(), target.describe());
                Err(scope.error("wrong-kind", range, message))
            }
        }
    }

    fn tie_layers(
        &mut self,
        own: &Rc<Instance>,
        target: &Rc<Instance>,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<()> {
        let pairs: Vec<(Value, Value)> = {
            let values = own.values.borrow();
            let names = values.names().into_iter();
            names.filter_map(|name| Some((own.value(name)?, target.value(name)?))).collect()
        };
        let mut tied = false;
        for (own, target) in pairs {
            match (own, target) {
                (Value::Param(own), Value::Param(target)) => {
                    self.tie_params(own, target, range, scope)?;
                    tied = true;
                }
                (Value::Layer(own), Value::Layer(target)) => {
                    self.tie_layers(&own, &target, range, scope)?;
                    tied = true;
                }
                _ => {}
            }
        }
        if tied {
            return Ok(());
        }
        let message = format!("`{}` and `{}` have no tensor of the same name", own.path, target.path);
        Err(scope.error("tied-to-nothing", range, message))
    }

    fn tie_params(
        &mut self,
        own: ParamId,
        target: ParamId,
        range: &TextRange,
        scope: &Scope<'_>,
    ) -> Eval<()> {
        if own == target {
            return Ok(());
        }
        let (a, b) = (&self.params[own.0], &self.params[target.0]);
        if a.shape != b.shape {
            let message =
                format!("`{}` {:?} cannot share the tensor of `{}` {:?}", a.name, a.shape, b.name, b.shape);
            return Err(scope.error("tied-shapes-differ", range, message));
        }
        self.params[own.0].tied_to = Some(target);
        Ok(())
    }
}
