//! One call of an op while tracing: its arguments, what it asks of them, what it gives.
//!
//! An op's trace function takes a [`Call`], checks its arguments through it, and returns [`Traced`]: the kernel
//! to run later and the types it will give. What it asks for in order becomes the kernel's inputs in order.
//! Faults name the argument; the tracer knows where it was written.

mod argument;
mod fault;

use std::sync::Arc;

use super::dim::{Dim, Relation};
use super::kernel::Kernel;
use super::types::{Const, Kind, TensorType, show_shape};

pub use argument::{Arg, Parameter, Slot, StateId};
pub use fault::Fault;

/// What a call becomes: the code to run and the types of what it gives.
#[derive(Debug)]
pub struct Traced {
    /// Runs the call.
    pub kernel: Arc<dyn Kernel>,
    /// The type of each result.
    pub outputs: Vec<TensorType>,
    /// Whether the language sees a list even when there is one result.
    pub many: bool,
}

impl Traced {
    /// A call with one result.
    pub fn one(kernel: impl Kernel + 'static, output: TensorType) -> Self {
        Self { kernel: Arc::new(kernel), outputs: vec![output], many: false }
    }

    /// A call with a list of results.
    pub fn many(kernel: impl Kernel + 'static, outputs: Vec<TensorType>) -> Self {
        Self { kernel: Arc::new(kernel), outputs, many: true }
    }
}

/// One call of an op, being checked.
#[derive(Debug)]
pub struct Call {
    parameters: &'static [Parameter],
    /// One for each parameter.
    arguments: Vec<Option<Arg>>,
    /// The tensors asked for, in order: the kernel's inputs. `None` marks an absent optional one.
    pub inputs: Vec<Option<Slot>>,
    /// The constants and sizes asked for, for the printed Plan: those that are at their default say nothing.
    pub attributes: Vec<(&'static str, Arg)>,
    /// Pairs of sizes that only the running program can compare, with what they are.
    pub constraints: Vec<(Dim, Dim, String)>,
    /// The sizes asked for: what the kernel depends on beside its inputs.
    pub sizes: Vec<Dim>,
    /// The first state number that is still free; grows with [`Call::new_state`].
    pub next_state: usize,
}

impl Call {
    /// A call of an op with these parameters, with one argument for each; what is not there reads as `None`.
    #[must_use]
    pub fn new(parameters: &'static [Parameter], arguments: Vec<Option<Arg>>, next_state: usize) -> Self {
        Self {
            parameters,
            arguments,
            inputs: Vec::new(),
            attributes: Vec::new(),
            constraints: Vec::new(),
            sizes: Vec::new(),
            next_state,
        }
    }

    /// The argument itself, for an op that takes several kinds.
    #[must_use]
    pub fn peek(&self, name: &str) -> &Arg {
        let at = self.parameters.iter().position(|parameter| parameter.name == name);
        at.and_then(|at| self.arguments.get(at)?.as_ref()).unwrap_or(&Arg::Const(Const::None))
    }

    /// The tensors among the arguments, by the names of these.
    #[must_use]
    pub fn operands(&self) -> Vec<Slot> {
        let mut by_name: Vec<_> = self.parameters.iter().zip(&self.arguments).collect();
        by_name.sort_unstable_by_key(|(parameter, _)| parameter.name);
        by_name.into_iter().filter_map(|(_, arg)| arg.as_ref()).flat_map(Arg::tensors).collect()
    }

    /// Takes a tensor as the kernel's next input.
    ///
    /// # Errors
    /// A fault if the argument is not a tensor.
    pub fn tensor(&mut self, name: &'static str) -> Result<TensorType, Fault> {
        match self.peek(name) {
            Arg::Tensor(slot, ty) => {
                let (slot, ty) = (*slot, ty.clone());
                self.inputs.push(Some(slot));
                Ok(ty)
            }
            other => Err(wrong(name, other, "a tensor")),
        }
    }

