//! A file that appears under its name only once it is complete.
//!
//! In: a directory, a name, and bytes at positions. Out: the file, renamed into its place; or, if it is
//! dropped before, nothing.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::WeightsError;

/// A file under a name of its own until it is complete; removed if it never is.
pub(crate) struct Unfinished {
    pub(crate) path: PathBuf,
    temporary: PathBuf,
    file: File,
    renamed: bool,
}

impl Unfinished {
    pub(crate) fn create(dir: &Path, name: &str) -> Result<Self, WeightsError> {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(WeightsError::io(parent))?;
        }
        let own = format!(".{}.{}.part", name.replace(['/', '\\'], "-"), std::process::id());
        let temporary = path.with_file_name(own);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)
            .map_err(WeightsError::io(&temporary))?;
        Ok(Self { path, temporary, file, renamed: false })
    }

    pub(crate) fn set_len(&mut self, len: u64) -> Result<(), WeightsError> {
        self.file.set_len(len).map_err(WeightsError::io(&self.temporary))
    }

    pub(crate) fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), WeightsError> {
        self.file
            .seek(SeekFrom::Start(at))
            .and_then(|_| self.file.write_all(bytes))
            .map_err(WeightsError::io(&self.temporary))
    }

    pub(crate) fn read_at(&mut self, at: u64, len: usize) -> Result<Vec<u8>, WeightsError> {
        let mut bytes = vec![0; len];
        self.file
            .seek(SeekFrom::Start(at))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(WeightsError::io(&self.temporary))?;
        Ok(bytes)
    }

    pub(crate) fn sync(&mut self) -> Result<(), WeightsError> {
        self.file.sync_all().map_err(WeightsError::io(&self.temporary))
    }

    pub(crate) fn rename(mut self) -> Result<(), WeightsError> {
        fs::rename(&self.temporary, &self.path).map_err(WeightsError::io(&self.path))?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
