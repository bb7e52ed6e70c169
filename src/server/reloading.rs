//! Reading files again while the server runs: certificates and access lists, for those who connect from then on.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Sender};

use serde_json::{Value, json};

use super::Server;
use crate::config::{self, Changed, Config, Places, Service, Tls, Written};
use crate::engine::report::{Inquiry, Report};
use crate::net::tls;
use crate::ops::supervisor;
use crate::services::acl::Acl;

/// Has a running server read its files again, from whichever thread.
#[derive(Debug, Clone)]
pub struct Reloader(Sender<Report>);

/// What was read at the start, and what of it was read again.
pub(super) struct Files {
    places: Option<Places>,
    /// As they were when the server started.
    written: Option<Written>,
    tls: Option<Tls>,
    /// The access lists of services, by name.
    lists: BTreeMap<String, Lists>,
}

/// The access list of a service.
struct Lists {
    /// As copies of the configuration may still have it that were made at the start.
    first: Acl,
    now: Acl,
}

/// What came of it.
#[derive(Default)]
struct Told {
    /// Files that were read, and are right.
    read: Vec<String>,
    /// What is another one from now on.
    changed: Vec<String>,
    /// Files that are wrong, and how.
    refused: Vec<String>,
    /// Keys that have changed and are not applied.
    needs_restart: Vec<String>,
}

impl Reloader {
    pub(super) fn new(reports: Sender<Report>) -> Reloader {
        Reloader(reports)
    }

    /// Has the certificate with its key, and the access lists, read again; what comes of it is logged.
    pub fn reload(&self) {
        let (answer, _) = mpsc::channel();
        let _ = self.0.send(Report::Asked(Inquiry::Reload(answer)));
    }
}

impl Files {
    pub(super) fn new(config: &Config) -> Files {
        let list = |service: &Service| {
            let acl = &service.acl;
            (service.name.clone(), Lists { first: acl.clone(), now: acl.clone() })
        };
        Files {
            written: config.places.as_ref().map(Written::read),
            places: config.places.clone(),
            tls: config.tls.clone(),
            lists: config.services.iter().map(list).collect(),
        }
    }

    /// Gives a service that comes from a copy of the configuration the access list that was read since.
    pub(super) fn refresh(&self, service: &mut Service) {
        if let Some(lists) = self.lists.get(&service.name)
            && service.acl == lists.first
        {
            service.acl = lists.now.clone();
        }
    }
}

impl Server {
    /// Reads the files again. What is wrong leaves the old in force; connections that there are do not notice anything.
    pub(super) fn reload(&mut self) -> Value {
        let mut told = Told::default();
        // Who waits for the start hears of that alone.
        let serves = self.settings.ledger.is_ready();
        if serves {
            supervisor::reloading();
        }
        match self.files.places.clone() {
            None => tracing::info!("nothing to read again: this is the built-in demo"),
            Some(places) => {
                let config = self.reload_configuration(&places, &mut told);
                self.reload_certificate(config.and_then(|config| config.tls), &mut told);
                told.log();
            }
        }
        if serves {
            supervisor::ready(&self.in_one_line());
        }
        told.into_json()
    }

    /// Reads the configuration, and applies its access lists.
    fn reload_configuration(&mut self, places: &Places, told: &mut Told) -> Option<Config> {
        let config = match config::load(places) {
            Ok(config) => config,
            Err(mistakes) => {
                told.refused.extend(mistakes.0.iter().map(ToString::to_string));
                return None;
            }
        };
        for file in [&places.ws_file, &places.lapps_file] {
            told.read.extend(file.is_file().then(|| file.display().to_string()));
        }
        if *self.settings.acl.get() != config.acl {
            self.settings.acl.set(config.acl.clone());
            told.changed.push("acl".into());
        }
        for service in &config.services {
            self.reload_list(service, told);
        }
        let now = Written::read(places);
        let changes = self.files.written.as_ref().map(|written| written.changes(&now)).unwrap_or_default();
        for change in changes.iter().filter(|change| self.needs_restart(change, &config)) {
            let file = if change.in_lapps { &places.lapps_file } else { &places.ws_file };
            let file = file.file_name().unwrap_or_default().to_string_lossy();
            told.needs_restart.push(format!("{file}: {}", change.key));
        }
        Some(config)
    }

    /// Applies the access list of a service if it has changed; what is in force may be that of an archive.
    fn reload_list(&mut self, service: &Service, told: &mut Told) {
        let Some(number) = self.versions.named(&service.name) else { return };
        let acl = (*self.versions.at(number).entry.acl.get()).clone();
        let lists = self.files.lists.entry(service.name.clone());
        let lists = lists.or_insert_with(|| Lists { first: acl.clone(), now: acl });
        if lists.now == service.acl {
            return;
        }
        lists.now = service.acl.clone();
        // The one that is just starting too.
        for (_, version) in self.versions.all().filter(|(_, version)| version.name() == service.name) {
            version.entry.acl.set(service.acl.clone());
        }
        told.changed.push(format!("services.{}.acl", service.name));
    }

    /// Whether a key that is not the same as at the start has an effect only at the next one.
    fn needs_restart(&self, change: &Changed, config: &Config) -> bool {
        let below = |key: &str| {
            change.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if !change.in_lapps {
            let both = change.key == "tls_certificates" && self.files.tls.is_none();
            return both || !["acl", "tls_certificates.cert", "tls_certificates.key"].into_iter().any(below);
        }
        let Some(rest) = change.key.strip_prefix("services.") else { return true };
        let (name, key) = rest.split_once('.').unwrap_or((rest, ""));
        if key == "acl" || key.starts_with("acl.") {
            return false;
        }
        // What was deployed since, and then written back, is in force.
        let written = config.services.iter().find(|service| service.name == name);
        let runs = self.services().find(|(service, _)| service.name == name).map(|(service, _)| service);
        match (written, runs) {
            (Some(written), Some(runs)) => {
                *written
                    != Service { acl: written.acl.clone(), auto_start: written.auto_start, ..runs.clone() }
            }
            _ => true,
        }
    }

    /// Reads certificate and key, from where they are now or were before.
    fn reload_certificate(&mut self, written: Option<Tls>, told: &mut Told) {
        let (Some(before), Some(current)) = (&self.files.tls, &self.settings.tls) else { return };
        let files = written.unwrap_or_else(|| before.clone());
        let files = Tls { minimum: before.minimum, ..files };
        match tls::load(&files) {
            Ok(identity) => {
                told.read.extend([&files.certificate, &files.key].map(|file| file.display().to_string()));
                if !current.get().is_same(&identity) {
                    current.set(identity);
                    told.changed.push("tls_certificates".into());
                }
                self.files.tls = Some(files);
            }
            Err(error) => told.refused.push(error.to_string()),
        }
    }
}

impl Told {
    fn log(&self) {
        for refused in &self.refused {
            tracing::error!("read again and refused, the old is in force: {refused}");
        }
        match &self.changed[..] {
            [] if !self.refused.is_empty() => {}
            [] => tracing::info!("read again: nothing is to be applied"),
            changed => tracing::info!("read again, for new connections: {}", changed.join(", ")),
        }
        if !self.needs_restart.is_empty() {
            tracing::warn!("changed, but this needs a restart: {}", self.needs_restart.join(", "));
        }
    }

    fn into_json(self) -> Value {
        json!({
            "read": self.read,
            "changed": self.changed,
            "refused": self.refused,
            "needs_restart": self.needs_restart,
        })
    }
}