    /// Takes a tensor of the given kind as the kernel's next input.
    ///
    /// # Errors
    /// A fault if the argument is not a tensor of that kind.
    pub fn tensor_of(&mut self, name: &'static str, kind: Kind) -> Result<TensorType, Fault> {
        let ty = self.tensor(name)?;
        if ty.kind == kind {
            return Ok(ty);
        }
        Err(Fault::new("wrong-kind", format!("`{name}` is `{ty}`, expected a tensor of kind {kind}"))
            .of(name))
    }

    /// Takes a float tensor as the kernel's next input.
    ///
    /// # Errors
    /// A fault if the argument is not a float tensor.
    pub fn float_tensor(&mut self, name: &'static str) -> Result<TensorType, Fault> {
        self.tensor_of(name, Kind::Float)
    }

    /// Takes a float tensor with `rank` dimensions as the kernel's next input.
    ///
    /// # Errors
    /// A fault if the argument is not that.
    pub fn ranked(&mut self, name: &'static str, rank: usize) -> Result<TensorType, Fault> {
        let ty = self.float_tensor(name)?;
        if ty.rank() == rank {
            return Ok(ty);
        }
        let shape = show_shape(&ty.shape);
        Err(Fault::shape(format!("`{name}` has {} dimensions {shape}, expected {rank}", ty.rank())).of(name))
    }

    /// Takes a tensor or nothing as the kernel's next input.
    ///
    /// # Errors
    /// A fault if the argument is neither a tensor nor `None`.
    pub fn optional_tensor(&mut self, name: &'static str) -> Result<Option<TensorType>, Fault> {
        if let Arg::Const(Const::None) = self.peek(name) {
            self.inputs.push(None);
            return Ok(None);
        }
        self.tensor(name).map(Some)
    }

    /// Takes every tensor of a list as the kernel's next inputs.
    ///
    /// # Errors
    /// A fault if the argument is not a list of tensors.
    pub fn tensors(&mut self, name: &'static str) -> Result<Vec<TensorType>, Fault> {
        let Arg::List(items) = self.peek(name) else {
            return Err(wrong(name, self.peek(name), "a list of tensors"));
        };
        let tensors = items.iter().map(|item| match item {
            Arg::Tensor(slot, ty) => Ok((Some(*slot), ty.clone())),
            other => Err(wrong(name, other, "a tensor in the list")),
        });
        let (slots, types): (Vec<_>, Vec<_>) = tensors.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        self.inputs.extend(slots);
        Ok(types)
    }

