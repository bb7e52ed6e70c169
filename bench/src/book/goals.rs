//! The goals, row by row: what was wanted, what a peer did in the same run, what we did.

use super::layers;
use super::ledger::Ledger;
use super::roster::{
    ALL, BARE, BARE_URING, DEDICATED, DEDICATED_URING, Kind, OURS, OURS_URING, UWEBSOCKETS, name,
};
use super::shapes::{COMMON, ECHOES, LAPPS, SCALE, Shape};

/// Broadcasts to many.
pub const FAN_OUT: &str = "broadcast";
/// The `write` loop that broadcasts are compared with.
pub const BARE_FAN_OUT: &str = "bare-fan-out";
/// Upgrades on plain TCP.
pub const UPGRADES: &str = "handshake-plain";
/// Upgrades with TLS.
pub const TLS_UPGRADES: &str = "handshake-tls";
/// Idle connections on plain TCP.
pub const IDLE: &str = "idle-plain";
/// Idle connections with TLS.
pub const TLS_IDLE: &str = "idle-tls";
/// Latency at a given rate.
pub const PACED: &str = "paced";
/// From nothing to ready.
pub const START: &str = "start";

/// What the original LAppS cost, measured beside the same baseline outside of this book: it cannot be installed from a
/// registry. Shape, who stood beside it, and how many times as much it cost.
const ORIGINAL: &[(&str, &str, f64)] = &[
    (COMMON, BARE, 2.36),
    ("plain-512", BARE, 1.78),
    ("plain-1k", BARE, 1.76),
    ("plain-8k", BARE, 3.21),
    ("tls-128", UWEBSOCKETS, 1.69),
    ("tls-1k", UWEBSOCKETS, 1.53),
    ("tls-8k", UWEBSOCKETS, 1.48),
];

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What was to be reached.
    pub goal: String,
    /// What the best peer, or what the goal refers to, did in this run.
    pub peer: String,
    /// What we did.
    pub ours: String,
    /// Ours to the reference.
    pub ratio: Option<f64>,
    /// None where something is missing.
    pub reached: Option<bool>,
}

/// All rows for which there is anything.
pub fn rows(ledger: &Ledger) -> Vec<Row> {
    let mut rows = Vec::new();
    for shape in ECHOES.iter().filter(|shape| ledger.has(shape.id)) {
        if shape.tls {
            rows.extend([OURS, OURS_URING].iter().filter_map(|ours| tls(ledger, shape, ours)));
        } else {
            rows.extend(plain(ledger, shape, OURS, BARE));
            rows.extend(plain(ledger, shape, OURS_URING, BARE_URING));
        }
    }
    for (shape, reference, ratio) in ORIGINAL {
        for ours in [DEDICATED, DEDICATED_URING] {
            rows.extend(dedicated(ledger, shape, ours, reference, ratio / 2.0));
        }
    }
    rows.extend([OURS, OURS_URING].iter().filter_map(|ours| lapps_protocol(ledger, ours)));
    rows.extend([OURS, OURS_URING].iter().filter_map(|ours| broadcast(ledger, ours)));
    for (shape, least) in [(UPGRADES, 20_000.0), (TLS_UPGRADES, 2500.0)] {
        rows.extend([OURS, OURS_URING].iter().filter_map(|ours| upgrades(ledger, shape, ours, least)));
    }
    for (shape, most) in [(IDLE, 256.0), (TLS_IDLE, 5120.0)] {
        rows.extend([OURS, OURS_URING].iter().filter_map(|ours| idle(ledger, shape, ours, most)));
    }
    rows.extend([OURS, OURS_URING].iter().filter_map(|ours| latency(ledger, ours)));
    rows.extend(scale(ledger));
    rows.extend(parser(ledger));
    rows.extend(start(ledger));
    rows
}

fn peers() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|contender| contender.kind == Kind::Peer).map(|contender| contender.id)
}

fn with_name(id: &str, figure: String) -> String {
    format!("{figure} ({})", name(id).split(" (").next().unwrap_or(id))
}

fn ns(value: f64) -> String {
    format!("{value:.0} ns")
}

fn titled(what: &str, ours: &str) -> String {
    if ours.ends_with("-uring") { format!("{what}, io_uring") } else { what.to_owned() }
}

