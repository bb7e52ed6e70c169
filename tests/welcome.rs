//! `lapps` alone, with nothing configured: at a terminal it says what to try next, elsewhere it says no more than what runs.
//!
//! Skipped where the machine has a configuration of its own.

mod common;

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::process::{Lapps, run_to_end};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Both ends of a terminal of its own.
fn terminal() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    // Whoever opens it must not be hung up when it ends.
    let flags = OFlags::NOCTTY.bits() as i32;
    let theirs =
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(name.to_str().unwrap()).unwrap();
    (File::from(ours), theirs)
}

/// Killed when dropped.
struct AtTerminal(Child);

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the program prints at a terminal until it is told to end behind `last`, and whether it ends well.
fn printed(arguments: &[&str], last: &str) -> String {
    let (mut ours, theirs) = terminal();
    let mut server = AtTerminal(
        Command::new(env!("CARGO_BIN_EXE_lapps"))
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(theirs)
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut text = String::new();
    let mut piece = [0; 4096];
    let mut stopped = false;
    // The terminal ends, by an error, with the last program that has it.
    while let Ok(read @ 1..) = ours.read(&mut piece) {
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
        if text.contains(last) && !stopped {
            stopped = true;
            let pid = server.0.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        }
    }
    assert_eq!(server.0.wait().unwrap().code(), Some(0), "{text}");
    text
}

fn is_configured() -> bool {
    let configured = ["/opt/lapps/etc/conf", "/etc/lapps"].iter().any(|place| Path::new(place).exists());
    if configured {
        println!("skipped: this machine has a configuration");
    }
    configured
}

#[test]
fn a_terminal_is_told_what_to_try_next() {
    if is_configured() {
        return;
    }
    let text = printed(&["--port", "0"], "of a package.");
    for wanted in [
        "no configuration: this is the built-in demo",
        "Ctrl-C stops the server",
        "This is LAppS",
        "lapps new chat",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120) && text.lines().count() < 25, "{text}");
}

#[test]
fn who_asks_for_the_demo_or_reads_a_pipe_is_not() {
    if is_configured() {
        return;
    }
    let text = printed(&["--demo", "--port", "0"], "Ctrl-C stops the server");
    assert!(!text.contains("This is LAppS"), "{text}");
    let server = Lapps::run(Path::new("."), &["--port", "0"], &[]);
    let text = server.banner.clone() + &server.stop();
    assert!(!text.contains("This is LAppS"), "{text}");
}

#[test]
fn what_nobody_understands_is_answered() {
    for (words, wanted) in [
        (&["statsu"][..], "'status'"),
        (&["run", "--hom", "x"], "a similar argument exists: '--home'"),
        (&["--port", "70000"], "70000 is not in 0..=65535"),
        (&["kick"], "<ID>"),
        (&["kick", "me"], "invalid digit"),
        (&["new"], "<NAME>"),
        (&["--demo", "--home", "x"], "cannot be used with"),
    ] {
        let (status, output, errors) = run_to_end(Path::new("."), words, &[]);
        assert_eq!((status.code(), output.as_str()), (Some(2), ""), "{words:?}");
        assert!(errors.contains(wanted) && errors.contains("--help"), "{words:?}: {errors}");
    }
}
