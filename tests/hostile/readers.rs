//! Clients that do not read: what waits for them is bounded, and who reads late loses nothing.

use std::time::{Duration, Instant};

use lapps_lua::port::ConnId;
use lapps_parser::frame::{OpCode, write_masked_frame};
use serde_json::json;

use super::{PLACEMENTS, echo};
use crate::common::client::{Client, Got, MASK};
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::stream::{Stream, numbered};

const MIB: usize = 1 << 20;

/// How long the server must take nothing until it counts as having stopped.
const QUIET: Duration = Duration::from_millis(300);

/// What the server may grow by for one client that does not read: its queues, its rings, and the same again.
const GROWTH: usize = 32 * MIB;

fn ping(number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_masked_frame(&mut bytes, true, OpCode::Ping, &numbered(number, 125), MASK);
    bytes
}

#[test]
fn who_does_not_read_is_not_read_and_gets_everything_when_it_does() {
    for len in [16 * 1024, 100] {
        let home = Home::new().ws(json!({ "workers": { "workers": 1 } })).on_both("echo", &echo(), json!({}));
        let server = Lapps::start(&home);
        for placement in PLACEMENTS {
            let target = format!("/echo{placement}");
            let mut other = Client::open(&server, &target);
            let mut deaf = Client::narrow(&server).upgraded(&target);
            let before = server.resident();
            let stream = Stream::new(len);
            let (count, rest) = deaf.stuff(|n| stream.part(n), Stream::MOST, QUIET);
            let grown = server.resident().saturating_sub(before);
            assert!(grown < GROWTH, "{target}: {grown} bytes for one client, {len} bytes a message");
            other.echo("others are served");
            deaf.widen();
            stream.is_echoed(&mut deaf, count, &rest);
            deaf.echo("as if nothing had been");
        }
        server.stop();
    }
}

#[test]
fn pings_of_a_client_that_does_not_read_cost_one_pong() {
    let home = Home::new().ws(json!({ "workers": { "workers": 1 } })).on_both("echo", &echo(), json!({}));
    let server = Lapps::start(&home);
    for placement in PLACEMENTS {
        let target = format!("/echo{placement}");
        let mut other = Client::open(&server, &target);
        let mut deaf = Client::narrow(&server).upgraded(&target);
        let before = server.resident();
        let (count, rest) = deaf.stuff(ping, 48 * MIB, QUIET);
        deaf.write(&rest);
        let grown = server.resident().saturating_sub(before);
        assert!(grown < 4 * MIB, "{target}: {grown} bytes for pongs");
        other.echo("others are served");
        // The latest ping is always answered, and pongs never come out of order.
        let mut last = None;
        deaf.widen();
        while last != Some(count - 1) {
            let Got::Pong(payload) = deaf.get() else { panic!("{target}: no pong") };
            let number = u32::from_be_bytes(payload[..4].try_into().unwrap());
            assert!(
                last < Some(number) && payload == numbered(number, 125),
                "{target}: {number} after {last:?}"
            );
            last = Some(number);
        }
    }
}

/// Sends without end to whom the message names, or to its sender.
const FIREHOSE: &str = r"
    local NAME = {}
    local block = string.rep('x', 65536)
    function NAME.onStart() end
    function NAME.onMessage(handler, opcode, message)
        if message == 'who' then return ws:send(handler, 1, tostring(handler)) end
        if message ~= 'fire' and not tonumber(message) then return ws:send(handler, opcode, message) end
        local aim, sent = tonumber(message) or handler, 0
        local ok, why
        for _ = 1, 20000 do
            ok, why = ws:send(aim, 2, block)
            if not ok then break end
            sent = sent + 1
        end
        print('NAME', sent, ok, why, ws:send(aim, 2, block))
        return true
    end
    function NAME.onDisconnect(handler) print('NAME lost ' .. handler) end
    function NAME.onShutdown() end
    return NAME";

