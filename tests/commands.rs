//! The commands that ask and change a server that runs, as a person or a script gives them.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::client::{Client, Got, upgrade};
use common::home::{ECHO, Home};
use common::process::{BINARY, Lapps, run_to_end};
use common::until;
use serde_json::{Value, json};

/// A home where a control socket can be.
fn home() -> Home {
    let home = Home::new().service("echo", ECHO, json!({}));
    fs::create_dir(home.path().join("workdir")).unwrap();
    home
}

fn socket(home: &Home) -> PathBuf {
    home.path().join("workdir/lapps.sock")
}

fn command(home: &Home, words: &[&str]) -> (bool, String, String) {
    let mut arguments = words.to_vec();
    arguments.extend(["--home", home.path().to_str().unwrap()]);
    let (status, output, errors) = run_to_end(Path::new("."), &arguments, &[]);
    (status.success(), output, errors)
}

/// What a command prints.
#[track_caller]
fn told(home: &Home, words: &[&str]) -> String {
    let (success, output, errors) = command(home, words);
    assert!(success, "{words:?}: {errors}");
    output
}

/// The same as JSON.
#[track_caller]
fn asked(home: &Home, words: &[&str]) -> Value {
    let mut words = words.to_vec();
    words.push("--json");
    serde_json::from_str(&told(home, &words)).unwrap()
}

/// Why a command is refused.
#[track_caller]
fn refused(home: &Home, words: &[&str]) -> String {
    let (success, output, errors) = command(home, words);
    assert!(!success && output.is_empty(), "{words:?}: {output}");
    errors
}

fn status_of(server: &Lapps, target: &str) -> u16 {
    let mut client = Client::connect(server);
    client.write(upgrade(target).as_bytes());
    client.read_response().status
}

#[test]
fn the_status_agrees_with_what_clients_count() {
    let home = home();
    let server = Lapps::start(&home);
    let mut clients: Vec<Client> = (0..20).map(|_| Client::open(&server, "/echo")).collect();
    let mut count = 0;
    for round in 0..25 {
        for client in &mut clients {
            client.echo(&format!("{round}"));
            count += 1;
        }
    }
    // The last of them is counted when its turn is over.
    until("all are counted", || {
        let status = asked(&home, &["status"]);
        status["messages_received"] == count && status["messages_sent"] == count
    });
    let status = asked(&home, &["status"]);
    assert_eq!((&status["connections"], &status["workers"]), (&json!(20), &json!(2)));
    assert_eq!((&status["ready"], &status["pid"]), (&json!(true), &json!(server.pid())));
    assert_eq!(status["listening"], format!("ws://{}", server.address));
    let words = told(&home, &["status"]);
    assert!(words.contains("2 I/O workers, 20 connections\n500 messages received, 500 sent\n"), "{words}");
}

#[test]
fn services_are_shown_as_they_are() {
    let keys = json!({ "instances": 2 });
    let home = home().service("fails", "error('not today')", keys).service(
        "off",
        &ECHO.replace("echo", "off"),
        json!({ "auto_start": false }),
    );
    let server = Lapps::start(&home);
    let _client = Client::open(&server, "/echo");
    until("the connection is counted", || asked(&home, &["services"])["services"][0]["connections"] == 1);
    let services = asked(&home, &["services"])["services"].clone();
    let row =
        |n: usize| ["name", "target", "placement", "instances", "state"].map(|key| services[n][key].clone());
    assert_eq!(row(0), [json!("echo"), json!("/echo"), json!("worker"), json!(2), json!("running")]);
    assert_eq!(row(1), [json!("fails"), json!("/fails"), json!("dedicated"), json!(2), json!("failed")]);
    assert_eq!(row(2), [json!("off"), json!("/off"), json!("worker"), json!(2), json!("stopped")]);
    assert!(services[1]["why"].as_str().unwrap().contains("not today"));
    let words = told(&home, &["services"]);
    let lines: Vec<&str> = words.lines().collect();
    assert!(
        lines[0].starts_with("NAME ") && lines[2].contains("failed") && words.contains("fails: "),
        "{words}"
    );
}

