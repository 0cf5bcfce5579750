//! Runs a plan: binds inputs to sizes, then one instruction after another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use burn::tensor::ops::{FloatTensorOps, IntTensorOps};
use burn::tensor::{FloatDType, TensorData};

use super::error::ModelError;
use super::inputs::{Given, Inputs, POSITIONS};
use crate::ops::backend::{B, Device};
use crate::ops::{Context, Dim, Inputs as KernelInputs, Kind, Outputs, Padding, Slot, TensorType, Value};
use crate::plan::{Constraint, Limit, Phase, Plan};

/// A plan with what was worked out about it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    last_uses: Vec<Vec<bool>>,
    limits: Vec<Limit>,
}

/// What is kept of a run beside its outputs.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// The paths of the inner values to keep.
    pub(crate) taps: BTreeSet<&'a str>,
    /// The outputs to compute; all of them if empty.
    pub(crate) outputs: &'a [&'a str],
}

/// The results of a run, by name.
pub(crate) type Results = BTreeMap<String, Value>;

impl Prepared {
    pub(crate) fn new(plan: Plan) -> Self {
        let last_uses = plan.last_uses(&BTreeSet::new());
        let limits = plan.limits();
        Self { plan, last_uses, limits }
    }

    /// Runs the whole plan.
    pub(crate) fn run(
        &self,
        params: Vec<Value>,
        inputs: &BTreeMap<Slot, Value>,
        context: &mut Context<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<(Results, Results), ModelError> {
        let plan = &self.plan;
        let mut slots = self.start(params, inputs);
        let outputs: Vec<_> = plan
            .outputs
            .iter()
            .filter(|(name, ..)| wanted.outputs.is_empty() || wanted.outputs.contains(&name.as_str()))
            .collect();
        let taps: Vec<_> = plan.taps.iter().filter(|(path, _)| wanted.taps.contains(&**path)).collect();
        let mut kept: BTreeSet<Slot> = taps.iter().map(|(_, slot)| *slot).collect();
        kept.extend(outputs.iter().map(|(_, slot, _)| *slot));
        let all = outputs.len() == plan.outputs.len();
        let needed = plan.needed(&kept);
        let with_taps = (!taps.is_empty() || !all).then(|| plan.last_uses(&kept));
        let last_uses = with_taps.as_ref().unwrap_or(&self.last_uses);
        for (index, last) in last_uses.iter().enumerate() {
            if needed[index] {
                self.step(index, last, &mut slots, context)?;
            }
        }
        let take = |slot: &Slot| slots[slot.0].clone().expect("an output is kept until the end");
        Ok((
            outputs.iter().map(|(name, slot, _)| (name.clone(), take(slot))).collect(),
            taps.iter().map(|(path, slot)| (path.to_string(), take(slot))).collect(),
        ))
    }

    /// Runs what does not change from step to step, and gives the values that the steps read of it.
    pub(crate) fn run_once(
        &self,
        params: Vec<Value>,
        inputs: &BTreeMap<Slot, Value>,
        context: &mut Context<'_>,
        phases: &[Phase],
    ) -> Result<BTreeMap<Slot, Value>, ModelError> {
        let plan = &self.plan;
        let steps = || plan.instrs.iter().zip(phases).filter(|(_, phase)| **phase == Phase::Step);
        let mut read: BTreeSet<Slot> =
            steps().flat_map(|(instr, _)| instr.inputs.iter().flatten().copied()).collect();
        read.extend(plan.outputs.iter().map(|(_, slot, _)| *slot));
        let last_uses = plan.last_uses(&read);
        let mut slots = self.start(params, inputs);
        let mut kept = BTreeMap::new();
        for (index, instr) in plan.instrs.iter().enumerate() {
            if phases[index] == Phase::Generation {
                self.step(index, &last_uses[index], &mut slots, context)?;
                for (slot, _) in &instr.outputs {
                    if let (true, Some(value)) = (read.contains(slot), &slots[slot.0]) {
                        kept.insert(*slot, value.clone());
                    }
                }
            }
        }
        Ok(kept)
    }

    /// Runs one step of a generation, given what [`Prepared::run_once`] kept.
    pub(crate) fn run_step(
        &self,
        params: Vec<Value>,
        inputs: &BTreeMap<Slot, Value>,
        once: &BTreeMap<Slot, Value>,
        phases: &[Phase],
        context: &mut Context<'_>,
    ) -> Result<Results, ModelError> {
        let plan = &self.plan;
        let mut slots = self.start(params, inputs);
        for (slot, value) in once {
            slots[slot.0] = Some(value.clone());
        }
        for (index, last) in self.last_uses.iter().enumerate() {
            if phases[index] == Phase::Step {
                self.step(index, last, &mut slots, context)?;
            }
        }
        let take = |slot: &Slot| slots[slot.0].clone().expect("an output is kept until the end");
        Ok(plan.outputs.iter().map(|(name, slot, _)| (name.clone(), take(slot))).collect())
    }

    fn start(&self, params: Vec<Value>, inputs: &BTreeMap<Slot, Value>) -> Vec<Option<Value>> {
        let mut slots: Vec<Option<Value>> = vec![None; self.plan.slots];
        for ((_, slot, _), value) in self.plan.params.iter().zip(params) {
            slots[slot.0] = Some(value);
        }
        for (slot, value) in inputs {
            slots[slot.0] = Some(value.clone());
        }
        slots
    }

    fn step(
        &self,
        index: usize,
        last: &[bool],
        slots: &mut [Option<Value>],
        context: &mut Context<'_>,
    ) -> Result<(), ModelError> {
        let instr = &self.plan.instrs[index];
        let values = instr.inputs.iter().zip(last).map(|(slot, last)| {
            slot.map(|slot| {
                let value = if *last { slots[slot.0].take() } else { slots[slot.0].clone() };
                value.expect("an instruction reads what an earlier one wrote")
            })
        });
        let values = KernelInputs::new(values.collect());
        let outputs = instr.kernel.run(values, context).map_err(|error| ModelError::Op {
            op: instr.op,
            path: instr.path.to_string(),
            error,
        })?;
        match outputs {
            Outputs::One(value) => slots[instr.outputs[0].0.0] = Some(value),
            Outputs::Many(values) => {
                for ((slot, _), value) in instr.outputs.iter().zip(values) {
                    slots[slot.0] = Some(value);
                }
            }
        }
        Ok(())
    }

    /// Finds the value of every symbol from the shapes of the inputs, and checks that all sizes fit.
    pub(crate) fn symbols(&self, inputs: &Inputs) -> Result<Vec<i64>, ModelError> {
        let plan = &self.plan;
        let mut values: Vec<Option<i64>> = vec![None; plan.symbols.len()];
        let given: Vec<_> =
            plan.inputs.iter().filter_map(|input| Some((input, inputs.get(&input.name)?))).collect();
        let wrong = |name: &str, shape: &[usize], ty: &TensorType| ModelError::WrongInput {
            name: name.to_owned(),
            found: format!("{shape:?}"),
            expected: ty.to_string(),
        };
        for (input, value) in &given {
            let shape = value.shape();
            if shape.len() != input.ty.rank() || shape.contains(&0) {
                return Err(wrong(&input.name, &shape, &input.ty));
            }
            for (dim, size) in input.ty.shape.iter().zip(&shape) {
                if let Some(symbol) = dim.as_symbol() {
                    values[symbol.index].get_or_insert(i64::try_from(*size).unwrap_or(i64::MAX));
                }
            }
        }
        let mut symbols = Vec::with_capacity(values.len());
        for (symbol, value) in plan.symbols.iter().zip(values) {
            let unknown =
                || ModelError::Unsupported(format!("no input says what the size `{}` is", symbol.name));
            symbols.push(value.ok_or_else(unknown)?);
        }
        for (input, value) in &given {
            let shape = value.shape();
            for (dim, size) in input.ty.shape.iter().zip(&shape) {
                if dim.eval(&symbols).ok() != i64::try_from(*size).ok() {
                    return Err(wrong(&input.name, &shape, &input.ty));
                }
            }
        }
        self.check_constraints(&symbols)?;
        Ok(symbols)
    }

    fn check_constraints(&self, symbols: &[i64]) -> Result<(), ModelError> {
        for constraint in &self.plan.constraints {
            let (left, right) = (constraint.left.eval(symbols), constraint.right.eval(symbols));
            if left.is_err() || left != right {
                if let Some(error) = self.wrong_size(constraint, symbols) {
                    return Err(error);
                }
                let show = |dim: &Dim, value: Result<i64, _>| match (dim.known(), value) {
                    (Some(value), _) => value.to_string(),
                    (None, Ok(value)) => format!("{value} ({dim})"),
                    (None, Err(_)) => dim.to_string(),
                };
                return Err(ModelError::SizesDiffer {
                    what: constraint.what.clone(),
                    left: show(&constraint.left, left),
                    right: show(&constraint.right, right),
                    path: constraint.path.to_string(),
                });
            }
        }
        Ok(())
    }

    /// The error of an input one of whose sizes the definition fixes.
    fn wrong_size(&self, constraint: &Constraint, symbols: &[i64]) -> Option<ModelError> {
        let fixed = |constraint: &Constraint| {
            let sides = [(&constraint.left, &constraint.right), (&constraint.right, &constraint.left)];
            sides.into_iter().find_map(|(side, other)| Some((side.as_symbol()?.index, other.known()?)))
        };
        let (wanted, _) = fixed(constraint)?;
        let has = |dim: &Dim, index: usize| dim.as_symbol().is_some_and(|symbol| symbol.index == index);
        let input =
            self.plan.inputs.iter().find(|input| input.ty.shape.iter().any(|dim| has(dim, wanted)))?;
        let found: Vec<i64> = input.ty.shape.iter().filter_map(|dim| dim.eval(symbols).ok()).collect();
        let known: Vec<(usize, i64)> = self.plan.constraints.iter().filter_map(fixed).collect();
        let expected = |dim: &Dim| {
            let size = known.iter().find(|(index, _)| has(dim, *index));
            size.map_or_else(|| dim.clone(), |(_, size)| Dim::Known(*size))
        };
        let ty = TensorType { kind: input.ty.kind, shape: input.ty.shape.iter().map(expected).collect() };
        Some(ModelError::WrongInput {
            name: input.name.clone(),
            found: format!("{found:?}"),
            expected: ty.to_string(),
        })
    }

    /// Moves the inputs to the device, checking numbers against the tables that they index.
    pub(crate) fn inputs(
        &self,
        given: &Inputs,
        symbols: &[i64],
        device: &Device,
        float: FloatDType,
    ) -> Result<BTreeMap<Slot, Value>, ModelError> {
        let mut values = BTreeMap::new();
        for input in &self.plan.inputs {
            let value = match given.get(&input.name) {
                Some(given) => self.value(&input.name, &input.ty, given, device, float)?,
                None => fill(input.default.unwrap_or_default(), &input.ty, symbols, device, float),
            };
            values.insert(input.slot, value);
        }
        Ok(values)
    }

    fn value(
        &self,
        name: &str,
        ty: &TensorType,
        given: &Given,
        device: &Device,
        float: FloatDType,
    ) -> Result<Value, ModelError> {
        let mismatch = |found: &str| ModelError::WrongInput {
            name: name.to_owned(),
            found: found.to_owned(),
            expected: ty.to_string(),
        };
        let filled = |length: usize, shape: &[usize]| length == shape.iter().product::<usize>();
        match (given, ty.kind) {
            (Given::Ints { data, shape }, Kind::Int) if filled(data.len(), shape) => {
                for limit in self.limits.iter().filter(|limit| limit.input.as_deref() == Some(name)) {
                    if let Some(found) = data.iter().find(|id| **id < 0 || **id >= limit.rows) {
                        return Err(ModelError::OutOfRange {
                            name: name.to_owned(),
                            found: *found,
                            rows: limit.rows,
                        });
                    }
                }
                let narrow = |id: &i64| i32::try_from(*id).map_err(|_| mismatch("a number beyond 32 bits"));
                let data = data.iter().map(narrow).collect::<Result<Vec<i32>, _>>()?;
                Ok(Value::from_ints(data, shape.clone(), device))
            }
            (Given::Floats { data, shape }, Kind::Float) if filled(data.len(), shape) => {
                Ok(Value::from_floats(data.to_vec(), shape.clone(), float, device))
            }
            #[expect(
                clippy::cast_precision_loss,
                reason = "a caller's whole numbers where floats are wanted"
            )]
            (Given::Ints { data, shape }, Kind::Float) if filled(data.len(), shape) => {
                let data = data.iter().map(|value| *value as f32).collect();
                Ok(Value::from_floats(data, shape.clone(), float, device))
            }
            (Given::Tensor(value), kind) if value.kind() == kind => Ok(match kind {
                Kind::Float => value.clone().to_float(float),
                Kind::Int | Kind::Bool => value.clone(),
            }),
            (Given::Tensor(value), _) => Err(mismatch(&format!("a tensor of kind {}", value.kind()))),
            (Given::Ints { data, shape }, _) => {
                Err(mismatch(&format!("{} whole numbers as {shape:?}", data.len())))
            }
            (Given::Floats { data, shape }, _) => {
                Err(mismatch(&format!("{} floats as {shape:?}", data.len())))
            }
        }
    }

    /// Refuses positions that a table of positions has no row for.
    pub(crate) fn check_positions(&self, last: i64) -> Result<(), ModelError> {
        for limit in self.limits.iter().filter(|limit| limit.input.is_none()) {
            if last + limit.start >= limit.rows {
                return Err(ModelError::TooLong { found: last + 1, positions: limit.rows - limit.start });
            }
        }
        Ok(())
    }

    /// The positions given as [`POSITIONS`], and the symbol that they are about; none where the definition has an
    /// input of that name itself.
    pub(crate) fn positions(
        &self,
        inputs: &Inputs,
        symbols: &[i64],
    ) -> Result<Option<(usize, Arc<Vec<i32>>)>, ModelError> {
        let own = self.plan.inputs.iter().any(|input| input.name == POSITIONS);
        let Some(given) = inputs.get(POSITIONS).filter(|_| !own) else { return Ok(None) };
        let (Some(batch), Some(time)) = (self.plan.symbol("batch"), self.plan.symbol("time")) else {
            let message = format!("this method counts no positions along `time`: leave out `{POSITIONS}`");
            return Err(ModelError::Unsupported(message));
        };
        let (rows, columns) = (symbols[batch], symbols[time]);
        let wrong = |found: String| ModelError::WrongInput {
            name: POSITIONS.to_owned(),
            found,
            expected: format!("int[{rows}, {columns}], or such a table for each axis, of numbers from 0"),
        };
        let Given::Ints { data, shape } = given else { return Err(wrong("no list of ints".to_owned())) };
        let sizes: Vec<i64> = shape.iter().filter_map(|size| i64::try_from(*size).ok()).collect();
        let fits =
            matches!(sizes[..], [.., b, t] if (b, t) == (rows, columns)) && matches!(shape.len(), 2 | 3);
        if !fits || data.is_empty() || data.len() != shape.iter().product::<usize>() {
            return Err(wrong(format!("{} numbers as {shape:?}", data.len())));
        }
        let position = |number: &i64| {
            i32::try_from(*number).ok().filter(|number| *number >= 0).ok_or_else(|| wrong(number.to_string()))
        };
        Ok(Some((time, Arc::new(data.iter().map(position).collect::<Result<_, _>>()?))))
    }

    /// Whether the inputs of this plan are padded along the symbol, and how.
    pub(crate) fn padding(
        &self,
        inputs: &Inputs,
        masks: &crate::registry::Table<String>,
        symbols: &[i64],
        past: usize,
        step: Option<usize>,
    ) -> Result<Vec<Option<Arc<Padding>>>, ModelError> {
        let mut padding = vec![None; symbols.len()];
        for (mask, symbol) in masks {
            let (Some(given), Some(index)) = (inputs.get(mask), self.plan.symbol(symbol)) else { continue };
            let wrong = |found: String| ModelError::WrongInput {
                name: mask.clone(),
                found,
                expected: format!("int[batch, {symbol}] of zeros and ones, {} long", symbols[index]),
            };
            let (data, shape) = match given {
                Given::Ints { data, shape } => (data, shape),
                _ => return Err(wrong("no list of ints".to_owned())),
            };
            let columns =
                usize::try_from(symbols[index]).unwrap_or(0) + if step == Some(index) { past } else { 0 };
            if shape.len() != 2 || shape[1] != columns || data.len() != shape[0] * shape[1] {
                return Err(wrong(format!("{shape:?}")));
            }
            if data.iter().all(|keep| *keep != 0) {
                continue;
            }
            let keep = data.iter().map(|keep| *keep != 0).collect();
            padding[index] = Some(Arc::new(Padding { rows: shape[0], columns, keep }));
        }
        Ok(padding)
    }
}

fn fill(number: f64, ty: &TensorType, symbols: &[i64], device: &Device, float: FloatDType) -> Value {
    let size = |dim: &Dim| usize::try_from(dim.eval(symbols).unwrap_or(0)).unwrap_or(0);
    let shape: Vec<usize> = ty.shape.iter().map(size).collect();
    let count = shape.iter().product::<usize>();
    #[expect(clippy::cast_possible_truncation, reason = "the defaults of inputs are small numbers")]
    match ty.kind {
        Kind::Float => Value::Float(B::float_from_data(
            TensorData::new(vec![number as f32; count], shape).convert_dtype(float.into()),
            device,
        )),
        Kind::Int => Value::Int(B::int_from_data(TensorData::new(vec![number as i32; count], shape), device)),
        Kind::Bool => Value::from_ints(vec![i32::from(number != 0.0); count], shape, device).to_bool(device),
    }
}
