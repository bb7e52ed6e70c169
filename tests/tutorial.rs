//! The tutorial, step by step, as somebody does it who follows it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::browser::Browser;
use common::client::{Client, Got};
use common::lua_blocks;
use common::process::{Lapps, run_to_end};
use serde_json::{Value, json};
use tempfile::TempDir;

const TUTORIAL: &str = include_str!("../docs/tutorial.md");

/// The block of Lua of this kind.
fn lua(kind: &str) -> String {
    let blocks = lua_blocks::of("docs/tutorial.md", TUTORIAL);
    let mut found = blocks.into_iter().filter(|block| block.kind == kind);
    let block = found.next().unwrap_or_else(|| panic!("no block {kind}"));
    assert!(found.next().is_none(), "{kind} is there twice");
    block.text
}

/// The service of step 4: that of step 3 with what is added and changed.
fn finished() -> String {
    let (before, loop_then) = (lua("step 3"), lua("step 4 loop"));
    let begin = before.find("  for _, what in ipairs").expect("the loop");
    let end = begin + before[begin..].find("\n  end\n").expect("its end") + "\n  end\n".len();
    let code = format!("{}{loop_then}{}", &before[..begin], &before[end..]);
    let say = code.find("function requests.say").expect("requests.say");
    let behind = say + code[say..].find("\nend\n").expect("its end") + "\nend\n".len();
    format!("{}\n{}{}", &code[..behind], lua("step 4"), &code[behind..])
}

/// A directory in which the first line of the tutorial was typed.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        let first = TUTORIAL.split("```sh\n").nth(1).unwrap();
        assert!(first.starts_with("lapps new chat\nlapps test chat --home chat\nlapps run --home chat\n"));
        let (status, output, errors) = run_to_end(desk.0.path(), &["new", "chat"], &[]);
        assert!(status.success(), "{errors}");
        // What the tutorial says of the files.
        for row in TUTORIAL.lines().filter(|line| line.starts_with("| `chat/")) {
            let file = row.split('`').nth(1).unwrap();
            assert!(desk.path(file).is_file(), "{file}");
        }
        assert!(output.contains("chat/client/chat.html in a browser"), "{output}");
        desk
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        assert!(self.path(file).is_file());
        assert!(TUTORIAL.contains(&format!("`{file}`")));
        fs::write(self.path(file), text).unwrap();
    }

    fn test(&self) -> (bool, String) {
        let (status, output, errors) = run_to_end(self.0.path(), &["test", "chat", "--home", "chat"], &[]);
        (status.success(), output + &errors)
    }

    /// The server with this code.
    fn serve(&self, code: &str) -> Lapps {
        self.write("chat/apps/chat/chat.lua", code);
        Lapps::run(self.0.path(), &["run", "--home", "chat", "--port", "0"], &[])
    }
}

fn say(client: &mut Client, message: &Value) {
    client.text(&message.to_string());
}

#[track_caller]
fn hears(client: &mut Client, wanted: &Value) {
    match client.get() {
        Got::Text(text) => assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), wanted),
        other => panic!("{other:?} instead of {wanted}"),
    }
}

#[test]
fn the_smallest_service_sends_back_what_comes() {
    let desk = Desk::new();
    assert!(desk.test().0, "as it was made");
    let server = desk.serve(&lua("step 1"));
    let mut client = Client::open(&server, "/chat");
    client.echo("hello");
    // Reading the code again, as the tutorial says.
    assert!(TUTORIAL.contains("`lapps restart chat --home chat`"));
    desk.write("chat/apps/chat/chat.lua", &lua("step 2"));
    let (status, _, errors) = run_to_end(desk.0.path(), &["restart", "chat", "--home", "chat"], &[]);
    assert!(status.success(), "{errors}");
    assert!(matches!(client.get(), Got::Close(1012, _)));
    let mut client = Client::open(&server, "/chat");
    say(&mut client, &json!({ "name": "anna" }));
    hears(&mut client, &json!({ "there": ["anna"] }));
    server.stop();
}

