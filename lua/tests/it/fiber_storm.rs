//! Thousands of fibers that wait, end and are interrupted at random: at the end nothing is left, and nobody was forgotten.
//!
//! `LAPPS_STORM_SEED=N` runs one more seed.

use lapps_lua::{Concurrency, ConnId, Outcome, Reactive, Verdict};

use crate::stage::{Stage, conn};

const PROGRAM: &str = include_str!("storm.lua");
const ROUNDS: u32 = 1500;
const READER: ConnId = conn(9_999);

struct Random(u32);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % n
    }
}

/// What the program counted, and what it found wrong.
fn ask(stage: &mut Stage<Reactive>, what: &str) -> String {
    stage.world.open.insert(READER);
    let verdict = stage.text(READER, what);
    assert!(matches!(verdict, Verdict::Keep), "{what}: {verdict:?}");
    stage.take_sent().pop().expect("an answer")
}

fn storm(seed: u32, concurrency: Concurrency) {
    let lines = format!("local SEED = {}\n{PROGRAM}", seed as i32);
    let mut stage = Stage::reactive(&lines, Some(concurrency));
    let mut random = Random(seed);
    let mut open: Vec<ConnId> = Vec::new();
    let (mut slots, mut weight_told) = (0, 0);
    for _ in 0..ROUNDS {
        for _ in 0..=random.below(4) {
            match random.below(if open.len() > 30 { 6 } else { 5 }) {
                0 => {
                    slots += 1;
                    open.push(conn(slots));
                    let _ = stage.open(conn(slots));
                }
                1..=3 if !open.is_empty() => {
                    let of = open[random.below(open.len() as u32) as usize];
                    if let Verdict::Waits { weight } = stage.text(of, "go") {
                        weight_told += weight;
                    }
                }
                4.. if !open.is_empty() => {
                    let of = open.swap_remove(random.below(open.len() as u32) as usize);
                    let _ = stage.end(of);
                }
                _ => {}
            }
        }
        stage.pass(u64::from(random.below(8)));
    }

    // All that has a limit has ended: who still sleeps must have nothing to wake up for.
    stage.pass(20_000);
    assert_eq!(ask(&mut stage, "audit"), "", "when all was quiet");
    for of in open.drain(..) {
        let _ = stage.end(of);
    }
    stage.pass(20_000);
    assert_eq!(ask(&mut stage, "audit"), "", "when all connections had ended");

    // Each time, ends of connections that were behind a handler may begin, and wait in their turn.
    for _ in 0..100 {
        stage.wind_down();
        stage.run();
        if stage.instance.is_idle() {
            break;
        }
    }
    let told = ask(&mut stage, "count");
    let (wrong, counts) = told.split_once('\n').unwrap();
    println!("{concurrency:?} {counts}, {:?} on the clock", stage.world.now);
    assert_eq!(wrong, "", "{counts}");
    let count = |name: &str| -> u32 {
        let at = counts.find(name).unwrap() + name.len() + 1;
        counts[at..].split(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(count("spawned"), count("ended"));
    assert_eq!(count("pushed"), count("cleaned"));
    assert!(count("spawned") > 1000, "a storm has more fibers: {counts}");

    assert_eq!(stage.instance.fibers(), 0);
    assert_eq!(stage.instance.ready_fibers(), 0, "none is counted that is not there");
    assert_eq!(stage.instance.deadline(), None);
    assert!(stage.instance.is_idle());
    assert!(!stage.instance.is_ready());
    assert_eq!(stage.instance.deadlock(), None);
    let reports = stage.take_reports();
    let odd: Vec<_> = reports.iter().filter(|text| !text.contains("a failure that is meant")).collect();
    assert!(odd.is_empty(), "{odd:#?}");
    let mut weight_handled = 0;
    for outcome in &stage.outcomes {
        match outcome {
            Outcome::Handled { weight, .. } => weight_handled += weight,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(weight_handled, weight_told);
}

fn storms(seed: u32) {
    for concurrency in [Concurrency::Connection, Concurrency::Free] {
        println!("LAPPS_STORM_SEED={seed}");
        storm(seed, concurrency);
    }
}

#[test]
fn a_storm_of_seed_1() {
    storms(1);
}

#[test]
fn a_storm_of_seed_77() {
    storms(77);
}

#[test]
fn a_storm_of_seed_4242() {
    storms(4242);
}

#[test]
fn a_storm_of_seed_123456789() {
    storms(123_456_789);
}

#[test]
fn a_storm_of_seed_3735928559() {
    storms(3_735_928_559);
}

#[test]
fn a_storm_of_the_seed_in_the_environment() {
    if let Ok(seed) = std::env::var("LAPPS_STORM_SEED") {
        storms(seed.parse::<u32>().expect("a number").max(1));
    }
}
