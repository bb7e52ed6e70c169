//! Many connections, and what is left of them; who waits, and who goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lapps_parser::frame::OpCode;
use serde_json::json;

use crate::agent::{ALL, Agent, Kind};
use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::{table, until};
use crate::peer;

#[test]
fn a_thousand_connections_leave_nothing_behind() {
    table::run(
        &ALL,
        |kind| format!("{kind:?}"),
        |kind| {
            let mut agent = Agent::start(*kind);
            // The poller of a thread stays.
            agent.run("local o o = cws:new(URI, talking('first', { onopen = function() o:close() end }))");
            agent.hear(&["first close 2 1000 "]);
            let before = agent.server.open_files();
            agent.run(
                r"
            local ends, seen = 0, {}
            for round = 1, 10 do
                for n = 1, 100 do
                    local object
                    object = assert(cws:new(URI, {
                        onopen = function(h) assert(cws:send(h, 'x' .. n, 1)) end,
                        onmessage = function(h, message)
                            assert(message == 'x' .. n)
                            if n % 3 == 0 then assert(object:close()) end
                            if n % 3 == 1 then assert(cws:close(h, 4000, 'bye')) end
                            -- A second try, and one of those that are closed by a mistake.
                            if n % 3 == 2 then assert(cws:close(h)) error('expected') end
                        end,
                        onclose = function(h) ends = ends + 1 end,
                        onerror = function(h, text) say('unexpected', text) end,
                    }))
                    assert(not seen[object.handler])
                    seen[object.handler] = true
                end
            end
            while ends < 1000 do cws:eventLoop() end
            say('all', ends)",
            );
            let log = agent.hear(&["all 1000"]);
            assert!(!log.contains("unexpected"), "{log}");
            until("no descriptor is left", || agent.server.open_files() <= before);
            agent.server.stop();
        },
    );
}

#[test]
fn an_open_connection_gets_1001_when_the_server_stops_and_its_handler_hears_of_it() {
    table::run(
        &ALL,
        |kind| format!("{kind:?}"),
        |kind| {
            let mut agent = Agent::start(*kind);
            let (address, seen) = peer::once(|peer| {
                let mut peer = peer.accept();
                let first = peer.get();
                peer.close(1001, "");
                (first, peer.finish())
            });
            // A server that does not answer holds nobody up.
            let (mute, _seen) = peer::once(|peer| peer.accept().rest());
            agent.run(&format!(
                "cws:new('ws://{address}', talking('polite'))
            cws:new('ws://{mute}', talking('mute'), {{ close_timeout = 100 }})
            say('made')"
            ));
            agent.hear(&["polite open", "mute open", "made"]);
            let start = Instant::now();
            let log = agent.server.stop();
            assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
            assert!(log.contains("[say] polite close 2 1001 \n") && !log.contains("ERROR"), "{log}");
            assert_eq!(seen.recv().unwrap().0, Got::Close(1001, String::new()));
        },
    );
}

