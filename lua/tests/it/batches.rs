//! Messages in batches, taken and sent by code that LuaJIT compiles: it does compile, and what comes of it is what comes of
//! the same messages one by one through the C API.

use lapps_lua::{Concurrency, ConnId, Outcome, Reactive, Verdict};
use proptest::prelude::*;

use crate::stage::{Stage, conn};

/// Does what the message says.
const ACTOR: &str = "
local time = require('time')
local kept
demo.onMessage = function(h, op, msg)
    local what, who = msg:match('^(%a+) ?(%d*)')
    who = tonumber(who) or h
    if what == 'echo' then return ws:send(h, op, msg)
    elseif what == 'other' then return (ws:send(who, 2, msg .. ' from ' .. h))
    elseif what == 'raise' then error('meant')
    elseif what == 'value' then error(setmetatable({}, {__tostring = function() return 'a value' end}))
    elseif what == 'no' then return false
    elseif what == 'nothing' then return
    elseif what == 'close' then ws:close(h, 1000, 'bye') return true
    elseif what == 'end' then return ws:close(who, 4000)
    elseif what == 'sleep' then time.sleep(0.5) return ws:send(h, op, 'woke')
    elseif what == 'late' then time.sleep(0.1) error('meant, and late')
    elseif what == 'spawn' then
        local kept = spawn(function() time.sleep(0.1) ws:send(h, op, 'spawned') end) kept:detach()
        return true
    elseif what == 'cleanup' then
        scope_cleanup_push(function() ws:send(h, op, 'cleaned') end)
        return ws:send(h, op, 'before')
    elseif what == 'big' then return ws:send(h, op, ('x'):rep(50000))
    elseif what == 'opcode' then local ok, err = ws:send(h, 9, msg) return ws:send(h, op, tostring(ok) .. err)
    elseif what == 'gone' then local ok, err = ws:send(77777, op, msg) return ws:send(h, op, tostring(ok) .. err)
    elseif what == 'type' then ws:send(h, op, nil)
    elseif what == 'number' then return ws:send(h, op, 12)
    elseif what == 'dot' then ws.send(h, op, msg)
    elseif what == 'swap' then
        demo.onMessage, kept = function(h, op, msg)
            demo.onMessage = kept
            return ws:send(h, op, 'swapped ' .. msg)
        end, demo.onMessage
        return true
    end
end";

const WORDS: [&str; 24] = [
    "echo", "echo", "echo", "echo", "echo", "other", "raise", "value", "no", "nothing", "close", "end",
    "sleep", "late", "spawn", "cleanup", "big", "opcode", "gone", "type", "number", "dot", "swap", "echo",
];

/// What came of it, in order.
#[derive(PartialEq, Debug, Default)]
struct Told {
    verdicts: Vec<String>,
    outcomes: Vec<String>,
    sent: Vec<(ConnId, String)>,
    closed: Vec<ConnId>,
}

impl Told {
    fn verdict(&mut self, verdict: &Verdict) {
        self.verdicts.push(match verdict {
            Verdict::Fail(failure) => failure.to_string(),
            other => format!("{other:?}"),
        });
    }

    fn rest(mut self, mut stage: Stage<Reactive>) -> Told {
        stage.run();
        self.outcomes = stage
            .outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Failed(failure) => failure.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        self.sent = stage.world.sent;
        self.closed = stage.world.closed;
        self
    }
}

/// One after the other, as the oracle has them.
fn one_by_one(concurrency: Concurrency, messages: &[(ConnId, String)]) -> Told {
    let mut stage = Stage::interpreted(ACTOR, Some(concurrency));
    let mut told = Told::default();
    open_all(&mut stage);
    for (conn, text) in messages {
        let verdict = stage.text(*conn, text);
        told.verdict(&verdict);
    }
    told.rest(stage)
}

/// The same, compiled, cut into batches of these sizes.
fn in_batches(concurrency: Concurrency, messages: &[(ConnId, String)], sizes: &[usize]) -> Told {
    let mut stage = Stage::reactive(ACTOR, Some(concurrency));
    let mut told = Told::default();
    open_all(&mut stage);
    let mut sizes = sizes.iter().cycle();
    let mut rest = messages;
    while !rest.is_empty() {
        let size = (*sizes.next().expect("they go round")).min(rest.len());
        let batch: Vec<_> = rest[..size].iter().map(|(conn, text)| (*conn, text.as_str())).collect();
        let (count, verdict) = stage.batch(&batch);
        assert!((1..=size).contains(&count));
        for _ in 1..count {
            told.verdict(&Verdict::Keep);
        }
        told.verdict(&verdict);
        rest = &rest[count..];
    }
    told.rest(stage)
}

