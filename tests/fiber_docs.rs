//! The chapter on fibers and their reference do what they say: the gateway is the example's, its blocks are parts of it, and
//! every other block of Lua compiles and prints what it promises.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use common::client::{Client, Got};
use common::home::Home;
use common::lua_blocks::{self, Block, RUNNER};
use common::process::Lapps;

const CHAPTER: &str = include_str!("../docs/fibers.md");
const REFERENCE: &str = include_str!("../docs/fibers-reference.md");
const README: &str = include_str!("../README.md");
const SERVICES: &str = include_str!("../docs/services.md");
const GATEWAY_JSON: &str = include_str!("../examples/gateway/etc/conf/lapps.json");
const GATEWAY: &str = include_str!("../examples/gateway/apps/gateway/gateway.lua");

/// For each function that the reference marks as waiting or as an interruption point: a call of it.
const POINTS: &[(&str, &str)] = &[
    ("fiber:join()", "spawn(function() end):join()"),
    ("this_fiber.yield()", "this_fiber.yield()"),
    ("pcall(f, ...)`, `xpcall(f, handler, ...)", "pcall(print)"),
    ("with_timeout(seconds, f, ...)", "with_timeout(1, print)"),
    ("select{case, ..., timeout = seconds}", "select { require('semaphore').new(1) }"),
    ("time.sleep(seconds)", "time.sleep(0)"),
    ("time.sleep_for(milliseconds)", "time.sleep_for(0)"),
    ("timer:wait()", "require('steady_timer').new():wait()"),
    ("m:lock()", "require('mutex').new():lock()"),
    ("m:lock_for(seconds)", "require('recursive_mutex').new():lock_for(1)"),
    ("cv:wait(m)", "local m = require('mutex').new() m:try_lock() require('cond').new():wait(m)"),
    (
        "cv:wait_for(m, seconds)",
        "local m = require('mutex').new() m:try_lock() require('cond').new():wait_for(m, 0)",
    ),
    ("future:get()", "local p, f = require('future').new() p:set_value() f:get()"),
    ("future:get_for(seconds)", "local p, f = require('future').new() p:set_value() f:get_for(1)"),
    ("c:send(value)", "require('channel').new(1):send(1)"),
    ("c:send_for(value, seconds)", "require('channel').new(1):send_for(1, 1)"),
    ("c:recv()", "local c = require('channel').new() c:close() c:recv()"),
    ("c:recv_for(seconds)", "local c = require('channel').new() c:close() c:recv_for(1)"),
    ("for value in c:iter() do", "local c = require('channel').new() c:close() for v in c:iter() do end"),
    ("s:acquire()", "require('semaphore').new(1):acquire()"),
    ("s:acquire_for(seconds)", "require('semaphore').new(1):acquire_for(1)"),
    ("b:wait()", "require('barrier').new(1):wait()"),
];

/// All others, but for those that end something.
const NO_POINTS: &str = r"
local c, m, s = require('channel').new(2), require('mutex').new(), require('semaphore').new(1)
local cv, p, f = require('cond').new(), require('future').new()
local steady = require('steady_timer').new()
spawn(function() end):detach()
scope(function() scope_cleanup_push(function() end) scope_cleanup_pop() end)
c:try_send(1) c:try_recv() c:len() c:capacity() c:is_closed() c:close()
m:try_lock() m:unlock() cv:notify_one() cv:notify_all()
p:set_value() f:is_ready() s:try_acquire() s:release() s:count()
time.now() time.monotonic() time.after(1, print):cancel() time.every(1, print):cancel()
steady:expires_after(1) steady:cancel()
this_fiber.disable_interruption() this_fiber.restore_interruption()
local conn = ws.conn(handler)
conn:closed() conn:spawn(function() end):detach() conn:send('sent')
";

/// All blocks of Lua of both documents.
fn blocks() -> Vec<Block> {
    let both = [("docs/fibers.md", CHAPTER), ("docs/fibers-reference.md", REFERENCE)];
    both.into_iter().flat_map(|(file, text)| lua_blocks::of(file, text)).collect()
}

#[test]
fn the_blocks_of_the_gateway_are_parts_of_the_example() {
    let parts: Vec<Block> = blocks().into_iter().filter(|block| block.kind == "gateway").collect();
    assert!(parts.len() >= 8, "the chapter builds the gateway up");
    assert!(CHAPTER.contains(GATEWAY_JSON), "the chapter shows its configuration");
    for part in parts {
        assert!(GATEWAY.contains(&part.text), "{}:{}: not in the example", part.file, part.line);
    }
}

