//! Moving the elements of a [`Value`] of any kind and rank: slices, permutations, joins, selections.
//!
//! burn has each of these once per kind of number; here the kind is looked at once. All take axes counted from
//! the front and sizes known to fit: the tracer checked them.
//!
//! Absent on purpose: arithmetic; see `arithmetic.rs`.

use burn::tensor::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::tensor::{BoolDType, FloatDType, IntDType, Shape, Slice, Tensor, TensorMetadata};

use super::backend::{B, Device, Primitive};
use super::value::Value;

/// Calls the function of the value's kind.
macro_rules! by_kind {
    ($value:expr, |$x:ident| $float:expr, $int:expr, $bool:expr) => {
        match $value {
            Value::Float($x) => Value::Float($float),
            Value::Int($x) => Value::Int($int),
            Value::Bool($x) => Value::Bool($bool),
        }
    };
}

/// The element type that the device gives truth values.
pub(super) fn bool_dtype(device: &Device) -> BoolDType {
    burn::tensor::get_device_settings::<B>(device).bool_dtype
}

impl Value {
    /// Where it is held.
    #[must_use]
    pub fn device(&self) -> Device {
        match self {
            Self::Float(x) => B::float_device(x),
            Self::Int(x) => B::int_device(x),
            Self::Bool(x) => B::bool_device(x),
        }
    }

    /// The axes in the given order.
    #[must_use]
    pub fn permute(self, axes: &[usize]) -> Self {
        if axes.iter().enumerate().all(|(index, axis)| index == *axis) {
            return self;
        }
        by_kind!(self, |x| B::float_permute(x, axes), B::int_permute(x, axes), B::bool_permute(x, axes))
    }

    /// Two axes exchanged.
    #[must_use]
    pub fn swap(self, a: usize, b: usize) -> Self {
        by_kind!(self, |x| B::float_swap_dims(x, a, b), B::int_swap_dims(x, a, b), B::bool_swap_dims(x, a, b))
    }

    /// The elements `slices` name, one per axis from the front; axes left out are kept whole.
    #[must_use]
    pub fn slice(self, slices: &[Slice]) -> Self {
        by_kind!(self, |x| B::float_slice(x, slices), B::int_slice(x, slices), B::bool_slice(x, slices))
    }

    /// `length` positions of one axis from `start` on.
    #[must_use]
    pub fn narrow(self, axis: usize, start: usize, length: usize) -> Self {
        let shape = self.shape();
        if start == 0 && shape[axis] == length {
            return self;
        }
        let slices: Vec<Slice> = (0..shape.len())
            .map(
                |index| if index == axis { (start..start + length).into() } else { (0..shape[index]).into() },
            )
            .collect();
        self.slice(&slices)
    }

    /// Axes of size 1 are repeated, as views where the backend can, until the shape is `shape`.
    #[must_use]
    pub fn expand(self, shape: Vec<usize>) -> Self {
        let value = self.with_rank(shape.len());
        if value.shape() == shape {
            return value;
        }
        let shape = Shape::from(shape);
        by_kind!(value, |x| B::float_expand(x, shape), B::int_expand(x, shape), B::bool_expand(x, shape))
    }

    /// The order of some axes reversed.
    #[must_use]
    pub fn flip(self, axes: &[usize]) -> Self {
        by_kind!(self, |x| B::float_flip(x, axes), B::int_flip(x, axes), B::bool_flip(x, axes))
    }

    /// The positions of one axis that `indices` (int, one axis) name, in that order.
    #[must_use]
    pub fn select(self, axis: usize, indices: Primitive) -> Self {
        by_kind!(
            self,
            |x| B::float_select(x, axis, indices),
            B::int_select(x, axis, indices),
            B::bool_select(x, axis, indices)
        )
    }

    /// For each place of `indices` (int, same rank), the element at that position of the axis.
    #[must_use]
    pub fn gather(self, axis: usize, indices: Primitive) -> Self {
        by_kind!(
            self,
            |x| B::float_gather(axis, x, indices),
            B::int_gather(axis, x, indices),
            B::bool_gather(axis, x, indices)
        )
    }

    /// `other` where `mask` (bool) is true, this elsewhere; all of one shape and kind.
    #[must_use]
    pub fn replaced(self, mask: Primitive, other: Self) -> Self {
        let other = other.into_primitive();
        by_kind!(
            self,
            |x| B::float_mask_where(x, mask, other),
            B::int_mask_where(x, mask, other),
            B::bool_mask_where(x, mask, other)
        )
    }

