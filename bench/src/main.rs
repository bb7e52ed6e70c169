//! The command line of `lapps-bench`.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, value_parser};
use lapps_bench::bare::BareEcho;
use lapps_bench::bare_fan_out::BareFanOut;
use lapps_bench::book::{self, BookPlan, fan_out};
use lapps_bench::compare::{self, ComparePlan};
use lapps_bench::echo::{self, EchoPlan};
use lapps_bench::failure::Failure;
use lapps_bench::home::{self, Wishes};
use lapps_bench::idle::{self, IdlePlan};
use lapps_bench::machine::Machine;
use lapps_bench::queues::{self, QueuesPlan};
use lapps_bench::target::Target;
use lapps_bench::tls::Trust;
use lapps_bench::url::Url;
use lapps_bench::{descriptors, report};
use lapps_parser::OpCode;

/// Load client, idle-memory probe and bare echo baseline for LAppS.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send messages to an echo server, check every byte, report throughput, latency and the server's CPU time.
    Echo(EchoArgs),
    /// Open connections that say nothing and report what each costs the server in resident memory.
    Idle(IdleArgs),
    /// Serve the baseline: a TCP echo that does nothing else.
    BareEcho(BareArgs),
    /// Serve the baseline for broadcasts: what any client sends is written to all of them.
    BareFanOut(BareArgs),
    /// Ask for broadcasts, one after the other, and count what each delivery costs the server.
    FanOut(FanOutArgs),
    /// Write the home that comparisons serve: echoes at /echo, /echo-dedicated, /lapps and /lapps-dedicated, and /broadcast.
    Home(HomeArgs),
    /// Say the name of the directory below bench/record/ for this machine and day.
    Machine,
    /// Run LAppS, the bare echoes and other servers in turn in every shape of the goals; `bench/compare` prepares that.
    Book(BookArgs),
    /// Run LAppS and the bare echo in turn, server and client on a core of their own, and print a table.
    Compare(CompareArgs),
    /// Pass messages from one service to another by `mqr`, as values and serialised, and print a table.
    Queues(QueuesArgs),
}

#[derive(Args)]
struct EchoArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 240, value_parser = value_parser!(u32).range(1..))]
    connections: u32,
    /// Bytes in each message.
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = payload)]
    payload: usize,
    /// Messages that each connection keeps under way.
    #[arg(long, value_name = "D", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    depth: u32,
    /// Length of the measurement.
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// Load before the measurement, which does not count.
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    warmup: Duration,
    /// Messages per second over all connections, on a fixed schedule; latency counts from the scheduled time.
    #[arg(long, value_name = "MESSAGES_PER_SECOND", value_parser = value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// The server's process id, to report its CPU time and memory.
    #[arg(long)]
    pid: Option<u32>,
    /// Send text messages.
    #[arg(long, conflicts_with = "binary")]
    text: bool,
    /// Send binary messages (the default).
    #[arg(long)]
    binary: bool,
    /// Send requests of the LAppS protocol, whose parameter is the payload, to a service that echoes the params.
    #[arg(long, conflicts_with = "text")]
    lapps: bool,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct IdleArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = value_parser!(u32).range(1..))]
    connections: u32,
    /// How long to hold them before memory is read.
    #[arg(long, value_name = "S", default_value = "0", value_parser = seconds)]
    seconds: Duration,
    /// The server's process id.
    #[arg(long)]
    pid: u32,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct BareArgs {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[derive(Args)]
struct CompareArgs {
    /// The lapps executable.
    #[arg(long, value_name = "PATH")]
    lapps: PathBuf,
    /// Bytes in each message.
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = payload)]
    payload: usize,
    /// Messages that each connection keeps under way; several make several cases.
    #[arg(long, value_name = "D,..", default_value = "1,16", value_delimiter = ',', value_parser = value_parser!(u32).range(1..))]
    depths: Vec<u32>,
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 240, value_parser = value_parser!(u32).range(1..))]
    connections: u32,
    /// How often the servers take turns.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    passes: u32,
    /// Length of each measurement.
    #[arg(long, value_name = "S", default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// Load before each measurement, which does not count.
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    warmup: Duration,
    /// Write table, figures of every run and machine facts into this directory.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
}

#[derive(Args)]
struct FanOutArgs {
    /// ws:// URL of the service /broadcast, or tcp:// for the bare fan-out.
    url: String,
    /// Connections, each of which gets every broadcast.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = value_parser!(u32).range(1..))]
    connections: u32,
    /// Length of the measurement.
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// The server's process id.
    #[arg(long)]
    pid: u32,
}

