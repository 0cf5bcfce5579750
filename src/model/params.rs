//! The tensors of a model, as a burn module: by name, of any rank.
//!
//! burn's optimisers, visitors and mappers reach every tensor through [`Module`]; the name of a tensor is its
//! path, as in the checkpoint. A tied parameter occurs once, under the name of its owner.
//!
//! Absent on purpose: dataflow. Which tensor is used where is the plan's business.

use std::collections::BTreeMap;

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Shape, Tensor};
use globset::Glob;

use crate::diag::Problem;
use crate::ops::Value;
use crate::ops::backend::{B, Device};

/// A parameter of any rank up to six.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each variant is the parameter of that rank")]
pub enum DynParam {
    R1(Param<Tensor<B, 1>>),
    R2(Param<Tensor<B, 2>>),
    R3(Param<Tensor<B, 3>>),
    R4(Param<Tensor<B, 4>>),
    R5(Param<Tensor<B, 5>>),
    R6(Param<Tensor<B, 6>>),
}

/// Does the same to the parameter of whatever rank.
macro_rules! each_rank {
    ($param:expr, $inner:ident => $result:expr) => {
        match $param {
            DynParam::R1($inner) => $result,
            DynParam::R2($inner) => $result,
            DynParam::R3($inner) => $result,
            DynParam::R4($inner) => $result,
            DynParam::R5($inner) => $result,
            DynParam::R6($inner) => $result,
        }
    };
}

/// Turns the parameter of whatever rank into another of the same rank.
macro_rules! map_rank {
    ($param:expr, $inner:ident => $result:expr) => {
        match $param {
            DynParam::R1($inner) => DynParam::R1($result),
            DynParam::R2($inner) => DynParam::R2($result),
            DynParam::R3($inner) => DynParam::R3($result),
            DynParam::R4($inner) => DynParam::R4($result),
            DynParam::R5($inner) => DynParam::R5($result),
            DynParam::R6($inner) => DynParam::R6($result),
        }
    };
}

impl DynParam {
    /// Wraps a tensor; a scalar becomes a tensor of one element, and more than six dimensions are refused.
    #[must_use]
    pub fn new(value: Value) -> Option<Self> {
        let value = if value.rank() == 0 { value.reshape(vec![1]) } else { value };
        Some(match value.rank() {
            1 => Self::R1(param(value)),
            2 => Self::R2(param(value)),
            3 => Self::R3(param(value)),
            4 => Self::R4(param(value)),
            5 => Self::R5(param(value)),
            6 => Self::R6(param(value)),
            _ => return None,
        })
    }

    /// The tensor.
    #[must_use]
    pub fn value(&self) -> Value {
        each_rank!(self, param => param.val().into())
    }

    /// The number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.value().shape().iter().product()
    }

    /// Whether gradients reach it.
    #[must_use]
    pub fn is_trained(&self) -> bool {
        each_rank!(self, param => param.is_require_grad())
    }

    fn set_trained(self, trained: bool) -> Self {
        map_rank!(self, param => param.set_require_grad(trained))
    }
}

fn param<const D: usize>(value: Value) -> Param<Tensor<B, D>> {
    Param::initialized(burn::module::ParamId::new(), value.float::<D>())
}

/// The tensors of a model, by path.
#[derive(Debug, Clone, Default)]
pub struct Params {
    entries: BTreeMap<String, DynParam>,
}

impl Params {
    /// The tensors of that many names.
    #[must_use]
    pub fn new(entries: BTreeMap<String, DynParam>) -> Self {
        Self { entries }
    }