    /// Values of one kind and rank joined along an axis; nothing if there are none.
    #[must_use]
    pub fn joined(values: Vec<Self>, axis: usize) -> Option<Self> {
        let mut values = values;
        if values.len() < 2 {
            return values.pop();
        }
        // burn's default cat assigns slice by slice; pieces without elements only cost there.
        let (empty, mut held): (Vec<_>, Vec<_>) =
            values.into_iter().partition(|value| value.shape()[axis] == 0);
        match held.len() {
            0 => return empty.into_iter().next(),
            1 => return held.pop(),
            _ => {}
        }
        let first = held[0].clone();
        let parts: Vec<Primitive> = held.into_iter().map(Self::into_primitive).collect();
        Some(match first {
            Self::Float(_) => Self::Float(B::float_cat(parts, axis)),
            Self::Int(_) => Self::Int(B::int_cat(parts, axis)),
            Self::Bool(_) => Self::Bool(B::bool_cat(parts, axis)),
        })
    }

    /// A tensor of this kind and element type filled with one number.
    #[must_use]
    pub fn filled_like(&self, shape: Vec<usize>, number: f64) -> Self {
        let (shape, device) = (Shape::from(shape), self.device());
        match self {
            Self::Float(x) => Self::Float(B::float_full(shape, number.into(), &device, float_dtype(x))),
            #[expect(clippy::cast_possible_truncation, reason = "the tracer wants a whole number for ints")]
            Self::Int(x) => Self::Int(B::int_full(shape, (number as i64).into(), &device, int_dtype(x))),
            Self::Bool(x) if number == 0.0 => Self::Bool(B::bool_zeros(shape, &device, x.dtype().into())),
            Self::Bool(x) => Self::Bool(B::bool_ones(shape, &device, x.dtype().into())),
        }
    }

    /// The ints in 32 bits; other kinds become ints.
    #[must_use]
    pub fn to_i32(self) -> Primitive {
        let x = self.to_int().into_primitive();
        if int_dtype(&x) == IntDType::I32 { x } else { B::int_cast(x, IntDType::I32) }
    }

    /// With the elements in memory in the order of the axes, where a GPU holds them; what reduces an axis there needs it.
    ///
    /// cubek-reduce 0.2, below burn-cubecl 0.21, writes several results at once where the order of the axes in memory
    /// is in part that of the result, and so puts some in the wrong place (`generate_vector_size` skips the axes that
    /// differ instead of stopping at the first). One axis of all elements is a copy of what is permuted, and free
    /// where nothing is.
    #[must_use]
    pub fn in_order(self) -> Self {
        let shape = self.shape();
        if on_cpu(&self.device()) || shape.len() < 2 {
            self
        } else {
            self.reshape(vec![shape.iter().product()]).reshape(shape)
        }
    }

    /// With an axis of size 1 before `axis`.
    #[must_use]
    pub fn with_unit_axis(self, axis: usize) -> Self {
        let mut shape = self.shape();
        shape.insert(axis, 1);
        self.reshape(shape)
    }

    /// Without an axis of size 1.
    #[must_use]
    pub fn without_axis(self, axis: usize) -> Self {
        let mut shape = self.shape();
        shape.remove(axis);
        self.reshape(shape)
    }
}

/// Floats with an axis of size 1 before `axis`; for burn's own `unsqueeze_dim`, see [`Value::reshape`].
pub(super) fn with_unit_axis<const D: usize, const E: usize>(x: Tensor<B, D>, axis: usize) -> Tensor<B, E> {
    Value::from(x).with_unit_axis(axis).float()
}

/// Whether the processor holds what is on this device, so that looking at it waits for nothing.
pub(super) fn on_cpu(device: &Device) -> bool {
    match device {
        Device::Autodiff(inner) => on_cpu(inner),
        device => matches!(device, Device::Flex(_)),
    }
}

/// The width of a float tensor.
pub(super) fn float_dtype(x: &Primitive) -> FloatDType {
    x.dtype().into()
}

/// The width of an int tensor.
pub(super) fn int_dtype(x: &Primitive) -> IntDType {
    x.dtype().into()
}

/// Runs `compute` on at least 32 bits: half-width floats are widened before and narrowed after.
pub(super) fn in_f32(x: Primitive, compute: impl FnOnce(Primitive) -> Primitive) -> Primitive {
    match float_dtype(&x) {
        FloatDType::F32 | FloatDType::F64 => compute(x),
        narrow => B::float_cast(compute(B::float_cast(x, FloatDType::F32)), narrow),
    }
}
