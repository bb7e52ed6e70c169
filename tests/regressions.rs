//! Misbehaviour that once was there, one test for each.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::PATIENCE;
use common::client::{Client, Got};
use common::home::Home;
use common::process::Lapps;
use lapps_parser::frame::{OpCode, write_masked_frame};
use serde_json::{Value, json};

/// Timers that would hide a worker that sleeps on something undone.
fn without_timers() -> Value {
    let hour = 3_600_000;
    json!({
        "handshake_timeout_ms": hour, "ping_interval_ms": hour, "idle_timeout_ms": 2 * hour,
        "workers": { "workers": 1 }
    })
}

#[test]
fn what_is_sent_in_on_disconnect_goes_out_even_if_the_connection_was_cut_while_flushing() {
    let code = r"
        local room = {}
        function room.onStart() end
        function room.onMessage(handler, opcode, message)
            if message == 'watch' then room.watcher = handler end
            if message == 'deaf' then room.deaf = handler end
            if message == 'cut' then
                while ws:send(room.deaf, 2, ('x'):rep(1048576)) do end
                return true
            end
            return ws:send(handler, opcode, message)
        end
        function room.onDisconnect(handler)
            if handler == room.deaf then ws:send(room.watcher, 1, 'it has left') end
        end
        function room.onShutdown() end
        return room";
    let server = Lapps::start(&Home::new().ws(without_timers()).service("room", code, json!({})));
    let [mut watcher, mut deaf, mut sender] = [(); 3].map(|()| Client::open(&server, "/room"));
    for (client, word) in [(&mut watcher, "watch"), (&mut deaf, "deaf")] {
        client.text(word);
        assert_eq!(client.get(), Got::Text(word.into()));
    }
    sender.text("cut");
    assert_eq!(watcher.get(), Got::Text("it has left".into()));
}

#[test]
fn the_end_of_a_tls_stream_is_seen_behind_bytes_that_are_no_message() {
    let server = Lapps::start(&Home::with_echo().ws(without_timers()).tls());
    let mut client = Client::open(&server, "/echo");
    let mut socket = client.socket();
    // The beginning of a record and the FIN, in one segment.
    socket2::SockRef::from(socket).set_tcp_cork(true).unwrap();
    socket.write_all(b"\x17\x03\x03\x00\x50abc").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.get(), Got::Eof);
}

#[test]
fn a_client_that_reads_slowly_gets_all_that_was_sent_before_the_close() {
    let code = r"
        local parting = {}
        function parting.onStart() end
        function parting.onMessage(handler, opcode, message)
            for _ = 1, 160 do ws:send(handler, 2, ('x'):rep(65536)) end
            ws:close(handler, 1000, 'that was all')
            return true
        end
        function parting.onDisconnect(handler) end
        function parting.onShutdown() end
        return parting";
    let home = Home::new().ws(json!({ "close_timeout_ms": 1000 }));
    let server = Lapps::start(&home.service("parting", code, json!({ "outgoing_limit": 16 << 20 })));
    let mut client = Client::narrow(&server).upgraded("/parting");
    client.text("go");
    for n in 0..160 {
        assert!(client.get() == Got::Binary(vec![b'x'; 65536]), "message {n}");
        // Slow, but never silent: more than three seconds for all.
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client.get(), Got::Close(1000, "that was all".into()));
    client.close(1000);
    assert_eq!(client.get(), Got::Eof);
}

/// Echoes; at the message `stall` it first keeps its worker for two seconds.
const STALLS: &str = r"
    local stalls = {}
    function stalls.onStart() end
    function stalls.onMessage(handler, opcode, message)
        if message == 'stall' then os.execute('sleep 2') end
        return ws:send(handler, opcode, message)
    end
    function stalls.onDisconnect(handler) end
    function stalls.onShutdown() end
    return stalls";

fn stalling(ws: Value) -> Lapps {
    let times = json!({
        "ping_interval_ms": 400, "idle_timeout_ms": 1700, "workers": { "workers": 1 }
    });
    Lapps::start(&Home::new().ws(times).ws(ws).service("stalls", STALLS, json!({})))
}

