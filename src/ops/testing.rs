//! Runs one op as the tracer and the program would, for the tests of the op files.
//!
//! Every run checks that the traced kinds and shapes are those that the tensor code returns.
//! [`check_gradient`] compares autodiff with finite differences.
//!
//! Absent on purpose: expected values; each test brings its own.

#![allow(dead_code, reason = "not every helper is needed by every set of families")]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::tensor::{FloatDType, TensorData};

use super::backend::{B, Device, Primitive};
use super::{
    Arg, Call, Const, Context, Dim, Fault, Inputs, Kind, Outputs, Slot, Symbol, TensorType, Traced, Value,
    find,
};
use crate::model::device::open;

/// An argument of a test call.
#[derive(Debug, Clone)]
pub(crate) enum TestArg {
    /// A tensor; `symbolic` lists the axes whose size the trace does not know.
    Tensor {
        /// What it holds.
        kind: Kind,
        /// The numbers, row by row.
        data: Vec<f32>,
        /// Its sizes.
        shape: Vec<usize>,
        /// The axes whose size only the run knows.
        symbolic: Vec<usize>,
    },
    /// A constant.
    Const(Const),
    /// A size that only the run knows.
    Size(i64),
    /// A list that holds tensors or sizes.
    List(Vec<TestArg>),
}

/// A float tensor with these numbers.
pub(crate) fn floats(shape: &[usize], data: &[f32]) -> TestArg {
    tensor(Kind::Float, shape, data)
}

/// An int tensor with these numbers.
#[expect(clippy::cast_precision_loss, reason = "tests use small numbers")]
pub(crate) fn ints(shape: &[usize], data: &[i32]) -> TestArg {
    tensor(Kind::Int, shape, &data.iter().map(|value| *value as f32).collect::<Vec<_>>())
}

/// A bool tensor with these truth values.
pub(crate) fn bools(shape: &[usize], data: &[bool]) -> TestArg {
    tensor(Kind::Bool, shape, &data.iter().map(|value| f32::from(u8::from(*value))).collect::<Vec<_>>())
}

/// A float tensor with the numbers of [`noise`].
pub(crate) fn sample(shape: &[usize]) -> TestArg {
    tensor(Kind::Float, shape, &noise(shape.iter().product()))
}

/// Numbers between -2 and 2 without a pattern, the same on every call.
#[expect(clippy::cast_precision_loss, reason = "24 bits fit an f32")]
pub(crate) fn noise(count: usize) -> Vec<f32> {
    let mut state = 0x2545_f491_u32.wrapping_add(u32::try_from(count).unwrap_or(0).wrapping_mul(7919));
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 22) as f32 - 2.0
    };
    (0..count).map(|_| next()).collect()
}

/// A list of tensors or sizes.
pub(crate) fn list(items: &[TestArg]) -> TestArg {
    TestArg::List(items.to_vec())
}

fn tensor(kind: Kind, shape: &[usize], data: &[f32]) -> TestArg {
    assert_eq!(shape.iter().product::<usize>(), data.len(), "the test's own data fills {shape:?}");
    TestArg::Tensor { kind, data: data.to_vec(), shape: shape.to_vec(), symbolic: Vec::new() }
}

impl TestArg {
    /// The same tensor with the size of these axes unknown to the trace.
    pub(crate) fn symbolic(mut self, axes: &[usize]) -> Self {
        let Self::Tensor { symbolic, .. } = &mut self else { panic!("only a tensor has axes") };
        axes.clone_into(symbolic);
        self
    }
}

impl From<i64> for TestArg {
    fn from(value: i64) -> Self {
        Self::Const(Const::Int(value))
    }
}

impl From<f64> for TestArg {
    fn from(value: f64) -> Self {
        Self::Const(Const::Float(value))
    }
}

impl From<bool> for TestArg {
    fn from(value: bool) -> Self {
        Self::Const(Const::Bool(value))
    }
}

impl From<&str> for TestArg {
    fn from(value: &str) -> Self {
        Self::Const(Const::str(value))
    }
}

impl From<&[i64]> for TestArg {
    fn from(values: &[i64]) -> Self {
        Self::Const(Const::List(Arc::new(values.iter().map(|value| Const::Int(*value)).collect())))
    }
}

impl<const N: usize> From<[i64; N]> for TestArg {
    fn from(values: [i64; N]) -> Self {
        Self::from(values.as_slice())
    }
}

