//! Command lines: those of fenced blocks can be typed, and those between backticks name commands and flags that are there.

use std::os::unix::fs::PermissionsExt;

use clap::{Command, Parser};
use lapps::arguments::{self, Arguments};

use crate::pages::{self, Block, Page};

/// What the blocks may use besides `lapps` and the scripts of the repository.
const TOOLS: [&str; 19] = [
    "apt",
    "cargo",
    "cat",
    "cd",
    "chgrp",
    "chmod",
    "cp",
    "curl",
    "echo",
    "journalctl",
    "kill",
    "mkdir",
    "mv",
    "openssl",
    "pip",
    "python",
    "python3",
    "sudo",
    "systemctl",
];

/// The lines that are typed: those behind `$ ` of a console, all of a shell block but what goes into a file.
fn typed(block: &Block<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut end: Option<String> = None;
    for line in block.text.lines() {
        if let Some(marker) = &end {
            if line == marker {
                end = None;
            }
            continue;
        }
        end = line.split_once("<<").map(|(_, marker)| marker.trim_matches(['\'', '"', '-']).to_owned());
        let line = match block.kind {
            "console" => line.strip_prefix("$ ").unwrap_or_default(),
            _ => line,
        };
        let line = line.split(" #").next().unwrap().trim();
        if !line.is_empty() && !line.starts_with('#') {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The commands of a line, as words: what stands in brackets may be left out, and here it is not.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    for word in line.replace(['[', ']'], "").split_whitespace() {
        match word {
            "|" | "&&" | "||" | ";" | "&" => commands.push(Vec::new()),
            _ => commands.last_mut().unwrap().push(word.to_owned()),
        }
    }
    for command in &mut commands {
        // Where the output goes is the shell's affair, and so are variables in front.
        if let Some(at) =
            command.iter().position(|word| word.starts_with(['>', '<']) || word.starts_with("2>"))
        {
            command.truncate(at);
        }
        let set = command.iter().take_while(|word| word.contains('=')).count();
        command.drain(..set);
    }
    commands.retain(|command| !command.is_empty());
    commands
}

/// What is wrong with a command.
fn wrong(words: &[String]) -> Option<String> {
    let (first, rest) = words.split_first()?;
    match first.as_str() {
        "sudo" => wrong(rest),
        "lapps" => Arguments::try_parse_from(words)
            .err()
            .filter(|error| error.use_stderr())
            .map(|error| error.to_string()),
        // Its own tests look at it.
        "lapps-bench" => None,
        first if first.contains('/') && !first.starts_with(['/', '$', '~']) => {
            let is_there = std::fs::metadata(pages::root().join(first))
                .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
            (!is_there).then(|| format!("there is no program {first}"))
        }
        first => {
            (!TOOLS.contains(&first) && !first.starts_with('/')).then(|| format!("nobody knows '{first}'"))
        }
    }
}

#[test]
fn every_line_of_a_block_can_be_typed() {
    let (mut mistakes, mut of_ours) = (Vec::new(), 0);
    for page in pages::all() {
        for block in page.blocks().iter().filter(|block| ["sh", "bash", "console"].contains(&block.kind)) {
            for line in typed(block) {
                for command in commands(&line) {
                    of_ours += usize::from(command[0] == "lapps");
                    mistakes.extend(
                        wrong(&command).map(|wrong| format!("{}:{}: {line}: {wrong}", page.path, block.line)),
                    );
                }
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(of_ours >= 8, "{of_ours}");
}

/// What is wrong with `lapps …` between backticks, where values may be anything.
fn wrong_span(definition: &Command, span: &str) -> Option<String> {
    let plain: String = span.chars().map(|c| if "[]|\\…".contains(c) { ' ' } else { c }).collect();
    let words: Vec<&str> = plain.split_whitespace().skip(1).collect();
    // Where no command is named it is `run`; a command in capitals stands for any.
    let (command, words) = match words.split_first() {
        Some((first, rest)) if !first.starts_with('-') => (*first, rest),
        _ => ("run", &words[..]),
    };
    if command == "COMMAND" {
        return None;
    }
    let Some(command) = definition.find_subcommand(command) else {
        return Some(format!("there is no command {command}"));
    };
    let unknown = words.iter().filter(|word| word.starts_with('-')).find(|word| {
        let is = |arg: &clap::Arg| {
            let long = arg.get_long().is_some_and(|long| **word == format!("--{long}"));
            long || arg.get_short().is_some_and(|short| **word == format!("-{short}"))
        };
        !(command.get_arguments().any(is) || ["--help", "-h", "--version"].contains(word))
    });
    unknown.map(|word| format!("there is no {word}"))
}

#[test]
fn every_command_between_backticks_is_there() {
    let mut definition = arguments::definition();
    definition.build();
    let of = |page: &Page| -> Vec<String> {
        let spans = page.spans().into_iter().filter(|(_, span)| span.starts_with("lapps "));
        // A log line is no command.
        let spans = spans.filter(|(_, span)| !span.starts_with("lapps 0"));
        spans
            .filter_map(|(line, span)| {
                Some(format!("{}:{line}: `{span}`: {}", page.path, wrong_span(&definition, span)?))
            })
            .collect()
    };
    let mistakes: Vec<String> = pages::all().iter().flat_map(of).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn what_is_wrong_is_seen() {
    let of = |line: &str| commands(line).iter().find_map(|command| wrong(command));
    assert_eq!(of("lapps run --home x | cat > file"), None);
    assert_eq!(of("A=b lapps pack DIR [-o FILE]"), None);
    assert_eq!(of("bench/compare --passes 5"), None);
    assert!(of("lapps run --hom x").is_some());
    assert!(of("echo a && lapps fly").is_some());
    assert!(of("bench/gone").is_some());
    assert!(of("frobnicate").is_some());
    let definition = arguments::definition();
    assert_eq!(wrong_span(&definition, "lapps [run] [--port N] [--demo]"), None);
    assert_eq!(wrong_span(&definition, "lapps kick ID"), None);
    assert!(wrong_span(&definition, "lapps kick --harder").is_some());
    assert!(wrong_span(&definition, "lapps fly").is_some());
}
