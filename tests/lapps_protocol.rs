//! The LAppS protocol, end to end: what services get and may send, and what clients hear who send something else.

mod common;

use common::cbor;
use common::client::{Client, Got};
use common::home::Home;
use common::process::Lapps;
use lapps_parser::frame::OpCode;
use serde_json::{Value, json};

/// Answers each request with what it got; `send` sends a value as it is, and answers with the result of that.
const MIRROR: &str = r#"
local NAME = {}
function NAME.onStart() end
local function respond(handler, ...)
    local response = nljson.decode('{"cid": 0, "status": 1, "result": []}')
    for n = 1, select('#', ...) do response.result[n] = (select(n, ...)) end
    return ws:send(handler, response)
end
local last
function NAME.onMessage(handler, msg_type, message)
    if msg_type <= 2 then
        last = msg_type .. " " .. message.method .. " " .. tostring(message.cid) .. " " .. tostring(message.params)
        return true
    end
    if message.method == "last" then return respond(handler, last) end
    if message.method == "send" then return respond(handler, ws:send(handler, message.params[1])) end
    return respond(handler, msg_type, message.method, message.params)
end
function NAME.onDisconnect(handler) end
function NAME.onShutdown() end
return NAME
"#;

const TARGETS: [&str; 2] = ["/mirror", "/mirror-dedicated"];

fn mirror(keys: Value) -> Lapps {
    let keys = common::home::merged(json!({ "protocol": "LAppS" }), keys);
    Lapps::start(&Home::new().on_both("mirror", MIRROR, keys))
}

#[test]
fn each_message_type_arrives_as_what_it_is() {
    let server = mirror(json!({}));
    for target in TARGETS {
        let mut client = Client::open(&server, target);
        let params = json!([1, -2.5, "käse", true, null, { "deep": [[], {}] }]);
        assert_eq!(client.call("ask", &params), json!([4, "ask", params]), "{target}");
        client.value(&json!({ "lapps": 1, "method": "ask" }));
        assert_eq!(client.get_value()["result"], json!([3, "ask", null]));
        assert_eq!(client.call("ask", &json!([])), json!([3, "ask", []]), "empty params count as none");

        client.value(&json!({ "lapps": 1, "method": "note", "cid": 7 }));
        assert_eq!(client.call("last", &json!([])), json!(["1 note 7 nil"]));
        client.value(&json!({ "lapps": 1, "method": "note", "cid": 8, "params": [{}] }));
        assert_eq!(client.call("last", &json!([])), json!(["2 note 8 [{}]"]));
    }
}

#[test]
fn numbers_beyond_2_to_the_53rd_come_back_unchanged() {
    let server = mirror(json!({}));
    for target in TARGETS {
        let mut client = Client::open(&server, target);
        let params = json!([u64::MAX, i64::MIN, (1u64 << 53) + 1, 0.1, -0.0, 1e300]);
        assert_eq!(client.call("ask", &params)[2], params);
    }
}

