//! What handlers get, and what `ws` does with what they ask for.

use lapps_lua::{Answer, ConnId, Event, Verdict};
use lapps_parser::frame::OpCode;

use crate::world::{Done, ONE, Quietly, World, kept, on_message, service};

#[test]
fn echo_keeps_opcode_and_bytes() {
    let mut echo = on_message("return ws:send(h, op, msg)");
    let mut world = World::new();
    let every_byte: Vec<u8> = (0..=255).collect();
    for (opcode, payload) in
        [(OpCode::Text, &b"hello"[..]), (OpCode::Binary, &every_byte), (OpCode::Text, &b""[..])]
    {
        kept(echo.deliver(&mut world, Event::Message { conn: ONE, opcode, payload }));
        assert_eq!(world.done.pop(), Some(Done::Sent(ONE, opcode, payload.to_vec())));
    }
}

#[test]
fn a_large_message_arrives_whole() {
    let mut echo = on_message("return ws:send(h, op, msg)");
    let mut world = World::new();
    let payload: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
    let event = Event::Message { conn: ONE, opcode: OpCode::Binary, payload: &payload };
    kept(echo.deliver(&mut world, event));
    assert_eq!(world.done, [Done::Sent(ONE, OpCode::Binary, payload)]);
}

#[test]
fn one_message_goes_to_many_connections() {
    let mut room = service(
        "local all = {}
         demo.onMessage = function(h, op, msg)
            all[#all + 1] = h
            for _, other in ipairs(all) do assert(ws:send(other, op, h .. ' ' .. msg)) end
            return true
         end",
    );
    let mut world = World::new();
    for slot in 0..50 {
        world.done.clear();
        kept(room.text(&mut world, ConnId::new(3, slot, 1), "in"));
    }
    let last = ConnId::new(3, 49, 1);
    let text = format!("{last} in");
    let expected: Vec<Done> = (0..50)
        .map(|slot| Done::Sent(ConnId::new(3, slot, 1), OpCode::Text, text.clone().into_bytes()))
        .collect();
    assert_eq!(world.done, expected);
}

#[test]
fn every_event_reaches_its_handler() {
    let mut demo = service(
        "local seen = {}
         demo.onMessage = function(h, op, msg)
            if msg == 'tell' then return ws:send(h, 1, table.concat(seen, ' ')) end
            seen[#seen + 1] = 'message:' .. op .. ':' .. #arg_count(h, op, msg)
            return true
         end
         function arg_count(...) return string.rep('x', select('#', ...)) end
         demo.onStart = function(...) seen[#seen + 1] = 'start:' .. select('#', ...) end
         demo.onDisconnect = function(...) seen[#seen + 1] = 'gone:' .. ... .. ':' .. select('#', ...) end
         demo.onShutdown = function(...) seen[#seen + 1] = 'stop:' .. select('#', ...) end",
    );
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, "x"));
    kept(demo.deliver(&mut world, Event::Disconnected(ConnId::new(0, 0, 5))));
    kept(demo.deliver(&mut world, Event::Stop));
    kept(demo.text(&mut world, ONE, "tell"));
    assert_eq!(world.take_sent(), ["start:0 message:1:3 gone:5:1 stop:0"]);
}

#[test]
fn handlers_may_send_at_start_at_the_end_and_after_a_disconnect() {
    let mut demo = service(
        "demo.onDisconnect = function(h) assert(ws:send(1, 1, 'gone ' .. h)) end
         demo.onShutdown = function() assert(ws:send(2, 1, 'bye')) end",
    );
    let mut world = World::new();
    kept(demo.deliver(&mut world, Event::Disconnected(ConnId::new(0, 0, 9))));
    kept(demo.deliver(&mut world, Event::Stop));
    assert_eq!(world.take_sent(), ["gone 9", "bye"]);
}

#[test]
fn only_the_first_result_counts() {
    let mut demo = on_message("if msg == 'a' then return true, false end return false, true");
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, "a"));
    assert!(matches!(demo.text(&mut world, ONE, "b"), Verdict::Fail(_)));
}

#[test]
fn results_of_the_other_handlers_do_not_matter() {
    let mut demo = service("demo.onDisconnect = function() return false end demo.onShutdown = error");
    let mut world = World::new();
    kept(demo.deliver(&mut world, Event::Disconnected(ONE)));
    assert!(matches!(demo.deliver(&mut world, Event::Stop), Verdict::Fail(_)), "but errors do");
}

#[test]
fn handlers_can_be_exchanged_while_the_service_runs() {
    let mut demo =
        service("demo.onStart = function() demo.onMessage = function(h) return ws:send(h, 1, 'new') end end");
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, "x"));
    assert_eq!(world.take_sent(), ["new"]);
}

#[test]
fn handlers_may_come_from_a_metatable() {
    let mut demo = service(
        "local class = { onMessage = function(h) return ws:send(h, 1, 'inherited') end }
         demo.onMessage = nil
         setmetatable(demo, { __index = class })",
    );
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, "x"));
    assert_eq!(world.take_sent(), ["inherited"]);
}