#[test]
fn handlers_of_one_connection_come_in_order_while_others_go_on() {
    for kind in [Kind::Worker, Kind::Dedicated] {
        // Serial: what the service's own clients send waits for their handlers only.
        let mut agent = Agent::on(kind, Home::new(), json!({ "concurrency": "serial" }));
        agent.run(
            r"
            order = {}
            slow = cws:new(URI, {
                onopen = function(h) for n = 1, 5 do cws:send(h, 'm' .. n, 1) end end,
                onmessage = function(h, message)
                    order[#order + 1] = 'begin ' .. message
                    time.sleep(0.05)
                    order[#order + 1] = 'end ' .. message
                    if message == 'm5' then slow:close() end
                end,
                onclose = function() say(table.concat(order, ',')) end,
            })
            quick = cws:new(URI, {
                onopen = function(h) cws:send(h, 'quick', 1) end,
                onmessage = function() order[#order + 1] = 'quick' say('quick') end,
            })",
        );
        let mut log = agent.hear(&["quick"]);
        log += &agent.server.expect_log("end m5");
        let line = log.lines().find(|line| line.contains("begin m1")).unwrap();
        let own: Vec<&str> =
            line.trim_start_matches("[say] ").split(',').filter(|word| *word != "quick").collect();
        let expected: Vec<String> =
            (1..=5).flat_map(|n| [format!("begin m{n}"), format!("end m{n}")]).collect();
        assert_eq!(own, expected, "{log}");
        assert!(line.find("quick").unwrap() < line.find("end m5").unwrap(), "it did not wait: {line}");
    }
}

#[test]
fn a_server_that_does_not_read_fills_a_bounded_queue() {
    for kind in ALL {
        let mut agent = Agent::start(kind);
        let (address, seen) = peer::once(|peer| {
            let mut peer = peer.accept();
            peer.send(true, OpCode::Text, b"go");
            peer
        });
        agent.run(&format!(
            "local object
            object = cws:new('ws://{address}', talking('deaf', {{
                onmessage = function(h)
                    local count, ok, why = 0, true
                    while ok and count < 1000 do
                        ok, why = cws:send(h, ('x'):rep(100000), 2)
                        if ok then count = count + 1 end
                    end
                    say('full', ok, why, count < 1000, cws:send(h, 'small', 1))
                    object:close()
                end,
            }}), {{ max_queue = 300000, close_timeout = 0.3 }})"
        ));
        agent.hear(&["full false queue is full true true", "deaf close 0 1006 "]);
        drop(seen);
    }
}

#[test]
fn a_server_that_floods_a_handler_that_sleeps_is_not_read() {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    for kind in ALL {
        let mut agent = Agent::start(kind);
        WRITTEN.store(0, Ordering::Relaxed);
        let (address, seen) = peer::once(|peer| {
            let mut peer = peer.accept();
            peer.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
            let message = [b'x'; 10_000];
            let mut frame = Vec::new();
            lapps_parser::frame::write_frame(&mut frame, true, OpCode::Binary, &message);
            use std::io::Write;
            while peer.stream.write_all(&frame).is_ok() && WRITTEN.load(Ordering::Relaxed) < 256 << 20 {
                WRITTEN.fetch_add(frame.len(), Ordering::Relaxed);
            }
        });
        agent.run(&format!(
            "cws:new('ws://{address}', {{ onmessage = function() time.sleep(1000) end }}) say('made')"
        ));
        agent.hear(&["made"]);
        seen.recv_timeout(Duration::from_secs(30)).expect("it stops writing");
        assert!(WRITTEN.load(Ordering::Relaxed) < 64 << 20, "it is read without end");
        agent.run("say('others run')");
        agent.hear(&["others run"]);
    }
}

#[test]
fn an_idle_thread_with_connections_costs_no_time() {
    let mut agent = Agent::on(Kind::Dedicated, Home::new(), json!({}));
    agent.run("for n = 1, 50 do cws:new(URI, { onopen = function() end }) end say('made')");
    agent.hear(&["made"]);
    let before = agent.server.cpu();
    std::thread::sleep(Duration::from_secs(1));
    let spent = agent.server.cpu() - before;
    assert!(spent < Duration::from_millis(200), "{spent:?}");
    Client::open(&agent.server, "/echo").echo("others are served");
}

#[test]
fn a_loop_of_event_loop_calls_neither_spins_nor_stalls() {
    let mut agent = Agent::start(Kind::Standalone);
    agent.run(
        r"
        local rounds, from = 0, time.now()
        while time.now() - from < 500 do cws:eventLoop() rounds = rounds + 1 end
        say('without', rounds > 5 and rounds <= 51)
        local got = 0
        local object = cws:new(URI, {
            onopen = function(h) cws:send(h, 'x', 1) end,
            onmessage = function(h) got = got + 1 cws:send(h, 'x', 1) end,
        })
        from = time.now()
        while got < 2000 and time.now() - from < 10000 do cws:eventLoop() end
        say('with', got >= 2000)
        object:close()",
    );
    agent.hear(&["without true", "with true"]);
}

#[test]
fn a_thread_with_connections_is_woken_by_queues_and_by_clients() {
    let poster = "
        local queue = mqr.create 'q'
        local poster = {}
        function poster.onStart() end
        function poster.onMessage(h, op, text) queue:post(text) return true end
        function poster.onDisconnect() end
        function poster.onShutdown() end
        return poster";
    for kind in ALL {
        let home = Home::new().service("poster", poster, json!({ "preload": ["mqr"] }));
        let mut agent = Agent::on(kind, home, json!({ "preload": ["cws", "time", "mqr"] }));
        let queue = "local queue = mqr.create 'q' while true do say('from the queue', queue:recv()) end";
        agent.run(&format!("cws:new(URI, talking('a')) {queue}"));
        agent.hear(&["a open"]);
        for n in 0..20 {
            Client::open(&agent.server, "/poster").text(&n.to_string());
            agent.hear(&[&format!("from the queue {n}")]);
        }
    }
}
