//! Where lines go: standard error, or a file that can be opened again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing_subscriber::fmt::MakeWriter;

use crate::services::current::Current;

/// Where lines go.
#[derive(Clone)]
pub(super) struct Sink(Option<Arc<Place>>);

struct Place {
    path: PathBuf,
    file: Current<File>,
}

/// What takes one line, by one call of the system.
pub(super) enum Target {
    Stderr(io::Stderr),
    File(Arc<File>),
}

impl Sink {
    pub(super) fn stderr() -> Sink {
        Sink(None)
    }

    /// Lines are added to what is in the file; it is made if need be.
    pub(super) fn file(path: &Path) -> io::Result<Sink> {
        let file = Current::new(open(path)?);
        Ok(Sink(Some(Arc::new(Place { path: path.to_owned(), file }))))
    }

    /// Opens the file again, if there is one, and says what came of it.
    pub(super) fn reopen(&self) -> Option<(&Path, io::Result<()>)> {
        let place = self.0.as_deref()?;
        Some((&place.path, open(&place.path).map(|file| place.file.set(file))))
    }
}

/// It has addresses of clients in it: not for everybody.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Target;

    fn make_writer(&'a self) -> Target {
        match &self.0 {
            None => Target::Stderr(io::stderr()),
            Some(place) => Target::File(place.file.get()),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Stderr(stderr) => stderr.write(bytes),
            Target::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// True when standard error is the journal, as `JOURNAL_STREAM` says: device and inode.
pub(super) fn is_journal() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let own = io::stderr().as_fd().try_clone_to_owned().and_then(|own| File::from(own).metadata());
    own.is_ok_and(|own| stream == format!("{}:{}", own.dev(), own.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_made_anew_and_one_that_cannot_be_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let sink = Sink::file(&path).unwrap();
        let write = |text: &str| sink.make_writer().write_all(text.as_bytes()).unwrap();
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
        write("first\n");
        std::fs::rename(&path, directory.path().join("a.log.1")).unwrap();
        write("still there\n");
        assert!(sink.reopen().unwrap().1.is_ok());
        write("anew\n");
        assert_eq!((read("a.log.1"), read("a.log")), ("first\nstill there\n".into(), "anew\n".into()));

        std::fs::rename(&path, directory.path().join("a.log.2")).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(sink.reopen().unwrap().1.is_err());
        write("kept\n");
        assert_eq!(read("a.log.2"), "anew\nkept\n");
    }
}
