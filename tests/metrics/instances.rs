//! What is told of the instances of services, and of the process.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::common::client::{Client, Got};
use crate::common::home::ECHO;
use crate::scrape::{Watched, home};

#[test]
fn errors_of_handlers_are_counted_where_they_happen() {
    const FAILS: &str = "
        local NAME = {}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message)
            if message == 'wait' then time.sleep_for(1) end
            error(message)
        end
        function NAME.onDisconnect(handler) end
        function NAME.onShutdown() end
        return NAME";
    let watched = Watched::start(&home().on_both("fails", FAILS, json!({ "preload": ["time"] })));
    for (service, target) in [("fails", "/fails"), ("fails_dedicated", "/fails-dedicated")] {
        for (count, message) in [(1.0, "at once"), (2.0, "wait")] {
            let mut client = Client::open(&watched.server, target);
            client.text(message);
            assert!(matches!(client.get(), Got::Close(1011, _)));
            watched.until("lapps_handler_errors_total", &[("service", service)], count);
        }
    }
}

#[test]
fn some_calls_are_timed_and_a_slow_one_shows_where_it_belongs() {
    const SLOW: &str = "
        local slow = {}
        function slow.onStart() end
        function slow.onMessage(handler, opcode, message)
            local until_then = os.clock() + 0.06
            while os.clock() < until_then do end
            return ws:send(handler, opcode, message)
        end
        function slow.onDisconnect(handler) end
        function slow.onShutdown() end
        return slow";
    let watched = Watched::start(&home().service("slow", SLOW, json!({})));
    let of = [("service", "slow"), ("instance", "0")];
    assert_eq!(watched.sum("lapps_handler_seconds_count", &of), 0.0);
    // The first call is timed: there is no `onOpen`, so nothing comes before it but what has none to call.
    let mut client = Client::open(&watched.server, "/slow");
    let calls = 65;
    for _ in 0..calls {
        client.echo("x");
    }
    watched.until_above("lapps_handler_seconds_sum", &of, 0.06);
    let scrape = watched.scrape();
    let count = scrape.sum("lapps_handler_seconds_count", &of);
    assert!((1.0..=3.0).contains(&count), "{count} of {calls} calls");
    let up_to = |bound: &str| {
        let labels = [("service", "slow"), ("le", bound)];
        scrape.sum("lapps_handler_seconds_bucket", &labels)
    };
    assert!(up_to("0.05") < count, "one took longer");
    assert_eq!(up_to("+Inf"), count);
}

#[test]
fn heaps_collections_and_fibers_are_told() {
    const KEEPER: &str = "
        local kept = {}
        local NAME = {}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message)
            if message == 'keep' then kept[#kept + 1] = ('x'):rep(8000000) end
            if message == 'waste' then for n = 1, 20000 do kept.last = { n } end end
            if message == 'collect' then for n = 1, 5 do collectgarbage() end end
            if message == 'spawn' then
                for n = 1, 10 do spawn(function() require('mqr').create('nobody posts here'):recv() end):detach() end
            end
            return ws:send(handler, opcode, message)
        end
        function NAME.onDisconnect(handler) end
        function NAME.onShutdown() end
        return NAME";
    let watched = Watched::start(&home().on_both("keeper", KEEPER, json!({ "preload": ["mqr"] })));
    for (service, target) in [("keeper", "/keeper"), ("keeper_dedicated", "/keeper-dedicated")] {
        let of = [("service", service)];
        let mut client = Client::open(&watched.server, target);
        client.echo("nothing");
        let before = watched.sum("lapps_lua_heap_bytes", &of);
        assert!((1e4..8e6).contains(&before), "{before}");
        client.echo("keep");
        watched.until_above("lapps_lua_heap_bytes", &of, before + 8e6 - 1e6);
        watched.until("lapps_lua_fibers", &of, 0.0);
        client.echo("spawn");
        watched.until("lapps_lua_fibers", &of, 10.0);
        for _ in 0..50 {
            client.echo("waste");
        }
        let mut wasted = 50;
        while watched.sum("lapps_lua_collections_total", &of) == 0.0 {
            wasted += 1;
            assert!(wasted < 2000, "nothing is collected");
            client.echo("waste");
        }
        // Those that a handler waits for count too.
        client.echo("nothing");
        let before = watched.sum("lapps_lua_collections_total", &of);
        client.echo("collect");
        watched.until_above("lapps_lua_collections_total", &of, before + 4.0);
    }
}

