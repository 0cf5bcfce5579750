//! Floating point numbers of every stored width, to and from singles.
//!
//! In: little-endian elements, or singles; no more than [`CHUNK`] at a time. Out: the other, rounded to
//! nearest even.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::dtype::StoredDtype;

/// Elements that a thread converts at a time, through a buffer of singles on its stack.
pub(crate) const CHUNK: usize = 1024;

/// Decodes as many elements as there are singles, at most [`CHUNK`].
#[expect(clippy::cast_possible_truncation, reason = "a double is narrowed because it was asked for")]
pub(crate) fn decode(from: StoredDtype, source: &[u8], singles: &mut [f32]) {
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

/// Encodes every single, at most [`CHUNK`].
pub(crate) fn encode(to: StoredDtype, singles: &[f32], target: &mut [u8]) {
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
    let ceiling = if high == limit { floor + (floor - decode(low - 1)) } else { decode(high) };
    let (below, above) = (size - floor, ceiling - size);
    let up = above < below || (low & 1 == 1 && above <= below);
    sign | if up { high } else { low }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_floats_have_the_values_of_the_paper() {
        assert_eq!(from_e4m3(0x7E).to_bits(), 448.0_f32.to_bits());
        assert_eq!(from_e4m3(0x01).to_bits(), (2.0_f32).powi(-9).to_bits());
        assert_eq!(from_e4m3(0xB8).to_bits(), (-1.0_f32).to_bits());
        assert!(from_e4m3(0xFF).is_nan());
        let one = |value: f32, to| {
            let mut code = [0];
            encode(to, &[value], &mut code);
            code
        };
        assert_eq!(one(464.0, StoredDtype::F8E4M3), [0x7E], "a tie goes to the even code");
        assert_eq!(one(465.0, StoredDtype::F8E4M3), [0x7F], "beyond is NaN");
        assert_eq!(one(1.0625, StoredDtype::F8E4M3), [0x38], "a tie goes to the even code");
        assert_eq!(one(57344.0, StoredDtype::F8E5M2), [0x7B]);
        assert_eq!(one(f32::INFINITY, StoredDtype::F8E5M2), [0x7C]);
        assert_eq!(one(-0.0, StoredDtype::F8E4M3), [0x80]);
    }
}
