//! A model that can run, be looked into, trained and saved.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::FloatDType;

use super::error::ModelError;
use super::inputs::{Inputs, POSITIONS};
use super::params::{Params, path_glob};
use super::run::{Prepared, Wanted};
use super::sampling::GenerationConfig;
use crate::lang::Program;
use crate::ops::backend::{B, Device};
use crate::ops::{Context, Value};
use crate::plan::{Param, ParamId, Plan};
use crate::registry::{Architecture, Registry};

/// What a model is made from, shared between its copies.
pub(crate) struct Definition {
    pub(crate) registry: Arc<Registry>,
    pub(crate) architecture: Architecture,
    pub(crate) config: serde_json::Value,
    /// Every parameter, in the order of the tree.
    pub(crate) params: Vec<Param>,
    /// Parameters that the definition ties and the checkpoint holds other values for.
    untied: Vec<String>,
    /// The inputs of each method that change its plan by being there.
    switches: BTreeMap<String, Vec<String>>,
    /// By method, and those of its switches that are given.
    plans: Mutex<BTreeMap<(String, Vec<String>), Arc<Prepared>>>,
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Definition({})", self.architecture.name.text)
    }
}

impl Definition {
    /// What a program was built from, and its `forward` without optional inputs, if that was traced.
    pub(crate) fn new(
        registry: &Arc<Registry>,
        program: &Program<'_>,
        config: serde_json::Value,
        forward: Option<Plan>,
    ) -> Self {
        let methods = program.methods().into_iter().chain(["forward"]);
        let switches = methods.map(|method| {
            let switches = program.switches(method).into_iter().map(str::to_owned);
            (method.to_owned(), switches.collect())
        });
        let traced = forward.map(|plan| (("forward".to_owned(), Vec::new()), Arc::new(Prepared::new(plan))));
        Self {
            registry: Arc::clone(registry),
            architecture: program.architecture().clone(),
            config,
            params: program.params().to_vec(),
            untied: Vec::new(),
            switches: switches.collect(),
            plans: Mutex::new(traced.into_iter().collect()),
        }
    }

    /// The methods that have been traced, once for each choice of optional inputs.
    #[cfg(test)]
    pub(crate) fn traced(&self) -> Vec<String> {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.keys().map(|(method, _)| method.clone()).collect()
    }

    /// Gives parameters tensors of their own; what was traced with them tied is forgotten.
    pub(crate) fn untie(&mut self, names: Vec<String>) {
        if !names.is_empty() {
            self.untied = names;
            self.plans = Mutex::default();
        }
    }

    /// The plan of a method for the inputs that are present.
    fn prepared(&self, method: &str, present: &[String]) -> Result<Arc<Prepared>, ModelError> {
        let switches = self.switches.get(method).map(Vec::as_slice).unwrap_or_default();
        let given: Vec<String> = switches.iter().filter(|input| present.contains(input)).cloned().collect();
        let key = (method.to_owned(), given);
        let plans = || self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = plans().get(&key) {
            return Ok(Arc::clone(found));
        }
        let mut program = Program::build(&self.registry, &self.architecture, &self.config, None)?;
        program.untie(&self.untied);
        let plan = program.trace(method, &|input| key.1.iter().any(|name| name == input))?;
        let prepared = Arc::new(Prepared::new(plan));
        plans().insert(key, Arc::clone(&prepared));
        Ok(prepared)
    }
}

/// What a call of a model gives.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// The named results of the method.
    pub values: BTreeMap<String, Value>,
    /// The inner values that were asked for, by path.
    pub captured: BTreeMap<String, Value>,
}

impl Outputs {
    /// A result of the method.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }
}

/// A model: a definition, its tensors, and the device that they are on.
///
/// It is a burn [`Module`]: optimisers train it, visitors and mappers reach every tensor under the name that
/// its checkpoint gives it. Copies share their tensors until one of them changes.
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) definition: Arc<Definition>,
    pub(crate) params: Params,
    pub(crate) device: Device,
    pub(crate) float: FloatDType,
    pub(crate) generation: GenerationConfig,
    pub(crate) origin: Option<Arc<super::save::Origin>>,
    pub(crate) remarks: Vec<String>,
}

impl Model {
    pub(crate) fn assemble(
        definition: Definition,
        params: Params,
        device: Device,
        float: FloatDType,
    ) -> Self {
        Self {
            definition: Arc::new(definition),
            params,
            device,
            float,
            generation: GenerationConfig::default(),
            origin: None,
            remarks: Vec::new(),
        }
    }

