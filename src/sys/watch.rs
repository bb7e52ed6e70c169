//! A directory whose files are reported when somebody has written them (inotify).

use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Watches one directory, which may come and go.
pub(crate) struct Watch {
    directory: PathBuf,
    inotify: OwnedFd,
    stop: Arc<OwnedFd>,
    /// The number of the watch on the directory, while it is there.
    own: Option<i32>,
}

/// Ends the waiting of a [`Watch`].
pub(crate) struct Stop(Arc<OwnedFd>);

/// What has happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A file of this name was closed after writing, or was moved here.
    Written(OsString),
    /// Anything may have happened: the directory has come, or there was more than could be told.
    Anything,
    /// Somebody said [`Stop::stop`].
    Stopped,
}

impl Watch {
    /// Watches `directory` from now on. It need not be there; its parent has to be, or nobody sees it come.
    pub(crate) fn new(directory: &Path) -> io::Result<(Watch, Stop)> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let handle = Stop(Arc::clone(&stop));
        let mut watch = Watch { directory: directory.to_owned(), inotify, stop, own: None };
        watch.look();
        Ok((watch, handle))
    }

    /// Waits until something happens.
    pub(crate) fn wait(&mut self) -> io::Result<Vec<Change>> {
        loop {
            let mut both =
                [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(&*self.stop, PollFlags::IN)];
            match poll(&mut both, None) {
                Err(Errno::INTR) => continue,
                result => result?,
            };
            if !both[1].revents().is_empty() {
                return Ok(vec![Change::Stopped]);
            }
            let changes = self.read()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    fn read(&mut self) -> io::Result<Vec<Change>> {
        let mut changes = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut came = false;
        loop {
            let event = match reader.next() {
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                event => event?,
            };
            let (flags, name) = (event.events(), event.file_name());
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.push(Change::Anything);
            } else if Some(event.wd()) == self.own {
                if flags.intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF | ReadFlags::DELETE_SELF) {
                    self.own = None;
                    came = true;
                } else if let Some(name) = name
                    && !flags.contains(ReadFlags::ISDIR)
                {
                    changes.push(Change::Written(os(name)));
                }
            } else {
                came |= name.is_some_and(|name| Some(os(name).as_os_str()) == self.directory.file_name());
            }
        }
        if came && self.look() {
            changes.push(Change::Anything);
        }
        Ok(changes)
    }

    /// Watches the directory, if it is there, and its parent, for when it is not. True: it is there.
    fn look(&mut self) -> bool {
        if let Some(parent) = self.directory.parent() {
            let come = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
            // Without it the directory is watched as long as it is there.
            let _ = inotify::add_watch(&self.inotify, parent, come);
        }
        let written = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO;
        let gone = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        self.own = inotify::add_watch(&self.inotify, &self.directory, written | gone).ok();
        self.own.is_some()
    }
}

impl Stop {
    /// The next [`Watch::wait`], or the one that waits now, says so.
    pub(crate) fn stop(&self) {
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

fn os(name: &CStr) -> OsString {
    OsStr::from_bytes(name.to_bytes()).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn names(changes: &[Change]) -> Vec<&str> {
        let name = |change: &'_ Change| match change {
            Change::Written(name) => name.to_str().unwrap().to_owned().leak() as &str,
            Change::Anything => "*",
            Change::Stopped => ".",
        };
        changes.iter().map(name).collect()
    }

    #[test]
    fn a_file_is_reported_when_it_is_closed_or_moved_here() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("in");
        fs::create_dir(&directory).unwrap();
        let (mut watch, stop) = Watch::new(&directory).unwrap();
        let mut slow = fs::File::create(directory.join("slow")).unwrap();
        slow.write_all(b"half").unwrap();
        fs::create_dir(directory.join("sub")).unwrap();
        fs::write(home.path().join("other"), "x").unwrap();
        fs::rename(home.path().join("other"), directory.join("moved")).unwrap();
        assert_eq!(names(&watch.wait().unwrap()), ["moved"]);
        drop(slow);
        assert_eq!(names(&watch.wait().unwrap()), ["slow"]);
        stop.stop();
        assert_eq!(names(&watch.wait().unwrap()), ["."]);
    }

    #[test]
    fn a_directory_may_come_and_go() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("in");
        let (mut watch, _stop) = Watch::new(&directory).unwrap();
        for _ in 0..3 {
            fs::create_dir(&directory).unwrap();
            assert_eq!(names(&watch.wait().unwrap()), ["*"]);
            fs::write(directory.join("a"), "x").unwrap();
            assert_eq!(names(&watch.wait().unwrap()), ["a"]);
            fs::remove_dir_all(&directory).unwrap();
        }
    }
}
