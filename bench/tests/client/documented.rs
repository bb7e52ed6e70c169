//! The documentation: what it says behind `lapps-bench` is a command, and its flags are that command's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The Markdown files below a directory, records of measurements aside.
fn pages(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && !["target", "record"].contains(&name) {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

/// What follows `lapps-bench` in code: in a fenced line, or between backticks.
fn uses(page: &str) -> Vec<String> {
    let (mut uses, mut fenced) = (Vec::new(), false);
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        let code: Vec<&str> = if fenced { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        for text in code {
            let at = text.find("lapps-bench ").filter(|at| *at == 0 || text[..*at].ends_with([' ', '/']));
            uses.extend(at.map(|at| text[at + "lapps-bench ".len()..].to_owned()));
        }
    }
    uses
}

fn help(command: &str) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_lapps-bench")).args([command, "--help"]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn every_command_of_the_documentation_is_there() {
    let mut texts = Vec::new();
    pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut texts);
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for text in texts.iter().flat_map(|page| uses(page)) {
        let words: Vec<&str> = text.split_whitespace().collect();
        // Where it is only built, for example.
        let Some((command, rest)) = words.split_first().filter(|(first, _)| !first.starts_with('-')) else {
            continue;
        };
        let Some(help) = helps.get(*command).cloned().or_else(|| help(command)) else {
            wrong.push(text);
            continue;
        };
        seen += 1;
        let flags = rest.iter().filter_map(|word| word.trim_matches(['[', ']']).strip_prefix("--"));
        let is_known =
            |flag: &str| help.contains(&format!("--{flag} ")) || help.contains(&format!("--{flag}\n"));
        if flags.map(|flag| flag.trim_matches(['[', ']', ',', ';'])).any(|flag| !is_known(flag)) {
            wrong.push(text.clone());
        }
        helps.insert((*command).to_owned(), help);
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(seen >= 8, "{seen}");
}
