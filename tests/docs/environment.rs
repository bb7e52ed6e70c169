//! Environment variables: those of the code are those of the table in `docs/commands.md`, and other pages name no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::pages;

/// Read by the libraries that are linked: LuaJIT, and those for the system's certificates and for systemd.
const OF_LIBRARIES: [&str; 6] =
    ["LUA_CPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];
/// Names of this form that are no variables of the program; one is of a measurement among its tests.
const NO_VARIABLES: [&str; 3] = ["CARGO_PKG_VERSION", "LAPPS_CONNECTIONS", "LUA_NOENV"];
/// Variables of tests, examples and scripts, which are told of where they are used.
const ELSEWHERE: [&str; 4] = ["LAPPS_BIN", "LAPPS_MAINTAINER", "LAPPS_REQUIRE_CHROMIUM", "LAPPS_TEST_IO"];

fn table() -> BTreeSet<String> {
    let document = pages::read("docs/commands.md");
    let chapter = document.split("\n## Environment\n").nth(1).expect("the chapter");
    let rows = chapter.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split(','))
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect()
}

/// `LIKE_THIS`.
fn is_variable(text: &str) -> bool {
    text.contains('_')
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && !text.ends_with('_')
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Literals of this form in the code below a directory, tests aside.
fn literals(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            literals(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                found.extend(
                    line.split('"').skip(1).step_by(2).filter(|text| is_variable(text)).map(str::to_owned),
                );
            }
        }
    }
}

#[test]
fn every_variable_is_documented() {
    let mut known: BTreeSet<String> = OF_LIBRARIES.map(str::to_owned).into();
    for directory in ["src", "lua/src", "parser/src"] {
        literals(&pages::root().join(directory), &mut known);
    }
    for name in NO_VARIABLES {
        known.remove(name);
    }
    assert!(known.contains("LAPPS_LOG") && known.contains("WS_CONFIG"));
    assert_eq!(table(), known);
}

#[test]
fn no_page_names_another_variable() {
    let table = table();
    for page in pages::all() {
        for (line, span) in page.spans() {
            let name = span.split('=').next().unwrap();
            let is_ours =
                is_variable(name) && ["LAPPS_", "LUA_", "WS_"].iter().any(|start| name.starts_with(start));
            let is_known = table.contains(name) || ELSEWHERE.contains(&name);
            assert!(!is_ours || is_known, "{}:{line}: `{span}`", page.path);
        }
    }
}

#[test]
fn the_help_names_those_that_people_set() {
    let help = lapps::arguments::definition().render_long_help().to_string();
    for name in table() {
        let is_set_by_people = name == "WS_CONFIG" || (name.starts_with("L") && name != "LAPPS_APPS_DIR");
        assert!(help.contains(&name) || !is_set_by_people, "{name}");
    }
}