fn plain(ledger: &Ledger, shape: &Shape, ours: &'static str, bare: &str) -> Option<Row> {
    let own = ledger.median(shape.id, ours, "cpu")?;
    let ratio = ledger.ratio(shape.id, ours, bare, "cpu");
    let best = ledger.least(shape.id, peers(), "cpu");
    let rival = ledger.ratio(shape.id, ours, UWEBSOCKETS, "cpu");
    // A large payload is measured against the bare echo alone.
    let beats_rival =
        if shape.payload > 1024 || shape.connections > 240 { Some(true) } else { rival.map(|r| r <= 1.0) };
    let bare_text = ledger.median(shape.id, bare, "cpu").map(|cpu| format!("{} {}", name(bare), ns(cpu)));
    let best_text = best.map(|(id, cpu)| with_name(id, ns(cpu)));
    let peer: Vec<String> = bare_text.into_iter().chain(best_text).collect();
    Some(Row {
        what: titled(&format!("co-located, {}", shape.label), ours),
        goal: format!("at most {:.2} x {}", shape.goal, name(bare)),
        peer: peer.join("; "),
        ours: ns(own),
        ratio,
        reached: ratio.and_then(|ratio| Some(ratio <= shape.goal && beats_rival?)),
    })
}

fn tls(ledger: &Ledger, shape: &Shape, ours: &'static str) -> Option<Row> {
    let own = ledger.median(shape.id, ours, "cpu")?;
    let best = ledger.least(shape.id, peers(), "cpu");
    let ratio = best.and_then(|(best, _)| ledger.ratio(shape.id, ours, best, "cpu"));
    Some(Row {
        what: titled(&format!("co-located, {}", shape.label), ours),
        goal: format!("at most {:.2} x the best peer", shape.goal),
        peer: best.map_or_else(String::new, |(id, cpu)| with_name(id, ns(cpu))),
        ours: ns(own),
        ratio,
        reached: ratio.map(|ratio| ratio <= shape.goal),
    })
}

fn dedicated(ledger: &Ledger, shape: &str, ours: &'static str, reference: &str, goal: f64) -> Option<Row> {
    let own = ledger.median(shape, ours, "cpu")?;
    let p99 = ledger.median(shape, ours, "p99")?;
    let ratio = ledger.ratio(shape, ours, reference, "cpu");
    let label = ECHOES.iter().find(|known| known.id == shape).map_or(shape, |known| known.label);
    Some(Row {
        what: titled(&format!("dedicated, {label}"), ours),
        goal: format!(
            "half of the original, which outside of here is {goal:.2} x {}; p99 below 2 ms",
            name(reference)
        ),
        peer: ledger
            .median(shape, reference, "cpu")
            .map_or_else(String::new, |cpu| with_name(reference, ns(cpu))),
        ours: format!("{}; p99 {:.2} ms", ns(own), p99 / 1e3),
        ratio,
        reached: ratio.map(|ratio| ratio <= goal && p99 < 2000.0),
    })
}

fn lapps_protocol(ledger: &Ledger, ours: &'static str) -> Option<Row> {
    let own = ledger.median(LAPPS.id, ours, "user")?;
    let raw = ledger.median(COMMON, ours, "user")?;
    Some(Row {
        what: titled("LAppS-protocol echo, 128 B, co-located", ours),
        goal: "at most 2500 ns of user time above the raw echo".to_owned(),
        peer: format!("raw echo: user {}", ns(raw)),
        ours: format!("user {}: {} above", ns(own), ns(own - raw)),
        ratio: Some(own / raw).filter(|ratio| ratio.is_finite()),
        // User time is counted in ticks: a run that is too short has none.
        reached: (raw > 0.0).then_some(own - raw <= 2500.0),
    })
}

