//! Clients that come, subscribe, are told, and vanish, over and over: all counts add up, and nothing is left of them.
//!
//! `LAPPS_CHURN_ROUNDS` says how many rounds; each has two clients that end by a reset. There is a deployment for every fifty.

mod common;

use std::fs;

use lapps::services::lar;
use serde_json::{Value, json};

use common::client::{Client, Got};
use common::home::{Home, merged};
use common::process::Lapps;
use common::until;

const ROUNDS: u64 = 400;
/// Rounds after which everything has been allocated that a server keeps.
const WARM: u64 = 50;
/// Channels that are taken in turn.
const CHANNELS: u64 = 7;

/// Tells channels, hands documents over by a queue, and counts those who have gone by another one.
const NEWS: &str = r#"
NAME = {}
NAME.__index = NAME
local documents, departures = mqr.create("documents"), mqr.create("departures")
local gone = 0

local methods = {
    subscribe = function(handler, params) return { bcast:subscribe(params[1], handler) } end,
    unsubscribe = function(handler, params) return { bcast:unsubscribe(params[1], handler) } end,
    tell = function(handler, params)
        local note = nljson.decode([[ { "cid": 1, "message": [] } ]])
        note.cid = params[1]
        note.message = params
        assert(documents:post(note))
        return { bcast:send(params[1], note) }
    end,
    take = function() return { documents:try_recv() } end,
    gone = function()
        while departures:try_recv() do gone = gone + 1 end
        return { gone }
    end,
}

NAME["onStart"] = function() for channel = 1, 7 do assert(bcast:create(channel)) end end

NAME["onMessage"] = function(handler, msg_type, message)
    local response = nljson.decode([[ { "cid": 0, "status": 1, "result": [] } ]])
    response.result = methods[message.method](handler, message.params)
    return ws:send(handler, response)
end

NAME["onDisconnect"] = function(handler) assert(departures:post(true)) end
NAME["onShutdown"] = function() end
return NAME
"#;

