//! The examples: each home starts by the command that its README line shows, and does what that says.

mod common;

use std::fs;
use std::path::Path;

use common::client::{Client, Got};
use common::process::Lapps;
use serde_json::{Value, json};

#[test]
fn every_home_is_in_the_table_and_every_row_is_a_home() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let table = fs::read_to_string(examples.join("README.md")).unwrap();
    let mut homes: Vec<String> = fs::read_dir(&examples)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    homes.sort();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| [`")).collect();
    assert_eq!(rows.len(), homes.len(), "{homes:?}");
    for name in homes {
        let start = format!("`lapps run --home examples/{name}`");
        assert!(rows.iter().any(|row| row.contains(&start)), "no row with {start}");
        assert!(examples.join(&name).join("etc/conf/lapps.json").is_file(), "{name} is no home");
    }
}

#[test]
fn echo_sends_back_what_came() {
    let server = Lapps::example("echo");
    Client::open(&server, "/echo").echo("hello");
}

#[test]
fn lapps_echo_logs_in_echoes_and_tells_all() {
    let server = Lapps::example("lapps_echo");
    let mut anna = Client::open(&server, "/lapps-echo");
    let mut bert = Client::open(&server, "/lapps-echo");
    assert_eq!(anna.request("echo", &json!([1]))["error"]["code"], json!(-32000));
    assert_eq!(anna.request("login", &json!(["anna"]))["error"]["code"], json!(-32602));
    for (client, name) in [(&mut anna, "anna"), (&mut bert, "bert")] {
        let welcome = client.call("login", &json!([{ "user": name, "password": "x" }]));
        assert_eq!(welcome[0]["user"], json!(name));
        assert!(welcome[0]["authkey"].is_u64());
    }
    let params = json!([1, 2.5, { "deep": [null, "käse"] }]);
    assert_eq!(anna.call("echo", &params), params);
    assert_eq!(anna.call("subscribe", &json!([])), json!([100]));
    assert_eq!(bert.request("nothing", &json!([]))["error"]["code"], json!(-32601));
    bert.value(&json!({ "lapps": 1, "cid": 1, "method": "tell", "params": ["hi"] }));
    assert_eq!(anna.get_value(), json!({ "cid": 100, "message": ["bert", "hi"] }));
    assert_eq!(anna.call("unsubscribe", &json!([])), json!([]));

    let mut stranger = Client::open(&server, "/lapps-echo");
    let refused = stranger.request("login", &json!([{ "user": "anna", "password": "" }]));
    assert_eq!(refused["error"]["message"], json!("wrong user or password"));
    assert_eq!(stranger.get(), Got::Close(3401, "wrong user or password".into()));
}

#[test]
fn server_time_tells_the_time_to_who_listens() {
    let server = Lapps::example("server_time");
    let mut client = Client::open(&server, "/clock");
    let now = client.call("now", &json!([]))[0].as_u64().expect("milliseconds");
    assert!(now > 1_700_000_000_000);
    assert_eq!(client.call("subscribe", &json!([])), json!([true]));
    let told: Vec<u64> = (0..2)
        .map(|_| {
            let note = client.get_value();
            assert_eq!(note["cid"], json!(200));
            note["message"][0].as_u64().expect("milliseconds")
        })
        .collect();
    assert!(now <= told[0] && told[0] + 900 <= told[1], "{now} {told:?}");
    server.stop();
}

#[test]
fn queue_has_orders_worked_off_by_another_service() {
    let server = Lapps::example("queue");
    let mut clients: Vec<Client> = (0..4).map(|_| Client::open(&server, "/orders")).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.text(&format!(r#"{{"tea": {n}}}"#));
    }
    let mut numbers: Vec<u64> = Vec::new();
    for (n, client) in clients.iter_mut().enumerate() {
        let receipt = json_of(client);
        assert_eq!(receipt["order"], json!({ "tea": n }));
        numbers.push(receipt["number"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
    clients[0].text("no JSON");
    assert_eq!(json_of(&mut clients[0]), json!({ "error": "an order is a JSON object" }));
    server.stop();
}

#[test]
fn benchmark_prints_how_many_messages_come_back() {
    // Its own server would be at a port that is not known before it starts.
    let echo = Lapps::example("echo");
    let target = format!("ws://{}/echo", echo.address);
    let mut server = Lapps::example_with("benchmark", &[("BENCHMARK_TARGET", &target)]);
    let line = server.expect_line("benchmark: 100 connections, ");
    let rate = line.split("connections, ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(rate.parse::<u64>().unwrap() > 100, "{line}");
    server.stop();
}

#[test]
fn chat_tells_everybody_what_one_says() {
    let server = Lapps::example("chat");
    let mut anna = Client::open(&server, "/chat");
    anna.text(r#"{"say": "hello?"}"#);
    assert!(json_of(&mut anna)["error"].as_str().unwrap().contains("join"));
    anna.text(r#"{"join": "anna"}"#);
    assert_eq!(json_of(&mut anna), json!({ "joined": "anna" }));
    let mut bert = Client::open(&server, "/chat");
    bert.text(r#"{"join": "bert"}"#);
    bert.text(r#"{"say": "hi"}"#);
    for client in [&mut anna, &mut bert] {
        assert_eq!(json_of(client), json!({ "joined": "bert" }));
        assert_eq!(json_of(client), json!({ "from": "bert", "says": "hi" }));
    }
    drop(bert);
    assert_eq!(json_of(&mut anna), json!({ "left": "bert" }));
}

#[test]
fn pam_login_lets_in_nobody_without_a_password() {
    let server = Lapps::example("pam_login");
    let mut client = Client::open(&server, "/login");
    assert_eq!(client.request("whoami", &json!([]))["error"]["message"], json!("log in first"));
    assert_eq!(client.request("login", &json!(["nobody"]))["error"]["code"], json!(-32602));
    let refused = client.request("login", &json!(["no such user here", "no password"]));
    assert_eq!(refused["error"]["code"], json!(-32000), "{refused}");
}

/// The next message, which is JSON in a text.
#[track_caller]
fn json_of(client: &mut Client) -> Value {
    match client.get() {
        Got::Text(text) => serde_json::from_str(&text).expect("JSON"),
        other => panic!("no text: {other:?}"),
    }
}