#[derive(Args)]
struct HomeArgs {
    /// The directory; what is there is overwritten.
    directory: PathBuf,
    /// Certificate and key, both PEM, of a home that is served with TLS.
    #[arg(long, num_args = 2, value_names = ["CERTIFICATE", "KEY"])]
    tls: Option<Vec<PathBuf>>,
    /// The value of the key `io`.
    #[arg(long)]
    io: Option<String>,
}

#[derive(Args)]
struct BookArgs {
    /// The lapps executable.
    #[arg(long, value_name = "PATH")]
    lapps: PathBuf,
    /// Where `bench/peers/build` has put the other servers.
    #[arg(long, value_name = "DIR")]
    peers: PathBuf,
    /// How often the servers take turns.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    passes: u32,
    /// Length of each measurement.
    #[arg(long, value_name = "S", default_value = "0.4", value_parser = seconds)]
    seconds: Duration,
    /// Load before each measurement, which does not count.
    #[arg(long, value_name = "S", default_value = "0.1", value_parser = seconds)]
    warmup: Duration,
    /// Measure only these servers.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    servers: Vec<String>,
    /// Measure only shapes whose names begin so: plain, plain-128, tls, lapps, paced, handshake, idle, broadcast, scale, parser,
    /// start.
    #[arg(long, value_name = "SHAPE,..", value_delimiter = ',')]
    shapes: Vec<String>,
    /// Write page, charts and figures of every run into a directory for machine and day below this one.
    #[arg(long, value_name = "DIR")]
    records: Option<PathBuf>,
    /// The command to be named on the page.
    #[arg(long, value_name = "TEXT", default_value = "lapps-bench book")]
    command: String,
}

#[derive(Args)]
struct QueuesArgs {
    /// The lapps executable.
    #[arg(long, value_name = "PATH")]
    lapps: PathBuf,
    /// Small messages of each run; of large ones a twentieth.
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = value_parser!(u32).range(100..))]
    messages: u32,
    /// How often the cases take turns.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    passes: u32,
    /// Write table, figures of every run and machine facts into this directory.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
}

#[derive(Args)]
struct ServerArgs {
    /// ws://, wss:// or tcp:// (the payload alone, for the bare echo).
    url: String,
    /// PEM file with the certificate to trust for wss://.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Trust every certificate.
    #[arg(long)]
    insecure: bool,
    /// How long the server may stand still before the run is given up.
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    stall: Duration,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Echo(args) => run_echo(&args),
        Command::Idle(args) => run_idle(&args),
        Command::BareEcho(args) => run_bare_echo(&args),
        Command::BareFanOut(args) => run_bare_fan_out(&args),
        Command::FanOut(args) => run_fan_out(&args),
        Command::Home(args) => run_home(&args),
        Command::Machine => print(&format!("{}\n", Machine::here().directory())),
        Command::Book(args) => run_book(&args),
        Command::Compare(args) => run_compare(&args),
        Command::Queues(args) => run_queues(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("lapps-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run_echo(args: &EchoArgs) -> Result<(), Failure> {
    descriptors::raise(args.connections)?;
    let plan = EchoPlan {
        target: args.server.find()?,
        connections: args.connections,
        payload: args.payload,
        depth: args.depth,
        opcode: if args.text { OpCode::Text } else { OpCode::Binary },
        lapps: args.lapps,
        warm_up: args.warmup,
        duration: args.seconds,
        rate: args.rate,
        pid: args.pid,
        stall: args.server.stall,
    };
    let result = echo::run(&plan, &mut |progress| {
        if let Some(line) = report::progress_line(&plan, progress) {
            eprintln!("{line}");
        }
    })?;
    print(&if args.json {
        format!("{}\n", report::echo_json(&plan, &result))
    } else {
        report::echo_text(&plan, &result)
    })
}

fn run_idle(args: &IdleArgs) -> Result<(), Failure> {
    descriptors::raise(args.connections)?;
    let plan = IdlePlan {
        target: args.server.find()?,
        connections: args.connections,
        hold: args.seconds,
        pid: args.pid,
        stall: args.server.stall,
    };
    let mut told = std::time::Instant::now();
    let result = idle::run(&plan, &mut |open| {
        if open == plan.connections || told.elapsed() >= Duration::from_secs(1) {
            told = std::time::Instant::now();
            eprintln!("{open} of {} connections are open", plan.connections);
        }
    })?;
    print(&if args.json {
        format!("{}\n", report::idle_json(&plan, &result))
    } else {
        report::idle_text(&plan, &result)
    })
}

fn run_bare_echo(args: &BareArgs) -> Result<(), Failure> {
    let mut server = BareEcho::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)))?;
    print(&format!("listening on tcp://{}\n", server.address()?))?;
    server.serve()
}

