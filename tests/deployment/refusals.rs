//! Archives that are refused: nothing has changed, and the reason is told.

use std::fs;

use lapps::services::lar::write;
use serde_json::json;

use super::yard::{answers, archive, code, deploy, home, is_refused, is_tidy, keys, put, rejected};
use crate::common::client::Client;
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::until;

struct Old {
    home: Home,
    server: Lapps,
    client: Client,
}

/// Version `zero` of `hello`, with a client.
fn old() -> Old {
    let home = home().service("hello", &code("hello", "zero"), json!({ "instances": 1 }));
    let server = Lapps::start(&home);
    let client = Client::open(&server, "/hello");
    Old { home, server, client }
}

impl Old {
    #[track_caller]
    fn refuses(&mut self, bytes: &[u8], words: &[&str]) {
        let why = is_refused(&mut self.server, &self.home, "hello.lar", bytes);
        for word in words {
            assert!(why.contains(word), "no {word:?} in {why}");
        }
        answers(&mut self.client, "zero");
        answers(&mut Client::open(&self.server, "/hello"), "zero");
        let now = fs::read_to_string(self.home.path().join("apps/hello/hello.lua")).unwrap();
        assert_eq!(now, code("hello", "zero"));
        assert_eq!(fs::read_dir(self.home.path().join("apps/hello")).unwrap().count(), 1);
        assert!(!self.home.path().join("x").exists() && !self.home.path().join("apps/x").exists());
        is_tidy(&self.home);
    }
}

#[test]
fn what_is_no_archive() {
    let mut old = old();
    let good = archive("hello", &code("hello", "one"), json!({}));
    old.refuses(b"", &["does not begin with LAR"]);
    old.refuses(b"PK and so on", &["does not begin with LAR"]);
    for end in [20, 60, good.len() / 2, good.len() - 1] {
        old.refuses(&good[..end], &[]);
    }
    for at in [4, 9, 20, 50, 90, good.len() - 20] {
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        old.refuses(&flipped, &[]);
    }
    let mut large = good.clone();
    large[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    old.refuses(&large, &["a table of 4294967295 bytes"]);
    let mut tail = good;
    tail.push(0);
    old.refuses(&tail, &["1 bytes follow the last file"]);
}

#[test]
fn configurations_that_are_wrong() {
    let mut old = old();
    let one = code("hello", "one");
    let with = |keys: &str| {
        write([("hello/hello.json", 0o644, keys.as_bytes()), ("hello/hello.lua", 0o644, one.as_bytes())])
            .unwrap()
    };
    old.refuses(&with("{\n\"name\": \"hello\",\n}"), &["hello.lar: hello/hello.json:2:", "a comma"]);
    old.refuses(&with("not json"), &["hello/hello.json:1:1"]);
    old.refuses(&with("{}"), &["name: missing", "request_target: missing"]);
    let more = |more| archive("hello", &one, more);
    old.refuses(&more(json!({ "name": "other" })), &["name = \"other\"", "that is \"hello\""]);
    old.refuses(&more(json!({ "instances": 0 })), &["instances = 0: out of range"]);
    old.refuses(&more(json!({ "protocol": "rwa" })), &["protocol = \"rwa\": unknown word"]);
    old.refuses(&more(json!({ "request_traget": "/x" })), &["unknown key", "request_target"]);
    old.refuses(&more(json!({ "request_target": "/echo" })), &["service echo has the same target"]);
    old.refuses(&more(json!({ "depends": ["ecoh"] })), &["no such service", "did you mean \"echo\"?"]);
    old.refuses(&more(json!({ "depends": ["hello"] })), &["circle: hello -> hello"]);
    let odd = archive("ws", &one, json!({}));
    old.refuses(&odd, &["would replace the Lua library"]);
    let odd = archive("he llo", &one, json!({}));
    old.refuses(&odd, &["letters, digits, _ and -"]);
}

#[test]
fn code_that_does_not_start() {
    let mut old = old();
    let with = |code: &str| archive("hello", code, json!({ "instances": 1, "preload": ["time"] }));
    old.refuses(&with("return {\n"), &["hello.lua:", "unexpected symbol"]);
    old.refuses(&with("\n\nerror('not today')"), &["hello.lua:3: not today"]);
    old.refuses(&with("return {}"), &["onStart"]);
    let failing = code("hello", "one").replace("print('hello one starts')", "time.sleep(0.01) error('late')");
    old.refuses(&with(&failing), &["hello.lua:3: late"]);
    let missing = write([("hello/hello.json", 0o644, keys("hello", json!({})).as_bytes())]).unwrap();
    old.refuses(&missing, &["hello"]);
    // And then it is right.
    let Old { home, mut server, mut client } = old;
    deploy(&mut server, &home, "hello", &archive("hello", &code("hello", "one"), json!({})));
    assert!(matches!(client.get(), crate::common::client::Got::Close(1012, _)));
    answers(&mut Client::open(&server, "/hello"), "one");
}

#[test]
fn a_new_service_that_is_refused_is_not_there() {
    let home = home();
    let mut server = Lapps::start(&home);
    is_refused(&mut server, &home, "hello.lar", &archive("hello", "error('no')", json!({})));
    assert_eq!(super::yard::status(&server, "/hello"), 404);
    assert!(!home.path().join("apps/hello").exists());
    is_tidy(&home);
}

#[test]
fn a_refused_archive_is_not_tried_again_until_it_is_written_anew() {
    let home = home();
    let bad = archive("hello", "error('no')", json!({}));
    let mut server = Lapps::start(&home);
    is_refused(&mut server, &home, "hello.lar", &bad);
    // Another one comes, and the server starts again: it is left alone.
    deploy(&mut server, &home, "other", &archive("other", &code("other", "one"), json!({})));
    let log = server.stop();
    assert!(!log.contains("hello.lar"), "{log}");
    let mut server = Lapps::start(&home);
    assert!(rejected(&home, "hello.lar").exists());
    is_refused(&mut server, &home, "hello.lar", &bad);
    deploy(&mut server, &home, "hello", &archive("hello", &code("hello", "one"), json!({})));
    let log = server.stop();
    assert_eq!(log.matches("is refused").count(), 0, "{log}");
}

#[test]
fn a_link_or_a_pipe_is_no_archive() {
    let home = home();
    let mut server = Lapps::start(&home);
    let pipe = home.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::rename(&pipe, home.path().join("deploy/pipe.lar")).unwrap();
    server.expect_log("is no regular file");
    fs::create_dir(home.path().join("deploy/directory.lar")).unwrap();
    // It goes on.
    put(&home, "hello.lar", &archive("hello", &code("hello", "one"), json!({})));
    server.expect_log("service 'hello' is deployed");
    until("it answers", || super::yard::status(&server, "/hello") == 101);
}
