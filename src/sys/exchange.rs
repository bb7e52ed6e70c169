//! Two directories that change places at once.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Lets two directories of one file system change places. Where the file system cannot do that at once, there is a moment
/// in which `place` is empty.
///
/// # Errors
/// Both are where they were.
pub(crate) fn exchange(place: &Path, other: &Path) -> io::Result<()> {
    match renameat_with(CWD, place, CWD, other, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => step_by_step(place, other),
        result => Ok(result?),
    }
}

fn step_by_step(place: &Path, other: &Path) -> io::Result<()> {
    let aside = other.with_extension("exchanged");
    fs::rename(place, &aside)?;
    let moved = fs::rename(other, place);
    if moved.is_err() {
        fs::rename(&aside, place)?;
    }
    moved?;
    fs::rename(&aside, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_where_the_other_was() {
        for exchange in [exchange, step_by_step] {
            let home = tempfile::tempdir().unwrap();
            let [a, b] = ["a", "b"].map(|name| home.path().join(name));
            fs::create_dir(&a).unwrap();
            fs::create_dir(&b).unwrap();
            fs::write(a.join("was a"), "").unwrap();
            exchange(&a, &b).unwrap();
            assert!(b.join("was a").exists() && !a.join("was a").exists());
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
            fs::remove_dir(&a).unwrap();
            exchange(&a, &b).unwrap_err();
            exchange(&b, &a).unwrap_err();
            assert!(b.join("was a").exists() && !a.exists());
        }
    }
}
