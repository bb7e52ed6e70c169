//! Archives that are there when the server starts, and a server that is stopped while it deploys.

use std::fs;

use serde_json::json;

use super::yard::{answers, archive, code, home, is_tidy, put, rejected, status};
use crate::common::client::{Client, Got};
use crate::common::process::Lapps;
use crate::common::until;

#[test]
fn they_are_deployed_first() {
    let home = home().service("hello", &code("hello", "zero"), json!({}));
    put(&home, "hello.lar", &archive("hello", &code("hello", "one"), json!({ "instances": 1 })));
    // This one is needed by the one before it.
    put(&home, "a.lar", &archive("a", &code("a", "one"), json!({ "depends": ["b"] })));
    put(&home, "b.lar", &archive("b", &code("b", "one"), json!({ "auto_start": false })));
    put(&home, "bad.lar", b"LAR");
    let server = Lapps::start(&home);
    assert!(server.banner.contains("service hello at /hello, raw, dedicated (1 instance): running"));
    for name in ["hello", "a", "b"] {
        answers(&mut Client::open(&server, &format!("/{name}")), "one");
    }
    until("only the bad one is left", || fs::read_dir(home.path().join("deploy")).unwrap().count() == 2);
    assert!(rejected(&home, "bad.lar").exists());
    is_tidy(&home);
    let log = server.stop();
    assert!(!log.contains("hello zero starts"), "{log}");
}

#[test]
fn one_that_does_not_start_leaves_the_old_version() {
    let home = home().service("hello", &code("hello", "zero"), json!({}));
    put(&home, "hello.lar", &archive("hello", "error('no')", json!({})));
    put(&home, "new.lar", &archive("new", "error('no')", json!({})));
    let server = Lapps::start(&home);
    answers(&mut Client::open(&server, "/hello"), "zero");
    assert!(rejected(&home, "hello.lar").exists() && rejected(&home, "new.lar").exists());
    assert!(!home.path().join("apps/new").exists());
    assert_eq!(fs::read_to_string(home.path().join("apps/hello/hello.lua")).unwrap(), code("hello", "zero"));
    is_tidy(&home);
}

#[test]
fn two_for_one_service_come_one_after_the_other() {
    let home = home().service("hello", &code("hello", "zero"), json!({}));
    put(&home, "hello-1.lar", &archive("hello", &code("hello", "one"), json!({})));
    put(&home, "hello-2.lar", &archive("hello", &code("hello", "two"), json!({})));
    let mut server = Lapps::start(&home);
    server.expect_log("hello-2.lar");
    answers(&mut Client::open(&server, "/hello"), "two");
    is_tidy(&home);
}

#[test]
fn a_stop_while_a_version_starts_puts_the_old_files_back_and_the_next_start_deploys_it() {
    let home = home().service("hello", &code("hello", "zero"), json!({}));
    let mut server = Lapps::start(&home);
    let mut client = Client::open(&server, "/hello");
    let slow =
        code("hello", "one").replace("starts')", "starts') if not io.open('go') then time.sleep(100) end");
    let bytes = archive("hello", &slow, json!({ "preload": ["time"] }));
    put(&home, "hello.lar", &bytes);
    server.expect_log("hello one starts");
    server.signal("TERM");
    assert!(matches!(client.get(), Got::Close(1001, _)));
    client.close(1001);
    let (exit, log) = server.wait();
    assert!(exit.success(), "{log}");
    assert!(log.contains("waits for the next start"), "{log}");
    assert_eq!(fs::read_to_string(home.path().join("apps/hello/hello.lua")).unwrap(), code("hello", "zero"));
    assert!(home.path().join("deploy/hello.lar").exists() && !rejected(&home, "hello.lar").exists());
    is_tidy(&home);
    home.write("go", "");
    let server = Lapps::start(&home);
    answers(&mut Client::open(&server, "/hello"), "one");
}

#[test]
fn what_a_crash_has_left_is_cleaned_up() {
    let home = home();
    home.write("tmp/.deploy-hello/hello/hello.lua", "half");
    home.write("tmp/mine", "stays");
    let server = Lapps::start(&home);
    assert!(!home.path().join("tmp/.deploy-hello").exists() && home.path().join("tmp/mine").exists());
    assert_eq!(status(&server, "/echo"), 101);
}

#[test]
fn the_demo_has_no_deployer_and_a_server_without_directory_makes_none() {
    let server = Lapps::demo();
    let names = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let names: Vec<String> =
        names.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap()).collect();
    assert!(!names.iter().any(|name| name.trim() == "deployer"), "{names:?}");
    let home = home();
    fs::remove_dir(home.path().join("deploy")).unwrap();
    let server = Lapps::start(&home);
    server.stop();
    assert!(!home.path().join("deploy").exists() && !home.path().join("tmp").exists());
}
