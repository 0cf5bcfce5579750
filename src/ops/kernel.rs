//! What an op does when the program runs, and what it may ask of the run.
//!
//! A [`Kernel`] takes its inputs by value (the program hands over the last use, so that memory can be reused)
//! and gives its outputs. The [`Context`] holds what belongs to one call and to no tensor: the values of the
//! sizes, the padding, the positions, and what a generation keeps from step to step.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use burn::tensor::FloatDType;

use super::backend::Device;
use super::call::StateId;
use super::dim::Dim;
use super::value::Value;

/// The tensor code of one call of an op, with its constants.
pub trait Kernel: fmt::Debug + Send + Sync {
    /// Computes the outputs.
    ///
    /// # Errors
    /// What only the data can show: an index out of range, a size that does not fit.
    fn run(&self, inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError>;

    /// Whether the result depends on more than the inputs: positions, padding or state.
    fn reads_context(&self) -> bool {
        false
    }
}

/// The inputs of one run, in the order in which the op asked for them while tracing.
#[derive(Debug)]
pub struct Inputs(std::vec::IntoIter<Option<Value>>);

impl Inputs {
    /// Wraps the values.
    #[must_use]
    pub fn new(values: Vec<Option<Value>>) -> Self {
        Self(values.into_iter())
    }

    /// The next input.
    ///
    /// # Panics
    /// If there is none: the op asked for it while tracing, so that is our own fault.
    pub fn take(&mut self) -> Value {
        self.optional().expect("the trace recorded this input")
    }

    /// The next input, which may be absent.
    pub fn optional(&mut self) -> Option<Value> {
        self.0.next().flatten()
    }

    /// All inputs that are left.
    #[must_use]
    pub fn rest(self) -> Vec<Value> {
        self.0.flatten().collect()
    }
}

/// What a kernel gives: usually one value.
#[derive(Debug)]
pub enum Outputs {
    /// One value.
    One(Value),
    /// Several values.
    Many(Vec<Value>),
}

impl<T: Into<Value>> From<T> for Outputs {
    fn from(value: T) -> Self {
        Self::One(value.into())
    }
}

impl From<Vec<Value>> for Outputs {
    fn from(values: Vec<Value>) -> Self {
        Self::Many(values)
    }
}

/// Why a program stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    /// What was found, then what was expected.
    pub message: String,
}

impl RunError {
    /// An error that says this.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl From<super::dim::DimError> for RunError {
    fn from(error: super::dim::DimError) -> Self {
        Self::new(error.to_string())
    }
}

/// Which positions of a padded batch hold something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Padding {
    /// The number of rows (the batch).
    pub rows: usize,
    /// The number of positions of each row, those of the cache included.
    pub columns: usize,
    /// Row by row: whether the position holds something.
    pub keep: Vec<bool>,
}

impl Padding {
    /// The number of held positions of each row.
    #[must_use]
    pub fn lengths(&self) -> Vec<usize> {
        self.keep.chunks(self.columns.max(1)).map(|row| row.iter().filter(|keep| **keep).count()).collect()
    }
}

/// What a generation keeps from step to step: for each state, whatever tensors its op puts there.
///
/// An op writes its tensors in place, and makes more room for them as positions come, up to [`Cache::capacity`].
#[derive(Debug, Default)]
pub struct Cache {
    states: Vec<Vec<Value>>,
    /// How many positions the generation may reach, prompt included.
    pub capacity: usize,
    /// How many positions were run before this call.
    pub past: usize,
}

impl Cache {
    /// An empty cache for `states` states and `capacity` positions.
    #[must_use]
    pub fn new(states: usize, capacity: usize) -> Self {
        Self { states: vec![Vec::new(); states], capacity, past: 0 }
    }

    /// Takes the tensors of a state out, to be written in place and put back; empty on the first step.
    pub fn take(&mut self, id: StateId) -> Vec<Value> {
        std::mem::take(&mut self.states[id.0])
    }

    /// Puts the tensors of a state back.
    pub fn put(&mut self, id: StateId, tensors: Vec<Value>) {
        self.states[id.0] = tensors;
    }
}