fn open_all(stage: &mut Stage<Reactive>) {
    for slot in 1..=3 {
        let _ = stage.open(conn(slot));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn batches_give_what_single_messages_give(
        script in proptest::collection::vec((1u32..=3, 0..WORDS.len(), 1u32..=3), 1..60),
        sizes in proptest::collection::vec(1usize..20, 1..6),
        warm in any::<bool>(),
        which in 0..3,
    ) {
        let concurrency =
            [Concurrency::Serial, Concurrency::Connection, Concurrency::Free][which as usize];
        let echo = |n: u32| (conn(1 + n % 3), format!("echo {n}"));
        let mut messages: Vec<_> = (0..if warm { 300 } else { 0 }).map(echo).collect();
        messages.extend(script.iter().map(|(of, word, who)| {
            (conn(*of), format!("{} {}", WORDS[*word], conn(*who)))
        }));
        let expected = one_by_one(concurrency, &messages);
        prop_assert_eq!(in_batches(concurrency, &messages, &sizes), expected);
    }
}

/// Keeps what LuaJIT says of its traces from the moment of loading on.
const WATCHED_ECHO: &str = "
local util, seen = require('jit.util'), {}
jit.attach(function(what, trace, func, pc, code)
    if what == 'stop' then
        seen[#seen + 1] = 'stop:' .. util.traceinfo(trace).linktype
    elseif what == 'abort' then
        seen[#seen + 1] = 'abort:' .. code .. ':' .. util.funcinfo(func, pc).loc
    end
end, 'trace')
demo.onMessage = function(h, op, msg)
    if msg == 'tell' then
        return ws:send(h, 1, table.concat(seen, ' '))
    end
    return ws:send(h, op, msg)
end";

/// Of LuaJIT's reasons to give a trace up: it has met a function that may not be compiled, here the loop that yields between
/// batches, behind the end of one.
const LEFT: &str = "abort:12:";

fn traces(size: usize) -> String {
    let mut stage = Stage::reactive(WATCHED_ECHO, None);
    let _ = stage.open(conn(1));
    let texts: Vec<String> = (0..size).map(|n| format!("message {n}")).collect();
    for _ in 0..2000 / size {
        let batch: Vec<_> = texts.iter().map(|text| (conn(1), text.as_str())).collect();
        assert_eq!(stage.batch(&batch).0, size);
    }
    stage.take_sent();
    let _ = stage.text(conn(1), "tell");
    stage.take_sent().pop().expect("what it has seen")
}

#[test]
fn the_echo_loop_is_one_trace() {
    let seen = traces(16);
    assert!(seen.contains("stop:loop"), "{seen}");
    let mut aborts = seen.split(' ').filter(|word| word.starts_with("abort") && !word.starts_with(LEFT));
    assert_eq!(aborts.next(), None, "{seen}");
    assert!(!seen.contains("stitch"), "{seen}");
}

#[test]
fn single_messages_are_compiled_too() {
    let seen = traces(1);
    assert!(seen.contains("stop:return"), "{seen}");
    assert!(!seen.contains("stitch"), "{seen}");
}

#[test]
fn a_batch_ends_where_its_connection_is_closed_or_has_sent_a_lot() {
    let mut stage = Stage::reactive(ACTOR, None);
    open_all(&mut stage);
    let one = conn(1);
    assert!(matches!(stage.batch(&[(one, "echo"), (one, "close"), (one, "echo")]), (2, Verdict::Keep)));
    let two = conn(2);
    let big = [(two, "big"), (two, "big"), (two, "echo"), (two, "echo")];
    assert!(matches!(stage.batch(&big), (2, Verdict::Keep)));
    assert!(matches!(stage.batch(&big[2..]), (2, Verdict::Keep)));
    assert!(matches!(stage.batch(&[(two, "echo"), (two, "raise"), (two, "echo")]), (2, Verdict::Fail(_))));
    assert!(matches!(stage.batch(&[(two, "sleep"), (two, "echo")]), (1, Verdict::Waits { .. })));
}

#[test]
fn a_panic_behind_send_costs_its_message_only() {
    let mut stage = Stage::reactive(ACTOR, None);
    open_all(&mut stage);
    stage.world.panics = true;
    let (count, verdict) = stage.batch(&[(conn(1), "echo"), (conn(2), "echo")]);
    assert_eq!(count, 1);
    assert!(matches!(verdict, Verdict::Fail(failure) if failure.to_string().contains("panicked")));
    stage.world.panics = false;
    assert!(matches!(stage.batch(&[(conn(2), "echo")]), (1, Verdict::Keep)));
}
