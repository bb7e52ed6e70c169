//! Reads the configuration that comes with an archive, and fits its service in among the others.

use std::collections::HashSet;

use super::document::Document;
use super::keys;
use super::load::about_file;
use super::mistakes::Mistakes;
use super::order::{self, Wrong};
use super::section::Section;
use super::{Service, Source, service_section};

/// What changes when a service is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// What the service needs, in the order of the start, and itself as the last one.
    pub order: Vec<Service>,
    /// All services from then on, in the order of their start.
    pub services: Vec<Service>,
}

/// Reads `text`, the `NAME.json` of the service `name`, which comes to `services` or replaces the one of that name.
/// `file` is how mistakes call it.
///
/// # Errors
/// All mistakes: those of the file, and those that the service would make beside the others.
pub fn deployment(file: &str, text: &[u8], name: &str, services: &[Service]) -> Result<Deployment, Mistakes> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(Mistakes(vec![about_file(file.as_ref(), "is not UTF-8".into())]));
    };
    let document = Document::new(file, text);
    let Some(value) = document.parse() else { return Err(Mistakes(document.into_mistakes())) };
    let section = Section::service_alone(&document, Some(&value));
    check_name(name, &section);
    let service = service_section::read(name, &section, Source::Apps);
    let mut all: Vec<Service> = services.iter().filter(|other| other.name != name).cloned().collect();
    check_target(&service, &section, &all);
    all.push(service);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let (all, wrongs) = order::by_dependency(all);
    for wrong in wrongs {
        report_dependency(name, &wrong, &section, &all);
    }
    drop(section);
    drop(value);
    let mistakes = document.into_mistakes();
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    Ok(Deployment { order: needed(name, &all), services: all })
}

/// The name has to be there, and to be that of the directory.
fn check_name(name: &str, section: &Section<'_>) {
    match section.text_if_there(&keys::NAME) {
        Some((written, node)) if written != name => {
            node.wrong("is not the name of the archive's root directory", format!("that is \"{name}\""));
        }
        None if section.node(&keys::NAME).is_none() => {
            section.missing(&keys::NAME, "it is the name of the archive's root directory", None);
        }
        _ => {}
    }
}

fn check_target(service: &Service, section: &Section<'_>, others: &[Service]) {
    let target = &service.request_target;
    let same = others.iter().find(|other| !target.is_empty() && other.request_target == *target);
    if let (Some(other), Some(node)) = (same, section.node(&keys::REQUEST_TARGET)) {
        node.wrong(
            format!("service {} has the same target", other.name),
            "each service needs a target of its own",
        );
    }
}

fn report_dependency(name: &str, wrong: &Wrong, section: &Section<'_>, all: &[Service]) {
    match wrong {
        Wrong::Unknown { service, name: needed, nearest } => {
            let known: Vec<&str> = all.iter().map(|service| service.name.as_str()).collect();
            let known = format!("the services are {}", known.join(", "));
            // The others have been read before.
            if let Some(node) = section.element(&keys::DEPENDS, needed).filter(|_| service == name) {
                node.wrong_near("there is no such service", known, nearest.as_deref());
            }
        }
        Wrong::Cycle(names) => {
            let cycle: Vec<&str> = names.iter().chain(names.first()).map(String::as_str).collect();
            let told = format!("the services depend on each other in a circle: {}", cycle.join(" -> "));
            let allowed = "none of them could be started first";
            // It was none without this service, so one of those that it needs is in it.
            let after = names.iter().find_map(|needed| section.element(&keys::DEPENDS, needed));
            match after {
                Some(node) => node.wrong(told, allowed),
                None => section.wrong(told, allowed),
            }
        }
    }
}

