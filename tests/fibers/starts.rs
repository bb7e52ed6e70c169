//! Starts that wait.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use super::{Gate, PASS, PLACEMENTS, one_worker};
use crate::common::PATIENCE;
use crate::common::client::{Client, upgrade};
use crate::common::home::Home;
use crate::common::process::Lapps;

/// An echo with this `onStart`.
fn service(start: &str) -> String {
    format!(
        "{PASS}
        local NAME = {{}}
        function NAME.onStart() {start} end
        function NAME.onMessage(handler, opcode, message) return ws:send(handler, opcode, message) end
        function NAME.onDisconnect(handler) end
        function NAME.onShutdown() print('NAME shut down') end
        return NAME"
    )
}

#[test]
fn on_start_may_wait_and_may_fail_after_it() {
    let home = Home::new()
        .on_both("late", &service("time.sleep(0.05) print('NAME is up')"), json!({}))
        .on_both("never", &service("time.sleep(0.05) error('no database')"), json!({}));
    let server = Lapps::start(&home);
    for name in ["late", "late_dedicated"] {
        // Before the server says that it listens; each worker has its instance.
        let count = if name == "late" { 2 } else { 1 };
        assert_eq!(server.banner.matches(&format!("{name} is up\n")).count(), count, "{}", server.banner);
    }
    for placement in PLACEMENTS {
        Client::open(&server, &format!("/late{placement}")).echo("up");
        let mut client = Client::connect(&server);
        client.write(upgrade(&format!("/never{placement}")).as_bytes());
        assert_eq!(client.read_response().status, 503);
    }
    let log = server.stop();
    for name in ["never", "never_dedicated"] {
        let entry = log.lines().find(|line| line.contains(&format!("service '{name}', onStart: ")));
        assert!(entry.expect(&log).contains("no database"), "{log}");
    }
}

#[test]
fn a_stop_is_obeyed_while_on_start_waits() {
    for keys in [json!({}), json!({ "instances": 2 })] {
        let start = "
            scope_cleanup_push(function() io.stderr:write('cleaned\\n') end)
            io.stderr:write('it waits\\n')
            time.sleep(100000)";
        let home =
            Home::new().ws(one_worker()).service("aready", &service("").replace("NAME", "aready"), json!({}));
        let home = home.service("late", &service(start).replace("NAME", "late"), keys);
        home.save();
        let mut child = Command::new(env!("CARGO_BIN_EXE_lapps"))
            .args(["run", "--home", home.path().to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(log.any(|line| line.unwrap().contains("it waits")));
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
        let output = child.wait_with_output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(status.expect("it ends").success(), "{output}");
        let log: Vec<String> = log.map(Result::unwrap).collect();
        assert!(log.iter().any(|line| line == "cleaned"), "{log:?}");
        assert!(!output.contains("listening on") && output.contains("aready shut down"), "{output}");
        assert!(!output.contains("late shut down") && output.ends_with("stopped\n"), "{output}");
    }
}

#[test]
fn a_gate_in_on_start_keeps_clients_out_until_it_opens() {
    let home = Home::new().ws(one_worker());
    let gate = Gate::new(&home, "gate");
    let path = gate.0.display().to_string();
    let first = service("spawn(function() time.sleep(0.1) io.open('GATE', 'w'):close() end):detach()");
    let second = service("pass('GATE')");
    // The first service's fiber runs while the second one's `onStart` waits in the same worker.
    let home = home.service("first", &first.replace("NAME", "first").replace("GATE", &path), json!({}));
    let home = home.on_both("second", &second.replace("GATE", &path), json!({ "depends": ["first"] }));
    let server = Lapps::start(&home);
    for placement in PLACEMENTS {
        Client::open(&server, &format!("/second{placement}")).echo("up");
    }
}