fn broadcast(ledger: &Ledger, ours: &'static str) -> Option<Row> {
    let own = ledger.median(FAN_OUT, ours, "cpu")?;
    let ratio = ledger.ratio(FAN_OUT, ours, BARE_FAN_OUT, "cpu");
    let connections = ledger.median(FAN_OUT, ours, "connections").unwrap_or(0.0);
    Some(Row {
        what: titled(&format!("broadcast of 128 B to {connections:.0}"), ours),
        goal: "at most 1.05 x a bare write loop, per delivery".to_owned(),
        peer: ledger
            .median(FAN_OUT, BARE_FAN_OUT, "cpu")
            .map_or_else(String::new, |cpu| format!("{} (write loop)", ns(cpu))),
        ours: ns(own),
        ratio,
        reached: ratio.map(|ratio| ratio <= 1.05),
    })
}

fn upgrades(ledger: &Ledger, shape: &str, ours: &'static str, least: f64) -> Option<Row> {
    let own = ledger.median(shape, ours, "rate")?;
    let best = ledger.least(shape, peers(), "cpu");
    let kind = if shape == TLS_UPGRADES { "TLS" } else { "plain" };
    Some(Row {
        what: titled(&format!("handshakes, {kind}"), ours),
        goal: format!("at least {least:.0} per second and core"),
        peer: best.map_or_else(String::new, |(id, cpu)| with_name(id, format!("{:.0}/s", 1e9 / cpu))),
        ours: format!("{own:.0}/s"),
        ratio: best.and_then(|(best, _)| ledger.ratio(shape, ours, best, "rate")),
        reached: Some(own >= least),
    })
}

fn idle(ledger: &Ledger, shape: &str, ours: &'static str, most: f64) -> Option<Row> {
    let own = ledger.median(shape, ours, "each")?;
    let left = ledger.median(shape, ours, "left")?;
    let best = ledger.least(shape, peers(), "each");
    let kind = if shape == TLS_IDLE { "TLS" } else { "plain" };
    Some(Row {
        what: titled(&format!("idle memory per connection, {kind}"), ours),
        goal: format!("at most {most:.0} B; given back when closed"),
        peer: best.map_or_else(String::new, |(id, bytes)| with_name(id, format!("{bytes:.0} B"))),
        ours: format!("{own:.0} B; {left:.0} B each are left when all are closed"),
        ratio: best.map(|(_, bytes)| own / bytes),
        reached: Some(own <= most && left <= own / 2.0),
    })
}

fn latency(ledger: &Ledger, ours: &'static str) -> Option<Row> {
    let figures = |id: &str| {
        let [p50, p99, p99_9] =
            ["p50", "p99", "p99.9"].map(|figure| ledger.median(PACED, id, figure).unwrap_or(f64::NAN));
        format!("p50 {p50:.0}, p99 {p99:.0}, p99.9 {p99_9:.0} us")
    };
    let own = ledger.median(PACED, ours, "p99.9")?;
    let rate = ledger.median(PACED, ours, "rate")?;
    let rival = ledger.median(PACED, UWEBSOCKETS, "p99.9");
    Some(Row {
        what: titled(
            &format!("latency, 128 B, 240 connections, {rate:.0} messages/s (half of our saturation)"),
            ours,
        ),
        goal: "p99.9 not above that of uWebSockets".to_owned(),
        peer: rival.map_or_else(String::new, |_| with_name(UWEBSOCKETS, figures(UWEBSOCKETS))),
        ours: figures(ours),
        ratio: rival.map(|rival| own / rival),
        reached: rival.map(|rival| own <= rival),
    })
}

fn scale(ledger: &Ledger) -> Option<Row> {
    let ends = [SCALE.first()?.0, SCALE.last()?.0];
    let [few, many] = ends.map(|shape| ledger.ratio(shape, OURS, BARE, "cpu"));
    let text = |id: &str| -> String {
        let each = SCALE.iter().filter_map(|(shape, _)| Some((shape, ledger.median(shape, id, "cpu")?)));
        let each: Vec<String> = each
            .map(|(shape, cpu)| {
                let connections = ledger.median(shape, id, "connections").unwrap_or(0.0);
                format!("{connections:.0}: {}", ns(cpu))
            })
            .collect();
        each.join(", ")
    };
    let growth = many? / few?;
    Some(Row {
        what: "cost of a message by connections, 128 B, co-located".to_owned(),
        goal: "grows at most 1.10 x as much as that of the bare echo".to_owned(),
        peer: format!("{} (bare epoll echo)", text(BARE)),
        ours: text(OURS),
        ratio: Some(growth),
        reached: Some(growth <= 1.10),
    })
}

