//! What idle connections cost the server in resident memory, before they have said anything and after, and when they are gone.
//!
//! The sizes of the parts are held by a test of the worker, exact figures are measured by `bench/compare`; here stand bounds that
//! a buffer kept for each connection would break.

mod common;

use common::client::Client;
use common::home::Home;
use common::process::Lapps;
use common::until;

/// Fills what all connections share.
const WARM: usize = 60;
/// Those of both tests fit into the usual limit of open files.
const CONNECTIONS: usize = 400;
/// More than a record of TLS likes to be, less than two.
const LARGE: usize = 12_000;

/// Bytes for each connection: 240 when this was written, and what the allocator rounds up to.
#[test]
fn a_plain_connection_holds_no_buffer() {
    hold(&Home::with_echo(), 1200, 1200, 1200);
}

/// 2,700 when this was written: keys, and the state of their ciphers. A buffer for one record would be 16 KiB more. Where the
/// allocator keeps what it was given back, it is 2,700 for those that are gone, too.
#[test]
fn a_tls_connection_holds_no_buffer() {
    hold(&Home::with_echo().tls(), 8_000, 8_000, 2_400);
}

/// Opened, each connection may take `fresh` bytes, after a large message `used`, and when it is gone `gone`.
#[track_caller]
fn hold(home: &Home, fresh: usize, used: usize, gone: usize) {
    let server = Lapps::start(home);
    drop(talk(open(&server, WARM)));
    let before = server.resident();
    let each = || server.resident().saturating_sub(before) / CONNECTIONS;

    let clients = open(&server, CONNECTIONS);
    assert!(each() <= fresh, "{} bytes for each connection that was opened", each());
    let clients = talk(clients);
    until("what a message took is given back", || each() <= used);
    drop(clients);
    until("what a connection took is given back", || each() <= gone);
    server.stop();
}

fn open(server: &Lapps, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::open(server, "/echo")).collect()
}

/// A large message there and back on each.
fn talk(mut clients: Vec<Client>) -> Vec<Client> {
    let text = "x".repeat(LARGE);
    for client in &mut clients {
        client.echo(&text);
    }
    clients
}
