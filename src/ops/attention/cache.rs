//! Keys and values kept from step to step of a generation.
//!
//! Takes the new keys and values; gives those that the new queries may attend to, with their columns. The tensors
//! are written in place: all positions of the generation, or, where no query looks back further than so many, a
//! ring of that many. Room for the first [`FIRST_ROOM`] is made at once, and doubled when that is not enough: a
//! caller may ask for more positions than any memory holds and stop after a few.
//!
//! Absent on purpose: masks; see [`super::mask`].

use burn::tensor::ops::FloatTensorOps;
use burn::tensor::{FloatDType, Shape, Tensor};

use super::super::backend::{B, Device};
use super::super::kernel::{Context, RunError};
use super::super::{StateId, Value};
use super::mask::Columns;

/// How many positions there is room for from the start, if the generation may reach them.
const FIRST_ROOM: usize = 4096;

/// What the queries of a call may attend to.
pub(super) struct Held {
    pub(super) keys: Tensor<B, 4>,
    pub(super) values: Tensor<B, 4>,
    pub(super) columns: Columns,
}

/// Adds the new keys and values `[batch, heads, time, dim]` after `past` positions.
pub(super) fn extend(
    context: &mut Context<'_>,
    id: StateId,
    ring: Option<usize>,
    past: usize,
    keys: Tensor<B, 4>,
    values: Tensor<B, 4>,
) -> Result<Held, RunError> {
    let device = context.device;
    let Some(cache) = context.cache.as_deref_mut() else {
        return Ok(Held { columns: Columns::First(keys.dims()[2]), keys, values });
    };
    let total = past + keys.dims()[2];
    if total > cache.capacity {
        let capacity = cache.capacity;
        return Err(RunError::new(format!("position {total} of a cache for {capacity} positions")));
    }
    let slots = ring.map_or(cache.capacity, |ring| ring.min(cache.capacity));
    let room = total.checked_next_power_of_two().unwrap_or(total).max(FIRST_ROOM).min(slots);
    let turns = slots < cache.capacity && room == slots;
    let mut stores = cache.take(id).into_iter();
    let mut both = Vec::with_capacity(2);
    for new in [keys, values] {
        let store = match stores.next() {
            Some(store) => grown(store.float::<4>(), past, room, device),
            None if past > 0 => return Err(RunError::new("the cache lacks the positions before this call")),
            None => empty(&new, room, device),
        };
        let [batch, heads, _, dim] = new.dims();
        if store.dims() != [batch, heads, room, dim] {
            let (found, expected) = (new.dims(), store.dims());
            return Err(RunError::new(format!("keys or values {found:?} for a cache {expected:?}")));
        }
        let placed = if turns { turn } else { append };
        both.push(placed(store, new, past, device));
    }
    let columns = if turns { ring_columns(slots, past, total) } else { Columns::First(total) };
    let (mut seen, mut stores) = (Vec::new(), Vec::new());
    for (tensor, store) in both {
        seen.push(tensor);
        stores.push(store.into());
    }
    cache.put(id, stores);
    match <[Tensor<B, 4>; 2]>::try_from(seen) {
        Ok([keys, values]) => Ok(Held { keys, values, columns }),
        Err(_) => Err(RunError::new("a cache of keys and values holds two tensors")),
    }
}

fn empty(like: &Tensor<B, 4>, slots: usize, device: &Device) -> Tensor<B, 4> {
    let [batch, heads, _, dim] = like.dims();
    let shape = Shape::new([batch, heads, slots, dim]);
    Value::Float(B::float_zeros(shape, device, FloatDType::from(like.dtype()))).float()
}

/// The store with room for so many positions, the first `past` of them copied.
fn grown(store: Tensor<B, 4>, past: usize, room: usize, device: &Device) -> Tensor<B, 4> {
    let held = store.dims()[2];
    if held >= room {
        return store;
    }
    let larger = empty(&store, room, device);
    write(larger, store.narrow(2, 0, past.min(held)), 0, device)
}

/// Writes at `past..`; gives all positions so far, and the store.
fn append(
    store: Tensor<B, 4>,
    new: Tensor<B, 4>,
    past: usize,
    device: &Device,
) -> (Tensor<B, 4>, Tensor<B, 4>) {
    let total = past + new.dims()[2];
    if past == 0 {
        return (new.clone(), write(store, new, 0, device));
    }
    let store = write(store, new, past, device);
    (store.clone().narrow(2, 0, total), store)
}

/// Writes column `c` to slot `c % slots`; gives what the new queries may look back to, and the store.
fn turn(
    store: Tensor<B, 4>,
    new: Tensor<B, 4>,
    past: usize,
    device: &Device,
) -> (Tensor<B, 4>, Tensor<B, 4>) {
    let (slots, time) = (store.dims()[2], new.dims()[2]);
    if time == 1 {
        let store = write(store, new, past % slots, device);
        return (store.clone().narrow(2, 0, slots.min(past + 1)), store);
    }
    // Several queries at once still see what the last of them overwrites, hence the copy.
    let seen = match slots.min(past) {
        0 => new.clone(),
        held => Tensor::cat(vec![store.clone().narrow(2, 0, held), new.clone()], 2),
    };
    let kept = time.min(slots);
    let start = (past + time - kept) % slots;
    let before_end = kept.min(slots - start);
    let new = new.narrow(2, time - kept, kept);
    let store = write(store, new.clone().narrow(2, 0, before_end), start, device);
    let store = if before_end < kept {
        write(store, new.narrow(2, before_end, kept - before_end), 0, device)
    } else {
        store
    };
    (seen, store)
}

/// In place, if nothing else holds the store.
fn write(store: Tensor<B, 4>, new: Tensor<B, 4>, at: usize, device: &Device) -> Tensor<B, 4> {
    let [batch, heads, time, dim] = new.dims();
    if let Device::Flex(_) = device {
        return write_on_host(store, new, at, device);
    }
    store.slice_assign([0..batch, 0..heads, at..at + time, 0..dim], new)
}

/// The CPU backend's `slice_assign` copies the whole store on every call; handing its memory out and back does not.
fn write_on_host(store: Tensor<B, 4>, new: Tensor<B, 4>, at: usize, device: &Device) -> Tensor<B, 4> {
    let [_, _, slots, _] = store.dims();
    let [_, _, time, dim] = new.dims();
    let (mut store, new) = (store.into_data(), new.into_data());
    let row = dim * store.dtype.size();
    if row > 0 {
        let heads = store.bytes.chunks_exact_mut(slots * row);
        for (head, new) in heads.zip(new.bytes.chunks_exact(time * row)) {
            head[at * row..(at + time) * row].copy_from_slice(new);
        }
    }
    Value::Float(B::float_from_data(store, device)).float()
}

fn ring_columns(slots: usize, past: usize, total: usize) -> Columns {
    if total - past == 1 {
        let held = slots.min(total);
        return Columns::Listed((0..held).map(|slot| newest(slot, slots, total)).collect());
    }
    let old = (0..slots.min(past)).map(|slot| newest(slot, slots, past));
    Columns::Listed(old.chain(past..total).collect())
}

/// The newest column before `total` that belongs in `slot`.
fn newest(slot: usize, slots: usize, total: usize) -> usize {
    total - 1 - (total - 1 - slot) % slots
}
