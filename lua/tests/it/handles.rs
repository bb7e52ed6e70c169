//! `handler` as a number: key, text, and what is not one.

use lapps_lua::{Answer, ConnId};

use crate::world::{ONE, Quietly, World, kept, on_message};

/// All that print exactly: see [`ConnId`].
fn printable() -> Vec<ConnId> {
    let mut all = Vec::new();
    for worker in [0, 1, 7, 63, 88] {
        for slot in [0, 1, 2, 1000, 262_144, 524_287] {
            for generation in [0, 1, 4096, 2_000_000, ConnId::GENERATIONS - 1] {
                all.push(ConnId::new(worker, slot, generation));
            }
        }
    }
    all
}

#[test]
fn a_handle_prints_as_an_integer() {
    let mut demo =
        on_message("return ws:send(h, 1, h .. ' ' .. tostring(h) .. ' ' .. string.format('%s', h))");
    let mut world = World::new();
    for conn in printable() {
        kept(demo.text(&mut world, conn, ""));
        assert_eq!(world.take_sent(), [format!("{conn} {conn} {conn}")]);
    }
}

#[test]
fn a_handle_survives_its_own_text() {
    let mut demo = on_message("return h == tonumber(tostring(h)) and h == tonumber('' .. h)");
    let mut world = World::new();
    for conn in printable() {
        kept(demo.text(&mut world, conn, ""));
    }
}

#[test]
fn every_handle_is_exact_as_a_number() {
    let mut demo = on_message("return ws:send(h, 1, string.format('%.0f', h))");
    let mut world = World::new();
    for conn in [
        ConnId::new(0, 0, 0),
        ConnId::new(90, 524_287, 1),
        ConnId::new(254, ConnId::SLOTS - 1, ConnId::GENERATIONS - 1),
        ConnId::new(254, ConnId::SLOTS - 1, ConnId::GENERATIONS - 2),
    ] {
        kept(demo.text(&mut world, conn, ""));
        assert_eq!(
            world.done.pop(),
            Some(crate::world::Done::Sent(
                conn,
                lapps_parser::frame::OpCode::Text,
                conn.to_string().into_bytes(),
            ))
        );
    }
}

#[test]
fn texts_beyond_the_exact_range_differ_from_slot_to_slot() {
    let mut demo =
        on_message("seen = seen or {} local new = not seen['' .. h] seen['' .. h] = true return new");
    let mut world = World::new();
    for worker in [90, 91, 200, 255] {
        for slot in [0, 1, 2, 524_287, 524_288, ConnId::SLOTS - 1] {
            kept(demo.text(&mut world, ConnId::new(worker, slot, 1000), ""));
        }
    }
}

#[test]
fn a_handle_is_a_table_key() {
    let mut demo =
        on_message("names = names or {} names[h] = names[h] or msg return ws:send(h, 1, names[h])");
    let mut world = World::new();
    for (n, conn) in printable().into_iter().enumerate() {
        kept(demo.text(&mut world, conn, &n.to_string()));
        kept(demo.text(&mut world, conn, "other"));
        assert_eq!(world.take_sent(), [n.to_string(), n.to_string()]);
    }
}

#[test]
fn numbers_that_are_no_handle_answer_connection_closed() {
    let mut demo = on_message(
        "for _, bad in ipairs { -1, 0.5, 0/0, 1/0, -1/0, 2^53, 2^53 + 2, 1e300, h + 0.25 } do
            local ok, why = ws:send(bad, 1, 'x')
            assert(ok == false and why == 'connection closed', tostring(bad))
            ok, why = ws:close(bad, 1000)
            assert(ok == false and why == 'connection closed', tostring(bad))
         end
         return true",
    );
    let mut world = World::new();
    kept(demo.text(&mut world, ONE, ""));
    assert_eq!(world.done, [], "none of them came as far as the port");
}

#[test]
fn a_stale_handle_answers_connection_closed() {
    let mut demo = on_message(
        "local ok, why = ws:send(12345, op, msg) return ok == false and why == 'connection closed'",
    );
    let mut world = World::new();
    world.answer = Answer::Closed;
    kept(demo.text(&mut world, ONE, ""));
}
