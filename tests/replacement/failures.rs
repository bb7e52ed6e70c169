//! New versions that do not start: the old one goes on as if nothing had been.

use serde_json::json;

use super::theatre::{Theatre, noting, placed, version, version_with};
use crate::common::client::{Client, Got};
use crate::common::home::{Home, merged};
use crate::common::until;

#[test]
fn the_old_version_goes_on_untouched() {
    for (before, after) in [(0, 0), (2, 2), (0, 2), (2, 0)] {
        let home = Home::new();
        let play = version(&home, "play", "one");
        let mut theatre = Theatre::open(home.service("play", &play, placed("/play", before)));
        let mut client = theatre.client("/play");
        let home = &theatre.home;
        let cases = [
            ("return {", "play.lua:1: "),
            ("error('no such thing')", "play.lua:1: no such thing"),
            ("return {}", "onStart"),
            (&version_with(home, "play", "two", "error('not today')", ""), "play.lua:3: not today"),
            (
                &version_with(home, "play", "two", "time.sleep(0.01) error('after a while')", ""),
                "after a while",
            ),
        ]
        .map(|(code, why)| (code.to_owned(), why));
        let keys = merged(placed("/play", after), json!({ "preload": ["time"] }));
        for (code, why) in cases {
            let refused = theatre.replace("play", &code, keys.clone()).unwrap_err();
            assert!(refused.why.contains(why) && refused.why.contains("play"), "{refused:?}");
            assert!(!refused.stopped && !refused.stopping, "{refused:?}");
            assert_eq!(theatre.status("/play"), 101);
            client.text("still");
            assert_eq!(client.get(), Got::Text("one still".into()));
        }
        // One that is right is not kept from it by those that were not.
        let two = version(&theatre.home, "play", "two");
        theatre.replace("play", &two, placed("/play", after)).unwrap();
        assert!(matches!(client.get(), Got::Close(1012, _)));
        let journal = theatre.close();
        assert_eq!(journal.matches("one lost").count(), 5 + 1, "{journal}");
    }
}

#[test]
fn only_some_instances_of_the_new_version_start() {
    let home = Home::new();
    let play = version(&home, "play", "one");
    // They start at the same time, and only one can rename the file.
    let (part, taken) = (home.path().join("part"), home.path().join("taken"));
    let begin = format!("if not os.rename({part:?}, {taken:?}) then error('too many') end");
    let mut theatre = Theatre::open(home.service("play", &play, placed("/play", 1)));
    for instances in [0, 3] {
        std::fs::write(&part, "").unwrap();
        let two = version_with(&theatre.home, "play", "two", &begin, "");
        let refused = theatre.replace("play", &two, placed("/play", instances)).unwrap_err();
        assert!(refused.why.contains("too many"), "{refused:?}");
        let mut client = theatre.client("/play");
        client.text("a");
        assert_eq!(client.get(), Got::Text("one a".into()));
    }
    // Those that had started are not told to shut down: they never served anybody.
    assert!(!theatre.close().contains("two ends"));
}

#[test]
fn a_service_that_had_failed_starts_when_it_is_mended() {
    for instances in [0, 2] {
        let mut theatre =
            Theatre::open(Home::new().service("play", "error('broken')", placed("/play", instances)));
        assert_eq!(theatre.status("/play"), 503);
        let still = theatre.replace("play", "error('still')", placed("/play", instances)).unwrap_err();
        assert!(still.why.contains("still"));
        assert_eq!(theatre.status("/play"), 503);
        let two = version(&theatre.home, "play", "two");
        theatre.replace("play", &two, placed("/play", instances)).unwrap();
        assert_eq!(theatre.status("/play"), 101);
    }
}

#[test]
fn the_target_of_another_service_is_refused() {
    let home = Home::new();
    let (play, other) = (version(&home, "play", "one"), version(&home, "other", "other"));
    let home = home.service("play", &play, placed("/play", 0)).service("other", &other, placed("/other", 1));
    let theatre = Theatre::open(home);
    let mut services = theatre.services("play");
    services[0].request_target = "/other".into();
    let refused = theatre.replacer().replace(services).unwrap_err();
    assert!(refused.why.contains("'other' has the target /other"), "{refused:?}");
    assert_eq!(theatre.status("/play"), 101);
    let mut client = theatre.client("/other");
    client.text("a");
    assert_eq!(client.get(), Got::Text("other a".into()));
}

#[test]
fn what_a_service_needs_is_started_first() {
    let home = Home::new();
    let (play, stage) = (version(&home, "play", "play"), version(&home, "stage", "stage"));
    let off = json!({ "request_target": "/stage", "auto_start": false });
    let home = home.service("stage", &stage, off).service("play", &play, json!({ "auto_start": false }));
    let theatre = Theatre::open(home);
    let [mut stage, mut play] = ["stage", "play"].map(|name| theatre.services(name).remove(0));
    play.depends = vec!["stage".into()];
    play.auto_start = true;
    let refused = theatre.replacer().replace(vec![play.clone()]).unwrap_err();
    assert!(refused.why.contains("depends on 'stage', which is not running"), "{refused:?}");
    stage.auto_start = true;
    theatre.replacer().replace(vec![stage.clone(), play.clone()]).unwrap();
    theatre.noted("stage starts", 2);
    assert_eq!((theatre.status("/stage"), theatre.status("/play")), (101, 101));
    // It runs, so it is left alone.
    theatre.replacer().replace(vec![stage, play]).unwrap();
    let journal = theatre.close();
    assert_eq!(journal.matches("stage starts").count(), 2, "{journal}");
    assert_eq!(journal.matches("play starts").count(), 4, "{journal}");
}

#[test]
fn fibers_of_a_version_that_did_not_start_are_gone() {
    let home = Home::new();
    let play = version(&home, "play", "one");
    let mut theatre = Theatre::open(home.service("play", &play, placed("/play", 0)));
    let begin = "spawn(function() scope_cleanup_push(function() note('cleaned') end) time.sleep(100000) end)
        time.sleep(0.01) error('no')";
    for instances in [0, 2] {
        let two = noting(&theatre.home, &version_with(&theatre.home, "play", "two", begin, ""));
        let keys = merged(placed("/play", instances), json!({ "preload": ["time"] }));
        theatre.replace("play", &two, keys).unwrap_err();
        assert_eq!(theatre.status("/play"), 101);
    }
    let mut client: Client = theatre.client("/play");
    client.text("a");
    assert_eq!(client.get(), Got::Text("one a".into()));
    until("all have started", || theatre.journal().matches("two starts").count() == 4);
}
