//! Every function of every module with right and wrong arguments: what the services of the home `modules` report.

use serde_json::{Value, json};

use crate::common::client::{Client, Got};
use crate::common::process::Lapps;
use crate::home::{Copy, PLACES};

/// Sends "run", and fails with what failed there. What comes before the report, and how many checks there were.
#[track_caller]
fn run(client: &mut Client, params: &Value) -> (usize, Vec<Value>) {
    client.value(&json!({ "lapps": 1, "method": "run", "params": params }));
    let mut before = Vec::new();
    let report = loop {
        let value = client.get_value();
        match value.get("result") {
            Some(Value::Array(report)) => break report.clone(),
            _ => before.push(value),
        }
    };
    let failed: Vec<String> = report
        .iter()
        .filter(|check| check["ok"] != json!(true))
        .map(|check| format!("{}: {}", check["name"], check["detail"]))
        .collect();
    assert!(failed.is_empty(), "{} of {} checks failed:\n{}", failed.len(), report.len(), failed.join("\n"));
    (report.len(), before)
}

/// The number by which services know the client.
#[track_caller]
fn who(client: &mut Client) -> Value {
    client.call("who", &json!([]))[0].clone()
}

/// The number of a client that has gone.
fn stale(server: &Lapps, target: &str) -> Value {
    let mut client = Client::open(server, target);
    let number = who(&mut client);
    client.close(1000);
    assert_eq!((client.get(), client.get()), (Got::Close(1000, String::new()), Got::Eof));
    number
}

/// Runs the checks of a service on both placements; there are so many.
#[track_caller]
fn all_pass(name: &str, count: usize) {
    for place in PLACES {
        let server = Copy::of("modules", place).start(&[]);
        let mut client = Client::open(&server, &format!("/{name}"));
        assert_eq!(run(&mut client, &json!([])), (count, Vec::new()), "{place:?}");
        let log = server.stop();
        assert!(!log.contains("ERROR"), "{place:?}: {log}");
    }
}

#[test]
fn nap() {
    all_pass("check_nap", 6);
}

#[test]
fn time() {
    all_pass("check_time", 5);
}

#[test]
fn murmur() {
    all_pass("check_murmur", 3);
}

#[test]
fn nljson() {
    all_pass("check_nljson", 17);
}

#[test]
fn mqr() {
    all_pass("check_mqr", 7);
}

#[test]
fn pam_auth() {
    all_pass("check_pam_auth", 3);
}

#[test]
fn standalone() {
    all_pass("desk", 6);
}

#[test]
fn ws() {
    for place in PLACES {
        let server = Copy::of("modules", place).start(&[]);
        let mut other = Client::open(&server, "/check_ws");
        let gone = stale(&server, "/check_ws");
        let mut client = Client::open(&server, "/check_ws");
        let params = json!([who(&mut other), gone]);
        assert_eq!(run(&mut client, &params), (11, Vec::new()), "{place:?}");
        assert_eq!(other.get(), Got::Text("text".into()));
        assert_eq!(other.get(), Got::Binary(vec![0, 255]));
        assert_eq!(other.get(), Got::Text(String::new()));
        for expected in [
            json!({ "cid": 0, "status": 1, "result": [] }),
            json!({ "cid": 0, "status": 1, "result": [{ "deep": [null] }] }),
            json!({ "cid": 0, "status": 0, "error": { "code": -32600, "message": "m" } }),
            json!({ "cid": 0, "status": 0, "error": { "code": 1, "message": "m", "data": {} } }),
            json!({ "cid": 7, "message": [] }),
            json!({ "cid": 7, "status": 1, "message": ["x"] }),
            json!({ "cid": 9, "message": ["part"] }),
        ] {
            assert_eq!(other.get_value(), expected, "{place:?}");
        }
        assert_eq!(other.get(), Got::Close(4001, "bye".into()), "{place:?}");
    }
}

#[test]
fn cws() {
    for place in PLACES {
        let server = Copy::of("modules", place).start(&[]);
        let uri = format!("ws://{}/echo", server.address);
        let mut client = Client::open(&server, "/check_cws");
        assert_eq!(run(&mut client, &json!([uri])), (5, Vec::new()), "{place:?}");
        let log = server.stop();
        assert!(!log.contains("ERROR"), "{place:?}: {log}");
    }
}

#[test]
fn bcast() {
    for place in PLACES {
        let server = Copy::of("modules", place).start(&[]);
        let gone = stale(&server, "/check_bcast");
        let mut client = Client::open(&server, "/check_bcast");
        let once = json!({ "cid": 41, "message": ["once", { "deep": [1] }] });
        assert_eq!(run(&mut client, &json!([gone])), (11, vec![once]), "{place:?}");
    }
}

#[test]
fn raw_services_get_handler_opcode_and_string() {
    for place in PLACES {
        let home = Copy::of("modules", place);
        let mut server = home.start(&[]);
        let mut client = Client::connect(&server);
        client.write(crate::common::client::upgrade("/check_raw").as_bytes());
        let response = client.read_response();
        assert_eq!(response.status, 101);
        assert_eq!(response.field("Content-Language"), Some("en"));
        assert_eq!(response.field("Strict-Transport-Security"), Some("max-age=31536000; includeSubDomains"));
        assert_eq!(response.field("Sec-WebSocket-Protocol"), Some("raw.example"));

        client.text("käse");
        assert_eq!(client.get(), Got::Text("3numbertextstringkäse".into()));
        client.send(true, lapps_parser::frame::OpCode::Binary, b"");
        assert_eq!(client.get(), Got::Binary(b"3numberbinarystring".to_vec()));
        client.text("globals");
        let globals = "ws=table nljson=table bcast=nil nap=table time=nil mqr=nil cws=nil murmur=table pam_auth=nil \
                       check_raw=table";
        assert_eq!(client.get(), Got::Text(globals.into()), "{place:?}");
        client.text("libraries");
        let Got::Text(libraries) = client.get() else { panic!("no text") };
        assert!(!libraries.contains("nil"), "{libraries}");
        client.text("directory");
        let apps = home.path().join("apps").to_str().unwrap().to_owned();
        assert_eq!(client.get(), Got::Text(apps));
        client.reset();
        server.expect_log("check_raw onDisconnect number");
        assert!(server.stop().contains("check_raw onShutdown"));
    }
}
