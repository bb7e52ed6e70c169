//! What the server tells the one that supervises it, over the socket that `NOTIFY_SOCKET` names.

mod common;

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use common::client::{Client, upgrade};
use common::home::{ECHO, Home};
use common::process::Lapps;
use common::{PATIENCE, until};
use serde_json::json;

/// In microseconds.
const WATCHDOG: &str = "200000";

/// The one that started the server.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn start(home: &Home, variables: &[(&str, &str)]) -> (Supervisor, Lapps) {
        home.save();
        let path = home.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut all = vec![("NOTIFY_SOCKET", path.to_str().unwrap())];
        all.extend(variables);
        let server = Lapps::run(home.path(), &["run", "--home", home.path().to_str().unwrap()], &all);
        (Supervisor(socket), server)
    }

    /// What it hears next.
    fn hear(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("the server tells something");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Whether something has come that was not heard yet; nothing of that is left.
    fn has_heard(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let mut any = false;
        let mut buffer = [0; 4096];
        let error = loop {
            match self.0.recv(&mut buffer) {
                Ok(_) => any = true,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        self.0.set_nonblocking(false).unwrap();
        any
    }

    /// Hears until this is among it.
    fn expect(&self, line: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let heard = self.hear();
            if heard.lines().any(|heard| heard == line) {
                return heard;
            }
            assert!(Instant::now() < deadline, "{line} does not come");
        }
    }
}

#[test]
fn it_is_told_of_the_start_of_life_and_of_the_end() {
    let home = Home::new().service("echo", ECHO, json!({})).service("fails", "error('not today')", json!({}));
    let (supervisor, server) = Supervisor::start(&home, &[("WATCHDOG_USEC", WATCHDOG)]);
    let told = supervisor.expect("READY=1");
    let status = format!("STATUS=1 of 2 services run at ws://{}", server.address);
    assert!(told.lines().any(|line| line == status), "{told}");
    Client::open(&server, "/echo").echo("it serves");
    for _ in 0..3 {
        supervisor.expect("WATCHDOG=1");
    }
    server.signal("HUP");
    let told = supervisor.expect("RELOADING=1");
    assert!(told.contains("\nMONOTONIC_USEC="), "{told}");
    let told = supervisor.expect("READY=1");
    assert!(told.lines().any(|line| line == status), "{told}");
    server.signal("TERM");
    let told = supervisor.expect("STOPPING=1");
    assert!(told.contains("STATUS=stopping"), "{told}");
    let (status, output) = server.wait();
    assert!(status.success(), "{output}");
}

#[test]
fn no_sign_of_life_comes_while_a_worker_is_stuck() {
    const STUCK: &str = "
        local stuck = {}
        function stuck.onStart() end
        function stuck.onMessage(handler, opcode, name)
            print('stuck now')
            repeat local file = io.open(name) until file
            return true
        end
        function stuck.onDisconnect(handler) end
        function stuck.onShutdown() end
        return stuck";
    const MISSING: &str = "1 of 2 workers do not turn";
    let home = Home::new().service("stuck", STUCK, json!({}));
    let (supervisor, mut server) = Supervisor::start(&home, &[("WATCHDOG_USEC", WATCHDOG)]);
    supervisor.expect("WATCHDOG=1");
    let release = home.path().join("release");
    let mut client = Client::open(&server, "/stuck");
    client.text(release.to_str().unwrap());
    server.expect_log("stuck now");
    // The last signs of life, and workers that were late before, may still be on their way.
    until("it hears nothing while a worker is missed twice", || {
        supervisor.has_heard();
        server.expect_log(MISSING);
        server.expect_log(MISSING);
        !supervisor.has_heard()
    });
    fs::write(&release, "").unwrap();
    supervisor.expect("WATCHDOG=1");
    drop(client);
    server.stop();
}

#[test]
fn who_wants_no_sign_of_life_gets_none() {
    let home = Home::new().service("echo", ECHO, json!({}));
    let other = [("WATCHDOG_USEC", WATCHDOG), ("WATCHDOG_PID", "1")];
    for variables in [&[][..], &other] {
        let (supervisor, server) = Supervisor::start(&home, variables);
        supervisor.expect("READY=1");
        server.signal("TERM");
        assert!(supervisor.hear().starts_with("STOPPING=1"));
        server.wait();
        assert!(!supervisor.has_heard());
        fs::remove_file(home.path().join("notify")).unwrap();
    }
}

#[test]
fn a_server_serves_whose_supervisor_is_gone() {
    let home = Home::new().service("echo", ECHO, json!({}));
    home.save();
    let nobody = home.path().join("nobody");
    let variables = [("NOTIFY_SOCKET", nobody.to_str().unwrap())];
    let mut server = Lapps::run(home.path(), &["run", "--home", home.path().to_str().unwrap()], &variables);
    server.expect_log("the supervisor cannot be told 'READY=1'");
    let mut client = Client::connect(&server);
    client.write(upgrade("/echo").as_bytes());
    assert_eq!(client.read_response().status, 101);
    server.stop();
}

#[test]
fn it_is_told_that_files_are_read_again_and_when_that_is_over() {
    let home = Home::new().service("echo", ECHO, json!({}));
    let (supervisor, server) = Supervisor::start(&home, &[]);
    supervisor.expect("READY=1");
    server.signal("HUP");
    let told = supervisor.expect("RELOADING=1");
    assert!(told.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{told}");
    supervisor.expect("READY=1");
    Client::open(&server, "/echo").echo("it serves");
    server.stop();
}