fn run_bare_fan_out(args: &BareArgs) -> Result<(), Failure> {
    descriptors::raise(0)?;
    let mut server = BareFanOut::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)))?;
    print(&format!("listening on tcp://{}\n", server.address()?))?;
    server.serve()
}

fn run_fan_out(args: &FanOutArgs) -> Result<(), Failure> {
    descriptors::raise(args.connections)?;
    let warm_up = Duration::from_millis(500);
    let run = fan_out::run(args.pid, &args.url, args.connections, warm_up, args.seconds)?;
    let figure = |name: &str| run.get(name).copied().unwrap_or(f64::NAN);
    print(&format!(
        "deliveries/s           {:.0}\nserver CPU ns/delivery {:.0}  (user {:.0})\n",
        figure("rate"),
        figure("cpu"),
        figure("user")
    ))
}

fn run_home(args: &HomeArgs) -> Result<(), Failure> {
    let tls = match args.tls.as_deref() {
        Some([certificate, key]) => Some((certificate.as_path(), key.as_path())),
        _ => None,
    };
    home::write_with(&args.directory, &Wishes { tls, io: args.io.as_deref() })
}

fn run_book(args: &BookArgs) -> Result<(), Failure> {
    // The servers inherit the limit, too.
    let most = descriptors::most()?;
    let plan = BookPlan {
        lapps: args.lapps.clone(),
        bench: this_executable()?,
        peers: args.peers.clone(),
        passes: args.passes,
        warm_up: args.warmup,
        duration: args.seconds,
        servers: args.servers.clone(),
        shapes: args.shapes.clone(),
        most,
        command: args.command.clone(),
    };
    let book = book::run(&plan, &mut |line| eprintln!("{line}"))?;
    if let Some(records) = &args.records {
        let directory = records.join(book.directory());
        report::record(&directory, &book.markdown(), &book.json())?;
        for (name, text) in book.charts() {
            report::put(&directory.join(name), &text)?;
        }
        eprintln!("written: {}", directory.display());
    }
    print(&book.markdown())?;
    if book.has_failed() { Err(Failure::Server("lapps failed in a shape".to_owned())) } else { Ok(()) }
}

fn this_executable() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::system("find this executable", error))
}

fn run_queues(args: &QueuesArgs) -> Result<(), Failure> {
    let plan = QueuesPlan { lapps: args.lapps.clone(), messages: args.messages, passes: args.passes };
    let queues = queues::run(&plan, &mut |line| eprintln!("{line}"))?;
    if let Some(directory) = &args.record {
        report::record(directory, &queues.markdown(), &queues.json())?;
    }
    print(&queues.markdown())
}

fn run_compare(args: &CompareArgs) -> Result<(), Failure> {
    descriptors::raise(args.connections)?;
    let plan = ComparePlan {
        lapps: args.lapps.clone(),
        bench: this_executable()?,
        connections: args.connections,
        payload: args.payload,
        depths: args.depths.clone(),
        passes: args.passes,
        warm_up: args.warmup,
        duration: args.seconds,
    };
    let comparison = compare::run(&plan, &mut |line| eprintln!("{line}"))?;
    if let Some(directory) = &args.record {
        report::record(directory, &comparison.markdown(), &comparison.json())?;
    }
    print(&comparison.markdown())
}

impl ServerArgs {
    fn find(&self) -> Result<Target, Failure> {
        let trust = match (&self.ca, self.insecure) {
            (Some(path), _) => Some(Trust::Authority(path)),
            (None, true) => Some(Trust::Anybody),
            (None, false) => None,
        };
        Target::find(Url::parse(&self.url)?, trust)
    }
}

/// The most that one message of the client holds.
const MAX_PAYLOAD: usize = 64 * 1024 * 1024;

/// Bytes of a message.
fn payload(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes <= MAX_PAYLOAD => Ok(bytes),
        _ => Err(format!("0 to {MAX_PAYLOAD} bytes are possible")),
    }
}

/// Seconds, also with a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    // A day is more than any run needs and far from every overflow.
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err("0 to 86400 seconds are possible".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::system("write to standard output", error))
}
