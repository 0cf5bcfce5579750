//! The element types that checkpoints store.
//!
//! In: the dtype words of safetensors, numpy and `PyTorch`. Out: [`StoredDtype`], its width, and the
//! burn dtype that holds it at run time.
//!
//! Absent on purpose: quantised blocks. A packed weight is stored as integers, and what these mean
//! is another layer's business.

use std::fmt;

use burn::tensor::{BoolStore, DType};
use safetensors::Dtype;

use crate::facts;

/// The type of one element as a checkpoint stores it, always little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoredDtype {
    /// IEEE double.
    F64,
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// Brain float: the upper half of an IEEE single.
    BF16,
    /// Eight bits, four of exponent, no infinity (arXiv 2209.05433).
    F8E4M3,
    /// Eight bits, five of exponent (arXiv 2209.05433).
    F8E5M2,
    /// Eight bits of exponent only: a block's scale (OCP microscaling).
    F8E8M0,
    /// As [`StoredDtype::F8E4M3`], with one zero and one NaN.
    F8E4M3Fnuz,
    /// As [`StoredDtype::F8E5M2`], with one zero and one NaN.
    F8E5M2Fnuz,
    /// Six bits, two of exponent.
    F6E2M3,
    /// Six bits, three of exponent.
    F6E3M2,
    /// Four bits, two of exponent.
    F4,
    /// Two singles: real and imaginary part.
    C64,
    /// Signed, 64 bits.
    I64,
    /// Signed, 32 bits.
    I32,
    /// Signed, 16 bits.
    I16,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 64 bits.
    U64,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 8 bits.
    U8,
    /// One byte, zero or one.
    Bool,
}

impl StoredDtype {
    /// Bits of one element.
    #[must_use]
    pub fn bits(self) -> usize {
        match self {
            Self::F4 => 4,
            Self::F6E2M3 | Self::F6E3M2 => 6,
            Self::F8E4M3
            | Self::F8E5M2
            | Self::F8E8M0
            | Self::F8E4M3Fnuz
            | Self::F8E5M2Fnuz
            | Self::I8
            | Self::U8
            | Self::Bool => 8,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 16,
            Self::F32 | Self::I32 | Self::U32 => 32,
            Self::F64 | Self::I64 | Self::U64 | Self::C64 => 64,
        }
    }

    /// Bytes of one element, or `None` where elements are smaller than a byte.
    #[must_use]
    pub fn size(self) -> Option<usize> {
        let bits = self.bits();
        (bits >= 8).then_some(bits / 8)
    }

