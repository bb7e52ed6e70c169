//! Standalone services: one version ends before the next one begins.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::theatre::{Theatre, noting, placed, version};
use crate::common::home::Home;

const CODE: &str = r"
    local clock = {}
    function clock.init() note('VERSION init') BEGIN end
    function clock.run()
        note('VERSION runs ' .. instance_id)
        RUN
        note('VERSION ends ' .. tostring(must_stop()))
    end
    return clock";

const UNTIL_STOPPED: &str = "while not must_stop() do time.sleep(0.01) end";

fn clock(home: &Home, version: &str, begin: &str, run: &str) -> String {
    noting(home, &CODE.replace("VERSION", version).replace("BEGIN", begin).replace("RUN", run))
}

fn keys(instances: usize) -> Value {
    json!({ "standalone": true, "instances": instances, "preload": ["time"] })
}

fn start(instances: usize, run: &str) -> Theatre {
    let home = Home::new().ws(json!({ "shutdown_grace_ms": 300 }));
    let one = clock(&home, "one", "", run);
    let other = version(&home, "other", "other");
    let home = home.service("clock", &one, keys(instances)).service("other", &other, placed("/other", 0));
    let theatre = Theatre::open(home);
    theatre.noted("one init", instances);
    theatre
}

#[test]
fn the_old_one_ends_before_the_new_one_begins() {
    let mut theatre = start(2, UNTIL_STOPPED);
    let two = clock(&theatre.home, "two", "", UNTIL_STOPPED);
    theatre.replace("clock", &two, keys(3)).unwrap();
    theatre.noted("two init", 3);
    let journal = theatre.journal();
    assert_eq!(journal.matches("one ends true").count(), 2, "{journal}");
    assert!(journal.rfind("one ends").unwrap() < journal.find("two init").unwrap(), "{journal}");
    assert_eq!(theatre.status("/other"), 101);
    let journal = theatre.close();
    assert_eq!(journal.matches("two ends true").count(), 3, "{journal}");
}

#[test]
fn a_run_without_a_wait_sees_that_it_must_stop() {
    let mut theatre = start(1, "while not must_stop() do end");
    theatre.noted("one runs 0", 1);
    let two = clock(&theatre.home, "two", "", UNTIL_STOPPED);
    let began = Instant::now();
    theatre.replace("clock", &two, keys(1)).unwrap();
    theatre.noted("one ends true", 1);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_run_that_does_not_end_is_interrupted_after_the_grace() {
    let run = "scope_cleanup_push(function() note('cleaned') end) time.sleep(100000)";
    let mut theatre = start(1, run);
    theatre.noted("one runs 0", 1);
    let two = clock(&theatre.home, "two", "", UNTIL_STOPPED);
    let began = Instant::now();
    theatre.replace("clock", &two, keys(1)).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300));
    let journal = theatre.journal();
    assert!(journal.find("cleaned").unwrap() < journal.find("two init").unwrap(), "{journal}");
}

#[test]
fn one_that_fails_says_that_the_old_one_was_stopped_and_that_can_be_started_again() {
    let mut theatre = start(1, UNTIL_STOPPED);
    let old = theatre.services("clock");
    let two = clock(&theatre.home, "two", "error('no clock')", "");
    let refused = theatre.replace("clock", &two, keys(1)).unwrap_err();
    assert!(refused.why.contains("no clock") && refused.stopped, "{refused:?}");
    theatre.noted("one ends true", 1);
    let one = clock(&theatre.home, "one", "", UNTIL_STOPPED);
    theatre.home.write("apps/clock/clock.lua", &one);
    theatre.replacer().replace(old).unwrap();
    theatre.noted("one init", 2);
    let journal = theatre.close();
    assert_eq!(journal.matches("one ends true").count(), 2, "{journal}");
}

#[test]
fn a_service_becomes_standalone_and_back() {
    let mut theatre = start(1, UNTIL_STOPPED);
    let play = version(&theatre.home, "clock", "play");
    theatre.replace("clock", &play, placed("/clock", 1)).unwrap();
    let mut client = theatre.client("/clock");
    let two = clock(&theatre.home, "two", "", UNTIL_STOPPED);
    theatre.replace("clock", &two, keys(1)).unwrap();
    super::theatre::is_told_to_come_back(&mut client);
    assert_eq!(theatre.status("/clock"), 404);
    theatre.noted("play ends", 1);
    theatre.noted("play lost", 1);
}

#[test]
fn one_whose_run_has_returned_is_replaced_too() {
    let mut theatre = start(1, "");
    theatre.noted("one ends false", 1);
    let two = clock(&theatre.home, "two", "", "");
    theatre.replace("clock", &two, keys(1)).unwrap();
    theatre.noted("two ends false", 1);
}
