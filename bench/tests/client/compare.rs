//! A whole comparison, with a stand-in for LAppS: this test executable, started by a script that takes its arguments.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::servers::{Behaviour, serve};
use serde_json::Value;

/// Set for the stand-in only.
const STAND_IN: &str = "LAPPS_BENCH_STAND_IN";

/// Not a test of its own: serves if it was started as the stand-in.
#[test]
fn stand_in() {
    if std::env::var_os(STAND_IN).is_some() {
        println!("listening on ws://{}", serve(Behaviour::Echo));
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn servers_take_turns_and_the_record_holds_every_run() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let lapps = stand_in_program(directory.path());
    let record = directory.path().join("record");
    let out = Command::new(env!("CARGO_BIN_EXE_lapps-bench"))
        .args(["compare", "--connections", "4", "--passes", "2", "--depths", "1,3", "--seconds", "0.1"])
        .args(["--warmup", "0", "--payload", "32", "--lapps"])
        .arg(&lapps)
        .arg("--record")
        .arg(&record)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let table = String::from_utf8(out.stdout).unwrap();
    assert_eq!(table, fs::read_to_string(record.join("table.md")).unwrap());
    for part in [
        "bare echo | 1 |",
        "bare echo | 3 |",
        "lapps, co-located | 3 |",
        "lapps, dedicated | 1 |",
        "LAppS protocol, co-located | 3 |",
        "LAppS protocol, dedicated | 1 |",
        "stand-in 1.2.3",
    ] {
        assert!(table.contains(part), "{part:?} is not in\n{table}");
    }
    let raw: Value = serde_json::from_str(&fs::read_to_string(record.join("raw.json")).unwrap()).unwrap();
    assert_eq!(raw["runs"].as_array().unwrap().len(), 2 * 2 * 5);
    let case = &raw["cases"][0];
    assert_eq!((case["server"].as_str(), case["median_of_ratios"].as_f64()), (Some("bare echo"), Some(1.0)));
    assert!(raw["machine"]["date"].as_str().unwrap().len() == 10);
}

#[test]
fn the_book_names_who_is_absent_and_writes_page_charts_and_figures() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let lapps = stand_in_program(directory.path());
    let out = Command::new(env!("CARGO_BIN_EXE_lapps-bench"))
        .args(["book", "--passes", "2", "--seconds", "0.05", "--warmup", "0", "--shapes", "plain-20,start"])
        .args(["--servers", "bare-epoll,lapps,lapps-uring,yawc", "--peers", "no/such/directory", "--lapps"])
        .arg(&lapps)
        .arg("--records")
        .arg(directory.path().join("records"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let page = String::from_utf8(out.stdout).unwrap();
    for part in [
        "| co-located, 20 B | at most 1.02 x bare epoll echo |",
        "| ready with the demo home |",
        "| **LAppS**, co-located |",
        "absent: yawc (no script) (no/such/directory/yawc is not there)",
        "absent: LAppS, co-located, io_uring (this build has no",
        "stand-in 1.2.3",
    ] {
        assert!(page.contains(part), "{part:?} is not in\n{page}");
    }
    let record = fs::read_dir(directory.path().join("records")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(page, fs::read_to_string(record.join("table.md")).unwrap());
    assert!(fs::read_to_string(record.join("plain.svg")).unwrap().contains("LAppS, co-located"));
    let raw: Value = serde_json::from_str(&fs::read_to_string(record.join("raw.json")).unwrap()).unwrap();
    let cell = raw["cells"].as_array().unwrap().iter().find(|cell| cell["shape"] == "plain-20").unwrap();
    assert_eq!(cell["runs"].as_array().unwrap().len(), 2, "{cell}");
}

#[test]
fn a_server_that_does_not_start_is_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let path = script(
        directory.path(),
        "[ \"$1\" = --version ] && echo broken 1 && exit\necho the port is in use >&2\n",
    );
    let out = Command::new(env!("CARGO_BIN_EXE_lapps-bench"))
        .args(["compare", "--lapps"])
        .arg(path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1));
    assert!(said.contains("ended before it listened") && said.contains("the port is in use"), "{said}");
}

/// What a server is started with: `run --home DIR`, and what is asked before. It takes no configuration with the key `io`.
fn stand_in_program(directory: &std::path::Path) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    script(
        directory,
        &format!(
            "[ \"$1\" = --version ] && echo stand-in 1.2.3 && exit\n\
             [ \"$1\" = dev-cert ] && exit\n\
             [ \"$1\" = run ] || exit 2\n\
             [ \"$2\" = --demo ] || [ -f \"$3/apps/echo/echo.lua\" ] || exit 3\n\
             [ \"$2\" = --demo ] || [ -f \"$3/etc/conf/ws.json\" ] || exit 4\n\
             {STAND_IN}=1 exec '{}' --exact compare::stand_in --nocapture\n",
            test.display()
        ),
    )
}

fn script(directory: &std::path::Path, text: &str) -> PathBuf {
    let path = directory.join("lapps");
    fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
