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
    /// Whether to look for NaN in tensors that are not converted too, where it is not free: that touches every byte
    /// of them, which a model does at its first step otherwise (`benches/README.md` has the figures).
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
    let shared = if dtype == node.dtype { mapped(&node, checkpoint)? } else { None };
    let (bytes, mut seen) = match shared {
        Some(bytes) => (bytes, Seen::default()),
        None => filled(&node, dtype, checkpoint)?,
    };
    if dtype == node.dtype && options.check_values {
        seen.nan = convert::has_nan(&bytes, dtype);
    }
    let data = TensorData::from_bytes(bytes, node.shape, runtime);
    Ok(Loaded { name, data, has_nan: seen.nan, overflowed: seen.overflow })
}

/// The bytes as they are mapped, if they lie there in order and where their type may.
fn mapped(node: &Node, checkpoint: &Checkpoint) -> Result<Option<Bytes>, WeightsError> {
    let Some((name, range)) = stream::plain(node) else {
        return Ok(None);
    };
    let size = node.dtype.size().unwrap_or(1);
    let usable = |bytes: &bytes::Bytes| {
        let may_lie_there = !bytes.is_empty() && bytes.as_ptr().addr().is_multiple_of(size);
        // Reading a byte other than 0 and 1 as a bool would be undefined, and files may hold any.
        may_lie_there && (node.dtype != StoredDtype::Bool || bytes.iter().all(|&byte| byte <= 1))
    };
    let bytes = checkpoint.mapped(name, range)?.filter(usable);
    Ok(bytes.map(|bytes| Bytes::from_shared(bytes, AllocationProperty::File)))
}

/// Reads, and converts, into the tensor's own memory.
fn filled(node: &Node, dtype: StoredDtype, checkpoint: &Checkpoint) -> Result<(Bytes, Seen), WeightsError> {
    let mut target = zeroed(dtype, node.elements());
    let seen = match stream::plain(node) {
        Some((name, bytes)) if checkpoint.reads_in_parts(name) => {
            let read = |at: usize, buffer: &mut [u8]| checkpoint.read_into(name, bytes.start + at, buffer);
            convert::read_into(read, node.dtype, &mut target, dtype)?
        }
        _ => {
            let (mut seen, mut rest) = (Seen::default(), &mut target[..]);
            stream::stream(node, checkpoint, &mut |piece| {
                let bytes = piece.len() * 8 / node.dtype.bits() * dtype.bits() / 8;
                let (next, after) = std::mem::take(&mut rest).split_at_mut(bytes);
                seen = seen.or(convert::into(piece, node.dtype, next, dtype)?);
                rest = after;
                Ok(())
            })?;
            seen
        }
    };
    if dtype == StoredDtype::Bool {
        target.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
    }
    Ok((target, seen))
}

/// Memory for so many elements. Made of elements of their size: burn copies what was made of bytes.
fn zeroed(dtype: StoredDtype, elements: usize) -> Bytes {
    match dtype.bits() {
        64 => Bytes::from_elems(vec![0_u64; elements]),
        32 => Bytes::from_elems(vec![0_u32; elements]),
        16 => Bytes::from_elems(vec![0_u16; elements]),
        bits => Bytes::from_elems(vec![0_u8; elements * bits / 8]),
    }
}
