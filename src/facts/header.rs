//! Reads and checks the header of one safetensors file.
//!
//! In: the file's beginning and its length. Out: every tensor's dtype, shape and byte range, in
//! the order of the file, proved to cover the file exactly once.
//!
//! The `safetensors` crate gives the words (`TensorInfo`, `Dtype`); the checks are made here, because
//! its own errors name no tensor and it lets a name occur twice.
//!
//! Absent on purpose: the tensors' bytes, and which dtypes can be loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::ops::Range;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::fault::{HeaderError, HeaderFault};

/// The format's own limit on a header, in bytes.
pub(crate) const MAX_HEADER: u64 = 100_000_000;

/// Bytes before the header: its length.
const LENGTH_BYTES: u64 = 8;

/// One checked header.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) metadata: BTreeMap<String, String>,
    /// In the order of the file.
    pub(crate) tensors: Vec<HeaderTensor>,
}

/// One tensor of a header.
#[derive(Debug)]
pub(crate) struct HeaderTensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// In bytes, from the beginning of the file.
    pub(crate) range: Range<u64>,
}

impl Header {
    /// Reads the header at the beginning of `reader`, whose file has `file_len` bytes.
    pub(crate) fn read(reader: &mut impl Read, file_len: u64) -> Result<Self, HeaderError> {
        if file_len < LENGTH_BYTES {
            return Err(HeaderFault::TooShort { found: file_len }.into());
        }
        let mut length = [0_u8; 8];
        reader.read_exact(&mut length)?;
        let claimed = u64::from_le_bytes(length);
        if claimed > MAX_HEADER || claimed > file_len - LENGTH_BYTES {
            return Err(HeaderFault::Length { claimed, found: file_len }.into());
        }
        let capacity = usize::try_from(claimed).unwrap_or(usize::MAX);
        let mut json = vec![0_u8; capacity];
        reader.read_exact(&mut json)?;
        let raw: RawHeader =
            serde_json::from_slice(&json).map_err(|error| HeaderFault::Json(error.to_string()))?;
        let (header, end) = check(raw, LENGTH_BYTES + claimed)?;
        match file_len {
            found if found < end => Err(HeaderError::Truncated { expected: end, found }),
            found if found > end => Err(HeaderFault::Trailing { bytes: found - end }.into()),
            _ => Ok(header),
        }
    }
}

/// Checks that the tensors follow one another without a gap or an overlap, each with the bytes that
/// its dtype and shape ask for. Gives the position where the last one ends.
fn check(raw: RawHeader, data_start: u64) -> Result<(Header, u64), HeaderFault> {
    let mut names = BTreeSet::new();
    for (name, _) in &raw.tensors {
        if !names.insert(name.as_str()) {
            return Err(HeaderFault::Duplicate(name.clone()));
        }
    }
    let mut sorted = raw.tensors;
    sorted.sort_by_key(|(_, info)| info.data_offsets);
    let mut tensors: Vec<HeaderTensor> = Vec::with_capacity(sorted.len());
    let mut cursor = data_start;
    for (name, info) in sorted {
        let (start, end) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        let expected = byte_len(info.dtype.bitsize(), &info.shape).map(|bytes| bytes as u64);
        let found = i128::from(end) - i128::from(start);
        let absolute = expected
            .filter(|&bytes| found == i128::from(bytes))
            .and_then(|bytes| Some((start.checked_add(data_start)?, bytes)))
            .and_then(|(start, bytes)| Some(start..start.checked_add(bytes)?));
        let Some(range) = absolute else {
            let dtype = info.dtype.to_string();
            return Err(HeaderFault::Size { name, dtype, shape: info.shape, expected, found });
        };
        if range.start < cursor {
            let first = tensors.last().map_or_else(String::new, |before| before.name.clone());
            return Err(HeaderFault::Overlap { first, second: name });
        }
        if range.start > cursor {
            return Err(HeaderFault::Gap { name, bytes: range.start - cursor });
        }
        cursor = range.end;
        tensors.push(HeaderTensor { name, dtype: info.dtype, shape: info.shape, range });
    }
    Ok((Header { metadata: raw.metadata, tensors }, cursor))
}

/// The bytes of a tensor whose elements have so many bits, or `None` where they overflow or do not fill whole bytes.
pub(crate) fn byte_len(bits: usize, shape: &[usize]) -> Option<usize> {
    let bits = elements(shape)?.checked_mul(bits)?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// The elements of a tensor, or `None` where they overflow.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |all, &extent| all.checked_mul(extent))
}

/// The header as written, names that occur twice included.
#[derive(Default)]
struct RawHeader {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, TensorInfo)>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawHeaderVisitor)
    }
}

struct RawHeaderVisitor;

