//! What goes wrong in a handler: it costs one verdict, says where, and the instance lives.

use lapps_lua::{Event, FailureKind, Progress};

use crate::world::{ONE, Quietly, World, failed, kept, load, on_message, service};

/// An echo that does `fault` when it is told to, and is still an echo afterwards.
#[track_caller]
fn fails_once(fault: &str) -> String {
    let mut demo = on_message(&format!("if msg == 'fault' then {fault} end\nreturn ws:send(h, op, msg)"));
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, "before"));
    let failure = failed(demo.text(&mut world, ONE, "fault"));
    assert_eq!((failure.service(), failure.handler(), failure.conn()), ("demo", "onMessage", Some(ONE)));
    world.done.clear();
    kept(demo.text(&mut world, ONE, "after"));
    assert_eq!(world.take_sent(), ["after"]);
    failure.to_string()
}

#[track_caller]
fn has(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is missing in:\n{text}");
}

#[test]
fn an_error_says_service_handler_connection_place_and_way() {
    let text = fails_once("local function deep() local x = nil; x.y = 1 end\ndeep()");
    has(&text, "service 'demo', onMessage, connection 2097159: ");
    has(&text, "demo.lua:2: attempt to index local 'x' (a nil value)");
    has(&text, "\nstack traceback:\n");
    has(&text, "demo.lua:2: in function 'deep'");
    assert!(text.ends_with("demo.lua:3: in function 'onMessage'"), "{text}");
}

#[test]
fn error_with_a_text() {
    has(&fails_once("error('no such room')"), "demo.lua:2: no such room\nstack traceback:");
}

#[test]
fn returning_nothing() {
    let text = fails_once("return");
    has(&text, "service 'demo', onMessage, connection 2097159: returned nil");
    has(&text, "return true");
}

#[test]
fn returning_false() {
    has(
        &fails_once("return false"),
        "connection 2097159: returned false; return true to keep the connection",
    );
}

#[test]
fn returning_something_else() {
    for (value, name) in [
        ("1", "a number"),
        ("'true'", "a string"),
        ("{}", "a table"),
        ("print", "a function"),
        ("coroutine.create(print)", "a coroutine"),
        ("newproxy()", "a userdata"),
        ("require('ffi').new('int64_t')", "a userdata"),
    ] {
        has(&fails_once(&format!("do return {value} end")), &format!("returned {name}; it must return true"));
    }
}

#[test]
fn error_values_that_are_no_text() {
    has(&fails_once("error()"), "the error value is a nil, not a text");
    has(&fails_once("error({})"), "the error value is a table, not a text");
    has(&fails_once("error(print)"), "the error value is a function, not a text");
    has(&fails_once("error(42)"), "2097159: demo.lua:2: 42\nstack traceback:");
    has(&fails_once("error(setmetatable({}, { __tostring = function() return 'mine' end }))"), ": mine\n");
    has(
        &fails_once("error(setmetatable({}, { __tostring = function() return {} end }))"),
        "the error value is a table",
    );
}

#[test]
fn an_error_while_an_error_is_described() {
    let text = fails_once("error(setmetatable({}, { __tostring = function() error('again') end }))");
    has(&text, "the error value is a table, not a text");
}

#[test]
fn endless_recursion() {
    has(&fails_once("local function f() return 1 + f() end f()"), "stack overflow");
    has(
        &fails_once(
            "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. 'x'] end local _ = t.x",
        ),
        "overflow",
    );
}

#[test]
fn errors_in_coroutines() {
    has(&fails_once("coroutine.wrap(function() error('inside') end)()"), "inside");
    has(
        &fails_once("coroutine.yield()"),
        "coroutine.yield: not in a coroutine; this_fiber.yield() lets other fibers run",
    );
}

#[test]
fn bytes_that_are_no_utf8_in_an_error() {
    has(&fails_once("error('caf\\233', 0)"), "caf\u{fffd}");
}

#[test]
fn wrong_types_name_function_argument_expected_and_given() {
    for (call, message) in [
        ("ws:send(nil, 1, 'x')", "ws:send: argument 1 (handler) must be a number, got nil"),
        ("ws:send('1', 1, 'x')", "ws:send: argument 1 (handler) must be a number, got string"),
        ("ws:send(h, '1', 'x')", "ws:send: argument 2 (opcode) must be a number, got string"),
        ("ws:send(h, {})", "ws:send: argument 2 (opcode) must be a number, got table"),
        ("ws:send(h)", "ws:send: argument 2 (opcode) must be a number, got nil"),
        ("ws:send(h, 1)", "ws:send: argument 3 (message) must be a string, got nil"),
        ("ws:send(h, 1, {})", "ws:send: argument 3 (message) must be a string, got table"),
        ("ws:send(h, 1, true)", "ws:send: argument 3 (message) must be a string, got boolean"),
        ("ws.send(h, 1, 'x')", "ws:send must be called with a colon: ws:send(handler, opcode, message)"),
        ("ws.send()", "ws:send must be called with a colon"),
        ("ws:close()", "ws:close: argument 1 (handler) must be a number, got no value"),
        ("ws:close(h)", "ws:close: argument 2 (code) must be a number, got no value"),
        ("ws:close(h, 'x')", "ws:close: argument 2 (code) must be a number, got string"),
        ("ws:close(h, 1000, {})", "ws:close: argument 3 (reason) must be a string, got table"),
        ("ws.close(h, 1000)", "ws:close must be called with a colon: ws:close(handler, code[, reason])"),
    ] {
        has(&fails_once(&format!("local _ = {call}")), &format!("demo.lua:2: {message}"));
    }
}

