//! Reads `lapps.json`: the directories and the services.

use std::collections::HashMap;
use std::path::Path;

use super::keys::{self, Key};
use super::order::{self, Wrong};
use super::places::absolute;
use super::section::Section;
use super::{Directories, Service, Source, service_section};

/// What `lapps.json` says.
pub(super) struct Services {
    pub(super) directories: Directories,
    /// In the order of their start.
    pub(super) services: Vec<Service>,
}

/// Finds the code of a service by its name.
pub(super) type Sources<'s> = &'s dyn Fn(&str) -> Source;

pub(super) fn read(file: &Section<'_>, home: &Path, sources: Sources<'_>) -> Services {
    let directories = directories(&file.section(&keys::DIRECTORIES), home);
    let mut sections = file.sections(&keys::SERVICES);
    sections.sort_by_key(|(name, _)| *name);
    sections.dedup_by_key(|(name, _)| *name);
    let services: Vec<Service> =
        sections.iter().map(|(name, section)| service_section::read(name, section, sources(name))).collect();
    report_shared_targets(&services, &sections);
    let (services, wrongs) = order::by_dependency(services);
    for wrong in wrongs {
        report_dependency(&wrong, &sections);
    }
    Services { directories, services }
}

fn directories(section: &Section<'_>, home: &Path) -> Directories {
    let path = |key: &Key| absolute(&home.join(section.text(key)));
    Directories {
        home: home.to_path_buf(),
        applications: path(&keys::APPLICATIONS),
        app_conf: path(&keys::APP_CONF_DIR),
        tmp: path(&keys::TMP),
        workdir: path(&keys::WORKDIR),
        deploy: path(&keys::DEPLOY),
    }
}

fn report_shared_targets(services: &[Service], sections: &[(&str, Section<'_>)]) {
    let mut owners: HashMap<&str, (&str, usize)> = HashMap::new();
    for (service, (_, section)) in services.iter().zip(sections) {
        let Some(node) = section.node(&keys::REQUEST_TARGET) else { continue };
        if service.request_target.is_empty() {
            continue;
        }
        if let Some((other, line)) = owners.get(service.request_target.as_str()) {
            node.wrong(
                format!("service {other} has the same target (line {line})"),
                "each service needs a target of its own",
            );
        } else {
            owners.insert(&service.request_target, (&service.name, node.line()));
        }
    }
}

fn report_dependency(wrong: &Wrong, sections: &[(&str, Section<'_>)]) {
    let (service, depends_on) = wrong.link();
    let section = sections.iter().find(|(name, _)| *name == service).map(|(_, section)| section);
    if let Some(node) = section.and_then(|section| section.element(&keys::DEPENDS, depends_on)) {
        match wrong {
            Wrong::Unknown { nearest, .. } => {
                let known: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
                let known = format!("the services are {}", known.join(", "));
                node.wrong_near("there is no such service", known, nearest.as_deref());
            }
            Wrong::Cycle(names) => {
                let cycle =
                    names.iter().chain(names.first()).map(String::as_str).collect::<Vec<_>>().join(" -> ");
                node.wrong(
                    format!("the services depend on each other in a circle: {cycle}"),
                    "none of them could be started first",
                );
            }
        }
    }
}
