//! What `status`, `services` and `/metrics` tell agrees exactly with what clients have counted themselves, under load.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use lapps_parser::frame::{OpCode, write_masked_frame};
use serde_json::{Value, json};

use crate::common::cbor;
use crate::common::client::{Client, Got, upgrade};
use crate::common::home::{ECHO, Home};
use crate::common::process::{Lapps, run_to_end};
use crate::common::until;
use crate::scrape::{Watched, home};

const ANSWERS: &str = r#"
    local NAME = {}
    function NAME.onStart() end
    function NAME.onMessage(handler, msg_type, message)
        return ws:send(handler, nljson.decode('{"cid": 0, "status": 1, "result": ["answer"]}'))
    end
    function NAME.onDisconnect(handler) end
    function NAME.onShutdown() end
    return NAME"#;

/// Services with their targets: both protocols on both placements.
const SERVICES: [(&str, &str); 4] = [
    ("raw", "/raw"),
    ("raw_dedicated", "/raw-dedicated"),
    ("answers", "/answers"),
    ("answers_dedicated", "/answers-dedicated"),
];

/// Clients of each service; how each of them ends is said by its number.
const CLIENTS: usize = 12;

/// What the clients of a service count.
#[derive(Default, Debug, Clone, PartialEq)]
struct Counted {
    opened: u64,
    open: u64,
    sent: u64,
    sent_bytes: u64,
    received: u64,
    received_bytes: u64,
    /// Connections that ended, by cause.
    ended: BTreeMap<&'static str, u64>,
}

fn command(home: &Home, words: &[&str]) -> Value {
    let mut arguments = words.to_vec();
    arguments.extend(["--json", "--home", home.path().to_str().unwrap()]);
    let (status, output, errors) = run_to_end(Path::new("."), &arguments, &[]);
    assert!(status.success(), "{words:?}: {errors}");
    serde_json::from_str(&output).unwrap()
}

/// The number that the server has given a client.
fn number(home: &Home, client: &mut Client) -> String {
    let peer = client.socket().local_addr().unwrap().to_string();
    let all = command(home, &["connections"])["connections"].clone();
    all.as_array().unwrap().iter().find(|one| one["peer"] == peer).unwrap()["id"].to_string()
}

impl Counted {
    /// One after the other, then many at once, until all are answered.
    fn talk(&mut self, client: &mut Client, protocol_is_raw: bool, length: usize) {
        let message = |n: usize| match protocol_is_raw {
            true => vec![b'x'; n * length],
            false => cbor::encode(&json!({ "lapps": 1, "method": "any", "params": ["x".repeat(n)] })),
        };
        let mut burst = Vec::new();
        for n in 0..40 {
            let payload = message(n);
            (self.sent, self.sent_bytes) = (self.sent + 1, self.sent_bytes + payload.len() as u64);
            if n < 20 {
                client.send(true, OpCode::Binary, &payload);
                self.hear(client);
            } else {
                write_masked_frame(&mut burst, true, OpCode::Binary, &payload, [9, 8, 7, 6]);
            }
        }
        client.write(&burst);
        (20..40).for_each(|_| self.hear(client));
    }

    fn hear(&mut self, client: &mut Client) {
        let Got::Binary(answer) = client.get() else { panic!("no answer") };
        (self.received, self.received_bytes) = (self.received + 1, self.received_bytes + answer.len() as u64);
    }

    fn ended(&mut self, cause: &'static str) {
        *self.ended.entry(cause).or_default() += 1;
        self.open -= 1;
    }

    /// A client of a service from its first byte to its last, or to where it stays.
    fn live(&mut self, server: &Lapps, home: &Home, target: &str, number_of_client: usize) -> Option<Client> {
        let mut client = Client::open(server, target);
        (self.opened, self.open) = (self.opened + 1, self.open + 1);
        self.talk(&mut client, target.starts_with("/raw"), number_of_client);
        match number_of_client % 5 {
            0 => {
                client.close(1000);
                client.drain();
                self.ended("by_peer");
            }
            1 => {
                // Nothing waits to be read, so the end of the stream is no reset.
                drop(client);
                self.ended("eof");
            }
            2 => {
                client.write(&[0x8f, 0x80, 0, 0, 0, 0]);
                assert!(matches!(client.get(), Got::Close(1002, _)));
                client.drain();
                self.ended("violation");
            }
            3 => {
                command(home, &["kick", &number(home, &mut client)]);
                assert!(matches!(client.get(), Got::Close(1008, _)));
                client.close(1008);
                client.drain();
                self.ended("by_service");
            }
            _ => return Some(client),
        }
        None
    }
}

