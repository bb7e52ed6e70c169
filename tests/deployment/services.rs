//! Services that are deployed: new ones, and in the place of others.

use std::fs;

use lapps::services::lar::write;
use serde_json::{Value, json};

use super::yard::{answers, archive, code, deploy, home, is_tidy, keys, status};
use crate::common::client::{Client, Got};
use crate::common::process::Lapps;
use crate::common::until;

#[test]
fn a_service_that_was_not_there() {
    for more in [json!({}), json!({ "instances": 2 }), json!({ "placement": "worker", "preload": ["time"] })]
    {
        let home = home();
        let mut server = Lapps::start(&home);
        assert_eq!(status(&server, "/hello"), 404);
        deploy(&mut server, &home, "hello", &archive("hello", &code("hello", "one"), more));
        answers(&mut Client::open(&server, "/hello"), "one");
        assert!(home.path().join("apps/hello/hello.json").exists());
        is_tidy(&home);
        // It is not saved, because nobody said so.
        assert!(!fs::read_to_string(home.path().join("etc/conf/lapps.json")).unwrap().contains("hello"));
        server.stop();
    }
}

#[test]
fn a_new_version_takes_over_while_others_go_on() {
    for instances in [None, Some(2)] {
        let more = instances.map_or(json!({}), |count| json!({ "instances": count }));
        let home = home().service("hello", &code("hello", "zero"), more.clone());
        let mut server = Lapps::start(&home);
        let mut echo = Client::open(&server, "/echo");
        let mut old = Client::open(&server, "/hello");
        answers(&mut old, "zero");
        for version in ["one", "two"] {
            deploy(&mut server, &home, "hello", &archive("hello", &code("hello", version), more.clone()));
            let mut new = Client::open(&server, "/hello");
            answers(&mut new, version);
            assert_eq!(old.get(), Got::Close(1012, "the service restarts".into()));
            old.close(1012);
            assert_eq!(old.get(), Got::Eof);
            echo.echo("I am still here");
            old = new;
        }
        is_tidy(&home);
        let log = server.stop();
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[test]
fn the_same_archive_again_is_a_restart() {
    let home = home();
    let mut server = Lapps::start(&home);
    let bytes = archive("hello", &code("hello", "one"), json!({}));
    for _ in 0..3 {
        deploy(&mut server, &home, "hello", &bytes);
        let mut client = Client::open(&server, "/hello");
        answers(&mut client, "one");
        deploy(&mut server, &home, "hello", &bytes);
        assert!(matches!(client.get(), Got::Close(1012, _)));
    }
}

#[test]
fn files_of_the_old_version_are_gone_and_modes_are_kept() {
    let home = home().service("hello", &code("hello", "zero"), json!({}));
    home.write("apps/hello/old.lua", "return 'old'");
    let mut server = Lapps::start(&home);
    let keys = keys("hello", json!({}));
    let with = code("hello", "one").replace("'one '", "require('more.words') .. ' '");
    let files: [(&str, u32, &[u8]); 3] = [
        ("hello/hello.json", 0o600, keys.as_bytes()),
        ("hello/hello.lua", 0o644, with.as_bytes()),
        ("hello/more/words.lua", 0o755, b"return 'words'"),
    ];
    deploy(&mut server, &home, "hello", &write(files).unwrap());
    answers(&mut Client::open(&server, "/hello"), "words");
    assert!(!home.path().join("apps/hello/old.lua").exists());
    use std::os::unix::fs::PermissionsExt;
    let mode =
        |file: &str| fs::metadata(home.path().join("apps/hello").join(file)).unwrap().permissions().mode();
    assert_eq!((mode("hello.json") & 0o777, mode("more/words.lua") & 0o777), (0o600, 0o755));
}

/// A standalone service, in the older words of the original.
fn clock(version: &str, init: &str) -> Vec<u8> {
    let code = format!(
        "local clock = {{}}
        function clock.init() print('clock {version} init') {init} end
        function clock.run()
            while not must_stop() do time.sleep(0.01) end
            print('clock {version} ends')
        end
        return clock"
    );
    let keys = json!({ "name": "clock", "internal": true, "instances": 2, "preload": ["time"] }).to_string();
    write([("clock/clock.json", 0o644, keys.as_bytes()), ("clock/clock.lua", 0o644, code.as_bytes())])
        .unwrap()
}

#[test]
fn a_standalone_service_ends_before_the_next_version_begins_and_comes_back_if_that_fails() {
    let home = home();
    let mut server = Lapps::start(&home);
    deploy(&mut server, &home, "clock", &clock("one", ""));
    deploy(&mut server, &home, "clock", &clock("two", ""));
    let why = super::yard::is_refused(&mut server, &home, "clock.lar", &clock("three", "error('no spring')"));
    assert!(why.contains("clock.lua:2: no spring"), "{why}");
    server.expect_log("service 'clock' runs again in the version before");
    let log = server.stop();
    assert_eq!(log.matches("clock two ends").count(), 2, "{log}");
}

#[test]
fn what_a_service_needs_is_started_and_a_target_may_move() {
    let off: Value = json!({ "auto_start": false });
    let home = home().service("store", &code("store", "one"), off);
    let mut server = Lapps::start(&home);
    assert_eq!(status(&server, "/store"), 503);
    let needs = json!({ "depends": ["store"], "request_target": "/shop" });
    deploy(&mut server, &home, "hello", &archive("hello", &code("hello", "one"), needs));
    assert_eq!((status(&server, "/store"), status(&server, "/shop")), (101, 101));
    deploy(&mut server, &home, "hello", &archive("hello", &code("hello", "two"), json!({})));
    answers(&mut Client::open(&server, "/hello"), "two");
    until("the old target is gone", || status(&server, "/shop") == 404);
    deploy(
        &mut server,
        &home,
        "hello",
        &archive("hello", &code("hello", "two"), json!({ "auto_start": false })),
    );
    until("it is off", || status(&server, "/hello") == 503);
}

#[test]
fn headers_alias_and_access_come_with_the_archive() {
    let home = home();
    let mut server = Lapps::start(&home);
    let more = json!({ "extra_headers": { "X-B": "2", "X-A": "1" }, "proto_alias": "talk" });
    deploy(&mut server, &home, "hello", &archive("hello", &code("hello", "one"), more));
    let mut client = Client::connect(&server);
    client.write(crate::common::client::upgrade("/hello").as_bytes());
    let response = client.read_response();
    assert_eq!(response.field("Sec-WebSocket-Protocol"), Some("talk"), "{response:?}");
    assert!(response.head.find("X-A: 1").unwrap() < response.head.find("X-B: 2").unwrap());
    let more = json!({ "acl": { "policy": "allow", "exclude": ["127.0.0.0/8"] } });
    deploy(&mut server, &home, "hello", &archive("hello", &code("hello", "one"), more));
    until("nobody from here", || status(&server, "/hello") == 403);
}

#[test]
fn two_hundred_deployments_leave_nothing_behind() {
    let home = home();
    let mut server = Lapps::start(&home);
    let mut echo = Client::open(&server, "/echo");
    let mut round = |server: &mut Lapps, count: usize| {
        for n in 0..count {
            let (name, more) = [("here", json!({})), ("there", json!({ "instances": 2 }))][n % 2].clone();
            deploy(server, &home, name, &archive(name, &code(name, &format!("v{n}")), more));
            let mut client = Client::open(server, &format!("/{name}"));
            answers(&mut client, &format!("v{n}"));
            echo.echo("I am still here");
        }
    };
    round(&mut server, 50);
    let threads = |server: &Lapps| fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().count();
    let (files, tasks, memory) = (server.open_files(), threads(&server), server.resident());
    round(&mut server, 200);
    until("as many descriptors as before", || server.open_files() <= files);
    until("as many threads as before", || threads(&server) <= tasks);
    let grown = server.resident().saturating_sub(memory);
    assert!(grown < 8 << 20, "{grown} bytes more");
    server.stop();
}
