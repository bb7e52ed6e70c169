//! Completions for each shell and manual pages: they know every command.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::process::run_to_end;
use lapps::arguments;

fn commands() -> Vec<String> {
    arguments::definition().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

#[test]
fn every_shell_completes_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (status, text, errors) = run_to_end(Path::new("."), &["completions", shell], &[]);
        assert!(status.success() && errors.is_empty(), "{shell}: {errors}");
        for word in commands().iter().map(String::as_str).chain(["demo", "port", "socket"]) {
            assert!(text.contains(word), "{shell} does not know {word}");
        }
    }
    let (status, text, errors) = run_to_end(Path::new("."), &["completions", "nosh"], &[]);
    assert!(!status.success() && text.is_empty() && errors.contains("bash, elvish, fish"), "{errors}");
}

#[test]
fn bash_reads_what_it_gets() {
    let script = format!(
        "eval \"$({} completions bash)\"; COMP_WORDS=(lapps conn); COMP_CWORD=1; _lapps lapps conn lapps; echo \"${{COMPREPLY[*]}}\"",
        env!("CARGO_BIN_EXE_lapps")
    );
    let output = Command::new("bash").args(["-euc", &script]).output().expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "connections\n");
}

#[test]
fn every_command_has_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let aim = directory.path().join("new/man1");
    let (status, _, errors) = run_to_end(Path::new("."), &["man", aim.to_str().unwrap()], &[]);
    assert!(status.success(), "{errors}");
    let main = fs::read_to_string(aim.join("lapps.1")).unwrap();
    for name in commands() {
        let page = fs::read_to_string(aim.join(format!("lapps-{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
        assert!(main.contains(&format!("lapps\\-{}(1)", name.replace('-', "\\-"))), "{name}");
    }
    assert_eq!(fs::read_dir(&aim).unwrap().count(), commands().len() + 1);
    for wanted in ["LAPPS_LOG", "LAPPS_HOME", "exit code"] {
        assert!(main.contains(wanted), "{wanted}: {main}");
    }

    // Where none can be written.
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let (status, _, errors) = run_to_end(Path::new("."), &["man", file.to_str().unwrap()], &[]);
    assert!(!status.success() && errors.contains("cannot write the manual pages"), "{errors}");
}
