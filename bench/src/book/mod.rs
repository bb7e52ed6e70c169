//! The book: LAppS, the bare echoes and other servers in turn, in every shape that the goals name.

pub mod chart;
pub mod fan_out;
pub mod goals;
pub mod layers;
pub mod ledger;
pub mod page;
pub mod roster;
pub mod runs;
pub mod shapes;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use self::goals::{BARE_FAN_OUT, FAN_OUT, IDLE, PACED, START, TLS_IDLE, TLS_UPGRADES, UPGRADES};
use self::ledger::{Ledger, Run};
use self::roster::{BARE, Contender, Host, Kind, OURS, Roster};
use self::runs::Length;
use self::shapes::{COMMON, ECHOES, LAPPS, SCALE, Shape};
use crate::failure::Failure;
use crate::home;
use crate::machine::{Machine, Pin};
use crate::server::Server;

/// Connections of a broadcast and of an idle run on plain TCP, if so many files may be open.
const MANY: u32 = 10_000;
/// Idle connections with TLS, each of which costs both ends a handshake.
const TLS_MANY: u32 = 2000;
/// Upgrades that are counted.
const UPGRADES_EACH: u32 = 1000;
/// Starts that are counted in each pass.
const STARTS: u32 = 3;

/// What to measure, and how.
#[derive(Debug, Clone)]
pub struct BookPlan {
    /// The `lapps` executable.
    pub lapps: PathBuf,
    /// The `lapps-bench` executable, which is the bare echo.
    pub bench: PathBuf,
    /// Where `bench/peers/build` has put the others.
    pub peers: PathBuf,
    /// How often the servers take turns.
    pub passes: u32,
    /// Load before each measurement.
    pub warm_up: Duration,
    /// Length of each measurement.
    pub duration: Duration,
    /// Names of those who are measured; everybody if it is empty.
    pub servers: Vec<String>,
    /// What the names of the shapes begin with; all if it is empty.
    pub shapes: Vec<String>,
    /// The most connections of a run.
    pub most: u32,
    /// What the user typed, for the page.
    pub command: String,
}

/// What came out.
#[derive(Debug)]
pub struct Book {
    /// Every figure.
    pub ledger: Ledger,
    machine: Machine,
    cores: [usize; 2],
    versions: Vec<(&'static str, String)>,
    absent: Vec<(&'static str, String)>,
    command: String,
    passes: u32,
    seconds: f64,
}

/// Runs all of it. `tell` hears a line for each run. A server that fails in one shape is noted and left out there.
///
/// # Errors
/// [`Failure::Server`] if LAppS cannot be started; [`Failure::Usage`] for an unknown name, and without two cores.
pub fn run(plan: &BookPlan, tell: &mut dyn FnMut(&str)) -> Result<Book, Failure> {
    let scratch = tempfile::Builder::new()
        .prefix("lapps-bench-")
        .tempdir()
        .map_err(|error| Failure::system("make a directory for homes and logs", error))?;
    let roster = Roster::find(&plan.lapps, &plan.bench, &plan.peers, scratch.path(), &plan.servers)?;
    for (name, why) in &roster.absent {
        tell(&format!("absent: {name}: {why}"));
    }
    // Before the pin, which would make it a machine of one core.
    let machine = Machine::here();
    let pin = Pin::two_cores()?;
    let cores = pin.cores();
    let mut writer = Writer { plan, roster: &roster, pin: &pin, ledger: Ledger::default(), tell };
    writer.layers();
    writer.starts();
    writer.plain()?;
    writer.tls()?;
    writer.idle(IDLE, false, MANY);
    writer.idle(TLS_IDLE, true, TLS_MANY);
    let ledger = writer.ledger;
    Ok(Book {
        ledger,
        machine,
        cores,
        versions: roster.versions,
        absent: roster.absent,
        command: plan.command.clone(),
        passes: plan.passes,
        seconds: plan.duration.as_secs_f64(),
    })
}

impl Book {
    /// The page.
    pub fn markdown(&self) -> String {
        page::markdown(self)
    }

    /// File name and text of each chart.
    pub fn charts(&self) -> Vec<(&'static str, String)> {
        page::charts(self)
    }

    /// Processor, cores and day, as the name of a directory.
    pub fn directory(&self) -> String {
        self.machine.directory()
    }

    /// Whether LAppS itself failed anywhere.
    pub fn has_failed(&self) -> bool {
        let is_ours = |id: &str| roster::ALL.iter().any(|one| one.id == id && one.kind == Kind::Ours);
        self.ledger.failures().any(|(_, server, _)| is_ours(server))
    }

    /// Everything, as one object.
    pub fn json(&self) -> Value {
        let goals: Vec<Value> = goals::rows(&self.ledger)
            .into_iter()
            .map(|row| {
                json!({
                    "what": row.what, "goal": row.goal, "peer": row.peer, "ours": row.ours,
                    "ratio": row.ratio, "reached": row.reached,
                })
            })
            .collect();
        json!({
            "machine": self.machine.json(),
            "cores": { "server": self.cores[0], "client": self.cores[1] },
            "versions": self.versions.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "absent": self.absent.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "command": self.command, "passes": self.passes, "seconds": self.seconds,
            "goals": goals,
            "cells": self.ledger.json(),
        })
    }
}

/// Runs and notes.
struct Writer<'a> {
    plan: &'a BookPlan,
    roster: &'a Roster,
    pin: &'a Pin,
    ledger: Ledger,
    tell: &'a mut dyn FnMut(&str),
}

/// Servers that run now.
type Running = Vec<(Host, Server)>;

impl Writer<'_> {
    fn wants(&self, shape: &str) -> bool {
        self.plan.shapes.is_empty()
            || self.plan.shapes.iter().any(|wanted| shape.starts_with(wanted.as_str()))
    }

