//! The overlays that a person has set up: a folder of their own, and `OMNI_REGISTRY`.
//!
//! Absent on purpose: use by the library itself. What a program loads depends on what it asks for, not on whose
//! machine it runs; commands ask for these.

use std::env;
use std::path::PathBuf;

/// The registry files and folders that the environment names, those that win last.
///
/// First `omni/registry` in `XDG_CONFIG_HOME` (or `~/.config`), if it is there; then every path of `OMNI_REGISTRY`,
/// which is written as `PATH` is.
#[must_use]
pub fn overlays_of_the_user() -> Vec<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let config = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(env::home_dir()?.join(".config")));
    let own = config.map(|folder| folder.join("omni/registry")).filter(|folder| folder.exists());
    let named = variable("OMNI_REGISTRY");
    let named = named.iter().flat_map(env::split_paths).filter(|path| !path.as_os_str().is_empty());
    own.into_iter().chain(named).collect()
}