#[test]
fn status_services_and_metrics_are_what_clients_have_counted() {
    let home = home()
        .ws(json!({ "workers": { "workers": 2 }, "close_timeout_ms": 60_000 }))
        .on_both("raw", &ECHO.replace("echo", "NAME"), json!({}))
        .on_both("answers", ANSWERS, json!({ "protocol": "LAppS" }));
    std::fs::create_dir(home.path().join("workdir")).unwrap();
    let watched = Watched::start(&home);
    let server = &watched.server;
    let refused = 7;
    let counted: Vec<(Counted, Vec<Client>)> = thread::scope(|scope| {
        let threads: Vec<_> = SERVICES
            .iter()
            .map(|(_, target)| {
                let home = &home;
                scope.spawn(move || {
                    let mut counted = Counted::default();
                    let stay = (0..CLIENTS).filter_map(|n| counted.live(server, home, target, n)).collect();
                    (counted, stay)
                })
            })
            .collect();
        for _ in 0..refused {
            let mut client = Client::connect(server);
            client.write(upgrade("/nowhere").as_bytes());
            assert_eq!(client.read_response().status, 404);
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    let mut all = Counted::default();
    for (of, _) in &counted {
        all.opened += of.opened;
        all.open += of.open;
        all.sent += of.sent;
        all.received += of.received;
        for (cause, count) in &of.ended {
            *all.ended.entry(cause).or_default() += count;
        }
    }
    all.ended.insert("answered", refused);
    assert!(all.open > 0 && all.ended.len() == 5, "{all:?}");

    // The last turn of each worker is counted when it is over.
    let number = |n: u64| n as f64;
    watched.until("lapps_worker_connections", &[], number(all.open));
    watched.until("lapps_worker_sent_messages_total", &[], number(all.received));
    for (name, value) in [
        ("lapps_connections_accepted_total", all.opened + refused),
        ("lapps_worker_received_messages_total", all.sent),
        ("lapps_connections_ended_total", all.ended.values().sum()),
        ("lapps_connections_refused_total", 0),
        ("lapps_handler_errors_total", 0),
    ] {
        watched.until(name, &[], number(value));
    }
    for (cause, count) in &all.ended {
        watched.until("lapps_connections_ended_total", &[("cause", cause)], number(*count));
    }
    watched.until("lapps_handshakes_total", &[("status", "101")], number(all.opened));
    watched.until("lapps_handshakes_total", &[("status", "404")], number(refused));
    for ((service, _), (of, _)) in SERVICES.iter().zip(&counted) {
        for (name, value) in [
            ("lapps_connections_opened_total", of.opened),
            ("lapps_service_connections", of.open),
            ("lapps_received_messages_total", of.sent),
            ("lapps_received_bytes_total", of.sent_bytes),
            ("lapps_sent_messages_total", of.received),
            ("lapps_sent_bytes_total", of.received_bytes),
        ] {
            watched.until(name, &[("service", service)], number(value));
        }
    }
    until("status agrees", || {
        let status = command(&home, &["status"]);
        let told = ["connections", "messages_received", "messages_sent"].map(|key| status[key].as_u64());
        told == [Some(all.open), Some(all.sent), Some(all.received)]
    });
    let services = command(&home, &["services"])["services"].clone();
    for ((service, _), (of, _)) in SERVICES.iter().zip(&counted) {
        let row = services.as_array().unwrap().iter().find(|row| row["name"] == *service).unwrap();
        let told = ["connections", "messages_received", "messages_sent"].map(|key| row[key].as_u64());
        assert_eq!(told, [Some(of.open), Some(of.sent), Some(of.received)], "{service}");
    }
}
