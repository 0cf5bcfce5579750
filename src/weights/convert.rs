//! Converts elements from one floating point type to another.
//!
//! In: little-endian bytes. Out: the same, in the other type, rounded to nearest even. Large buffers
//! are converted by all threads at once.
//!
//! Converting to a wider type and back gives the same bits, so that an unchanged model is saved as it
//! was read. Absent on purpose: integers, which are never converted.

use half::bf16;
use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::dtype::StoredDtype;
use super::error::WeightsError;

/// Elements that a thread converts at a time, through a buffer of singles on its stack.
const CHUNK: usize = 1024;

/// What was seen while converting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// A value that is not a number.
    pub(crate) nan: bool,
    /// A finite value that became infinite (or, in a type without infinity, not a number).
    pub(crate) overflow: bool,
}

impl Seen {
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            nan: self.nan || other.nan,
            overflow: self.overflow || other.overflow,
        }
    }
}

/// Converts all of `source` into a buffer of its own.
pub(crate) fn to_vec(
    source: &[u8],
    from: StoredDtype,
    to: StoredDtype,
) -> Result<Vec<u8>, WeightsError> {
    let (Some(width), Some(wide)) = (from.size(), to.size()) else {
        return Err(WeightsError::conversion(
            from,
            format!("it does not convert to {to}"),
        ));
    };
    let mut out = vec![0; source.len() / width * wide];
    into(source, from, &mut out, to)?;
    Ok(out)
}

/// Converts all of `source` into `target`, which has room for exactly as many elements.
pub(crate) fn into(
    source: &[u8],
    from: StoredDtype,
    target: &mut [u8],
    to: StoredDtype,
) -> Result<Seen, WeightsError> {
    if from == to {
        target.copy_from_slice(source);
        return Ok(Seen::default());
    }
    let (Some(width), Some(wide)) = (from.size(), to.size()) else {
        return Err(WeightsError::conversion(
            from,
            format!("it does not convert to {to}"),
        ));
    };
    if !from.is_float() || !to.is_float() {
        return Err(WeightsError::conversion(
            from,
            format!("it does not convert to {to}"),
        ));
    }
    let seen = target
        .par_chunks_mut(CHUNK * wide)
        .zip(source.par_chunks(CHUNK * width))
        .with_min_len(64)
        .map(|(target, source)| {
            if (from, to) == (StoredDtype::F32, StoredDtype::F64) {
                return widen(source, target);
            }
            let mut singles = [0.0_f32; CHUNK];
            let singles = &mut singles[..source.len() / width];
            decode(from, source, singles);
            let nan = singles.iter().any(|value| value.is_nan());
            encode(to, singles, target);
            Seen {
                nan,
                overflow: overflowed(from, to, source, singles, target),
            }
        })
        .reduce(Seen::default, Seen::or);
    Ok(seen)
}

/// Whether any element is not a number.
pub(crate) fn has_nan(source: &[u8], dtype: StoredDtype) -> bool {
    let Some(width) = dtype.size().filter(|_| dtype.is_float()) else {
        return false;
    };
    source
        .par_chunks(CHUNK * width)
        .with_min_len(64)
        .any(|source| {
            let mut singles = [0.0_f32; CHUNK];
            let singles = &mut singles[..source.len() / width];
            decode(dtype, source, singles);
            singles.iter().any(|value| value.is_nan())
        })
}

fn widen(source: &[u8], target: &mut [u8]) -> Seen {
    let mut seen = Seen::default();
    for (source, target) in source
        .as_chunks::<4>()
        .0
        .iter()
        .zip(target.as_chunks_mut::<8>().0)
    {
        let value = f32::from_le_bytes(*source);
        seen.nan |= value.is_nan();
        *target = f64::from(value).to_le_bytes();
    }
    seen
}

