//! One run of one server: an echo, upgrades, idle connections, a start.

use std::time::{Duration, Instant};

use lapps_parser::OpCode;
use rustls::pki_types::ServerName;

use super::ledger::Run;
use super::shapes::Shape;
use crate::echo::{self, EchoPlan, EchoReport, Progress};
use crate::failure::Failure;
use crate::idle::{self, IdlePlan};
use crate::pool::Pool;
use crate::process::CpuTime;
use crate::server::Server;
use crate::target::Target;
use crate::tls::uniform_config;
use crate::url::Url;

/// How long a server may stand still.
const STALL: Duration = Duration::from_secs(10);
const GOODBYE: Duration = Duration::from_secs(5);

/// How long each echo run is.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// Load that does not count.
    pub warm_up: Duration,
    /// Load that counts.
    pub measured: Duration,
}

/// The server at `url`, as every run here speaks to it.
///
/// # Errors
/// As [`Target::find`].
pub fn target(url: &str) -> Result<Target, Failure> {
    let url = Url::parse(url)?;
    let address = url.resolve()?;
    let tls = if url.scheme == crate::url::Scheme::Wss {
        let name = ServerName::try_from(url.host.clone())
            .map_err(|error| Failure::Usage(format!("{:?} is no name of a TLS server: {error}", url.host)))?;
        Some((uniform_config()?, name))
    } else {
        None
    };
    Ok(Target { url, address, tls })
}

/// An echo: `cpu`, `user` in nanoseconds per message, `rate` in messages per second, `p50`, `p99`, `p99.9` in
/// microseconds. `rate` paces it.
///
/// # Errors
/// The first thing that goes wrong, as [`echo::run`].
pub fn echo(
    server: &Server,
    url: &str,
    shape: &Shape,
    length: Length,
    lapps: bool,
    rate: Option<u64>,
) -> Result<Run, Failure> {
    let plan = EchoPlan {
        target: target(url)?,
        connections: shape.connections,
        payload: shape.payload,
        depth: shape.depth,
        opcode: OpCode::Binary,
        lapps,
        warm_up: length.warm_up,
        duration: length.measured,
        rate,
        pid: Some(server.pid()),
        stall: STALL,
    };
    Ok(figures(&echo::run(&plan, &mut |_: Progress| ())?))
}

fn figures(report: &EchoReport) -> Run {
    let cpu = report.server.map_or_else(CpuTime::default, |(cpu, _)| cpu);
    let each = |nanoseconds: u64| nanoseconds as f64 / report.messages.max(1) as f64;
    let us = |nanoseconds: u64| nanoseconds as f64 / 1e3;
    Run::from([
        ("cpu", each(cpu.run)),
        ("user", each(cpu.user)),
        ("rate", report.rate()),
        ("p50", us(report.latency.p50)),
        ("p99", us(report.latency.p99)),
        ("p99.9", us(report.latency.p99_9)),
        ("client", 100.0 * report.client as f64 / report.length.max(1) as f64),
    ])
}

/// Connections from accept to the end of the upgrade: `cpu` in nanoseconds each, `rate` per second of the server's CPU.
///
/// # Errors
/// As [`Pool::open`].
pub fn handshakes(server: &Server, url: &str, count: u32) -> Result<Run, Failure> {
    let target = target(url)?;
    let before = CpuTime::of(server.pid())?;
    let mut pool = Pool::open(&target, count, STALL, &mut |_| ())?;
    let spent = CpuTime::of(server.pid())?.since(before).run;
    pool.close(GOODBYE)?;
    let each = spent as f64 / f64::from(count);
    Ok(Run::from([("cpu", each), ("rate", 1e9 / each.max(1.0))]))
}

/// Connections that say nothing: `each` is the resident bytes of one, `left` those per connection that stay when all are
/// closed. The first of a server's life are not counted, for they fill what all share.
///
/// # Errors
/// As [`idle::run`].
pub fn idle(server: &Server, url: &str, connections: u32) -> Result<Run, Failure> {
    let mut plan = IdlePlan {
        target: target(url)?,
        connections: 50,
        hold: Duration::ZERO,
        pid: server.pid(),
        stall: STALL,
    };
    idle::run(&plan, &mut |_| ())?;
    plan.connections = connections;
    plan.hold = Duration::from_secs(1);
    let report = idle::run(&plan, &mut |_| ())?;
    let left = (report.closed as f64 - report.before as f64) / f64::from(connections);
    Ok(Run::from([("each", report.per_connection()), ("left", left)]))
}

/// From the start of the process until it says that it listens: `ms`.
///
/// # Errors
/// As [`Server::start`].
pub fn ready(start: impl FnOnce() -> Result<Server, Failure>) -> Result<Run, Failure> {
    let began = Instant::now();
    let server = start()?;
    let took = began.elapsed();
    drop(server);
    Ok(Run::from([("ms", took.as_secs_f64() * 1e3)]))
}