/// The device that the tests run on: `OMNI_PARITY_DEVICE`, or the CPU.
pub(crate) fn device() -> Device {
    static DEVICE: LazyLock<Device> = LazyLock::new(|| {
        let choice = std::env::var("OMNI_PARITY_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
        let choice = choice.parse().expect("OMNI_PARITY_DEVICE names a device");
        open(choice).expect("the device that OMNI_PARITY_DEVICE names is there").0
    });
    DEVICE.clone()
}

/// Why a test call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// While tracing.
    Trace(Fault),
    /// While running.
    Run(String),
}

/// One test call on its way: sizes become symbols and tensors slots, in the order met.
struct Setup {
    device: Device,
    grad: bool,
    float: FloatDType,
    symbols: Vec<i64>,
    slots: Vec<Option<Value>>,
}

impl Setup {
    /// The size as a symbol; equal sizes share one.
    fn symbol(&mut self, value: i64) -> Dim {
        let index = self.symbols.iter().position(|known| *known == value).unwrap_or_else(|| {
            self.symbols.push(value);
            self.symbols.len() - 1
        });
        Dim::symbol(Symbol { index, name: Arc::from(format!("s{value}")) })
    }

    fn arg(&mut self, arg: &TestArg) -> Arg {
        match arg {
            TestArg::Const(value) => Arg::Const(value.clone()),
            TestArg::Size(value) => Arg::Dim(self.symbol(*value)),
            TestArg::List(items) => Arg::List(items.iter().map(|item| self.arg(item)).collect()),
            TestArg::Tensor { kind, data, shape, symbolic } => {
                let sizes = shape.iter().enumerate().map(|(axis, size)| {
                    let size = i64::try_from(*size).expect("test sizes are small");
                    if symbolic.contains(&axis) { self.symbol(size) } else { Dim::Known(size) }
                });
                let ty = TensorType { kind: *kind, shape: sizes.collect() };
                let value = in_width(*kind, data, shape, self);
                self.slots.push(Some(value));
                Arg::Tensor(Slot(self.slots.len() - 1), ty)
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "test ints are small")]
fn in_width(kind: Kind, data: &[f32], shape: &[usize], setup: &Setup) -> Value {
    let (shape, device) = (shape.to_vec(), &setup.device);
    match kind {
        Kind::Float => {
            let tensor = Value::from_floats(data.to_vec(), shape, setup.float, device).into_primitive();
            Value::Float(B::float_set_require_grad(tensor, setup.grad))
        }
        Kind::Int => Value::from_ints(data.iter().map(|value| *value as i32).collect(), shape, device),
        Kind::Bool => {
            let data: Vec<bool> = data.iter().map(|value| *value != 0.0).collect();
            Value::Bool(B::bool_from_data(TensorData::new(data, shape), device))
        }
    }
}

/// The tensor of a test's own numbers.
pub(super) fn to_value(kind: Kind, data: &[f32], shape: &[usize], device: &Device, grad: bool) -> Value {
    in_width(kind, data, shape, &setup(device.clone(), grad))
}

/// Traces the call with defaults filled in.
fn trace(op: &str, args: &[(&str, TestArg)], setup: &mut Setup) -> Result<(Call, Traced), Fault> {
    let (op, parameters) = find(op).unwrap_or_else(|| panic!("no op `{op}`"));
    let mut arguments = BTreeMap::new();
    let mut named = Vec::new();
    for (name, arg) in args {
        let arg = setup.arg(arg);
        match parameters.iter().find(|parameter| parameter.name == *name && !parameter.variadic) {
            Some(parameter) => {
                arguments.insert(parameter.name, arg);
            }
            None => named.push((Arc::from(*name), arg)),
        }
    }
    for parameter in parameters {
        if parameter.variadic {
            arguments.insert(parameter.name, Arg::Named(std::mem::take(&mut named)));
        } else if !arguments.contains_key(parameter.name) {
            let default = parameter.default.clone();
            let default = default.unwrap_or_else(|| panic!("`{}` needs `{}`", op.name, parameter.name));
            arguments.insert(parameter.name, Arg::Const(default));
        }
    }
    assert!(named.is_empty(), "`{}` has no {named:?}", op.name);
    let arguments = parameters.iter().map(|parameter| arguments.remove(parameter.name)).collect();
    let mut call = Call::new(parameters, arguments, 0);
    let traced = (op.trace)(&mut call)?;
    Ok((call, traced))
}

fn execute(op: &str, args: &[(&str, TestArg)], setup: &mut Setup) -> Result<Vec<Value>, Failure> {
    let (call, traced) = trace(op, args, setup).map_err(Failure::Trace)?;
    for (left, right, what) in &call.constraints {
        if left.eval(&setup.symbols) != right.eval(&setup.symbols) {
            return Err(Failure::Run(format!("{what} differ: {left} and {right}")));
        }
    }
    let inputs = call.inputs.iter().map(|slot| slot.and_then(|slot| setup.slots[slot.0].take())).collect();
    let device = setup.device.clone();
    let mut context = Context::new(&device, setup.float, setup.symbols.clone());
    let outputs = traced.kernel.run(Inputs::new(inputs), &mut context);
    let values = match outputs.map_err(|error| Failure::Run(error.message))? {
        Outputs::One(value) => vec![value],
        Outputs::Many(values) => values,
    };
    assert_eq!(values.len(), traced.outputs.len(), "`{op}` gives as many values as traced");
    for (value, ty) in values.iter().zip(&traced.outputs) {
        let sizes = context.sizes(&ty.shape).expect("a traced size can be computed");
        assert_eq!((value.kind(), value.shape()), (ty.kind, sizes), "`{op}` gives what was traced: {ty}");
    }
    Ok(values)
}

fn setup(device: Device, grad: bool) -> Setup {
    Setup { device, grad, float: FloatDType::F32, symbols: Vec::new(), slots: Vec::new() }
}

/// Traces and runs the op; gives its outputs or where it failed.
pub(crate) fn try_run(op: &str, args: &[(&str, TestArg)]) -> Result<Vec<Value>, Failure> {
    execute(op, args, &mut setup(device(), false))
}

/// Traces and runs the op.
pub(crate) fn run(op: &str, args: &[(&str, TestArg)]) -> Vec<Value> {
    try_run(op, args).unwrap_or_else(|failure| panic!("`{op}` failed: {failure:?}"))
}

/// Traces and runs an op with one result; gives its shape and its numbers, row by row.
pub(crate) fn run_one(op: &str, args: &[(&str, TestArg)]) -> (Vec<usize>, Vec<f32>) {
    let values = run(op, args);
    assert_eq!(values.len(), 1, "`{op}` gives one value");
    (values[0].shape(), numbers(&values[0]))
}

/// The fault that tracing the call gives.
pub(crate) fn fault(op: &str, args: &[(&str, TestArg)]) -> Fault {
    match trace(op, args, &mut setup(device(), false)) {
        Err(fault) => fault,
        Ok((_, traced)) => panic!("`{op}` accepted the call and gives {:?}", traced.outputs),
    }
}

/// The numbers of a tensor, row by row; true is 1.
pub(crate) fn numbers(value: &Value) -> Vec<f32> {
    let data = match value.clone() {
        Value::Float(tensor) => read(B::float_into_data(tensor)),
        Value::Int(tensor) => read(B::int_into_data(tensor)),
        Value::Bool(tensor) => read(B::bool_into_data(tensor)),
    };
    data.iter::<f32>().collect()
}

fn read<E: std::fmt::Debug>(data: impl Future<Output = Result<TensorData, E>>) -> TensorData {
    burn::tensor::read_sync(data).expect("the CPU can always be read")
}

/// Compares numbers with a tolerance of `1e-5`, relative to the expected where that is above 1.
pub(crate) fn assert_close(found: &[f32], expected: &[f32]) {
    assert_within(found, expected, 1e-5);
}

/// Compares numbers with the given tolerance, relative to the expected where that is above 1.
pub(crate) fn assert_within(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{found:?} against {expected:?}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        // Infinities are equal to themselves only bit by bit.
        let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
        let close = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(same || close, "number {index} is {found}, expected {expected}");
    }
}

/// Runs the op on floats of 16 bits: the first output has 16 bits and is near that of 32.
pub(crate) fn check_half(op: &str, args: &[(&str, TestArg)]) {
    let mut setup = setup(device(), false);
    setup.float = FloatDType::F16;
    let found = execute(op, args, &mut setup).unwrap_or_else(|failure| panic!("`{op}` failed: {failure:?}"));
    assert_eq!(found[0].dtype(), burn::tensor::DType::F16, "`{op}` keeps the width");
    assert_within(&numbers(&found[0]), &numbers(&run(op, args)[0]), 1e-2);
}

/// Compares the gradient of every float argument with finite differences of the first output.
pub(crate) fn check_gradient(op: &str, args: &[(&str, TestArg)]) {
    let mut setup = setup(Device::autodiff(device()), true);
    let (call, _) = trace(op, args, &mut setup).expect("the call traces");
    let leaves: Vec<Option<Value>> = setup.slots.clone();
    setup.slots.clear();
    setup.symbols.clear();
    let inputs: Vec<Primitive> = leaves.iter().flatten().map(|value| value.primitive().clone()).collect();
    drop(call);
    let output = execute_with(op, args, &mut setup, &leaves);
    let count = output.shape().iter().product::<usize>();
    let weights = B::float_from_data(TensorData::new(noise(count), output.shape()), &setup.device);
    let gradients = B::backward(B::float_sum(B::float_mul(output.into_primitive(), weights)));
    let mut number = 0;
    for (position, (name, arg)) in flat(args).into_iter().enumerate() {
        let TestArg::Tensor { kind: Kind::Float, data, .. } = arg else { continue };
        let gradient = B::grad(&inputs[position], &gradients);
        let found = gradient.map(|tensor| numbers(&Value::Float(tensor)));
        let found = found.unwrap_or_else(|| panic!("`{op}` gives `{name}` no gradient"));
        let expected: Vec<f32> = (0..data.len()).map(|index| slope(op, args, position, index)).collect();
        assert_within(&found, &expected, 2e-2);
        number += 1;
    }
    assert!(number > 0, "the test asks for a gradient");
}

fn execute_with(op: &str, args: &[(&str, TestArg)], setup: &mut Setup, leaves: &[Option<Value>]) -> Value {
    let (call, traced) = trace(op, args, setup).expect("the call traces");
    let inputs = call.inputs.iter().map(|slot| slot.and_then(|slot| leaves[slot.0].clone())).collect();
    let mut context = Context::new(&setup.device, setup.float, setup.symbols.clone());
    match traced.kernel.run(Inputs::new(inputs), &mut context).expect("the op runs") {
        Outputs::One(value) => value,
        Outputs::Many(mut values) => values.swap_remove(0),
    }
}

/// The tensor arguments in slot order: as given, lists item by item.
fn flat<'a>(args: &'a [(&'a str, TestArg)]) -> Vec<(&'a str, &'a TestArg)> {
    let mut found = Vec::new();
    for (name, arg) in args {
        match arg {
            TestArg::Tensor { .. } => found.push((*name, arg)),
            TestArg::List(items) => {
                found.extend(
                    items
                        .iter()
                        .filter(|item| matches!(item, TestArg::Tensor { .. }))
                        .map(|item| (*name, item)),
                );
            }
            TestArg::Const(_) | TestArg::Size(_) => {}
        }
    }
    found
}

/// The slope of the weighted sum of the first output in one number of the tensor at `position`.
fn slope(op: &str, args: &[(&str, TestArg)], position: usize, index: usize) -> f32 {
    const STEP: f32 = 1e-2;
    let at = |step: f32| -> f64 {
        let mut moved = args.to_vec();
        let mut tensors = 0;
        for (_, arg) in &mut moved {
            let items =
                if let TestArg::List(items) = arg { items.as_mut_slice() } else { std::slice::from_mut(arg) };
            for item in items {
                let TestArg::Tensor { data, .. } = item else { continue };
                if tensors == position {
                    data[index] += step;
                }
                tensors += 1;
            }
        }
        let output = numbers(&run(op, &moved)[0]);
        let weights = noise(output.len());
        output.iter().zip(weights).map(|(value, weight)| f64::from(*value) * f64::from(weight)).sum()
    };
    #[expect(clippy::cast_possible_truncation, reason = "a slope is compared as f32")]
    let slope = ((at(STEP) - at(-STEP)) / f64::from(2.0 * STEP)) as f32;
    slope
}

#[test]
fn a_call_is_traced_run_and_differentiated() {
    let x = sample(&[3, 4]).symbolic(&[0]);
    let (shape, found) = run_one("act", &[("x", x.clone()), ("name", "relu".into())]);
    assert_eq!(shape, [3, 4]);
    assert_close(&found, &noise(12).iter().map(|value| value.max(0.0)).collect::<Vec<_>>());
    check_gradient("linear", &[("x", x), ("weight", sample(&[2, 4]))]);
}

#[test]
fn a_wrong_call_is_a_fault() {
    let found = fault("act", &[("x", sample(&[3])), ("name", "made-up".into())]);
    assert_eq!(found.parameter, Some("name"));
}
