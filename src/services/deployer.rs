//! Deploys archives: whoever writes one into the deploy directory replaces a service of the running server by it.

mod mark;
mod staging;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::{self, Config, Deployment, Directories, Places, Service};
use crate::services::lar::{self, Archive, EXTENSION, Limits};
use crate::services::refused::Refused;
use crate::sys::watch::{Change, Watch};
use staging::Staged;

/// Bytes of a service's configuration.
const MAX_JSON: u64 = 1 << 20;

/// Puts the last one of some services in its place, after those that it needs.
pub(crate) type Replace<'r> = &'r mut dyn FnMut(Vec<Service>) -> Result<(), Refused>;

/// Everything that deploying needs to know, and what is under way.
pub(crate) struct Deployer {
    directories: Directories,
    places: Places,
    auto_save: bool,
    /// All services as they are configured now.
    services: Vec<Service>,
    /// Those that were put in their places before the server started.
    begun: Vec<Begun>,
}

/// An archive whose files are in their place, while it is not known whether they stay there.
struct Begun {
    archive: PathBuf,
    stamp: Stamp,
    name: String,
    /// Its `NAME.json`.
    json: Vec<u8>,
    staged: Staged,
    deployment: Deployment,
    /// What was configured before.
    old: Option<Service>,
}

/// Which file it was that was read: another one may have come to its place.
#[derive(PartialEq, Eq)]
struct Stamp([i64; 5]);

/// Why an archive was not begun.
enum Failure {
    /// It is not there any more.
    Gone,
    /// Another one for the same service has to be decided about first.
    Later,
    Refused(String),
}

impl Deployer {
    /// For the services of a server that has a home.
    pub(crate) fn new(config: &Config) -> Option<Deployer> {
        Some(Deployer {
            directories: config.directories.clone(),
            places: config.places.clone()?,
            auto_save: config.auto_save,
            services: config.services.clone(),
            begun: Vec::new(),
        })
    }

    /// The directory that is watched.
    pub(crate) fn directory(&self) -> &Path {
        &self.directories.deploy
    }

    /// Puts the archives that are there in their places before the services are started, and tells what to start then, in
    /// which order. [`Deployer::settle`] decides about them.
    pub(crate) fn prepare(&mut self) -> Vec<Service> {
        staging::clean(&self.directories);
        let mut left = self.waiting();
        // One may need what another one brings: so again, as long as there are new ones.
        loop {
            let mut refused = Vec::new();
            let before = self.begun.len();
            for archive in left {
                match self.begin(&archive) {
                    Ok(begun) => {
                        self.services = begun.deployment.services.clone();
                        self.begun.push(begun);
                    }
                    Err(Failure::Gone | Failure::Later) => {}
                    Err(Failure::Refused(why)) => refused.push((archive, why)),
                }
            }
            if self.begun.len() == before || refused.is_empty() {
                refused.iter().for_each(|(archive, why)| reject(archive, why));
                return self.services.clone();
            }
            left = refused.into_iter().map(|(archive, _)| archive).collect();
        }
    }

    /// Goes on with the archives that were there before the start: `outcome` tells by name what has become of a service,
    /// `None` if the start was broken off.
    pub(crate) fn settle(
        &mut self,
        outcome: &dyn Fn(&str) -> Option<Result<(), String>>,
        replace: Replace<'_>,
    ) {
        for begun in std::mem::take(&mut self.begun) {
            let result = match outcome(&begun.name) {
                Some(Ok(())) => Ok(()),
                Some(Err(why)) => Err(Refused { why, stopped: true, stopping: false }),
                None => Err(Refused { why: String::new(), stopped: false, stopping: true }),
            };
            self.conclude(begun, result, replace);
        }
    }

    /// Deploys what comes into the directory, until told to stop.
    ///
    /// # Errors
    /// The directory cannot be watched any more.
    pub(crate) fn run(mut self, mut watch: Watch, replace: Replace<'_>) -> io::Result<()> {
        // What has come since the start was prepared.
        let mut archives = self.waiting();
        loop {
            for archive in archives.drain(..) {
                self.deploy(&archive, replace);
            }
            for change in watch.wait()? {
                match change {
                    Change::Stopped => return Ok(()),
                    Change::Anything => archives.append(&mut self.waiting()),
                    Change::Written(name) => archives.extend(Some(self.directory().join(name))),
                }
            }
            archives.retain(|archive| is_archive(archive));
            archives.dedup();
        }
    }

