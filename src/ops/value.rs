//! A tensor whose rank is known only at run time.
//!
//! Elementwise code calls the backend on the untyped primitive; code with a fixed rank asks for a typed
//! [`Tensor`] and gives one back. Neither costs anything: a typed tensor is the primitive with its rank in
//! the type.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps, QTensorOps};
use burn::tensor::{
    BoolDType, DType, FloatDType, Int, IntDType, Shape, Tensor, TensorData, TensorMetadata, TensorPrimitive,
};

use super::backend::{B, Device, Primitive};
use super::types::Kind;

/// A tensor of the running program.
#[derive(Debug, Clone)]
pub enum Value {
    /// Floats.
    Float(Primitive),
    /// Integers.
    Int(Primitive),
    /// Truth values.
    Bool(Primitive),
}

impl Value {
    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Float(_) => Kind::Float,
            Self::Int(_) => Kind::Int,
            Self::Bool(_) => Kind::Bool,
        }
    }

    /// Its sizes.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.primitive().shape().to_vec()
    }

    /// The number of dimensions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.primitive().shape().num_dims()
    }

    /// The element type in memory.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.primitive().dtype()
    }

    /// The untyped tensor, borrowed.
    #[must_use]
    pub fn primitive(&self) -> &Primitive {
        match self {
            Self::Float(primitive) | Self::Int(primitive) | Self::Bool(primitive) => primitive,
        }
    }

    /// The untyped tensor.
    #[must_use]
    pub fn into_primitive(self) -> Primitive {
        match self {
            Self::Float(primitive) | Self::Int(primitive) | Self::Bool(primitive) => primitive,
        }
    }

    /// The floats, with their rank in the type.
    ///
    /// # Panics
    /// If the value holds no floats or has another rank: the tracer typed it, so that is our own fault.
    #[must_use]
    pub fn float<const D: usize>(self) -> Tensor<B, D> {
        assert_eq!(self.rank(), D, "the tracer gave this value {D} dimensions");
        let Self::Float(primitive) = self else { panic!("the tracer typed this value as float") };
        Tensor::from_primitive(TensorPrimitive::Float(primitive))
    }

    /// The integers, with their rank in the type.
    ///
    /// # Panics
    /// If the value holds no integers or has another rank: the tracer typed it, so that is our own fault.
    #[must_use]
    pub fn int<const D: usize>(self) -> Tensor<B, D, Int> {
        assert_eq!(self.rank(), D, "the tracer gave this value {D} dimensions");
        let Self::Int(primitive) = self else { panic!("the tracer typed this value as int") };
        Tensor::from_primitive(primitive)
    }

    /// The same elements under another shape.
    ///
    /// Every op that adds axes to a tensor whose axes may have been exchanged comes through here, and not through
    /// burn's `unsqueeze_dim`: burn-std 0.21 (`split_strides`), on its GPUs, gives the axes of `[a, b, 1]` under
    /// `[a, b, 1, 1]` wrong strides unless the memory is in the order of the axes. Under one axis it copies what is not.
    #[must_use]
    pub fn reshape(self, shape: Vec<usize>) -> Self {
        let before = self.shape();
        if before.len() > 1 && shape.len() > before.len() && before.ends_with(&[1]) {
            return self.reshape(vec![shape.iter().product()]).reshape(shape);
        }
        let shape = Shape::from(shape);
        match self {
            Self::Float(primitive) => Self::Float(B::float_reshape(primitive, shape)),
            Self::Int(primitive) => Self::Int(B::int_reshape(primitive, shape)),
            Self::Bool(primitive) => Self::Bool(B::bool_reshape(primitive, shape)),
        }
    }

    /// Leading dimensions of size 1 are added until the rank is `rank`.
    #[must_use]
    pub fn with_rank(self, rank: usize) -> Self {
        let shape = self.shape();
        if shape.len() >= rank {
            return self;
        }
        let mut padded = vec![1; rank - shape.len()];
        padded.extend(shape);
        self.reshape(padded)
    }

    /// As floats of the given width.
    #[must_use]
    pub fn to_float(self, dtype: FloatDType) -> Self {
        Self::Float(match self {
            Self::Float(primitive) if primitive.dtype() == dtype.into() => primitive,
            Self::Float(primitive) => B::float_cast(primitive, dtype),
            Self::Int(primitive) => B::int_into_float(primitive, dtype),
            Self::Bool(primitive) => B::bool_into_float(primitive, dtype),
        })
    }

    /// As floats of the given width that can take part in a graph of gradients where `device` records one.
    ///
    /// Integers and truth values never belong to a graph, so floats made from them must be let in.
    #[must_use]
    pub fn to_float_on(self, dtype: FloatDType, device: &Device) -> Self {
        let outside = self.kind() != Kind::Float;
        match (self.to_float(dtype), device) {
            (Self::Float(primitive), Device::Autodiff(_)) if outside => Self::Float(B::from_inner(primitive)),
            (value, _) => value,
        }
    }

    /// As integers; floats are truncated towards zero.
    #[must_use]
    pub fn to_int(self) -> Self {
        Self::Int(match self {
            Self::Float(primitive) => B::float_into_int(primitive, IntDType::I32),
            Self::Int(primitive) => primitive,
            Self::Bool(primitive) => B::bool_into_int(primitive, IntDType::I32),
        })
    }

    /// As truth values: what is not zero is true.
    #[must_use]
    pub fn to_bool(self, device: &Device) -> Self {
        let dtype: BoolDType = burn::tensor::get_device_settings::<B>(device).bool_dtype;
        Self::Bool(match self {
            Self::Float(primitive) => B::float_not_equal_elem(primitive, 0.0.into(), dtype),
            Self::Int(primitive) => B::int_not_equal_elem(primitive, 0.into(), dtype),
            Self::Bool(primitive) => primitive,
        })
    }

    /// The elements in host memory, row by row.
    ///
    /// # Panics
    /// If the device lost the tensor, which leaves nothing to go on with.
    #[must_use]
    pub fn to_host(&self) -> TensorData {
        let data = match self.clone() {
            Self::Float(primitive) => burn::tensor::try_read_sync(B::float_into_data(primitive)),
            Self::Int(primitive) => burn::tensor::try_read_sync(B::int_into_data(primitive)),
            Self::Bool(primitive) => burn::tensor::try_read_sync(B::bool_into_data(primitive)),
        };
        data.expect("every backend here reads synchronously").expect("a tensor that was computed can be read")
    }

    /// Floats from host memory, row by row.
    #[must_use]
    pub fn from_floats(data: Vec<f32>, shape: Vec<usize>, dtype: FloatDType, device: &Device) -> Self {
        let data = TensorData::new(data, shape).convert_dtype(dtype.into());
        Self::Float(B::float_from_data(data, device))
    }

    /// Integers from host memory, row by row.
    #[must_use]
    pub fn from_ints(data: Vec<i32>, shape: Vec<usize>, device: &Device) -> Self {
        Self::Int(B::int_from_data(TensorData::new(data, shape), device))
    }
}

impl<const D: usize> From<Tensor<B, D>> for Value {
    fn from(tensor: Tensor<B, D>) -> Self {
        match tensor.into_primitive() {
            TensorPrimitive::Float(primitive) => Self::Float(primitive),
            TensorPrimitive::QFloat(primitive) => {
                let dtype = burn::tensor::get_device_settings::<B>(&B::q_device(&primitive)).float_dtype;
                Self::Float(B::dequantize(primitive, dtype))
            }
        }
    }
}

impl<const D: usize> From<Tensor<B, D, Int>> for Value {
    fn from(tensor: Tensor<B, D, Int>) -> Self {
        Self::Int(tensor.into_primitive())
    }
}

impl<const D: usize> From<Tensor<B, D, burn::tensor::Bool>> for Value {
    fn from(tensor: Tensor<B, D, burn::tensor::Bool>) -> Self {
        Self::Bool(tensor.into_primitive())
    }
}