#[test]
fn a_connection_is_found_and_closed() {
    let home = home().service("other", &ECHO.replace("echo", "other"), json!({}));
    let server = Lapps::start(&home);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::open(&server, "/echo")).collect();
    let mut other = Client::open(&server, "/other");
    let mut asking = Client::connect(&server);
    asking.write(b"GET /ec");
    until("all are there", || asked(&home, &["connections"])["connections"].as_array().unwrap().len() == 5);
    let all = asked(&home, &["connections"]);
    assert_eq!(all["complete"], true);
    let upgrading: Vec<&Value> =
        all["connections"].as_array().unwrap().iter().filter(|one| one["state"] == "upgrading").collect();
    assert!(upgrading.len() == 1 && upgrading[0]["service"].is_null());

    let echoes = asked(&home, &["connections", "--service", "echo"])["connections"].clone();
    assert_eq!(echoes.as_array().unwrap().len(), 3);
    let few = asked(&home, &["connections", "--limit", "2"]);
    assert_eq!((few["connections"].as_array().unwrap().len(), &few["complete"]), (2, &json!(false)));

    let peer = clients[1].socket().local_addr().unwrap().to_string();
    let id = |peer: &str| {
        let all = asked(&home, &["connections"])["connections"].clone();
        let found = all.as_array().unwrap().iter().find(|one| one["peer"] == peer).unwrap().clone();
        found["id"].to_string()
    };
    let number = id(&peer);
    assert!(told(&home, &["connections"]).contains(&number));
    assert_eq!(asked(&home, &["kick", &number]), json!({ "kicked": number.parse::<u64>().unwrap() }));
    assert_eq!(clients[1].get(), Got::Close(1008, "closed by the operator".into()));
    assert!(refused(&home, &["kick", &number]).contains(&format!("there is no connection {number}")));
    for client in [0, 2] {
        clients[client].echo("served");
    }
    other.echo("served");
    told(&home, &["kick", &id(&asking.socket().local_addr().unwrap().to_string())]);
    assert!(matches!(asking.get(), Got::Eof | Got::Reset));
    for invented in ["0", "1", "9007199254740991", "18446744073709551615"] {
        assert!(refused(&home, &["kick", invented]).contains("there is no connection"), "{invented}");
    }
}

#[test]
fn services_are_stopped_started_and_started_anew() {
    const VERSIONED: &str = "
        local NAME, started = {}, io.open('PLACE', 'a+')
        started:write('x') started:flush()
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message) return ws:send(handler, opcode, message) end
        function NAME.onDisconnect(handler) end
        function NAME.onShutdown() end
        return NAME";
    let home = home();
    let place = home.path().join("starts");
    let code = VERSIONED.replace("PLACE", place.to_str().unwrap());
    let home = home.on_both("twin", &code, json!({})).service(
        "needs",
        &ECHO.replace("echo", "needs"),
        json!({ "depends": ["echo"] }),
    );
    let server = Lapps::start(&home);
    for (name, target) in [("twin", "/twin"), ("twin_dedicated", "/twin-dedicated")] {
        let mut client = Client::open(&server, target);
        client.echo("before");
        let before = fs::metadata(&place).unwrap().len();
        assert_eq!(told(&home, &["restart", name]), format!("service {name} is running anew\n"));
        assert_eq!(client.get(), Got::Close(1012, "the service restarts".into()));
        assert!(fs::metadata(&place).unwrap().len() > before, "loaded again");
        let mut client = Client::open(&server, target);
        client.echo("after");
        assert!(refused(&home, &["start", name]).contains("is running"));

        assert_eq!(asked(&home, &["stop", name]), json!({ "service": name, "gone": true }));
        assert!(matches!(client.get(), Got::Close(1012, _)));
        assert_eq!(status_of(&server, target), 503);
        assert!(refused(&home, &["stop", name]).contains("is not running"));
        told(&home, &["start", name]);
        Client::open(&server, target).echo("again");
    }
    assert!(refused(&home, &["stop", "echo"]).contains("'needs' depends on 'echo'"));
    for change in ["start", "stop", "restart"] {
        assert!(refused(&home, &[change, "nobody"]).contains("there is no service 'nobody'"));
    }
    // What cannot be started leaves what runs.
    fs::write(home.path().join("apps/twin/twin.lua"), "error('broken')").unwrap();
    assert!(refused(&home, &["restart", "twin"]).contains("broken"));
    Client::open(&server, "/twin").echo("as before");
    server.stop();
}

#[test]
fn a_stop_comes_back_when_the_last_client_has_gone() {
    const SLOW: &str = "
        local NAME = {}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message) return ws:send(handler, opcode, message) end
        function NAME.onDisconnect(handler)
            time.sleep_for(200)
            local file = io.open('PLACE', 'a+')
            file:write('x')
            file:close()
        end
        function NAME.onShutdown() end
        return NAME";
    let home = home();
    let place = home.path().join("gone");
    let code = SLOW.replace("PLACE", place.to_str().unwrap());
    let home = home
        .on_both("slow", &code, json!({ "preload": ["time"] }))
        .ws(json!({ "close_timeout_ms": 500, "shutdown_grace_ms": 60_000 }));
    let server = Lapps::start(&home);
    for (count, (name, target)) in
        [("slow", "/slow"), ("slow_dedicated", "/slow-dedicated")].iter().enumerate()
    {
        // They do not answer the close frame.
        let clients: Vec<Client> = (0..2).map(|_| Client::open(&server, target)).collect();
        assert_eq!(told(&home, &["stop", name]), format!("service {name} is stopped\n"));
        assert_eq!(
            fs::metadata(&place).unwrap().len(),
            2 * (count as u64 + 1),
            "{name}: all ends were heard"
        );
        let of = asked(&home, &["connections", "--service", name]);
        assert_eq!(of["connections"], json!([]));
        drop(clients);
    }
    assert_eq!(asked(&home, &["status"])["connections"], 0);
    server.stop();
}

