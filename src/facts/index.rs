//! Which file holds which tensor, as a shard index says.
//!
//! In: the bytes of `*.index.json`. Out: its pairs in the order of the file, a tensor that is named twice included.
//! Whether the files are there, and hold what it says, is for those who open them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::json::is_lfs_pointer;
use super::raw::Text;

/// A shard index: pairs of a tensor and its file.
#[derive(Debug)]
pub(crate) struct ShardIndex<'i>(pub(crate) Vec<(Cow<'i, str>, Cow<'i, str>)>);

/// Why an index cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexFault {
    /// A Git LFS pointer stands in its place.
    #[error("it is a Git LFS pointer")]
    LfsPointer,
    /// Not JSON, or not the JSON that an index is.
    #[error("{0}")]
    Json(serde_json::Error),
    /// An index of something else.
    #[error("no `weight_map` in the index")]
    NoWeightMap,
}

impl<'i> ShardIndex<'i> {
    /// Reads an index.
    pub(crate) fn parse(json: &'i [u8]) -> Result<Self, IndexFault> {
        #[derive(serde::Deserialize)]
        struct Raw<'i> {
            #[serde(borrow)]
            weight_map: Option<ShardIndex<'i>>,
        }

        if is_lfs_pointer(json) {
            return Err(IndexFault::LfsPointer);
        }
        let raw: Raw<'_> = serde_json::from_slice(json).map_err(IndexFault::Json)?;
        raw.weight_map.ok_or(IndexFault::NoWeightMap)
    }
}

impl<'de: 'i, 'i> Deserialize<'de> for ShardIndex<'i> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = ShardIndex<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object that gives a file for each tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ShardIndex<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Text(tensor), Text(file))) = map.next_entry()? {
                    pairs.push((tensor, file));
                }
                Ok(ShardIndex(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_as_they_are_written() {
        let index =
            ShardIndex::parse(br#"{"metadata": {}, "weight_map": {"b": "1", "a\u0031": "2", "b": "3"}}"#);
        let found: Vec<_> = index.expect("an index").0.into_iter().map(|(a, b)| format!("{a}{b}")).collect();
        assert_eq!(found, ["b1", "a12", "b3"]);
    }

    #[test]
    fn each_fault_is_named() {
        for (text, expected) in [
            ("version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer"),
            ("{}", "no `weight_map` in the index"),
            (r#"{"weight_map": null}"#, "no `weight_map` in the index"),
            (
                r#"{"weight_map": []}"#,
                "invalid type: sequence, expected an object that gives a file for each tensor at line 1 column 15",
            ),
            (
                r#"{"weight_map": {"a": 1}}"#,
                "invalid type: integer `1`, expected a string at line 1 column 22",
            ),
            ("", "EOF while parsing a value at line 1 column 0"),
        ] {
            let fault = ShardIndex::parse(text.as_bytes()).expect_err(text);
            assert_eq!(fault.to_string(), expected);
        }
    }
}