#[test]
fn every_other_block_prints_what_it_says() {
    let home = Home::new().on_both("runner", RUNNER, json!({ "preload": ["time"] }));
    let server = Lapps::start(&home);
    let (run, wrong) = lua_blocks::run(&server, &blocks());
    server.stop();
    assert!(run > 30, "{run} blocks were run");
    assert!(wrong.is_empty(), "{} blocks do not:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_points_of_the_reference_are_those_of_the_server() {
    let home = Home::new().on_both("runner", RUNNER, json!({ "preload": ["time"] }));
    let server = Lapps::start(&home);
    let answer = |code: &str| {
        let mut client = Client::open(&server, "/runner");
        client.text(code);
        text(&mut client)
    };
    let marked: Vec<(&str, &str)> = REFERENCE
        .lines()
        .filter_map(|line| line.strip_prefix("| **")?.split_once("** | `"))
        .map(|(mark, row)| (mark, row.split("` |").next().unwrap()))
        .collect();
    let known: Vec<&str> = POINTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        marked.iter().map(|(_, name)| *name).collect::<Vec<_>>(),
        known,
        "in the order of the reference"
    );
    let interrupted = |code: &str| {
        answer(&format!(
            "local reached = false
            local fiber = spawn(function() {code} reached = true end)
            fiber:interrupt()
            fiber:join()
            print(fiber.interruption_caught, reached)"
        ))
    };
    for ((mark, name), (_, code)) in marked.iter().zip(POINTS) {
        assert_eq!(interrupted(code), "true\tfalse", "{name}");
        if *mark == "W" {
            let got = answer(&format!("fails(function() this_fiber.forbid_suspend() {code} end)"));
            assert!(
                got.ends_with(": waiting is forbidden here (this_fiber.forbid_suspend)"),
                "{name}: {got}"
            );
        }
    }
    let code = NO_POINTS.replace('\n', " ");
    let mut client = Client::open(&server, "/runner");
    client.text(&format!("this_fiber.forbid_suspend() {code} print('done')"));
    assert_eq!((text(&mut client), text(&mut client)), ("sent".into(), "done".into()));
    assert_eq!(interrupted(&code.replace("conn:send('sent')", "")), "false\ttrue");
    server.stop();
}

#[test]
fn waits_are_refused_while_a_file_is_loaded() {
    let code = RUNNER.replace(
        "local lines = {}",
        "if text == 'load' then text = 'print(load_error)' end local lines = {}",
    );
    let server = Lapps::start(&Home::new().service("runner", &code.replace("NAME", "runner"), json!({})));
    let mut client = Client::open(&server, "/runner");
    client.text("load");
    let error = text(&mut client);
    let said = "can only be called in a fiber: in a handler, in run() or in what they spawn";
    assert!(error.ends_with(&format!("time.sleep: {said}")), "{error}");
    assert!(REFERENCE.contains(said));
    server.stop();
}

#[test]
fn the_standalone_service_of_the_chapter_runs() {
    let blocks = blocks();
    let code = &blocks.iter().find(|block| block.kind == "standalone").expect("the block").text;
    let keys = json!({ "placement": "standalone", "instances": 2 });
    let server = Lapps::start(&Home::new().service("cleaner", code, keys));
    // Two threads print at once: their ends of lines may come later.
    for line in ["cleaner 0 begins", "cleaner 1 begins"] {
        assert!(server.banner.contains(line), "{}", server.banner);
    }
    let log = server.stop();
    assert!(log.contains("cleaner 0 is done") && log.contains("cleaner 1 is done"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

/// The block of Lua of a document that holds `word`.
fn block_with<'t>(text: &'t str, word: &str) -> &'t str {
    let block = text.split("```lua\n").skip(1).find(|rest| rest.split("```").next().unwrap().contains(word));
    block.expect("the block").split("```").next().unwrap()
}

#[test]
fn the_short_examples_of_the_other_documents_run() {
    let whole = |name: &str, block: &str| {
        let rest = "function NAME.onStart() end function NAME.onMessage() return true end
            function NAME.onDisconnect() end function NAME.onShutdown() end return NAME";
        format!("local NAME = {{}}\n{block}\n{rest}")
            .replace("NAME", name)
            .replace("sleep(20)", "sleep(0.01)")
    };
    let reminder = block_with(README, "reminder.onOpen");
    assert!(reminder.trim().lines().count() <= 12, "the README promises little");
    let clock = block_with(SERVICES, "clock.init");
    let home = Home::new()
        .service("reminder", &whole("reminder", reminder), json!({}))
        .service("chat", &whole("chat", block_with(SERVICES, "chat.onOpen")), json!({}))
        .service("clock", clock, json!({ "placement": "standalone" }));
    let server = Lapps::start(&home);
    assert!(!server.banner.contains("FAILED"), "{}", server.banner);
    let mut client = Client::open(&server, "/reminder");
    assert_eq!((text(&mut client), text(&mut client)), ("still there?".into(), "still there?".into()));
    let mut client = Client::open(&server, "/chat");
    assert_eq!(text(&mut client), "are you still there?");
    let log = server.stop();
    assert!(!log.contains("ERROR"), "{log}");
}

/// The example on any free port.
fn gateway() -> Lapps {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gateway");
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(example.join("etc/conf").join(name)).unwrap()).unwrap()
    };
    let service = read("lapps.json")["services"]["gateway"].clone();
    let mut ws = read("ws.json");
    ws["port"] = json!(0);
    Lapps::start(&Home::new().ws(ws).service("gateway", GATEWAY, service))
}

