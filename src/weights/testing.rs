//! Small checkpoints for the tests of this layer.

use std::path::Path;

use safetensors::tensor::{TensorView, serialize};

use super::dtype::StoredDtype;

/// Bytes that differ from their neighbours.
pub(crate) fn ramp(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 7 + at / 251) % 251).unwrap_or(0)).collect()
}

/// The bytes of single-precision numbers.
pub(crate) fn singles(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A tensor to write: name, dtype, shape, bytes.
pub(crate) type Written<'a> = (&'a str, StoredDtype, Vec<usize>, Vec<u8>);

/// Writes a safetensors file as the reference library does.
pub(crate) fn write(path: &Path, tensors: &[Written<'_>]) {
    std::fs::write(path, file(tensors)).expect("the temporary directory is writable");
}

/// The bytes of such a file.
pub(crate) fn file(tensors: &[Written<'_>]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(dtype.safetensors(), shape.clone(), bytes);
        (*name, view.expect("shape, dtype and bytes agree"))
    });
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    serialize(views, Some(metadata)).expect("serialises")
}
