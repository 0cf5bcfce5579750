//! Runs one op as a generation would, chunk by chunk with a cache, for the tests of ops that keep state.
//!
//! Takes arguments with the axis along which each grows; gives what all chunks gave, joined. [`Steps::whole`] is the
//! same call without a cache.
//!
//! Absent on purpose: expected values; a test compares the two, or either with its own numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::FloatDType;
use burn::tensor::ops::FloatTensorOps;

use super::backend::B;
use super::testing::{TestArg, device, numbers};
use super::{
    Arg, Cache, Call, Const, Context, Dim, Inputs, Kernel, Outputs, Padding, Slot, Symbol, TensorType, Value,
    find,
};

/// A call whose time axis is fed in pieces.
pub(crate) struct Steps<'a> {
    /// The op.
    pub(crate) op: &'a str,
    /// The arguments, with the axis that grows.
    pub(crate) args: Vec<(&'a str, TestArg, Option<usize>)>,
    /// The number of tokens.
    pub(crate) time: usize,
    /// Row by row, whether each token holds something.
    pub(crate) keep: Option<Vec<bool>>,
    /// Axis by axis and row by row, the position of each token.
    pub(crate) positions: Option<Vec<i32>>,
    /// The axis of the (first) output that grows.
    pub(crate) axis: usize,
}

impl<'a> Steps<'a> {
    /// A call without padding and with plain positions.
    pub(crate) fn new(
        op: &'a str,
        time: usize,
        axis: usize,
        args: Vec<(&'a str, TestArg, Option<usize>)>,
    ) -> Self {
        Self { op, args, time, keep: None, positions: None, axis }
    }

    /// The outputs of one call over all tokens, outside a generation.
    pub(crate) fn whole(&self) -> Vec<f32> {
        let (kernel, _) = self.trace();
        let mut outputs = self.call(kernel.as_ref(), 0, self.time, None);
        numbers(&outputs.swap_remove(0))
    }

    /// The outputs of a generation that runs so many tokens at a time.
    pub(crate) fn stepped(&self, chunks: &[usize], capacity: usize) -> Vec<f32> {
        assert_eq!(chunks.iter().sum::<usize>(), self.time, "the chunks hold all tokens");
        let (kernel, states) = self.trace();
        let mut cache = Cache::new(states, capacity);
        let mut pieces = Vec::new();
        for size in chunks {
            let past = cache.past;
            let mut outputs = self.call(kernel.as_ref(), past, *size, Some(&mut cache));
            cache.past += size;
            pieces.push(outputs.swap_remove(0).into_primitive());
        }
        numbers(&Value::Float(B::float_cat(pieces, self.axis)))
    }

    /// The output of the step that runs `count` tokens after the first `before`.
    pub(crate) fn last_step(&self, before: usize, count: usize) -> Vec<f32> {
        let (kernel, states) = self.trace();
        let mut cache = Cache::new(states, before + count);
        self.call(kernel.as_ref(), 0, before, Some(&mut cache));
        cache.past = before;
        numbers(&self.call(kernel.as_ref(), before, count, Some(&mut cache)).swap_remove(0))
    }

    fn trace(&self) -> (Box<dyn Kernel>, usize) {
        let (op, parameters) = find(self.op).unwrap_or_else(|| panic!("no op `{}`", self.op));
        let mut arguments = BTreeMap::new();
        for (slot, (name, arg, grows)) in self.args.iter().enumerate() {
            let parameter = parameters.iter().find(|parameter| parameter.name == *name);
            let parameter = parameter.unwrap_or_else(|| panic!("`{}` has no `{name}`", self.op));
            let arg = match arg {
                TestArg::Const(value) => Arg::Const(value.clone()),
                TestArg::Tensor { kind, shape, .. } => {
                    let size = |(axis, size): (usize, &usize)| {
                        let time = Symbol { index: 0, name: Arc::from("time") };
                        let known = i64::try_from(*size).expect("test sizes are small");
                        if *grows == Some(axis) { Dim::symbol(time) } else { Dim::Known(known) }
                    };
                    let shape = shape.iter().enumerate().map(size).collect();
                    Arg::Tensor(Slot(slot), TensorType { kind: *kind, shape })
                }
                other => panic!("{other:?} cannot be stepped"),
            };
            arguments.insert(parameter.name, arg);
        }
        for parameter in parameters {
            let default = parameter.default.clone().unwrap_or(Const::None);
            arguments.entry(parameter.name).or_insert(Arg::Const(default));
        }
        let arguments = parameters.iter().map(|parameter| arguments.remove(parameter.name)).collect();
        let mut call = Call::new(parameters, arguments, 0);
        let traced = (op.trace)(&mut call).unwrap_or_else(|fault| panic!("`{}`: {fault:?}", self.op));
        let kernel = Ordered { kernel: traced.kernel, slots: call.inputs.clone() };
        (Box::new(kernel), call.next_state)
    }

    fn call(&self, kernel: &dyn Kernel, past: usize, size: usize, cache: Option<&mut Cache>) -> Vec<Value> {
        let device = device();
        let inputs = self.args.iter().map(|(_, arg, grows)| match (arg, grows) {
            (TestArg::Tensor { .. }, Some(axis)) => Some(value(arg).narrow(*axis, past, size)),
            (TestArg::Tensor { .. }, None) => Some(value(arg)),
            _ => None,
        });
        let inputs = Inputs::new(inputs.collect());
        let time = i64::try_from(size).expect("test sizes are small");
        let mut context = Context::new(&device, FloatDType::F32, vec![time]);
        context.step = Some(0);
        let seen = past + size;
        if let Some(keep) = &self.keep {
            let rows = keep.len() / self.time;
            let keep = keep.chunks(self.time).flat_map(|row| row[..seen].to_vec()).collect();
            context.padding = vec![Some(Arc::new(Padding { rows, columns: seen, keep }))];
        }
        if let Some(positions) = &self.positions {
            let rows = positions.chunks(self.time).flat_map(|row| row[past..seen].to_vec());
            context.positions = Some(Arc::new(rows.collect()));
        }
        context.cache = cache;
        match kernel.run(inputs, &mut context) {
            Ok(Outputs::One(value)) => vec![value],
            Ok(Outputs::Many(values)) => values,
            Err(error) => panic!("`{}`: {error}", self.op),
        }
    }
}

/// Hands the kernel its inputs in the order in which the op asked for them.
#[derive(Debug)]
struct Ordered {
    kernel: std::sync::Arc<dyn Kernel>,
    slots: Vec<Option<Slot>>,
}

impl Kernel for Ordered {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, super::RunError> {
        let mut given = Vec::new();
        while given.len() <= self.slots.iter().flatten().map(|slot| slot.0).max().unwrap_or(0) {
            given.push(inputs.optional());
        }
        let ordered = self.slots.iter().map(|slot| slot.and_then(|slot| given[slot.0].clone()));
        self.kernel.run(Inputs::new(ordered.collect()), context)
    }
}

fn value(arg: &TestArg) -> Value {
    let TestArg::Tensor { kind, data, shape, .. } = arg else { panic!("only tensors have values") };
    super::testing::to_value(*kind, data, shape, &device(), false)
}
