//! The book as a Markdown page and as charts.

use std::fmt::Write;

use super::Book;
use super::chart::{Bar, Panel, svg};
use super::goals::{self, IDLE, PACED, TLS_IDLE, TLS_UPGRADES, UPGRADES};
use super::roster::{ALL, Kind};
use super::shapes::{ECHOES, SCALE};
use crate::machine::Machine;

/// The whole page.
pub fn markdown(book: &Book) -> String {
    let Machine { cpu, cores, kernel, date } = &book.machine;
    let mut text = format!(
        "# LAppS beside its peers\n\n\
         Made by `{}`: medians of {} passes of {} s, in turn; the server on one core, the load client on another.\n\
         \"CPU\" is the server's user and system time per message. Ratios are medians of the ratios of each pass: figures of two\n\
         servers differ by less than 7 % by chance alone. Compare within this run, not with another day's or machine's.\n\n",
        book.command, book.passes, book.seconds
    );
    goal_table(&mut text, book);
    let plain: Vec<(&str, &str)> = echoes(false);
    let tls: Vec<(&str, &str)> = echoes(true);
    figures(&mut text, book, "Plain: CPU nanoseconds per message", &plain, "cpu");
    figures(
        &mut text,
        book,
        "Plain: 99th percentile of latency in microseconds, as fast as it goes",
        &plain,
        "p99",
    );
    figures(&mut text, book, "TLS 1.3, AES-128-GCM: CPU nanoseconds per message", &tls, "cpu");
    let scale: Vec<(&str, &str)> = SCALE.iter().map(|(id, _)| (*id, &id["scale-".len()..])).collect();
    figures(&mut text, book, "CPU nanoseconds per message by connections", &scale, "cpu");
    figures(
        &mut text,
        book,
        "Handshakes: CPU nanoseconds each",
        &[(UPGRADES, "plain"), (TLS_UPGRADES, "TLS")],
        "cpu",
    );
    figures(
        &mut text,
        book,
        "Idle connections: resident bytes each",
        &[(IDLE, "plain"), (TLS_IDLE, "TLS")],
        "each",
    );
    paced(&mut text, book);
    let _ = write!(
        text,
        "## Where and with what\n\n\
         - machine: {cpu}, {cores} cores, {kernel}\n\
         - cores: server {}, client {}\n\
         - date: {date}\n",
        book.cores[0], book.cores[1]
    );
    for (name, version) in &book.versions {
        let _ = writeln!(text, "- {}: {version}", name.replace('*', ""));
    }
    for (name, why) in &book.absent {
        let _ = writeln!(text, "- absent: {} ({why})", name.replace('*', ""));
    }
    for (shape, server, why) in book.ledger.failures() {
        let _ = writeln!(text, "- failed: {server} in {shape}: {}", why.lines().next().unwrap_or_default());
    }
    text
}

/// Name and text of each chart.
pub fn charts(book: &Book) -> Vec<(&'static str, String)> {
    let mut charts = Vec::new();
    let mut add = |file, title, unit, shapes: &[(&str, &str)], figure| {
        let panels = panels(book, shapes, figure);
        if !panels.is_empty() {
            charts.push((file, svg(title, unit, &panels)));
        }
    };
    let cpu = "CPU nanoseconds of the server per message: shorter is better";
    add("plain.svg", "Echo on plain TCP", cpu, &echoes(false), "cpu");
    add("tls.svg", "Echo with TLS 1.3", cpu, &echoes(true), "cpu");
    let idle = [(IDLE, "plain"), (TLS_IDLE, "TLS")];
    add(
        "idle.svg",
        "Idle connections",
        "resident bytes of the server per connection: shorter is better",
        &idle,
        "each",
    );
    let unit = "99.9th percentile in microseconds, all at the same rate: shorter is better";
    add("latency.svg", "Latency", unit, &[(PACED, "128 B, 240 connections")], "p99.9");
    let upgrades = [(UPGRADES, "plain"), (TLS_UPGRADES, "TLS")];
    add(
        "handshakes.svg",
        "Handshakes",
        "CPU nanoseconds of the server each: shorter is better",
        &upgrades,
        "cpu",
    );
    charts
}

fn echoes(tls: bool) -> Vec<(&'static str, &'static str)> {
    ECHOES.iter().filter(|shape| shape.tls == tls).map(|shape| (shape.id, shape.label)).collect()
}

fn goal_table(text: &mut String, book: &Book) {
    let _ = write!(
        text,
        "## Goals\n\n| what | goal | best peer in this run | ours | ratio | reached |\n|---|---|---|---|--:|---|\n"
    );
    for row in goals::rows(&book.ledger) {
        let ratio = row.ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let reached = match row.reached {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {ratio} | {reached} |",
            row.what, row.goal, row.peer, row.ours
        );
    }
    text.push('\n');
}

/// A table with a row for each server and a column for each shape of which there is anything.
fn figures(text: &mut String, book: &Book, title: &str, shapes: &[(&str, &str)], figure: &str) {
    let shapes: Vec<&(&str, &str)> = shapes.iter().filter(|(id, _)| book.ledger.has(id)).collect();
    if shapes.is_empty() {
        return;
    }
    let _ = write!(text, "## {title}\n\n| server |");
    for (_, label) in &shapes {
        let _ = write!(text, " {label} |");
    }
    let _ = writeln!(text, "\n|---|{}", "--:|".repeat(shapes.len()));
    for contender in ALL {
        let medians: Vec<Option<f64>> =
            shapes.iter().map(|(id, _)| book.ledger.median(id, contender.id, figure)).collect();
        if medians.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(text, "| {} |", contender.name);
        for median in medians {
            let _ = match median {
                Some(value) => write!(text, " {value:.0} |"),
                None => write!(text, " |"),
            };
        }
        text.push('\n');
    }
    text.push('\n');
}

fn paced(text: &mut String, book: &Book) {
    if !book.ledger.has(PACED) {
        return;
    }
    let _ = write!(
        text,
        "## Latency in microseconds, all at the same rate\n\n| server | messages/s | p50 | p99 | p99.9 |\n|---|--:|--:|--:|--:|\n"
    );
    for contender in ALL {
        let figures =
            ["rate", "p50", "p99", "p99.9"].map(|figure| book.ledger.median(PACED, contender.id, figure));
        if let [Some(rate), Some(p50), Some(p99), Some(p99_9)] = figures {
            let _ = writeln!(text, "| {} | {rate:.0} | {p50:.0} | {p99:.0} | {p99_9:.0} |", contender.name);
        }
    }
    text.push('\n');
}

fn panels(book: &Book, shapes: &[(&str, &str)], figure: &str) -> Vec<Panel> {
    let panel = |(id, label): &(&str, &str)| {
        let bars: Vec<Bar> = ALL
            .iter()
            .filter_map(|contender| {
                let value = book.ledger.median(id, contender.id, figure)?.max(0.0);
                let name = contender.name.split(" (").next().unwrap_or_default().replace('*', "");
                Some(Bar { name, value, ours: contender.kind == Kind::Ours })
            })
            .collect();
        (!bars.is_empty()).then(|| Panel { title: (*label).to_owned(), bars })
    };
    shapes.iter().filter_map(panel).collect()
}
