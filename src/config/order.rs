//! The order in which services are started: dependencies first, then by name.

use super::Service;
use super::document::nearest;

/// A dependency that cannot be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A service depends on one that is not there.
    Unknown {
        /// The service whose `depends` says so.
        service: String,
        /// What it says.
        name: String,
        /// A service of a similar name.
        nearest: Option<String>,
    },
    /// Each of these services depends on the next one, and the last one on the first.
    Cycle(Vec<String>),
}

impl Wrong {
    /// A service and the name in its `depends` where the mistake can be mended.
    pub(super) fn link(&self) -> (&str, &str) {
        match self {
            Wrong::Unknown { service, name, .. } => (service, name),
            Wrong::Cycle(names) => match names.as_slice() {
                [first, .., last] => (last, first),
                [only] => (only, only),
                [] => ("", ""),
            },
        }
    }
}

/// Puts services, given sorted by name, into the order of their start, and marks those for the start that a started one
/// depends on.
///
/// Also returns what is wrong; each service is in the order once in any case.
pub(super) fn by_dependency(mut services: Vec<Service>) -> (Vec<Service>, Vec<Wrong>) {
    let mut wrongs = Vec::new();
    let names: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
    let depends: Vec<Vec<usize>> =
        services.iter().map(|service| numbers(service, &names, &mut wrongs)).collect();

    let mut walk = Walk {
        depends: &depends,
        marks: vec![Mark::New; names.len()],
        path: Vec::new(),
        order: Vec::new(),
        cycles: Vec::new(),
    };
    for service in 0..names.len() {
        walk.visit(service);
    }
    let Walk { order, cycles, .. } = walk;
    wrongs.extend(
        cycles
            .into_iter()
            .map(|cycle| Wrong::Cycle(cycle.into_iter().map(|service| names[service].clone()).collect())),
    );

    // From the last to the first: when it is a service's turn, all that depend on it had theirs.
    for &service in order.iter().rev() {
        if services[service].auto_start {
            for &needed in &depends[service] {
                services[needed].auto_start = true;
            }
        }
    }
    let mut services: Vec<Option<Service>> = services.into_iter().map(Some).collect();
    (order.into_iter().filter_map(|service| services[service].take()).collect(), wrongs)
}

/// The numbers of the services that one depends on.
fn numbers(service: &Service, names: &[String], wrongs: &mut Vec<Wrong>) -> Vec<usize> {
    let mut numbers = Vec::with_capacity(service.depends.len());
    for name in &service.depends {
        match names.binary_search(name) {
            Ok(number) => numbers.push(number),
            Err(_) => wrongs.push(Wrong::Unknown {
                service: service.name.clone(),
                name: name.clone(),
                nearest: nearest(name, names.iter().map(String::as_str)).map(str::to_string),
            }),
        }
    }
    numbers
}

/// A walk through the dependencies, depth first; services are numbers.
struct Walk<'d> {
    depends: &'d [Vec<usize>],
    marks: Vec<Mark>,
    /// The services whose dependencies are being visited, each needed by the one before it.
    path: Vec<usize>,
    order: Vec<usize>,
    cycles: Vec<Vec<usize>>,
}

#[derive(Clone, Copy)]
enum Mark {
    New,
    OnPath,
    Done,
}

impl Walk<'_> {
    fn visit(&mut self, service: usize) {
        match self.marks[service] {
            Mark::Done => {}
            Mark::OnPath => {
                let start = self.path.iter().position(|&on_path| on_path == service).unwrap_or(0);
                self.cycles.push(self.path[start..].to_vec());
            }
            Mark::New => {
                self.marks[service] = Mark::OnPath;
                self.path.push(service);
                for &needed in &self.depends[service] {
                    self.visit(needed);
                }
                self.path.pop();
                self.marks[service] = Mark::Done;
                self.order.push(service);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::demo;

    /// Services written as `(name, auto_start, depends)`.
    fn services(written: &[(&str, bool, &[&str])]) -> Vec<Service> {
        let model = demo().services.remove(0);
        written
            .iter()
            .map(|(name, auto_start, depends)| Service {
                name: name.to_string(),
                auto_start: *auto_start,
                depends: depends.iter().map(|name| name.to_string()).collect(),
                ..model.clone()
            })
            .collect()
    }

    fn order(written: &[(&str, bool, &[&str])]) -> (Vec<(String, bool)>, Vec<Wrong>) {
        let (services, wrongs) = by_dependency(services(written));
        (services.into_iter().map(|service| (service.name, service.auto_start)).collect(), wrongs)
    }

    #[test]
    fn without_dependencies_the_order_is_by_name() {
        let (order, wrongs) = order(&[("a", true, &[]), ("b", false, &[]), ("c", true, &[])]);
        assert_eq!(order, [("a".to_string(), true), ("b".to_string(), false), ("c".to_string(), true)]);
        assert_eq!(wrongs, []);
    }

    #[test]
    fn dependencies_stand_before_those_that_need_them_and_are_started_too() {
        let (order, wrongs) = order(&[
            ("a", true, &["z"]),
            ("b", true, &[]),
            ("m", false, &["y"]),
            ("x", false, &["b"]),
            ("y", false, &[]),
            ("z", false, &["m", "b"]),
        ]);
        let names: Vec<_> = order.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["y", "m", "b", "z", "a", "x"]);
        let not_started: Vec<_> =
            order.iter().filter(|(_, started)| !started).map(|(name, _)| name.as_str()).collect();
        assert_eq!(not_started, ["x"]);
        assert_eq!(wrongs, []);
    }

    #[test]
    fn a_cycle_is_named_once_from_its_first_service_round() {
        let (order, wrongs) =
            order(&[("a", true, &["b"]), ("b", true, &["c"]), ("c", true, &["d"]), ("d", true, &["b"])]);
        assert_eq!(order.len(), 4);
        assert_eq!(wrongs, [Wrong::Cycle(vec!["b".to_string(), "c".to_string(), "d".to_string()])]);
        assert_eq!(wrongs[0].link(), ("d", "b"));
    }

    #[test]
    fn a_service_that_depends_on_itself_is_a_cycle() {
        let (_, wrongs) = order(&[("a", true, &["a"])]);
        assert_eq!(wrongs, [Wrong::Cycle(vec!["a".to_string()])]);
        assert_eq!(wrongs[0].link(), ("a", "a"));
    }

    #[test]
    fn an_unknown_service_is_named_with_its_nearest() {
        let (order, wrongs) = order(&[("chat", true, &["stroage"]), ("storage", true, &[])]);
        assert_eq!(order.len(), 2);
        let [Wrong::Unknown { service, name, nearest }] = &wrongs[..] else { panic!("{wrongs:?}") };
        assert_eq!(
            (service.as_str(), name.as_str(), nearest.as_deref()),
            ("chat", "stroage", Some("storage"))
        );
    }
}