#[test]
fn a_service_that_sends_without_end_hears_it_and_only_the_client_that_does_not_read_is_cut() {
    let home = Home::new().ws(json!({ "workers": { "workers": 1 } })).on_both(
        "hose",
        FIREHOSE,
        json!({ "outgoing_high_water": 65536, "outgoing_limit": 1_000_000 }),
    );
    let mut server = Lapps::start(&home);
    for (placement, name) in PLACEMENTS.into_iter().zip(["hose", "hose_dedicated"]) {
        let target = format!("/hose{placement}");
        let mut other = Client::open(&server, &target);
        let mut deaf = Client::narrow(&server).upgraded(&target);
        let before = server.resident();
        deaf.text("fire");
        let log = server.expect_log(&format!("{name}\t"));
        let line = log.lines().last().unwrap();
        let words: Vec<&str> = line.split('\t').collect();
        assert_eq!((words[2], words[4]), ("false", "false"), "{line}");
        assert!(matches!(words[3], "queue is full" | "connection closed"), "{line}");
        assert_eq!(words[5], "connection closed", "after a drop the connection is gone: {line}");
        // The limit, what the kernel took, and for the dedicated instance the ring.
        let sent: usize = words[1].parse().unwrap();
        assert!(sent * 65_536 < 24 * MIB, "{line}");
        let grown = server.resident().saturating_sub(before);
        assert!(grown < GROWTH, "{target}: {grown} bytes");
        server.expect_log(&format!("{name} lost "));
        other.echo("others are served");
        deaf.widen();
        assert!(!deaf.drain(), "{target}: what was dropped must not look like a good end");
    }
}

#[test]
fn a_service_that_sends_without_end_to_another_workers_connection_is_told_that_the_queue_is_full() {
    let home = Home::new().service(
        "hose",
        &FIREHOSE.replace("NAME", "hose"),
        json!({ "outgoing_limit": 1_000_000 }),
    );
    let mut server = Lapps::start(&home);
    // Connections take turns among the workers.
    let mut clients: Vec<Client> = (0..4).map(|_| Client::narrow(&server).upgraded("/hose")).collect();
    let handlers: Vec<String> = clients
        .iter_mut()
        .map(|client| {
            client.text("who");
            let Got::Text(handler) = client.get() else { panic!("no number") };
            handler
        })
        .collect();
    let worker = |handler: &str| ConnId::from_number(handler.parse().unwrap()).unwrap().worker();
    let far =
        handlers.iter().position(|handler| worker(handler) != worker(&handlers[0])).expect("another worker");
    clients[0].text(&handlers[far]);
    let log = server.expect_log("hose\t");
    let words: Vec<&str> = log.lines().last().unwrap().split('\t').collect();
    assert!(words[2] == "false" && matches!(words[3], "queue is full" | "connection closed"), "{log}");
    clients[0].echo("the sender is served");
}

#[test]
fn who_takes_nothing_for_too_long_is_cut() {
    let limit = Duration::from_millis(500);
    for home in [Home::new(), Home::new().tls()] {
        let home = home.ws(json!({ "stalled_writer_ms": limit.as_millis() as u64 })).on_both(
            "hose",
            FIREHOSE,
            json!({
                "max_inbound_message_size": 8 * MIB
            }),
        );
        let mut server = Lapps::start(&home);
        for (placement, name) in PLACEMENTS.into_iter().zip(["hose", "hose_dedicated"]) {
            let mut deaf = Client::narrow(&server).upgraded(&format!("/hose{placement}"));
            let start = Instant::now();
            deaf.send(true, OpCode::Binary, &vec![1; 8 * MIB]);
            server.expect_log(&format!("{name} lost "));
            assert!(start.elapsed() >= limit, "{name}: {:?}", start.elapsed());
            deaf.widen();
            assert!(!deaf.drain(), "{name}: what was dropped must not look like a good end");
        }
    }
}
