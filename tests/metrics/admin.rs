//! Who asks what, and how it is answered; and that nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::json;

use crate::common::client::{Client, Got};
use crate::common::home::{ECHO, Home};
use crate::common::process::{Lapps, run_to_end};
use crate::common::{PATIENCE, until};
use crate::scrape::{Watched, home};

#[test]
fn what_is_not_there_or_not_meant_is_refused() {
    let watched = Watched::start(&home());
    assert_eq!(watched.get("/healthz").body, "ok\n");
    assert_eq!(watched.get("/readyz?verbose").status, 200);
    for path in ["/", "/metric", "/metrics/", "/healthz/x"] {
        assert_eq!(watched.get(path).status, 404, "{path}");
    }
    let posted = watched.ask("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((posted.status, posted.field("Allow")), (405, Some("GET, HEAD")));
    let head = watched.ask("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.field("Content-Length").unwrap().parse::<usize>().unwrap() > 1000);
    for (request, status) in [
        ("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /metrics\r\n\r\n".to_owned(), 400),
        ("GET /metrics HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(), 505),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(2000)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(9000)), 431),
    ] {
        assert_eq!(watched.ask(&request).status, status, "{}", &request[..20]);
    }
}

#[test]
fn who_asks_slowly_disturbs_nobody_and_is_not_joined_by_many() {
    let watched = Watched::start(&home().service("echo", ECHO, json!({})));
    let mut client = Client::open(&watched.server, "/echo");
    let mut slow: Vec<Client> = (0..8).map(|_| Client::to(watched.admin, false)).collect();
    for one in &mut slow {
        one.write(b"GET /metrics HTT");
    }
    client.echo("served");
    // The eight are being answered when the ninth is not any more.
    until("the ninth is turned away", || healthz(&watched).starts_with("HTTP/1.1 503 "));
    client.echo("still served");
    slow.remove(3).reset();
    until("there is room again", || healthz(&watched).starts_with("HTTP/1.1 200 "));
    // The others are not cut by that.
    slow[0].write(b"P/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(slow[0].read_response().status, 200);
}

/// What is answered; who is turned away may be cut before everything is read.
fn healthz(watched: &Watched) -> String {
    let mut stream = TcpStream::connect(watched.admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_server_that_stops_is_healthy_and_not_ready() {
    let keys = json!({ "shutdown_grace_ms": 60_000, "close_timeout_ms": 60_000 });
    let watched = Watched::start(&home().ws(keys).service("echo", ECHO, json!({})));
    let mut client = Client::open(&watched.server, "/echo");
    let mut asking = Client::connect(&watched.server);
    asking.write(b"GET /ec");
    watched.until("lapps_worker_connections", &[], 2.0);
    assert_eq!(watched.get("/readyz").status, 200);
    assert_eq!(watched.sum("lapps_ready", &[]), 1.0);
    watched.server.signal("TERM");
    assert_eq!(client.get(), Got::Close(1001, "the server stops".into()));
    // It waits for our close frame.
    assert_eq!(watched.get("/readyz").status, 503);
    assert_eq!(watched.get("/healthz").status, 200);
    assert_eq!(watched.sum("lapps_ready", &[]), 0.0);
    watched.until("lapps_connections_ended_total", &[("cause", "shutdown")], 1.0);
    client.close(1001);
    drop(client);
    let (status, _) = watched.server.wait();
    assert!(status.success());
}

#[test]
fn nobody_listens_unless_it_is_configured_and_never_where_others_reach_it_by_mistake() {
    let server = Lapps::start(&Home::new().service("echo", ECHO, json!({})));
    assert!(!server.stop().contains("metrics at"));

    let demo = Watched::new(Lapps::demo());
    assert!(demo.admin.ip().is_loopback());
    demo.scrape();

    let check = |admin| {
        let home = Home::new().ws(json!({ "admin": admin }));
        home.save();
        run_to_end(Path::new("."), &["check", "--home", home.path().to_str().unwrap()], &[])
    };
    for (admin, wrong) in [
        (json!({}), "missing; the admin listener needs an address"),
        (json!({ "listen": "127.0.0.1" }), "is no address with a port"),
        (json!({ "listen": "0.0.0.0:9180" }), "other machines can reach this address"),
        (json!({ "listen": "[::]:9180" }), "other machines can reach this address"),
        (json!({ "listen": 9180 }), "is a number"),
    ] {
        let (status, _, errors) = check(admin);
        assert!(!status.success() && errors.contains(wrong), "{errors}");
    }
    let (status, _, errors) = check(json!({ "listen": "0.0.0.0:9180", "remote": true }));
    assert!(status.success(), "{errors}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let first = Watched::start(&home());
    let second = Home::new().ws(json!({ "admin": { "listen": first.admin.to_string() } }));
    second.save();
    let (status, _, errors) =
        run_to_end(Path::new("."), &["run", "--home", second.path().to_str().unwrap()], &[]);
    assert!(!status.success());
    assert!(errors.contains(&format!("the admin listener cannot listen on {}", first.admin)), "{errors}");
}
