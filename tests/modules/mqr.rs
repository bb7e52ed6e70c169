//! `mqr` between services of all placements.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::client::{Client, Got};
use crate::common::home::{ECHO, Home};
use crate::common::process::Lapps;

/// What each of three services does: half of its messages go to each of the others, as many come from them.
const EXCHANGE: &str = r"
local EACH, names = 10000, { 'here', 'dedicated', 'alone' }

local function send(own)
    local queues = {}
    for _, name in ipairs(names) do
        if name ~= own then queues[#queues + 1] = mqr.create(name) end
    end
    for n = 1, EACH do
        local queue = queues[n % 2 + 1]
        while not queue:post(own .. ' ' .. n) do nap:usleep(100) end
    end
end

local function receive(own)
    local queue, last = mqr.create(own), {}
    for _ = 1, EACH do
        local from, n = queue:recv():match '^(%a+) (%d+)$'
        n = tonumber(n)
        -- Every second one of each sender is for us.
        assert(from ~= own and (last[from] == nil and n <= 2 or n == last[from] + 2), from .. n)
        last[from] = n
    end
    assert(queue:try_recv() == nil, 'too many')
    mqr.create 'reports':post(own)
end

local function exchange(own)
    local both = { spawn(send, own), spawn(receive, own) }
    for _, fiber in ipairs(both) do fiber:join() end
    -- Idle.
    return mqr.create 'never':recv()
end
";

/// Waits for the reports, and answers with them.
const REACTIVE: &str = r"
local NAME = {}
local reports, held = mqr.create 'reports', { mqr.create 'here', mqr.create 'dedicated', mqr.create 'alone' }
function NAME.onStart() spawn(exchange, 'PLACE'):detach() end
function NAME.onMessage(handler)
    local got = {}
    for n = 1, 3 do got[n] = reports:recv() end
    table.sort(got)
    return ws:send(handler, 1, table.concat(got, ' '))
end
function NAME.onDisconnect() end
function NAME.onShutdown() end
return NAME
";

const STANDALONE: &str = r"
local alone = {}
function alone.init() end
function alone.run() exchange 'alone' end
return alone
";

fn text(client: &mut Client) -> String {
    match client.get() {
        Got::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

/// Three services, each with a thread of its own, and queues that are full again and again.
fn home() -> Home {
    let preload = json!({ "preload": ["mqr", "nap"] });
    let reactive = |name: &str, place: &str| {
        format!("{EXCHANGE}{}", REACTIVE.replace("NAME", name).replace("PLACE", place))
    };
    let mut dedicated = preload.clone();
    dedicated["instances"] = json!(1);
    let mut standalone = preload.clone();
    standalone["placement"] = json!("standalone");
    Home::new()
        .ws(json!({ "workers": { "workers": 1 }, "mqr_max_messages": 100 }))
        .service("a_worker", &reactive("a_worker", "here"), preload)
        .service("b_dedicated", &reactive("b_dedicated", "dedicated"), dedicated)
        .service("alone", &format!("{EXCHANGE}{STANDALONE}"), standalone)
}

#[test]
fn three_placements_exchange_messages_and_none_is_lost_or_out_of_order() {
    let server = Lapps::start(&home());
    assert!(!server.banner.contains("FAILED"), "{}", server.banner);
    let mut client = Client::open(&server, "/a_worker");
    client.text("how did it go?");
    assert_eq!(text(&mut client), "alone dedicated here");

    // All three wait for what never comes, and cost nothing.
    let before = server.cpu();
    std::thread::sleep(Duration::from_secs(1));
    let spent = server.cpu() - before;
    assert!(spent < Duration::from_millis(200), "{spent:?}");

    let start = Instant::now();
    let log = server.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "a wait that nothing ends is interrupted at once");
    assert!(!log.contains("ERROR") && !log.contains("deadlock"), "{log}");
}

#[test]
fn two_threads_that_write_to_the_same_document_never_see_each_other() {
    let sender = r#"
        local sender, q = {}, mqr.create 'q'
        function sender.init() end
        function sender.run()
            local document = nljson.decode '{"n":0,"list":[0,0],"text":"as long as it takes to be worth while"}'
            local list = document.list
            for n = 1, 20000 do
                document.n, list[1] = n, n
                while not q:post(document) do nap:usleep(100) end
                list[2] = 'mine ' .. n
                assert(document.n == n and list[1] == n)
            end
        end
        return sender"#;
    let receiver = r"
        local receiver, q = {}, mqr.create 'q'
        function receiver.init() end
        function receiver.run()
            for n = 1, 20000 do
                local got = q:recv()
                assert(got.n == n and got.list[1] == n and got.list[2] == (n == 1 and 0 or 'mine ' .. n - 1))
                got.n, got.list[1], got.list[2], got.text = -n, 'theirs', nil, 'short'
                assert(got.n == -n and got.list[1] == 'theirs')
            end
            io.stderr:write 'all received\n'
        end
        return receiver";
    let keys = json!({ "preload": ["mqr", "nap"], "placement": "standalone" });
    let home = Home::new().service("receiver", receiver, keys.clone()).service("sender", sender, keys);
    let mut server = Lapps::start(&home.ws(json!({ "mqr_max_messages": 50 })));
    let log = server.expect_all(&["all received", "service 'sender', instance 0: run has returned"]);
    assert!(!log.contains("ERROR"), "{log}");
    server.stop();
}

#[test]
fn a_handler_waits_for_the_answer_of_another_service_and_the_others_go_on() {
    let asker = r"
        local asker, jobs, answers = {}, mqr.create 'jobs', mqr.create 'answers'
        function asker.onStart() end
        function asker.onMessage(handler, opcode, message)
            if message == 'never' then return mqr.create 'never':recv() end
            jobs:post(message)
            return ws:send(handler, 1, answers:recv())
        end
        function asker.onDisconnect() end
        function asker.onShutdown() end
        return asker";
    let worker = r"
        local worker = {}
        function worker.init() end
        function worker.run()
            local jobs, answers = mqr.create 'jobs', mqr.create 'answers'
            while not must_stop() do
                local job = jobs:recv(0.05)
                if job then answers:post(job:reverse()) end
            end
        end
        return worker";
    let keys = json!({ "preload": ["mqr"], "concurrency": "free" });
    let home = Home::new()
        .ws(json!({ "workers": { "workers": 1 } }))
        .service("asker", asker, keys)
        .service("worker", worker, json!({ "preload": ["mqr"], "placement": "standalone" }))
        .service("echo", ECHO, json!({}));
    let server = Lapps::start(&home);
    let mut stuck = Client::open(&server, "/asker");
    stuck.text("never");
    let mut client = Client::open(&server, "/asker");
    for n in 0..200 {
        client.text(&format!("job {n:03}"));
        assert_eq!(text(&mut client).chars().rev().collect::<String>(), format!("job {n:03}"));
    }
    Client::open(&server, "/echo").echo("others run");
    let start = Instant::now();
    let log = server.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(!log.contains("ERROR"), "{log}");
}
