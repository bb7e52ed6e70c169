//! The server is stopped while a service is being replaced.

use serde_json::{Value, json};

use super::theatre::{Theatre, placed, version, version_with};
use crate::common::client::{Client, Got};
use crate::common::home::{Home, merged};
use crate::common::until;

fn start(instances: usize, end: &str) -> Theatre {
    let home = Home::new().ws(json!({ "shutdown_grace_ms": 500 }));
    let play = version_with(&home, "play", "one", "", end);
    Theatre::open(home.service("play", &play, keys(instances)))
}

fn keys(instances: usize) -> Value {
    merged(placed("/play", instances), json!({ "preload": ["time"] }))
}

/// The client hears a close code and the end of the stream.
fn is_closed(client: &mut Client, code: u16) {
    assert!(matches!(client.get(), Got::Close(got, _) if got == code));
    client.close(code);
    assert_eq!(client.get(), Got::Eof);
}

#[test]
fn the_new_version_is_still_starting() {
    for instances in [0, 2] {
        let theatre = start(instances, "");
        let mut client = theatre.client("/play");
        let two = version_with(&theatre.home, "play", "two", "time.sleep(100000)", "");
        theatre.home.write("apps/play/play.lua", &two);
        let (replacer, services) = (theatre.replacer(), theatre.services("play"));
        theatre.home.write("apps/play/play.lua", &two);
        let waiting = std::thread::spawn(move || replacer.replace(services));
        until("it starts", || theatre.journal().contains("two starts"));
        theatre.order_stop();
        is_closed(&mut client, 1001);
        let refused = waiting.join().unwrap().unwrap_err();
        assert!(refused.stopping, "{refused:?}");
        let journal = theatre.close();
        assert!(journal.contains("one ends") && journal.contains("one lost"), "{journal}");
        assert!(!journal.contains("two ends"), "{journal}");
    }
}

#[test]
fn the_old_version_is_still_stopping() {
    let ends = ["time.sleep(0.2)", "time.sleep(100)"];
    for (instances, end) in [(0, ends[0]), (2, ends[0]), (0, ends[1]), (1, ends[1])] {
        let mut theatre = start(instances, end);
        let mut client = theatre.client("/play");
        let two = version(&theatre.home, "play", "two");
        theatre.replace("play", &two, keys(instances)).unwrap();
        let mut new = theatre.client("/play");
        theatre.order_stop();
        // Where the grace was used up, they are cut right after that.
        assert!(matches!(new.get(), Got::Close(1001, _)));
        assert!(matches!(client.get(), Got::Close(1001 | 1012, _)));
        let journal = theatre.close();
        for line in ["one lost", "two lost"] {
            assert_eq!(journal.matches(line).count(), 1, "{line} in {journal}");
        }
        assert!(journal.contains("two ends"), "{journal}");
    }
}

#[test]
fn connections_of_the_old_version_are_still_closing() {
    for instances in [0, 1] {
        let mut theatre = start(instances, "");
        let mut client = theatre.client("/play");
        let two = version(&theatre.home, "play", "two");
        theatre.replace("play", &two, keys(instances)).unwrap();
        assert!(matches!(client.get(), Got::Close(1012, _)));
        // It does not answer.
        let journal = theatre.close();
        assert_eq!(journal.matches("one lost").count(), 1, "{journal}");
    }
}

#[test]
fn an_order_that_comes_too_late_is_answered() {
    let theatre = start(0, "");
    let (replacer, services) = (theatre.replacer(), theatre.services("play"));
    theatre.close();
    let refused = replacer.replace(services).unwrap_err();
    assert!(refused.stopping && !refused.stopped, "{refused:?}");
}
