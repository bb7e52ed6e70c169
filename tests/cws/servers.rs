//! Servers that are wrong, slow, silent or gone, and those that are right in unusual ways.

use std::time::Duration;

use lapps_parser::frame::{OpCode, write_masked_frame};

use crate::agent::{ALL, Agent};
use crate::common::client::Got;
use crate::common::table;
use crate::peer::{self, Peer};

/// One server, what the client says of it, and what it sees of the client.
struct Case {
    name: &'static str,
    /// Options, a Lua table.
    options: &'static str,
    serve: fn(Peer) -> Vec<Got>,
    said: &'static [&'static str],
    seen: &'static [Got],
}

fn says(response: &str) -> impl FnOnce(Peer) -> Vec<Got> {
    move |mut peer| {
        peer.write(response.as_bytes());
        peer.finish()
    }
}

const GONE: &[Got] = &[Got::Eof];

fn cases() -> Vec<Case> {
    let case = |name, serve, said, seen| Case { name, options: "{}", serve, said, seen };
    let violation = |code: u16| -> &'static [Got] {
        Box::leak(vec![Got::Close(code, String::new()), Got::Eof].into_boxed_slice())
    };
    vec![
        case(
            "wrong_key",
            |mut peer| {
                let wrong = peer.acceptance("").replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x");
                peer.write(wrong.as_bytes());
                peer.rest()
            },
            &["wrong_key error Sec-WebSocket-Accept does not answer the key"],
            GONE,
        ),
        case(
            "forbidden",
            |peer| says("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")(peer),
            &["forbidden error the server answered 403 Forbidden"],
            GONE,
        ),
        case(
            "redirect",
            |peer| says("HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\n\r\n")(peer),
            &["redirect error the server answered 302 (redirects are not followed)"],
            GONE,
        ),
        case(
            "extension",
            |mut peer| {
                let head = peer.acceptance("Sec-WebSocket-Extensions: permessage-deflate\r\n");
                peer.write(head.as_bytes());
                peer.rest()
            },
            &["extension error the server accepted an extension that was not offered"],
            GONE,
        ),
        case(
            "subprotocol",
            |mut peer| {
                let head =
                    peer.acceptance("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: echo\r\n");
                peer.write(head.as_bytes());
                peer.rest()
            },
            &["subprotocol error the server chose a subprotocol that was not offered"],
            GONE,
        ),
        case(
            "no_http",
            |mut peer| {
                peer.write(b"SSH-2.0-OpenSSH\r\n\r\n");
                peer.rest()
            },
            &["no_http error the server's answer is no HTTP: the HTTP version is not valid"],
            GONE,
        ),
        case(
            "no_answer",
            |peer| peer.finish(),
            &["no_answer error the server closed the stream instead of answering"],
            GONE,
        ),
        Case {
            name: "half_a_head",
            options: "{ handshake_timeout = 0.2 }",
            serve: |mut peer| {
                peer.write(b"HTTP/1.1 101 Swit");
                peer.rest()
            },
            said: &["half_a_head error the server did not answer the handshake in time"],
            seen: GONE,
        },
        case(
            "masked",
            |peer| {
                let mut peer = peer.accept();
                let mut frame = Vec::new();
                write_masked_frame(&mut frame, true, OpCode::Text, b"hello", [1, 2, 3, 4]);
                peer.write(&frame);
                peer.finish()
            },
            &["masked open", "masked error protocol violation: masked frame from a server"],
            violation(1002),
        ),
        Case {
            name: "oversized",
            options: "{ max_message = 10 }",
            serve: |peer| {
                let mut peer = peer.accept();
                peer.send(true, OpCode::Text, b"0123456789");
                peer.write(b"\x81\x0b");
                peer.finish()
            },
            said: &[
                "oversized message 0123456789 1",
                "oversized error protocol violation: message longer than the limit",
            ],
            seen: violation(1009),
        },
        case(
            "utf8",
            |peer| {
                let mut peer = peer.accept();
                peer.send(true, OpCode::Binary, b"\xff");
                peer.send(true, OpCode::Text, b"\xff");
                peer.finish()
            },
            &["utf8 message \u{fffd} 2", "utf8 error protocol violation: text message is not UTF-8"],
            violation(1007),
        ),
        case(
            "reserved",
            |peer| {
                let mut peer = peer.accept();
                peer.write(b"\x83\x00");
                peer.finish()
            },
            &["reserved open", "reserved error protocol violation: reserved opcode"],
            violation(1002),
        ),
        case(
            "abrupt",
            |peer| peer.accept().finish(),
            &["abrupt open", "abrupt error the server closed the stream without a close frame"],
            GONE,
        ),
        case(
            "reset",
            |peer| {
                let mut peer = peer.accept();
                peer.send(true, OpCode::Text, b"last words");
                // What it says is heard before it cuts.
                assert_eq!(peer.get(), Got::Text("heard".into()));
                peer.reset();
                Vec::new()
            },
            &["reset message last words 1", "reset error connection reset by peer"],
            &[],
        ),
        case(
            "close_code",
            |peer| {
                let mut peer = peer.accept();
                peer.close(4321, "why");
                peer.finish()
            },
            &["close_code open", "close_code close 5 4321 why"],
            violation(4321),
        ),
        case(
            "close_nothing",
            |peer| {
                let mut peer = peer.accept();
                peer.send(true, OpCode::Close, b"");
                peer.finish()
            },
            &["close_nothing open", "close_nothing close 0 1005 "],
            violation(0),
        ),
        case(
            "fragments",
            |peer| {
                let mut peer = peer.accept();
                peer.send(false, OpCode::Text, b"frag");
                peer.send(true, OpCode::Ping, b"now");
                peer.send(false, OpCode::Continuation, b"men");
                peer.send(true, OpCode::Pong, b"");
                peer.send(true, OpCode::Continuation, b"ted");
                assert_eq!(peer.get(), Got::Pong(b"now".to_vec()));
                assert_eq!(peer.get(), Got::Text("heard".into()));
                peer.close(1000, "");
                peer.finish()
            },
            &["fragments message fragmented 1", "fragments close 2 1000 "],
            violation(1000),
        ),
        case(
            "with_the_answer",
            |mut peer| {
                let mut bytes = peer.acceptance("").into_bytes();
                bytes.extend_from_slice(b"\x81\x05hello\x88\x02\x03\xe8");
                peer.write(&bytes);
                peer.finish()
            },
            &["with_the_answer open", "with_the_answer message hello 1", "with_the_answer close 2 1000 "],
            // It has answered before it was closed.
            Box::leak(
                vec![Got::Text("heard".into()), Got::Close(1000, String::new()), Got::Eof].into_boxed_slice(),
            ),
        ),
        Case {
            name: "silent",
            // Due earlier than its handshake was.
            options: "{ ping = 0.1, idle = 0.3, handshake_timeout = 100 }",
            serve: |peer| {
                let mut peer = peer.accept();
                let first = peer.get();
                assert_eq!(first, Got::Ping(Vec::new()));
                peer.finish_quietly()
            },
            said: &["silent open", "silent error the server is silent and does not answer a ping"],
            seen: violation(1001),
        },
        Case {
            name: "no_close",
            options: "{ close_timeout = 0.2 }",
            serve: |peer| {
                let mut peer = peer.accept();
                peer.send(true, OpCode::Text, b"close");
                assert_eq!(peer.get(), Got::Close(1000, String::new()));
                // After its close frame nothing is heard.
                peer.send(true, OpCode::Text, b"too late");
                peer.rest()
            },
            said: &["no_close message close 1", "no_close close 0 1006 "],
            seen: GONE,
        },
        case(
            "raises",
            |peer| {
                let mut peer = peer.accept();
                peer.send(true, OpCode::Text, b"raise");
                assert_eq!(peer.get(), Got::Close(1011, String::new()));
                peer.close(1011, "");
                peer.finish()
            },
            &["raises open", "raises close 2 1011 "],
            GONE,
        ),
    ]
}