    /// The archives that are there and were not refused as they are, by name.
    fn waiting(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory()).into_iter().flatten().flatten();
        let mut archives: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| is_archive(path) && !mark::is_current(path))
            .collect();
        archives.sort();
        archives
    }

    fn deploy(&mut self, archive: &Path, replace: Replace<'_>) {
        match self.begin(archive) {
            Ok(begun) => {
                let result = replace(begun.deployment.order.clone());
                self.conclude(begun, result, replace);
            }
            Err(Failure::Gone | Failure::Later) => {}
            Err(Failure::Refused(why)) => reject(archive, &why),
        }
    }

    /// Reads and checks an archive, and puts its files in their place.
    fn begin(&self, archive: &Path) -> Result<Begun, Failure> {
        let stamp = Stamp::of(archive).map_err(|_| Failure::Gone)?;
        let refused = |why: &dyn std::fmt::Display| Failure::Refused(why.to_string());
        let limits = Limits::default();
        let bytes = match lar::read_file(archive, &limits) {
            Err(_) if Stamp::of(archive).is_err() => return Err(Failure::Gone),
            bytes => bytes.map_err(|error| refused(&error))?,
        };
        let opened = Archive::open(&bytes, &limits).map_err(|error| refused(&error))?;
        let name = opened.root().to_owned();
        if self.begun.iter().any(|begun| begun.name == name) {
            return Err(Failure::Later);
        }
        let json = json(&opened).map_err(|why| refused(&why))?;
        let file =
            format!("{}: {name}/{name}.json", archive.file_name().unwrap_or_default().to_string_lossy());
        let deployment =
            config::deployment(&file, &json, &name, &self.services).map_err(|mistakes| refused(&mistakes))?;
        let mut staged = Staged::unpack(&opened, &self.directories).map_err(|why| refused(&why))?;
        staged.swap().map_err(|why| refused(&why))?;
        let old = self.services.iter().find(|service| service.name == name).cloned();
        Ok(Begun { archive: archive.to_owned(), stamp, name, json, staged, deployment, old })
    }

    /// Lets the new files stay, or puts the old ones back, as the server has said.
    fn conclude(&mut self, begun: Begun, result: Result<(), Refused>, replace: Replace<'_>) {
        let Begun { archive, stamp, name, json, staged, deployment, old } = begun;
        let Err(refused) = result else {
            staged.keep();
            self.services = deployment.services;
            if self.auto_save
                && let Err(error) = config::save(&self.places, &name, &json)
            {
                tracing::error!(service = name, "service '{name}' is deployed, but {error}");
            }
            mark::remove(&archive);
            // Unless there is a newer one by now, of which we hear.
            if Stamp::of(&archive).is_ok_and(|now| now == stamp)
                && let Err(error) = fs::remove_file(&archive)
            {
                tracing::error!("{} is deployed, but cannot be removed: {error}", archive.display());
            }
            return tracing::info!(service = name, "service '{name}' is deployed from {}", archive.display());
        };
        if let Err(error) = staged.undo() {
            tracing::error!(
                service = name,
                "the files of service '{name}' from before cannot be put back: {error}"
            );
        }
        self.services.retain(|service| service.name != name);
        self.services.extend(old.clone());
        if refused.stopping {
            return tracing::info!("{} waits for the next start", archive.display());
        }
        reject(&archive, &refused.why);
        if refused.stopped
            && let Some(old) = old.filter(|old| old.auto_start)
        {
            match replace(vec![old]) {
                Ok(()) => tracing::info!(service = name, "service '{name}' runs again in the version before"),
                Err(again) if again.stopping => {}
                Err(again) => {
                    tracing::error!(
                        service = name,
                        "service '{name}' does not run in the version before either: {}",
                        again.why
                    );
                }
            }
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Stamp> {
        let file = fs::metadata(path)?;
        let whole = [file.dev(), file.ino(), file.size()].map(|number| number as i64);
        Ok(Stamp([whole[0], whole[1], whole[2], file.mtime(), file.mtime_nsec()]))
    }
}

/// The configuration in an archive.
fn json(archive: &Archive<'_>) -> Result<Vec<u8>, String> {
    let path = format!("{0}/{0}.json", archive.root());
    let item = archive.items().iter().find(|item| item.path == path);
    let item = item.ok_or_else(|| format!("{path} is missing"))?;
    if item.size > MAX_JSON {
        return Err(format!("{path} has {} bytes; at most {MAX_JSON} are allowed", item.size));
    }
    let mut json = Vec::new();
    archive.unpack(item, &mut json).map_err(|error| error.to_string())?;
    Ok(json)
}

/// A name that ends with .lar, and is not hidden as those are that are still being written.
fn is_archive(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension() == Some(OsStr::new(EXTENSION))
}

fn reject(archive: &Path, why: &str) {
    if let Err(error) = mark::put(archive, why) {
        tracing::error!("{} cannot be marked as refused: {error}", archive.display());
    }
    tracing::error!("{} is refused, and nothing has changed: {why}", archive.display());
}