fn rounds() -> u64 {
    std::env::var("LAPPS_CHURN_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Two workers, and two dedicated instances.
fn home() -> Home {
    let keys = json!({ "protocol": "LAppS", "preload": ["mqr"] });
    Home::new().service("news", &NEWS.replace("NAME", "news"), keys).service(
        "news_dedicated",
        &NEWS.replace("NAME", "news_dedicated"),
        dedicated(),
    )
}

fn dedicated() -> Value {
    json!({ "protocol": "LAppS", "preload": ["mqr"], "instances": 2, "request_target": TARGETS[1] })
}

const TARGETS: [&str; 2] = ["/news", "/news-dedicated"];

/// Those who stay: one listens on each worker and each instance, one tells.
struct Theatre {
    server: Lapps,
    listeners: Vec<Client>,
    teller: Client,
}

impl Theatre {
    fn new() -> Theatre {
        let server = Lapps::start(&home());
        let mut listeners: Vec<Client> =
            [0, 0, 1, 1].iter().map(|n| Client::open(&server, TARGETS[*n])).collect();
        for listener in &mut listeners {
            for channel in 1..=CHANNELS {
                assert_eq!(listener.call("subscribe", &json!([channel])), json!([true]));
            }
        }
        let teller = Client::open(&server, TARGETS[1]);
        Theatre { server, listeners, teller }
    }

    /// Tells a channel; every listener that stays hears it once, and the queue has it once.
    fn tell(&mut self, channel: u64, what: &Value) -> Value {
        let params = json!([channel, what]);
        let note = json!({ "cid": channel, "message": params });
        assert_eq!(self.teller.call("tell", &params), json!([true]));
        for listener in &mut self.listeners {
            assert_eq!(listener.get_value(), note);
        }
        let taker = &mut self.listeners[channel as usize % 4];
        assert_eq!(taker.call("take", &json!([])), json!([note]));
        note
    }

    fn round(&mut self, round: u64) {
        let channel = round % CHANNELS + 1;
        let mut one = Client::open(&self.server, TARGETS[(round % 2) as usize]);
        let mut other = Client::open(&self.server, TARGETS[(round / 2 % 2) as usize]);
        for client in [&mut one, &mut other] {
            assert_eq!(client.call("subscribe", &json!([channel])), json!([true]));
            assert_eq!(client.call("subscribe", &json!([channel])), json!([true]));
        }
        let note = self.tell(channel, &json!([round, "both"]));
        assert_eq!((one.get_value(), other.get_value()), (note.clone(), note));

        assert_eq!(one.call("unsubscribe", &json!([channel])), json!([true]));
        let note = self.tell(channel, &json!([round, "the other"]));
        assert_eq!(other.get_value(), note);
        assert_eq!(one.call("unsubscribe", &json!([channel])), json!([false, "not subscribed"]));

        // It is on its way to one who is subscribed and goes: with the message unread, or before it.
        if round.is_multiple_of(3) {
            other.reset();
            self.tell(channel, &json!([round, "nobody"]));
        } else {
            self.tell(channel, &json!([round, "nobody"]));
            other.reset();
        }
        one.reset();
    }

    /// Waits until this many have been told as gone, and not one more.
    fn expect_gone(&mut self, count: u64) {
        let teller = &mut self.teller;
        until("all are told as gone", || {
            let gone = teller.call("gone", &json!([]))[0].as_u64().unwrap();
            assert!(gone <= count, "{gone} instead of {count}");
            gone == count
        });
    }
}

#[test]
fn clients_that_come_and_vanish_leave_nothing_behind() {
    let mut theatre = Theatre::new();
    let rounds = rounds().max(2 * WARM);
    for round in 0..WARM {
        theatre.round(round);
    }
    theatre.expect_gone(2 * WARM);
    let (files, memory) = (theatre.server.open_files(), theatre.server.resident());
    for round in WARM..rounds {
        theatre.round(round);
        if round.is_multiple_of(100) {
            // So that their queue stays short.
            theatre.expect_gone(2 * (round + 1));
        }
    }
    theatre.expect_gone(2 * rounds);

    until("all descriptors are given back", || theatre.server.open_files() == files);
    let grown = theatre.server.resident().saturating_sub(memory);
    println!("{rounds} rounds: {files} descriptors before and after, {grown} bytes more resident");
    assert!(grown < 16 << 20, "{grown} bytes more than after {WARM} rounds");

    // Who is left hears each channel once, and the queues are empty.
    for channel in 1..=CHANNELS {
        theatre.tell(channel, &json!("last"));
    }
    assert_eq!(theatre.teller.call("take", &json!([])), json!([]));
    theatre.expect_gone(2 * rounds);
    let mut leaving = theatre.listeners.split_off(0);
    for listener in &mut leaving {
        assert_eq!(listener.call("unsubscribe", &json!([1])), json!([true]), "nothing else has come");
    }
    let log = theatre.server.stop();
    assert!(!log.contains("ERROR") && !log.contains("deadlock"), "{log}");
}

#[test]
fn a_service_that_is_deployed_over_and_over_takes_its_subscriptions_along() {
    let home = home();
    let deploy = home.path().join("deploy");
    fs::create_dir(&deploy).unwrap();
    let code = NEWS.replace("NAME", "news_dedicated");
    let keys = merged(dedicated(), json!({ "name": "news_dedicated" })).to_string();
    let files = [
        ("news_dedicated/news_dedicated.json", 0o644, keys.as_bytes()),
        ("news_dedicated/news_dedicated.lua", 0o644, code.as_bytes()),
    ];
    let archive = lar::write(files).unwrap();

    let mut server = Lapps::start(&home);
    let mut stays = Client::open(&server, TARGETS[0]);
    assert_eq!(stays.call("subscribe", &json!([1])), json!([true]));
    let tell = |stays: &mut Client, what: Value| {
        let note = json!({ "cid": 1, "message": [1, what] });
        stays.value(&json!({ "lapps": 1, "method": "tell", "params": [1, what] }));
        assert_eq!((stays.get_value(), stays.get_value()["result"].clone()), (note.clone(), json!([true])));
        assert_eq!(stays.call("take", &json!([])), json!([note]));
        note
    };
    let deployments = (rounds() / 50).max(8);
    let mut files = 0;
    for round in 1..=deployments {
        let mut leaving = Client::open(&server, TARGETS[1]);
        assert_eq!(leaving.call("subscribe", &json!([1])), json!([true]));
        let note = tell(&mut stays, json!([round, "both"]));
        assert_eq!(leaving.get_value(), note);
        fs::write(deploy.join("news.lar"), &archive).unwrap();
        server.expect_log("service 'news_dedicated' is deployed from");
        assert!(matches!(leaving.get(), Got::Close(1012, _)));
        tell(&mut stays, json!([round, "one"]));
        if round % 2 == 0 {
            leaving.close(1012);
            assert_eq!(leaving.get(), Got::Eof);
        } else {
            leaving.reset();
        }
        until("all are told as gone", || stays.call("gone", &json!([])) == json!([round]));
        if round == deployments / 2 {
            files = server.open_files();
        }
    }
    until("all descriptors are given back", || server.open_files() <= files);
    assert_eq!(stays.call("take", &json!([])), json!([]));
    let log = server.stop();
    assert!(!log.contains("ERROR") && !log.contains("deadlock"), "{log}");
}