#[test]
fn a_ping_that_a_busy_worker_sends_late_leaves_the_client_its_time_to_answer() {
    let server = stalling(json!({}));
    let mut silent = Client::open(&server, "/stalls");
    Client::open(&server, "/stalls").text("stall");
    assert_eq!(silent.get(), Got::Ping(Vec::new()));
    // Idle minus ping is 1.3 s.
    assert!(silent.is_quiet_for(Duration::from_millis(350)), "cut before it could answer");
    silent.send(true, OpCode::Pong, b"");
    silent.text("alive");
    assert_eq!(silent.get(), Got::Text("alive".into()));
}

#[test]
fn an_answer_that_a_busy_worker_has_not_read_yet_counts() {
    let server = stalling(json!({ "workers": { "max_poll_events": 1 } }));
    let mut busy = Client::open(&server, "/stalls");
    let mut clients: Vec<Client> = (0..20).map(|_| Client::open(&server, "/stalls")).collect();
    for client in &mut clients {
        assert_eq!(client.get(), Got::Ping(Vec::new()));
    }
    busy.text("stall");
    for client in &mut clients {
        client.send(true, OpCode::Pong, b"");
    }
    for client in &mut clients {
        client.text("alive");
        let mut got = client.get();
        while got == Got::Ping(Vec::new()) {
            got = client.get();
        }
        assert_eq!(got, Got::Text("alive".into()));
    }
}

#[test]
fn a_client_that_floods_a_slow_instance_does_not_starve_the_others() {
    let code = r"
        local slow = {}
        function slow.onStart() end
        function slow.onMessage(handler, opcode, message)
            local deadline = os.clock() + 0.0005
            while os.clock() < deadline do end
            if message == 'flood' then return true end
            return ws:send(handler, opcode, message)
        end
        function slow.onDisconnect(handler) end
        function slow.onShutdown() end
        return slow";
    let home = Home::new().ws(json!({ "workers": { "workers": 1 } }));
    let server = Lapps::start(&home.service("slow", code, json!({ "instances": 1 })));
    let mut polite = Client::open(&server, "/slow");
    let (full, is_full) = mpsc::channel();
    std::thread::scope(|scope| {
        let server = &server;
        scope.spawn(move || {
            let mut part = Vec::new();
            for _ in 0..1000 {
                write_masked_frame(&mut part, true, OpCode::Text, b"flood", [1, 2, 3, 4]);
            }
            let mut flood = Client::open(server, "/slow");
            for _ in 0..5 {
                flood.write(&part);
            }
            full.send(flood.socket().try_clone().unwrap()).unwrap();
            while flood.try_write(&part).is_ok() {}
        });
        let flood = is_full.recv().unwrap();
        // A full ring of 1,024 messages takes half a second; the next place in it is not the flood's.
        let start = Instant::now();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for n in 0..3 {
                polite.text(&n.to_string());
                assert_eq!(polite.get(), Got::Text(n.to_string()));
            }
        }));
        // Its write would go on for long.
        flood.shutdown(Shutdown::Both).unwrap();
        assert!(outcome.is_ok() && start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    });
}

#[test]
fn a_signal_ends_a_server_whose_service_does_not_come_to_the_end_of_its_start() {
    let code = r"
        local endless = {}
        function endless.onStart()
            io.stderr:write('it starts\n')
            while true do os.execute('sleep 0.05') end
        end
        function endless.onMessage() end
        function endless.onDisconnect() end
        function endless.onShutdown() end
        return endless";
    for keys in [json!({}), json!({ "instances": 1 })] {
        let home = Home::new().service("endless", code, keys);
        home.save();
        let mut child = Command::new(env!("CARGO_BIN_EXE_lapps"))
            .args(["run", "--home", home.path().to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(log.any(|line| line.unwrap().contains("it starts")));
        let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => break None,
                None => std::thread::yield_now(),
            }
        };
        let _ = child.kill();
        let _ = child.wait();
        assert_eq!(status.expect("it ends").code(), Some(1));
    }
}