#[test]
fn a_service_can_catch_wrong_types() {
    let mut demo = on_message("local ok, why = pcall(ws.send, ws, h, 1) return ok == false and #why > 0");
    kept(demo.text(&mut World::new(), ONE, ""));
}

#[test]
fn os_exit_raises_instead_of_ending_the_server() {
    has(&fails_once("os.exit(0)"), "demo.lua:2: os.exit: a service cannot end the server");
}

#[test]
fn a_handler_that_went_missing() {
    let mut demo = on_message("demo.onMessage = nil return true");
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, ""));
    has(
        &failed(demo.text(&mut world, ONE, "")).to_string(),
        "onMessage is a nil value, not a function any more",
    );
}

#[test]
fn a_panicking_port_fails_the_event_and_pcall_does_not_hide_it() {
    let mut demo = on_message(
        "local ok = pcall(ws.send, ws, h, op, msg)
         local again = pcall(ws.send, ws, h, op, msg)
         return ok == again or not ok",
    );
    let mut world = World::new();
    world.panics = true;
    let failure = failed(demo.text(&mut world, ONE, "x"));
    assert_eq!(*failure.kind(), FailureKind::Panicked { message: "the port is broken".to_owned() });
    has(&failure.to_string(), "service 'demo', onMessage, connection 2097159: the server panicked");
    world.panics = false;
    kept(demo.text(&mut world, ONE, "y"));
    assert_eq!(world.take_sent(), ["y", "y"]);
}

#[test]
fn a_panicking_port_without_pcall() {
    let mut demo = on_message("return ws:send(h, op, msg)");
    let mut world = World::new();
    world.panics = true;
    let failure = failed(demo.text(&mut world, ONE, "x"));
    assert!(matches!(failure.kind(), FailureKind::Panicked { .. }), "{failure}");
}

#[test]
fn errors_of_the_other_handlers() {
    let mut demo = load(
        "demo.onStart = function() error('a') end
         demo.onDisconnect = function() error('b') end
         demo.onShutdown = function() error('c') end",
        0,
        false,
    );
    let mut world = World::new();
    let start = demo.start(&mut world).unwrap_err();
    has(&start.to_string(), "service 'demo', onStart: demo.lua:1: a\nstack traceback:");
    let gone = failed(demo.deliver(&mut world, Event::Disconnected(ONE)));
    has(&gone.to_string(), "service 'demo', onDisconnect, connection 2097159: demo.lua:2: b");
    let stop = failed(demo.deliver(&mut world, Event::Stop));
    has(&stop.to_string(), "service 'demo', onShutdown: demo.lua:3: c");
}

#[test]
fn an_error_leaves_no_trace_in_the_next() {
    let mut demo = on_message("if msg == 'a' then error('first') end local co = coroutine.yield");
    let mut world = World::new();
    has(&failed(demo.text(&mut world, ONE, "a")).to_string(), "first");
    let second = failed(demo.text(&mut world, ONE, "b")).to_string();
    assert!(!second.contains("first") && !second.contains("traceback"), "{second}");
}

#[test]
fn many_errors_do_not_add_up() {
    let mut demo =
        service("demo.onMessage = function(h, op, msg) if msg == 'x' then error(msg) end return true end");
    let mut world = World::new();
    for _ in 0..10_000 {
        let _ = failed(demo.text(&mut world, ONE, "x"));
    }
    kept(demo.text(&mut world, ONE, "y"));
}

#[test]
fn strict_stops_the_instance_at_the_first_failure() {
    let mut demo = load(
        "local calls = 0
         demo.onMessage = function(h, op, msg) calls = calls + 1 ws:send(h, 1, '' .. calls) return msg end
         demo.onDisconnect = function(h) ws:send(h, 1, 'gone') end
         demo.onShutdown = function() ws:send(0, 1, 'stop') end",
        0,
        true,
    );
    let mut world = World::new();
    assert_eq!(demo.start(&mut world).unwrap(), Progress::Done);
    assert!(matches!(failed(demo.text(&mut world, ONE, "x")).kind(), FailureKind::Refused { .. }));
    for _ in 0..2 {
        let failure = failed(demo.text(&mut world, ONE, "x"));
        assert_eq!(*failure.kind(), FailureKind::Stopped);
        has(&failure.to_string(), "lapps_strict");
    }
    kept(demo.deliver(&mut world, Event::Disconnected(ONE)));
    kept(demo.deliver(&mut world, Event::Stop));
    assert_eq!(world.take_sent(), ["1"], "nothing is called after the failure");
}
