//! Kernels that are one function.
//!
//! Most ops need no more than their constants and a few lines of tensor code. [`elementwise`] and [`kernel`] make
//! a [`Kernel`] of a closure, so that an op's constants are named once, where they are checked.

use std::fmt;

use super::backend::Primitive;
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::value::Value;

/// A closure as a kernel.
struct Function<F>(F);

impl<F> fmt::Debug for Function<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name of the closure's type ends in the op's trace function.
        f.write_str(std::any::type_name::<F>())
    }
}

impl<F> Kernel for Function<F>
where
    F: Fn(Inputs, &mut Context<'_>) -> Result<Outputs, RunError> + Send + Sync,
{
    fn run(&self, inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        (self.0)(inputs, context)
    }
}

/// A kernel from a function of its inputs and the run.
pub(super) fn kernel<F>(run: F) -> impl Kernel + 'static
where
    F: Fn(Inputs, &mut Context<'_>) -> Result<Outputs, RunError> + Send + Sync + 'static,
{
    Function(run)
}

/// A kernel from a function of one float tensor; other kinds become floats of the run's width first.
pub(super) fn elementwise<F>(run: F) -> impl Kernel + 'static
where
    F: Fn(Primitive) -> Primitive + Send + Sync + 'static,
{
    kernel(move |mut inputs, context| {
        let x = match inputs.take() {
            Value::Float(x) => x,
            other => other.to_float_on(context.float, context.device).into_primitive(),
        };
        Ok(Value::Float(run(x)).into())
    })
}