/// Those of `all`, which are in the order of their start, that `name` needs, and itself.
fn needed(name: &str, all: &[Service]) -> Vec<Service> {
    let mut names = HashSet::from([name]);
    // From the last to the first: when it is a service's turn, all that need it had theirs.
    for service in all.iter().rev() {
        if names.contains(service.name.as_str()) {
            names.extend(service.depends.iter().map(String::as_str));
        }
    }
    let mut order: Vec<Service> =
        all.iter().filter(|service| names.contains(service.name.as_str())).cloned().collect();
    order.sort_by_key(|service| service.name == name);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::demo;

    fn others() -> Vec<Service> {
        let model = demo().services.remove(0);
        ["a", "b", "c"]
            .map(|name| Service {
                name: name.into(),
                request_target: format!("/{name}"),
                auto_start: false,
                depends: if name == "c" { vec!["b".into()] } else { Vec::new() },
                ..model.clone()
            })
            .into()
    }

    fn mistakes(text: &str) -> Vec<String> {
        let mistakes = deployment("x.lar: x/x.json", text.as_bytes(), "x", &others()).unwrap_err();
        mistakes.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_service_comes_with_what_it_needs() {
        let text = br#"{"name": "x", "request_target": "/x", "depends": ["c"]}"#;
        let Deployment { order, services } = deployment("x", text, "x", &others()).unwrap();
        let names: Vec<_> = order.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "x"]);
        assert!(order.iter().all(|service| service.auto_start));
        let started: Vec<_> =
            services.iter().map(|service| (service.name.as_str(), service.auto_start)).collect();
        assert_eq!(started, [("a", false), ("b", true), ("c", true), ("x", true)]);
    }

    #[test]
    fn a_service_replaces_the_one_of_its_name() {
        let text = br#"{"name": "c", "request_target": "/elsewhere"}"#;
        let Deployment { order, services } = deployment("c", text, "c", &others()).unwrap();
        assert_eq!((order.len(), services.len()), (1, 3));
        assert_eq!(order[0].request_target, "/elsewhere");
    }

    #[test]
    fn mistakes_have_lines_and_what_the_others_have_to_say() {
        assert_eq!(
            mistakes(
                "{\n\"name\": \"y\",\n\"request_target\": \"/a\",\n\"instances\": 0,\n\"depends\": [\"d\"]\n}"
            ),
            [
                "x.lar: x/x.json:2: name = \"y\": is not the name of the archive's root directory; that is \"x\"",
                "x.lar: x/x.json:3: request_target = \"/a\": service a has the same target; each service needs a target of its own",
                "x.lar: x/x.json:4: instances = 0: out of range; allowed is a whole number from 1 to 1024",
                "x.lar: x/x.json:5: depends[0] = \"d\": there is no such service; the services are a, b, c, x",
            ]
        );
        assert_eq!(
            mistakes(r#"{"request_target": "/x"}"#),
            [
                "x.lar: x/x.json:1: name: missing; it is the name of the archive's root directory; allowed is a string: \
              the name of the archive's root directory"
            ]
        );
        assert_eq!(
            mistakes("{\"name\": \"x\", \"request_target\": \"/x\",\n \"auto_strat\": true}"),
            ["x.lar: x/x.json:2: auto_strat: unknown key [did you mean \"auto_start\"?]"]
        );
        assert!(mistakes("[]")[0].contains("a list"));
        assert!(mistakes("{\"name\": \"x\",\n}")[0].starts_with("x.lar: x/x.json:1:13: a comma"));
        let told = deployment("x", b"\xff", "x", &[]).unwrap_err().to_string();
        assert_eq!(told, "x: is not UTF-8");
    }

    #[test]
    fn a_circle_is_found_wherever_it_is_closed() {
        let text = b"{\"name\": \"b\", \"request_target\": \"/b\",\n\"depends\": [\"a\", \"c\"]}";
        let told = deployment("b", text, "b", &others()).unwrap_err().to_string();
        assert!(
            told.starts_with("b:2: depends[1] = \"c\": the services depend on each other in a circle"),
            "{told}"
        );
        let own = br#"{"name": "x", "request_target": "/x", "depends": ["x"]}"#;
        assert!(deployment("x", own, "x", &others()).unwrap_err().to_string().contains("circle: x -> x"));
    }
}
