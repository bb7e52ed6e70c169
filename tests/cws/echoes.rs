//! Good conversations, with the echo service of the same server.

use crate::agent::{ALL, Agent};
use crate::common::table;

#[test]
fn messages_of_all_sizes_come_back_and_the_close_is_told_once() {
    table::run(
        &ALL,
        |kind| format!("{kind:?}"),
        |kind| {
            let mut agent = Agent::start(*kind);
            agent.run(
                r"
            local sizes, at, object = { 0, 1, 125, 126, 65535, 65536, 1000000 }, 0, nil
            local function next_one(h)
                at = at + 1
                if at > #sizes then say('closes', object:close(3210, 'enough')) return end
                assert(cws:send(h, ('x'):rep(sizes[at]), 2))
            end
            object = cws:new(URI, talking('a', {
                onopen = next_one,
                onmessage = function(h, message, opcode)
                    assert(opcode == 2 and message == ('x'):rep(sizes[at]), #message)
                    next_one(h)
                end,
                onclose = function(h, payload, code, reason)
                    say('closed', #payload, code, reason, cws:send(h, 'late', 1))
                end,
            }))
            say('made', type(object), object.handler > 0)",
            );
            agent.hear(&["made table true", "closes true", "closed 2 3210  false connection closed"]);
            agent.run("cws:new(URI, talking('b', { onopen = function(h) say('sent', cws:send(h, 'grüß', 1)) end }))");
            agent.hear(&["sent true", "b message grüß 1"]);
            let log = agent.server.stop();
            assert!(!log.contains("ERROR"), "{log}");
            // The worker of the echo says why, unless the agent is the first to say it.
            let closed = log.contains("[say] b close 18 1001 the server stops")
                || log.contains("[say] b close 2 1001 ");
            assert!(closed, "{log}");
        },
    );
}