impl Peer {
    /// Waits for the end of the stream and says nothing until then.
    fn finish_quietly(mut self) -> Vec<Got> {
        self.rest()
    }
}

#[test]
fn each_server_gets_its_answer_and_the_service_hears_of_the_end_once() {
    table::run(
        &ALL,
        |kind| format!("{kind:?}"),
        |kind| {
            let mut agent = Agent::start(*kind);
            let mut servers = Vec::new();
            let mut lines = Vec::new();
            for case in cases() {
                let (address, seen) = peer::once(case.serve);
                agent.run(&format!(
                    "local object
                object = assert(cws:new('ws://{address}/x', talking('{name}', {{
                    onmessage = function(h, message, opcode)
                        message = message:gsub('\\255', '\u{fffd}')
                        say('{name}', 'message', message, opcode)
                        if message == 'raise' then error('a mistake in the handler') end
                        if message == 'close' then object:close() end
                        if ('{name}'):find('^[rfw]') then cws:send(h, 'heard', 1) end
                    end,
                }}), {options}))",
                    name = case.name,
                    options = case.options,
                ));
                lines.extend(case.said);
                servers.push((case, seen));
            }
            let log = agent.hear(&lines);
            assert!(
                log.contains("agent', onmessage, connection ") && log.contains("a mistake in the handler"),
                "{log}"
            );
            assert!(log.contains("stack traceback"), "{log}");
            for (case, seen) in servers {
                let seen = seen.recv_timeout(Duration::from_secs(20)).expect(case.name);
                // A reset may come where a FIN would.
                let seen: Vec<Got> =
                    seen.into_iter().map(|got| if got == Got::Reset { Got::Eof } else { got }).collect();
                assert_eq!(seen, case.seen, "{}", case.name);
            }
            agent.run("say('alive')");
            let log = log + &agent.hear(&["alive"]) + &agent.server.stop();
            for case in cases() {
                let ends = [" error ", " close "]
                    .map(|end| log.matches(&format!("[say] {}{end}", case.name)).count());
                assert_eq!(ends[0] + ends[1], 1, "{}: {log}", case.name);
            }
        },
    );
}

