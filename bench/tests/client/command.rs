//! The executable: what it prints, and how it exits.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use crate::servers::{Behaviour, serve, serve_answer};
use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lapps-bench")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The bare echo as a process of its own, ended with the test.
struct Bare(Child, String);

impl Bare {
    fn start() -> Bare {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lapps-bench"))
            .args(["bare-echo", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        assert!(url.starts_with("tcp://127.0.0.1:"), "{url}");
        Bare(child, url)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn echo_prints_one_json_object_and_progress_apart() {
    let bare = Bare::start();
    let pid = bare.0.id().to_string();
    let out = bench(&[
        "echo",
        &bare.1,
        "--connections",
        "10",
        "--depth",
        "2",
        "--payload",
        "64",
        "--seconds",
        "0.7",
        "--warmup",
        "0.4",
        "--pid",
        &pid,
        "--json",
    ]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(report["messages"].as_u64().unwrap() > 0);
    assert!(report["server"]["cpu_ns_per_message"].as_f64().unwrap() > 0.0);
    assert!(report["server"]["resident_bytes"].as_u64().unwrap() > 0);
    assert!(report["latency_us"]["p99.9"].as_f64().unwrap() > 0.0);
    assert_eq!((report["depth"].as_u64(), report["payload_bytes"].as_u64()), (Some(2), Some(64)));
    let progress = text(&out.stderr);
    assert!(
        progress.contains("10 connections are open") && progress.contains("1 s  measuring"),
        "{progress}"
    );
}

#[test]
fn idle_reports_memory_of_another_process() {
    let bare = Bare::start();
    let pid = bare.0.id().to_string();
    let out = bench(&["idle", &bare.1, "--connections", "500", "--pid", &pid, "--json"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((report["connections"].as_u64(), report["lingering"].as_u64()), (Some(500), Some(0)));
    assert!(report["resident_bytes"]["open"].as_u64().unwrap() > 0);
    assert!(report["bytes_per_connection"].is_number());
    let out = bench(&["idle", &bare.1, "--connections", "5", "--pid", &pid]);
    assert!(text(&out.stdout).contains("per connection"), "{}", text(&out.stdout));
}

#[test]
fn results_are_readable_too() {
    let url = format!("ws://{}/echo", serve(Behaviour::Echo));
    let out = bench(&["echo", &url, "--connections", "3", "--seconds", "0.1", "--warmup", "0", "--text"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let report = text(&out.stdout);
    for part in [&url, "messages/s", "p99.9", "client CPU ns/message", "3 connections, 128 bytes, depth 1"] {
        assert!(report.contains(part), "{part:?} is not in\n{report}");
    }
}

#[test]
fn whatever_goes_wrong_is_said_on_standard_error_with_a_failing_exit() {
    let corrupt = format!("ws://{}", serve(Behaviour::Corrupt(2)));
    let refusing = format!("ws://{}", serve_answer("HTTP/1.1 404 Not Found\r\n\r\n"));
    let table: [(&[&str], &str); 7] = [
        (&["echo", &corrupt, "--connections", "1"], "message 2: not the echo of what was sent"),
        (&["echo", &refusing, "--connections", "1"], "did not upgrade: 404 Not Found"),
        (&["echo", "http://h/"], "must begin with ws://"),
        (&["echo", "wss://127.0.0.1:1/"], "needs --ca FILE"),
        (&["echo", "wss://127.0.0.1:1/", "--ca", "/no/such/file.pem"], "/no/such/file.pem"),
        (&["idle", "ws://127.0.0.1:1/", "--pid", "4194305"], "no process 4194305"),
        (&["compare", "--lapps", "/no/such/lapps"], "/no/such/lapps"),
    ];
    for (args, part) in table {
        let out = bench(args);
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        assert!(text(&out.stderr).contains(part), "{args:?}: {}", text(&out.stderr));
        assert!(out.stdout.is_empty(), "{args:?}");
    }
    for args in [&["echo", "ws://h/", "--connections", "0"][..], &["echo", "ws://h/", "--seconds", "-1"]] {
        assert_eq!(bench(args).status.code(), Some(2), "{args:?}");
    }
}
