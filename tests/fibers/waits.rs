//! Handlers that wait: who else is served meanwhile, and what the waiting connection's client gets.

use lapps_parser::frame::OpCode;
use serde_json::{Value, json};

use super::{Gate, PLACEMENTS, lines, one_worker, waits};
use crate::common::client::{Client, Got};
use crate::common::home::{ECHO, Home};
use crate::common::process::Lapps;

/// The waiting service on both placements, and an echo in the same worker.
fn home(keys: Value) -> Home {
    Home::new().ws(one_worker()).on_both("waiter", &waits(), keys).service("echo", ECHO, json!({}))
}

/// A client whose handler waits at the gate.
fn waiting(server: &mut Lapps, target: &str, gate: &Gate) -> Client {
    let mut client = Client::open(server, target);
    client.text(&gate.wait());
    server.expect_log(" waits\n");
    client
}

fn text(text: &str) -> Got {
    Got::Text(text.into())
}

#[test]
fn another_service_of_the_worker_is_served_while_a_handler_waits() {
    for concurrency in ["serial", "connection", "free"] {
        let home = home(json!({ "concurrency": concurrency }));
        let mut server = Lapps::start(&home);
        let mut other = Client::open(&server, "/echo");
        for placement in PLACEMENTS {
            let gate = Gate::new(&home, &format!("gate{placement}"));
            let mut client = waiting(&mut server, &format!("/waiter{placement}"), &gate);
            for n in 0..100 {
                other.echo(&n.to_string());
            }
            Client::open(&server, "/echo").echo("who comes now is served too");
            gate.open();
            assert_eq!(client.get(), text("woke"));
        }
    }
}

#[test]
fn in_a_serial_service_events_wait_in_their_order() {
    // Serial is what a service with the original's four handlers is.
    for keys in [json!({}), json!({ "concurrency": "serial" })] {
        let home = home(keys);
        let mut server = Lapps::start(&home);
        for (placement, name) in PLACEMENTS.into_iter().zip(["waiter", "waiter_dedicated"]) {
            let target = format!("/waiter{placement}");
            let gate = Gate::new(&home, &format!("gate{placement}"));
            let mut first = waiting(&mut server, &target, &gate);
            let mut second = Client::open(&server, &target);
            let mut gone = Client::open(&server, &target);
            for n in 0..3 {
                // Each on its way to the instance before the next one is sent: its pong comes back.
                for (client, name) in [(&mut second, "second"), (&mut first, "first")] {
                    client.text(&format!("{name} {n}"));
                    client.send(true, OpCode::Ping, b"?");
                    assert_eq!(client.get(), Got::Pong(b"?".to_vec()));
                }
            }
            gone.close(1000);
            assert_eq!((gone.get(), gone.get()), (Got::Close(1000, String::new()), Got::Eof));
            second.text("last");
            gate.open();
            assert_eq!(first.get(), text("woke"));
            for n in 0..3 {
                assert_eq!(second.get(), text(&format!("second {n}")));
                assert_eq!(first.get(), text(&format!("first {n}")));
            }
            assert_eq!(second.get(), text("last"));
            let log = server.expect_log(&format!("{name} handled last true\n"));
            let mut expected = vec!["woke".to_owned()];
            for n in 0..3 {
                expected.extend([format!("second {n}"), format!("first {n}")]);
            }
            expected.push("last".to_owned());
            let handled = lines(&log, &format!("{name} handled "));
            let expected: Vec<_> =
                expected.iter().map(|word| format!("{name} handled {word} true")).collect();
            assert_eq!(handled, expected, "{log}");
            // The end of the one that left stands where it happened.
            let lost = lines(&log, &format!("{name} "));
            assert!(lost[lost.len() - 2].starts_with(&format!("{name} lost ")), "{log}");
        }
    }
}

#[test]
fn with_concurrency_by_connection_other_connections_go_on_and_the_own_messages_wait() {
    let home = home(json!({ "concurrency": "connection" }));
    let mut server = Lapps::start(&home);
    for placement in PLACEMENTS {
        let target = format!("/waiter{placement}");
        let gate = Gate::new(&home, &format!("gate{placement}"));
        let mut client = waiting(&mut server, &target, &gate);
        client.text("behind");
        let mut other = Client::open(&server, &target);
        for n in 0..50 {
            other.echo(&n.to_string());
        }
        gate.open();
        assert_eq!((client.get(), client.get()), (text("woke"), text("behind")));
    }
}

#[test]
fn with_free_concurrency_the_own_messages_go_on_too() {
    let home = home(json!({ "concurrency": "free" }));
    let mut server = Lapps::start(&home);
    for placement in PLACEMENTS {
        let gate = Gate::new(&home, &format!("gate{placement}"));
        let mut client = waiting(&mut server, &format!("/waiter{placement}"), &gate);
        client.echo("overtakes");
        gate.open();
        assert_eq!(client.get(), text("woke"));
    }
}

