//! `docs/configuration.md` has every key that the program knows, with the same types, ranges and defaults, and no other key.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lapps::config::keys::{self, Fallback, Key};
use lapps::config::{self, Places};

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap()
}

/// The part of a document between two headings.
fn chapter<'d>(document: &'d str, heading: &str) -> &'d str {
    let start = document.find(&format!("\n## {heading}")).unwrap_or_else(|| panic!("no chapter {heading}"));
    let rest = &document[start + 1..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// The table rows of a chapter that begin with a key: the key, and what may be written and what the default is.
fn rows(chapter: &str) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for line in chapter.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [key, allowed, default, meaning] = cells[..] else { panic!("a row of four cells: {line}") };
        assert!(!meaning.is_empty(), "{line}");
        let old = rows.insert(key.trim_matches('`').to_string(), format!("{allowed} | {default}"));
        assert_eq!(old, None, "{key} is there twice");
    }
    rows
}

fn expected(keys: &'static [Key]) -> BTreeMap<String, String> {
    let paths = keys::paths(keys).into_iter();
    paths.map(|(path, key)| (path, format!("{} | {}", key.kind.allowed(), default(key)))).collect()
}

fn default(key: &Key) -> String {
    match key.default {
        Fallback::Written(text) => format!("`{text}`"),
        Fallback::Computed(words) | Fallback::Absent(words) => words.to_string(),
        Fallback::Required(words) => format!("required {words}"),
    }
}

#[test]
fn every_key_of_the_server_is_documented() {
    assert_eq!(rows(chapter(&document(), "ws.json")), expected(keys::WS));
}

#[test]
fn every_key_of_the_services_is_documented() {
    assert_eq!(rows(chapter(&document(), "lapps.json")), expected(keys::LAPPS));
}

#[test]
fn the_examples_are_right() {
    let document = document();
    let mut blocks = document.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let home = tempfile::tempdir().unwrap();
    let places = Places::find(Some(home.path()), &|_| None).unwrap();
    fs::create_dir_all(&places.conf_dir).unwrap();
    fs::create_dir_all(home.path().join("ssl")).unwrap();
    for name in ["cert.pem", "key.pem"] {
        fs::write(home.path().join("ssl").join(name), "").unwrap();
    }
    let mut tried = 0;
    while let (Some(ws), Some(lapps)) = (blocks.next(), blocks.next()) {
        fs::write(&places.ws_file, ws).unwrap();
        fs::write(&places.lapps_file, lapps).unwrap();
        config::load(&places).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        tried += 1;
    }
    assert!(tried >= 2, "{tried}");
}