    /// The tensor of that path.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&DynParam> {
        self.entries.get(name)
    }

    /// Every tensor, by path.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &DynParam)> {
        self.entries.iter().map(|(name, param)| (name.as_str(), param))
    }

    /// Replaces the tensor of a path.
    pub fn insert(&mut self, name: String, param: DynParam) {
        self.entries.insert(name, param);
    }

    /// Adds a tensor that came from outside, to be trained or not.
    pub(super) fn add(&mut self, name: &str, value: Value, trained: bool) -> Result<(), Problem> {
        let param = DynParam::new(value).ok_or_else(|| {
            Problem::unplaced("too-many-dimensions", format!("`{name}` has more than six dimensions"))
        })?;
        self.entries.insert(name.to_owned(), param.set_trained(trained));
        Ok(())
    }

    /// Sets whether the tensors whose path matches a glob are trained; gives how many matched.
    ///
    /// In a glob `*` stays within one step of a path and `**` does not: `model.layers.*.mlp.**`.
    ///
    /// # Errors
    /// If the glob is not one.
    pub fn set_trained(&mut self, glob: &str, trained: bool) -> Result<usize, globset::Error> {
        let matcher = path_glob(glob)?;
        let mut count = 0;
        for (name, param) in &mut self.entries {
            if matcher.is_match(name.replace('.', "/")) {
                *param = param.clone().set_trained(trained);
                count += 1;
            }
        }
        Ok(count)
    }
}

/// A glob over dotted paths.
pub(crate) fn path_glob(glob: &str) -> Result<globset::GlobMatcher, globset::Error> {
    let path = glob.replace('.', "/");
    Ok(globset::GlobBuilder::new(&path)
        .literal_separator(true)
        .build()
        .or_else(|_| Glob::new(&path))?
        .compile_matcher())
}

/// The path of each tensor as burn's visitors see it.
macro_rules! walk {
    ($visitor:expr, $name:expr, $body:expr) => {{
        for step in $name.split('.') {
            $visitor.enter_module(step, "Omni");
        }
        let result = $body;
        for step in $name.rsplit('.') {
            $visitor.exit_module(step, "Omni");
        }
        result
    }};
}

impl Module<B> for Params {
    type Record = Vec<Param<Tensor<B, 1>>>;

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.entries
            .values()
            .fold(devices, |devices, param| each_rank!(param, p => Module::<B>::collect_devices(p, devices)))
    }

    fn fork(self, device: &Device) -> Self {
        self.each(|param| map_rank!(param, p => p.fork(device)))
    }

    fn to_device(self, device: &Device) -> Self {
        self.each(|param| map_rank!(param, p => p.to_device(device)))
    }

    fn visit<V: ModuleVisitor<B>>(&self, visitor: &mut V) {
        for (name, param) in &self.entries {
            walk!(visitor, name, each_rank!(param, p => visitor.visit_float(p)));
        }
    }

    fn map<M: ModuleMapper<B>>(self, mapper: &mut M) -> Self {
        let entries = self.entries.into_iter().map(|(name, param)| {
            let mapped = walk!(mapper, name, map_rank!(param, p => mapper.map_float(p)));
            (name, mapped)
        });
        Self { entries: entries.collect() }
    }

    fn load_record(self, record: Self::Record) -> Self {
        let mut records = record.into_iter();
        self.each(|param| match records.next() {
            Some(flat) => map_rank!(param, p => restore(p, flat)),
            None => param,
        })
    }

    fn into_record(self) -> Self::Record {
        self.entries.into_values().map(|param| each_rank!(param, p => flatten(&p))).collect()
    }
}

fn restore<const D: usize>(param: Param<Tensor<B, D>>, flat: Param<Tensor<B, 1>>) -> Param<Tensor<B, D>> {
    let shape: Shape = param.val().shape();
    let id = flat.id;
    param.transform_for_load(flat.val().reshape(shape), id)
}

fn flatten<const D: usize>(param: &Param<Tensor<B, D>>) -> Param<Tensor<B, 1>> {
    let tensor = param.val();
    let count = tensor.shape().num_elements();
    Param::initialized(param.id, tensor.reshape([count]))
}

impl AutodiffModule<B> for Params {
    type InnerModule = Self;

    fn valid(&self) -> Self {
        self.clone().each(|param| map_rank!(param, p => inner(&p)))
    }

    fn from_inner(module: Self) -> Self {
        module.each(|param| {
            map_rank!(param, p => {
                let trained = p.is_require_grad();
                Param::initialized(p.id, Tensor::from_inner(p.val())).set_require_grad(trained)
            })
        })
    }
}

fn inner<const D: usize>(param: &Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
    Param::initialized(param.id, param.val().inner())
}

impl Params {
    fn each(self, mut change: impl FnMut(DynParam) -> DynParam) -> Self {
        Self { entries: self.entries.into_iter().map(|(name, param)| (name, change(param))).collect() }
    }
}
