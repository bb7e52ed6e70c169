//! Very many connections with a fiber each: however they end, every cleanup handler runs, once, and so does `onDisconnect`.

use std::time::Instant;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use super::{PLACEMENTS, one_worker};
use crate::common::client::{Client, Got, upgrade};
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::until;

/// Connections, where the system allows so many.
const COUNT: usize = 10_000;

/// Each connection has a fiber with a cleanup handler. What happened twice is counted, and so is what happened.
const MASS: &str = r"
    local time = require 'time'
    local NAME = {}
    local armed, cleaned, lost, twice = {}, {}, {}, 0
    local count = { armed = 0, cleaned = 0, lost = 0 }
    local wanted
    local function note(what, set, handler)
        if set[handler] then twice = twice + 1 end
        set[handler] = true
        count[what] = count[what] + 1
        if count[what] == wanted then print('NAME ' .. what .. ' all') end
    end
    function NAME.onStart() end
    function NAME.onOpen(handler)
        ws.conn(handler):spawn(function()
            scope_cleanup_push(function() note('cleaned', cleaned, handler) end)
            note('armed', armed, handler)
            time.sleep(100000)
        end)
    end
    function NAME.onMessage(handler, opcode, message)
        if tonumber(message) then
            armed, cleaned, lost, wanted = {}, {}, {}, tonumber(message)
            count = { armed = 0, cleaned = 0, lost = 0 }
        end
        local told = ('armed %d cleaned %d lost %d twice %d'):format(count.armed, count.cleaned, count.lost, twice)
        return ws:send(handler, 1, told)
    end
    function NAME.onDisconnect(handler) note('lost', lost, handler) end
    function NAME.onShutdown() end
    return NAME";

/// As many as wanted, or as this process may have files, with some left for everything else. The server has as many.
fn count() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize);
    let count = COUNT.min(files.saturating_sub(1000));
    if count < COUNT {
        println!("only {count} connections instead of {COUNT}: the limit of open files is {files}");
    }
    count
}

fn told(client: &mut Client, word: &str) -> String {
    client.text(word);
    let Got::Text(told) = client.get() else { panic!("no answer") };
    told
}

/// `count` connections whose fibers have come to their wait.
fn crowd(server: &Lapps, target: &str, control: &mut Client, count: usize) -> Vec<Client> {
    assert_eq!(told(control, &count.to_string()), "armed 0 cleaned 0 lost 0 twice 0");
    let mut crowd: Vec<Client> = Vec::new();
    while crowd.len() < count {
        // Many at a time, so that server and client work at the same time.
        let mut more: Vec<Client> =
            (crowd.len()..count.min(crowd.len() + 64)).map(|_| Client::connect(server)).collect();
        for client in &mut more {
            client.write(upgrade(target).as_bytes());
        }
        for client in &mut more {
            assert_eq!(client.read_response().status, 101);
        }
        crowd.append(&mut more);
    }
    let all = format!("armed {count} cleaned 0 lost 0 twice 0");
    until("every fiber waits", || told(control, "?") == all);
    crowd
}

#[test]
fn ten_thousand_connections_each_with_a_cleanup_handler_end_by_reset_by_close_and_by_the_servers_stop() {
    let count = count();
    for (placement, name) in PLACEMENTS.into_iter().zip(["mass", "mass_dedicated"]) {
        let start = Instant::now();
        let ws = json!({ "workers": { "max_connections": 2 * COUNT } });
        let home = Home::new().ws(one_worker()).ws(ws).on_both("mass", MASS, json!({}));
        let mut server = Lapps::start(&home);
        let target = format!("/mass{placement}");
        let mut control = Client::open(&server, &target);
        until("its own fiber waits", || told(&mut control, "?").starts_with("armed 1 "));
        let (cleaned, lost) = (format!("{name} cleaned all\n"), format!("{name} lost all\n"));
        let all = format!("armed {count} cleaned {count} lost {count} twice 0");

        for client in crowd(&server, &target, &mut control, count) {
            client.reset();
        }
        server.expect_all(&[&cleaned, &lost]);
        assert_eq!(told(&mut control, "?"), all, "by reset");

        let mut clients = crowd(&server, &target, &mut control, count);
        for client in &mut clients {
            client.close(1000);
        }
        server.expect_all(&[&cleaned, &lost]);
        assert_eq!(told(&mut control, "?"), all, "by close");
        for client in &mut clients {
            assert_eq!((client.get(), client.get()), (Got::Close(1000, String::new()), Got::Eof));
        }
        drop(clients);

        let mut clients = crowd(&server, &target, &mut control, count);
        server.signal("TERM");
        for client in &mut clients {
            assert!(matches!(client.get(), Got::Close(1001, _)));
            client.close(1001);
        }
        assert!(matches!(control.get(), Got::Close(1001, _)));
        control.close(1001);
        let (status, log) = server.wait();
        assert!(status.success() && log.contains(&cleaned) && log.contains(&lost), "{status}: {log}");
        println!("{target}: three times {count} connections in {:?}", start.elapsed());
    }
}

#[test]
fn ends_that_wait_behind_a_handler_without_end_are_all_told_at_a_stop() {
    // More than one turn of an instance takes.
    const MANY: usize = 1500;
    let code = r"
        local NAME, lost = {}, 0
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message)
            print('NAME waits')
            require('channel').new():recv()
        end
        function NAME.onDisconnect(handler)
            lost = lost + 1
            if lost == 1501 then print('NAME has told all') end
        end
        function NAME.onShutdown() end
        return NAME";
    for (placement, name) in PLACEMENTS.into_iter().zip(["behind", "behind_dedicated"]) {
        let ws = json!({ "shutdown_grace_ms": 1000 });
        let keys = json!({ "concurrency": "serial" });
        let home = Home::new().ws(one_worker()).ws(ws).on_both("behind", code, keys);
        let mut server = Lapps::start(&home);
        let target = format!("/behind{placement}");
        let mut stuck = Client::open(&server, &target);
        stuck.text("x");
        server.expect_log(&format!("{name} waits\n"));
        let clients: Vec<Client> = (0..MANY).map(|_| Client::open(&server, &target)).collect();
        for client in clients {
            client.reset();
        }
        stuck.reset();
        let log = server.stop();
        assert!(log.contains(&format!("{name} has told all\n")), "{log}");
    }
}