    /// A constant, recorded for the printed Plan.
    ///
    /// # Errors
    /// A fault if the argument depends on tensors or sizes of the call.
    pub fn constant(&mut self, name: &'static str) -> Result<Const, Fault> {
        match self.peek(name) {
            Arg::Const(value) => {
                let value = value.clone();
                if self.default(name) != Some(&value) {
                    self.attributes.push((name, Arg::Const(value.clone())));
                }
                Ok(value)
            }
            other => Err(wrong(name, other, "a value known from the config")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// A fault if the argument is not one.
    pub fn int(&mut self, name: &'static str) -> Result<i64, Fault> {
        let value = self.constant(name)?;
        value.as_i64().ok_or_else(|| wrong(name, &Arg::Const(value), "an int"))
    }

    /// A whole number or `None`.
    ///
    /// # Errors
    /// A fault if the argument is neither.
    pub fn optional_int(&mut self, name: &'static str) -> Result<Option<i64>, Fault> {
        self.optional(name, Self::int)
    }

    /// A number.
    ///
    /// # Errors
    /// A fault if the argument is not one.
    pub fn float(&mut self, name: &'static str) -> Result<f64, Fault> {
        let value = self.constant(name)?;
        value.as_f64().ok_or_else(|| wrong(name, &Arg::Const(value), "a number"))
    }

    /// A number from 0, as what is added to keep a division from failing.
    ///
    /// # Errors
    /// A fault if the argument is not that.
    pub fn from_zero(&mut self, name: &'static str) -> Result<f64, Fault> {
        let number = self.float(name)?;
        if number.is_finite() && number >= 0.0 {
            return Ok(number);
        }
        Err(Fault::value(format!("`{name}` is {number}, expected a number from 0")).of(name))
    }

    /// A number or `None`.
    ///
    /// # Errors
    /// A fault if the argument is neither.
    pub fn optional_float(&mut self, name: &'static str) -> Result<Option<f64>, Fault> {
        self.optional(name, Self::float)
    }

    /// A truth value.
    ///
    /// # Errors
    /// A fault if the argument is not one.
    pub fn bool(&mut self, name: &'static str) -> Result<bool, Fault> {
        match self.constant(name)? {
            Const::Bool(value) => Ok(value),
            other => Err(wrong(name, &Arg::Const(other), "True or False")),
        }
    }

    /// Text.
    ///
    /// # Errors
    /// A fault if the argument is not text.
    pub fn str(&mut self, name: &'static str) -> Result<Arc<str>, Fault> {
        match self.constant(name)? {
            Const::Str(text) => Ok(text),
            other => Err(wrong(name, &Arg::Const(other), "a string")),
        }
    }

    /// A size: a number, or an expression over the sizes of the call.
    ///
    /// # Errors
    /// A fault if the argument is not one.
    pub fn dim(&mut self, name: &'static str) -> Result<Dim, Fault> {
        let dim = as_dim(name, self.peek(name))?;
        if !matches!((self.default(name), &dim), (Some(Const::Int(default)), Dim::Known(size)) if default == size)
        {
            self.attributes.push((name, Arg::Dim(dim.clone())));
        }
        self.sizes.push(dim.clone());
        Ok(dim)
    }

    /// A list of sizes; a single size counts as a list of one.
    ///
    /// # Errors
    /// A fault if the argument is not that.
    pub fn dims(&mut self, name: &'static str) -> Result<Vec<Dim>, Fault> {
        let dims = match self.peek(name) {
            Arg::List(items) => items.iter().map(|item| as_dim(name, item)).collect::<Result<Vec<_>, _>>()?,
            Arg::Const(Const::List(items)) => {
                let items = items.iter().map(|item| as_dim(name, &Arg::Const(item.clone())));
                items.collect::<Result<Vec<_>, _>>()?
            }
            other => vec![as_dim(name, other)?],
        };
        self.attributes.push((name, Arg::List(dims.iter().cloned().map(Arg::Dim).collect())));
        self.sizes.extend(dims.iter().cloned());
        Ok(dims)
    }

    /// The sizes that a `**name` parameter collected, by name.
    ///
    /// # Errors
    /// A fault if one of them is not a size.
    pub fn named_dims(&mut self, name: &'static str) -> Result<Vec<(Arc<str>, Dim)>, Fault> {
        let Arg::Named(entries) = self.peek(name) else { return Ok(Vec::new()) };
        let sized = entries.iter().map(|(axis, arg)| Ok((Arc::clone(axis), as_dim(name, arg)?)));
        let sizes: Vec<(Arc<str>, Dim)> = sized.collect::<Result<_, Fault>>()?;
        for (axis, dim) in &sizes {
            self.attributes.push((name, Arg::Named(vec![(Arc::clone(axis), Arg::Dim(dim.clone()))])));
            self.sizes.push(dim.clone());
        }
        Ok(sizes)
    }

    /// A list of whole numbers.
    ///
    /// # Errors
    /// A fault if the argument is not that.
    pub fn ints(&mut self, name: &'static str) -> Result<Vec<i64>, Fault> {
        let value = self.constant(name)?;
        let Const::List(items) = &value else {
            return Err(wrong(name, &Arg::Const(value), "a list of ints"));
        };
        let numbers: Option<Vec<i64>> = items.iter().map(Const::as_i64).collect();
        numbers.ok_or_else(|| wrong(name, &Arg::Const(value.clone()), "a list of ints"))
    }

    /// `count` whole numbers; a single one stands for all of them (`kernel_size=3`).
    ///
    /// # Errors
    /// A fault if the argument is neither.
    pub fn each(&mut self, name: &'static str, count: usize) -> Result<Vec<i64>, Fault> {
        if let Arg::Const(Const::List(_)) = self.peek(name) {
            let numbers = self.ints(name)?;
            if numbers.len() == count {
                return Ok(numbers);
            }
            return Err(wrong(name, self.peek(name), &format!("an int or a list of {count} ints")));
        }
        Ok(vec![self.int(name)?; count])
    }

    /// An axis of a tensor of `rank` dimensions, counted from the front; a negative one counts from the back.
    ///
    /// # Errors
    /// A fault if there is no such axis.
    pub fn axis(&mut self, name: &'static str, rank: usize) -> Result<usize, Fault> {
        let axis = self.int(name)?;
        resolve_axis(axis, rank)
            .ok_or_else(|| Fault::shape(format!("axis {axis} of a tensor with {rank} dimensions")).of(name))
    }

    /// Requires two sizes to be the same; what cannot be decided yet is checked when the program runs.
    ///
    /// # Errors
    /// A fault if they are known to differ.
    pub fn same(&mut self, left: &Dim, right: &Dim, what: impl std::fmt::Display) -> Result<(), Fault> {
        match left.relation(right) {
            Relation::Equal => Ok(()),
            Relation::Different => Err(Fault::shape(format!("{what} differ: {left} and {right}"))),
            Relation::Undecided => {
                self.constraints.push((left.clone(), right.clone(), what.to_string()));
                Ok(())
            }
        }
    }

    /// The shape that two tensors have after broadcasting, ranks aligned at the end as in `PyTorch`.
    ///
    /// # Errors
    /// A fault if they cannot be broadcast together.
    pub fn broadcast(&mut self, left: &[Dim], right: &[Dim]) -> Result<Vec<Dim>, Fault> {
        let rank = left.len().max(right.len());
        let mut shape = Vec::with_capacity(rank);
        let at = |shape: &[Dim], index: usize| -> Dim {
            (index + shape.len()).checked_sub(rank).map_or(Dim::Known(1), |index| shape[index].clone())
        };
        for index in 0..rank {
            let (a, b) = (at(left, index), at(right, index));
            shape.push(match (&a, &b) {
                (Dim::Known(1), _) => b,
                (_, Dim::Known(1)) => a,
                _ => {
                    if a.relation(&b) == Relation::Different {
                        let (left, right) = (show_shape(left), show_shape(right));
                        return Err(Fault::shape(format!(
                            "shapes {left} and {right} do not fit together: {a} against {b}"
                        )));
                    }
                    self.same(&a, &b, "sizes")?;
                    if matches!(b, Dim::Known(_)) { b } else { a }
                }
            });
        }
        Ok(shape)
    }

    /// A new place for something kept from step to step of a generation.
    pub fn new_state(&mut self) -> StateId {
        self.next_state += 1;
        StateId(self.next_state - 1)
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match self.peek(name) {
            Arg::Const(Const::None) => Ok(None),
            _ => read(self, name).map(Some),
        }
    }

    fn default(&self, name: &str) -> Option<&'static Const> {
        self.parameters.iter().find(|parameter| parameter.name == name)?.default.as_ref()
    }
}

/// The axis counted from the front, if the tensor has it.
#[must_use]
pub fn resolve_axis(axis: i64, rank: usize) -> Option<usize> {
    let rank_signed = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + rank_signed } else { axis };
    usize::try_from(axis).ok().filter(|axis| *axis < rank)
}

fn as_dim(name: &'static str, arg: &Arg) -> Result<Dim, Fault> {
    match arg {
        Arg::Dim(dim) => Ok(dim.clone()),
        Arg::Const(value) if value.as_i64().is_some() => Ok(Dim::Known(value.as_i64().unwrap_or_default())),
        other => Err(wrong(name, other, "a size")),
    }
}

fn wrong(name: &'static str, found: &Arg, expected: &str) -> Fault {
    Fault::new("wrong-kind", format!("`{name}` is {}, expected {expected}", found.describe())).of(name)
}