/// Whether a finite element of the source is no longer finite. Only narrowing can do that.
fn overflowed(
    from: StoredDtype,
    to: StoredDtype,
    source: &[u8],
    singles: &[f32],
    target: &[u8],
) -> bool {
    let range = |dtype| match dtype {
        StoredDtype::F64 => 5,
        StoredDtype::F32 => 4,
        StoredDtype::BF16 => 3,
        StoredDtype::F16 => 2,
        StoredDtype::F8E5M2 => 1,
        _ => 0,
    };
    if range(from) <= range(to) {
        return false;
    }
    let mut after = [0.0_f32; CHUNK];
    let after = &mut after[..singles.len()];
    decode(to, target, after);
    let lost = |(before, after): (&f32, &f32)| before.is_finite() && !after.is_finite();
    let doubles = source.as_chunks::<8>().0;
    singles.iter().zip(&*after).any(lost)
        || (from == StoredDtype::F64
            && doubles.iter().zip(singles).any(|(double, single)| {
                f64::from_le_bytes(*double).is_finite() && !single.is_finite()
            }))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a double is narrowed because it was asked for"
)]
fn decode(from: StoredDtype, source: &[u8], singles: &mut [f32]) {
    match from {
        StoredDtype::F32 => {
            for (single, bytes) in singles.iter_mut().zip(source.as_chunks::<4>().0) {
                *single = f32::from_le_bytes(*bytes);
            }
        }
        StoredDtype::F64 => {
            for (single, bytes) in singles.iter_mut().zip(source.as_chunks::<8>().0) {
                *single = f64::from_le_bytes(*bytes) as f32;
            }
        }
        // By hand, because a shift keeps every bit of a NaN.
        StoredDtype::BF16 => {
            for (single, bytes) in singles.iter_mut().zip(source.as_chunks::<2>().0) {
                *single = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
            }
        }
        StoredDtype::F16 => {
            let mut halves = [f16::ZERO; CHUNK];
            let halves = &mut halves[..singles.len()];
            for (half, bytes) in halves.iter_mut().zip(source.as_chunks::<2>().0) {
                *half = f16::from_le_bytes(*bytes);
            }
            halves.convert_to_f32_slice(singles);
        }
        StoredDtype::F8E4M3 => {
            for (single, byte) in singles.iter_mut().zip(source) {
                *single = from_e4m3(*byte);
            }
        }
        // A half without its lower byte.
        StoredDtype::F8E5M2 => {
            for (single, byte) in singles.iter_mut().zip(source) {
                *single = f16::from_bits(u16::from(*byte) << 8).to_f32_const();
            }
        }
        _ => {}
    }
}

fn encode(to: StoredDtype, singles: &[f32], target: &mut [u8]) {
    match to {
        StoredDtype::F32 => {
            for (single, bytes) in singles.iter().zip(target.as_chunks_mut::<4>().0) {
                *bytes = single.to_le_bytes();
            }
        }
        StoredDtype::F64 => {
            for (single, bytes) in singles.iter().zip(target.as_chunks_mut::<8>().0) {
                *bytes = f64::from(*single).to_le_bytes();
            }
        }
        StoredDtype::BF16 => {
            for (single, bytes) in singles.iter().zip(target.as_chunks_mut::<2>().0) {
                *bytes = to_bf16(*single).to_le_bytes();
            }
        }
        StoredDtype::F16 => {
            let mut halves = [f16::ZERO; CHUNK];
            let halves = &mut halves[..singles.len()];
            halves.convert_from_f32_slice(singles);
            for (half, bytes) in halves.iter().zip(target.as_chunks_mut::<2>().0) {
                *bytes = half.to_le_bytes();
            }
        }
        StoredDtype::F8E4M3 => {
            for (single, byte) in singles.iter().zip(target) {
                *byte = to_small(*single, 0x7F, 0x7F, from_e4m3);
            }
        }
        StoredDtype::F8E5M2 => {
            for (single, byte) in singles.iter().zip(target) {
                let decode = |code: u8| f16::from_bits(u16::from(code) << 8).to_f32_const();
                *byte = to_small(*single, 0x7C, 0x7F, decode);
            }
        }
        _ => {}
    }
}

/// Rounds to nearest even; a NaN that was widened from a brain float keeps its bits.
fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() && bits.trailing_zeros() >= 16 {
        return u16::try_from(bits >> 16).unwrap_or(u16::MAX);
    }
    bf16::from_f32(value).to_bits()
}

/// The value of an `E4M3` code: bias 7, no infinity, `S.1111.111` is NaN.
fn from_e4m3(code: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(code >> 3 & 0xF), f32::from(code & 7));
    let size = match exponent {
        _ if code & 0x7F == 0x7F => f32::NAN,
        0 => mantissa / 8.0 * (2.0_f32).powi(-6),
        _ => (1.0 + mantissa / 8.0) * (2.0_f32).powi(exponent - 7),
    };
    if code & 0x80 == 0 { size } else { -size }
}

