//! Reads bound parameters into host tensors of their run-time dtype.
//!
//! In: a [`Binding`], its checkpoint, and the dtype that is wanted. Out: one [`TensorData`] after
//! another, in the order of the files. Where a mapped tensor needs no conversion, it is not copied.
//! Otherwise it is read, never by way of the mapping, and the memory beyond the tensor itself is a few
//! [`stream::PIECE`]s. Two kinds take their stored bytes besides: what a pickle or a packed array
//! holds, and tensors in an order that [`pick`](super::pick) cannot read from the file.
//!
//! Absent on purpose: devices. The caller moves each tensor to its own.

use burn::tensor::{AllocationProperty, Bytes, TensorData};

use super::binding::{Binding, Bound, Source};
use super::checkpoint::Checkpoint;
use super::convert::{self, Seen};
use super::dtype::StoredDtype;
use super::error::WeightsError;
use super::resolve::Node;
use super::source::Data;
use super::stream;
use crate::plan::Stored;

/// The type that floating point parameters have at run time; others keep theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadDtype {
    /// As stored. 8-bit floats become `BF16`, which holds them exactly.
    #[default]
    Keep,
    /// 32 bits.
    F32,
    /// 16 bits, five of exponent.
    F16,
    /// 16 bits, eight of exponent.
    BF16,
}

impl LoadDtype {
    fn of(self, stored: StoredDtype) -> StoredDtype {
        match self {
            _ if !stored.is_float() => stored,
            Self::Keep if stored.runtime().is_some() => stored,
            Self::Keep | Self::BF16 => StoredDtype::BF16,
            Self::F32 => StoredDtype::F32,
            Self::F16 => StoredDtype::F16,
        }
    }
}

/// How to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// The type at run time.
    pub dtype: LoadDtype,
    /// Whether to look for NaN in tensors that are not converted too; that reads every byte of them.
    pub check_values: bool,
}

/// One loaded parameter.
#[derive(Debug)]
pub struct Loaded<'a> {
    /// The parameter.
    pub name: &'a str,
    /// Its values.
    pub data: TensorData,
    /// Whether some of them are not a number. Looked for when converting, or if asked for.
    pub has_nan: bool,
    /// Whether some of them no longer fit the narrower type and became infinite.
    pub overflowed: bool,
}

impl Binding {
    /// The parameters, one by one, in the order in which their files hold them.
    ///
    /// `progress` is told after each one how many stored bytes are done, and of how many. Tied and absent
    /// parameters do not occur.
    pub fn load<'a>(
        &'a self,
        checkpoint: &'a Checkpoint,
        options: LoadOptions,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Loading<'a> {
        let mut queue: Vec<(&Bound, &Stored)> = self
            .params()
            .iter()
            .filter_map(|bound| match &bound.source {
                Source::Stored { stored, .. } => Some((bound, stored)),
                Source::Tied { .. } | Source::Absent => None,
            })
            .collect();
        queue.sort_by_cached_key(|(_, stored)| {
            let entry = stored.names().first().and_then(|name| checkpoint.get(name));
            entry.map(|entry| (entry.file, entry.range().map(|range| range.start)))
        });
        let total = queue.iter().map(|(_, stored)| bytes_of(stored, checkpoint)).sum();
        Loading { queue: queue.into_iter(), checkpoint, options, progress, done: 0, total }
    }

    /// One parameter by its name.
    ///
    /// # Errors
    ///
    /// If it is not stored, or cannot be read.
    pub fn load_one(
        &self,
        name: &str,
        checkpoint: &Checkpoint,
        options: LoadOptions,
    ) -> Result<Loaded<'_>, WeightsError> {
        let bound = self.params().iter().find(|bound| bound.name == name);
        match bound.map(|bound| (bound, &bound.source)) {
            Some((bound, Source::Stored { stored, .. })) => load(&bound.name, stored, checkpoint, options),
            _ => Err(WeightsError::Absent { name: name.to_owned() }),
        }
    }
}