impl<'de> Visitor<'de> for RawHeaderVisitor {
    type Value = RawHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
        let mut header = RawHeader::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                let metadata: Option<BTreeMap<String, String>> = map.next_value()?;
                header.metadata.extend(metadata.unwrap_or_default());
            } else {
                let info = map
                    .next_value()
                    .map_err(|error| A::Error::custom(format_args!("tensor `{name}`: {error}")))?;
                header.tensors.push((name, info));
            }
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(json: &str, data: usize) -> Vec<u8> {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json.as_bytes());
        bytes.resize(bytes.len() + data, 7);
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Header, HeaderError> {
        Header::read(&mut &bytes[..], bytes.len() as u64)
    }

    fn fault_of(bytes: &[u8]) -> HeaderFault {
        match parse(bytes) {
            Err(HeaderError::Fault(fault)) => fault,
            other => panic!("expected a header fault, got {other:?}"),
        }
    }

    const TWO: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}"#;

    #[test]
    fn ranges_count_from_the_file() {
        let header = parse(&file(TWO, 11)).expect("valid");
        let start = 8 + TWO.len() as u64;
        assert_eq!(header.tensors[1].name, "b");
        assert_eq!(header.tensors[1].range, start + 8..start + 11);
    }

    #[test]
    fn each_fault_is_named() {
        assert_eq!(fault_of(&[1, 2, 3]), HeaderFault::TooShort { found: 3 });
        let mut long = file("{}", 0);
        long[0] = 200;
        assert_eq!(fault_of(&long), HeaderFault::Length { claimed: 200, found: 10 });
        assert_eq!(fault_of(&u64::MAX.to_le_bytes()), HeaderFault::Length { claimed: u64::MAX, found: 8 });
        assert!(matches!(fault_of(&file("[1]", 0)), HeaderFault::Json(_)));
        assert!(matches!(fault_of(&file("\u{0}", 0)), HeaderFault::Json(_)));
        let twice = TWO.replace("\"b\"", "\"a\"");
        assert_eq!(fault_of(&file(&twice, 11)), HeaderFault::Duplicate("a".into()));
        let overlap = TWO.replace("[8,11]", "[4,7]");
        assert_eq!(
            fault_of(&file(&overlap, 11)),
            HeaderFault::Overlap { first: "a".into(), second: "b".into() }
        );
        let gap = TWO.replace("[8,11]", "[10,13]");
        assert_eq!(fault_of(&file(&gap, 13)), HeaderFault::Gap { name: "b".into(), bytes: 2 });
        let size = TWO.replace("[3]", "[4]");
        assert!(matches!(fault_of(&file(&size, 11)), HeaderFault::Size { found: 3, .. }));
        let backwards = TWO.replace("[8,11]", "[11,8]");
        assert!(matches!(fault_of(&file(&backwards, 11)), HeaderFault::Size { found: -3, .. }));
        let huge = TWO.replace("[3]", "[18446744073709551615,3]");
        assert!(matches!(fault_of(&file(&huge, 11)), HeaderFault::Size { expected: None, .. }));
        assert_eq!(fault_of(&file(TWO, 13)), HeaderFault::Trailing { bytes: 2 });
        let dtype = TWO.replace("U8", "U9");
        let HeaderFault::Json(message) = fault_of(&file(&dtype, 11)) else { panic!("not json") };
        assert!(message.contains("tensor `b`") && message.contains("U9"), "{message}");
    }

    #[test]
    fn a_cut_file_says_how_much_is_missing() {
        let error = parse(&file(TWO, 5)).expect_err("cut");
        let expected = 8 + TWO.len() as u64 + 11;
        assert!(
            matches!(error, HeaderError::Truncated { expected: e, found } if e == expected && found == expected - 6)
        );
    }

    proptest! {
        /// Whatever happens to a header, reading it ends in an answer, and an accepted one covers
        /// the file.
        #[test]
        fn mutated_headers_never_panic(
            edits in prop::collection::vec((0_usize..160, any::<u8>()), 0..6),
            cut in 0_usize..160,
        ) {
            let mut bytes = file(TWO, 11);
            for (at, value) in edits {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            bytes.truncate(bytes.len() - cut % 4 * (cut / 4));
            if let Ok(header) = parse(&bytes) {
                let last = header.tensors.last().map(|tensor| tensor.range.end);
                prop_assert!(last.is_none_or(|end| end == bytes.len() as u64));
            }
        }

        #[test]
        fn numbers_in_a_header_never_panic(
            start in any::<u64>(), end in any::<u64>(), extents in prop::collection::vec(any::<u64>(), 0..4),
        ) {
            let json = format!(r#"{{"a":{{"dtype":"F16","shape":{extents:?},"data_offsets":[{start},{end}]}}}}"#);
            let _ = parse(&file(&json, 16));
        }
    }
}
