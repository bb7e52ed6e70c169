//! How fibers end at a stop and by a deadlock, and standalone services.

use std::time::Duration;

use lapps_lua::{Concurrency, ConnId, Outcome, Verdict};

use crate::fiber_ends::{BOUND, cleanups, has};
use crate::stage::{Stage, conn};

const A: ConnId = conn(1);
const B: ConnId = conn(2);

#[test]
fn wind_down_interrupts_everything_once_and_cancels_timers() {
    let mut stage = Stage::reactive(
        "local time, channel, mutex = require 'time', require 'channel', require 'mutex'
         cleanups, timers = 0, 0
         local function tidy() cleanups = cleanups + 1 end
         local function waiting(f)
            spawn(function() scope_cleanup_push(tidy) f() error 'not here' end):detach()
         end
         demo.onMessage = function(h, op, msg)
            if msg == 'count' then return ws:send(h, 1, cleanups .. ' ' .. timers) end
            local c, m = channel.new(), mutex.new()
            local cv = require('condition_variable').new()
            waiting(function() time.sleep(100) end)
            waiting(function() c:recv() end)
            waiting(function() channel.new():send(1) end)
            waiting(function() select { c, timeout = 50 } end)
            waiting(function() with_timeout(60, time.sleep, 100) end)
            waiting(function() pcall(time.sleep, 100) time.sleep(100) end)
            waiting(function() spawn(function() scope_cleanup_push(tidy) time.sleep(100) end):join() end)
            waiting(function()
                m:lock()
                scope_cleanup_push(function() m:unlock() end)
                cv:wait(m)
            end)
            waiting(function() coroutine.wrap(function() scope_cleanup_push(tidy) time.sleep(100) end)() end)
            time.after(30, function() timers = timers + 1 end)
            time.every(40, function() timers = timers + 1 end)
            scope_cleanup_push(tidy)
            time.sleep(100)
            error 'not here'
         end",
        None,
    );
    let _ = stage.open(A);
    let weight = match stage.text(A, "begin") {
        Verdict::Waits { weight } => weight,
        other => panic!("{other:?}"),
    };
    stage.pass(1000);
    stage.wind_down();
    stage.run();
    assert!(stage.world.now < Duration::from_secs(5), "nothing waited on: {:?}", stage.world.now);
    assert_eq!(stage.instance.fibers(), 0);
    assert_eq!(stage.instance.deadline(), None);
    assert!(stage.instance.is_idle());
    assert_eq!(stage.instance.deadlock(), None);
    assert_eq!(stage.take_reports(), [""; 0]);
    let told = stage.outcomes.iter().any(
        |outcome| matches!(outcome, Outcome::Handled { conn: A, weight: handled } if *handled == weight),
    );
    assert!(told, "{:#?}", stage.outcomes);
    stage.world.open.insert(B);
    let _ = stage.text(B, "count");
    assert_eq!(stage.take_sent(), ["12 0"]);
}

#[test]
fn wind_down_twice_is_wind_down_once() {
    let mut stage = Stage::reactive(BOUND, None);
    let _ = stage.open(A);
    stage.pass(1);
    stage.wind_down();
    stage.wind_down();
    stage.pass(5);
    stage.wind_down();
    stage.run();
    assert_eq!(cleanups(&mut stage), "3 0");
}

#[test]
fn fibers_that_are_spawned_while_winding_down_end_at_their_first_wait() {
    let mut stage = Stage::reactive(
        "local time = require 'time'
         ran, went_on = 0, 0
         demo.onMessage = function(h, op, msg)
            if msg == 'count' then return ws:send(h, 1, ran .. ' ' .. went_on) end
            spawn(function()
                scope_cleanup_push(function()
                    spawn(function() ran = ran + 1 time.sleep(100) went_on = went_on + 1 end):detach()
                end)
                time.sleep(100)
            end):detach()
            return true
         end",
        None,
    );
    let _ = stage.open(A);
    let _ = stage.text(A, "begin");
    stage.pass(10);
    stage.wind_down();
    stage.run();
    assert!(stage.world.now < Duration::from_secs(5));
    assert_eq!(stage.instance.fibers(), 0);
    let _ = stage.text(A, "count");
    assert_eq!(stage.take_sent(), ["1 0"]);
}

#[test]
fn messages_that_wait_are_dropped_by_wind_down_and_counted_as_handled() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h, op, msg) ran = (ran or 0) + 1 require('time').sleep(100) return true end",
        Some(Concurrency::Serial),
    );
    let _ = stage.open(A);
    for _ in 0..10 {
        let _ = stage.text(A, "x");
    }
    stage.wind_down();
    stage.run();
    let handled = stage.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Handled { .. })).count();
    assert_eq!(handled, 10);
    assert!(stage.instance.is_idle());
}

#[test]
fn what_outlasts_wind_down_is_reported_as_a_deadlock_with_tracebacks() {
    let mut stage = Stage::reactive(
        "local channel = require 'channel'
         local function stubborn_one() this_fiber.disable_interruption() channel.new():recv() end
         local function stubborn_two()
            scope_cleanup_push(function() channel.new():send(1) end)
            require('time').sleep(100)
         end
         demo.onMessage = function() spawn(stubborn_one):detach() spawn(stubborn_two):detach() return true end",
        None,
    );
    let _ = stage.open(A);
    let _ = stage.text(A, "x");
    stage.pass(10);
    stage.wind_down();
    stage.run();
    assert_eq!(stage.instance.fibers(), 2);
    let text = stage.instance.deadlock().expect("a report");
    for part in ["deadlock", "demo.lua:2", "demo.lua:4"] {
        has(&text, part);
    }
    assert_eq!(text.matches("stack traceback:").count(), 2, "{text}");
}