#[test]
fn the_request_is_what_was_asked_for() {
    let mut agent = Agent::start(crate::agent::Kind::Standalone);
    let serve = |mut peer: Peer| {
        let head = peer.acceptance("Sec-WebSocket-Protocol: two\r\n");
        peer.write(head.as_bytes());
        peer.close(1000, "");
        (peer.head.clone(), peer.finish())
    };
    let (address, seen) = peer::once(serve);
    agent.run(&format!(
        "assert(cws:new('WS://{address}/a/b?x=1&y=%20', talking('request'), {{
            protocol = {{ 'one', 'two' }}, headers = {{ ['X-One'] = 'eins', Authorization = 'Basic eA==' }},
        }}))"
    ));
    agent.hear(&["request open two", "request close 2 1000 "]);
    let (head, _) = seen.recv().unwrap();
    assert!(head.starts_with("GET /a/b?x=1&y=%20 HTTP/1.1\r\n"), "{head}");
    for line in [
        format!("Host: {address}"),
        "Authorization: Basic eA==".to_owned(),
        "X-One: eins".to_owned(),
        "Sec-WebSocket-Protocol: one, two".to_owned(),
        "Sec-WebSocket-Version: 13".to_owned(),
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let (address, seen) = peer::on("[::1]:0", |peer| (peer.head.clone(), peer.accept().finish()));
        agent.run(&format!("assert(cws:new('ws://{address}', talking('six')))"));
        agent.hear(&["six open"]);
        let (head, _) = seen.recv().unwrap();
        assert!(
            head.starts_with("GET / HTTP/1.1\r\n") && head.contains(&format!("Host: {address}\r\n")),
            "{head}"
        );
    }
}
