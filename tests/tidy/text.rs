//! Rules about any text file: its length, its ends of lines, what it may not name.

use crate::Complaint;

/// Longer files want to be two.
const MOST_LINES: usize = 800;
/// What people write by hand, by the end of the name.
const SOURCES: &[&str] = &[".rs", ".lua", ".toml", ".md", ".html", ".js", ".css", ".json", ".py", "/run"];
/// Files whose text is not ours.
const GIVEN: &[&str] = &["LICENSE-APACHE", "Cargo.lock"];
/// Directories of one person's or one machine's; each in two parts, so that this file does not name them.
const PRIVATE: &[(&str, &str)] = &[
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/Us", "ers/"),
    ("/wo", "rk/"),
    ("/tmp/pl", "an"),
    ("/tmp/tar", "get"),
];

fn is_source(path: &str) -> bool {
    SOURCES.iter().any(|end| path.ends_with(end))
}

pub(crate) fn length(path: &str, text: &str) -> Option<Complaint> {
    let lines = text.lines().count();
    // A record is data that a program wrote.
    (is_source(path) && !path.starts_with("bench/record/") && lines > MOST_LINES)
        .then(|| format!("{path}: {lines} lines, and {MOST_LINES} are the most"))
}

pub(crate) fn clean(path: &str, text: &str) -> Vec<Complaint> {
    if !is_source(path) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.ends_with([' ', '\t', '\r']) {
            complaints.push(format!("{path}:{number}: white space at the end of the line"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        complaints.push(format!("{path}: no end of line at the end of the file"));
    }
    complaints
}

/// Absolute paths that exist on one machine only.
pub(crate) fn machine_paths(path: &str, text: &str) -> Vec<Complaint> {
    if GIVEN.contains(&path) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for private in PRIVATE.iter().map(|(a, b)| format!("{a}{b}")) {
            // `src/work/` or `https://example.org/home/` is no such path: an absolute one begins a word.
            let begins = |at: usize| {
                line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"/.-_~$}".contains(c))
            };
            if line.match_indices(&private).any(|(at, _)| begins(at)) {
                complaints.push(format!("{path}:{number}: `{private}` is a path of one machine"));
            }
        }
    }
    complaints
}

/// A file that names its interpreter is meant to be started.
pub(crate) fn executable(path: &str, text: &str, executable: bool) -> Option<Complaint> {
    (text.starts_with("#!/") && !executable)
        .then(|| format!("{path}: has a `#!` line, but is not executable"))
}

#[test]
fn counts_lines() {
    assert_eq!(length("a.rs", &"\n".repeat(MOST_LINES)), None);
    assert!(length("a.rs", &"\n".repeat(MOST_LINES + 1)).is_some());
    assert_eq!(length("Cargo.lock", &"\n".repeat(MOST_LINES + 1)), None);
    assert_eq!(length("bench/record/a/raw.json", &"\n".repeat(MOST_LINES + 1)), None);
}

#[test]
fn sees_what_cannot_be_seen() {
    assert_eq!(clean("a.rs", "a\n\nb\n"), [""; 0]);
    assert_eq!(clean("a.rs", "a \nb\t\nc\r\nd").len(), 4);
    assert_eq!(clean("a.bin", "a "), [""; 0]);
}

#[test]
fn finds_paths_of_one_machine() {
    let home = concat!("/ho", "me/somebody/a");
    assert_eq!(machine_paths("a.md", &format!("see `{home}`\n")).len(), 1);
    assert_eq!(machine_paths("a.md", &format!("{home}\nFROM={home}")).len(), 2);
    assert_eq!(machine_paths("a.md", &format!("https://example.org{home} ~{home} $DIR{home}")), [""; 0]);
    assert_eq!(machine_paths("a.md", concat!("sr", "c/wo", "rk/a")), [""; 0]);
}

#[test]
fn wants_scripts_that_start() {
    assert!(executable("a/run", "#!/bin/sh\n", false).is_some());
    assert_eq!(executable("a/run", "#!/bin/sh\n", true), None);
    assert_eq!(executable("a.rs", "#![no_std]\n", false), None);
}
