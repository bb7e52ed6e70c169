//! `lapps new`, and the commands that it prints, typed as they stand.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::browser::Browser;
use common::client::{Client, Got};
use common::process::{Lapps, run_to_end};
use lapps_parser::frame::OpCode;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory to work in.
fn desk() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// What a command prints.
#[track_caller]
fn told(directory: &Path, words: &[&str]) -> String {
    let (status, output, errors) = run_to_end(directory, words, &[]);
    assert!(status.success() && errors.is_empty(), "{words:?}: {output}{errors}");
    output
}

/// Why a command is refused.
#[track_caller]
fn refused(directory: &Path, words: &[&str]) -> String {
    let (status, output, errors) = run_to_end(directory, words, &[]);
    assert!(status.code() == Some(1) && output.is_empty(), "{words:?}: {status} {output}");
    errors
}

/// The commands that were printed, as lines for a shell.
fn printed(output: &str) -> Vec<String> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("  lapps "));
    lines.map(|line| format!("lapps {line}")).collect()
}

/// The page that was printed.
fn page(output: &str) -> &str {
    output.split("then open ").nth(1).and_then(|rest| rest.split(" in a browser").next()).expect("a page")
}

/// A directory in which `lapps` is found.
fn path() -> (TempDir, String) {
    let bin = tempfile::tempdir().unwrap();
    symlink(env!("CARGO_BIN_EXE_lapps"), bin.path().join("lapps")).unwrap();
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap_or_default());
    (bin, path)
}

/// Types the first of these lines, the test, and then the second, the start, at any free port.
#[track_caller]
fn typed(directory: &Path, lines: &[String]) -> Lapps {
    let [test, run] = lines else { panic!("two commands: {lines:?}") };
    let (_bin, path) = path();
    let output =
        Command::new("sh").args(["-euc", test]).current_dir(directory).env("PATH", &path).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.ends_with("passed\n"), "{test}: {text}");
    Lapps::program("sh", directory, &["-euc", &format!("exec {run} --port 0")], &[("PATH", &path)])
}

fn lapps_json(home: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(home.join("etc/conf/lapps.json")).unwrap()).unwrap()
}

#[test]
fn a_new_service_is_tested_and_answers() {
    let desk = desk();
    let output = told(desk.path(), &["new", "chat"]);
    for (file, _) in output.lines().filter_map(|line| line.trim_start().split_once("  ")) {
        assert!(desk.path().join(file).is_file(), "{file}");
    }
    assert!(output.contains("ws://127.0.0.1:5083/chat"), "{output}");
    let server = typed(desk.path(), &printed(&output));
    let mut anna = Client::open(&server, "/chat");
    assert_eq!(anna.get(), Got::Text("guest 1 is here".into()));
    let mut bert = Client::open(&server, "/chat");
    bert.text("hello");
    for client in [&mut anna, &mut bert] {
        assert_eq!(client.get(), Got::Text("guest 2 is here".into()));
        assert_eq!(client.get(), Got::Text("guest 2: hello".into()));
    }
    bert.send(true, OpCode::Binary, b"\xff");
    assert_eq!(bert.get(), Got::Close(1003, "texts only".into()));
    bert.close(1003);
    assert_eq!(anna.get(), Got::Text("guest 2 has gone".into()));
    // Commands reach it.
    let services = told(desk.path(), &["services", "--json", "--home", "chat"]);
    assert!(services.contains("\"running\""), "{services}");
    server.signal("INT");
    assert_eq!(anna.get(), Got::Text("the server stops".into()));
    assert!(matches!(anna.get(), Got::Close(1001, _)));
    anna.close(1001);
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn a_new_service_of_the_lapps_protocol_is_tested_and_answers() {
    let desk = desk();
    let output = told(desk.path(), &["new", "calc", "--protocol", "LAppS"]);
    let server = typed(desk.path(), &printed(&output));
    let mut anna = Client::open(&server, "/calc");
    let mut bert = Client::open(&server, "/calc");
    assert_eq!(anna.call("add", &json!([1, 2.5])), json!([3.5]));
    assert_eq!(anna.request("add", &json!(["one"]))["error"]["code"], json!(-32602));
    let channel = anna.call("listen", &json!([]))[0].clone();
    bert.value(&json!({ "lapps": 1, "cid": 1, "method": "say", "params": ["hi", 5] }));
    assert_eq!(anna.get_value(), json!({ "cid": channel, "message": ["hi", 5] }));
    server.stop();
}

#[test]
fn services_come_to_a_home_that_is_there() {
    let desk = desk();
    told(desk.path(), &["new", "first", "--home", "my home"]);
    let home = desk.path().join("my home");
    // What is there stays, whatever it is.
    let mut before = lapps_json(&home);
    before["directories"] = json!({ "workdir": "elsewhere", "applications": "code" });
    before["services"]["first"]["extra_headers"] = json!({ "X-Kept": "yes" });
    fs::rename(home.join("apps"), home.join("code")).unwrap();
    fs::write(home.join("etc/conf/lapps.json"), before.to_string()).unwrap();
    let ws = "{ \"port\": 7000, \"ip\": \"127.0.0.1\" }";
    fs::write(home.join("etc/conf/ws.json"), ws).unwrap();
    let code = fs::read_to_string(home.join("code/first/first.lua")).unwrap();

    // Once by its name, once from within.
    let output = told(desk.path(), &["new", "second", "--home", "my home", "--protocol", "LAppS"]);
    assert!(
        output.contains("ws://127.0.0.1:7000/second") && output.contains("--home 'my home'\n"),
        "{output}"
    );
    typed(desk.path(), &printed(&output)).stop();
    let output = told(&home, &["new", "third-one", "--protocol", "LAppS"]);
    assert!(output.contains(" ./code/third-one/third-one.lua "), "{output}");
    let server = typed(&home, &printed(&output));
    for target in ["/first", "/second", "/third-one"] {
        Client::open(&server, target);
    }
    server.stop();
    let mut after = lapps_json(&home);
    for made in ["second", "third-one"] {
        assert!(after["services"].as_object_mut().unwrap().remove(made).is_some());
    }
    assert_eq!(after, before);
    assert_eq!(fs::read_to_string(home.join("code/first/first.lua")).unwrap(), code);
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(home.join("etc/conf/ws.json")).unwrap()).unwrap();
    assert_eq!(kept, serde_json::from_str::<Value>(ws).unwrap());
}

