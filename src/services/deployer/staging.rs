//! The files of a new version: unpacked beside, then put in their place at once, and the old ones back if need be.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::Directories;
use crate::services::lar::{self, Archive};
use crate::sys::exchange::exchange;

/// How the directories are named in which new versions are unpacked.
const PREFIX: &str = ".deploy-";

/// A directory with the files that are not in use: first the new ones, after [`Staged::swap`] the old ones. Dropped, it
/// puts them back, unless they are to be [kept](Staged::keep).
pub(super) struct Staged {
    directory: PathBuf,
    /// The files here.
    here: PathBuf,
    /// Their place.
    place: PathBuf,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The new files are here.
    Unpacked,
    /// They are in their place, and here is what was there before, if anything was.
    Swapped { had_old: bool },
}

impl Staged {
    /// Unpacks all files of an archive.
    pub(super) fn unpack(archive: &Archive<'_>, directories: &Directories) -> Result<Staged, String> {
        let failed = |path: &Path, error: &io::Error| format!("{}: {error}", path.display());
        let apps = &directories.applications;
        fs::create_dir_all(apps).map_err(|error| failed(apps, &error))?;
        // It need not work: then there are other places.
        let _ = fs::create_dir(&directories.tmp);
        let name = archive.root();
        let directory = beside(directories).join(format!("{PREFIX}{name}"));
        // Only one is deployed at a time: what is there was left by a crash.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).map_err(|error| failed(&directory, &error))?;
        let (here, place) = (directory.join(name), apps.join(name));
        let staged = Staged { directory, here, place, state: State::Unpacked };
        lar::unpack(archive, &staged.directory).map_err(|error| error.to_string())?;
        Ok(staged)
    }

    /// Puts the new files in their place.
    pub(super) fn swap(&mut self) -> Result<(), String> {
        let had_old = self.place.symlink_metadata().is_ok();
        let swapped = match had_old {
            true => exchange(&self.place, &self.here),
            false => fs::rename(&self.here, &self.place),
        };
        swapped.map_err(|error| format!("{}: {error}", self.place.display()))?;
        self.state = State::Swapped { had_old };
        Ok(())
    }

    /// Lets the new files stay where they are.
    pub(super) fn keep(mut self) {
        // What is here goes when this is dropped.
        self.state = State::Unpacked;
    }

    /// Puts the old files back.
    pub(super) fn undo(mut self) -> io::Result<()> {
        self.put_back()
    }

    fn put_back(&mut self) -> io::Result<()> {
        match self.state {
            State::Unpacked => {}
            State::Swapped { had_old: true } => exchange(&self.place, &self.here)?,
            State::Swapped { had_old: false } => fs::rename(&self.place, &self.here)?,
        }
        self.state = State::Unpacked;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = self.put_back() {
            tracing::error!("{} cannot be put back: {error}", self.place.display());
        } else if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!("{} cannot be removed: {error}", self.directory.display());
        }
    }
}

/// Removes what a crash has left.
pub(super) fn clean(directories: &Directories) {
    for entry in fs::read_dir(beside(directories)).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A directory on the file system of the applications, from which files can be moved there at once: the one for temporary
/// files if that is there, else the one in which the applications' directory lies, else that itself.
fn beside(directories: &Directories) -> &Path {
    let apps = &directories.applications;
    let device = |path: &Path| fs::metadata(path).map(|file| file.dev()).ok();
    let mut candidates = [Some(directories.tmp.as_path()), apps.parent()].into_iter().flatten();
    let fits = |path: &&Path| device(path).is_some() && device(path) == device(apps) && is_writable(path);
    candidates.find(fits).unwrap_or(apps)
}

fn is_writable(directory: &Path) -> bool {
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}
