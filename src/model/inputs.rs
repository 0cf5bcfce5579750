//! What a caller gives a model: named inputs, masks, positions.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ops::Value;

/// The input that says where each token stands, where that is not simply its index: `int[batch, time]`, or one such
/// table for each axis (time, height, width). Every definition that counts positions along `time` takes it.
pub const POSITIONS: &str = "position_ids";

/// One named input.
#[derive(Debug, Clone)]
pub enum Given {
    /// Whole numbers in host memory, row by row.
    Ints {
        /// The numbers.
        data: Arc<Vec<i64>>,
        /// Their shape.
        shape: Vec<usize>,
    },
    /// Floats in host memory, row by row.
    Floats {
        /// The numbers.
        data: Arc<Vec<f32>>,
        /// Their shape.
        shape: Vec<usize>,
    },
    /// A tensor on the model's device.
    Tensor(Value),
}

impl Given {
    /// Its sizes.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Ints { shape, .. } | Self::Floats { shape, .. } => shape.clone(),
            Self::Tensor(value) => value.shape(),
        }
    }
}

/// Named inputs of one call.
///
/// ```
/// use omni::model::Inputs;
///
/// let inputs = Inputs::new()
///     .ints("input_ids", vec![1, 2, 3, 4, 5, 6], [2, 3])
///     .ints("attention_mask", vec![0, 1, 1, 1, 1, 1], [2, 3]);
/// assert!(inputs.get("input_ids").is_some());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    values: BTreeMap<String, Given>,
}

impl Inputs {
    /// No inputs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One row of token ids for each sequence; rows must be of one length.
    #[must_use]
    pub fn tokens(rows: &[Vec<u32>]) -> Self {
        let width = rows.first().map_or(0, Vec::len);
        let data = rows.iter().flatten().map(|id| i64::from(*id)).collect();
        Self::new().ints("input_ids", data, [rows.len(), width])
    }

    /// Adds whole numbers, row by row.
    #[must_use]
    pub fn ints(mut self, name: &str, data: Vec<i64>, shape: impl Into<Vec<usize>>) -> Self {
        self.values.insert(name.to_owned(), Given::Ints { data: Arc::new(data), shape: shape.into() });
        self
    }

    /// Adds floats, row by row.
    #[must_use]
    pub fn floats(mut self, name: &str, data: Vec<f32>, shape: impl Into<Vec<usize>>) -> Self {
        self.values.insert(name.to_owned(), Given::Floats { data: Arc::new(data), shape: shape.into() });
        self
    }

    /// Adds a tensor on the model's device.
    #[must_use]
    pub fn tensor(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), Given::Tensor(value.into()));
        self
    }

    /// The input of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Given> {
        self.values.get(name)
    }

    /// The names given, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}