#[test]
fn a_ping_is_answered_and_a_close_is_noticed_while_the_handler_waits() {
    for concurrency in ["serial", "connection", "free"] {
        let home = home(json!({ "concurrency": concurrency }));
        let mut server = Lapps::start(&home);
        for (placement, name) in PLACEMENTS.into_iter().zip(["waiter", "waiter_dedicated"]) {
            let gate = Gate::new(&home, &format!("gate{placement}"));
            let mut client = waiting(&mut server, &format!("/waiter{placement}"), &gate);
            client.send(true, OpCode::Ping, b"there?");
            assert_eq!(client.get(), Got::Pong(b"there?".to_vec()));
            client.close(1000);
            assert_eq!((client.get(), client.get()), (Got::Close(1000, String::new()), Got::Eof));
            gate.open();
            // The handler hears that its client has gone, and the end comes once.
            let log = server.expect_all(&[&format!("{name} handled woke false"), &format!("{name} lost ")]);
            assert_eq!(lines(&log, &format!("{name} lost ")).len(), 1, "{log}");
        }
    }
}

#[test]
fn on_open_comes_before_the_first_message_and_may_wait() {
    let code = format!(
        "{}
        local NAME = {{}}
        function NAME.onStart() end
        function NAME.onOpen(handler)
            if NAME.refuse then error('not you') end
            ws:send(handler, 1, 'welcome')
            time.sleep(0.02)
            ws:send(handler, 1, 'come in')
        end
        function NAME.onMessage(handler, opcode, message)
            if message == 'refuse' then NAME.refuse = true end
            return ws:send(handler, opcode, message)
        end
        function NAME.onDisconnect(handler) end
        function NAME.onShutdown() end
        return NAME",
        super::PASS
    );
    let home = Home::new().ws(one_worker()).on_both("door", &code, json!({}));
    let mut server = Lapps::start(&home);
    for placement in PLACEMENTS {
        let target = format!("/door{placement}");
        // The message comes with the request, and waits all the same.
        let mut bytes = crate::common::client::upgrade(&target).into_bytes();
        let mask = crate::common::client::MASK;
        lapps_parser::frame::write_masked_frame(&mut bytes, true, OpCode::Text, b"hello", mask);
        let mut client = Client::connect(&server);
        client.write(&bytes);
        assert_eq!(client.read_response().status, 101);
        for word in ["welcome", "come in", "hello"] {
            assert_eq!(client.get(), text(word));
        }
        client.echo("refuse");
        let mut refused = Client::open(&server, &target);
        assert!(matches!(refused.get(), Got::Close(1011, _)));
        server.expect_log("not you");
        client.echo("still here");
    }
}

#[test]
fn a_handler_that_fails_after_waiting_costs_its_connection() {
    let code = format!(
        "{}
        local NAME = {{}}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message)
            time.sleep(0.02)
            if message == 'raise' then error('late trouble') end
            if message == 'refuse' then return false end
            return ws:send(handler, opcode, message)
        end
        function NAME.onDisconnect(handler) end
        function NAME.onShutdown() end
        return NAME",
        super::PASS
    );
    for concurrency in ["serial", "connection"] {
        let keys = json!({ "concurrency": concurrency });
        let home = Home::new().ws(one_worker()).on_both("moody", &code, keys);
        let mut server = Lapps::start(&home);
        for placement in PLACEMENTS {
            let target = format!("/moody{placement}");
            let mut other = Client::open(&server, &target);
            for (word, told) in [("raise", "late trouble"), ("refuse", "returned false")] {
                let mut client = Client::open(&server, &target);
                client.text(word);
                client.text("not answered");
                assert!(matches!(client.get(), Got::Close(1011, _)), "{target} {word}");
                client.close(1011);
                assert_eq!(client.get(), Got::Eof);
                server.expect_log(told);
                other.echo("served");
            }
        }
    }
}

#[test]
fn fibers_of_a_connection_are_interrupted_when_it_ends() {
    let code = r"
        local time = require 'time'
        local NAME = {}
        function NAME.onStart() end
        function NAME.onOpen(handler)
            local conn = ws.conn(handler)
            conn:spawn(function()
                scope_cleanup_push(function()
                    time.sleep(0.01)
                    print('NAME cleaned ' .. handler .. ' ' .. tostring(conn:closed()))
                end)
                conn:send('ready')
                time.sleep(100000)
            end)
        end
        function NAME.onMessage(handler, opcode, message)
            if message == 'wait' then time.sleep(100000) end
            if message == 'close' then ws:close(handler, 1000) end
            return true
        end
        function NAME.onDisconnect(handler) print('NAME lost ' .. handler) end
        function NAME.onShutdown() end
        return NAME";
    let home = Home::new().ws(one_worker()).on_both("bound", code, json!({ "concurrency": "free" }));
    let mut server = Lapps::start(&home);
    for (placement, name) in PLACEMENTS.into_iter().zip(["bound", "bound_dedicated"]) {
        for end in ["close", "reset", "fin", "service"] {
            for busy in [false, true] {
                let mut client = Client::open(&server, &format!("/bound{placement}"));
                assert_eq!(client.get(), text("ready"));
                if busy {
                    client.text("wait");
                }
                match end {
                    "close" => client.close(1000),
                    "fin" => client.half_close(),
                    "service" => {
                        client.text("close");
                        client.close(1000);
                    }
                    _ => client.reset(),
                }
                let (cleaned, lost) = (format!("{name} cleaned "), format!("{name} lost "));
                let log = server.expect_all(&[&cleaned, &lost]);
                assert!(lines(&log, &cleaned)[0].ends_with(" true"), "{log}");
                assert_eq!((lines(&log, &cleaned).len(), lines(&log, &lost).len()), (1, 1), "{end}: {log}");
            }
        }
    }
}
