//! LAppS beside the bare echo: the same client, the same cores, in turn.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lapps_parser::OpCode;
use serde_json::{Value, json};

use crate::echo::{self, EchoPlan, EchoReport, Progress};
use crate::failure::Failure;
use crate::home;
use crate::machine::{Machine, Pin};
use crate::report::echo_json;
use crate::server::Server;
use crate::table::{Case, Figures, baseline, markdown};
use crate::target::Target;
use crate::url::Url;

/// Name of the baseline in tables.
pub const BARE: &str = "bare echo";
const CO_LOCATED: &str = "lapps, co-located";
const DEDICATED: &str = "lapps, dedicated";
const LAPPS_CO_LOCATED: &str = "LAppS protocol, co-located";
const LAPPS_DEDICATED: &str = "LAppS protocol, dedicated";

/// What to compare, and how.
#[derive(Debug, Clone)]
pub struct ComparePlan {
    /// The `lapps` executable.
    pub lapps: PathBuf,
    /// The `lapps-bench` executable, which is the bare echo.
    pub bench: PathBuf,
    /// Connections of each run.
    pub connections: u32,
    /// Bytes of each message.
    pub payload: usize,
    /// Depths, each of which is a case for every server.
    pub depths: Vec<u32>,
    /// How often the servers take turns.
    pub passes: u32,
    /// Load before each measurement.
    pub warm_up: Duration,
    /// Length of each measurement.
    pub duration: Duration,
}

/// What came out.
#[derive(Debug)]
pub struct Comparison {
    /// One for each server and depth.
    pub cases: Vec<Case>,
    /// Every run, as [`echo_json`] has it, with server and pass.
    pub runs: Vec<Value>,
    machine: Machine,
    /// What `lapps --version` says.
    lapps: String,
    load: String,
    cores: [usize; 2],
}

/// Starts the servers, lets them take turns, ends them. `tell` hears one line for each run.
///
/// # Errors
/// [`Failure::Server`] if a server does not start; the failure of the first run that fails, with the end of the
/// server's log.
pub fn run(plan: &ComparePlan, tell: &mut dyn FnMut(&str)) -> Result<Comparison, Failure> {
    let lapps_version = version(&plan.lapps)?;
    let directory = tempfile::Builder::new()
        .prefix("lapps-bench-")
        .tempdir()
        .map_err(|error| Failure::system("make a directory for the home", error))?;
    home::write(directory.path())?;

    // Before the pin, which would make it a machine of one core.
    let machine = Machine::here();
    let pin = Pin::two_cores()?;
    pin.to_server()?;
    let mut command = Command::new(&plan.bench);
    command.arg("bare-echo");
    let bare = Server::start("the bare echo", command, "tcp", &directory.path().join("bare.log"))?;
    let mut command = Command::new(&plan.lapps);
    command.arg("run").arg("--home").arg(directory.path());
    // Settings of the user's own installation must not reach this one.
    for name in ["LAPPS_HOME", "LAPPS_CONF_DIR", "WS_CONFIG", "LAPPS_CONFIG", "LUA_PATH", "LUA_CPATH"] {
        command.env_remove(name);
    }
    let lapps = Server::start("lapps", command, "ws", &directory.path().join("lapps.log"))?;
    pin.to_client()?;

    let turns = [
        (BARE, &bare, format!("tcp://{}", bare.authority())),
        (CO_LOCATED, &lapps, format!("ws://{}{}", lapps.authority(), home::CO_LOCATED)),
        (DEDICATED, &lapps, format!("ws://{}{}", lapps.authority(), home::DEDICATED)),
        (LAPPS_CO_LOCATED, &lapps, format!("ws://{}{}", lapps.authority(), home::LAPPS_CO_LOCATED)),
        (LAPPS_DEDICATED, &lapps, format!("ws://{}{}", lapps.authority(), home::LAPPS_DEDICATED)),
    ];
    let mut cases: Vec<Case> = plan
        .depths
        .iter()
        .flat_map(|depth| {
            turns.iter().map(|(name, ..)| Case { server: name, depth: *depth, runs: Vec::new() })
        })
        .collect();
    let mut runs = Vec::new();
    for pass in 1..=plan.passes {
        for (case, (name, server, url)) in cases.iter_mut().zip(turns.iter().cycle()) {
            let speaks_lapps = [LAPPS_CO_LOCATED, LAPPS_DEDICATED].contains(name);
            let plan = echo_plan(plan, url, server.pid(), case.depth, speaks_lapps)?;
            let report = echo::run(&plan, &mut |_: Progress| ())
                .map_err(|failure| server.failed(&format!("failed at depth {}: {failure}", case.depth)))?;
            let figures = figures(&report);
            tell(&format!(
                "pass {pass}  {name:<24} depth {:<3} {:>9.0} messages/s  {:>6.0} ns/message",
                case.depth, figures.rate, figures.cpu
            ));
            case.runs.push(figures);
            let mut run = echo_json(&plan, &report);
            run["server_name"] = json!(name);
            run["pass"] = json!(pass);
            runs.push(run);
        }
    }
    let load = format!(
        "{} connections, {} bytes, {} passes of {} s",
        plan.connections,
        plan.payload,
        plan.passes,
        plan.duration.as_secs_f64()
    );
    Ok(Comparison { cases, runs, machine, lapps: lapps_version, load, cores: pin.cores() })
}

