//! Reads the directory of a numpy archive (`.npz`).
//!
//! In: a zip of `.npy` files, stored or deflated. Out: each array's dtype, shape and place: a byte
//! range of the archive, or the number of an entry that must be decompressed or transposed.
//!
//! Absent on purpose: arrays of objects, which are pickles, and big-endian numbers.

use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zip::{CompressionMethod, ZipArchive};

use super::dtype::{StoredDtype, byte_len};
use super::error::WeightsError;
use super::strided;
use super::view::View;

/// Deflate cannot expand by more than this, so that a larger claim is a lie.
const MAX_RATIO: u64 = 1032;

/// No sensible array has a header longer than this, in bytes.
const MAX_ARRAY_HEADER: usize = 64 * 1024;

/// An open archive.
#[derive(Debug)]
pub(crate) struct Npz {
    path: PathBuf,
    archive: Mutex<ZipArchive<BufReader<File>>>,
}

/// One array of an archive.
#[derive(Debug)]
pub(crate) struct Array {
    pub(crate) name: String,
    pub(crate) dtype: StoredDtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) place: ArrayPlace,
}

/// Where an array's bytes are.
#[derive(Debug, Clone)]
pub(crate) enum ArrayPlace {
    /// As they are, in the archive's file.
    Range(Range<u64>),
    /// In an entry that must be read as a stream.
    Entry(PackedArray),
}

/// An array that is compressed or in column order.
#[derive(Debug, Clone)]
pub(crate) struct PackedArray {
    entry: usize,
    /// Bytes of the array's header, magic included.
    header: usize,
    /// Bytes of the array itself.
    len: usize,
    size: usize,
    /// The shape, where the array is stored in column order.
    columns: Option<Vec<usize>>,
}

impl Npz {
    /// Opens an archive of `file_len` bytes and reads the header of every array.
    pub(crate) fn open(path: &Path, file: File, file_len: u64) -> Result<(Self, Vec<Array>), WeightsError> {
        let broken = |reason: String| WeightsError::Npz { file: path.to_owned(), reason };
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| broken(error.to_string()))?;
        let mut arrays = Vec::new();
        for entry in 0..archive.len() {
            arrays.push(read_array(&mut archive, entry, file_len).map_err(broken)?);
        }
        Ok((Self { path: path.to_owned(), archive: Mutex::new(archive) }, arrays))
    }

    /// The bytes of an array that does not lie in the file as it is, in row order.
    pub(crate) fn read(&self, array: &PackedArray) -> Result<Vec<u8>, WeightsError> {
        let broken = |reason: String| WeightsError::Npz { file: self.path.clone(), reason };
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry = archive.by_index(array.entry).map_err(|error| broken(error.to_string()))?;
        let mut bytes = vec![0; array.header];
        entry.read_exact(&mut bytes).map_err(WeightsError::io(&self.path))?;
        bytes = vec![0; array.len];
        entry.read_exact(&mut bytes).map_err(WeightsError::io(&self.path))?;
        // Reaching the end is what makes the zip reader compare the checksum.
        let behind = entry.read(&mut [0]).map_err(WeightsError::io(&self.path))?;
        if behind != 0 {
            return Err(broken("an array has more bytes than its shape asks for".to_owned()));
        }
        match &array.columns {
            None => Ok(bytes),
            Some(shape) => {
                let view = View::columns(shape);
                Ok(strided::gather(&bytes, array.size, &view, 0..view.elements()))
            }
        }
    }
}

fn read_array(
    archive: &mut ZipArchive<BufReader<File>>,
    index: usize,
    file_len: u64,
) -> Result<Array, String> {
    let mut entry = archive.by_index(index).map_err(|error| error.to_string())?;
    let entry_name = entry.name().map_err(|error| error.to_string())?.into_owned();
    let in_entry = |reason: String| format!("`{entry_name}`: {reason}");
    let packed = entry.compressed_size();
    let unpacked = entry.size();
    if packed > file_len || unpacked > packed.saturating_mul(MAX_RATIO).saturating_add(1024) {
        return Err(in_entry(format!("it claims {unpacked} bytes in {packed} packed ones")));
    }
    let stored = entry.compression() == CompressionMethod::Stored;
    let (text, header) = read_array_header(&mut entry).map_err(in_entry)?;
    let parsed = ArrayHeader::parse(&text).map_err(in_entry)?;
    let len = byte_len(parsed.dtype, &parsed.shape)
        .ok_or_else(|| in_entry(format!("the shape {:?} overflows", parsed.shape)))?;
    if unpacked != (len as u64).saturating_add(header as u64) {
        return Err(in_entry(format!(
            "{} {:?} needs {len} bytes, the entry has {unpacked} with its header of {header}",
            parsed.dtype, parsed.shape
        )));
    }
    let columns = parsed.columns && parsed.shape.iter().filter(|&&extent| extent != 1).count() > 1;
    let place = match entry.data_start() {
        Some(start) if stored && !columns => {
            let start = start.saturating_add(header as u64);
            let end = start.saturating_add(len as u64);
            if end > file_len {
                return Err(in_entry(format!("it ends at {end} in a file of {file_len} bytes")));
            }
            ArrayPlace::Range(start..end)
        }
        _ => ArrayPlace::Entry(PackedArray {
            entry: index,
            header,
            len,
            size: parsed.dtype.size().unwrap_or(1),
            columns: columns.then(|| parsed.shape.clone()),
        }),
    };
    let name = entry_name.strip_suffix(".npy").unwrap_or(&entry_name).to_owned();
    Ok(Array { name, dtype: parsed.dtype, shape: parsed.shape, place })
}

