//! Connections that never stand: refused, unknown, too late, or not even tried.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::agent::{ALL, Agent};
use crate::common::table;

/// A port to which nobody listens.
fn refused() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn cws_new_answers_nil_and_why_and_others_go_on_meanwhile() {
    // Its queue is full, so that a further connection is neither accepted nor refused.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let full = TcpListener::from(socket).local_addr_kept();
    let stuffed: Vec<_> =
        (0..4).map(|_| TcpStream::connect_timeout(&full.1, Duration::from_millis(200))).collect();
    table::run(
        &ALL,
        |kind| format!("{kind:?}"),
        |kind| {
            let mut agent = Agent::start(*kind);
            let late = full.1;
            let refused = refused();
            agent.run(&format!(
                "local function try(name, ...) say(name, cws:new(...)) end
            local handlers = talking('never')
            spawn(function()
                try('late', 'ws://{late}/', handlers, {{ timeout = 0.3 }})
                say('late is over')
            end):detach()
            try('refused', 'ws://127.0.0.1:{refused}/', handlers)
            try('refused name', 'ws://localhost:{refused}/', handlers)
            try('unknown', 'ws://nonexistent.invalid/', handlers)
            try('wrong', 'http://localhost/', handlers)
            try('fragment', 'ws://localhost/#x', handlers)
            try('no file', 'wss://localhost:{refused}/', handlers, {{ ca = '/nonexistent/ca.pem' }})
            say('interrupted', with_timeout(0.05, function() cws:new('ws://{late}/', handlers) end))
            say('object', type(cws:new(URI, talking('good'))))"
            ));
            agent.hear(&[
                "late nil cannot connect to '127.0.0.1': the time is over",
                "late is over",
                "refused nil cannot connect to '127.0.0.1': connection refused",
                "refused name nil cannot connect to 'localhost': connection refused",
                "wrong nil 'http://localhost/' is not a usable URI: it must begin with ws:// or wss://",
                "fragment nil 'ws://localhost/#x' is not a usable URI: it must have no fragment (#)",
                "interrupted nil the time is over",
                "object table",
                "good open",
            ]);
            let log = agent.server.stop();
            assert!(!log.contains("never") && !log.contains("ERROR"), "{log}");
        },
    );
    drop(stuffed);
}

#[test]
fn mistakes_in_arguments_raise() {
    let mut agent = Agent::start(crate::agent::Kind::Worker);
    let cases = [
        ("cws.new('ws://a', {})", "cws:new must be called with a colon"),
        ("cws:new(7, {})", "cws:new: argument 1 (uri) must be a string, got number"),
        ("cws:new('ws://a')", "cws:new: argument 2 (handlers) must be a table, got nil"),
        ("cws:new('ws://a', {})", "cws:new: argument 2 (handlers) must have at least one of the functions"),
        (
            "cws:new('ws://a', { onopen = 7 })",
            "argument 2 (handlers) has onopen = a number; it must be a function",
        ),
        (
            "cws:new('ws://a', { onMessage = print })",
            "argument 2 (handlers) has 'onMessage'; the name is 'onmessage'",
        ),
        ("cws:new('ws://a', { onopen = print }, 7)", "argument 3 (options) must be a table, got number"),
        (
            "cws:new('ws://a', { onopen = print }, { time_out = 7 })",
            "has 'time_out', which is no option; there are ca, close_timeout",
        ),
        (
            "cws:new('ws://a', { onopen = print }, { timeout = '7' })",
            "argument 3 (options.timeout) must be a number, got string",
        ),
        (
            "cws:new('ws://a', { onopen = print }, { timeout = 0 })",
            "argument 3 (options.timeout) must be from 0.001 to 86400, got 0",
        ),
        (
            "cws:new('ws://a', { onopen = print }, { ping = 9, idle = 9 })",
            "must have a ping that is less than idle",
        ),
        ("cws:new('ws://a', { onopen = print }, { ca = 7 })", "argument 3 (options.ca) must be a string"),
        (
            "cws:new('ws://a', { onopen = print }, { protocol = 'a b' })",
            "has 'a b', which no subprotocol can be called",
        ),
        (
            "cws:new('ws://a', { onopen = print }, { headers = { Host = 'x' } })",
            "has 'Host', which the handshake sets itself",
        ),
        (
            "cws:new('ws://a', { onopen = print }, { headers = { X = 'a\\r\\nY: b' } })",
            "has a value for X that no header field can have",
        ),
        (
            "cws:new('ws://a', { onopen = print }, { headers = { ['X Y'] = 'a' } })",
            "has the name 'X Y', which no header field can have",
        ),
        ("cws.send(1, 'x', 1)", "cws:send must be called with a colon"),
        ("cws:send('1', 'x', 1)", "cws:send: argument 1 (handler) must be a number, got string"),
        ("cws:send(1, {}, 1)", "cws:send: argument 2 (message) must be a string, got table"),
        ("cws:send(1, 'x')", "cws:send: argument 3 (opcode) must be a number, got no value"),
        ("cws:close(1, '1000')", "cws:close: argument 2 (code) must be a number, got string"),
        ("cws.eventLoop()", "cws:eventLoop must be called with a colon"),
    ];
    let mut script = String::new();
    for (n, (call, _)) in cases.iter().enumerate() {
        script.push_str(&format!("say({n}, select(2, pcall(function() {call} end)))\n"));
    }
    script.push_str("say('opcode', cws:send(1, 'x', 7)) say('stale', cws:send(1, 'x', 1), cws:close(1))\n");
    script.push_str("say('code', cws:close(1, 99)) say('end')");
    agent.run(&script);
    let log = agent.hear(&["end"]);
    for (n, (call, expected)) in cases.iter().enumerate() {
        let line = log.lines().find(|line| line.starts_with(&format!("[say] {n} "))).expect(call);
        assert!(line.contains(expected) && line.contains(&format!("script:{}: ", n + 1)), "{call}: {line}");
    }
    assert!(log.contains("[say] opcode false opcode must be 1 (text) or 2 (binary)\n"), "{log}");
    assert!(
        log.contains("[say] stale false connection closed false connection closed\n")
            || log.contains("[say] stale false false connection closed\n"),
        "{log}"
    );
    assert!(log.contains("[say] code false code must be 1000-1003, 1007-1011 or 3000-4999\n"), "{log}");
}

trait Kept {
    fn local_addr_kept(self) -> (TcpListener, std::net::SocketAddr);
}

impl Kept for TcpListener {
    /// The listener with its address: it has to live as long as that is used.
    fn local_addr_kept(self) -> (TcpListener, std::net::SocketAddr) {
        let address = self.local_addr().unwrap();
        (self, address)
    }
}