    fn present(&self, kinds: &[Kind]) -> Vec<Contender> {
        self.roster.present.iter().filter(|contender| kinds.contains(&contender.kind)).copied().collect()
    }

    /// Of ours: those that live inside of the worker.
    fn co_located(&self) -> Vec<Contender> {
        self.present(&[Kind::Ours]).into_iter().filter(|one| one.target == home::CO_LOCATED).collect()
    }

    fn layers(&mut self) {
        if self.wants("parser") {
            (self.tell)("the parser by itself");
            for _ in 0..self.plan.passes {
                layers::run(&mut self.ledger);
            }
        }
    }

    fn starts(&mut self) {
        if !self.wants(START) || !self.roster.present.iter().any(|contender| contender.id == OURS) {
            return;
        }
        let log = tempfile::NamedTempFile::new();
        for _ in 0..self.plan.passes * STARTS {
            let run = log.as_ref().map_err(|error| Failure::Server(error.to_string())).and_then(|log| {
                self.pin.to_server()?;
                let mut command = self.roster.lapps_command();
                command.args(["run", "--demo", "--port", "0"]);
                let run = runs::ready(|| Server::start("lapps", command, "ws", log.path()));
                self.pin.to_client()?;
                run
            });
            self.note(START, OURS, 0, run);
        }
    }

    fn plain(&mut self) -> Result<(), Failure> {
        let everybody = self.present(&[Kind::Bare, Kind::Ours, Kind::Peer]);
        let speakers = self.present(&[Kind::Ours, Kind::Peer]);
        let wants_echo = ECHOES.iter().any(|shape| !shape.tls && self.wants(shape.id));
        let others = [LAPPS.id, PACED, UPGRADES].iter().any(|shape| self.wants(shape));
        let scales = SCALE.iter().any(|(shape, _)| self.wants(shape));
        if wants_echo || others || scales {
            let running = self.start(&everybody, false)?;
            for shape in ECHOES.iter().filter(|shape| !shape.tls) {
                self.echo(&running, &everybody, shape, false, None);
            }
            self.echo(&running, &self.present(&[Kind::Ours]), &LAPPS, true, None);
            self.paced(&running, &everybody);
            self.upgrades(&running, &speakers, UPGRADES);
            let few: Vec<Contender> =
                everybody.iter().filter(|one| [BARE, OURS].contains(&one.id)).copied().collect();
            for (id, connections) in SCALE {
                let connections = (*connections).min(self.plan.most);
                let shape = Shape { id, connections, ..LAPPS };
                self.echo(&running, &few, &shape, false, None);
            }
        }
        if self.wants(FAN_OUT) {
            self.broadcast()?;
        }
        Ok(())
    }

    fn tls(&mut self) -> Result<(), Failure> {
        let speakers = self.present(&[Kind::Ours, Kind::Peer]);
        let wants_echo = ECHOES.iter().any(|shape| shape.tls && self.wants(shape.id));
        if !wants_echo && !self.wants(TLS_UPGRADES) {
            return Ok(());
        }
        let running = self.start(&speakers, true)?;
        for shape in ECHOES.iter().filter(|shape| shape.tls) {
            self.echo(&running, &speakers, shape, false, None);
        }
        self.upgrades(&running, &speakers, TLS_UPGRADES);
        Ok(())
    }

    /// All that serve one of `contenders`, on the server's core. A peer that does not start is left out.
    fn start(&mut self, contenders: &[Contender], tls: bool) -> Result<Running, Failure> {
        let mut running = Running::new();
        self.pin.to_server()?;
        for contender in contenders {
            if running.iter().any(|(host, _)| *host == contender.host) {
                continue;
            }
            match self.roster.start(contender.host, tls) {
                Ok(server) => running.push((contender.host, server)),
                Err(failure) if contender.kind == Kind::Ours => return Err(failure),
                Err(failure) => (self.tell)(&format!("left out: {failure}")),
            }
        }
        self.pin.to_client()?;
        Ok(running)
    }

