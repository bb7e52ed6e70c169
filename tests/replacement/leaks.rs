//! A thousand replacements leave nothing behind: no descriptor, no thread, no memory.

use std::fs;

use serde_json::json;

use super::theatre::{COMPANY, Theatre, placed, version};
use crate::common::client::Got;
use crate::common::home::Home;
use crate::common::until;

fn count(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

/// Threads that are not a test's own: those are named as their test is, with its module.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| !name.contains("::")).count()
}

fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn a_thousand_replacements_leave_nothing() {
    let _alone = COMPANY.write().unwrap_or_else(|poisoned| poisoned.into_inner());
    let home = Home::new().ws(json!({ "workers": { "workers": 2 } }));
    let (here, there) = (version(&home, "here", "here"), version(&home, "there", "there"));
    let home = home.service("here", &here, placed("/here", 0)).service("there", &there, placed("/there", 2));
    let theatre = Theatre::alone(home);
    let services = [theatre.services("here"), theatre.services("there")];
    let replacer = theatre.replacer();
    let round = |rounds: usize| {
        for round in 0..rounds {
            let (service, target) = [(&services[0], "/here"), (&services[1], "/there")][round % 2];
            let mut client = theatre.client(target);
            client.text("a");
            assert!(matches!(client.get(), Got::Text(_)));
            replacer.replace(service.clone()).unwrap();
            assert!(matches!(client.get(), Got::Close(1012, _)));
            client.close(1012);
            assert_eq!(client.get(), Got::Eof);
        }
    };
    round(200);
    let rest = || (count("/proc/self/fd"), threads());
    // Two workers, a listener, the waiting thread, two instances, the deployer, the runner of the tests.
    until("all threads of old versions have ended", || rest().1 <= 8);
    let (before, memory) = (rest(), resident());
    round(1000);
    until("as before", || rest() <= before);
    let grown = resident().saturating_sub(memory);
    assert!(grown < 8 << 20, "{grown} bytes more");
}
