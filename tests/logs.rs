//! The log: its file, its forms, and that nobody fills a disk with it.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use common::client::{Client, Got};
use common::home::Home;
use common::process::{BINARY, Lapps, run_to_end};
use common::until;
use serde_json::{Value, json};

/// Fails at each message, on both placements.
const FAILS: &str = "
    local NAME = {}
    function NAME.onStart() end
    function NAME.onMessage(handler, opcode, message) error('it is ' .. message) end
    function NAME.onDisconnect(handler) end
    function NAME.onShutdown() end
    return NAME";

fn start(home: &Home, more: &[&str], variables: &[(&str, &str)]) -> Lapps {
    home.save();
    let mut arguments = vec!["run", "--home", home.path().to_str().unwrap()];
    arguments.extend(more);
    Lapps::run(home.path(), &arguments, variables)
}

fn fail(server: &Lapps, target: &str, message: &str) {
    let mut client = Client::open(server, target);
    client.text(message);
    assert!(matches!(client.get(), Got::Close(1011, _)));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The objects of a log in JSON.
fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

#[test]
fn the_log_goes_to_a_file_that_is_opened_again_when_told() {
    let home = Home::new().on_both("fails", FAILS, json!({})).ws(json!({ "log": { "file": "here.log" } }));
    let (path, moved) = (home.path().join("here.log"), home.path().join("here.log.1"));
    fs::write(&path, "from before\n").unwrap();
    let server = start(&home, &[], &[]);
    let has = |path: &Path, text: &str| until(text, || read(path).contains(text));
    fail(&server, "/fails", "first");
    has(&path, "it is first");
    assert!(read(&path).starts_with("from before\n"), "lines are added");

    fs::rename(&path, &moved).unwrap();
    fail(&server, "/fails", "second");
    has(&moved, "it is second");
    server.signal("USR1");
    has(&path, "the log goes on in ");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    fail(&server, "/fails-dedicated", "third");
    has(&path, "it is third");
    assert!(!read(&moved).contains("third"));

    // One that cannot be opened leaves the one from before.
    fs::rename(&path, &moved).unwrap();
    fs::create_dir(&path).unwrap();
    server.signal("USR1");
    has(&moved, "the log stays where it is: ");
    fail(&server, "/fails", "fourth");
    has(&moved, "it is fourth");
    let output = server.stop();
    assert!(!output.contains("it is"), "nothing of it is on standard error: {output}");
    assert!(read(&moved).contains("stopping: "));
}

#[test]
fn a_file_that_cannot_be_opened_keeps_the_server_from_starting() {
    let home = Home::new();
    home.save();
    let (home, file) = (home.path().to_str().unwrap(), home.path().join("nowhere/a.log"));
    let arguments = ["run", "--home", home, "--log-file", file.to_str().unwrap()];
    let (status, _, errors) = run_to_end(Path::new("."), &arguments, &[]);
    assert!(
        !status.success() && errors.contains("cannot log to ") && errors.contains("nowhere/a.log"),
        "{errors}"
    );
}

#[test]
fn without_a_file_the_signal_does_nothing() {
    let mut server = start(&Home::with_echo(), &[], &[]);
    server.signal("USR1");
    server.expect_log("there is no file to open again");
    Client::open(&server, "/echo").echo("served");
    server.stop();
}

#[test]
fn what_is_logged_is_said_by_the_environment_then_by_the_file() {
    let home = |level: &str| Home::with_echo().ws(json!({ "log": { "level": level } }));
    let visit = |server: Lapps| {
        let mut client = Client::open(&server, "/echo");
        client.close(1000);
        client.drain();
        server.stop()
    };
    let told = "closed by the peer with 1000";
    assert!(visit(start(&home("info,lapps::engine=debug"), &[], &[])).contains(told));
    assert!(!visit(start(&home("debug"), &[], &[("LAPPS_LOG", "info")])).contains(told));
    assert!(visit(start(&home("info"), &[], &[("LAPPS_LOG", "debug")])).contains(told));
    // One that is wrong is told, and does not count.
    let log = visit(start(&home("debug"), &[], &[("LAPPS_LOG", "lapps=loud")]));
    assert!(log.contains(told) && log.contains("LAPPS_LOG: 'lapps=loud' is no filter of the log"), "{log}");
}

#[test]
fn json_has_one_object_per_line_and_the_numbers_that_commands_show() {
    let home = Home::new().on_both("fails", FAILS, json!({}));
    fs::create_dir(home.path().join("workdir")).unwrap();
    let file = home.path().join("a.log");
    let server = start(
        &home,
        &["--log-format", "json", "--log-file", file.to_str().unwrap()],
        &[("LAPPS_LOG", "debug")],
    );
    let mut ids = BTreeSet::new();
    for target in ["/fails", "/fails-dedicated"] {
        let mut client = Client::open(&server, target);
        let list = ["connections", "--json", "--home", home.path().to_str().unwrap()];
        let peer = client.socket().local_addr().unwrap().to_string();
        let mut id = Value::Null;
        until("it is listed", || {
            let answer: Value = serde_json::from_str(&run_to_end(Path::new("."), &list, &[]).1).unwrap();
            let all = answer["connections"].as_array().unwrap();
            id = all.iter().find(|one| one["peer"] == peer).map_or(Value::Null, |one| one["id"].clone());
            id.is_number()
        });
        client.text("two\nlines");
        assert!(matches!(client.get(), Got::Close(1011, _)));
        client.drain();
        ids.insert((target, id.as_u64().unwrap(), peer));
    }
    server.stop();
    let log = objects(&read(&file));
    for (target, id, peer) in &ids {
        let service = target.trim_start_matches('/').replace('-', "_");
        let failed =
            log.iter().find(|line| line["conn"] == *id && line["level"] == "error").expect("its error");
        assert_eq!(failed["service"], service);
        assert!(failed["message"].as_str().unwrap().contains("it is two\nlines"), "{failed}");
        assert!(failed["time"].as_str().unwrap().ends_with('Z') && failed["target"] == "lapps::engine");
        let ended = log.iter().find(|line| line["conn"] == *id && line["level"] == "debug").expect("its end");
        assert_eq!(ended["peer"], *peer);
    }
}

#[test]
fn the_journal_gets_priorities_and_no_times() {
    let home = Home::new().on_both("fails", FAILS, json!({}));
    home.save();
    let journal = home.path().join("journal");
    let metadata = fs::File::create(&journal).unwrap().metadata().unwrap();
    let stream = format!("{}:{}", metadata.dev(), metadata.ino());
    let script = format!(
        "exec {BINARY} run --home {} 2>>{}",
        home.path().to_str().unwrap(),
        journal.to_str().unwrap()
    );
    for (stream, is_journal) in [(stream.as_str(), true), ("1:1", false)] {
        fs::write(&journal, "").unwrap();
        let variables = [("JOURNAL_STREAM", stream)];
        let server = Lapps::program("sh", home.path(), &["-c", &script], &variables);
        fail(&server, "/fails", "bad");
        until("it is told", || read(&journal).contains("stack traceback"));
        server.stop();
        let log = read(&journal);
        assert_eq!(log.lines().all(|line| line.starts_with('<')), is_journal, "{log}");
        assert_eq!(log.contains("\n<3>stack traceback"), is_journal, "{log}");
        assert_eq!(
            log.contains("<6>lapps::commands::signals: stopping") || log.contains("<6>"),
            is_journal,
            "{log}"
        );
    }
}

#[test]
fn one_client_that_causes_errors_does_not_fill_the_log() {
    const FLOODS: &str = "
        local NAME = {}
        function NAME.onStart() end
        function NAME.onMessage(handler, opcode, message)
            for n = 1, 200 do spawn(function() error('it is number ' .. n .. '.') end):detach() end
            return true
        end
        function NAME.onDisconnect(handler) end
        function NAME.onShutdown() end
        return NAME";
    let all = 200;
    let home = Home::new()
        .on_both("floods", FLOODS, json!({}))
        .ws(json!({ "admin": { "listen": "127.0.0.1:0" }, "log": { "format": "json", "file": "a.log" } }));
    let file = home.path().join("a.log");
    let mut server = start(&home, &[], &[]);
    let line = server.expect_line("metrics at http://");
    let admin = line.trim().strip_prefix("metrics at http://").unwrap().strip_suffix("/metrics").unwrap();
    let admin = admin.parse().unwrap();
    let targets = [("/floods", "floods"), ("/floods-dedicated", "floods_dedicated")];
    let _clients = targets.map(|(target, _)| {
        let mut client = Client::open(&server, target);
        client.text("now");
        client
    });
    let mut counted = 0;
    until("all are logged or counted", || {
        let mut asking = Client::to(admin, false);
        asking.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        let metrics = asking.read_response().body;
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix("lapps_log_suppressed_lines_total "));
        counted = value.expect("the metric").parse().unwrap();
        read(&file).matches("\"message\":\"service").count() + counted == targets.len() * all
    });
    server.stop();
    let log = objects(&read(&file));
    let mut left_out = 0;
    for (_, service) in targets {
        let (told, logged): (Vec<&Value>, Vec<&Value>) = log
            .iter()
            .filter(|line| line["service"] == service)
            .partition(|line| line["target"] == "lapps::log");
        let words = |line: &Value| line["message"].as_str().unwrap().to_owned();
        // Where it took longer than the period, there were more of them.
        assert!((20..all).contains(&logged.len()), "{service}: {}", logged.len());
        let has = |n: usize| logged.iter().any(|line| words(line).contains(&format!("it is number {n}.")));
        assert!((1..=20).all(has), "the first ones are there");
        let count: u64 = told.iter().map(|line| line["left_out"].as_u64().unwrap()).sum();
        assert_eq!(logged.len() + count as usize, all, "{service}");
        assert!(
            words(told[0]).contains(" more lines like this in ") && words(told[0]).contains("it is number ")
        );
        left_out += count as usize;
    }
    assert_eq!(counted, left_out);
}