/// Rounds to the nearest of 8-bit codes, ties to the even one. Codes below `limit` are finite and rise;
/// what lies half a step above the last becomes `limit` (infinity or NaN, as in `PyTorch`).
fn to_small(value: f32, limit: u8, nan: u8, decode: impl Fn(u8) -> f32) -> u8 {
    let sign = if value.is_sign_negative() { 0x80 } else { 0 };
    if value.is_nan() {
        return sign | nan;
    }
    let size = value.abs();
    let (mut low, mut high) = (0_u8, limit);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if decode(middle) <= size {
            low = middle;
        } else {
            high = middle;
        }
    }
    let floor = decode(low);
    let ceiling = if high == limit {
        floor + (floor - decode(low - 1))
    } else {
        decode(high)
    };
    let (below, above) = (size - floor, ceiling - size);
    let up = above < below || (low & 1 == 1 && above <= below);
    sign | if up { high } else { low }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: [StoredDtype; 4] = [
        StoredDtype::F16,
        StoredDtype::BF16,
        StoredDtype::F8E4M3,
        StoredDtype::F8E5M2,
    ];

    /// Every code of a type; without its NaNs where the processor may set their quiet bit on the way.
    fn codes(dtype: StoredDtype, wide: StoredDtype) -> Vec<u8> {
        let all = 0..=u16::MAX;
        match (dtype, wide) {
            (StoredDtype::F16, _) => all
                .filter(|code| !f16::from_bits(*code).is_nan())
                .flat_map(u16::to_le_bytes)
                .collect(),
            (StoredDtype::BF16, StoredDtype::F64) => all
                .filter(|code| !bf16::from_bits(*code).is_nan())
                .flat_map(u16::to_le_bytes)
                .collect(),
            (StoredDtype::BF16, _) => all.flat_map(u16::to_le_bytes).collect(),
            (StoredDtype::F8E5M2, _) => (0..=u8::MAX).filter(|code| code & 0x7F <= 0x7C).collect(),
            _ => (0..=u8::MAX).collect(),
        }
    }

    #[test]
    fn widening_and_narrowing_give_every_code_back() {
        let check = |small, wide| {
            let codes = codes(small, wide);
            let widened = to_vec(&codes, small, wide).expect("floats");
            let back = to_vec(&widened, wide, small).expect("floats");
            let lost = codes
                .iter()
                .zip(&back)
                .position(|(before, after)| before != after);
            assert_eq!(
                (lost, back.len()),
                (None, codes.len()),
                "{small} by way of {wide}"
            );
        };
        for small in SMALL {
            check(small, StoredDtype::F32);
            check(small, StoredDtype::F64);
        }
        check(StoredDtype::F8E4M3, StoredDtype::BF16);
        check(StoredDtype::F8E5M2, StoredDtype::BF16);
    }

    #[test]
    fn small_floats_have_the_values_of_the_paper() {
        assert_eq!(from_e4m3(0x7E).to_bits(), 448.0_f32.to_bits());
        assert_eq!(from_e4m3(0x01).to_bits(), (2.0_f32).powi(-9).to_bits());
        assert_eq!(from_e4m3(0xB8).to_bits(), (-1.0_f32).to_bits());
        assert!(from_e4m3(0xFF).is_nan());
        let one = |value: f32, to| to_vec(&value.to_le_bytes(), StoredDtype::F32, to).expect("ok");
        assert_eq!(
            one(464.0, StoredDtype::F8E4M3),
            [0x7E],
            "a tie goes to the even code"
        );
        assert_eq!(one(465.0, StoredDtype::F8E4M3), [0x7F], "beyond is NaN");
        assert_eq!(
            one(1.0625, StoredDtype::F8E4M3),
            [0x38],
            "a tie goes to the even code"
        );
        assert_eq!(one(57344.0, StoredDtype::F8E5M2), [0x7B]);
        assert_eq!(one(f32::INFINITY, StoredDtype::F8E5M2), [0x7C]);
        assert_eq!(one(-0.0, StoredDtype::F8E4M3), [0x80]);
    }

    #[test]
    fn nan_and_overflow_are_seen() {
        let bytes = |values: &[f32]| {
            values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<_>>()
        };
        let seen = |values: &[f32], to| {
            let source = bytes(values);
            let mut out = vec![0; values.len() * to_size(to)];
            into(&source, StoredDtype::F32, &mut out, to).expect("floats")
        };
        assert_eq!(seen(&[1.0, 2.0], StoredDtype::F16), Seen::default());
        assert!(seen(&[1.0, f32::NAN], StoredDtype::F16).nan);
        assert!(seen(&[1e6], StoredDtype::F16).overflow);
        assert!(!seen(&[f32::INFINITY], StoredDtype::F16).overflow);
        assert!(!seen(&[1e6], StoredDtype::BF16).overflow);
        assert!(has_nan(&bytes(&[0.0, f32::NAN]), StoredDtype::F32));
        assert!(!has_nan(&bytes(&[0.0, f32::INFINITY]), StoredDtype::F32));
    }

    fn to_size(dtype: StoredDtype) -> usize {
        dtype.size().expect("whole bytes")
    }

    #[test]
    fn more_than_one_chunk_is_converted_in_place() {
        let values: Vec<f32> = (0..200_u16).cycle().take(200_000).map(f32::from).collect();
        let source: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let doubles = to_vec(&source, StoredDtype::F32, StoredDtype::F64).expect("floats");
        let back = to_vec(&doubles, StoredDtype::F64, StoredDtype::F32).expect("floats");
        assert_eq!(back, source);
        let last = doubles
            .as_chunks::<8>()
            .0
            .last()
            .map(|bytes| f64::from_le_bytes(*bytes));
        assert_eq!(last, Some(199.0));
    }

    #[test]
    fn integers_are_not_converted() {
        assert!(to_vec(&[0; 8], StoredDtype::I64, StoredDtype::F32).is_err());
    }
}