/// What belongs to one run of a program and to no tensor.
#[derive(Debug)]
pub struct Context<'a> {
    /// Where new tensors are made.
    pub device: &'a Device,
    /// The width of new floats.
    pub float: FloatDType,
    /// The value of each symbol.
    pub symbols: Vec<i64>,
    /// The padding of each symbol, by index; `None` where nothing is padded.
    pub padding: Vec<Option<Arc<Padding>>>,
    /// The symbol of the new positions, by which each step of a generation grows.
    pub step: Option<usize>,
    /// The position of each new token, axis by axis and row by row, where it is not simply its index.
    pub positions: Option<Arc<Vec<i32>>>,
    /// The state of the generation; `None` outside one.
    pub cache: Option<&'a mut Cache>,
    /// Whether only the last position of each row is wanted where the definition allows to narrow.
    pub last_only: bool,
    /// Tensors shared between ops of one run, by a name that the ops choose: masks, rotary tables.
    pub shared: HashMap<String, Value>,
}

impl<'a> Context<'a> {
    /// A plain run: nothing padded, nothing kept.
    #[must_use]
    pub fn new(device: &'a Device, float: FloatDType, symbols: Vec<i64>) -> Self {
        let padding = vec![None; symbols.len()];
        Self {
            device,
            float,
            symbols,
            padding,
            step: None,
            positions: None,
            cache: None,
            last_only: false,
            shared: HashMap::new(),
        }
    }

    /// The number of positions run before this call; 0 outside a generation.
    #[must_use]
    pub fn past(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.past)
    }

    /// The number of positions run before this call along an axis of size `dim`; `None` where no generation
    /// extends that axis, so that an op has nothing to keep.
    #[must_use]
    pub fn past_along(&self, dim: &Dim) -> Option<usize> {
        let cache = self.cache.as_ref()?;
        self.counts_along(dim).then_some(cache.past)
    }

    /// Whether an axis of size `dim` is the one that [`Context::step`] and [`Context::positions`] speak of.
    #[must_use]
    pub fn counts_along(&self, dim: &Dim) -> bool {
        self.step.is_none_or(|step| dim.symbols().iter().any(|symbol| symbol.index == step))
    }

    /// The size for this call.
    ///
    /// # Errors
    /// If it is negative or overflows.
    pub fn size(&self, dim: &Dim) -> Result<usize, RunError> {
        let value = dim.eval(&self.symbols)?;
        usize::try_from(value)
            .map_err(|_| RunError::new(format!("the size `{dim}` is {value} for this input")))
    }

    /// The sizes for this call.
    ///
    /// # Errors
    /// If one is negative or overflows.
    pub fn sizes(&self, dims: &[Dim]) -> Result<Vec<usize>, RunError> {
        dims.iter().map(|dim| self.size(dim)).collect()
    }

    /// The padding along an axis of size `dim`, `None` where nothing is padded.
    ///
    /// An axis computed from one padded symbol (a time axis after strided convolutions) holds, in each row, as
    /// many positions as the same formula gives for the row's length, as in
    /// `Wav2Vec2PreTrainedModel._get_feature_vector_attention_mask` of transformers.
    ///
    /// # Errors
    /// If the formula fails for a row's length.
    pub fn padding(&self, dim: &Dim) -> Result<Option<Arc<Padding>>, RunError> {
        if let Some(symbol) = dim.as_symbol() {
            return Ok(self.padding.get(symbol.index).cloned().flatten());
        }
        let symbols = dim.symbols();
        let padded: Vec<_> = symbols
            .iter()
            .filter_map(|symbol| self.padding.get(symbol.index)?.as_ref().map(|p| (symbol, p)))
            .collect();
        let [(symbol, padding)] = padded.as_slice() else { return Ok(None) };
        let columns = self.size(dim)?;
        let mut values = self.symbols.clone();
        let mut keep = Vec::with_capacity(padding.rows * columns);
        for length in padding.lengths() {
            values[symbol.index] = i64::try_from(length).unwrap_or(i64::MAX);
            let held = usize::try_from(dim.eval(&values)?.max(0)).unwrap_or(0);
            keep.extend((0..columns).map(|column| column < held));
        }
        Ok(Some(Arc::new(Padding { rows: padding.rows, columns, keep })))
    }

    /// A tensor shared between the ops of this run, made on first use.
    ///
    /// # Errors
    /// What `make` gives.
    pub fn share(
        &mut self,
        key: &str,
        make: impl FnOnce(&mut Self) -> Result<Value, RunError>,
    ) -> Result<Value, RunError> {
        if let Some(value) = self.shared.get(key) {
            return Ok(value.clone());
        }
        let value = make(self)?;
        self.shared.insert(key.to_owned(), value.clone());
        Ok(value)
    }
}