/// Reads magic, version and header text; gives the text and all bytes before the array.
fn read_array_header(reader: &mut impl Read) -> Result<(String, usize), String> {
    let cut = |error: std::io::Error| format!("no numpy header: {error}");
    let mut begin = [0_u8; 8];
    reader.read_exact(&mut begin).map_err(cut)?;
    if &begin[..6] != b"\x93NUMPY" {
        return Err("it is not a numpy array".to_owned());
    }
    let (len, before) = if begin[6] == 1 {
        let mut len = [0_u8; 2];
        reader.read_exact(&mut len).map_err(cut)?;
        (usize::from(u16::from_le_bytes(len)), 10)
    } else {
        let mut len = [0_u8; 4];
        reader.read_exact(&mut len).map_err(cut)?;
        (usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX), 12)
    };
    if len > MAX_ARRAY_HEADER {
        return Err(format!("its header claims {len} bytes"));
    }
    let mut text = vec![0_u8; len];
    reader.read_exact(&mut text).map_err(cut)?;
    let text = String::from_utf8(text).map_err(|_| "its header is not text".to_owned())?;
    Ok((text, before + len))
}

/// What a numpy header says.
struct ArrayHeader {
    dtype: StoredDtype,
    shape: Vec<usize>,
    /// Whether the first axis is the one that varies fastest.
    columns: bool,
}

impl ArrayHeader {
    /// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
    fn parse(text: &str) -> Result<Self, String> {
        let value = |key: &str| {
            let (_, rest) = text.split_once(&format!("'{key}':"))?;
            Some(rest.trim_start())
        };
        let unclear = || format!("its header is not understood: `{}`", text.trim());
        let descr = value("descr").ok_or_else(unclear)?;
        let descr = descr
            .strip_prefix('\'')
            .and_then(|rest| rest.split_once('\''))
            .map(|(descr, _)| descr)
            .ok_or_else(|| format!("its dtype is compound: `{}`", text.trim()))?;
        let dtype = StoredDtype::of_numpy(descr).ok_or_else(|| {
            format!("dtype `{descr}` is not a little-endian number; objects are never unpickled")
        })?;
        let columns = match value("fortran_order").ok_or_else(unclear)? {
            order if order.starts_with("True") => true,
            order if order.starts_with("False") => false,
            _ => return Err(unclear()),
        };
        let extents = value("shape")
            .and_then(|rest| rest.strip_prefix('('))
            .and_then(|rest| rest.split_once(')'))
            .map(|(extents, _)| extents)
            .ok_or_else(unclear)?;
        let shape = extents
            .split(',')
            .map(str::trim)
            .filter(|extent| !extent.is_empty())
            .map(|extent| extent.parse().map_err(|_| unclear()))
            .collect::<Result<_, _>>()?;
        Ok(Self { dtype, shape, columns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(StoredDtype, Vec<usize>, bool), String> {
        ArrayHeader::parse(text).map(|header| (header.dtype, header.shape, header.columns))
    }

    #[test]
    fn headers_as_numpy_writes_them() {
        assert_eq!(
            parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n"),
            Ok((StoredDtype::F32, vec![3, 4], false))
        );
        assert_eq!(
            parse("{'descr': '<i8', 'fortran_order': True, 'shape': (5,), }"),
            Ok((StoredDtype::I64, vec![5], true))
        );
        assert_eq!(
            parse("{'descr': '|b1', 'fortran_order': False, 'shape': (), }"),
            Ok((StoredDtype::Bool, vec![], false))
        );
    }

    #[test]
    fn what_is_not_plain_numbers_is_refused() {
        for text in [
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
            "{'descr': '<f4', 'shape': (1,), }",
            "",
        ] {
            assert!(parse(text).is_err(), "accepted {text}");
        }
    }
}