    /// Whether the elements are floating point numbers that convert to and from each other.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16 | Self::F8E4M3 | Self::F8E5M2)
    }

    /// The burn dtype that holds these elements bit for bit, or `None` where burn has none.
    #[must_use]
    pub fn runtime(self) -> Option<DType> {
        Some(match self {
            Self::F64 => DType::F64,
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
            Self::I64 => DType::I64,
            Self::I32 => DType::I32,
            Self::I16 => DType::I16,
            Self::I8 => DType::I8,
            Self::U64 => DType::U64,
            Self::U32 => DType::U32,
            Self::U16 => DType::U16,
            Self::U8 => DType::U8,
            Self::Bool => DType::Bool(BoolStore::Native),
            _ => return None,
        })
    }

    /// The stored type that holds a burn dtype bit for bit, or `None` for quantised ones.
    #[must_use]
    pub fn of_runtime(dtype: DType) -> Option<Self> {
        Some(match dtype {
            DType::F64 => Self::F64,
            DType::F32 | DType::Flex32 => Self::F32,
            DType::F16 => Self::F16,
            DType::BF16 => Self::BF16,
            DType::I64 => Self::I64,
            DType::I32 => Self::I32,
            DType::I16 => Self::I16,
            DType::I8 => Self::I8,
            DType::U64 => Self::U64,
            DType::U32 => Self::U32,
            DType::U16 => Self::U16,
            DType::U8 => Self::U8,
            DType::Bool(BoolStore::Native | BoolStore::U8) => Self::Bool,
            DType::Bool(BoolStore::U32) | DType::QFloat(_) => return None,
        })
    }

    /// The stored type for safetensors' own word, or `None` for one that this crate does not know.
    pub(crate) fn of_safetensors(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::BOOL => Self::Bool,
            Dtype::F4 => Self::F4,
            Dtype::F6_E2M3 => Self::F6E2M3,
            Dtype::F6_E3M2 => Self::F6E3M2,
            Dtype::U8 => Self::U8,
            Dtype::I8 => Self::I8,
            Dtype::F8_E5M2 => Self::F8E5M2,
            Dtype::F8_E4M3 => Self::F8E4M3,
            Dtype::F8_E8M0 => Self::F8E8M0,
            Dtype::F8_E4M3FNUZ => Self::F8E4M3Fnuz,
            Dtype::F8_E5M2FNUZ => Self::F8E5M2Fnuz,
            Dtype::I16 => Self::I16,
            Dtype::U16 => Self::U16,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
            Dtype::I32 => Self::I32,
            Dtype::U32 => Self::U32,
            Dtype::F32 => Self::F32,
            Dtype::C64 => Self::C64,
            Dtype::F64 => Self::F64,
            Dtype::I64 => Self::I64,
            Dtype::U64 => Self::U64,
            _ => return None,
        })
    }

    /// safetensors' word for this type.
    pub(crate) fn safetensors(self) -> Dtype {
        match self {
            Self::F64 => Dtype::F64,
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::BF16 => Dtype::BF16,
            Self::F8E4M3 => Dtype::F8_E4M3,
            Self::F8E5M2 => Dtype::F8_E5M2,
            Self::F8E8M0 => Dtype::F8_E8M0,
            Self::F8E4M3Fnuz => Dtype::F8_E4M3FNUZ,
            Self::F8E5M2Fnuz => Dtype::F8_E5M2FNUZ,
            Self::F6E2M3 => Dtype::F6_E2M3,
            Self::F6E3M2 => Dtype::F6_E3M2,
            Self::F4 => Dtype::F4,
            Self::C64 => Dtype::C64,
            Self::I64 => Dtype::I64,
            Self::I32 => Dtype::I32,
            Self::I16 => Dtype::I16,
            Self::I8 => Dtype::I8,
            Self::U64 => Dtype::U64,
            Self::U32 => Dtype::U32,
            Self::U16 => Dtype::U16,
            Self::U8 => Dtype::U8,
            Self::Bool => Dtype::BOOL,
        }
    }

    /// The stored type for pytorch-reader's word.
    pub(crate) fn of_torch(dtype: pytorch_reader::DType) -> Self {
        use pytorch_reader::DType as Torch;
        match dtype {
            Torch::F64 => Self::F64,
            Torch::F32 => Self::F32,
            Torch::F16 => Self::F16,
            Torch::BF16 => Self::BF16,
            Torch::I64 => Self::I64,
            Torch::I32 => Self::I32,
            Torch::I16 => Self::I16,
            Torch::I8 => Self::I8,
            Torch::U64 => Self::U64,
            Torch::U32 => Self::U32,
            Torch::U16 => Self::U16,
            Torch::U8 => Self::U8,
            Torch::Bool => Self::Bool,
        }
    }

    /// The stored type for numpy's `descr`, or `None` for one that is not a little-endian number.
    pub(crate) fn of_numpy(descr: &str) -> Option<Self> {
        Some(match descr {
            "<f8" => Self::F64,
            "<f4" => Self::F32,
            "<f2" => Self::F16,
            "<i8" => Self::I64,
            "<i4" => Self::I32,
            "<i2" => Self::I16,
            "|i1" | "<i1" => Self::I8,
            "<u8" => Self::U64,
            "<u4" => Self::U32,
            "<u2" => Self::U16,
            "|u1" | "<u1" => Self::U8,
            "|b1" | "<b1" => Self::Bool,
            _ => return None,
        })
    }
}

impl fmt::Display for StoredDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.safetensors().fmt(f)
    }
}

/// The bytes of a tensor, or `None` where they overflow or do not fill whole bytes.
pub(crate) fn byte_len(dtype: StoredDtype, shape: &[usize]) -> Option<usize> {
    facts::byte_len(dtype.bits(), shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_dtypes_come_back() {
        for dtype in
            [StoredDtype::F64, StoredDtype::BF16, StoredDtype::I16, StoredDtype::U32, StoredDtype::Bool]
        {
            assert_eq!(dtype.runtime().and_then(StoredDtype::of_runtime), Some(dtype));
            assert_eq!(StoredDtype::of_safetensors(dtype.safetensors()), Some(dtype));
        }
        assert_eq!(StoredDtype::F8E4M3.runtime(), None);
    }

    #[test]
    fn sizes_that_overflow_are_none() {
        assert_eq!(byte_len(StoredDtype::F32, &[usize::MAX, 2]), None);
        assert_eq!(byte_len(StoredDtype::F32, &[usize::MAX / 8]), None);
        assert_eq!(byte_len(StoredDtype::F4, &[3]), None, "half a byte is left over");
        assert_eq!(byte_len(StoredDtype::F4, &[4]), Some(2));
        assert_eq!(byte_len(StoredDtype::F32, &[]), Some(4));
    }
}
