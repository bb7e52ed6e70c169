//! `docs/commands.md` has every command and flag that the program knows, and no other.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, Command};
use lapps::arguments;

use crate::pages;

/// What a command takes, as the first cells of its table have it.
fn taken(command: &Command) -> BTreeMap<String, &Arg> {
    let arguments =
        command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()));
    arguments.map(|arg| (written(arg), arg)).collect()
}

fn written(arg: &Arg) -> String {
    let value = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    let Some(long) = arg.get_long() else { return value };
    let mut text = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    text.push_str(&format!("--{long}"));
    if arg.get_action().takes_values() {
        text.push_str(&format!(" {value}"));
    }
    text
}

/// The tables of a part: what stands in the first cell, and the rest of the row.
fn rows(part: &str) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for line in part.lines().filter(|line| line.starts_with("| `")) {
        let (first, rest) = line.trim_matches('|').split_once('|').expect("two cells");
        let old = rows.insert(first.trim().trim_matches('`').to_owned(), rest.trim().to_owned());
        assert!(old.is_none() && !rest.trim().is_empty(), "{line}");
    }
    rows
}

#[test]
fn every_command_and_flag_is_documented() {
    let document = pages::read("docs/commands.md");
    let live = document.split("\n## A server that runs\n").nth(1).expect("the chapter");
    let in_common = rows(live.split("\n### ").next().unwrap());
    assert_eq!(
        in_common.keys().map(String::as_str).collect::<Vec<_>>(),
        ["--home DIR", "--json", "--socket PATH"]
    );

    let mut parts: BTreeMap<&str, &str> = BTreeMap::new();
    for part in document.split("\n### lapps ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap();
        let text = text.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
        assert_eq!(parts.insert(name, text), None, "{name} is there twice");
    }
    let definition = arguments::definition();
    let known: BTreeSet<&str> = definition.get_subcommands().map(Command::get_name).collect();
    assert_eq!(parts.keys().copied().collect::<BTreeSet<_>>(), known);
    for command in definition.get_subcommands() {
        let taken = taken(command);
        let mut told = rows(parts[command.get_name()]);
        if taken.contains_key("--socket PATH") {
            told.extend(in_common.clone());
        }
        let name = command.get_name();
        assert_eq!(told.keys().collect::<Vec<_>>(), taken.keys().collect::<Vec<_>>(), "lapps {name}");
        for (flag, arg) in taken.into_iter().filter(|(_, arg)| arg.get_action().takes_values()) {
            for value in arg.get_possible_values() {
                let value = format!("`{}`", value.get_name());
                assert!(told[&flag].contains(&value), "lapps {name}, {flag}: {value}");
            }
        }
    }
    // Without a command it is `run`.
    let run = definition.find_subcommand("run").unwrap();
    assert_eq!(taken(&definition).keys().collect::<Vec<_>>(), taken(run).keys().collect::<Vec<_>>());
}

#[test]
fn the_readme_names_every_command() {
    let readme = pages::read("README.md");
    let table = readme.split("\n## Commands\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    for command in arguments::definition().get_subcommands() {
        let name = command.get_name();
        let is_named = ["lapps ", "`"].iter().any(|before| {
            [" ", "`", "]"].iter().any(|after| table.contains(&format!("{before}{name}{after}")))
        });
        assert!(is_named || table.contains(&format!("[{name}]")), "the README does not name lapps {name}");
    }
}

#[test]
fn the_exit_codes_are_documented() {
    let document = pages::read("docs/commands.md");
    for code in 0..=2 {
        assert!(document.contains(&format!("\n| {code} | ")), "{code}");
    }
}
