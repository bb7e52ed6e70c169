//! The file beside an archive that was refused, which says why.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Says why an archive was refused.
pub(super) fn put(archive: &Path, why: &str) -> io::Result<()> {
    fs::write(path(archive), format!("{why}\n"))
}

/// Removes the mark, if there is one: the archive is deployed.
pub(super) fn remove(archive: &Path) {
    let _ = fs::remove_file(path(archive));
}

/// True when the archive was refused and not written since.
pub(super) fn is_current(archive: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    match (changed(&path(archive)), changed(archive)) {
        (Ok(mark), Ok(archive)) => mark >= archive,
        _ => false,
    }
}

fn path(archive: &Path) -> PathBuf {
    let mut path = OsString::from(archive);
    path.push(".rejected");
    path.into()
}
