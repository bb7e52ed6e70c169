//! The server's stop with services that wait: what is waited for, what is interrupted, what is told.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Gate, PASS, PLACEMENTS, lines, one_worker, waits};
use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::process::Lapps;

/// A service with these handlers; `onMessage` echoes.
fn service(start: &str, shutdown: &str) -> String {
    format!(
        "{PASS}
        local NAME = {{}}
        function NAME.onStart() {start} end
        function NAME.onMessage(handler, opcode, message)
            NAME.client = handler
            return ws:send(handler, opcode, message)
        end
        function NAME.onDisconnect(handler) print('NAME lost ' .. handler) end
        function NAME.onShutdown() {shutdown} end
        return NAME"
    )
}

/// Orders the server to stop.
fn order(server: &Lapps) -> Instant {
    server.signal("TERM");
    Instant::now()
}

/// How long the server took to stop well since then, and what it said.
fn end(server: Lapps, start: Instant) -> (Duration, String) {
    let (status, log) = server.wait();
    assert!(status.success(), "{status}: {log}");
    (start.elapsed(), log)
}

fn stop(server: Lapps) -> (Duration, String) {
    let start = order(&server);
    end(server, start)
}

/// Well below the grace of ten seconds.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn fibers_of_the_background_do_not_delay_a_stop_and_are_cleaned_up() {
    let start = "
        spawn(function()
            scope_cleanup_push(function() time.sleep(0.01) print('NAME cleaned') end)
            while true do time.sleep(1) end
        end):detach()
        time.every(0.5, function() end)";
    let home = Home::new().ws(one_worker()).on_both("busy", &service(start, ""), json!({}));
    let (took, log) = stop(Lapps::start(&home));
    assert!(took < SOON, "{took:?}");
    assert!(log.contains("busy cleaned\n") && log.contains("busy_dedicated cleaned\n"), "{log}");
    assert!(!log.contains("deadlock") && !log.contains("ERROR"), "{log}");
}

#[test]
fn on_shutdown_may_wait_and_its_clients_are_still_there() {
    let shutdown = "time.sleep(0.2) ws:send(NAME.client, 1, 'that was all') print('NAME shut down')";
    let home = Home::new().ws(one_worker()).on_both("slow", &service("", shutdown), json!({}));
    let server = Lapps::start(&home);
    let mut clients = PLACEMENTS.map(|placement| Client::open(&server, &format!("/slow{placement}")));
    for client in &mut clients {
        client.echo("hello");
    }
    let start = order(&server);
    for client in &mut clients {
        assert_eq!(client.get(), Got::Text("that was all".into()));
        assert!(matches!(client.get(), Got::Close(1001, _)));
        client.close(1001);
    }
    let (took, log) = end(server, start);
    assert!(took < SOON, "{took:?}");
    assert!(log.contains("slow shut down\n") && log.contains("slow_dedicated shut down\n"), "{log}");
}

#[test]
fn on_shutdown_that_waits_beyond_the_grace_is_interrupted() {
    let shutdown = "
        scope_cleanup_push(function() time.sleep(0.01) print('NAME cleaned') end)
        time.sleep(100000)
        print('NAME shut down')";
    let ws = json!({ "shutdown_grace_ms": 300 });
    let home = Home::new().ws(one_worker()).ws(ws).on_both("slow", &service("", shutdown), json!({}));
    let server = Lapps::start(&home);
    let mut clients = PLACEMENTS.map(|placement| Client::open(&server, &format!("/slow{placement}")));
    for client in &mut clients {
        client.echo("hello");
    }
    let (took, log) = stop(server);
    assert!(took >= Duration::from_millis(300) && took < SOON, "{took:?}");
    assert!(log.contains("2 of 2 instances did not finish onShutdown in time"), "{log}");
    for name in ["slow", "slow_dedicated"] {
        assert!(log.contains(&format!("{name} cleaned\n")), "{log}");
        assert_eq!(lines(&log, &format!("{name} lost ")).len(), 1, "{log}");
    }
    assert!(!log.contains("shut down"), "{log}");
}

#[test]
fn a_handler_that_waits_has_the_grace_and_the_end_of_its_connection_comes_after_it() {
    let home = Home::new().ws(one_worker()).on_both("waiter", &waits(), json!({}));
    let mut server = Lapps::start(&home);
    let gates = PLACEMENTS.map(|placement| Gate::new(&home, &format!("gate{placement}")));
    let mut clients = PLACEMENTS.map(|placement| Client::open(&server, &format!("/waiter{placement}")));
    for (client, gate) in clients.iter_mut().zip(&gates) {
        client.text(&gate.wait());
        server.expect_log(" waits\n");
    }
    let start = order(&server);
    // `onShutdown` is behind the handler that waits; both placements wait for it.
    for gate in &gates {
        gate.open();
    }
    for client in &mut clients {
        assert_eq!(client.get(), Got::Text("woke".into()));
        assert!(matches!(client.get(), Got::Close(1001, _)));
        client.close(1001);
    }
    let (took, log) = end(server, start);
    assert!(took < SOON, "{took:?}");
    for name in ["waiter", "waiter_dedicated"] {
        let told = lines(&log, &format!("{name} "));
        assert_eq!(told[0], format!("{name} handled woke true"), "{log}");
        assert!(told[1].starts_with(&format!("{name} lost ")) && told.len() == 2, "{log}");
    }
}

#[test]
fn what_no_interruption_ends_is_told_with_its_traceback() {
    let start = "
        spawn(function()
            this_fiber.disable_interruption()
            require('channel').new():recv()
        end):detach()";
    let home = Home::new().ws(one_worker()).on_both("stuck", &service(start, ""), json!({}));
    let (took, log) = stop(Lapps::start(&home));
    assert!(took < SOON, "{took:?}");
    for name in ["stuck", "stuck_dedicated"] {
        let entry = &log[log.find(&format!("service '{name}': deadlock")).expect(&log)..];
        assert!(entry.contains(&format!("{name}.lua:")), "{log}");
    }
}

#[test]
fn a_handler_that_waits_for_ever_is_interrupted_when_nothing_can_wake_it() {
    // It holds up nobody: its fiber waits for what no fiber will ever send.
    let code = service("", "").replace(
        "NAME.client = handler",
        "NAME.client = handler
        if message == 'wait' then
            scope_cleanup_push(function() print('NAME cleaned') end)
            print('NAME waits')
            require('channel').new():recv()
        end",
    );
    let keys = json!({ "concurrency": "connection" });
    let home = Home::new().ws(one_worker()).on_both("stuck", &code, keys);
    let mut server = Lapps::start(&home);
    let mut clients = PLACEMENTS.map(|placement| Client::open(&server, &format!("/stuck{placement}")));
    for client in &mut clients {
        client.text("wait");
        server.expect_log(" waits\n");
    }
    let start = order(&server);
    for client in &mut clients {
        assert!(matches!(client.get(), Got::Close(1001, _)));
        client.close(1001);
    }
    let (took, log) = end(server, start);
    assert!(took < SOON, "{took:?}");
    for name in ["stuck", "stuck_dedicated"] {
        assert!(log.contains(&format!("{name} cleaned\n")), "{log}");
        assert_eq!(lines(&log, &format!("{name} lost ")).len(), 1, "{log}");
    }
}
