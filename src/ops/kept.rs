//! One tensor that an op keeps from step to step of a generation: the state of a scan, the tail of a convolution.
//!
//! [`begin`] gives what the step before left, [`finish`] leaves it for the next. Outside a generation there is
//! nothing before and nothing is left.
//!
//! Absent on purpose: tensors that grow with the sequence; attention has its own cache.

use burn::tensor::Tensor;

use super::backend::B;
use super::kernel::{Context, RunError};
use super::{Dim, StateId};

/// What the step before left; `None` on the first step and outside a generation.
pub(super) fn begin<const D: usize>(
    context: &mut Context<'_>,
    id: StateId,
    time: &Dim,
    shape: [usize; D],
) -> Result<Option<Tensor<B, D>>, RunError> {
    let (Some(past), Some(cache)) = (context.past_along(time), context.cache.as_deref_mut()) else {
        return Ok(None);
    };
    if past == 0 {
        return Ok(None);
    }
    let Some(kept) = cache.take(id).pop() else {
        return Err(RunError::new("the cache lacks the positions before this call"));
    };
    let found = kept.shape();
    if found != shape {
        return Err(RunError::new(format!("a state {found:?} of the cache, expected {shape:?}")));
    }
    Ok(Some(kept.float()))
}

/// Leaves the tensor for the next step.
pub(super) fn finish<const D: usize>(
    context: &mut Context<'_>,
    id: StateId,
    time: &Dim,
    state: Tensor<B, D>,
) {
    if context.past_along(time).is_some()
        && let Some(cache) = context.cache.as_deref_mut()
    {
        cache.put(id, vec![state.into()]);
    }
}
