//! `lapps_config_auto_save`: the files say after a deployment what runs.

use std::fs;

use serde_json::{Value, json};

use super::yard::{answers, archive, code, deploy, home, is_refused};
use crate::common::client::Client;
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::until;

fn text(home: &Home, name: &str) -> String {
    fs::read_to_string(home.path().join("etc/conf").join(name)).unwrap()
}

#[test]
fn both_files_are_written_sorted_and_the_next_start_knows_the_service() {
    let home = home().ws(json!({ "lapps_config_auto_save": true })).service(
        "hello",
        &code("hello", "zero"),
        json!({}),
    );
    let mut server = Lapps::start(&home);
    let before: Value = serde_json::from_str(&text(&home, "lapps.json")).unwrap();
    let ws: Value = serde_json::from_str(&text(&home, "ws.json")).unwrap();
    let more = json!({ "extra_headers": { "X-A": "1" }, "preload": null });
    deploy(&mut server, &home, "hello", &archive("hello", &code("hello", "one"), more));
    deploy(&mut server, &home, "new", &archive("new", &code("new", "one"), json!({ "instances": 1 })));
    until("both are saved", || text(&home, "lapps.json").contains("/new"));
    let saved = text(&home, "lapps.json");
    let after: Value = serde_json::from_str(&saved).unwrap();
    assert_eq!(after["services"]["echo"], before["services"]["echo"]);
    assert_eq!(after["services"]["hello"]["extra_headers"]["X-A"], "1");
    assert_eq!(after["services"]["hello"].get("name"), None);
    assert_eq!(after["services"]["new"]["instances"], 1);
    assert!(
        saved.starts_with("{\n  \"services\": {\n    \"echo\": {\n      \"auto_start\": true,\n"),
        "{saved}"
    );
    assert!(
        text(&home, "ws.json")
            .starts_with("{\n  \"ip\": \"127.0.0.1\",\n  \"lapps_config_auto_save\": true,\n")
    );
    assert_eq!(serde_json::from_str::<Value>(&text(&home, "ws.json")).unwrap(), ws);
    // One that is refused changes nothing.
    is_refused(&mut server, &home, "new.lar", &archive("new", "error('no')", json!({ "instances": 2 })));
    assert_eq!(text(&home, "lapps.json"), saved);
    server.stop();
    let server = Lapps::run(home.path(), &["run", "--home", home.path().to_str().unwrap()], &[]);
    answers(&mut Client::open(&server, "/new"), "one");
    answers(&mut Client::open(&server, "/hello"), "one");
}

#[test]
fn a_file_that_cannot_be_saved_is_said_and_the_service_runs() {
    let home = home().ws(json!({ "lapps_config_auto_save": true }));
    let mut server = Lapps::start(&home);
    home.write("etc/conf/lapps.json", "{ somebody is at work here");
    deploy_unsaved(&mut server, &home);
    answers(&mut Client::open(&server, "/new"), "one");
    assert_eq!(text(&home, "lapps.json"), "{ somebody is at work here");
}

fn deploy_unsaved(server: &mut Lapps, home: &Home) {
    super::yard::put(home, "new.lar", &archive("new", &code("new", "one"), json!({})));
    let log = server.expect_log("is deployed, but");
    assert!(log.contains("lapps.json is not saved"), "{log}");
}