    /// The name of the architecture.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.definition.architecture.name.text
    }

    /// The mode that it was loaded in: `full`, or the part that was built.
    #[must_use]
    pub fn mode(&self) -> &str {
        let mode = self.definition.architecture.mode.as_ref();
        mode.map_or(crate::registry::FULL, |mode| &mode.name.text)
    }

    /// The task whose contract the architecture fulfils.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.definition.architecture.task.text
    }

    /// The config that the model was built from.
    #[must_use]
    pub fn config(&self) -> &serde_json::Value {
        &self.definition.config
    }

    /// How the model asks to generate: `generation_config.json`, or the defaults of transformers.
    #[must_use]
    pub fn generation_config(&self) -> &GenerationConfig {
        &self.generation
    }

    /// What a person should know about the weights as they were loaded: that some are not a number, or became
    /// infinite. Nothing in most models.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The device that the tensors are on.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The width of the floats that it computes with.
    #[must_use]
    pub fn float_dtype(&self) -> FloatDType {
        self.float
    }

    /// The tensors, by path.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Freezes (`trained = false`) or unfreezes every tensor whose path matches a glob.
    ///
    /// `*` stays within one step of a path, `**` does not: `model.layers.*.mlp.**`.
    ///
    /// # Errors
    /// [`ModelError::Pattern`] if the glob is none or matches no tensor.
    pub fn set_trained(mut self, glob: &str, trained: bool) -> Result<Self, ModelError> {
        let pattern = |reason: String| ModelError::Pattern { pattern: glob.to_owned(), reason };
        let count = self
            .params
            .set_trained(glob, trained)
            .map_err(|error| pattern(format!("is no glob: {error}")))?;
        if count == 0 {
            let known = self.params.iter().map(|(name, _)| name);
            let near = crate::diag::nearest(glob, known).map(|name| format!("; the nearest is `{name}`"));
            return Err(pattern(format!("matches no tensor{}", near.unwrap_or_default())));
        }
        Ok(self)
    }

    /// Freezes every tensor whose path matches a glob; see [`Model::set_trained`].
    ///
    /// # Errors
    /// As [`Model::set_trained`].
    pub fn freeze(self, glob: &str) -> Result<Self, ModelError> {
        self.set_trained(glob, false)
    }

    /// The plan of a method, given the names of the optional inputs that will be present.
    ///
    /// # Errors
    /// If there is no such method, or if it does not fit the config.
    pub fn plan(&self, method: &str, present: &[&str]) -> Result<Plan, ModelError> {
        let present: Vec<String> = present.iter().map(|name| (*name).to_owned()).collect();
        Ok(self.definition.prepared(method, &present)?.plan.clone())
    }

    /// Calls `forward`.
    ///
    /// # Errors
    /// If an input is missing, unknown, or does not fit.
    pub fn forward(&self, inputs: &Inputs) -> Result<Outputs, ModelError> {
        self.call("forward", inputs, &[])
    }

    /// Calls `forward` and keeps the inner values whose paths match one of the globs.
    ///
    /// A path is that of a layer (`model.layers.3`, `model.layers.3.self_attn`); it names what the layer gives.
    ///
    /// # Errors
    /// As [`Model::call`].
    pub fn forward_captured(&self, inputs: &Inputs, globs: &[&str]) -> Result<Outputs, ModelError> {
        self.call("forward", inputs, globs)
    }

    /// Calls a method and keeps the inner values whose paths match one of the globs.
    ///
    /// # Errors
    /// If an input is missing, unknown, or does not fit; if a glob is none or matches no layer.
    pub fn call(&self, method: &str, inputs: &Inputs, globs: &[&str]) -> Result<Outputs, ModelError> {
        let prepared = self.prepared(method, inputs)?;
        let symbols = prepared.symbols(inputs)?;
        let values = prepared.inputs(inputs, &symbols, &self.device, self.float)?;
        let mut context = Context::new(&self.device, self.float, symbols.clone());
        let masks = &self.definition.registry.masks;
        context.padding = prepared.padding(inputs, masks, &symbols, 0, None)?;
        let longest = self.position_symbols(&prepared.plan).iter().map(|index| symbols[*index]).max();
        let mut last = longest.map(|longest| longest - 1);
        if let Some((time, positions)) = prepared.positions(inputs, &symbols)? {
            last = last.max(positions.iter().max().copied().map(i64::from));
            (context.step, context.positions) = (Some(time), Some(positions));
        }
        if let Some(last) = last {
            prepared.check_positions(last)?;
        }
        let taps = matching_taps(&prepared.plan, globs)?;
        let wanted = Wanted { taps, outputs: &[] };
        let (values, captured) = prepared.run(self.values(&prepared.plan), &values, &mut context, &wanted)?;
        Ok(Outputs { values, captured })
    }

    /// The plan for the given inputs, which must be known and complete.
    pub(crate) fn prepared(&self, method: &str, inputs: &Inputs) -> Result<Arc<Prepared>, ModelError> {
        let present: Vec<String> = inputs.names().map(str::to_owned).collect();
        let prepared = self.definition.prepared(method, &present)?;
        let masks = &self.definition.registry.masks;
        for input in &prepared.plan.inputs {
            if input.default.is_none() && inputs.get(&input.name).is_none() {
                return Err(ModelError::MissingInput {
                    method: method.to_owned(),
                    name: input.name.clone(),
                    given: present,
                });
            }
        }
        let known = |name: &String| {
            name == POSITIONS
                || masks.contains_key(name)
                || prepared.plan.inputs.iter().any(|input| &input.name == name)
        };
        if let Some(name) = present.iter().find(|name| !known(name)) {
            return Err(ModelError::UnknownInput {
                method: method.to_owned(),
                name: name.clone(),
                known: prepared.plan.inputs.iter().map(|input| input.name.clone()).collect(),
            });
        }
        Ok(prepared)
    }

    /// The parameters that a plan reads, in its order.
    pub(crate) fn values(&self, plan: &Plan) -> Vec<Value> {
        plan.params.iter().map(|(id, ..)| self.param(*id)).collect()
    }

    fn param(&self, id: ParamId) -> Value {
        let name = &self.definition.params[id.0].name;
        self.params.get(name).expect("every parameter of the definition was loaded").value()
    }

    /// The symbols along which positions are counted.
    fn position_symbols(&self, plan: &Plan) -> Vec<usize> {
        ["time", "target"].iter().filter_map(|name| plan.symbol(name)).collect()
    }
}