#[test]
fn everybody_hears_and_sees_who_is_there() {
    let desk = Desk::new();
    let server = desk.serve(&lua("step 2"));
    let mut anna = Client::open(&server, "/chat");
    say(&mut anna, &json!({ "say": "too early" }));
    say(&mut anna, &json!({ "name": "anna" }));
    hears(&mut anna, &json!({ "there": ["anna"] }));
    let mut bert = Client::open(&server, "/chat");
    say(&mut bert, &json!({ "name": "bert" }));
    say(&mut bert, &json!({ "say": "hello" }));
    for client in [&mut anna, &mut bert] {
        hears(client, &json!({ "there": ["anna", "bert"] }));
        hears(client, &json!({ "from": "bert", "says": "hello" }));
    }
    bert.text("no JSON");
    assert_eq!(bert.get(), Got::Close(1003, "a message is a JSON object".into()));
    bert.close(1003);
    hears(&mut anna, &json!({ "there": ["anna"] }));
    server.stop();
}

fn topics(server: &Lapps) {
    let mut anna = Client::open(server, "/chat");
    say(&mut anna, &json!({ "topic": "too early" }));
    say(&mut anna, &json!({ "name": "anna" }));
    hears(&mut anna, &json!({ "topic": "hall", "there": ["anna"] }));
    let mut bert = Client::open(server, "/chat");
    say(&mut bert, &json!({ "name": "bert" }));
    hears(&mut anna, &json!({ "topic": "hall", "there": ["anna", "bert"] }));
    hears(&mut bert, &json!({ "topic": "hall", "there": ["anna", "bert"] }));
    say(&mut bert, &json!({ "topic": "tea" }));
    hears(&mut anna, &json!({ "topic": "hall", "there": ["anna"] }));
    hears(&mut bert, &json!({ "topic": "tea", "there": ["bert"] }));
    say(&mut bert, &json!({ "say": "alone" }));
    hears(&mut bert, &json!({ "from": "bert", "says": "alone" }));
    say(&mut anna, &json!({ "say": "alone, too" }));
    hears(&mut anna, &json!({ "from": "anna", "says": "alone, too" }));
    say(&mut bert, &json!({ "name": "berta" }));
    hears(&mut bert, &json!({ "topic": "tea", "there": ["berta"] }));
}

#[test]
fn topics_keep_people_apart() {
    let desk = Desk::new();
    let server = desk.serve(&lua("step 3"));
    topics(&server);
    server.stop();
}

#[test]
fn the_finished_service_passes_its_test_and_one_that_is_not_does_not() {
    let desk = Desk::new();
    desk.write("chat/apps/chat/chat_test.lua", &lua("test"));
    desk.write("chat/apps/chat/chat.lua", &lua("step 3"));
    let (passed, output) = desk.test();
    assert!(!passed && output.contains("expected {\"reminder\":\"tea\"}, heard nil"), "{output}");
    let server = desk.serve(&finished());
    topics(&server);
    server.stop();
    assert_eq!(desk.test(), (true, "the test of 'chat' passed\n".to_owned()));
    assert!(TUTORIAL.contains("`the test of 'chat' passed`"));
}

#[test]
fn the_page_shows_who_is_there_and_what_is_said() {
    let Some(mut browser) = Browser::start() else { return };
    let desk = Desk::new();
    let html = TUTORIAL.split("```html\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    desk.write("chat/client/chat.html", html);
    let server = desk.serve(&finished());
    let file = desk.path("chat/client/chat.html");
    let mut page = browser.open(&format!("file://{}?server=ws://{}/chat", shown(&file), server.address));
    let press = |id: &str| format!("document.getElementById('{id}').requestSubmit()");
    page.wait_until("it is connected", "document.getElementById('there').textContent === 'connected'");
    page.evaluate(&press("name"));
    page.wait_until("anna is there", "document.getElementById('there').textContent === 'hall: anna'");
    page.evaluate(&press("topic"));
    page.wait_until("she has gone", "document.getElementById('there').textContent === 'tea: anna'");
    page.evaluate("document.querySelector('#say input').value = 'Grüße <&>'");
    page.evaluate(&press("say"));
    page.wait_until("it is heard", "document.querySelectorAll('#log li').length === 1");
    assert_eq!(page.string("document.querySelector('#log li').textContent"), "anna: Grüße <&>");
    assert_eq!(page.complaints, Vec::<String>::new());
    server.stop();
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}