#[test]
fn a_stop_that_nothing_can_end_is_said_to_be_one() {
    const STUCK: &str = "
        local stuck = {}
        function stuck.init() end
        function stuck.run()
            while not io.open('RELEASE') do end
        end
        return stuck";
    let home = home().ws(json!({ "shutdown_grace_ms": 0 }));
    let release = home.path().join("release");
    let code = STUCK.replace("RELEASE", release.to_str().unwrap());
    let home = home.service("stuck", &code, json!({ "standalone": true }));
    let server = Lapps::start(&home);
    let words = told(&home, &["stop", "stuck"]);
    assert_eq!(words, "service stuck is stopped, but not all of its handlers have ended\n");
    fs::write(release, "").unwrap();
    server.stop();
}

#[test]
fn what_is_logged_changes_while_the_server_runs() {
    let home = home();
    let server = Lapps::start(&home);
    let visit = || {
        let mut client = Client::open(&server, "/echo");
        client.echo("x");
        client.close(1000);
        client.drain();
    };
    visit();
    told(&home, &["log", "info,lapps::engine=debug"]);
    visit();
    assert_eq!(asked(&home, &["log", "info"]), json!({ "filter": "info" }));
    visit();
    for wrong in ["lapps=loud", "", " "] {
        assert!(refused(&home, &["log", wrong]).contains("is no filter of the log"), "{wrong:?}");
    }
    let log = server.stop();
    assert_eq!(log.matches("closed by the peer with 1000").count(), 1, "{log}");
    assert_eq!(log.matches("from now on the log has").count(), 2, "{log}");
}

#[test]
fn the_socket_is_its_owners_and_goes_with_the_server() {
    let home = home();
    let server = Lapps::start(&home);
    let metadata = fs::metadata(socket(&home)).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(metadata.uid(), fs::metadata(format!("/proc/{}", server.pid())).unwrap().uid());
    // A second server on the same home leaves the socket to the first one.
    let mut second = Lapps::start(&home);
    second.expect_log("another server listens at");
    second.stop();
    assert_eq!(asked(&home, &["status"])["pid"], server.pid());
    server.stop();
    assert!(!socket(&home).exists());
    let errors = refused(&home, &["status"]);
    assert!(errors.contains("no server runs here: nobody listens at"), "{errors}");

    // One that was left behind is replaced.
    let server = Lapps::start(&home);
    server.signal("KILL");
    server.wait();
    assert!(socket(&home).exists());
    assert!(refused(&home, &["status"]).contains("no server runs here"));
    let server = Lapps::start(&home);
    assert_eq!(asked(&home, &["status"])["pid"], server.pid());
}

/// Only root can be somebody else for a moment.
#[test]
fn somebody_else_is_told_nothing_whatever_the_mode_is() {
    const NOBODY: u32 = 65_534;
    let home = home();
    if fs::metadata(home.path()).unwrap().uid() != 0 {
        return;
    }
    let server = Lapps::start(&home);
    let own = home.path().join("lapps");
    fs::copy(BINARY, &own).unwrap();
    for open in [home.path().to_owned(), home.path().join("workdir"), own.clone(), socket(&home)] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let ask = |user| {
        let mut command = Command::new(&own);
        command.args(["status", "--socket", socket(&home).to_str().unwrap()]).uid(user).gid(user);
        command.output().unwrap()
    };
    let answer = ask(NOBODY);
    let errors = String::from_utf8(answer.stderr).unwrap();
    assert!(!answer.status.success() && answer.stdout.is_empty(), "{errors}");
    assert!(errors.contains("only who runs the server, or root, may use this"), "{errors}");
    assert!(ask(0).status.success());
    let log = server.stop();
    assert!(log.contains("the control socket was used by somebody else"), "{log}");
}

#[test]
fn a_place_of_its_own_is_taken_and_none_where_none_can_be() {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("control");
    let home = Home::new().ws(json!({ "control_socket": path }));
    let server = Lapps::start(&home);
    assert_eq!(asked(&home, &["status"])["pid"], server.pid());
    let by_path = ["status", "--json", "--socket", path.to_str().unwrap()];
    let (status, output, _) = run_to_end(Path::new("."), &by_path, &[]);
    assert!(status.success() && output.contains("\"pid\""));
    server.stop();

    let home = Home::new();
    let server = Lapps::start(&home);
    assert!(refused(&home, &["status"]).contains("no server runs here"));
    server.stop();
}

#[test]
fn nonsense_is_answered_and_silence_holds_nobody_up() {
    let home = home();
    let server = Lapps::start(&home);
    let talk = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(socket(&home)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["error"].as_str().unwrap().to_owned()
    };
    assert!(talk(b"\n").contains("no JSON"));
    assert!(talk(b"{\"command\": \"halt\"}\n").contains("there is no command 'halt'"));
    assert!(talk(&[b'x'; 5000]).contains("at most 4096 bytes"));
    let silent: Vec<UnixStream> = (0..7).map(|_| UnixStream::connect(socket(&home)).unwrap()).collect();
    assert_eq!(asked(&home, &["status"])["pid"], server.pid());
    Client::open(&server, "/echo").echo("served");
    drop(silent);
}
