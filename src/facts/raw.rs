//! A safetensors header as it is written.
//!
//! In: its JSON. Out: a [`Header`] whose ranges count from the first byte of data and of which nothing is proved: a
//! name may occur twice, and any number may be wrong. Names and extents are not copied one by one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use safetensors::Dtype;

use super::header::{Header, HeaderTensor};

/// Reads a header as JSON.
pub(super) fn json(json: &[u8]) -> serde_json::Result<Header<'_>> {
    // All of it is looked at for UTF-8 at once, which is faster than string by string.
    match str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(json),
    }
}

impl<'de> Deserialize<'de> for Header<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Tensors)
    }
}

struct Tensors;

impl<'de> Visitor<'de> for Tensors {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header<'de>, A::Error> {
        let mut header = Header { metadata: BTreeMap::new(), tensors: Vec::new(), extents: Vec::new() };
        while let Some(Text(name)) = map.next_key()? {
            if name == "__metadata__" {
                let metadata: Option<BTreeMap<String, String>> = map.next_value()?;
                header.metadata.extend(metadata.unwrap_or_default());
                continue;
            }
            match map.next_value_seed(Tensor { extents: &mut header.extents }) {
                Ok((dtype, shape, range)) => header.tensors.push(HeaderTensor { name, dtype, shape, range }),
                Err(error) => return Err(Error::custom(format_args!("tensor `{name}`: {error}"))),
            }
        }
        Ok(header)
    }
}

/// Reads one tensor; its shape goes behind the extents of those before it.
struct Tensor<'e> {
    extents: &'e mut Vec<usize>,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Dtype,
    Shape,
    DataOffsets,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Tensor<'_> {
    type Value = (Dtype, Range<usize>, Range<u64>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tensor<'_> {
    type Value = (Dtype, Range<usize>, Range<u64>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("struct TensorInfo")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut dtype, mut shape, mut range) = (None, None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Dtype => once(&mut dtype, "dtype", map.next_value()?)?,
                Field::Shape => {
                    let start = self.extents.len();
                    map.next_value_seed(Extents(self.extents))?;
                    once(&mut shape, "shape", start..self.extents.len())?;
                }
                Field::DataOffsets => {
                    let (start, end): (usize, usize) = map.next_value()?;
                    once(&mut range, "data_offsets", start as u64..end as u64)?;
                }
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let missing = A::Error::missing_field;
        let dtype = dtype.ok_or_else(|| missing("dtype"))?;
        let shape = shape.ok_or_else(|| missing("shape"))?;
        Ok((dtype, shape, range.ok_or_else(|| missing("data_offsets"))?))
    }
}

/// Sets a field that was not set before.
fn once<T, E: Error>(field: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    if field.replace(value).is_some() { Err(E::duplicate_field(name)) } else { Ok(()) }
}

/// Reads a shape to the end of a list.
struct Extents<'e>(&'e mut Vec<usize>);

impl<'de> DeserializeSeed<'de> for Extents<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Extents<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(extent) = items.next_element()? {
            self.0.push(extent);
        }
        Ok(())
    }
}

/// A string that is copied only where it has escapes.
pub(super) struct Text<'t>(pub(super) Cow<'t, str>);

impl<'de: 't, 't> Deserialize<'de> for Text<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;

        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }

        deserializer.deserialize_str(Borrowed)
    }
}
