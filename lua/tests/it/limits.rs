//! The memory limit of an instance.

use std::time::Duration;

use lapps_lua::{Concurrency, ConnId, FailureKind, Outcome, Progress};

use crate::stage::{Stage, conn};
use crate::world::{ONE, Quietly, World, failed, kept, load};

const MIB: usize = 1 << 20;
const A: ConnId = conn(1);

#[test]
fn an_event_that_needs_too_much_fails_and_the_instance_lives() {
    let mut demo = load(
        "demo.onMessage = function(h, op, msg)
            if msg == 'string' then msg = string.rep('x', 64 * 2 ^ 20)
            elseif msg == 'table' then local t = {} for i = 1, 1e8 do t[i] = { i } end
            elseif msg == 'concat' then for i = 1, 40 do msg = msg .. msg end end
            return ws:send(h, op, msg)
         end",
        16 * MIB,
        false,
    )
    .start_quietly();
    let mut world = World::new();
    for greed in ["string", "table", "concat", "table"] {
        let failure = failed(demo.text(&mut world, ONE, greed));
        assert_eq!(*failure.kind(), FailureKind::Memory { limit: 16 * MIB }, "{failure}");
        assert!(failure.to_string().contains("not enough memory: one instance may use 16777216 bytes"));
        kept(demo.text(&mut world, ONE, "hello"));
        assert_eq!(world.take_sent(), ["hello"]);
    }
}

#[test]
fn a_message_that_does_not_fit_fails() {
    let mut demo = load("", 4 * MIB, false).start_quietly();
    let mut world = World::new();
    let failure = failed(demo.text(&mut world, ONE, &"x".repeat(8 * MIB)));
    assert!(matches!(failure.kind(), FailureKind::Memory { .. }), "{failure}");
    kept(demo.text(&mut world, ONE, "small"));
}

#[test]
fn a_service_may_catch_the_error() {
    let mut demo = load(
        "demo.onMessage = function(h, op, msg)
            local ok, why = pcall(string.rep, 'x', 64 * 2 ^ 20)
            return not ok and ws:send(h, op, why)
         end",
        16 * MIB,
        false,
    )
    .start_quietly();
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, ""));
    assert_eq!(world.take_sent(), ["not enough memory"]);
}

#[test]
fn garbage_beside_much_live_data_does_not_run_into_the_limit() {
    let mut demo = load(
        "local live = {} for i = 1, 20 * 1024 do live[i] = string.rep('x', 512) .. i end
         demo.onMessage = function(h, op, msg)
            n = (n or 0) + 1
            local garbage = {} for i = 1, 100 do garbage[i] = n .. msg .. i end
            return #live == 20 * 1024
         end",
        16 * MIB,
        false,
    )
    .start_quietly();
    let mut world = World::new();
    let message = "m".repeat(1000);
    for _ in 0..500 {
        kept(demo.text(&mut world, ONE, &message));
    }
}

#[test]
fn without_a_limit_there_is_none() {
    let mut demo = load("demo.onMessage = function() return #string.rep('x', 64 * 2 ^ 20) > 0 end", 0, false)
        .start_quietly();
    kept(demo.text(&mut World::new(), ONE, ""));
}

#[test]
fn without_memory_one_event_fails_and_those_that_wait_go_on() {
    let mut stage = Stage::loaded(
        "local time = require 'time'
         demo.onMessage = function(h, op, msg)
            if msg == 'greedy' then
                time.sleep(0.01)
                local t = {}
                for i = 1, 1e8 do t[i] = { i } end
            elseif msg == 'wait' then
                time.sleep(0.02)
            end
            return ws:send(h, 1, msg)
         end",
        Some(Concurrency::Free),
        16 << 20,
    );
    let _ = stage.start();
    let _ = stage.open(A);
    for _ in 0..3 {
        for _ in 0..100 {
            let _ = stage.text(A, "wait");
        }
        let _ = stage.text(A, "greedy");
        stage.run();
        assert_eq!(stage.take_sent(), ["wait"; 100]);
        let failed: Vec<_> = stage
            .outcomes
            .drain(..)
            .filter_map(|outcome| match outcome {
                Outcome::Failed(failure) => Some(failure),
                _ => None,
            })
            .collect();
        assert_eq!(failed.len(), 1, "{failed:#?}");
        assert!(matches!(failed[0].kind(), FailureKind::Memory { .. }), "{}", failed[0]);
        assert_eq!(stage.instance.fibers(), 0);
    }
    let _ = stage.text(A, "fine");
    assert_eq!(stage.take_sent(), ["fine"]);
}

#[test]
fn without_memory_for_more_fibers_spawning_fails_and_the_scheduler_lives() {
    let mut stage = Stage::loaded(
        "local time = require 'time'
         demo.onMessage = function(h, op, msg)
            if msg == 'many' then
                local ok, err = pcall(function() while true do spawn(time.sleep, 1) end end)
                return ws:send(h, 1, tostring(ok) .. ' ' .. tostring(err))
            end
            time.sleep(0.01)
            return ws:send(h, 1, msg)
         end",
        Some(Concurrency::Free),
        8 << 20,
    );
    let _ = stage.start();
    let _ = stage.open(A);
    let _ = stage.text(A, "many");
    let limit = stage.world.now + Duration::from_secs(100);
    assert!(stage.run_to(limit), "{} fibers are left", stage.instance.fibers());
    let sent = stage.take_sent();
    assert!(sent.is_empty() || sent[0].contains("not enough memory"), "{sent:?}");
    assert_eq!(stage.instance.fibers(), 0);
    stage.outcomes.clear();
    let _ = stage.text(A, "fine");
    stage.run();
    assert_eq!(stage.take_sent(), ["fine"], "{:#?}", stage.outcomes);
}

#[test]
fn cleanup_handlers_that_use_up_the_memory_cost_their_event_only() {
    let mut stage = Stage::loaded(
        "local time = require 'time'
         demo.onMessage = function(h, op, msg)
            if msg ~= 'greedy' then return ws:send(h, 1, msg) end
            time.sleep(0.01)
            while true do scope_cleanup_push(function() end) end
         end",
        Some(Concurrency::Free),
        2 * MIB,
    );
    assert_eq!(stage.start(), Progress::Done);
    let _ = stage.open(A);
    let _ = stage.text(A, "greedy");
    stage.run();
    let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(failure) if failure.conn() == Some(A));
    assert_eq!(stage.outcomes.iter().filter(|outcome| failed(outcome)).count(), 1, "{:#?}", stage.outcomes);
    assert_eq!(stage.instance.fibers(), 0);
    let _ = stage.text(A, "fine");
    assert_eq!(stage.take_sent(), ["fine"]);
}

#[test]
fn values_count_and_an_event_that_holds_too_many_fails() {
    let mut demo = load(
        "local big = nljson.encode { ('some text'):rep(100000) }
         demo.onMessage = function(h, op, msg)
            if msg == 'greedy' then
                local kept = {}
                for i = 1, 1000 do kept[i] = nljson.decode(big) end
            end
            for i = 1, 100 do local passing = nljson.decode(big) end
            return ws:send(h, op, msg)
         end",
        16 * MIB,
        false,
    )
    .start_quietly();
    let mut world = World::new();
    for _ in 0..3 {
        let failure = failed(demo.text(&mut world, ONE, "greedy"));
        assert_eq!(*failure.kind(), FailureKind::Memory { limit: 16 * MIB }, "{failure}");
        kept(demo.text(&mut world, ONE, "modest"));
        assert_eq!(world.take_sent(), ["modest"]);
    }
}