#[test]
fn nothing_that_waits_is_no_deadlock() {
    let mut stage = Stage::reactive("", None);
    assert_eq!(stage.instance.deadlock(), None);
    let _ = stage.open(A);
    let _ = stage.text(A, "x");
    assert_eq!(stage.instance.deadlock(), None);
}

// Standalone services.

#[test]
fn init_and_run_are_called_in_the_main_fiber() {
    let path = tempfile::NamedTempFile::new().unwrap();
    let mut stage = Stage::standalone(&format!(
        "local out, time = assert(io.open('{}', 'w')), require 'time'
         local function note(...) out:write(table.concat({{ ... }}, ' '), '\\n') out:flush() end
         demo.init = function()
            note('init', tostring(this_fiber.is_main), instance_id, type(instance_id))
            time.sleep(0.01)
         end
         demo.run = function()
            note('run', tostring(this_fiber.is_main), tostring(must_stop()))
            spawn(function() note('child', tostring(this_fiber.is_main)) time.sleep(0.05) note 'child ends' end)
            time.sleep(0.02)
            note 'run ends'
         end",
        path.path().display()
    ));
    stage.run();
    let text = std::fs::read_to_string(path.path()).unwrap();
    assert_eq!(
        text, "init true 0 string\nrun true false\nchild false\nrun ends\nchild ends\n",
        "{:?}",
        stage.outcomes
    );
    assert!(matches!(stage.outcomes[..], [Outcome::Started(Ok(())), Outcome::Ended(Ok(()))]));
    assert_eq!(stage.instance.fibers(), 0);
}

#[test]
fn errors_of_init_and_run_are_told_with_their_names() {
    for (lines, name) in [
        ("demo.init = function() error 'no luck' end", "init"),
        ("demo.init = function() require('time').sleep(0.01) error 'no luck' end", "init"),
        ("demo.run = function() error 'no luck' end", "run"),
        ("demo.run = function() require('time').sleep(0.01) error 'no luck' end", "run"),
    ] {
        let mut stage = Stage::standalone(lines);
        stage.run();
        let failure = match &stage.outcomes[..] {
            [Outcome::Started(Err(failure))] if name == "init" => failure,
            [Outcome::Started(Ok(())), Outcome::Ended(Err(failure))] if name == "run" => failure,
            other => panic!("{lines}: {other:#?}"),
        };
        assert_eq!(failure.handler(), name);
        has(&failure.to_string(), "no luck");
        has(&failure.to_string(), "stack traceback:");
    }
}

#[test]
fn must_stop_is_true_once_the_server_stops() {
    let mut stage = Stage::standalone(
        "demo.run = function() while not must_stop() do require('time').sleep(0.01) end end",
    );
    stage.pass(100);
    assert!(stage.instance.fibers() > 0);
    stage.world.stopping = true;
    stage.pass(20);
    assert_eq!(stage.instance.fibers(), 0);
    assert!(matches!(stage.outcomes[..], [Outcome::Started(Ok(())), Outcome::Ended(Ok(()))]));
}

#[test]
fn wind_down_ends_a_run_that_only_waits() {
    let mut stage =
        Stage::standalone("demo.run = function() while true do require('time').sleep(10) end end");
    stage.pass(100);
    stage.wind_down();
    stage.run();
    assert_eq!(stage.instance.fibers(), 0);
    assert!(
        matches!(stage.outcomes[..], [Outcome::Started(Ok(())), Outcome::Ended(Ok(()))]),
        "{:?}",
        stage.outcomes
    );
}

#[test]
fn a_run_that_can_never_go_on_is_reported_at_once_with_every_fiber() {
    let mut stage = Stage::standalone(
        "local channel = require 'channel'
         local function one(c) c:recv() end
         local function two(m) m:lock() end
         demo.run = function()
            local m = require('mutex').new()
            m:lock()
            local a = spawn(one, channel.new())
            local b = spawn(two, m)
            a:join()
         end",
    );
    stage.run();
    let reports = stage.take_reports();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    for part in ["deadlock", "demo.lua:2", "demo.lua:3", "demo.lua:9"] {
        has(&reports[0], part);
    }
    assert_eq!(reports[0].matches("stack traceback:").count(), 3, "{}", reports[0]);
    stage.wind_down();
    stage.run();
    assert_eq!(stage.instance.fibers(), 0);
    assert!(
        stage.take_reports().iter().all(|report| report.contains("held a mutex")),
        "the deadlock is told once"
    );
}

#[test]
fn a_run_that_waits_for_a_timer_is_no_deadlock() {
    let mut stage = Stage::standalone(
        "local c = require('channel').new()
         demo.run = function()
            require('time').after(5, function() c:send 'x' end)
            c:recv()
         end",
    );
    stage.run();
    assert_eq!(stage.take_reports(), [""; 0]);
    assert_eq!(stage.instance.fibers(), 0);
}