#[test]
fn fibers_are_told_by_what_they_do() {
    // One turn of the scheduler runs 1024 of them; the next one does not come to its end before it may.
    const CROWD: &str = "
        local NAME = {}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message)
            for n = 1, 1100 do
                spawn(function()
                    if n == 1025 then while not io.open('RELEASE') do end end
                    if n > 1050 then time.sleep_for(3600000) end
                end):detach()
            end
            return ws:send(handler, opcode, message)
        end
        function NAME.onDisconnect(handler) end
        function NAME.onShutdown() end
        return NAME";
    let home = home();
    let release = home.path().join("release");
    let code = CROWD.replace("RELEASE", release.to_str().unwrap());
    let home = home.on_both("crowd", &code, json!({ "preload": ["time"] }));
    let watched = Watched::start(&home);
    for (service, target) in [("crowd", "/crowd"), ("crowd_dedicated", "/crowd-dedicated")] {
        let _ = std::fs::remove_file(&release);
        let mut client = Client::open(&watched.server, target);
        client.text("all at once");
        let of = |state: &'static str| [("service", service), ("state", state)];
        watched.until("lapps_lua_fibers", &of("running"), 1.0);
        watched.until("lapps_lua_fibers", &of("ready"), 75.0);
        watched.until("lapps_lua_fibers", &of("waiting"), 0.0);
        std::fs::write(&release, "").unwrap();
        watched.until("lapps_lua_fibers", &of("waiting"), 50.0);
        watched.until("lapps_lua_fibers", &of("ready"), 0.0);
        watched.until("lapps_lua_fibers", &of("running"), 0.0);
    }
}

#[test]
fn what_happens_to_outgoing_connections_is_counted() {
    const TALKER: &str = "
        local talker = {}
        function talker.init() end
        function talker.run()
            cws:new('URI', {
                onopen = function(h) cws:send(h, 'hello', 1) end,
                onmessage = function(h, text) cws:close(h) end,
                onclose = function(h) print('closed') error('after all') end,
                onerror = function(h, why) print(why) end,
            })
            require('mqr').create('nobody'):recv()
        end
        return talker";
    let echo = Watched::start(&home().service("echo", ECHO, json!({})));
    let code = TALKER.replace("URI", &format!("ws://{}/echo", echo.server.address));
    let keys = json!({ "standalone": true, "preload": ["cws", "mqr"] });
    let watched = Watched::start(&home().service("talker", &code, keys));
    let of = [("service", "talker"), ("instance", "0")];
    watched.until("lapps_outgoing_events_total", &of, 3.0);
    watched.until("lapps_handler_errors_total", &of, 1.0);
    watched.until("lapps_sent_messages_total", &of, 1.0);
    watched.until("lapps_lua_fibers", &of, 1.0);
    watched.until_above("lapps_lua_heap_bytes", &of, 1e4);
    echo.until("lapps_received_messages_total", &[("service", "echo")], 1.0);
}

#[test]
fn the_process_is_told_of_as_by_others() {
    let watched = Watched::start(&home());
    let scrape = watched.scrape();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - scrape.sum("process_start_time_seconds", &[]);
    assert!((-2.0..600.0).contains(&age), "{age}");
    let files = watched.server.open_files() as f64;
    assert!((scrape.sum("process_open_fds", &[]) - files).abs() <= 4.0);
    assert!(scrape.sum("process_max_fds", &[]) >= files);
    let resident = watched.server.resident() as f64;
    let told = scrape.sum("process_resident_memory_bytes", &[]);
    assert!((0.5..2.0).contains(&(told / resident)), "{told} of {resident}");
    assert!(scrape.sum("process_virtual_memory_bytes", &[]) >= told);
    assert!(scrape.sum("process_threads", &[]) >= 3.0);
    let cpu = scrape.sum("process_cpu_seconds_total", &[]);
    watched.until_above("process_cpu_seconds_total", &[], cpu);
    assert_eq!(scrape.sum("lapps_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
}
