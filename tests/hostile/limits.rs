//! No place and no descriptor left: those who are in are served, those who come are told, and later there is room again.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::echo;
use crate::common::client::{Client, upgrade};
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::until;

fn home() -> Home {
    Home::new().ws(json!({ "workers": { "workers": 1 } })).on_both("echo", &echo(), json!({}))
}

/// A client that asks for an upgrade at once, as all do, is told completely that the server is full.
fn is_turned_away(server: &Lapps) {
    let mut client = Client::connect(server);
    let _ = client.try_write(upgrade("/echo").as_bytes());
    if server.tls {
        // Nothing can be said before a TLS handshake.
        client.drain();
        return;
    }
    let response = client.read_response();
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.field("Content-Length"), Some(response.body.len().to_string().as_str()));
    assert_eq!(response.field("Connection"), Some("close"));
    assert!(response.field("Retry-After").is_some(), "{response:?}");
}

#[test]
fn who_is_turned_away_is_not_reset_for_what_it_goes_on_sending() {
    for home in [home(), home().tls()] {
        let server = Lapps::start(&home.ws(json!({ "workers": { "max_connections": 1 } })));
        let before = server.open_files();
        let _first = Client::open(&server, "/echo");
        let mut late = Client::to(server.address, false);
        let told = late.everything();
        assert_eq!(told.starts_with(b"HTTP/1.1 503 "), !server.tls);
        for byte in upgrade("/echo").bytes() {
            late.write(&[byte]);
        }
        drop(late);
        until("no descriptor is left", || server.open_files() == before + 1);
    }
}

/// Tries until the server has noticed that somebody left.
fn comes_in(server: &Lapps) -> Client {
    let mut found = None;
    until("there is room again", || {
        let mut client = Client::connect(server);
        if client.try_write(upgrade("/echo").as_bytes()).is_ok() && client.status() == Some(101) {
            found = Some(client);
        }
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_full_server_says_503_and_has_room_when_one_leaves() {
    for home in [home(), home().tls()] {
        let home = home.ws(json!({ "workers": { "max_connections": 5 } }));
        let server = Lapps::start(&home);
        let mut clients: Vec<Client> = (0..5).map(|_| Client::open(&server, "/echo")).collect();
        for _ in 0..50 {
            is_turned_away(&server);
        }
        for client in &mut clients {
            client.echo("still served");
        }
        clients.pop();
        clients.push(comes_in(&server));
        is_turned_away(&server);
        for client in &mut clients {
            client.echo("still served");
        }
    }
}

/// Starts the server with at most this many open files.
fn start_with_files(home: &Home, files: u32) -> Lapps {
    home.save();
    let script = format!("ulimit -n {files} && exec \"$0\" run --home \"$1\"");
    let place = home.path().to_str().unwrap();
    Lapps::program("sh", Path::new("."), &["-c", &script, env!("CARGO_BIN_EXE_lapps"), place], &[])
}

#[test]
fn the_limit_of_open_files_is_kept_by_turning_clients_away() {
    let server = start_with_files(&home(), 100);
    // 64 are kept for other things.
    let mut clients: Vec<Client> = (0..36).map(|_| Client::open(&server, "/echo")).collect();
    for _ in 0..20 {
        is_turned_away(&server);
    }
    for client in &mut clients {
        client.echo("still served");
    }
    clients.truncate(30);
    clients.push(comes_in(&server));
    for client in &mut clients {
        client.echo("still served");
    }
}

#[test]
fn without_any_descriptor_the_server_waits_and_does_not_spin() {
    let mut server = Lapps::start(&home());
    let mut clients: Vec<Client> = (0..4).map(|_| Client::open(&server, "/echo")).collect();
    // As if something else had used up all descriptors but two.
    let limit = format!("--nofile={}", server.open_files() + 2);
    let status = Command::new("prlimit").args(["--pid", &server.pid().to_string(), &limit]).status();
    assert!(status.expect("prlimit of util-linux").success());
    let mut waiting: Vec<Client> = (0..10)
        .map(|_| {
            let mut client = Client::connect(&server);
            client.write(upgrade("/echo").as_bytes());
            client
        })
        .collect();
    server.expect_log("no file descriptor left");
    let before = server.cpu();
    assert!(waiting[9].is_quiet_for(Duration::from_secs(1)), "there is no descriptor for it");
    let used = server.cpu() - before;
    assert!(used < Duration::from_millis(200), "{used:?} of CPU in a second in which nothing could be done");
    for client in &mut clients {
        client.echo("still served");
    }
    // Each that leaves makes room for one that waits.
    drop(clients);
    for mut client in waiting {
        assert_eq!(client.read_response().status, 101);
        client.echo("served at last");
    }
}