/// Everything below a directory.
fn everything(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.push((path.clone(), Vec::new()));
            found.extend(everything(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn what_cannot_be_made_is_refused_and_changes_nothing() {
    let desk = desk();
    let other = json!({ "services": { "other": { "request_target": "/taken" } } });
    told(desk.path(), &["new", "chat", "--home", "home"]);
    let lapps = desk.path().join("home/etc/conf/lapps.json");
    let mut services = lapps_json(&desk.path().join("home"));
    services["services"]["other"] = other["services"]["other"].clone();
    fs::write(&lapps, services.to_string()).unwrap();
    fs::create_dir_all(desk.path().join("home/apps/half")).unwrap();
    fs::write(desk.path().join("home/client/shown.html"), "mine").unwrap();
    fs::create_dir(desk.path().join("full")).unwrap();
    fs::write(desk.path().join("full/file"), "mine").unwrap();
    let before = everything(desk.path());

    let long = "x".repeat(300);
    for (name, why) in [
        ("chat", "there is a service chat already"),
        ("taken", "service other has the same target"),
        ("half", "apps/half is there already"),
        ("shown", "client/shown.html is there already"),
        ("two words", "letters, digits, _ and - are allowed"),
        ("../out", "letters, digits, _ and - are allowed"),
        ("ünder", "letters, digits, _ and - are allowed"),
        ("", "a service without a name"),
        ("string", "would replace the Lua library"),
        ("channel", "would hide the module"),
    ] {
        let told = refused(desk.path(), &["new", name, "--home", "home"]);
        assert!(told.contains(why), "{name}: {told}");
    }
    let told = refused(desk.path(), &["new", "full"]);
    assert!(told.contains("full is there already; `lapps new full --home DIR`"), "{told}");
    let told = refused(desk.path(), &["new", "a/b"]);
    assert!(told.contains("letters, digits"), "{told}");
    assert_eq!(everything(desk.path()), before);
    // A name that no file can have.
    let told = refused(desk.path(), &["new", &long, "--home", "home"]);
    assert!(told.contains("cannot make"), "{told}");
    assert_eq!(everything(desk.path()), before);

    fs::write(&lapps, "{ broken").unwrap();
    let before = everything(desk.path());
    let told = refused(desk.path(), &["new", "more", "--home", "home"]);
    assert!(told.contains("mistakes in the configuration") && told.contains("lapps.json"), "{told}");
    assert_eq!(everything(desk.path()), before);
    let (status, _, errors) = run_to_end(desk.path(), &["new", "x", "--protocol", "soap"], &[]);
    assert!(status.code() == Some(2) && errors.contains("raw, LAppS"), "{errors}");
}

#[test]
fn a_test_that_fails_says_where_and_ends_with_1() {
    let desk = desk();
    told(desk.path(), &["new", "chat"]);
    let test = desk.path().join("chat/apps/chat/chat_test.lua");
    let good = fs::read_to_string(&test).unwrap();
    let command = ["test", "chat", "--home", "chat"];
    assert_eq!(told(desk.path(), &command), "the test of 'chat' passed\n");

    let line = good.lines().position(|line| line == "expect(anna, \"guest 2: hello\")").unwrap() + 1;
    fs::write(&test, good.replace("expect(anna, \"guest 2: hello\")", "expect(anna, \"guest 2: bye\")"))
        .unwrap();
    let told = refused(desk.path(), &command);
    let place = format!("chat/apps/chat/chat_test.lua:{line}:");
    assert!(told.contains("the test of 'chat' failed"), "{told}");
    assert!(
        told.contains(&place) && told.contains("expected 'guest 2: bye', heard 'guest 2: hello'"),
        "{told}"
    );

    fs::write(&test, "local x = \n= 5").unwrap();
    let told = refused(desk.path(), &command);
    assert!(told.contains("chat_test.lua:2:"), "{told}");
    fs::remove_file(&test).unwrap();
    assert!(refused(desk.path(), &command).contains("chat_test.lua"));
    assert!(
        refused(desk.path(), &["test", "chatter", "--home", "chat"])
            .contains("there is no service 'chatter'; there are: chat")
    );

    // The service itself is broken.
    fs::write(&test, good).unwrap();
    fs::write(desk.path().join("chat/apps/chat/chat.lua"), "return {}").unwrap();
    let told = refused(desk.path(), &command);
    assert!(told.contains("service 'chat' cannot be started"), "{told}");
}

#[test]
fn the_pages_talk_to_their_services() {
    let Some(mut browser) = Browser::start() else { return };
    let desk = desk();
    let home = desk.path().join("home");
    let raw = told(desk.path(), &["new", "chat", "--home", "home"]);
    let lapps = told(desk.path(), &["new", "calc", "--home", "home", "--protocol", "LAppS"]);
    let server = Lapps::run(&home, &["run", "--home", ".", "--port", "0"], &[]);
    let open = |output: &str, name: &str| {
        let file = desk.path().join(page(output));
        format!("file://{}?server=ws://{}/{name}", file.display(), server.address)
    };

    let mut chat = browser.open(&open(&raw, "chat"));
    chat.wait_until("it is there", "document.querySelectorAll('#log li').length === 1");
    chat.evaluate("document.getElementById('text').value = 'Grüße <&>'");
    chat.evaluate("document.getElementById('say').requestSubmit()");
    chat.wait_until("it is heard", "document.querySelectorAll('#log li').length === 2");
    assert_eq!(chat.string("document.querySelectorAll('#log li')[1].textContent"), "guest 1: Grüße <&>");
    assert_eq!(chat.complaints, Vec::<String>::new());

    let mut calc = browser.open(&open(&lapps, "calc"));
    calc.wait_until(
        "it is connected",
        "document.getElementById('state').textContent.startsWith('connected to')",
    );
    calc.evaluate("document.getElementById('add').requestSubmit()");
    calc.wait_until("the sum is there", "document.querySelectorAll('#log li').length === 1");
    assert_eq!(calc.string("document.querySelector('#log li').textContent"), "the sum is 42");
    calc.evaluate("document.getElementById('text').value = 'hello'");
    calc.evaluate("document.getElementById('say').requestSubmit()");
    calc.wait_until("it is heard", "document.querySelectorAll('#log li').length === 2");
    assert_eq!(calc.string("document.querySelectorAll('#log li')[1].textContent"), "hello");
    assert_eq!(calc.complaints, Vec::<String>::new());
    server.stop();
}
