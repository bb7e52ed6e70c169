//! Messages, bytes, broadcasts, and what holds them up.

use std::time::Duration;

use lapps_parser::frame::OpCode;
use serde_json::json;

use crate::common::client::{Client, Got};
use crate::common::home::ECHO;
use crate::scrape::{Watched, home};

#[test]
fn messages_and_bytes_are_what_the_client_counts() {
    let dedicated = json!({ "instances": 1 });
    for keys in [json!({}), dedicated] {
        let watched = Watched::start(&home().service("echo", ECHO, keys));
        let mut client = Client::open(&watched.server, "/echo");
        let of = [("service", "echo"), ("instance", "0")];
        // The answer to the upgrade is counted when it is written, which the client may see first.
        watched.until_above("lapps_worker_sent_bytes_total", &[], 0.0);
        let before = watched.scrape();
        for n in 0..200 {
            client.echo(&"x".repeat(n));
        }
        // One after the other, and many at once.
        let mut burst = Vec::new();
        for _ in 0..300 {
            lapps_parser::frame::write_masked_frame(&mut burst, true, OpCode::Binary, b"many", [1, 2, 3, 4]);
        }
        client.write(&burst);
        for _ in 0..300 {
            assert_eq!(client.get(), Got::Binary(b"many".to_vec()));
        }
        let (messages, bytes) = (500.0, f64::from((0..200).sum::<i32>() + 1200));
        watched.until("lapps_sent_bytes_total", &of, bytes);
        watched.until("lapps_sent_messages_total", &of, messages);
        watched.until("lapps_received_messages_total", &of, messages);
        watched.until("lapps_received_bytes_total", &of, bytes);
        watched.until("lapps_worker_received_messages_total", &[("worker", "0")], messages);
        watched.until("lapps_worker_sent_messages_total", &[("worker", "0")], messages);
        // Two bytes of header from us, four from 126 bytes on; and the mask in the other direction.
        let frames: i32 = (0..200).map(|n| n + if n < 126 { 2 } else { 4 }).sum::<i32>() + 300 * 6;
        let more = |name: &str, by: f64| {
            watched.until(name, &[("worker", "0")], before.sum(name, &[("worker", "0")]) + by);
        };
        more("lapps_worker_sent_bytes_total", f64::from(frames));
        more("lapps_worker_received_bytes_total", f64::from(frames + 4 * 500));
    }
}

#[test]
fn a_broadcast_counts_once_for_each_who_hears_it() {
    const RADIO: &str = r#"
        local radio = {}
        function radio.onStart() bcast:create(7) end
        function radio.onMessage(handler, msg_type, message)
            local response = nljson.decode('{"cid": 0, "status": 1, "result": [true]}')
            if message.method == 'in' then bcast:subscribe(7, handler) end
            if message.method == 'tell' then bcast:send(7, nljson.decode('{"cid": 7, "message": ["news"]}')) end
            return ws:send(handler, response)
        end
        function radio.onDisconnect(handler) end
        function radio.onShutdown() end
        return radio"#;
    let watched = Watched::start(&home().service("radio", RADIO, json!({ "protocol": "LAppS" })));
    let mut listeners: Vec<Client> = (0..3).map(|_| Client::open(&watched.server, "/radio")).collect();
    for client in &mut listeners {
        client.call("in", &json!([]));
    }
    watched.until("lapps_broadcast_deliveries_total", &[], 0.0);
    let mut teller = Client::open(&watched.server, "/radio");
    teller.call("tell", &json!([]));
    for client in &mut listeners {
        assert_eq!(client.get_value()["message"], json!(["news"]));
    }
    watched.until("lapps_broadcast_deliveries_total", &[("worker", "0")], 3.0);
    // The answers to the four.
    watched.until("lapps_sent_messages_total", &[("service", "radio")], 4.0);
}

#[test]
fn what_a_socket_does_not_take_is_seen_and_forgotten() {
    const GIVER: &str = "
        local giver = {}
        function giver.onStart() end
        function giver.onMessage(handler, opcode, message) return ws:send(handler, 2, ('x'):rep(tonumber(message))) end
        function giver.onDisconnect(handler) end
        function giver.onShutdown() end
        return giver";
    let limits = json!({ "outgoing_high_water": 1 << 20, "outgoing_limit": 64 << 20 });
    let watched = Watched::start(&home().service("giver", GIVER, limits));
    let mut deaf = Client::narrow(&watched.server).upgraded("/giver");
    deaf.text("16000000");
    watched.until_above("lapps_worker_queued_bytes", &[("worker", "0")], 1e6);
    // It is not read now.
    assert_eq!(watched.sum("lapps_pauses_total", &[("reason", "output")]), 0.0);
    deaf.text("1");
    watched.until("lapps_pauses_total", &[("reason", "output")], 1.0);
    deaf.widen();
    assert_eq!(deaf.get(), Got::Binary(vec![b'x'; 16_000_000]));
    assert_eq!(deaf.get(), Got::Binary(b"x".to_vec()));
    watched.until("lapps_worker_queued_bytes", &[], 0.0);

    let mut gone = Client::narrow(&watched.server).upgraded("/giver");
    gone.text("16000000");
    watched.until_above("lapps_worker_queued_bytes", &[], 1e6);
    gone.reset();
    watched.until("lapps_worker_queued_bytes", &[], 0.0);
}

#[test]
fn pauses_have_their_reasons() {
    // The instance sleeps until a file is there, so its ring gets full.
    const SLEEPER: &str = "
        local sleeper = {}
        function sleeper.onStart() end
        function sleeper.onMessage(handler, opcode, message)
            if opcode == 1 then while not io.open(message) do end end
            return true
        end
        function sleeper.onDisconnect(handler) end
        function sleeper.onShutdown() end
        return sleeper";
    let keys = json!({ "instances": 1, "outgoing_high_water": 1 << 30, "outgoing_limit": 1_u64 << 31 });
    let home = home().service("sleeper", SLEEPER, keys).service("echo", ECHO, json!({}));
    let watched = Watched::start(&home);
    let mut many = Vec::new();
    for _ in 0..5000 {
        lapps_parser::frame::write_masked_frame(&mut many, true, OpCode::Binary, b"", [1, 2, 3, 4]);
    }
    let mut client = Client::open(&watched.server, "/echo");
    client.write(&many);
    for _ in 0..5000 {
        assert_eq!(client.get(), Got::Binary(Vec::new()));
    }
    watched.until_above("lapps_pauses_total", &[("reason", "budget")], 0.0);
    let path = home.path().join("awake");
    let mut sleeping = Client::open(&watched.server, "/sleeper");
    sleeping.text(path.to_str().unwrap());
    let whole = many.clone();
    let (_, rest) = sleeping.stuff(|_| whole.clone(), 64 << 20, Duration::from_millis(300));
    watched.until_above("lapps_pauses_total", &[("reason", "ring")], 0.0);
    home.write("awake", "");
    sleeping.write(&rest);
    sleeping.close(1000);
    assert_eq!(sleeping.get(), Got::Close(1000, String::new()));
}
