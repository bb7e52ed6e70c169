//! The memory limit of an instance.

use lapps_lua::FailureKind;

use crate::world::{ONE, Quietly, World, failed, kept, load};

const MIB: usize = 1 << 20;

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
