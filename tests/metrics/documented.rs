//! `docs/metrics.md` names every metric that a server tells of, with its type and labels, and no other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::common::home::ECHO;
use crate::scrape::{Watched, home};

#[test]
fn every_metric_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let document = fs::read_to_string(path).unwrap();
    let mut rows = BTreeMap::new();
    let is_metric = |line: &&str| line.starts_with("| `lapps_") || line.starts_with("| `process_");
    for line in document.lines().filter(is_metric) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells[..] else { panic!("a row of four cells: {line}") };
        assert!(!meaning.is_empty() && !labels.is_empty(), "{line}");
        rows.insert(name.trim_matches('`').to_owned(), kind.to_owned());
    }
    let watched = Watched::start(&home().service("echo", ECHO, json!({})));
    assert_eq!(rows, watched.scrape().types);
}

#[test]
fn every_cause_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let document = fs::read_to_string(path).unwrap();
    let watched = Watched::start(&home().service("echo", ECHO, json!({})));
    let scrape = watched.scrape();
    for (name, label) in [
        ("lapps_connections_ended_total", "cause"),
        ("lapps_pauses_total", "reason"),
        ("lapps_connections_refused_total", "reason"),
        ("lapps_tls_handshakes_total", "result"),
        ("lapps_lua_fibers", "state"),
    ] {
        for value in scrape.values(name, label) {
            assert!(document.contains(&format!("`{value}`")), "{label} {value} of {name}");
        }
    }
}