fn bytes_of(stored: &Stored, checkpoint: &Checkpoint) -> u64 {
    stored.resolve(checkpoint).map_or(0, |node| node.bytes() as u64)
}

/// Parameters being loaded.
pub struct Loading<'a> {
    queue: std::vec::IntoIter<(&'a Bound, &'a Stored)>,
    checkpoint: &'a Checkpoint,
    options: LoadOptions,
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
}

impl<'a> Iterator for Loading<'a> {
    type Item = Result<Loaded<'a>, WeightsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (bound, stored) = self.queue.next()?;
        let loaded = load(&bound.name, stored, self.checkpoint, self.options);
        self.done += bytes_of(stored, self.checkpoint);
        (self.progress)(self.done, self.total);
        Some(loaded)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.queue.size_hint()
    }
}

impl ExactSizeIterator for Loading<'_> {}

fn load<'a>(
    name: &'a str,
    stored: &Stored,
    checkpoint: &Checkpoint,
    options: LoadOptions,
) -> Result<Loaded<'a>, WeightsError> {
    let node = stored.resolve(checkpoint)?;
    let dtype = options.dtype.of(node.dtype);
    let runtime = dtype
        .runtime()
        .ok_or_else(|| WeightsError::Unloadable { name: name.to_owned(), dtype: node.dtype })?;
    let (bytes, seen) = if dtype == node.dtype {
        let data = stream::whole(&node, checkpoint)?;
        let nan = options.check_values && convert::has_nan(&data, dtype);
        (to_bytes(data, dtype), Seen { nan, overflow: false })
    } else {
        converted(&node, dtype, checkpoint)?
    };
    let data = TensorData::from_bytes(bytes, node.shape, runtime);
    Ok(Loaded { name, data, has_nan: seen.nan, overflowed: seen.overflow })
}

/// Converts piece by piece into the tensor's own memory.
fn converted(
    node: &Node,
    dtype: StoredDtype,
    checkpoint: &Checkpoint,
) -> Result<(Bytes, Seen), WeightsError> {
    let (Some(width), Some(wide)) = (node.dtype.size(), dtype.size()) else {
        return Err(WeightsError::conversion(node.dtype, format!("it does not convert to {dtype}")));
    };
    let mut target = vec![0_u8; node.elements() * wide];
    if let Some((name, bytes)) = stream::plain(node)
        && checkpoint.reads_in_parts(name)
    {
        let read = |at: usize, buffer: &mut [u8]| checkpoint.read_into(name, bytes.start + at, buffer);
        let seen = convert::read_into(read, node.dtype, &mut target, dtype)?;
        return Ok((Bytes::from_bytes_vec(target), seen));
    }
    let mut at = 0;
    let mut seen = Seen::default();
    stream::stream(node, checkpoint, &mut |piece| {
        let end = at + piece.len() / width * wide;
        seen = seen.or(convert::into(piece, node.dtype, &mut target[at..end], dtype)?);
        at = end;
        Ok(())
    })?;
    Ok((Bytes::from_bytes_vec(target), seen))
}

/// Hands bytes to burn, without a copy if they are mapped where their type may lie.
fn to_bytes(data: Data, dtype: StoredDtype) -> Bytes {
    // Reading a byte other than 0 and 1 as a bool would be undefined, and files may hold any.
    if dtype == StoredDtype::Bool && data.iter().any(|&byte| byte > 1) {
        return Bytes::from_bytes_vec(data.iter().map(|&byte| u8::from(byte != 0)).collect());
    }
    match data {
        Data::Owned(bytes) => Bytes::from_bytes_vec(bytes),
        Data::Mapped(bytes) => {
            let size = dtype.size().unwrap_or(1);
            if !bytes.is_empty() && bytes.as_ptr().addr().is_multiple_of(size) {
                Bytes::from_shared(bytes, AllocationProperty::File)
            } else {
                Bytes::from_bytes_vec(bytes.to_vec())
            }
        }
    }
}