#[test]
fn send_answers_true_or_false_with_a_reason() {
    let mut demo = on_message("local ok, why = ws:send(h, 1, 'x') return (ok and msg or why) == msg");
    let mut world = World::new();
    for (answer, expected) in
        [(Answer::Done, "done"), (Answer::Closed, "connection closed"), (Answer::Full, "queue is full")]
    {
        world.answer = answer;
        kept(demo.text(&mut world, ONE, expected));
    }
}

#[test]
fn send_takes_numbers_as_text() {
    let mut demo = on_message("return ws:send(h, 2, 42)");
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, ""));
    assert_eq!(world.done, [Done::Sent(ONE, OpCode::Binary, b"42".to_vec())]);
}

#[test]
fn other_opcodes_are_refused() {
    let mut demo = on_message(
        "for _, opcode in ipairs { 0, 3, 8, 9, 10, -1, 1.5, 0/0, 1/0, 257 } do
            local ok, why = ws:send(h, opcode, 'x')
            assert(ok == false and why == 'opcode must be 1 (text) or 2 (binary)', opcode)
         end
         return true",
    );
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, ""));
    assert_eq!(world.done, []);
}

#[test]
fn close_passes_code_and_reason() {
    let mut demo = on_message(
        "assert(ws:close(h, 1000))
         assert(ws:close(h, 3000, nil))
         assert(ws:close(h, 4999, 'reason'))
         assert(ws:close(h, 1011, 12))
         assert(ws:close(h, 1001, string.rep('\\195\\164', 100)))
         return true",
    );
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, ""));
    let expected = [
        Done::Closed(ONE, 1000, String::new()),
        Done::Closed(ONE, 3000, String::new()),
        Done::Closed(ONE, 4999, "reason".to_owned()),
        Done::Closed(ONE, 1011, "12".to_owned()),
        Done::Closed(ONE, 1001, "ä".repeat(61)),
    ];
    assert_eq!(world.done, expected);
}

#[test]
fn other_close_codes_are_refused() {
    let mut demo = on_message(
        "for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1012, 1015, 2999, 5000, 1000.5, -1, 0/0 } do
            local ok, why = ws:close(h, code, 'x')
            assert(ok == false and why == 'code must be 1000-1003, 1007-1011 or 3000-4999', code)
         end
         return true",
    );
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, ""));
    assert_eq!(world.done, []);
}

#[test]
fn closing_a_closed_connection_is_answered() {
    let mut demo = on_message("return not ws:close(h, 1000) and select(2, ws:close(h, 1000)) == msg");
    let mut world = World::new();
    world.answer = Answer::Closed;
    kept(demo.text(&mut world, ONE, "connection closed"));
}

#[test]
fn coroutines_inside_a_handler_can_send() {
    let mut demo = on_message(
        "local co = coroutine.wrap(function()
            for i = 1, 3 do assert(ws:send(h, 1, msg .. i)); coroutine.yield() end
         end)
         co() co() co()
         return true",
    );
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, "n"));
    assert_eq!(world.take_sent(), ["n1", "n2", "n3"]);
}

#[test]
fn a_coroutine_can_live_from_message_to_message() {
    let mut demo = service(
        "local co = coroutine.create(function(h)
            local n = 0
            while true do n = n + 1; assert(ws:send(h, 1, tostring(n))); h = coroutine.yield(true) end
         end)
         demo.onMessage = function(h) return select(2, coroutine.resume(co, h)) end",
    );
    let mut world = World::new();
    for _ in 0..100 {
        kept(demo.text(&mut world, ONE, ""));
    }
    let expected: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
    assert_eq!(world.take_sent(), expected);
}

#[test]
fn outside_of_handlers_no_connection_is_reached() {
    let mut demo = service(
        "local ok, why = ws:send(1, 1, 'x')
         local closed, cause = ws:close(1, 1000)
         demo.onMessage = function(h) return ws:send(h, 1, table.concat({ tostring(ok), why, tostring(closed), cause }, ',')) end",
    );
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, ""));
    assert_eq!(world.take_sent(), ["false,connection closed,false,connection closed"]);
}

#[test]
fn two_services_on_one_thread_do_not_mix() {
    let mut a = on_message("n = (n or 0) + 1 return ws:send(h, 1, 'a' .. n)");
    let mut b = on_message("n = (n or 0) + 1 return ws:send(h, 1, 'b' .. n)");
    let (mut one, mut two) = (World::new(), World::new());
    for _ in 0..2 {
        kept(a.text(&mut one, ONE, ""));
        kept(b.text(&mut two, ONE, ""));
    }
    assert_eq!(
        (one.take_sent(), two.take_sent()),
        (vec!["a1".into(), "a2".into()], vec!["b1".into(), "b2".into()])
    );
}

#[test]
fn finalizers_may_use_ws_at_any_time() {
    let mut demo = on_message(
        "local proxy = newproxy(true)
         getmetatable(proxy).__gc = function() ws:send(h, 1, 'collected') end
         if msg == 'collect' then proxy = nil; collectgarbage(); collectgarbage() end
         return true",
    );
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, "collect"));
    assert!(world.take_sent().contains(&"collected".to_owned()));
    kept(demo.text(&mut world, ONE, "leave it for the end"));
    drop(demo);
}
