//! Standalone services: `init`, `run`, what they see, and how they end.

use std::time::{Duration, Instant};

use serde_json::json;

use super::one_worker;
use crate::common::client::Client;
use crate::common::home::{ECHO, Home};
use crate::common::process::Lapps;
use crate::common::until;

/// A home with an echo, and a standalone service of two instances with these functions.
fn home(init: &str, run: &str) -> Home {
    // What it says before the server listens must not get lost in the banner.
    let code = format!(
        "local time, say = require 'time', function(text) io.stderr:write(text .. '\\n') end
        local clock = {{}}
        function clock.init() {init} end
        function clock.run() {run} end
        return clock"
    );
    let keys = json!({ "placement": "standalone", "instances": 2 });
    Home::new().ws(one_worker()).service("clock", &code, keys).service("echo", ECHO, json!({}))
}

/// The line about the service in the banner.
fn state(server: &Lapps) -> &str {
    server.banner.lines().find(|line| line.starts_with("service clock,")).expect("the service is named")
}

#[test]
fn init_and_run_are_called_in_order_in_a_main_fiber_that_may_wait_and_spawn() {
    let init = "
        assert(this_fiber.is_main and not must_stop() and type(instance_id) == 'string')
        time.sleep(0.01)
        clock.ready = true";
    let run = "
        assert(clock.ready and this_fiber.is_main)
        local helper = spawn(function() time.sleep(0.02) return not this_fiber.is_main end)
        say('helper ' .. instance_id .. ' ' .. tostring(helper:join()))
        while not must_stop() do time.sleep(0.01) end
        say('over ' .. instance_id)";
    let mut server = Lapps::start(&home(init, run));
    assert_eq!(state(&server), "service clock, standalone (2 instances): running");
    server.expect_all(&["helper 0 true\n", "helper 1 true\n"]);
    Client::open(&server, "/echo").echo("others run");
    let start = Instant::now();
    let log = server.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "it has seen that it must stop");
    assert!(log.contains("over 0\n") && log.contains("over 1\n"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn an_error_in_init_keeps_the_service_and_who_depends_on_it_from_running() {
    let home = home("time.sleep(0.01) error('no clock here')", "say('it runs')");
    let needy = ECHO.replace("echo", "needy");
    let server = Lapps::start(&home.service("needy", &needy, json!({ "depends": ["clock"] })));
    assert!(state(&server).ends_with("FAILED, see the log"), "{}", server.banner);
    Client::open(&server, "/echo").echo("others run");
    let log = server.stop();
    assert_eq!(log.matches("no clock here").count(), 1, "{log}");
    assert!(log.contains("service 'clock', init: ") && log.contains("clock.lua:3: no clock here"), "{log}");
    assert!(log.contains("service 'needy' cannot be started: it depends on 'clock'"), "{log}");
    assert!(!log.contains("it runs"), "{log}");
}

#[test]
fn an_error_in_run_is_told_and_nothing_else_ends() {
    let mut server = Lapps::start(&home("", "time.sleep(0.01) error('it broke')"));
    assert!(state(&server).ends_with("running"), "{}", server.banner);
    let log = server.expect_all(&["clock.lua:4: it broke", "stack traceback"]);
    assert!(log.contains("service 'clock', run: "), "{log}");
    Client::open(&server, "/echo").echo("others run");
    server.stop();
}

#[test]
fn an_instance_that_has_come_to_its_end_ends_its_thread_and_nothing_else() {
    let run = "
        spawn(function() time.sleep(0.05) say('last ' .. instance_id) end):detach()
        say('returned ' .. instance_id)";
    let mut server = Lapps::start(&home("", run));
    server.expect_all(&["returned 0\n", "returned 1\n", "last 0\n", "last 1\n"]);
    let threads = || {
        std::fs::read_dir(format!("/proc/{}/task", server.pid()))
            .unwrap()
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .filter(|name| name.starts_with("clock-"))
            .count()
    };
    until("the threads end", || threads() == 0);
    Client::open(&server, "/echo").echo("others run");
    server.stop();
}

#[test]
fn a_run_that_does_not_return_has_the_grace_and_is_then_interrupted() {
    let run = "
        scope_cleanup_push(function() time.sleep(0.01) say('cleaned ' .. instance_id) end)
        say('runs ' .. instance_id)
        while true do time.sleep(100000) end";
    let home = home("", run).ws(json!({ "shutdown_grace_ms": 300 }));
    let mut server = Lapps::start(&home);
    server.expect_all(&["runs 0\n", "runs 1\n"]);
    let start = Instant::now();
    let log = server.stop();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    assert!(log.contains("cleaned 0\n") && log.contains("cleaned 1\n"), "{log}");
}

#[test]
fn a_run_that_can_never_go_on_is_told_at_once_and_stops_at_once() {
    let mut server = Lapps::start(&home("", "local c = require('channel').new() say('waits') c:recv()"));
    let log = server.expect_all(&["deadlock", "clock.lua:4:"]);
    assert!(log.contains("service 'clock': deadlock"), "{log}");
    Client::open(&server, "/echo").echo("others run");
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "nothing to wait for");
}

#[test]
fn fibers_that_run_has_left_behind_do_not_delay_a_stop() {
    let run = "
        spawn(function()
            scope_cleanup_push(function() say('cleaned ' .. instance_id) end)
            while true do time.sleep(1) end
        end):detach()";
    let mut server = Lapps::start(&home("", run));
    server.expect_log("run has returned");
    let start = Instant::now();
    let log = server.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(log.contains("cleaned 0\n") && log.contains("cleaned 1\n"), "{log}");
}

#[test]
fn sleeping_fibers_cost_no_time_on_any_thread() {
    let sleeper = "
        spawn(function() time.sleep(100000) end):detach()
        spawn(function() while true do time.sleep(0.1) end end):detach()";
    let code = format!(
        "local time = require 'time'
        local NAME = {{}}
        function NAME.onStart() {sleeper} end
        function NAME.onMessage() return true end
        function NAME.onDisconnect() end
        function NAME.onShutdown() end
        return NAME"
    );
    let server = Lapps::start(&home("", sleeper).on_both("sleepy", &code, json!({})));
    let before = server.cpu();
    std::thread::sleep(Duration::from_secs(1));
    let spent = server.cpu() - before;
    // Four threads wake up ten times each; one that spins spends all of the second.
    assert!(spent < Duration::from_millis(200), "{spent:?}");
}

#[test]
fn a_standalone_service_may_preload_every_module() {
    let code = "local clock = {} function clock.init() time.sleep(0) for _, name in ipairs { 'time', 'nap', 'murmur', 'mqr', 'cws', \
         'pam_auth', 'bcast', 'nljson' } do assert(type(_G[name]) == 'table', name) end end \
         function clock.run() end return clock";
    let modules = ["time", "nap", "murmur", "mqr", "cws", "pam_auth", "bcast", "nljson"];
    let keys = json!({ "standalone": true, "preload": modules });
    let server = Lapps::start(&Home::new().service("clock", code, keys));
    assert!(state(&server).ends_with(": running"), "{}", server.banner);
    server.stop();
}
