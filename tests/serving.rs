//! The main job, end to end: services answer clients on both placements, plain and TLS, and the server stops cleanly.

mod common;

use common::client::{Client, Got, upgrade};
use common::home::Home;
use common::process::Lapps;
use lapps_parser::frame::{OpCode, write_masked_frame};
use serde_json::json;

const TARGETS: [&str; 2] = ["/echo", "/echo-dedicated"];

#[test]
fn messages_of_every_length_form_are_echoed() {
    for home in [Home::with_echo(), Home::with_echo().tls()] {
        let server = Lapps::start(&home);
        for target in TARGETS {
            let mut client = Client::open(&server, target);
            for length in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20] {
                let payload: Vec<u8> = (0..length).map(|n| (n * 7 + n / 251) as u8).collect();
                client.send(true, OpCode::Binary, &payload);
                assert!(client.get() == Got::Binary(payload), "{target}, {length} bytes");
            }
            client.text("käse");
            assert_eq!(client.get(), Got::Text("käse".into()));
            client.close(1000);
            assert_eq!((client.get(), client.get()), (Got::Close(1000, String::new()), Got::Eof));
        }
        server.stop();
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_and_frames_that_come_with_it_are_served() {
    let server = Lapps::start(&Home::with_echo());
    for target in TARGETS {
        let mut bytes = upgrade(target).into_bytes();
        write_masked_frame(&mut bytes, true, OpCode::Text, b"early", [1, 2, 3, 4]);
        let mut slow = Client::connect(&server);
        for byte in &bytes {
            slow.write(&[*byte]);
        }
        let mut fast = Client::connect(&server);
        fast.write(&bytes);
        for mut client in [slow, fast] {
            assert_eq!(client.read_response().status, 101);
            assert_eq!(client.get(), Got::Text("early".into()));
        }
    }
}

#[test]
fn many_messages_in_one_segment_come_back_in_order() {
    let server = Lapps::start(&Home::with_echo());
    for target in TARGETS {
        let mut client = Client::open(&server, target);
        let mut bytes = Vec::new();
        for n in 0..10_000u32 {
            write_masked_frame(&mut bytes, true, OpCode::Binary, &n.to_be_bytes(), [9, 8, 7, 6]);
        }
        client.write(&bytes);
        for n in 0..10_000u32 {
            assert_eq!(client.get(), Got::Binary(n.to_be_bytes().to_vec()));
        }
    }
}

#[test]
fn at_the_signal_services_say_goodbye_clients_get_1001_and_the_exit_code_is_0() {
    let code = r"
        local NAME = { clients = {} }
        function NAME.onStart() print('NAME start') end
        function NAME.onMessage(handler, opcode, message)
            NAME.clients[handler] = true
            return ws:send(handler, opcode, message)
        end
        function NAME.onDisconnect(handler)
            assert(NAME.clients[handler]); NAME.clients[handler] = nil
            print('NAME disconnect')
        end
        function NAME.onShutdown()
            for handler in pairs(NAME.clients) do ws:send(handler, 1, 'NAME goodbye') end
            print('NAME shutdown')
        end
        return NAME";
    for signal in ["TERM", "INT", "QUIT"] {
        let home = Home::new().ws(json!({ "workers": { "workers": 1 } })).on_both("polite", code, json!({}));
        let server = Lapps::start(&home);
        let mut clients: Vec<(Client, &str)> =
            [("/polite", "polite"), ("/polite-dedicated", "polite_dedicated")]
                .map(|(target, name)| (Client::open(&server, target), name))
                .into();
        for (client, _) in &mut clients {
            client.text("hello");
            assert_eq!(client.get(), Got::Text("hello".into()));
        }
        server.signal(signal);
        for (mut client, name) in clients {
            assert_eq!(client.get(), Got::Text(format!("{name} goodbye")));
            assert!(matches!(client.get(), Got::Close(1001, _)));
            client.close(1001);
            assert_eq!(client.get(), Got::Eof);
        }
        let (status, output) = server.wait();
        assert_eq!(status.code(), Some(0), "{output}");
        for name in ["polite", "polite_dedicated"] {
            for event in ["shutdown", "disconnect"] {
                let line = format!("{name} {event}\n");
                assert_eq!(output.matches(&line).count(), 1, "{line}{output}");
            }
        }
    }
}

#[test]
fn a_client_that_does_not_answer_the_close_does_not_keep_the_server() {
    let home = Home::with_echo().ws(json!({ "close_timeout_ms": 200 }));
    let server = Lapps::start(&home);
    let mut client = Client::open(&server, "/echo");
    server.signal("TERM");
    assert!(matches!(client.get(), Got::Close(1001, _)));
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_server_at_once_with_an_exit_code_that_says_so() {
    let home = Home::with_echo().ws(json!({ "close_timeout_ms": 60_000, "shutdown_grace_ms": 60_000 }));
    let server = Lapps::start(&home);
    let mut client = Client::open(&server, "/echo");
    server.signal("TERM");
    assert!(matches!(client.get(), Got::Close(1001, _)));
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(1));
}

#[test]
fn every_end_of_a_connection_is_told_once() {
    let code = r"
        local NAME = {}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message)
            if message == 'leave' then ws:close(handler, 4000, 'as you wish') end
            return true
        end
        function NAME.onDisconnect(handler) print('NAME ended ' .. handler) end
        function NAME.onShutdown() print('NAME stops') end
        return NAME";
    let home = Home::new().on_both("witness", code, json!({}));
    let server = Lapps::start(&home);
    for target in ["/witness", "/witness-dedicated"] {
        let mut closed = Client::open(&server, target);
        closed.close(1000);
        assert_eq!((closed.get(), closed.get()), (Got::Close(1000, String::new()), Got::Eof));

        let mut dismissed = Client::open(&server, target);
        dismissed.text("leave");
        assert_eq!(dismissed.get(), Got::Close(4000, "as you wish".into()));
        dismissed.close(4000);
        assert_eq!(dismissed.get(), Got::Eof);

        let mut violating = Client::open(&server, target);
        violating.write(b"\x83\x80\0\0\0\0");
        assert!(matches!(violating.get(), Got::Close(1002, _)));

        let mut silent = Client::open(&server, target);
        silent.half_close();
        assert_eq!(silent.get(), Got::Eof);

        Client::open(&server, target).reset();
    }
    let output = server.stop();
    for name in ["witness", "witness_dedicated"] {
        let told: Vec<&str> =
            output.lines().filter(|line| line.starts_with(&format!("{name} ended "))).collect();
        let mut different = told.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!((told.len(), different.len()), (5, 5), "{output}");
    }
}

#[test]
fn what_was_sent_before_the_end_is_answered_before_the_close_frame() {
    let server = Lapps::start(&Home::with_echo());
    for target in TARGETS {
        for (last, close) in [
            (&b"\x88\x82\0\0\0\0\x03\xe8"[..], Got::Close(1000, String::new())),
            (b"\x88\x80\0\0\0\0", Got::Close(0, String::new())),
            (b"\x83\x80\0\0\0\0", Got::Close(1002, String::new())),
        ] {
            let mut client = Client::open(&server, target);
            let mut bytes = Vec::new();
            for n in 0..100u32 {
                write_masked_frame(&mut bytes, true, OpCode::Binary, &n.to_be_bytes(), [4, 3, 2, 1]);
            }
            bytes.extend_from_slice(last);
            client.write(&bytes);
            for n in 0..100u32 {
                assert_eq!(client.get(), Got::Binary(n.to_be_bytes().to_vec()), "{target}");
            }
            assert_eq!((client.get(), client.get()), (close, Got::Eof), "{target}");
        }
        let mut client = Client::open(&server, target);
        client.text("last");
        client.half_close();
        assert_eq!((client.get(), client.get()), (Got::Text("last".into()), Got::Eof), "{target}");
    }
}