#[test]
fn who_sends_no_lapps_message_is_closed_with_1003_and_the_reason_and_nobody_else_notices() {
    let server = mirror(json!({}));
    let valid = cbor::encode(&json!({ "lapps": 1, "method": "ask" }));
    let cases: [(&[u8], &str); 6] = [
        (b"", "end"),
        (&valid[..valid.len() - 1], "end"),
        (&cbor::encode(&json!([1])), "not an object"),
        (&cbor::encode(&json!({ "lapps": 1 })), "no string method"),
        (&cbor::encode(&json!({ "lapps": 1, "method": "_private" })), "method must not begin with _"),
        (&[0xff, 0xff], ""),
    ];
    for target in TARGETS {
        let mut other = Client::open(&server, target);
        for (bytes, expected) in cases {
            let mut client = Client::open(&server, target);
            client.send(true, OpCode::Binary, bytes);
            match client.get() {
                Got::Close(1003, reason) => assert!(reason.contains(expected), "{reason:?} for {bytes:02x?}"),
                got => panic!("{got:?} for {bytes:02x?}"),
            }
        }
        let mut client = Client::open(&server, target);
        client.text(r#"{"lapps":1,"method":"ask"}"#);
        let reason = "invalid LAppS-protocol message: a text, not CBOR in a binary message".to_owned();
        assert_eq!(client.get(), Got::Close(1003, reason));
        assert_eq!(other.call("ask", &json!([5])), json!([4, "ask", [5]]));
    }
}

#[test]
fn in_a_strict_instance_an_invalid_message_stops_it_as_in_the_original() {
    let server = mirror(json!({ "lapps_strict": true, "instances": 1 }));
    for target in TARGETS {
        let mut other = Client::open(&server, target);
        other.call("ask", &json!([5]));
        let mut client = Client::open(&server, target);
        client.send(true, OpCode::Binary, b"\xff");
        assert!(matches!(client.get(), Got::Close(1003, _)));
        other.value(&json!({ "lapps": 1, "method": "ask" }));
        assert_eq!(other.get(), Got::Close(1011, String::new()));
    }
}

#[test]
fn services_send_what_is_a_lapps_message_and_nothing_else() {
    let server = mirror(json!({}));
    for target in TARGETS {
        let mut client = Client::open(&server, target);
        for message in [
            json!({ "cid": 0, "status": 1, "result": [1] }),
            json!({ "cid": 0, "status": 0, "error": { "code": -32601, "message": "no", "data": [1] } }),
            json!({ "cid": 5, "message": ["x"] }),
        ] {
            assert_eq!(client.request("send", &json!([message])), message);
            assert_eq!(client.get_value()["result"], json!([true]));
        }
        for message in
            [json!({}), json!({ "cid": 0, "message": [] }), json!({ "cid": 1, "status": 0 }), json!([])]
        {
            let expected = json!([false, "invalid LAppS-protocol message"]);
            assert_eq!(client.call("send", &json!([message])), expected, "{message}");
        }
    }
}

/// Subscribes, tells all, and counts for its clients.
const NEWS: &str = r#"
local NAME = {}
function NAME.onStart() assert(bcast:create(5)) end
function NAME.onMessage(handler, msg_type, message)
    local response = nljson.decode('{"cid": 0, "status": 1, "result": []}')
    local method, params = message.method, message.params
    if method == "subscribe" then
        response.result = { bcast:subscribe(params[1], handler) }
    elseif method == "unsubscribe" then
        response.result = { bcast:unsubscribe(params[1], handler) }
    elseif method == "tell and leave" then
        local note = nljson.decode('{"cid": 5, "message": ["farewell"]}')
        response.result = { bcast:subscribe(5, handler), bcast:send(5, note), bcast:unsubscribe(5, handler), bcast:send(5, note) }
    elseif method == "tell" then
        local note = nljson.decode('{"cid": 5, "message": []}')
        note.message = params
        response.result = { bcast:send(5, note) }
    else
        response.result = { bcast:send(5, message) }
    end
    return ws:send(handler, response)
end
function NAME.onDisconnect(handler) end
function NAME.onShutdown() end
return NAME
"#;

const NEWS_TARGETS: [&str; 2] = ["/news", "/news-dedicated"];

#[test]
fn a_broadcast_reaches_the_subscribers_of_all_services_instances_and_workers() {
    let home = Home::new().on_both("news", NEWS, json!({ "protocol": "LAppS" }));
    let server = Lapps::start(&home);
    let mut clients: Vec<Client> = NEWS_TARGETS
        .iter()
        .flat_map(|target| [target; 6])
        .map(|target| Client::open(&server, target))
        .collect();
    for client in &mut clients {
        for _ in 0..2 {
            assert_eq!(client.call("subscribe", &json!([5])), json!([true]));
        }
    }
    let note = |n: usize| json!({ "cid": 5, "message": [n] });
    for sender in 0..clients.len() {
        clients[sender].value(&json!({ "lapps": 1, "method": "tell", "params": [sender] }));
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.get_value(), note(sender), "client {n}");
            if n == sender {
                assert_eq!(client.get_value()["result"], json!([true]));
            }
        }
    }
    // One leaves in order, one is gone: the others go on.
    assert_eq!(clients[0].call("unsubscribe", &json!([5])), json!([true]));
    assert_eq!(clients[0].call("unsubscribe", &json!([5])), json!([false, "not subscribed"]));
    drop(clients.remove(1));
    let mut sender = clients.remove(0);
    assert_eq!(sender.call("tell", &json!(["last"])), json!([true]));
    for client in &mut clients {
        assert_eq!(client.get_value(), json!({ "cid": 5, "message": ["last"] }));
    }
}

#[test]
fn a_broadcast_goes_to_those_who_listen_when_it_is_sent() {
    let server = Lapps::start(&Home::new().on_both("news", NEWS, json!({ "protocol": "LAppS" })));
    for target in NEWS_TARGETS {
        let mut clients: Vec<Client> = (0..4).map(|_| Client::open(&server, target)).collect();
        for client in &mut clients {
            let told = client.request("tell and leave", &json!([]));
            assert_eq!(told, json!({ "cid": 5, "message": ["farewell"] }), "{target}");
            assert_eq!(client.get_value()["result"], json!([true, true, true, true]), "{target}");
        }
    }
}

#[test]
fn what_cannot_be_broadcast_is_said() {
    let mut server = Lapps::start(&Home::new().on_both("news", NEWS, json!({ "protocol": "LAppS" })));
    for target in NEWS_TARGETS {
        let mut client = Client::open(&server, target);
        let none = json!([false, "no such channel: bcast:create makes it"]);
        assert_eq!(client.call("subscribe", &json!([6])), none);
        assert_eq!(client.call("unsubscribe", &json!([6])), none);
        let whole = json!([false, "a channel must be a whole number"]);
        assert_eq!(client.call("subscribe", &json!([0.5])), whole);
        assert_eq!(client.call("other", &json!([1])), json!([false, "invalid LAppS-protocol message"]));
        client.value(&json!({ "lapps": 1, "method": "subscribe", "params": ["5"] }));
        assert_eq!(client.get(), Got::Close(1011, String::new()));
        server.expect_log("bcast:subscribe: argument 1 (channel) must be a number, got string");
    }
}
