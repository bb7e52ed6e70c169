//! Connections that come, are refused, and end: by what.

use std::fs;
use std::process::Command;

use lapps::services::lar::write;
use lapps_parser::frame::OpCode;
use serde_json::json;

use crate::common::client::{Client, Got, upgrade};
use crate::common::home::ECHO;
use crate::common::until;
use crate::scrape::{Watched, home};

#[test]
fn requests_are_counted_by_their_answer() {
    let watched =
        Watched::start(&home().ws(json!({ "handshake_timeout_ms": 300 })).service("echo", ECHO, json!({})));
    let ask = |request: String| {
        let mut client = Client::connect(&watched.server);
        client.write(request.as_bytes());
        client.read_response().status
    };
    for (request, status) in [
        (upgrade("/echo"), 101),
        (upgrade("/elsewhere"), 404),
        ("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 426),
        ("GET /echo HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /ec".to_owned(), 408),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000)), 414),
    ] {
        assert_eq!(ask(request), status);
        watched.until("lapps_handshakes_total", &[("status", &status.to_string())], 1.0);
    }
    watched.until("lapps_connections_accepted_total", &[("listener", "0")], 6.0);
    for (cause, count) in [("answered", 2.0), ("bad_head", 2.0), ("handshake_timeout", 1.0)] {
        watched.until("lapps_connections_ended_total", &[("cause", cause)], count);
    }
}

#[test]
fn ends_are_counted_by_their_cause_and_once() {
    const CLOSER: &str = "
        local closer = {}
        function closer.onStart() end
        function closer.onMessage(handler, opcode, message)
            if message == 'close' then ws:close(handler, 1000, '') return true end
            for n = 1, 64 do ws:send(handler, 2, ('x'):rep(1000000)) end
            return true
        end
        function closer.onDisconnect(handler) end
        function closer.onShutdown() end
        return closer";
    let times = json!({
        "ping_interval_ms": 300, "idle_timeout_ms": 900, "close_timeout_ms": 200, "stalled_writer_ms": 600
    });
    let keys = json!({ "outgoing_limit": 128 << 20 });
    let home = home().ws(times).service("closer", CLOSER, keys).service(
        "full",
        &CLOSER.replace("closer", "full"),
        json!({}),
    );
    let watched = Watched::start(&home);
    let open = || Client::open(&watched.server, "/closer");
    let ended = |cause: &str, count: f64| {
        watched.until("lapps_connections_ended_total", &[("cause", cause)], count);
    };

    let mut polite = open();
    polite.close(1000);
    assert_eq!(polite.get(), Got::Close(1000, String::new()));
    ended("by_peer", 1.0);

    let mut silent = open();
    silent.half_close();
    ended("eof", 1.0);

    let mut wrong = open();
    wrong.send(true, OpCode::Text, b"\xff");
    ended("violation", 1.0);

    let mut closed = open();
    closed.text("close");
    assert_eq!(closed.get(), Got::Close(1000, String::new()));
    closed.close(1000);
    ended("by_service", 1.0);

    let mut mute = open();
    mute.text("close");
    ended("close_unanswered", 1.0);

    open().reset();
    ended("io", 1.0);

    let _idle = open();
    ended("idle", 1.0);

    let mut deaf = Client::narrow(&watched.server).upgraded("/full");
    deaf.text("more than there may be");
    ended("full", 1.0);

    let mut stalled = Client::narrow(&watched.server).upgraded("/closer");
    stalled.text("more than it reads");
    ended("stalled", 1.0);

    watched.until("lapps_worker_connections", &[("worker", "0")], 0.0);
    // Nobody was counted twice.
    ended("by_peer", 1.0);
    assert_eq!(watched.sum("lapps_connections_ended_total", &[]), 9.0);
    watched.until("lapps_service_connections", &[("service", "closer")], 0.0);
    assert_eq!(watched.sum("lapps_connections_opened_total", &[("service", "closer")]), 8.0);
}