fn parser(ledger: &Ledger) -> Vec<Row> {
    let mut rows = Vec::new();
    if let (Some(own), Some(memcpy)) = (
        ledger.median(layers::UNMASK, layers::PARSER, "ns"),
        ledger.median(layers::UNMASK, layers::MEMCPY, "ns"),
    ) {
        rows.push(Row {
            what: "unmasking 16 KiB".to_owned(),
            goal: "at most 1.05 x memcpy".to_owned(),
            peer: format!("{} (memcpy)", ns(memcpy)),
            ours: format!("{}: {:.0} GB/s", ns(own), 16_384.0 / own),
            ratio: Some(own / memcpy),
            reached: Some(own / memcpy <= 1.05),
        });
    }
    for (shape, what, most) in [
        (layers::DECODE_20, "a frame of 20 B decoded and unmasked", 6.0),
        (layers::DECODE_128, "a frame of 128 B decoded and unmasked", 9.0),
        (layers::HEAD_500, "an upgrade's head of 500 B read", 350.0),
    ] {
        if let Some(own) = ledger.median(shape, layers::PARSER, "ns") {
            rows.push(Row {
                what: what.to_owned(),
                goal: format!("at most {}", ns(most)),
                peer: String::new(),
                ours: format!("{own:.1} ns"),
                ratio: Some(own / most),
                reached: Some(own <= most),
            });
        }
    }
    rows
}

fn start(ledger: &Ledger) -> Option<Row> {
    let own = ledger.median(START, OURS, "ms")?;
    Some(Row {
        what: "ready with the demo home".to_owned(),
        goal: "in 20 ms".to_owned(),
        peer: String::new(),
        ours: format!("{own:.1} ms"),
        ratio: Some(own / 20.0),
        reached: Some(own <= 20.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::ledger::Run;

    type Cell<'a> = (&'a str, &'static str, &'a [(&'static str, f64)]);

    fn ledger(cells: &[Cell<'_>]) -> Ledger {
        let mut ledger = Ledger::default();
        for (shape, server, run) in cells {
            ledger.add(shape, server, run.iter().copied().collect::<Run>());
        }
        ledger
    }

    #[test]
    fn a_plain_echo_is_measured_against_the_bare_one_and_the_rival() {
        let row = |ours, rival| {
            let ledger = ledger(&[
                (COMMON, BARE, &[("cpu", 1000.0)]),
                (COMMON, OURS, &[("cpu", ours)]),
                (COMMON, UWEBSOCKETS, &[("cpu", rival)]),
                (COMMON, "yawc", &[("cpu", 900.0)]),
            ]);
            rows(&ledger)[0].clone()
        };
        let reached = row(1010.0, 1020.0);
        assert_eq!((reached.ratio, reached.reached), (Some(1.01), Some(true)));
        assert_eq!(reached.peer, "bare epoll echo 1000 ns; 900 ns (yawc)");
        assert_eq!(row(1030.0, 1100.0).reached, Some(false), "above the bare echo's");
        assert_eq!(row(1010.0, 1000.0).reached, Some(false), "above the rival's");
    }

    #[test]
    fn what_is_missing_is_not_called_reached() {
        let ledger =
            ledger(&[(COMMON, OURS, &[("cpu", 1.0), ("p99", 1.0)]), ("tls-20", OURS, &[("cpu", 1.0)])]);
        let rows = rows(&ledger);
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert!(rows.iter().all(|row| row.reached.is_none() && row.ratio.is_none()), "{rows:?}");
    }

    #[test]
    fn the_protocols_cost_is_a_difference() {
        let ledger = ledger(&[
            (COMMON, OURS, &[("cpu", 1.0), ("user", 300.0)]),
            (LAPPS.id, OURS, &[("user", 2900.0)]),
            (UPGRADES, OURS, &[("cpu", 1e5), ("rate", 10_000.0)]),
            (START, OURS, &[("ms", 12.0)]),
        ]);
        let rows = rows(&ledger);
        let reached: Vec<_> = rows[1..].iter().map(|row| row.reached).collect();
        assert_eq!(reached, [Some(false), Some(false), Some(true)], "{rows:?}");
    }
}
