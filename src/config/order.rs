//! The order in which services are started: dependencies first, then by name.

use super::Service;
use super::document::nearest;

/// Takes a mistake: the service whose `depends` is wrong, what is wrong, and a name that may have been meant.
pub(super) type Report<'r> = &'r dyn Fn(&str, String, Option<&str>);

/// Sorts services (given by name) and marks those for the start that a started one depends on.
///
/// Unknown names and cycles are reported; the order is then of no use, but every service is in it once.
pub(super) fn by_dependency(mut services: Vec<Service>, report: Report<'_>) -> Vec<Service> {
    let known: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
    let depends: Vec<Vec<usize>> = services
        .iter()
        .map(|service| {
            let found = service.depends.iter().filter_map(|name| {
                let found = known.binary_search(name).ok();
                if found.is_none() {
                    let near = nearest(name, known.iter().map(String::as_str));
                    report(&service.name, format!("there is no service \"{}\"", name.escape_debug()), near);
                }
                found
            });
            found.collect()
        })
        .collect();

    let mut walk =
        Walk { depends: &depends, marks: vec![Mark::New; known.len()], path: Vec::new(), order: Vec::new() };
    for index in 0..known.len() {
        walk.visit(index, &mut |cycle: &[usize]| {
            let names: Vec<&str> = cycle.iter().map(|&index| known[index].as_str()).collect();
            report(names[0], format!("a circle: {} -> {}", names.join(" -> "), names[0]), None);
        });
    }
    let order = walk.order;
    // From the last to the first: whoever depends on a service stands behind it.
    for &index in order.iter().rev() {
        if services[index].auto_start {
            for &needed in &depends[index] {
                services[needed].auto_start = true;
            }
        }
    }
    let mut services: Vec<Option<Service>> = services.into_iter().map(Some).collect();
    order.into_iter().filter_map(|index| services[index].take()).collect()
}

/// A walk in depth through the dependencies.
struct Walk<'d> {
    depends: &'d [Vec<usize>],
    marks: Vec<Mark>,
    path: Vec<usize>,
    order: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    OnPath,
    Done,
}

impl Walk<'_> {
    fn visit(&mut self, index: usize, report_cycle: &mut dyn FnMut(&[usize])) {
        match self.marks[index] {
            Mark::Done => return,
            Mark::OnPath => {
                let start = self.path.iter().position(|&on_path| on_path == index).unwrap_or(0);
                report_cycle(&self.path[start..]);
                return;
            }
            Mark::New => {}
        }
        self.marks[index] = Mark::OnPath;
        self.path.push(index);
        for &needed in &self.depends[index] {
            self.visit(needed, report_cycle);
        }
        self.path.pop();
        self.marks[index] = Mark::Done;
        self.order.push(index);
    }
}
