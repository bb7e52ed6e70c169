//! Programs as they were written for the original, with its files: they run as they stand.

use serde_json::{Value, json};

use crate::common::client::{Client, Got};
use crate::home::{Copy, PLACES, Place};

#[test]
fn echo_with_its_headers_and_its_subprotocol() {
    for place in PLACES {
        let mut server = Copy::of("stand_ins", place).start(&[]);
        let mut client = Client::connect(&server);
        client.write(crate::common::client::upgrade("/echo").as_bytes());
        let response = client.read_response();
        assert_eq!(response.status, 101, "{response:?}");
        assert_eq!(response.field("Public-Key-Pins-Report-Only"), Some("report-only"));
        assert_eq!(response.field("Sec-WebSocket-Protocol"), None);
        let mut other = Client::connect(&server);
        other.write(crate::common::client::upgrade("/consumer").as_bytes());
        assert_eq!(other.read_response().field("Sec-WebSocket-Protocol"), Some("consumer.example"));
        client.echo("hello");
        client.reset();
        server.expect_log("echo::onDisconnect ");
        let log = server.stop();
        let instances = 2;
        assert_eq!(log.matches("echo::onShutdown").count(), instances, "{place:?}: {log}");
        assert!(!log.contains("ERROR"), "{place:?}: {log}");
    }
}

#[test]
fn lapps_echo_with_login_and_the_time_once_a_second() {
    for place in PLACES {
        let server = Copy::of("stand_ins", place).start(&[]);
        let mut client = Client::open(&server, "/echo_lapps");
        assert_eq!(client.request("echo", &json!([1]))["error"]["message"], json!("log in first"));
        assert_eq!(client.request("login", &json!([{}]))["error"]["code"], json!(-32602));
        let login = |password: &str| json!([{ "user": "anna", "password": password }]);
        assert_eq!(client.request("login", &login("wrong"))["error"]["message"], json!("not authorized"));
        assert_eq!(client.call("login", &login("secret")), json!([{ "authkey": 1, "user": "anna" }]));
        let params = json!([1, -2.5, "käse", true, { "deep": [null, []] }, 1u64 << 53]);
        assert_eq!(client.call("echo", &params), params);
        assert_eq!(client.request("nothing", &json!([1]))["error"]["code"], json!(-32601));
        client.value(&json!({ "lapps": 1, "method": "ignored", "cid": 5 }));
        client.value(&json!({ "lapps": 1, "method": "subscribe", "cid": 5, "params": [1000] }));
        let notes = [client.get_value(), client.get_value()];
        for note in &notes {
            assert_eq!((&note["cid"], &note["message"][1]), (&json!(3), &json!("0")), "{note}");
        }
        let at = |note: &Value| note["message"][0].as_u64().expect("whole milliseconds");
        assert!(at(&notes[1]) >= at(&notes[0]) + 900, "{notes:?}");
        assert_eq!(notes[1]["message"][2].as_u64(), notes[0]["message"][2].as_u64().map(|count| count + 1));
        client.value(&json!({ "lapps": 1, "method": "unsubscribe", "cid": 5, "params": [1000] }));
        // What was on its way comes before the answer to what follows.
        client.value(&json!({ "lapps": 1, "method": "echo", "params": ["still here"] }));
        let mut next = client.get_value();
        while next["cid"] == json!(3) {
            next = client.get_value();
        }
        assert_eq!(next["result"], json!(["still here"]));
        client.value(&json!({ "lapps": 1, "method": "logout" }));
        assert_eq!(client.get_value()["result"], json!([]));
        assert_eq!(client.request("echo", &json!([1]))["error"]["code"], json!(-11));
        let log = server.stop();
        assert!(log.contains("time_broadcast::run has ended") && !log.contains("ERROR"), "{place:?}: {log}");
    }
}

#[test]
fn a_benchmark_by_outgoing_connections() {
    for place in PLACES {
        let echo = Copy::of("stand_ins", place).start(&[]);
        let uri = format!("ws://{}/echo", echo.address);
        // Where the benchmark runs is the same on both.
        let mut server = Copy::of("stand_ins", Place::Dedicated).start(&[("BENCHMARK_URI", &uri)]);
        // In the first quarter of a second there may be none.
        let busy = (0..40).any(|_| server.expect_line("benchmark 10 ").trim() != "benchmark 10 0");
        assert!(busy, "{place:?}: no message has come back in ten seconds");
        let log = server.stop();
        assert!(!log.contains("onerror") && !log.contains("ERROR"), "{place:?}: {log}");
        assert_eq!(log.matches("benchmark::onclose ").count(), 10, "{place:?}: {log}");
    }
}

#[test]
fn a_queue_between_two_services_whose_writes_do_not_meet() {
    for place in PLACES {
        let server = Copy::of("stand_ins", place).start(&[]);
        let mut clients: Vec<Client> = (0..4).map(|_| Client::open(&server, "/consumer")).collect();
        let mut numbers = Vec::new();
        for round in 0..50 {
            for client in &mut clients {
                client.text(&format!("round {round}"));
                let Got::Text(text) = client.get() else { panic!("no text") };
                let document: Value = serde_json::from_str(&text).expect("JSON");
                let number = document["number"].as_u64().expect("a whole number");
                // The list is as it was when the document was posted, however far the sender has come.
                let newest =
                    document["list"].as_array().unwrap().iter().filter_map(|item| item["number"].as_u64());
                assert_eq!(newest.max(), Some(number), "{text}");
                assert_eq!(document["answered"], json!(format!("round {round}")), "{text}");
                numbers.push(number);
            }
        }
        let expected: Vec<u64> = (1..=200).collect();
        assert_eq!(numbers, expected, "{place:?}");
        let log = server.stop();
        assert!(!log.contains("ERROR"), "{place:?}: {log}");
    }
}

#[test]
fn a_login_that_ends_with_two_values() {
    for place in PLACES {
        let server = Copy::of("stand_ins", place).start(&[("PAM_SERVICE", "a service that is not there")]);
        let mut client = Client::open(&server, "/login");
        let none = client.request("login", &json!([{ "user": "anna" }]));
        assert_eq!(none["error"]["message"], json!("no user or password"), "{place:?}");
        let refused = client.request("login", &json!([{ "user": "no such user", "password": "x" }]));
        assert_eq!(refused["error"]["code"], json!(-20), "{place:?}: {refused}");
        let empty = client.request("login", &json!([{ "user": "", "password": "x" }]));
        assert_eq!(empty["error"]["message"], json!("the name of the user must have 1 to 511 bytes"));
    }
}

/// The files are those of the original: nothing in them is unknown here.
#[test]
fn the_files_of_all_homes_are_valid() {
    for name in ["modules", "stand_ins"] {
        let home = Copy::of(name, Place::Dedicated);
        let arguments = ["check", "--home", home.path().to_str().unwrap()];
        let (status, output, errors) = crate::common::process::run_to_end(home.path(), &arguments, &[]);
        assert!(status.success(), "{name}: {output}{errors}");
    }
}
