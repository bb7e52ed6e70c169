//! Clients that send on while their handler waits: they are not read, and lose nothing.

use std::time::Duration;

use serde_json::json;

use super::{Gate, PASS, PLACEMENTS, one_worker};
use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::stream::Stream;

/// How long the server must take nothing until it counts as having stopped.
const QUIET: Duration = Duration::from_millis(300);

/// What the server may grow by for one such client: messages that wait, rings, and the same again.
const GROWTH: usize = 32 << 20;

/// An echo that first waits at a gate, whose path is the first message.
fn gated() -> String {
    format!(
        "{PASS}
        local NAME = {{}}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message)
            if opcode == 1 and message:sub(1, 1) == '/' then pass(message) end
            return ws:send(handler, opcode, message)
        end
        function NAME.onDisconnect(handler) print('NAME lost') end
        function NAME.onShutdown() end
        return NAME"
    )
}

#[test]
fn who_floods_a_handler_that_waits_is_not_read_and_loses_nothing() {
    for (concurrency, len) in [("serial", 16 * 1024), ("connection", 16 * 1024), ("connection", 10)] {
        let keys = json!({ "concurrency": concurrency });
        let home = Home::new().ws(one_worker()).on_both("gated", &gated(), keys);
        let server = Lapps::start(&home);
        for placement in PLACEMENTS {
            let gate = Gate::new(&home, &format!("gate{placement}"));
            let path = gate.0.to_str().unwrap();
            let mut client = Client::narrow(&server).upgraded(&format!("/gated{placement}"));
            client.text(path);
            let before = server.resident();
            let stream = Stream::new(len);
            let (count, rest) = client.stuff(|n| stream.part(n), Stream::MOST, QUIET);
            let grown = server.resident().saturating_sub(before);
            assert!(grown < GROWTH, "{concurrency}{placement}: {grown} bytes, {len} bytes a message");
            if concurrency == "connection" {
                Client::open(&server, &format!("/gated{placement}")).echo("others are served");
            }
            gate.open();
            client.widen();
            assert_eq!(client.get(), Got::Text(path.into()));
            stream.is_echoed(&mut client, count, &rest);
            client.echo("as if nothing had been");
        }
        server.stop();
    }
}

#[test]
fn a_flooding_client_that_is_not_read_can_still_be_reset() {
    let keys = json!({ "concurrency": "connection" });
    let home = Home::new().ws(one_worker()).on_both("gated", &gated(), keys);
    let mut server = Lapps::start(&home);
    let mut others = PLACEMENTS.map(|placement| Client::open(&server, &format!("/gated{placement}")));
    for (placement, other) in PLACEMENTS.into_iter().zip(&mut others) {
        let gate = Gate::new(&home, &format!("gate{placement}"));
        let mut client = Client::narrow(&server).upgraded(&format!("/gated{placement}"));
        client.text(gate.0.to_str().unwrap());
        let stream = Stream::new(1024);
        client.stuff(|n| stream.part(n), Stream::MOST, QUIET);
        client.reset();
        other.echo("others are served");
        gate.open();
        server.expect_log(" lost\n");
        other.echo("as if nothing had been");
    }
    // Those of the others.
    assert_eq!(server.stop().matches(" lost\n").count(), 2);
}
