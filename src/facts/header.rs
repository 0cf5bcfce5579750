//! Reads and checks the header of one safetensors file.
//!
//! In: the file's beginning and its length. Out: every tensor's dtype, shape and byte range, in
//! the order of the file, proved to cover the file exactly once. Names stay where they were read, so that counting
//! a model's numbers makes no copy of them.
//!
//! The `safetensors` crate gives the words (`Dtype`); the checks are made here, because
//! its own errors name no tensor and it lets a name occur twice.
//!
//! Absent on purpose: the tensors' bytes, and which dtypes can be loaded.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::ops::Range;

use safetensors::Dtype;

use super::fault::{HeaderError, HeaderFault};
use super::{plain, raw};

/// The format's own limit on a header, in bytes.
pub(crate) const MAX_HEADER: u64 = 100_000_000;

/// Bytes before the header: its length.
const LENGTH_BYTES: u64 = 8;

/// A header as it stands in its file, unread.
#[derive(Debug)]
pub(crate) struct HeaderText {
    json: Vec<u8>,
    file_len: u64,
}

/// One checked header.
#[derive(Debug, PartialEq)]
pub(crate) struct Header<'h> {
    pub(crate) metadata: BTreeMap<String, String>,
    /// In the order of the file.
    pub(crate) tensors: Vec<HeaderTensor<'h>>,
    /// The extents of all tensors, one after the other.
    pub(super) extents: Vec<usize>,
}

/// One tensor of a header.
#[derive(Debug, PartialEq)]
pub(crate) struct HeaderTensor<'h> {
    pub(crate) name: Cow<'h, str>,
    pub(crate) dtype: Dtype,
    /// Which of the header's extents are its shape.
    pub(super) shape: Range<usize>,
    /// In bytes, from the beginning of the file.
    pub(crate) range: Range<u64>,
}

impl HeaderText {
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
        Ok(Self { json, file_len })
    }

    /// The tensors that it describes.
    pub(crate) fn check(&self) -> Result<Header<'_>, HeaderError> {
        let plain = str::from_utf8(&self.json).ok().and_then(plain::parse);
        let mut header = match plain {
            Some(header) => header,
            None => raw::json(&self.json).map_err(|error| HeaderFault::Json(error.to_string()))?,
        };
        let end = header.check(LENGTH_BYTES + self.json.len() as u64)?;
        match self.file_len {
            found if found < end => Err(HeaderError::Truncated { expected: end, found }),
            found if found > end => Err(HeaderFault::Trailing { bytes: found - end }.into()),
            _ => Ok(header),
        }
    }
}