/// The layers whose paths match one of the globs.
fn matching_taps<'p>(plan: &'p Plan, globs: &[&str]) -> Result<BTreeSet<&'p str>, ModelError> {
    let mut taps = BTreeSet::new();
    for glob in globs {
        let pattern = |reason: String| ModelError::Pattern { pattern: (*glob).to_owned(), reason };
        let matcher = path_glob(glob).map_err(|error| pattern(format!("is no glob: {error}")))?;
        let before = taps.len();
        let paths = plan.taps.iter().map(|(path, _)| &**path);
        taps.extend(paths.filter(|path| matcher.is_match(path.replace('.', "/"))));
        if taps.len() == before {
            let near = crate::diag::nearest(glob, plan.taps.iter().map(|(path, _)| &**path));
            let near = near.map(|path| format!("; the nearest is `{path}`")).unwrap_or_default();
            return Err(pattern(format!("matches no layer that this method calls{near}")));
        }
    }
    Ok(taps)
}

impl Module<B> for Model {
    type Record = <Params as Module<B>>::Record;

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.params.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        Self { params: self.params.fork(device), device: device.clone(), ..self }
    }

    fn to_device(self, device: &Device) -> Self {
        Self { params: self.params.to_device(device), device: device.clone(), ..self }
    }

    fn visit<V: ModuleVisitor<B>>(&self, visitor: &mut V) {
        self.params.visit(visitor);
    }

    fn map<M: ModuleMapper<B>>(self, mapper: &mut M) -> Self {
        Self { params: self.params.map(mapper), ..self }
    }

    fn load_record(self, record: Self::Record) -> Self {
        Self { params: self.params.load_record(record), ..self }
    }

    fn into_record(self) -> Self::Record {
        self.params.into_record()
    }
}

impl AutodiffModule<B> for Model {
    type InnerModule = Self;

    fn valid(&self) -> Self {
        let device = match &self.device {
            Device::Autodiff(device) => (**device).clone(),
            other => other.clone(),
        };
        Self { params: self.params.valid(), device, ..self.clone() }
    }

    fn from_inner(model: Self) -> Self {
        let device = match &model.device {
            Device::Autodiff(_) => model.device.clone(),
            other => Device::autodiff(other.clone()),
        };
        Self { params: Params::from_inner(model.params), device, ..model }
    }
}