#[test]
fn those_who_are_turned_away_are_counted() {
    let full = json!({ "workers": { "max_connections": 1 } });
    let watched = Watched::start(&home().ws(full).service("echo", ECHO, json!({})));
    let mut first = Client::open(&watched.server, "/echo");
    assert_eq!(Client::connect(&watched.server).status(), Some(503));
    first.echo("served");
    watched.until("lapps_connections_refused_total", &[("reason", "full")], 1.0);
    assert_eq!(watched.sum("lapps_connections_refused_total", &[("reason", "acl")]), 0.0);

    let nobody = json!({ "acl": { "policy": "deny" } });
    let watched = Watched::start(&home().ws(nobody).service("echo", ECHO, json!({})));
    assert_eq!(Client::connect(&watched.server).get(), Got::Eof);
    watched.until("lapps_connections_refused_total", &[("reason", "acl")], 1.0);
    watched.until("lapps_connections_accepted_total", &[], 1.0);
}

#[test]
fn times_without_a_descriptor_are_counted() {
    let watched = Watched::start(&home().service("echo", ECHO, json!({})));
    let pid = watched.server.pid().to_string();
    let limit = |files: usize| {
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}:")]).status();
        assert!(status.unwrap().success());
    };
    until("nobody is being answered", || watched.server.open_files() <= 64);
    limit(1);
    let mut waiting = Client::connect(&watched.server);
    // Nobody can ask now; the log says it, too.
    let mut watched = watched;
    watched.server.expect_log("no file descriptor left to accept with");
    limit(1000);
    watched.until_above("lapps_accept_pauses_total", &[("listener", "0")], 0.0);
    waiting = waiting.upgraded("/echo");
    waiting.echo("served after all");
}

#[test]
fn handshakes_of_tls_are_counted() {
    let watched = Watched::start(&home().tls().service("echo", ECHO, json!({})));
    Client::open(&watched.server, "/echo").echo("served");
    watched.until("lapps_tls_handshakes_total", &[("result", "done")], 1.0);
    let mut plain = Client::to(watched.server.address, false);
    plain.write(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    plain.drain();
    watched.until("lapps_tls_handshakes_total", &[("result", "failed")], 1.0);
    // Neither is counted again, whatever else it sends.
    assert_eq!(watched.sum("lapps_tls_handshakes_total", &[]), 2.0);
}

#[test]
fn a_client_that_outstays_its_service_is_counted_and_so_are_both_versions() {
    let keys = json!({ "shutdown_grace_ms": 200, "close_timeout_ms": 60_000 });
    let home = home().ws(keys).service("echo", ECHO, json!({}));
    fs::create_dir(home.path().join("deploy")).unwrap();
    let watched = Watched::start(&home);
    let of = [("service", "echo"), ("instance", "0")];
    let mut old = Client::open(&watched.server, "/echo");
    old.echo("one");
    watched.until("lapps_received_messages_total", &of, 1.0);
    assert_eq!(watched.sum("lapps_instance_starts_total", &of), 1.0);
    let keys = json!({
        "name": "echo", "standalone": false, "auto_start": true, "request_target": "/echo", "protocol": "raw",
        "max_inbound_message_size": 65536
    });
    let archive = write([
        ("echo/echo.json", 0o644, keys.to_string().as_bytes()),
        ("echo/echo.lua", 0o644, ECHO.as_bytes()),
    ]);
    fs::write(home.path().join("echo.lar"), archive.unwrap()).unwrap();
    fs::rename(home.path().join("echo.lar"), home.path().join("deploy/echo.lar")).unwrap();
    // It does not answer the close frame.
    assert_eq!(old.get(), Got::Close(1012, "the service restarts".into()));
    watched.until("lapps_instance_starts_total", &of, 2.0);
    watched.until("lapps_connections_ended_total", &[("cause", "restart")], 1.0);
    watched.until("lapps_instances", &of, 1.0);
    Client::open(&watched.server, "/echo").echo("two");
    watched.until("lapps_received_messages_total", &of, 2.0);
    watched.until("lapps_service_connections", &of, 0.0);
}