impl Header<'_> {
    /// The shape of one of its tensors.
    pub(crate) fn shape(&self, tensor: &HeaderTensor<'_>) -> &[usize] {
        &self.extents[tensor.shape.clone()]
    }

    /// Checks that the tensors follow one another without a gap or an overlap, each with the bytes that
    /// its dtype and shape ask for, and makes their ranges those of the file. Gives the position where the last one ends.
    fn check(&mut self, data_start: u64) -> Result<u64, HeaderFault> {
        if let Some(name) = self.repeated() {
            return Err(HeaderFault::Duplicate(name.to_owned()));
        }
        // Most files are in this order already, which the sort sees at once.
        self.tensors.sort_by_key(|tensor| (tensor.range.start, tensor.range.end));
        let mut cursor = data_start;
        for at in 0..self.tensors.len() {
            let tensor = &self.tensors[at];
            let name = || tensor.name.clone().into_owned();
            let shape = self.shape(tensor);
            let Range { start, end } = tensor.range;
            let expected = byte_len(tensor.dtype.bitsize(), shape).map(|bytes| bytes as u64);
            let absolute = expected
                .filter(|&bytes| start.checked_add(bytes) == Some(end))
                .and_then(|_| Some(start.checked_add(data_start)?..end.checked_add(data_start)?));
            let Some(range) = absolute else {
                let (dtype, shape) = (tensor.dtype.to_string(), shape.to_vec());
                let found = i128::from(end) - i128::from(start);
                return Err(HeaderFault::Size { name: name(), dtype, shape, expected, found });
            };
            if range.start < cursor {
                let first = at
                    .checked_sub(1)
                    .map_or_else(String::new, |before| self.tensors[before].name.to_string());
                return Err(HeaderFault::Overlap { first, second: name() });
            }
            if range.start > cursor {
                return Err(HeaderFault::Gap { name: name(), bytes: range.start - cursor });
            }
            cursor = range.end;
            self.tensors[at].range = range;
        }
        Ok(cursor)
    }

    /// The first name that occurs a second time.
    fn repeated(&self) -> Option<&str> {
        let mut names = self.tensors.iter().map(|tensor| tensor.name.as_ref());
        // Writers sort by name, so that mostly it is enough to look at neighbours.
        if names.clone().is_sorted_by(|before, after| before < after) {
            return None;
        }
        let mut seen = HashSet::with_capacity(self.tensors.len());
        names.find(|name| !seen.insert(*name))
    }
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

    fn read(bytes: &[u8]) -> Result<HeaderText, HeaderError> {
        HeaderText::read(&mut &bytes[..], bytes.len() as u64)
    }

    /// Names, ranges and shapes, in the order of the file.
    type Parsed = Vec<(String, Range<u64>, Vec<usize>)>;

    fn parse(bytes: &[u8]) -> Result<Parsed, HeaderError> {
        let text = read(bytes)?;
        let header = text.check()?;
        let tensors = header.tensors.iter();
        Ok(tensors.map(|one| (one.name.to_string(), one.range.clone(), header.shape(one).to_vec())).collect())
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
        let tensors = parse(&file(TWO, 11)).expect("valid");
        let start = 8 + TWO.len() as u64;
        assert_eq!(tensors[0], ("a".to_owned(), start..start + 8, vec![2]));
        assert_eq!(tensors[1], ("b".to_owned(), start + 8..start + 11, vec![3]));
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
    fn tensors_come_in_the_order_of_their_bytes_and_names_in_any() {
        let turned = r#"{"b":{"shape":[3],"data_offsets":[8,11],"dtype":"U8"},"\u0061":{"extra":[{}],"dtype":"F32","shape":[],"data_offsets":[4,8]},"c":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"__metadata__":null}"#;
        let tensors = parse(&file(turned, 11)).expect("valid");
        let found: Vec<_> =
            tensors.iter().map(|(name, _, shape)| (name.as_str(), shape.as_slice())).collect();
        assert_eq!(found, [("c", &[1, 1][..]), ("a", &[]), ("b", &[3])]);
        let twice = turned.replace("\"c\"", "\"a\"");
        assert_eq!(fault_of(&file(&twice, 11)), HeaderFault::Duplicate("a".into()));
    }

    #[test]
    fn what_is_no_tensor_is_named() {
        for (entry, expected) in [
            ("7", "invalid type: integer `7`, expected struct TensorInfo"),
            ("{}", "missing field `dtype`"),
            (r#"{"dtype":"U8","shape":[1]}"#, "missing field `data_offsets`"),
            (r#"{"dtype":"U8","data_offsets":[0,1]}"#, "missing field `shape`"),
            (r#"{"dtype":"U8","dtype":"U8"}"#, "duplicate field `dtype`"),
            (r#"{"shape":[1],"shape":[1]}"#, "duplicate field `shape`"),
            (r#"{"data_offsets":[0,1],"data_offsets":[0,1]}"#, "duplicate field `data_offsets`"),
            (r#"{"shape":[-1]}"#, "invalid value: integer `-1`, expected usize"),
            (r#"{"shape":1}"#, "invalid type: integer `1`, expected a sequence"),
            (r#"{"data_offsets":[0]}"#, "invalid length 1, expected a tuple of size 2"),
        ] {
            let text = format!(r#"{{"a":{entry}}}"#);
            let HeaderFault::Json(message) = fault_of(&file(&text, 1)) else { panic!("not json: {entry}") };
            assert!(message.starts_with(&format!("tensor `a`: {expected}")), "{message}");
        }
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
            if let Ok(tensors) = parse(&bytes) {
                let last = tensors.last().map(|(_, range, _)| range.end);
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
