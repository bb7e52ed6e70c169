//! Connections that come and go in masses: no descriptor, no place and no memory is left behind.

use std::sync::atomic::{AtomicBool, Ordering};

use lapps_parser::frame::OpCode;
use serde_json::json;

use super::{PLACEMENTS, echo};
use crate::common::client::{Client, Got, upgrade};
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::until;

/// So few places that a leak of some is felt.
fn home() -> Home {
    Home::new().ws(json!({ "workers": { "workers": 2, "max_connections": 100 } })).on_both(
        "echo",
        &echo(),
        json!({}),
    )
}

/// Every place can be taken, after all that was.
fn all_places_are_free(server: &Lapps) {
    let mut clients: Vec<Client> = Vec::new();
    for n in 0..200 {
        let target = format!("/echo{}", PLACEMENTS[n % 2]);
        clients.push(Client::open(server, &target));
    }
    for client in &mut clients {
        client.echo("served");
    }
}

#[test]
fn connections_that_are_cut_at_any_time_leave_nothing_behind() {
    for home in [home(), home().tls()] {
        let server = Lapps::start(&home);
        let before = server.open_files();
        let request = upgrade("/echo").into_bytes();
        let count = if server.tls { 300 } else { 1000 };
        for n in 0..count {
            let plain = Client::to(server.address, false);
            match n % 4 {
                // At once, without a word.
                0 | 1 => plain.reset(),
                // In the middle of the head, or of what should be a TLS record.
                2 => {
                    let mut client = plain;
                    client.write(&request[..40]);
                    client.reset();
                }
                _ => {
                    let mut client = Client::connect(&server);
                    client.write(&request);
                    client.reset();
                }
            }
        }
        until("no descriptor is left", || server.open_files() == before);
        all_places_are_free(&server);
        until("no descriptor is left", || server.open_files() == before);
        server.stop();
    }
}

#[test]
fn a_thousand_connections_opened_and_closed_leave_nothing_behind() {
    let home = home();
    let server = Lapps::start(&home);
    let before = server.open_files();
    // The first rounds make the server's own stocks, which stay.
    let mut memory = 0;
    for round in 0..20 {
        let mut clients: Vec<Client> =
            (0..60).map(|n| Client::open(&server, &format!("/echo{}", PLACEMENTS[n % 2]))).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.send(true, OpCode::Binary, &vec![n as u8; 10_000]);
        }
        for (n, client) in clients.iter_mut().enumerate() {
            assert!(client.get() == Got::Binary(vec![n as u8; 10_000]));
            match n % 3 {
                0 => {
                    client.close(1000);
                    assert_eq!((client.get(), client.get()), (Got::Close(1000, String::new()), Got::Eof));
                }
                1 => client.half_close(),
                _ => {}
            }
        }
        drop(clients);
        until("no descriptor is left", || server.open_files() == before);
        if round == 4 {
            memory = server.resident();
        }
    }
    let grown = server.resident().saturating_sub(memory);
    assert!(grown < 8 << 20, "{grown} bytes more after 900 connections that have gone");
}

#[test]
fn what_is_announced_costs_no_memory() {
    let home = Home::new().on_both("echo", &echo(), json!({ "max_inbound_message_size": 1 << 30 }));
    let server = Lapps::start(&home);
    let mut clients: Vec<Client> =
        (0..200).map(|n| Client::open(&server, &format!("/echo{}", PLACEMENTS[n % 2]))).collect();
    let before = server.resident();
    for client in &mut clients {
        // A gigabyte each, of which ten bytes come.
        client.write(b"\x02\xff\0\0\0\0\x3f\xff\xff\xff\0\0\0\x000123456789");
    }
    // Who comes later is served later: by now all that was read.
    for n in 0..4 {
        Client::open(&server, &format!("/echo{}", PLACEMENTS[n % 2])).echo("served");
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes for what was only announced");
}

#[test]
fn a_flood_of_connections_does_not_stop_those_that_are_open() {
    let server = Lapps::start(&home());
    let before = server.open_files();
    // The flood takes all places that are left.
    let mut clients = PLACEMENTS.map(|placement| Client::open(&server, &format!("/echo{placement}")));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flood = [0, 1, 2].map(|_| {
            scope.spawn(|| {
                let mut count = 0;
                while !done.load(Ordering::Relaxed) {
                    let mut client = Client::to(server.address, false);
                    let _ = client.try_write(b"GET / HTTP/1.1\r\n");
                    count += 1;
                }
                count
            })
        });
        let echoes = scope.spawn(|| {
            for n in 0..1000 {
                clients[n % 2].echo(&n.to_string());
            }
        });
        let result = echoes.join();
        done.store(true, Ordering::Relaxed);
        let count: u32 = flood.into_iter().map(|one| one.join().unwrap()).sum();
        assert!(result.is_ok(), "{result:?}");
        assert!(count > 100, "{count} connections are no flood");
    });
    drop(clients);
    until("no descriptor is left", || server.open_files() == before);
    all_places_are_free(&server);
}