    fn echo(
        &mut self,
        running: &Running,
        contenders: &[Contender],
        shape: &Shape,
        lapps: bool,
        rate: Option<u64>,
    ) {
        if !self.wants(shape.id) || shape.connections > self.plan.most {
            return;
        }
        let length = Length { warm_up: self.plan.warm_up, measured: self.plan.duration };
        self.turns(running, contenders, shape.id, |server, contender| {
            let target = if lapps { contender.lapps_target.unwrap_or_default() } else { contender.target };
            let url = url(server, contender, shape.tls, target);
            let mut run = runs::echo(server, &url, shape, length, lapps, rate)?;
            run.insert("connections", f64::from(shape.connections));
            Ok(run)
        });
    }

    /// All at the rate that is half of what our echo did in the common shape; who is near its limit there is left out.
    fn paced(&mut self, running: &Running, contenders: &[Contender]) {
        let Some(most) = self.ledger.median(COMMON, OURS, "rate").filter(|_| self.wants(PACED)) else {
            return;
        };
        let rate = most / 2.0;
        let able: Vec<Contender> = contenders
            .iter()
            .filter(|one| self.ledger.median(COMMON, one.id, "rate").is_some_and(|own| own * 0.85 > rate))
            .copied()
            .collect();
        let common = Shape { id: PACED, depth: 64, ..LAPPS };
        self.echo(running, &able, &common, false, Some(rate as u64));
    }

    fn upgrades(&mut self, running: &Running, contenders: &[Contender], shape: &str) {
        if !self.wants(shape) {
            return;
        }
        let count = UPGRADES_EACH.min(self.plan.most);
        self.turns(running, contenders, shape, |server, contender| {
            runs::handshakes(server, &url(server, contender, shape == TLS_UPGRADES, contender.target), count)
        });
    }

    fn broadcast(&mut self) -> Result<(), Failure> {
        let mut contenders = self.co_located();
        let bare =
            Contender { id: BARE_FAN_OUT, kind: Kind::Bare, host: Host::BareFanOut, target: "", ..ALL_BARE };
        contenders.insert(0, bare);
        let running = self.start(&contenders, false)?;
        let connections = MANY.min(self.plan.most);
        let (warm_up, duration) = (self.plan.warm_up, self.plan.duration);
        self.turns(&running, &contenders, FAN_OUT, |server, contender| {
            let target = if contender.kind == Kind::Ours { home::BROADCAST } else { "" };
            let url = url(server, contender, false, target);
            let mut run = fan_out::run(server.pid(), &url, connections, warm_up, duration)?;
            run.insert("connections", f64::from(connections));
            Ok(run)
        });
        Ok(())
    }

    /// Each in a process of its own, once: memory does not drift as time does.
    fn idle(&mut self, shape: &str, tls: bool, connections: u32) {
        if !self.wants(shape) {
            return;
        }
        let connections = connections.min(self.plan.most);
        let speakers = self.present(&[Kind::Peer]);
        for contender in self.co_located().into_iter().chain(speakers) {
            let run = self.start(&[contender], tls).and_then(|running| match running.first() {
                Some((_, server)) => {
                    runs::idle(server, &url(server, &contender, tls, contender.target), connections)
                }
                None => Err(Failure::Server("it did not start".to_owned())),
            });
            self.note(shape, contender.id, 1, run);
        }
    }

    /// Every pass of one shape, in each of which everybody has a turn.
    fn turns(
        &mut self,
        running: &Running,
        contenders: &[Contender],
        shape: &str,
        mut measure: impl FnMut(&Server, &Contender) -> Result<Run, Failure>,
    ) {
        for pass in 1..=self.plan.passes {
            for contender in contenders {
                let Some((_, server)) = running.iter().find(|(host, _)| *host == contender.host) else {
                    continue;
                };
                if !self.ledger.has_failed(shape, contender.id) {
                    let run = measure(server, contender)
                        .map_err(|failure| server.failed(&format!("failed: {failure}")));
                    self.note(shape, contender.id, pass, run);
                }
            }
        }
    }

    fn note(&mut self, shape: &str, server: &'static str, pass: u32, run: Result<Run, Failure>) {
        match run {
            Ok(run) => {
                let figures: Vec<String> = ["cpu", "rate", "p99", "each", "ms"]
                    .iter()
                    .filter_map(|name| Some(format!("{name} {:.1}", run.get(name)?)))
                    .collect();
                (self.tell)(&format!("{shape:<16} {pass:>2}  {server:<22} {}", figures.join("  ")));
                self.ledger.add(shape, server, run);
            }
            Err(failure) => {
                (self.tell)(&format!("{shape:<16} {pass:>2}  {server:<22} {failure}"));
                self.ledger.fail(shape, server, failure.to_string());
            }
        }
    }
}

/// What a bare server is like, but for its name.
const ALL_BARE: Contender = roster::ALL[0];

fn url(server: &Server, contender: &Contender, tls: bool, target: &str) -> String {
    let scheme = match (contender.kind, tls) {
        (Kind::Bare, _) => "tcp",
        (_, true) => "wss",
        (_, false) => "ws",
    };
    format!("{scheme}://{}{target}", server.authority())
}
