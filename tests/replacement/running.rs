//! A version that runs takes over from one that runs, on every placement, and nobody else notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::theatre::{Theatre, is_told_to_come_back, placed, version, version_with};
use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::until;

const WORKERS: usize = 2;

/// Starts with version `one` of `play` at this place, and a service beside it.
fn start(instances: usize) -> Theatre {
    let home = Home::new();
    let play = version(&home, "play", "one");
    let other = version(&home, "other", "other");
    let home = home.service("play", &play, placed("/play", instances));
    Theatre::open(home.service("other", &other, placed("/other", 1 - instances.min(1))))
}

#[test]
fn the_clients_of_the_old_version_are_told_and_those_of_others_go_on() {
    for (before, after) in [(0, 0), (2, 2), (0, 3), (3, 0), (1, 2)] {
        let mut theatre = start(before);
        let mut audience: Vec<Client> = (0..5).map(|_| theatre.client("/play")).collect();
        let mut others: Vec<Client> = (0..4).map(|_| theatre.client("/other")).collect();
        for client in &mut audience {
            client.text("a");
            assert_eq!(client.get(), Got::Text("one a".into()));
        }
        let two = version(&theatre.home, "play", "two");
        theatre.replace("play", &two, placed("/play", after)).unwrap();
        let mut client = theatre.client("/play");
        client.text("b");
        assert_eq!(client.get(), Got::Text("two b".into()), "{before} {after}");
        for client in &mut audience {
            is_told_to_come_back(client);
        }
        for client in &mut others {
            client.text("c");
            assert_eq!(client.get(), Got::Text("other c".into()));
        }
        theatre.noted("one lost", 5);
        theatre.noted("one ends", if before == 0 { WORKERS } else { before });
        theatre.noted("two starts", if after == 0 { WORKERS } else { after });
        client.close(1000);
        assert_eq!(client.get(), Got::Close(1000, String::new()));
        let journal = theatre.close();
        assert_eq!(journal.matches("one lost").count(), 5, "{journal}");
        assert_eq!(journal.matches("two lost").count(), 1, "{journal}");
    }
}

#[test]
fn a_target_that_changes_is_found_and_the_old_one_is_not() {
    let mut theatre = start(0);
    let two = version(&theatre.home, "play", "two");
    theatre.replace("play", &two, placed("/new", 1)).unwrap();
    assert_eq!(theatre.status("/new"), 101);
    until("404", || theatre.status("/play") == 404);
}

#[test]
fn a_service_that_was_not_there_comes() {
    for instances in [0, 2] {
        let mut theatre = start(0);
        assert_eq!(theatre.status("/new"), 404);
        let new = version(&theatre.home, "new", "one");
        theatre.replace("new", &new, placed("/new", instances)).unwrap();
        let mut client = theatre.client("/new");
        client.text("a");
        assert_eq!(client.get(), Got::Text("one a".into()));
    }
}

#[test]
fn auto_start_says_whether_it_runs() {
    let mut theatre = start(1);
    let two = version(&theatre.home, "play", "two");
    let mut client = theatre.client("/play");
    theatre.replace("play", &two, json!({ "request_target": "/play", "auto_start": false })).unwrap();
    is_told_to_come_back(&mut client);
    assert_eq!(theatre.status("/play"), 503);
    theatre.replace("play", &two, json!({ "request_target": "/play" })).unwrap();
    assert_eq!(theatre.status("/play"), 101);
    assert_eq!(theatre.close().matches("one starts").count(), 1);
}

#[test]
fn nobody_is_refused_while_one_version_takes_over_from_the_other() {
    for instances in [0, 2] {
        let mut theatre = start(instances);
        let over = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..2)
            .map(|_| {
                let (over, count, address) = (Arc::clone(&over), Arc::clone(&count), theatre.address);
                std::thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let mut client = Client::to(address, false).upgraded("/play");
                        client.close(1000);
                        // It may be told of the restart first.
                        assert!(matches!(client.get(), Got::Close(1000 | 1012, _)));
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for round in 0..10 {
            let before = count.load(Ordering::Relaxed);
            until("another one", || count.load(Ordering::Relaxed) > before + 5);
            let next = version(&theatre.home, "play", &format!("v{round}"));
            theatre.replace("play", &next, placed("/play", instances)).unwrap();
        }
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
    }
}

#[test]
fn the_old_version_has_its_goodbye_and_its_grace() {
    let home = Home::new();
    let end = "time.sleep(0.05) ws:send(NAME.client, 1, 'goodbye') spawn(function() time.sleep(100000) end)";
    let begin = "NAME.client = nil";
    for instances in [0, 1] {
        let code = version_with(&home, "play", "one", begin, &end.replace("NAME", "play"));
        let code = code.replace(
            "function play.onMessage(handler, opcode, message)",
            "function play.onMessage(handler, opcode, message) play.client = handler",
        );
        let keys = crate::common::home::merged(placed("/play", instances), json!({ "preload": ["time"] }));
        let code = code.replace("NAME", "play");
        let ws = json!({ "workers": { "workers": 1 } });
        let mut theatre = Theatre::open(Home::new().ws(ws).service("play", &code, keys));
        let mut client = theatre.client("/play");
        client.text("a");
        assert_eq!(client.get(), Got::Text("one a".into()));
        let two = version(&theatre.home, "play", "two");
        theatre.replace("play", &two, placed("/play", instances)).unwrap();
        assert_eq!(theatre.status("/play"), 101);
        assert_eq!(client.get(), Got::Text("goodbye".into()));
        is_told_to_come_back(&mut client);
        theatre.close();
    }
}

#[test]
fn under_load_every_connection_ends_once_and_every_answer_is_whole() {
    for instances in [0, 2] {
        let mut theatre = start(instances);
        let over = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (over, address) = (Arc::clone(&over), theatre.address);
                std::thread::spawn(move || {
                    let mut connections = 0;
                    while !over.load(Ordering::Relaxed) {
                        let mut client = Client::to(address, false).upgraded("/play");
                        connections += 1;
                        let mut said = 0;
                        loop {
                            // A version that ends may not hear all of them.
                            let sent = (0..20).all(|_| client.try_text("x").is_ok());
                            match client.get() {
                                Got::Text(text) => {
                                    assert!(text.ends_with(" x"), "{text}");
                                    said += 1;
                                }
                                Got::Close(1012, _) => break,
                                Got::Eof | Got::Reset if !sent => break,
                                other => panic!("{other:?}"),
                            }
                            if said > 300 || over.load(Ordering::Relaxed) {
                                break;
                            }
                        }
                    }
                    connections
                })
            })
            .collect();
        for round in 0..40 {
            let next = version(&theatre.home, "play", &format!("v{round}"));
            let next = next.replace(&format!("'v{round} lost'"), "'lost'");
            theatre.replace("play", &next, placed("/play", instances)).unwrap();
        }
        over.store(true, Ordering::Relaxed);
        let connections: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
        let journal = theatre.close();
        let lost = journal.lines().filter(|line| line.ends_with("lost")).count();
        assert!(connections > 40);
        assert_eq!(lost, connections);
    }
}