impl Comparison {
    /// The table, with what it depends on.
    pub fn markdown(&self) -> String {
        let Machine { cpu, cores, kernel, date } = &self.machine;
        format!(
            "# Echo: {load}\n\n\
             {table}\n\
             CPU ns/message is the server's user and system time, the median over the passes, with its least and its\n\
             greatest value; \"to {BARE}\" is the ratio of the medians at the same depth, \"by pass\" the median of the\n\
             ratios of each pass; \"user\" is the part of it in user space, to 10 ms of the whole run. Plain TCP, binary\n\
             messages. LAppS-protocol rows: requests whose parameter is the payload, and responses with it.\n\n\
             - machine: {cpu}, {cores} cores, {kernel}\n\
             - cores: server {server_core}, client {client_core}\n\
             - date: {date}\n\
             - versions: {lapps}; lapps-bench {bench}\n",
            load = self.load,
            table = markdown(&self.cases, BARE),
            server_core = self.cores[0],
            client_core = self.cores[1],
            lapps = self.lapps,
            bench = env!("CARGO_PKG_VERSION"),
        )
    }

    /// Everything, as one object.
    pub fn json(&self) -> Value {
        let cases: Vec<Value> = self
            .cases
            .iter()
            .map(|case| {
                let to = baseline(&self.cases, case, BARE);
                json!({
                    "server": case.server,
                    "depth": case.depth,
                    "messages_per_second": case.median(|run| run.rate),
                    "cpu_ns_per_message": case.median(|run| run.cpu),
                    "user_ns_per_message": case.median(|run| run.user),
                    "ratio_of_medians": to.map(|to| case.ratio(to)),
                    "median_of_ratios": to.map(|to| case.ratio_by_pass(to)),
                })
            })
            .collect();
        json!({
            "machine": self.machine.json(),
            "cores": { "server": self.cores[0], "client": self.cores[1] },
            "versions": { "lapps": self.lapps, "lapps-bench": env!("CARGO_PKG_VERSION") },
            "cases": cases,
            "runs": self.runs,
        })
    }
}

fn echo_plan(plan: &ComparePlan, url: &str, pid: u32, depth: u32, lapps: bool) -> Result<EchoPlan, Failure> {
    Ok(EchoPlan {
        target: Target::find(Url::parse(url)?, None)?,
        connections: plan.connections,
        payload: plan.payload,
        depth,
        opcode: OpCode::Binary,
        lapps,
        warm_up: plan.warm_up,
        duration: plan.duration,
        rate: None,
        pid: Some(pid),
        stall: Duration::from_secs(10),
    })
}

fn figures(report: &EchoReport) -> Figures {
    let (cpu, user) = report.server.map_or((0, 0), |(cpu, _)| (cpu.run, cpu.user));
    Figures {
        rate: report.rate(),
        cpu: cpu as f64 / report.messages.max(1) as f64,
        user: user as f64 / report.messages.max(1) as f64,
        p50: report.latency.p50 as f64 / 1e3,
        p99: report.latency.p99 as f64 / 1e3,
    }
}

/// The first line of `lapps --version`.
pub(crate) fn version(lapps: &Path) -> Result<String, Failure> {
    let output = Command::new(lapps)
        .arg("--version")
        .output()
        .map_err(|error| Failure::Server(format!("cannot run {} --version: {error}", lapps.display())))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(line) if output.status.success() => Ok(line.to_owned()),
        _ => Err(Failure::Server(format!("{} --version does not say a version", lapps.display()))),
    }
}