/// A subscriber's view of a book.
#[derive(Default, Clone, PartialEq, Eq, Debug)]
struct Book {
    seq: u32,
    levels: BTreeMap<u32, u32>,
    gaps: u32,
}

fn text(client: &mut Client) -> String {
    match client.get() {
        Got::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn words(line: &str) -> (&str, Vec<u32>) {
    let mut words = line.split(' ');
    let verb = words.next().unwrap_or_default();
    (verb, words.skip(1).map(|word| word.parse().expect("a number")).collect())
}

impl Book {
    /// Reads the next message and what belongs to it.
    fn advance(&mut self, client: &mut Client) {
        let line = text(client);
        match words(&line) {
            ("book", numbers) => {
                (self.seq, self.levels) = (numbers[0], BTreeMap::new());
                for _ in 0..numbers[1] {
                    let level = text(client);
                    let ("level", numbers) = words(&level) else { panic!("within a book: {level}") };
                    self.levels.insert(numbers[0], numbers[1]);
                }
            }
            ("update", numbers) => {
                assert_eq!(numbers[0], self.seq + 1, "nothing is lost");
                self.seq = numbers[0];
                match numbers[2] {
                    0 => self.levels.remove(&numbers[1]),
                    size => self.levels.insert(numbers[1], size),
                };
            }
            ("gap", _) => self.gaps += 1,
            _ => panic!("{line}"),
        }
    }
}

#[test]
fn the_gateway_syncs_updates_unsubscribes_and_cancels() {
    let mut server = gateway();
    let mut first = Client::open(&server, "/gateway");
    first.text("sub BTCUSD");
    let mut book = Book::default();
    book.advance(&mut first);
    assert!(book.seq >= 5 && !book.levels.is_empty(), "the first that comes is a whole book: {book:?}");

    // Another that comes later, and waits while there is a gap, has the same view.
    while book.gaps == 0 {
        book.advance(&mut first);
    }
    let mut second = Client::open(&server, "/gateway");
    second.text("sub BTCUSD");
    let mut other = Book::default();
    other.advance(&mut second);
    while book.seq < other.seq {
        book.advance(&mut first);
    }
    assert_eq!((book.seq, &book.levels), (other.seq, &other.levels));
    for _ in 0..3 {
        book.advance(&mut first);
        other.advance(&mut second);
    }
    assert_eq!((book.seq, book.levels), (other.seq, other.levels));

    // After the answer nothing comes any more, until it subscribes again.
    first.text("unsub BTCUSD");
    while text(&mut first) != "unsubscribed BTCUSD" {}
    first.echo_of("sub XYZ", "error unknown instrument XYZ");
    first.echo_of("history BTCUSD", "history BTCUSD low=100 high=109");
    first.echo_of("history ETHUSD", "error history: the time is over");
    first.echo_of("sell everything", "error unknown command");

    first.echo_of("order BTCUSD a1", "placed a1");
    first.echo_of("order ETHUSD a2", "placed a2");
    second.text("order BTCUSD b1");
    while text(&mut second) != "placed b1" {}
    drop(first);
    let log = server.expect_all(&["order a1 cancelled\n", "order a2 cancelled\n"]);
    assert!(!log.contains("b1"), "{log}");

    server.signal("TERM");
    loop {
        match second.get() {
            Got::Text(line) if line == "bye BTCUSD" => break,
            Got::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(second.get(), Got::Close(1001, _)), "nothing comes after that");
    second.close(1001);
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    assert!(log.contains("order b1 cancelled\n"), "{log}");
    assert!(!log.contains("ERROR") && !log.contains("WARN") && !log.contains("a1"), "{log}");
}

#[test]
fn the_example_starts_as_it_says() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    assert!(CHAPTER.contains("lapps run --home examples/gateway --port 5083"));
    let server = Lapps::run(&root, &["run", "--home", "examples/gateway", "--port", "0"], &[]);
    assert!(server.banner.contains("service gateway at /gateway, raw, dedicated (1 instance): running"));
    Client::open(&server, "/gateway").echo_of("sub XYZ", "error unknown instrument XYZ");
    server.stop();
}

/// One question, one answer.
trait Asks {
    fn echo_of(&mut self, question: &str, answer: &str);
}

impl Asks for Client {
    #[track_caller]
    fn echo_of(&mut self, question: &str, answer: &str) {
        self.text(question);
        assert_eq!(text(self), answer);
    }
}
