//! Converts elements from one floating point type to another.
//!
//! In: little-endian bytes. Out: the same, in the other type, rounded to nearest even. Large buffers
//! are converted by all threads at once.
//!
//! Converting to a wider type and back gives the same bits, so that an unchanged model is saved as it
//! was read. Absent on purpose: integers, which are never converted.

use rayon::prelude::*;

use super::codec::{CHUNK, decode, encode};
use super::dtype::StoredDtype;
use super::error::WeightsError;

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
        Self { nan: self.nan || other.nan, overflow: self.overflow || other.overflow }
    }
}

/// Elements that one job converts: large enough to be worth a job, small enough to stay in a core's cache.
const BLOCK: usize = 64 * CHUNK;

/// Converts all of `source` into a buffer of its own.
pub(crate) fn to_vec(source: &[u8], from: StoredDtype, to: StoredDtype) -> Result<Vec<u8>, WeightsError> {
    if from == to {
        return Ok(source.to_vec());
    }
    let (width, wide) = widths(from, to)?;
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
    let (width, wide) = widths(from, to)?;
    let jobs = target.par_chunks_mut(BLOCK * wide).zip(source.par_chunks(BLOCK * width));
    Ok(jobs.map(|(target, source)| block(source, from, target, to)).reduce(Seen::default, Seen::or))
}

/// Fills `target` with elements that `read` gives as they are stored, from a byte on, to fill a buffer.
///
/// Beyond the target, each thread holds the bytes of [`BLOCK`] elements.
pub(crate) fn read_into(
    read: impl Fn(usize, &mut [u8]) -> Result<(), WeightsError> + Sync,
    from: StoredDtype,
    target: &mut [u8],
    to: StoredDtype,
) -> Result<Seen, WeightsError> {
    if from == to {
        return read(0, target).map(|()| Seen::default());
    }
    let (width, wide) = widths(from, to)?;
    let jobs = target.par_chunks_mut(BLOCK * wide).enumerate();
    jobs.map_init(Vec::new, |stored, (index, target)| {
        stored.resize(target.len() / wide * width, 0);
        read(index * BLOCK * width, stored)?;
        Ok(block(stored, from, target, to))
    })
    .try_reduce(Seen::default, |left, right| Ok(left.or(right)))
}

/// The bytes of an element before and after; an error unless both are floats.
fn widths(from: StoredDtype, to: StoredDtype) -> Result<(usize, usize), WeightsError> {
    let floats = from.is_float() && to.is_float();
    let widths = from.size().zip(to.size()).filter(|_| floats);
    widths.ok_or_else(|| WeightsError::conversion(from, format!("it does not convert to {to}")))
}

/// Converts the elements of one job.
fn block(source: &[u8], from: StoredDtype, target: &mut [u8], to: StoredDtype) -> Seen {
    let (width, wide) = (from.bits() / 8, to.bits() / 8);
    let chunks = target.chunks_mut(CHUNK * wide).zip(source.chunks(CHUNK * width));
    chunks.fold(Seen::default(), |seen, (target, source)| {
        if (from, to) == (StoredDtype::F32, StoredDtype::F64) {
            return seen.or(widen(source, target));
        }
        let mut singles = [0.0_f32; CHUNK];
        let singles = &mut singles[..source.len() / width];
        decode(from, source, singles);
        let nan = any_nan(singles);
        encode(to, singles, target);
        seen.or(Seen { nan, overflow: overflowed(from, to, source, singles, target) })
    })
}

/// Whether any element is not a number.
pub(crate) fn has_nan(source: &[u8], dtype: StoredDtype) -> bool {
    let Some(width) = dtype.size().filter(|_| dtype.is_float()) else {
        return false;
    };
    source.par_chunks(CHUNK * width).with_min_len(BLOCK / CHUNK).any(|source| {
        let mut singles = [0.0_f32; CHUNK];
        let singles = &mut singles[..source.len() / width];
        decode(dtype, source, singles);
        any_nan(singles)
    })
}

/// Looks at every one, since that is faster than stopping at the first.
fn any_nan(singles: &[f32]) -> bool {
    singles.iter().fold(false, |seen, value| seen | value.is_nan())
}

fn widen(source: &[u8], target: &mut [u8]) -> Seen {
    let mut seen = Seen::default();
    for (source, target) in source.as_chunks::<4>().0.iter().zip(target.as_chunks_mut::<8>().0) {
        let value = f32::from_le_bytes(*source);
        seen.nan |= value.is_nan();
        *target = f64::from(value).to_le_bytes();
    }
    seen
}

/// Whether a finite element of the source is no longer finite. Only narrowing can do that.
fn overflowed(from: StoredDtype, to: StoredDtype, source: &[u8], singles: &[f32], target: &[u8]) -> bool {
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
            && doubles
                .iter()
                .zip(singles)
                .any(|(double, single)| f64::from_le_bytes(*double).is_finite() && !single.is_finite()))
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    const SMALL: [StoredDtype; 4] =
        [StoredDtype::F16, StoredDtype::BF16, StoredDtype::F8E4M3, StoredDtype::F8E5M2];

    /// Every code of a type; without its NaNs where the processor may set their quiet bit on the way.
    fn codes(dtype: StoredDtype, wide: StoredDtype) -> Vec<u8> {
        let all = 0..=u16::MAX;
        match (dtype, wide) {
            (StoredDtype::F16, _) => {
                all.filter(|code| !f16::from_bits(*code).is_nan()).flat_map(u16::to_le_bytes).collect()
            }
            (StoredDtype::BF16, StoredDtype::F64) => {
                all.filter(|code| !bf16::from_bits(*code).is_nan()).flat_map(u16::to_le_bytes).collect()
            }
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
            let lost = codes.iter().zip(&back).position(|(before, after)| before != after);
            assert_eq!((lost, back.len()), (None, codes.len()), "{small} by way of {wide}");
        };
        for small in SMALL {
            check(small, StoredDtype::F32);
            check(small, StoredDtype::F64);
        }
        check(StoredDtype::F8E4M3, StoredDtype::BF16);
        check(StoredDtype::F8E5M2, StoredDtype::BF16);
    }

    #[test]
    fn nan_and_overflow_are_seen() {
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
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
        let source: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let doubles = to_vec(&source, StoredDtype::F32, StoredDtype::F64).expect("floats");
        let back = to_vec(&doubles, StoredDtype::F64, StoredDtype::F32).expect("floats");
        assert_eq!(back, source);
        let last = doubles.as_chunks::<8>().0.last().map(|bytes| f64::from_le_bytes(*bytes));
        assert_eq!(last, Some(199.0));
    }

    #[test]
    fn integers_are_not_converted() {
        assert!(to_vec(&[0; 8], StoredDtype::I64, StoredDtype::F32).is_err());
    }
}
