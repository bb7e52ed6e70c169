//! The process's environment, as Lua's `os.getenv` sees it.
#![allow(unsafe_code)]

use std::path::Path;

/// Sets `LAPPS_APPS_DIR`, where services find the directory of all services.
///
/// To be called before any thread is started.
pub(crate) fn set_apps_dir(directory: &Path) {
    // SAFETY: the caller has started no thread, so nobody reads the environment at the same time.
    unsafe { std::env::set_var("LAPPS_APPS_DIR", directory) };
}
